//! Files of images in MXNet's RecordIO: their content ([`Catalog`]) and its extraction
//! ([`extract`]).

mod catalog;
mod extract;
mod manifest;
mod scan;

use std::path::{Path, PathBuf};

pub use catalog::{Catalog, Entry};
pub use extract::{Event, OnError, Report, extract};

use crate::DatasetError;
use crate::formats::FormatError;
use crate::formats::image_file::jpeg_ends;

/// A RecordIO file and those beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The records.
    pub rec: PathBuf,
    /// Keys and offsets; without it the records are read from the first to the last.
    pub idx: Option<PathBuf>,
    /// Keys, labels and paths; its labels win over those in the records, as in MXNet.
    pub lst: Option<PathBuf>,
    /// InsightFace's number of identities and size of images.
    pub property: Option<PathBuf>,
}

impl Sources {
    /// A `.rec` file with the `.idx`, `.lst` and `property` that lie beside it.
    pub fn beside(rec: &Path) -> Self {
        let there = |path: PathBuf| path.is_file().then_some(path);
        Self {
            rec: rec.to_path_buf(),
            idx: there(rec.with_extension("idx")),
            lst: there(rec.with_extension("lst")),
            property: there(rec.with_extension("property"))
                .or_else(|| there(rec.with_file_name("property"))),
        }
    }
}

/// A record that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its key, where that is known.
    pub key: Option<u64>,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub why: String,
}

impl Fault {
    fn new(key: Option<u64>, offset: u64, error: &FormatError) -> Self {
        let place = format!("byte {offset}");
        let why = if error.place == place || error.place.is_empty() {
            error.problem.clone()
        } else {
            format!("{}: {}", error.place, error.problem)
        };
        Self { key, offset, why }
    }

    /// As an error that ends what was to be done with `rec`.
    pub fn error(&self, rec: &Path, remedy: &str) -> DatasetError {
        DatasetError::Bad {
            file: rec.to_path_buf(),
            place: self.place(),
            problem: self.why.clone(),
            remedy: remedy.to_string(),
        }
    }

    fn place(&self) -> String {
        match self.key {
            Some(key) => format!("record {key} at byte {}", self.offset),
            None => format!("record at byte {}", self.offset),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place(), self.why)
    }
}

/// The usual ending of an image's file name, by its first bytes; `None` for kinds that cannot be
/// decoded.
fn ending(start: &[u8]) -> Option<&'static str> {
    const MAGICS: [(&[u8], &str); 6] = [
        (b"\xff\xd8\xff", "jpg"),
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"BM", "bmp"),
        (b"P6", "ppm"),
        (b"P5", "pgm"),
        (b"P4", "pbm"),
    ];
    MAGICS.iter().find(|(magic, _)| start.starts_with(magic)).map(|(_, ending)| *ending)
}

/// What is wrong with a record's image, as far as that shows without decoding it.
fn flaw(payload: &[u8]) -> Option<&'static str> {
    match ending(payload) {
        None if payload.starts_with(b"GIF8") => {
            Some("holds a GIF, which is not read (JPEG, PNG, BMP and PNM are)")
        }
        None if payload.starts_with(b"RIFF") && payload.get(8..12) == Some(b"WEBP") => {
            Some("holds a WebP image, which is not read (JPEG, PNG, BMP and PNM are)")
        }
        None => Some("holds no image (neither JPEG, PNG, BMP nor PNM)"),
        Some("jpg") if !jpeg_ends(payload) => Some("the JPEG ends before its last pixels"),
        Some("png") if !png_ends(payload) => Some("the PNG ends before its last chunk"),
        Some(_) => None,
    }
}

/// Whether the last bytes of an image of that kind alone show that it is not cut short.
fn ends(kind: &str, tail: &[u8]) -> bool {
    match kind {
        "jpg" => jpeg_ends(tail),
        "png" => png_ends(tail),
        _ => true,
    }
}

/// Whether the empty chunk is there that ends every PNG, with its checksum.
fn png_ends(bytes: &[u8]) -> bool {
    const LAST: &[u8] = b"\0\0\0\0IEND\xaeB`\x82";
    bytes.windows(LAST.len()).any(|w| w == LAST)
}
