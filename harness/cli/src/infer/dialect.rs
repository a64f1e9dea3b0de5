//! How a table of text separates its cells and writes its decimals, found in its first line.

/// What separates cells where commas do not.
const OTHERS: [(u8, &str); 3] = [(b';', "semicolons"), (b'\t', "tabs"), (b'|', "bars")];

/// How a file separates its cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dialect {
    /// Between two cells.
    pub delimiter: u8,
    /// Lines before the table: Excel's `sep=;`.
    pub before: usize,
}

impl Dialect {
    /// The dialect of a file of at least `cells` cells a row: that of Excel's first line, else the
    /// first of semicolon, tab and bar that parts its first line into as many, else the comma.
    pub fn of(bytes: &[u8], cells: usize) -> Dialect {
        let first = bytes.split(|&b| b == b'\n').find(|line| !line.trim_ascii().is_empty());
        let first = first.unwrap_or_default();
        let bare = first.strip_suffix(b"\r").unwrap_or(first);
        let bare = bare.strip_prefix(b"\"").and_then(|b| b.strip_suffix(b"\"")).unwrap_or(bare);
        if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter] = bare {
            return Dialect { delimiter: *delimiter, before: 1 };
        }
        let parts = |delimiter: u8| first.iter().filter(|&&b| b == delimiter).count() + 1;
        let alone = parts(b',') == 1;
        let found = OTHERS.iter().find(|(delimiter, _)| {
            let parts = parts(*delimiter);
            parts >= cells.max(2) || (alone && parts > 1)
        });
        Dialect { delimiter: found.map_or(b',', |(delimiter, _)| *delimiter), before: 0 }
    }

    /// A cell as a number; beside another separator a comma may stand before its decimals.
    pub fn number(self, cell: &str) -> Option<f64> {
        let plain = || cell.parse::<f64>().ok();
        let comma = || {
            let one = self.delimiter != b',' && cell.matches(',').count() == 1;
            (one && !cell.contains('.')).then(|| cell.replace(',', ".").parse::<f64>().ok())?
        };
        plain().or_else(comma).filter(|value| value.is_finite())
    }

    /// What stands before the decimals of a number, where it has any.
    pub fn mark(self, cell: &str) -> Option<char> {
        cell.chars().find(|c| *c == '.' || (*c == ',' && self.delimiter != b','))
    }

    /// What was assumed, where it is not the usual.
    pub fn note(self) -> Option<String> {
        let name = OTHERS.iter().find(|(delimiter, _)| *delimiter == self.delimiter)?.1;
        Some(format!("cells are parted by {name}, and decimals may follow a comma"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_tells() {
        for (text, delimiter) in [
            ("a,b,c\n1,2,3", b','),
            ("a;b;c\n1,5;2;3", b';'),
            ("1,5;2,5;3,5\n", b';'),
            ("a\tb\tc", b'\t'),
            ("a,\"b;c\",d", b','),
            ("", b','),
        ] {
            assert_eq!(Dialect::of(text.as_bytes(), 3), Dialect { delimiter, before: 0 }, "{text}");
        }
        assert_eq!(Dialect::of(b"sep=;\r\na;b", 3), Dialect { delimiter: b';', before: 1 });
    }

    #[test]
    fn decimals_follow_a_comma_only_beside_another_separator() {
        let semicolon = Dialect { delimiter: b';', before: 0 };
        let comma = Dialect { delimiter: b',', before: 0 };
        assert_eq!(semicolon.number("17,99"), Some(17.99));
        assert_eq!(semicolon.number("1.234,5"), None);
        assert_eq!((comma.number("17,99"), comma.number("17.99")), (None, Some(17.99)));
        assert_eq!(comma.number("inf"), None);
    }
}
