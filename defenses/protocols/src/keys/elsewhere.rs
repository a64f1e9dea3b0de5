//! Keys of other tools: what they are, and how they become one that is read here.

/// Beginnings of PEM files by their label.
const LABELS: [(&str, &str); 8] = [
    (
        "RSA PRIVATE KEY",
        "an RSA key as PKCS#1; convert it with `openssl pkcs8 -topk8 -nocrypt -in FILE`",
    ),
    (
        "RSA PUBLIC KEY",
        "an RSA public key as PKCS#1; convert it with `openssl rsa -RSAPublicKey_in -pubout -in \
         FILE`",
    ),
    ("ENCRYPTED PRIVATE KEY", "an encrypted key; decrypt it with `openssl pkcs8 -in FILE`"),
    (
        "OPENSSH PRIVATE KEY",
        "a key of OpenSSH; a copy of one of RSA is converted by `ssh-keygen -p -N '' -m PKCS8 -f \
         FILE`, one of Ed25519 by no tool of OpenSSH: draw one with `bench keys generate`",
    ),
    ("EC PRIVATE KEY", "a key of an elliptic curve other than Ed25519; draw one of RSA or Ed25519"),
    ("CERTIFICATE", "a certificate; take its key with `openssl x509 -pubkey -noout -in FILE`"),
    ("CERTIFICATE REQUEST", "a request for a certificate; give the key that belongs to it"),
    ("PGP PRIVATE KEY BLOCK", "a key of PGP; draw one of RSA or Ed25519"),
];

/// What another tool's key or ciphertext is, with what to do; `None` for unknown bytes.
pub(super) fn describe(bytes: &[u8]) -> Option<&'static str> {
    if bytes.is_empty() {
        return Some("an empty file; write the key again");
    }
    let text = std::str::from_utf8(bytes).ok();
    if let Some(text) = text {
        let labelled = |label: &str| text.contains(&format!("-----BEGIN {label}-----"));
        if let Some((_, words)) = LABELS.iter().find(|(label, _)| labelled(label)) {
            return Some(words);
        }
        if text.starts_with("ssh-") || text.starts_with("ecdsa-") {
            return Some(if text.starts_with("ssh-rsa") {
                "a public key of OpenSSH; convert it with `ssh-keygen -e -m PKCS8 -f FILE`"
            } else {
                "a public key of OpenSSH, which it writes in no other form; draw one with `bench \
                 keys generate`"
            });
        }
        if text.trim_start().starts_with('{') && text.contains("\"kty\"") {
            return Some(
                "a key as JSON (JWK; python-paillier writes \"DAJ\"); draw one with `bench keys \
                 generate`",
            );
        }
    }
    if is_der(bytes) {
        return Some(
            "DER, of a key or a certificate; a key is converted by `openssl pkey -inform DER -in \
             FILE`, a public one with -pubin",
        );
    }
    // Microsoft SEAL's magic number, also within what TenSEAL wraps around it.
    let seal = bytes
        .iter()
        .take(64)
        .collect::<Vec<_>>()
        .windows(3)
        .any(|w| [*w[0], *w[1], *w[2]] == [0x5e, 0xa1, 0x10]);
    seal.then_some("of SEAL or TenSEAL, whose keys no other library reads; `bench keys generate`")
}

/// Whether bytes are one DER sequence that ends where they end.
pub(super) fn is_der(bytes: &[u8]) -> bool {
    match bytes {
        [0x30, length, rest @ ..] if *length < 0x80 => rest.len() == usize::from(*length),
        [0x30, 0x81, length, rest @ ..] => rest.len() == usize::from(*length),
        [0x30, 0x82, high, low, rest @ ..] => {
            rest.len() == usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_tools_have_a_name_and_a_remedy() {
        for (bytes, says) in [
            (&b""[..], "empty"),
            (b"-----BEGIN RSA PRIVATE KEY-----\nAAAA", "PKCS#1"),
            (b"-----BEGIN OPENSSH PRIVATE KEY-----\n", "OpenSSH"),
            (b"Bag\n-----BEGIN ENCRYPTED PRIVATE KEY-----\n", "encrypted"),
            (b"ssh-ed25519 AAAA me", "OpenSSH"),
            (b"{\"kty\": \"DAJ\"}", "JSON"),
            (b"\x30\x03\x02\x01\x00", "DER"),
            (b"\n\x80\x08\x5e\xa1\x10\0\0", "TenSEAL"),
        ] {
            assert!(describe(bytes).is_some_and(|words| words.contains(says)), "{says}");
        }
        assert_eq!(describe(b"hello"), None);
        assert_eq!(describe(b"\x30\x04\x02\x01\x00"), None);
    }
}
