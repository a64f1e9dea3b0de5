//! CKKS keys: whole, or as shares of which all are needed.

use serde_json::json;
use zeroize::Zeroizing;

use super::generate::system_rng;
use super::{Inspection, KeyError, NewFile};
use crate::ckks::keys::{SecretKey, generate as draw, generate_shares};
use crate::ckks::{ParameterSet, inspect as describe};

/// First bytes of a serialised CKKS key or ciphertext.
const MAGIC: &[u8] = b"FLCK";

/// One secret key, or one share for each party, and the public key.
pub(super) fn generate(
    parameters: Option<&str>,
    parties: Option<usize>,
) -> Result<Vec<NewFile>, KeyError> {
    let set = parameters.map_or(Ok(ParameterSet::default()), str::parse::<ParameterSet>);
    let set = set.map_err(|e| KeyError::Parameters(e.to_string()))?;
    let mut rng = system_rng()?;
    let (secrets, public) = match parties {
        None => {
            let (secret, public) = draw(&set, &mut rng);
            (vec![secret], public)
        }
        Some(n) => {
            let parties = u16::try_from(n)
                .ok()
                .filter(|n| (2..=1000).contains(n))
                .ok_or(KeyError::Parties(n))?;
            generate_shares(&set, parties, &mut rng).map_err(|e| KeyError::Draw(e.to_string()))?
        }
    };
    let name = |secret: &SecretKey| match parties {
        None => "ckks-secret.key".to_string(),
        Some(_) => format!("ckks-secret-{:03}.key", secret.party().index + 1),
    };
    let mut files: Vec<NewFile> = secrets
        .iter()
        .map(|s| NewFile { name: name(s), bytes: s.to_bytes(), secret: true })
        .collect();
    let bytes = Zeroizing::new(public.to_bytes());
    files.push(NewFile { name: "ckks-public.key".into(), bytes, secret: false });
    Ok(files)
}

/// What a CKKS key or ciphertext is; `None` where the bytes do not begin as one.
pub(super) fn inspect(bytes: &[u8]) -> Option<Result<Inspection, KeyError>> {
    bytes.starts_with(MAGIC).then(|| read(bytes))
}

fn read(bytes: &[u8]) -> Result<Inspection, KeyError> {
    let found = describe(bytes).map_err(|e| KeyError::Ckks(e.to_string()))?;
    let parameters =
        json!({ "set": found.parameters, "name": found.name, "sharing": found.sharing });
    Ok(Inspection {
        scheme: found.scheme.into(),
        kind: found.kind.into(),
        form: "FLCK container".into(),
        parameters: parameters
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        security_bits: Some(found.security_bits),
        fingerprint: found.fingerprint,
        secret: found.kind == "secret key",
        warnings: Vec::new(),
    })
}
