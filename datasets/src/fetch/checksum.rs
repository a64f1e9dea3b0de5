//! Published checksums.

use std::io::Read;
use std::path::Path;

use md5::Md5;
use sha2::{Digest, Sha256};
use suites::foreign::{self, limits};

/// A checksum as its publisher gives it, in lower-case hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// All 32 digits of the MD5 sum.
    Md5(&'static str),
    /// All 64 digits of the SHA-256 sum.
    Sha256(&'static str),
}

impl Checksum {
    /// What a file must be described by, for messages.
    pub(super) fn describe(self) -> String {
        match self {
            Checksum::Md5(sum) => format!("md5 {sum}"),
            Checksum::Sha256(sum) => format!("sha256 {sum}"),
        }
    }

    /// `None` where the file matches, else its own sum.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn mismatch(self, path: &Path) -> std::io::Result<Option<String>> {
        let (found, wanted, kind) = match self {
            Checksum::Md5(sum) => (digest::<Md5>(path)?, sum, "md5"),
            Checksum::Sha256(sum) => (digest::<Sha256>(path)?, sum, "sha256"),
        };
        Ok((found != wanted).then(|| format!("{kind} {found}")))
    }
}

fn digest<D: Digest>(path: &Path) -> std::io::Result<String> {
    let (mut file, _) = foreign::open(path, &limits::ARRAYS)?;
    let mut hasher = D::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sums_match_and_others_are_reported() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        let sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Checksum::Md5(md5).mismatch(&path).unwrap(), None);
        assert_eq!(Checksum::Sha256(sha).mismatch(&path).unwrap(), None);
        let prefix = Checksum::Sha256(&sha[..8]).mismatch(&path).unwrap();
        assert!(prefix.is_some(), "the first digits alone are no checksum");
        assert_eq!(Checksum::Sha256("00").mismatch(&path).unwrap(), Some(format!("sha256 {sha}")));
    }
}
