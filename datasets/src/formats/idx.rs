//! IDX, the format of MNIST: big-endian header, then unsigned bytes. Plain or gzipped.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use suites::foreign::{Budget, limits};

use super::{AGAIN, FormatError, MAX_INFLATION, expect_end, read_declared};

/// A parsed IDX file of unsigned bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idx {
    /// The dimensions, outermost first (`[N]` for labels, `[N, H, W]` for images).
    pub dims: Vec<usize>,
    /// The bytes, row by row; their number is the product of `dims`.
    pub data: Vec<u8>,
}

/// Parses a whole file, gunzipping it where it starts with gzip's magic.
///
/// # Errors
/// Wrong magic, another element type than unsigned byte, not `rank` dimensions, truncated or
/// overlong data, damaged gzip.
pub fn parse(bytes: &[u8], rank: usize) -> Result<Idx, FormatError> {
    let (mut source, most) = open(bytes, bytes.len() as u64);
    let dims = read_dims(&mut source, rank)?;
    let declared = checked_size(&dims, most)?;
    // Twice: the buffer grows by doubling.
    let mut budget = Budget::new(&limits::ARRAYS, bytes.len() as u64);
    budget
        .hold(declared.saturating_mul(2))
        .map_err(|e| FormatError::exceeded(format!("header, {dims:?} elements"), &e))?;
    let data = read_declared(&mut source, declared, "data")?;
    expect_end(&mut source, "end of data")?;
    Ok(Idx { dims, data })
}

/// Parses only the header, from the file's first bytes; `stored` is the size of the whole file.
///
/// # Errors
/// As [`parse`], the data's length aside.
pub fn parse_dims(start: &[u8], stored: u64, rank: usize) -> Result<Vec<usize>, FormatError> {
    let (mut source, most) = open(start, stored);
    let dims = read_dims(&mut source, rank)?;
    checked_size(&dims, most)?;
    Ok(dims)
}

/// The inflated bytes, and the most that there can be of them.
fn open(bytes: &[u8], stored: u64) -> (Box<dyn Read + '_>, u64) {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        (Box::new(MultiGzDecoder::new(bytes)), stored.saturating_mul(MAX_INFLATION))
    } else {
        (Box::new(bytes), stored)
    }
}

fn read_dims(source: &mut impl Read, rank: usize) -> Result<Vec<usize>, FormatError> {
    let magic = read_declared(source, 4, "header")?;
    if magic[..2] != [0, 0] {
        let seen =
            format!("wrong magic {:02x}{:02x}{:02x}{:02x}", magic[0], magic[1], magic[2], magic[3]);
        let wanted = format!(
            "an IDX file of bytes starts with 000008{rank:02x}: is this another file under this \
             name?"
        );
        return Err(FormatError::new("byte 0", seen, wanted));
    }
    if magic[2] != 8 {
        let seen = format!("element type 0x{:02x}", magic[2]);
        return Err(FormatError::new("byte 2", seen, "only unsigned bytes (0x08) are read"));
    }
    if usize::from(magic[3]) != rank {
        let seen = format!("{} dimensions where {rank} are expected", magic[3]);
        return Err(FormatError::new(
            "byte 3",
            seen,
            "images have 3, labels 1: are the two files swapped?",
        ));
    }
    let raw = read_declared(source, 4 * rank as u64, "header")?;
    Ok(raw.chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize).collect())
}

fn checked_size(dims: &[usize], most: u64) -> Result<u64, FormatError> {
    let size = dims.iter().try_fold(1u64, |size, &d| size.checked_mul(d as u64));
    match size {
        Some(size) if size <= most => Ok(size),
        _ => Err(FormatError::new(
            "header",
            format!("{dims:?} elements are declared, more than the file can hold"),
            AGAIN,
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn file(dims: &[u32], data: &[u8]) -> Vec<u8> {
        let mut out = vec![0, 0, 8, dims.len() as u8];
        for d in dims {
            out.extend(d.to_be_bytes());
        }
        out.extend(data);
        out
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut w = GzEncoder::new(Vec::new(), Compression::default());
        w.write_all(bytes).unwrap();
        w.finish().unwrap()
    }

    #[test]
    fn plain_and_gzipped_agree() {
        let plain = file(&[2, 2, 3], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
        let parsed = parse(&plain, 3).unwrap();
        assert_eq!(parsed.dims, [2, 2, 3]);
        assert_eq!(parsed, parse(&gz(&plain), 3).unwrap());
        assert_eq!(parse_dims(&gz(&plain), 99, 3).unwrap(), [2, 2, 3]);
    }

    #[test]
    fn faults_name_their_place() {
        let good = file(&[3], &[1, 2, 3]);
        assert_eq!(parse(&good[..6], 1).unwrap_err().place, "header, byte 2");
        assert!(parse(&good[..9], 1).unwrap_err().problem.contains("declared"));
        assert!(parse(&file(&[3], &[1, 2, 3, 4]), 1).unwrap_err().problem.contains("more bytes"));
        assert!(parse(&file(&[3], &[1, 2, 3]), 3).unwrap_err().remedy.contains("swapped"));
        assert!(parse(b"PK\x03\x04rest", 3).unwrap_err().problem.contains("wrong magic"));
        let mut torn = gz(&good);
        torn.truncate(torn.len() - 6);
        assert!(parse(&torn, 1).is_err());
        let mut wrong_sum = gz(&good);
        let end = wrong_sum.len() - 6;
        wrong_sum[end] ^= 0xff;
        assert!(parse(&wrong_sum, 1).is_err());
    }

    #[test]
    fn a_lying_header_is_refused_before_reading() {
        let lie = file(&[u32::MAX, u32::MAX, u32::MAX], &[0; 16]);
        assert!(parse(&lie, 3).unwrap_err().problem.contains("can hold"));
        assert!(parse(&gz(&lie), 3).unwrap_err().problem.contains("can hold"));
    }

    proptest! {
        #[test]
        fn never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            rank in 0usize..5,
        ) {
            let _ = parse(&bytes, rank);
            let mut nearly = file(&[2, 3], &bytes);
            nearly[3] = rank as u8;
            if let Ok(idx) = parse(&nearly, rank) {
                prop_assert_eq!(idx.dims.iter().product::<usize>(), idx.data.len());
            }
            let _ = parse(&gz(&bytes), rank);
        }

        #[test]
        fn what_is_written_is_read(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let idx = parse(&file(&[data.len() as u32], &data), 1).unwrap();
            prop_assert_eq!(idx.data, data);
        }
    }
}
