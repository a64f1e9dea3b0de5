//! The number of entries that a zip claims, checked before a reader of zips makes room for them.

use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};

/// Bytes of an entry in the directory, at least.
const ENTRY: u64 = 46;
/// The end of the directory in a zip of 64 bits, and where in it the number of entries stands.
const END64: &[u8] = b"PK\x06\x06";
const COUNT: usize = 32;
/// What points to it, its length, and the plain end that follows directly.
const LOCATOR: &[u8] = b"PK\x06\x07";
const LOCATOR_LENGTH: usize = 20;
const END: &[u8] = b"PK\x05\x06";
/// Locators in one file: an honest one has one, and a zip stored within it has another.
const MOST_LOCATORS: usize = 16;
/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// Checks that every directory end of 64 bits claims no more entries than the file has room for (a
/// plain end cannot claim more than 65,535). Afterwards `source` stands at its start.
///
/// # Errors
/// [`ErrorKind::InvalidData`] for a claim beyond the file; errors of reading.
pub fn check_zip(source: &mut (impl Read + Seek)) -> Result<()> {
    let size = source.seek(SeekFrom::End(0))?;
    let mut regions = Vec::new();
    let seen = LOCATOR_LENGTH + END.len();
    windows(source, 0, size, seen, |at, window| {
        if window.starts_with(LOCATOR) && window[LOCATOR_LENGTH..].starts_with(END) {
            regions.push((number(&window[8..16]), at));
        }
        if regions.len() > MOST_LOCATORS { Err(lying("more than one directory")) } else { Ok(()) }
    })?;
    for (from, to) in regions {
        windows(source, from.min(to), to, COUNT + 8, |_, window| {
            let count = number(&window[COUNT..COUNT + 8]);
            if window.starts_with(END64) && count.saturating_mul(ENTRY) > size {
                return Err(lying(&format!("{count} entries")));
            }
            Ok(())
        })?;
    }
    source.rewind()
}

fn lying(what: &str) -> Error {
    let message = format!("the zip's directory claims {what}, more than the file has room for");
    Error::new(ErrorKind::InvalidData, message)
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// Calls `look` with every place from `from` to `to` where `PK` stands, and `width` bytes there.
fn windows(
    source: &mut (impl Read + Seek),
    from: u64,
    to: u64,
    width: usize,
    mut look: impl FnMut(u64, &[u8]) -> Result<()>,
) -> Result<()> {
    source.seek(SeekFrom::Start(from))?;
    let mut rest = source.take((to - from).saturating_add(width as u64));
    let (mut bytes, mut start) = (Vec::new(), from);
    loop {
        let before = bytes.len();
        rest.by_ref().take(CHUNK as u64).read_to_end(&mut bytes)?;
        if bytes.len() < width || bytes.len() == before {
            return Ok(());
        }
        let last = bytes.len() - width;
        for at in (0..=last).filter(|&at| bytes[at..].starts_with(b"PK")) {
            look(start + at as u64, &bytes[at..at + width])?;
        }
        bytes.drain(..=last);
        start += last as u64 + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// `before` bytes, then the two ends and the locator of a zip that claims `count` entries.
    fn ends(before: usize, count: u64) -> Vec<u8> {
        let mut bytes = vec![b'P'; before];
        bytes.extend_from_slice(END64);
        bytes.extend([0; 28]);
        bytes.extend(count.to_le_bytes());
        bytes.extend([0; 16]);
        bytes.extend_from_slice(LOCATOR);
        bytes.extend([0; 4]);
        bytes.extend((before as u64).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend_from_slice(END);
        bytes.extend([0xff; 18]);
        bytes
    }

    #[test]
    fn a_directory_cannot_claim_more_entries_than_fit() {
        for before in [0, 100, CHUNK - 70, CHUNK - 20, CHUNK + 5, 2 * CHUNK] {
            let fits = (before as u64 + 98) / ENTRY;
            let mut honest = Cursor::new(ends(before, fits));
            check_zip(&mut honest).unwrap();
            assert_eq!(honest.position(), 0);
            let error = check_zip(&mut Cursor::new(ends(before, fits + 1))).unwrap_err();
            assert!(error.to_string().contains("entries"), "{before}: {error}");
        }
        check_zip(&mut Cursor::new(b"no zip".to_vec())).unwrap();
        check_zip(&mut Cursor::new(Vec::new())).unwrap();
    }

    #[test]
    fn many_locators_are_refused() {
        let many: Vec<u8> = (0..17).flat_map(|_| ends(0, 1)).collect();
        assert!(check_zip(&mut Cursor::new(many)).is_err());
    }
}
