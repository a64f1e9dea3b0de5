//! What MXNet's `recordio.pack` puts before an image: flag, label, two numbers, and possibly more
//! labels.

use super::super::{AGAIN, FormatError};

/// Bytes of the fixed part: `u32` flag, `f32` label, two `u64`.
const FIXED: usize = 24;

/// A record's header.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// How many labels follow the fixed part; 0 where the one within it counts.
    pub flag: u32,
    /// The labels, one at least.
    pub labels: Vec<f32>,
    /// The record's number.
    pub id: u64,
    /// A second number, mostly 0.
    pub id2: u64,
}

/// How many labels the header in these bytes announces; 0 where it is cut short.
pub(super) fn labels_in(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |b| u32::from_le_bytes(*b))
}

/// The header at the start of a record's bytes, and how many of them it takes.
///
/// # Errors
/// When it, or the labels that it announces, are cut short.
pub fn unpack(bytes: &[u8]) -> Result<(Header, usize), FormatError> {
    let fault = |problem: String| FormatError::new("header", problem, AGAIN);
    let Some(fixed) = bytes.first_chunk::<FIXED>() else {
        return Err(fault(format!("{} bytes, a record's header alone takes {FIXED}", bytes.len())));
    };
    let flag = labels_in(fixed);
    let number =
        |at: usize| fixed[at..at + 8].iter().rev().fold(0u64, |n, b| n << 8 | u64::from(*b));
    let end = (flag as usize).checked_mul(4).and_then(|n| n.checked_add(FIXED));
    let Some(more) = end.and_then(|end| bytes.get(FIXED..end)) else {
        return Err(fault(format!("{flag} labels are announced, more than the record holds")));
    };
    let float = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
    let labels = match flag {
        0 => vec![float(&fixed[4..8])],
        _ => more.chunks_exact(4).map(float).collect(),
    };
    Ok((Header { flag, labels, id: number(8), id2: number(16) }, FIXED + more.len()))
}
