//! `bench keys` through the binary: modes, refusals, and no secret on any stream.

mod common;

use common::{Desk, Done};

const SCHEMES: [(&[&str], &str, &str); 4] = [
    (&["--scheme", "paillier", "--bits", "512"], "paillier-secret.key", "paillier-public.key"),
    (&["--scheme", "rsa"], "rsa-secret.pem", "rsa-public.pem"),
    (&["--scheme", "ed25519"], "ed25519-secret.pem", "ed25519-public.pem"),
    (&["--scheme", "ckks"], "ckks-secret.key", "ckks-public.key"),
];

fn generate(desk: &Desk, more: &[&str]) -> Done {
    desk.bench(&[&["keys", "generate", "--out", "keys"], more].concat())
}

#[track_caller]
fn refused(done: &Done, says: &[&str]) {
    assert_eq!(
        (done.code, done.err.lines().count(), done.out.as_str()),
        (Some(2), 1, ""),
        "{done:#?}"
    );
    for part in says {
        assert!(done.err.contains(part), "`{part}` is missing: {done:#?}");
    }
}

#[cfg(unix)]
fn mode(desk: &Desk, below: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    desk.path(below).metadata().unwrap().permissions().mode() & 0o777
}

/// Any run of 12 bytes of the secret, as bytes, hexadecimal or text.
fn shows(text: &str, secret: &[u8]) -> bool {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    // A container's header and public part are no secret; the end before the checksum is.
    let tail = &secret[secret.len() - 60..secret.len() - 16];
    tail.windows(12).any(|w| text.contains(&hex(w)) || text.as_bytes().windows(12).any(|t| t == w))
}

#[cfg(unix)]
#[test]
fn secrets_are_private_and_never_shown() {
    for (scheme, secret, public) in SCHEMES {
        let desk = Desk::new();
        let done = generate(&desk, scheme).ok();
        assert_eq!(desk.files(), {
            let mut f = [format!("keys/{secret}"), format!("keys/{public}")];
            f.sort();
            f
        });
        assert_eq!((mode(&desk, "keys"), mode(&desk, &format!("keys/{secret}"))), (0o700, 0o600));
        let bytes = std::fs::read(desk.path(&format!("keys/{secret}"))).unwrap();
        let inspected = desk.bench(&["keys", "inspect", "keys"]).ok();
        assert_eq!(
            inspected.out.lines().filter(|l| !l.starts_with("  ")).count(),
            2,
            "{inspected:#?}"
        );
        for text in [&done.out, &done.err, &inspected.out, &inspected.err] {
            assert!(!shows(text, &bytes), "{text}");
        }
        assert!(
            done.out.contains("keep it secret") && done.out.contains("fingerprint"),
            "{done:#?}"
        );
    }
}

#[test]
fn keys_are_overwritten_only_with_force() {
    for (scheme, secret, public) in &SCHEMES[..2] {
        let desk = Desk::new();
        generate(&desk, scheme).ok();
        let before = common::contents(&desk.path("keys"));
        refused(&generate(&desk, scheme), &[*secret, "--force"]);
        assert_eq!(common::contents(&desk.path("keys")), before);
        // Half a pair is no reason to write the other half.
        std::fs::remove_file(desk.path(&format!("keys/{secret}"))).unwrap();
        refused(&generate(&desk, scheme), &[*public, "--force"]);
        generate(&desk, &[*scheme, &["--force"]].concat()).ok();
        let after = common::contents(&desk.path("keys"));
        assert_eq!(after.len(), 2);
        assert!(before.iter().zip(&after).all(|(a, b)| a.0 == b.0 && a.1 != b.1), "fresh keys");
    }
}

#[test]
fn inspecting_names_the_key() {
    let desk = Desk::new();
    generate(&desk, &["--scheme", "paillier"]).ok();
    generate(&desk, &["--scheme", "ed25519"]).ok();
    desk.write("keys/notes.txt", "which key is for what");
    let rows = desk.bench(&["keys", "inspect", "keys", "--json"]).ok().json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 4);
    for pair in rows.chunks(2) {
        assert_eq!(pair[0]["fingerprint"], pair[1]["fingerprint"]);
        assert_eq!(
            (pair[0]["secret"].as_bool(), pair[1]["secret"].as_bool()),
            (Some(false), Some(true))
        );
    }
    assert_eq!(
        (&rows[2]["parameters"]["bits"], &rows[2]["security_bits"]),
        (&2048.into(), &112.into())
    );
    let one = desk.bench(&["keys", "inspect", "keys/ed25519-public.pem", "--json"]).ok().json();
    assert_eq!(one.as_array().unwrap().len(), 1);
}

#[test]
fn shared_keys_have_one_file_a_holder() {
    let desk = Desk::new();
    generate(&desk, &["--scheme", "ckks", "--parties", "3"]).ok();
    let rows = desk.bench(&["keys", "inspect", "keys", "--json"]).ok().json();
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.iter().filter(|r| r["secret"] == true).count(), 3);
    assert!(
        rows.iter().all(|r| r["fingerprint"] == rows[0]["fingerprint"]
            && r["security_bits"].as_u64() >= Some(128))
    );
}

#[test]
fn toys_carry_their_warning() {
    let desk = Desk::new();
    let done = generate(&desk, &["--scheme", "paillier", "--bits", "1024"]).ok();
    assert!(done.out.contains("toy key, no security"), "{done:#?}");
}

#[cfg(unix)]
#[test]
fn a_secret_that_others_may_open_is_pointed_at() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    generate(&desk, &["--scheme", "ed25519"]).ok();
    let secret = desk.path("keys/ed25519-secret.pem");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    let done = desk.bench(&["keys", "inspect", "keys"]).ok();
    assert!(done.out.contains("warning") && done.out.contains("chmod 600"), "{done:#?}");
}

#[test]
fn mistakes_are_one_line() {
    let desk = Desk::new();
    let cases: &[(&[&str], &[&str])] = &[
        (&["--scheme", "rsaa"], &["rsaa", "rsa"]),
        (&["--scheme", "rsa", "--bits", "1024"], &["--bits 1024", "2048"]),
        (&["--scheme", "paillier", "--bits", "2047"], &["--bits 2047", "2048"]),
        (&["--scheme", "ed25519", "--bits", "256"], &["--bits", "ed25519"]),
        (&["--scheme", "rsa", "--parties", "3"], &["--parties", "rsa"]),
        (&["--scheme", "ckks", "--parties", "1"], &["--parties 1"]),
        (&["--scheme", "ckks", "--parameters", "1024/60/40"], &["parameters"]),
        (&["--scheme", "ckks", "--parameters", "4096/60,60/40"], &["128 bits of security"]),
        (&[], &["--scheme"]),
    ];
    for (more, says) in cases {
        refused(&generate(&desk, more), says);
        assert!(desk.files().is_empty());
    }
    desk.write("file", "x");
    refused(
        &desk.bench(&["keys", "generate", "--scheme", "rsa", "--out", "file"]),
        &["file", "not a folder"],
    );
}

#[test]
fn files_that_are_no_keys_are_one_line() {
    let desk = Desk::new();
    generate(&desk, &["--scheme", "paillier", "--bits", "512"]).ok();
    let mut bytes = std::fs::read(desk.path("keys/paillier-secret.key")).unwrap();
    desk.write("short/k", &bytes[..bytes.len() / 2]);
    bytes[70] ^= 1;
    desk.write("altered/k", &bytes);
    bytes[8] = 9;
    desk.write("later/k", &bytes);
    desk.write("pem/k", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    desk.write("text/k", "hello");
    desk.write("elsewhere/k", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n");
    // A sound sequence that is no RSA or Ed25519 key is not corrupted.
    desk.write("curve/k", "-----BEGIN PRIVATE KEY-----\nMAMCAQA=\n-----END PRIVATE KEY-----\n");
    // Others' files beside a key are passed over; a block of another kind before it, too.
    desk.bench(&["keys", "generate", "--out", "made", "--scheme", "ed25519"]).ok();
    let files = std::fs::read_dir(desk.path("made")).unwrap();
    let mut texts = files.map(|f| std::fs::read_to_string(f.unwrap().path()).unwrap());
    let made = texts.find(|text| text.contains("PRIVATE KEY")).unwrap();
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    desk.write("mixed/cert.pem", certificate);
    desk.write(
        "mixed/key.pem",
        [&b"caf\xe9\n"[..], certificate.as_bytes(), made.as_bytes()].concat(),
    );
    assert!(desk.bench(&["keys", "inspect", "mixed"]).ok().out.contains("ed25519 secret key"));
    let cases: &[(&str, &[&str])] = &[
        ("elsewhere/k", &["elsewhere/k", "PKCS#1", "openssl pkcs8"]),
        ("curve/k", &["curve/k", "not read here: no Ed25519 key"]),
        ("short/k", &["short/k", "bytes"]),
        ("altered", &["altered/k", "checksum"]),
        ("later/k", &["later/k", "version 9"]),
        ("pem/k", &["pem/k", "corrupted PEM"]),
        ("text/k", &["text/k", "no key or ciphertext"]),
        ("text", &["text", "holds no keys"]),
        ("nowhere", &["nowhere"]),
    ];
    for (path, says) in cases {
        refused(&desk.bench(&["keys", "inspect", path]), says);
    }
}
