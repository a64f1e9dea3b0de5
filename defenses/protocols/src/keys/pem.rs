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

/// Where the first BEGIN line begins. Lines of text may stand before it (RFC 7468, section 2).
fn begins(bytes: &[u8]) -> Option<usize> {
    begin_lines(bytes).next()
}

/// Where each BEGIN line begins.
fn begin_lines(bytes: &[u8]) -> impl Iterator<Item = usize> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    let mut next = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    std::iter::from_fn(move || {
        while next < bytes.len() {
            let rest = &bytes[next..];
            let indent = rest.len() - rest.trim_ascii_start().len();
            let line = rest.iter().position(|&b| b == b'\n').map_or(rest.len(), |at| at + 1);
            let (at, length) = (next + indent, line.max(indent));
            next += length.max(1);
            if rest[indent..].starts_with(BEGIN) {
                if indent >= line {
                    // Blank lines before it: its own line comes next.
                    let own = rest[indent..].iter().position(|&b| b == b'\n');
                    next = at + own.map_or(rest.len() - indent, |n| n + 1);
                }
                return Some(at);
            }
        }
        None
    })
}

/// The DER under one of these labels, and which of them.
pub(super) fn decode<'a>(
    bytes: &[u8],
    labels: &[&'a str],
) -> Result<(&'a str, Zeroizing<Vec<u8>>), KeyError> {
    if begins(bytes).is_none() {
        return Err(KeyError::Pem("no BEGIN line"));
    }
    for start in begin_lines(bytes) {
        let block = &bytes[start..];
        let own = |label: &&&str| block.starts_with(format!("-----BEGIN {label}-----").as_bytes());
        let Some(label) = labels.iter().find(own) else { continue };
        let begin = format!("-----BEGIN {label}-----").len();
        let end = format!("-----END {label}-----");
        let last = block.windows(end.len()).position(|w| w == end.as_bytes());
        let body = &block[begin..last.ok_or(KeyError::Pem("no END line"))?];
        let body = std::str::from_utf8(body).map_err(|_| KeyError::Pem("not text"))?;
        let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
        let der = STANDARD.decode(body.as_bytes()).map_err(|_| KeyError::Pem("not base64"))?;
        return Ok((*label, Zeroizing::new(der)));
    }
    // A certificate, say: no bad key, but none at all.
    Err(elsewhere::describe(bytes).map_or(KeyError::Unknown, KeyError::Elsewhere))
}
