//! The binary version of CIFAR-10: records of one label byte and 3 x 32 x 32 pixel bytes (red,
//! green, blue planes).

use super::{AGAIN, FormatError};

/// Bytes of one record.
pub const RECORD: usize = 1 + PIXELS;
/// Bytes of one image, `[3, 32, 32]`.
pub const PIXELS: usize = 3 * 32 * 32;

/// The records of one file, borrowed from its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
}

impl<'a> Records<'a> {
    /// Number of records.
    pub fn len(&self) -> usize {
        self.bytes.len() / RECORD
    }

    /// Never true of parsed bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Labels (0 to 9) with their images (`[3, 32, 32]`), in file order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        self.bytes.chunks_exact(RECORD).map(|r| (r[0], &r[1..]))
    }
}

/// Number of records in a file of `size` bytes.
///
/// # Errors
/// When `size` is zero or no multiple of [`RECORD`].
pub fn count(size: u64) -> Result<usize, FormatError> {
    let record = RECORD as u64;
    if size == 0 || !size.is_multiple_of(record) {
        return Err(FormatError::new(
            format!("record {}", size / record),
            format!("{size} bytes is not a whole number of {RECORD}-byte records"),
            AGAIN,
        ));
    }
    Ok((size / record) as usize)
}

/// Parses a whole file; nothing is copied.
///
/// # Errors
/// An empty file, a torn record, a label above 9.
pub fn parse(bytes: &[u8]) -> Result<Records<'_>, FormatError> {
    count(bytes.len() as u64)?;
    match bytes.chunks_exact(RECORD).position(|r| r[0] > 9) {
        Some(at) => Err(FormatError::new(
            format!("record {at}"),
            format!("label {}", bytes[at * RECORD]),
            "labels are 0 to 9: use CIFAR-10's binary version, not CIFAR-100's or the pickled one",
        )),
        None => Ok(Records { bytes }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_come_in_order() {
        let mut bytes = vec![3u8; RECORD];
        bytes.extend(vec![7u8; RECORD]);
        let records = parse(&bytes).unwrap();
        let labels: Vec<u8> = records.iter().map(|(l, _)| l).collect();
        assert_eq!((records.len(), labels), (2, vec![3, 7]));
        assert!(records.iter().all(|(l, image)| image.len() == PIXELS && image[0] == l));
    }

    #[test]
    fn faults_name_the_record() {
        let mut bytes = vec![3u8; 2 * RECORD];
        bytes[RECORD] = 17;
        assert_eq!(parse(&bytes).unwrap_err().place, "record 1");
        assert_eq!(parse(&bytes[..RECORD + 9]).unwrap_err().place, "record 1");
        assert!(parse(&[]).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(0u8..12, 0..2), times in 0usize..4000) {
            let all = bytes.repeat(times);
            if let Ok(records) = parse(&all) {
                prop_assert_eq!(records.iter().count() * RECORD, all.len());
            }
        }
    }
}
