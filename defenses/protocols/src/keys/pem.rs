//! PEM: base64 between a BEGIN and an END line (RFC 7468).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::KeyError;

/// DER as PEM, 64 characters a line.
pub(super) fn encode(label: &str, der: &[u8]) -> Zeroizing<Vec<u8>> {
    let text = Zeroizing::new(STANDARD.encode(der));
    let mut pem = Zeroizing::new(Vec::with_capacity(text.len() + text.len() / 64 + 80));
    pem.extend_from_slice(format!("-----BEGIN {label}-----\n").as_bytes());
    for line in text.as_bytes().chunks(64) {
        pem.extend_from_slice(line);
        pem.push(b'\n');
    }
    pem.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    pem
}

/// Whether this is PEM of anything.
pub(super) fn looks_like(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"-----BEGIN ")
}

/// The DER under one of these labels, and which of them.
pub(super) fn decode<'a>(
    bytes: &[u8],
    labels: &[&'a str],
) -> Result<(&'a str, Zeroizing<Vec<u8>>), KeyError> {
    let text = std::str::from_utf8(bytes).map_err(|_| KeyError::Pem("not text"))?;
    for &label in labels {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        let Some(rest) = text.trim_ascii_start().strip_prefix(&begin) else { continue };
        let body = rest.split_once(&end).ok_or(KeyError::Pem("no END line"))?.0;
        let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
        let der = STANDARD.decode(body.as_bytes()).map_err(|_| KeyError::Pem("not base64"))?;
        return Ok((label, Zeroizing::new(der)));
    }
    // A certificate, say: no bad key, but none at all.
    Err(KeyError::Unknown)
}
