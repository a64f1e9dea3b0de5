//! MXNet's RecordIO: a run of records, each of one or several parts, and the text files beside it.
//!
//! A part is the magic number, a word of three bits of flag (whole, begin, middle, end) and 29 bits
//! of length, then the bytes, padded to a multiple of four (dmlc-core, `recordio.h`). Where a
//! record's own bytes hold the magic number at a multiple of four, the writer leaves it out and
//! begins a new part; the reader puts it back. So the magic number at a multiple of four always
//! begins a part.

mod header;
mod text;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;

pub use header::{Header, unpack};
pub use text::{ListRow, Property, parse_index, parse_list, parse_property};

use super::{AGAIN, FormatError, one_line};

/// What every part begins with, little-endian.
pub const MAGIC: u32 = 0xced7_230a;
/// Bytes of a part before its data: magic, flag and length.
const HEAD: u64 = 8;
/// Bytes looked at to find a record's header and its image's kind, where it has no vector of
/// labels.
const GLANCE: u64 = 64;

/// Bytes that can be read at any place by several threads at once.
pub trait ReadAt: Sync {
    /// Number of bytes there are.
    ///
    /// # Errors
    /// When the system cannot tell.
    fn size(&self) -> io::Result<u64>;

    /// Fills `out` from byte `at` on as far as there are bytes, and returns how many there were.
    ///
    /// # Errors
    /// When they cannot be read.
    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<usize>;
}

impl ReadAt for File {
    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|m| m.len())
    }

    #[cfg(unix)]
    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, out, at)
    }

    #[cfg(windows)]
    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<usize> {
        std::os::windows::fs::FileExt::seek_read(self, out, at)
    }
}

impl ReadAt for Vec<u8> {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, out: &mut [u8], at: u64) -> io::Result<usize> {
        let rest = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let count = rest.len().min(out.len());
        out[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// A RecordIO file.
pub struct Records<S> {
    source: S,
    size: u64,
}

/// One record, its parts joined.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Flag, labels and number.
    pub header: Header,
    /// What the record holds beside its header: an image's file, or nothing.
    pub payload: Vec<u8>,
    /// Where the next record begins.
    pub end: u64,
}

/// What a glance at a record's first bytes tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Glance {
    /// Flag, labels and number.
    pub header: Header,
    /// The payload's first bytes: twelve at least, where it has as many.
    pub start: Vec<u8>,
    /// The payload's last bytes, as many.
    pub tail: Vec<u8>,
    /// Length of the payload in bytes.
    pub length: u64,
    /// Where the next record begins.
    pub end: u64,
}

/// Which of a record's parts this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    Whole,
    Begin,
    Middle,
    End,
}

/// A part's flag and the length of its data.
struct Part {
    flag: Flag,
    length: u64,
}

impl<S: ReadAt> Records<S> {
    /// Takes a file's bytes; reads none of them.
    ///
    /// # Errors
    /// When its size cannot be told.
    pub fn new(source: S) -> io::Result<Self> {
        let size = source.size()?;
        Ok(Self { source, size })
    }

    /// Size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The record that begins at byte `at`.
    ///
    /// # Errors
    /// No magic number there, parts out of order, a length beyond the file's end, a header cut
    /// short, or bytes that cannot be read.
    pub fn read(&self, at: u64) -> Result<Record, FormatError> {
        let (mut bytes, end) = self.joined(at)?;
        let (header, used) = unpack(&bytes).map_err(|e| placed(e, at))?;
        bytes.drain(..used);
        Ok(Record { header, payload: bytes, end })
    }

    /// Header, length and both ends of the record that begins at byte `at`, mostly without reading
    /// all of it.
    ///
    /// # Errors
    /// As [`Records::read`].
    pub fn glance(&self, at: u64) -> Result<Glance, FormatError> {
        let part = self.part(at)?;
        if part.flag == Flag::Whole {
            let mut bytes = Vec::new();
            self.append(at + HEAD, part.length.min(GLANCE), &mut bytes)?;
            let labels = header::labels_in(&bytes);
            let wanted = part.length.min(u64::from(labels) * 4 + GLANCE);
            if labels > 0 && wanted > GLANCE {
                bytes.clear();
                self.append(at + HEAD, wanted, &mut bytes)?;
            }
            let (header, used) = unpack(&bytes).map_err(|e| placed(e, at))?;
            let (start, length) = (bytes.split_off(used), part.length - used as u64);
            let last = length.min(GLANCE);
            let mut tail = Vec::new();
            self.append(at + HEAD + part.length - last, last, &mut tail)?;
            return Ok(Glance { header, start, tail, length, end: self.after(at, part.length) });
        }
        let mut whole = self.read(at)?;
        let length = whole.payload.len() as u64;
        let tail = whole.payload[whole.payload.len().saturating_sub(GLANCE as usize)..].to_vec();
        whole.payload.truncate(GLANCE as usize);
        Ok(Glance { header: whole.header, start: whole.payload, tail, length, end: whole.end })
    }

    /// The first place after byte `at` where a record can begin: the magic number at a multiple of
    /// four, with a sensible flag and length.
    pub fn next_after(&self, at: u64) -> Option<u64> {
        const BLOCK: usize = 1 << 16;
        if at >= self.size {
            return None;
        }
        let mut from = (at / 4 + 1) * 4;
        let mut block = vec![0; BLOCK];
        while from + HEAD <= self.size {
            let count = self.source.read_at(&mut block, from).ok()? / 4 * 4;
            let found = block[..count].chunks_exact(4).enumerate().find(|(i, word)| {
                **word == MAGIC.to_le_bytes()
                    && self
                        .part(from + 4 * *i as u64)
                        .is_ok_and(|p| matches!(p.flag, Flag::Whole | Flag::Begin))
            });
            match found {
                Some((i, _)) => return Some(from + 4 * i as u64),
                None if count == 0 => return None,
                None => from += count as u64,
            }
        }
        None
    }

    /// All parts of a record with the magic number between them, and where the next record begins.
    fn joined(&self, at: u64) -> Result<(Vec<u8>, u64), FormatError> {
        let (mut bytes, mut place) = (Vec::new(), at);
        loop {
            let part = self.part(place)?;
            let first = place == at;
            if first != matches!(part.flag, Flag::Whole | Flag::Begin) {
                let problem = if first {
                    "a record's later part where one begins"
                } else {
                    "a new record where a later part of this one is due"
                };
                return Err(fault(place, problem));
            }
            if !first {
                bytes.extend(MAGIC.to_le_bytes());
            }
            self.append(place + HEAD, part.length, &mut bytes)?;
            place = self.after(place, part.length);
            if matches!(part.flag, Flag::Whole | Flag::End) {
                return Ok((bytes, place));
            }
        }
    }

    /// The part at byte `at`, whose data end within the file.
    fn part(&self, at: u64) -> Result<Part, FormatError> {
        let mut head = Vec::new();
        if at.saturating_add(HEAD) > self.size {
            return Err(fault(at, "the file ends where a record is due"));
        }
        self.append(at, HEAD, &mut head)?;
        let word = |i: usize| u32::from_le_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
        if word(0) != MAGIC {
            return Err(fault(
                at,
                &format!("0x{:08x} where a record's magic number is due", word(0)),
            ));
        }
        let length = u64::from(word(4) & 0x1fff_ffff);
        let flag = match word(4) >> 29 {
            0 => Flag::Whole,
            1 => Flag::Begin,
            2 => Flag::Middle,
            3 => Flag::End,
            other => return Err(fault(at, &format!("unknown part flag {other}"))),
        };
        let follow = self.size - at - HEAD;
        if length > follow {
            return Err(fault(at, &format!("{length} bytes are declared, {follow} follow")));
        }
        Ok(Part { flag, length })
    }

    /// Where the part after one at `at` begins; the last one's padding may be missing.
    fn after(&self, at: u64, length: u64) -> u64 {
        (at + HEAD + length.next_multiple_of(4)).min(self.size)
    }

    /// Reads `length` bytes, which lie within the file's size, behind those already there.
    fn append(&self, at: u64, length: u64, bytes: &mut Vec<u8>) -> Result<(), FormatError> {
        let start = bytes.len();
        bytes.resize(start + length as usize, 0);
        let mut filled = start;
        while filled < bytes.len() {
            match self.source.read_at(&mut bytes[filled..], at + (filled - start) as u64) {
                Ok(0) => return Err(fault(at, "the file has become shorter")),
                Ok(count) => filled += count,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(fault(at, &one_line(&e.to_string()))),
            }
        }
        Ok(())
    }
}

fn fault(at: u64, problem: &str) -> FormatError {
    FormatError::new(format!("byte {at}"), problem, AGAIN)
}

fn placed(mut error: FormatError, at: u64) -> FormatError {
    error.place = format!("byte {at}");
    error
}
