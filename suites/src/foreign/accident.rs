//! Files that hold something else than their name says, by a common accident.

use std::io::Read;
use std::path::Path;

/// Bytes that tell.
const START: u64 = 512;

/// What stands in place of a file where a download, a checkout or a copy went wrong, with what to
/// do; `None` where its first bytes show nothing of the kind.
pub fn accident(start: &[u8]) -> Option<(&'static str, &'static str)> {
    if start.is_empty() {
        return Some(("an empty file", "fetch or save it again"));
    }
    if start.starts_with(b"version https://git-lfs") {
        return Some(("a Git LFS pointer", "run `git lfs pull` to get the file itself"));
    }
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let begins =
        |tag: &str| text.get(..tag.len()).is_some_and(|t| t.eq_ignore_ascii_case(tag.as_bytes()));
    if ["<!doctype", "<html", "<head", "<?xml", "<!--"].iter().any(|tag| begins(tag)) {
        return Some(("a web page", "the download went wrong: get the file again"));
    }
    None
}

/// As [`accident`], of a file on disk; one that cannot be read shows nothing.
pub fn accident_in(path: &Path) -> Option<(&'static str, &'static str)> {
    // Only files: a pipe would wait for ever.
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let mut start = Vec::new();
    std::fs::File::open(path).ok()?.take(START).read_to_end(&mut start).ok()?;
    accident(&start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accidents_are_told_from_data() {
        let what = |bytes: &[u8]| accident(bytes).map_or("", |(what, _)| what);
        assert_eq!(what(b"\n<!DOCTYPE html><html>"), "a web page");
        assert_eq!(what(b"\xef\xbb\xbf<HTML>"), "a web page");
        assert_eq!(what(b"version https://git-lfs.github.com/spec/v1\n"), "a Git LFS pointer");
        assert_eq!(what(b""), "an empty file");
        for data in [&b"\x89PNG\r\n"[..], b"842302,M,17.99", b"<\x01\x02", b"<svg"] {
            assert_eq!(what(data), "", "{data:?}");
        }
    }
}
