//! Parsers of foreign bytes. None of them panics, none reserves memory for a size that a header
//! merely claims, and what each holds is paid for from one [`suites::foreign::Budget`] a file.

use std::io::Read;
use std::path::Path;

use suites::foreign::{Exceeded, accident_in, printable};

use crate::DatasetError;

pub mod celeba_lists;
pub mod cifar_bin;
pub mod idx;
pub mod image_file;
pub mod npy;
pub mod npz;
pub mod recordio;
pub mod resize;
pub mod uci;

/// A fault within some bytes, before the file's name is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// Line, column, record or byte.
    pub place: String,
    /// What is wrong there.
    pub problem: String,
    /// How to mend it.
    pub remedy: String,
}

impl FormatError {
    /// A fault at `place`.
    pub fn new(
        place: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { place: place.into(), problem: problem.into(), remedy: remedy.into() }
    }

    /// A file that would cost more than its kind may.
    pub(crate) fn exceeded(place: impl Into<String>, exceeded: &Exceeded) -> Self {
        let remedy = "get the file again, or store it with less compression";
        Self::new(place, exceeded.to_string(), remedy)
    }

    /// Names the file. One that is something else altogether, such as a web page in place of a
    /// download, is called that: what a parser made of it says nothing.
    pub fn at(self, file: &Path) -> DatasetError {
        if let Some((what, remedy)) = accident_in(file) {
            return DatasetError::Bad {
                file: file.to_path_buf(),
                place: "the whole file".into(),
                problem: what.into(),
                remedy: remedy.into(),
            };
        }
        DatasetError::Bad {
            file: file.to_path_buf(),
            place: self.place,
            problem: self.problem,
            remedy: self.remedy,
        }
    }
}

/// What to do about a file that ends too early or holds something else.
pub(crate) const AGAIN: &str = "the copy is damaged or incomplete: get the file again";

/// deflate cannot expand by more than this factor, so a header that claims more is lying.
pub(crate) const MAX_INFLATION: u64 = 1032;

/// Reads exactly `declared` bytes, growing the buffer only as bytes arrive.
///
/// # Errors
/// When fewer come, or reading fails (for instance a damaged gzip stream).
pub(crate) fn read_declared(
    source: &mut impl Read,
    declared: u64,
    what: &str,
) -> Result<Vec<u8>, FormatError> {
    let mut data = Vec::new();
    source
        .take(declared)
        .read_to_end(&mut data)
        .map_err(|e| FormatError::new(what, one_line(&e.to_string()), AGAIN))?;
    if data.len() as u64 == declared {
        return Ok(data);
    }
    Err(FormatError::new(
        format!("{what}, byte {}", data.len()),
        format!("the file ends here, {declared} bytes are declared"),
        AGAIN,
    ))
}

/// Checks that nothing follows.
///
/// # Errors
/// When at least one more byte comes, or reading fails (a wrong gzip checksum shows here).
pub(crate) fn expect_end(source: &mut impl Read, what: &str) -> Result<(), FormatError> {
    let mut one = [0u8; 1];
    match source.read(&mut one) {
        Ok(0) => Ok(()),
        Ok(_) => Err(FormatError::new(what, "more bytes follow than the header declares", AGAIN)),
        Err(e) => Err(FormatError::new(what, one_line(&e.to_string()), AGAIN)),
    }
}

/// Foreign text made fit for a one-line message: no control characters, at most 80 characters.
pub(crate) fn one_line(text: &str) -> String {
    let start: String = text.chars().take(81).collect();
    let clean = printable(&start);
    match clean.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &clean[..end]),
        None => clean.into_owned(),
    }
}
