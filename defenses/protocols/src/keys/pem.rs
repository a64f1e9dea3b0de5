//! PEM: base64 between a BEGIN and an END line (RFC 7468).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{KeyError, elsewhere};

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
    begins(bytes).is_some()
}

/// Where a BEGIN line begins. Lines of text may stand before it (RFC 7468, section 2).
fn begins(bytes: &[u8]) -> Option<usize> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    let bare = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let skipped = bytes.len() - bare.len();
    let text = std::str::from_utf8(bare).ok()?;
    let mut at = skipped;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_ascii_start().len();
        if line.as_bytes()[indent..].starts_with(BEGIN) {
            return Some(at + indent);
        }
        at += line.len();
    }
    None
}

/// The DER under one of these labels, and which of them.
pub(super) fn decode<'a>(
    bytes: &[u8],
    labels: &[&'a str],
) -> Result<(&'a str, Zeroizing<Vec<u8>>), KeyError> {
    let start = begins(bytes).ok_or(KeyError::Pem("no BEGIN line"))?;
    let text = std::str::from_utf8(&bytes[start..]).map_err(|_| KeyError::Pem("not text"))?;
    for &label in labels {
        let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
        let Some(rest) = text.strip_prefix(&begin) else { continue };
        let body = rest.split_once(&end).ok_or(KeyError::Pem("no END line"))?.0;
        let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
        let der = STANDARD.decode(body.as_bytes()).map_err(|_| KeyError::Pem("not base64"))?;
        return Ok((label, Zeroizing::new(der)));
    }
    // A certificate, say: no bad key, but none at all.
    Err(elsewhere::describe(bytes).map_or(KeyError::Unknown, KeyError::Elsewhere))
}
