//! What a key file is, without telling anything that is secret.

use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value, json};
use suites::foreign::{self, limits};

use super::signing::Signature;
use super::{Container, KeyError, Kind, Scheme, elsewhere, files, pem, signing};
use crate::paillier;

/// What is known of a key or ciphertext.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// `paillier`, `ckks`, `rsa` or `ed25519`.
    pub scheme: String,
    /// "secret key", "public key", "ciphertext", ...
    pub kind: String,
    /// The form it is stored in.
    pub form: String,
    /// Sizes and the like.
    pub parameters: Map<String, Value>,
    /// Security level in bits; `None` for a toy.
    pub security_bits: Option<u32>,
    /// Names the key: equal for its secret and its public part.
    pub fingerprint: String,
    /// Whether others must not see it.
    pub secret: bool,
    /// What should be mended.
    pub warnings: Vec<String>,
}

/// Reads and checks a key or ciphertext. Never panics, whatever the bytes.
///
/// # Errors
/// Anything that is not whole, or not known.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, KeyError> {
    if pem::looks_like(bytes) {
        return Ok(signature(&signing::read(bytes)?));
    }
    if Container::looks_like(bytes) {
        let container = Container::decode(bytes)?;
        return match container.scheme {
            Scheme::Paillier => paillier(bytes, &container),
        };
    }
    super::ckks::inspect(bytes).unwrap_or_else(|| {
        Err(elsewhere::describe(bytes).map_or(KeyError::Unknown, KeyError::Elsewhere))
    })
}

/// Reads a file, and looks at its mode too.
///
/// # Errors
/// The same with the file's name, and what the system refuses.
pub fn inspect_file(path: &Path) -> Result<Inspection, KeyError> {
    let meta = path.metadata().map_err(|e| KeyError::io("read", path, e))?;
    if !meta.is_file() || meta.len() > limits::KEY.file {
        return Err(KeyError::NotAFile(path.into()));
    }
    let bytes = foreign::read(path, &limits::KEY).map_err(|e| KeyError::io("read", path, e))?;
    let bytes = zeroize::Zeroizing::new(bytes);
    let found =
        inspect(&bytes).map_err(|e| KeyError::File { path: path.into(), source: Box::new(e) });
    let mut found = found?;
    if let Some(mode) = files::mode(path).filter(|mode| found.secret && mode & 0o077 != 0) {
        let name = path.display();
        found
            .warnings
            .push(format!("others may open this secret (mode {mode:04o}): chmod 600 {name}"));
    }
    Ok(found)
}

fn signature(found: &signing::Found) -> Inspection {
    let (scheme, parameters, security) = match found.signature {
        Signature::Rsa(bits) => {
            ("rsa", Map::from_iter([("bits".to_string(), json!(bits))]), factoring(bits))
        }
        Signature::Ed25519 => ("ed25519", Map::new(), Some(128)),
    };
    let weak = security.is_none().then(|| "modulus too short: no security".to_string());
    Inspection {
        scheme: scheme.into(),
        kind: if found.secret { "secret key" } else { "public key" }.into(),
        form: if found.secret { "PEM, PKCS#8" } else { "PEM, SubjectPublicKeyInfo" }.into(),
        parameters,
        security_bits: security,
        fingerprint: found.fingerprint.clone(),
        secret: found.secret,
        warnings: weak.into_iter().collect(),
    }
}

fn factoring(bits: u32) -> Option<u32> {
    paillier::security(bits)
}

fn paillier(bytes: &[u8], container: &Container) -> Result<Inspection, KeyError> {
    let key = match container.kind {
        Kind::SecretKey => Some(paillier::SecretKey::from_bytes(bytes)?.public().clone()),
        Kind::PublicKey => Some(paillier::PublicKey::from_bytes(bytes)?),
        Kind::Ciphertexts => None,
    };
    let parameters = match &key {
        Some(key) => json!({
            "bits": key.bits(),
            "exponent_bits": key.exponent_bits(),
            "ciphertext_bytes": key.ciphertext_bytes(),
        }),
        None => json!({ "payload_bytes": container.payload.len() }),
    };
    Ok(Inspection {
        scheme: "paillier".into(),
        kind: container.kind.to_string(),
        form: "FLBCRYPT container, version 1".into(),
        parameters: parameters.as_object().cloned().unwrap_or_default(),
        security_bits: key.as_ref().and_then(|k| paillier::security(k.bits())),
        fingerprint: container.key.to_string(),
        secret: container.kind == Kind::SecretKey,
        warnings: key.iter().filter_map(|k| paillier::warning(k.bits())).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KeyRequest, KeyScheme, generate, write_all};
    use proptest::prelude::*;

    fn request(scheme: KeyScheme, bits: Option<u32>, parties: Option<usize>) -> KeyRequest {
        KeyRequest { scheme, bits, parties, parameters: None }
    }

    fn made(scheme: KeyScheme, bits: Option<u32>, parties: Option<usize>) -> Vec<Inspection> {
        let files = generate(&request(scheme, bits, parties)).unwrap();
        let found: Vec<Inspection> = files.iter().map(|f| inspect(&f.bytes).unwrap()).collect();
        for (file, found) in files.iter().zip(&found) {
            assert_eq!((file.secret, found.scheme.as_str()), (found.secret, scheme.name()));
            assert_eq!(file.name.contains("secret"), file.secret);
            assert_eq!(found.fingerprint, found_fingerprint(&files));
        }
        found
    }

    /// Secret and public part carry the same name.
    fn found_fingerprint(files: &[crate::keys::NewFile]) -> String {
        inspect(&files[files.len() - 1].bytes).unwrap().fingerprint
    }

    #[test]
    fn every_scheme_comes_back_as_it_was_made() {
        let rsa = made(KeyScheme::Rsa, None, None);
        assert_eq!((rsa[0].security_bits, &rsa[1].parameters["bits"]), (Some(112), &json!(2048)));
        let ed25519 = made(KeyScheme::Ed25519, None, None);
        assert_eq!(
            (ed25519[0].form.as_str(), ed25519[1].security_bits),
            ("PEM, PKCS#8", Some(128))
        );
        let toy = made(KeyScheme::Paillier, Some(512), None);
        assert_eq!((toy.len(), toy[0].security_bits), (2, None));
        assert!(toy[1].warnings[0].contains("toy key, no security"));
        let ckks = made(KeyScheme::Ckks, None, None);
        assert!(ckks.len() == 2 && ckks[0].security_bits >= Some(128));
        let shared = made(KeyScheme::Ckks, None, Some(3));
        assert_eq!(shared.iter().filter(|f| f.secret).count(), 3);
        assert_eq!(ed25519[0].warnings, Vec::<String>::new());
    }

    #[test]
    fn pem_of_something_else_is_no_bad_key() {
        let certificate = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            inspect(certificate),
            Err(KeyError::Elsewhere(what)) if what.contains("openssl x509")
        ));
        let cut = b"-----BEGIN PRIVATE KEY-----\nMIIB\n";
        assert!(matches!(inspect(cut), Err(KeyError::Pem(_))));
    }

    #[test]
    fn two_keys_are_never_the_same() {
        let draw = || made(KeyScheme::Paillier, Some(512), None)[0].fingerprint.clone();
        assert_ne!(draw(), draw());
    }

    #[test]
    fn requests_that_make_no_sense_are_one_line() {
        let cases = [
            (request(KeyScheme::Rsa, Some(1024), None), "--bits 1024 is not offered for rsa"),
            (
                request(KeyScheme::Paillier, Some(777), None),
                "--bits 777 is not offered for paillier",
            ),
            (request(KeyScheme::Ed25519, Some(2048), None), "--bits has no meaning for ed25519"),
            (request(KeyScheme::Rsa, None, Some(3)), "--parties has no meaning for rsa"),
            (request(KeyScheme::Ckks, None, Some(1)), "--parties 1 is out of range"),
            (
                KeyRequest {
                    parameters: Some("1024/60/40".into()),
                    ..request(KeyScheme::Ckks, None, None)
                },
                "parameters",
            ),
            (
                KeyRequest {
                    parameters: Some("x".into()),
                    ..request(KeyScheme::Paillier, None, None)
                },
                "--parameters",
            ),
        ];
        for (request, says) in cases {
            let message = generate(&request).err().expect("refused").to_string();
            assert!(message.contains(says) && !message.contains('\n'), "{message}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_open_secret_is_pointed_at() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let files = generate(&request(KeyScheme::Ed25519, None, None)).unwrap();
        let paths = write_all(home.path(), &files, false).unwrap();
        assert!(inspect_file(&paths[0]).unwrap().warnings.is_empty());
        std::fs::set_permissions(&paths[0], std::fs::Permissions::from_mode(0o640)).unwrap();
        let warnings = inspect_file(&paths[0]).unwrap().warnings;
        assert!(warnings[0].contains("0640") && warnings[0].contains("chmod 600"), "{warnings:?}");
        assert!(matches!(inspect_file(home.path()), Err(KeyError::NotAFile(_))));
    }

    fn intact() -> &'static [Vec<u8>] {
        static FILES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
        FILES.get_or_init(|| {
            let schemes =
                [KeyScheme::Paillier, KeyScheme::Ed25519, KeyScheme::Rsa, KeyScheme::Ckks];
            let bits = |s| (s == KeyScheme::Paillier).then_some(512);
            schemes
                .into_iter()
                .flat_map(|s| generate(&request(s, bits(s), None)).unwrap())
                .map(|f| f.bytes.to_vec())
                .collect()
        })
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_nothing_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            file in 0usize..8,
            at in any::<usize>(),
            cut in any::<usize>(),
        ) {
            prop_assert!(inspect(&bytes).is_err());
            // A key file with one byte changed, and cut off.
            let mut altered = intact()[file].clone();
            let at = at % altered.len();
            altered[at] ^= 1 << (cut % 8);
            let _ = inspect(&altered);
            // The line break at the end is no loss.
            altered.truncate(cut % (altered.len() - 1));
            prop_assert!(inspect(&altered).is_err());
        }
    }
}
