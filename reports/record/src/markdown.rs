//! GitHub-flavoured Markdown tables.

use suites::foreign::printable;

/// A table under construction; rows are padded or cut to the header's width.
pub struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column titles.
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        Table { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The table as Markdown, or `otherwise` where it has no rows.
    pub fn render(&self, otherwise: &str) -> String {
        if self.rows.is_empty() {
            return format!("{otherwise}\n\n");
        }
        let mut out = line(&self.head, self.head.len());
        out.push_str(&line(&vec!["---".to_owned(); self.head.len()], self.head.len()));
        for row in &self.rows {
            out.push_str(&line(row, self.head.len()));
        }
        out.push('\n');
        out
    }
}

/// What stands where there is no value.
pub const NONE: &str = "–";

fn line(cells: &[String], width: usize) -> String {
    let empty = String::new();
    let cells = (0..width).map(|at| escape(cells.get(at).unwrap_or(&empty)));
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

/// Text that cannot end a cell or a line, nor become a tag.
pub fn escape(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    printable(&one_line).replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}

/// Four significant digits, in exponent form where that is shorter to read.
pub fn significant(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    if !(1e-3..1e6).contains(&size) {
        return format!("{value:.2e}");
    }
    let decimals = (3 - size.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A whole number with its thousands apart.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let start = digits.len() % 3;
    let mut groups: Vec<&str> = if start > 0 { vec![&digits[..start]] } else { Vec::new() };
    groups.extend((start..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    groups.join(",")
}

/// A count of things: "1 image", "3 images".
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// Bytes in decimal units.
pub fn bytes(value: u64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.iter().find(|(size, _)| value as f64 >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", value as f64 / size),
        None => format!("{value} B"),
    }
}

/// Row numbers in short: `1-3, 7`.
pub fn ranges(numbers: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &number in numbers {
        match parts.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => parts.push((number, number)),
        }
    }
    let show = |(a, b): &(usize, usize)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    parts.iter().map(show).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cannot_break_the_table() {
        let mut table = Table::new(["a", "b"]);
        table.row(["x|y\nz", "<b>"]);
        assert_eq!(table.render(""), "| a | b |\n| --- | --- |\n| x\\|y z | &lt;b> |\n\n");
    }

    #[test]
    fn numbers_are_short() {
        let shown: Vec<_> =
            [0.0, 0.1, 1234.5678, 1e-5, 12.0, 2.5e7].iter().map(|v| significant(*v)).collect();
        assert_eq!(shown, ["0", "0.1", "1235", "1.00e-5", "12", "2.50e7"]);
        assert_eq!(
            (count(1_234_567), count(12), count(123)),
            ("1,234,567".into(), "12".into(), "123".into())
        );
        assert_eq!((bytes(999), bytes(35_040_000)), ("999 B".into(), "35.0 MB".into()));
        assert_eq!(ranges(&[1, 2, 3, 7]), "1-3, 7");
    }
}
