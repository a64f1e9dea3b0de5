//! Text from elsewhere on its way to a screen, a page, a table or the name of a folder.

use std::borrow::Cow;

/// Longest name of a folder, in bytes.
const LONGEST: usize = 100;

/// Foreign text as one line that changes nothing but what it says: line ends and tabs become
/// spaces; other control characters, terminal escapes and marks that turn the direction of text
/// are written out, such as `\u{1b}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    cleaned(text, false)
}

/// As [`printable`], though line ends stay.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    cleaned(text, true)
}

fn cleaned(text: &str, lines: bool) -> Cow<'_, str> {
    let stays = |c: char| !(c.is_control() || turns(c)) || (lines && c == '\n');
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if stays(c) => out.push(c),
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => out.push(' '),
            c => out.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(out)
}

/// Marks that hide text or turn its direction, and separators of lines.
fn turns(c: char) -> bool {
    matches!(
        c,
        '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// Whether a name can be that of a folder and of nothing else: kebab-case, that is ASCII letters
/// and digits with single `-`, `_` or `.` between them, at most 100.
pub fn folder_name(name: &str) -> bool {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric());
    name.len() <= LONGEST && name.split(['-', '_', '.']).all(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_and_turned_text_are_written_out() {
        assert_eq!(printable("plain ü 例"), "plain ü 例");
        assert!(matches!(printable("plain"), Cow::Borrowed(_)));
        assert_eq!(printable("a\x1b[31mred\x07"), "a\\u{1b}[31mred\\u{7}");
        assert_eq!(printable("one\ntwo\tthree\r"), "one two three ");
        assert_eq!(printable("gnp.\u{202e}exe \u{9b}2J"), "gnp.\\u{202e}exe \\u{9b}2J");
        assert_eq!(printable_lines("one\ntwo\x1b"), "one\ntwo\\u{1b}");
    }

    #[test]
    fn names_of_folders_lead_nowhere_else() {
        for good in ["showcase", "dp-grid", "a", "cifar10_v2", "v1.2"] {
            assert!(folder_name(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            &["..", "escaped"].join("/"),
            "/etc",
            "a/b",
            "a\\b",
            "-a",
            "a--b",
            ".hid",
            "a b",
            "a\n",
            "a\0",
            "c:",
            "é",
        ] {
            assert!(!folder_name(bad), "{bad}");
        }
        assert!(!folder_name(&"a".repeat(101)));
    }

    proptest! {
        #[test]
        fn nothing_printable_controls(text in any::<String>()) {
            let shown = printable(&text);
            prop_assert!(!shown.chars().any(|c| c.is_control() || turns(c)));
            prop_assert_eq!(printable(&shown), shown.clone());
        }
    }
}
