//! Keys from the operating system's randomness.

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use suites::rng::Wiped;
use zeroize::Zeroizing;

use super::{KeyError, NewFile, signing};
use crate::paillier;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyScheme {
    /// Approximate homomorphic encryption.
    Ckks,
    /// Additively homomorphic encryption.
    Paillier,
    /// RSA signatures.
    Rsa,
    /// Ed25519 signatures.
    Ed25519,
}

impl KeyScheme {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            KeyScheme::Ckks => "ckks",
            KeyScheme::Paillier => "paillier",
            KeyScheme::Rsa => "rsa",
            KeyScheme::Ed25519 => "ed25519",
        }
    }
}

/// What to make.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// For what.
    pub scheme: KeyScheme,
    /// Bits of the modulus (paillier, rsa); 2048 where none is given.
    pub bits: Option<u32>,
    /// Holders among whom a CKKS secret key is shared, at least 2; one key where none is given.
    pub parties: Option<usize>,
    /// CKKS parameter set, by name or spelled out; the scheme's default where none is given.
    pub parameters: Option<String>,
}

/// Draws a key and returns the files that hold it, secrets first.
///
/// # Errors
/// Options that do not fit the scheme, or no randomness.
pub fn generate(request: &KeyRequest) -> Result<Vec<NewFile>, KeyError> {
    let scheme = request.scheme.name();
    let refuse =
        |given: bool, option| if given { Err(KeyError::Option { option, scheme }) } else { Ok(()) };
    refuse(request.parties.is_some() && request.scheme != KeyScheme::Ckks, "--parties")?;
    refuse(request.parameters.is_some() && request.scheme != KeyScheme::Ckks, "--parameters")?;
    let sized = matches!(request.scheme, KeyScheme::Paillier | KeyScheme::Rsa);
    refuse(request.bits.is_some() && !sized, "--bits")?;
    let bits = request.bits.unwrap_or(2048);
    match request.scheme {
        KeyScheme::Paillier => paillier_files(bits),
        KeyScheme::Rsa => Ok(pem_files("rsa", signing::rsa(bits)?)),
        KeyScheme::Ed25519 => Ok(pem_files("ed25519", signing::ed25519()?)),
        KeyScheme::Ckks => super::ckks::generate(request.parameters.as_deref(), request.parties),
    }
}

/// ChaCha12 from 256 bits of the operating system, wiped when dropped.
pub(super) fn system_rng() -> Result<Wiped<ChaCha12Rng>, KeyError> {
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(seed.as_mut()).map_err(|e| KeyError::Draw(e.to_string()))?;
    Ok(Wiped::new(ChaCha12Rng::from_seed(*seed)))
}

fn paillier_files(bits: u32) -> Result<Vec<NewFile>, KeyError> {
    if !paillier::KEY_BITS.contains(&bits) {
        let offered = "2048 or 3072 (512 and 1024 are toys)";
        return Err(KeyError::Bits { bits, scheme: "paillier", offered });
    }
    let key = paillier::SecretKey::generate(bits, &mut *system_rng()?)?;
    let public = Zeroizing::new(key.public().to_bytes());
    Ok(vec![
        NewFile { name: "paillier-secret.key".into(), bytes: key.to_bytes(), secret: true },
        NewFile { name: "paillier-public.key".into(), bytes: public, secret: false },
    ])
}

fn pem_files(name: &str, (secret, public): signing::Pair) -> Vec<NewFile> {
    vec![
        NewFile { name: format!("{name}-secret.pem"), bytes: secret, secret: true },
        NewFile { name: format!("{name}-public.pem"), bytes: public, secret: false },
    ]
}
