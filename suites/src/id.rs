//! Identity of a cell.

use std::fmt;
use std::str::FromStr;

use crate::SpecError;
use crate::string_enum::text_form;

/// Identity of a cell: 16 hexadecimal digits of the BLAKE3 hash of its canonical JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CellId(String);
text_form!(CellId);

impl CellId {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn from_canonical(canonical: &str) -> Self {
        CellId(crate::canonical::digest(canonical))
    }
}

impl AsRef<str> for CellId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CellId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for CellId {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 16 && text.bytes().all(hex) {
            return Ok(CellId(text.into()));
        }
        let problem = format!("`{text}` is not a cell id");
        let remedy = "a cell id is 16 digits of 0-9 and a-f";
        Err(SpecError::value("id", problem, remedy))
    }
}
