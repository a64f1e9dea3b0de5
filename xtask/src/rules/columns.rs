//! No line of Rust is longer than 100 columns; rustfmt leaves comments and strings alone.

use crate::tree::File;

const MOST: usize = 100;

/// Lines of a Rust file that are too long.
pub fn check(file: &File) -> Vec<(usize, String)> {
    if file.extension() != "rs" {
        return Vec::new();
    }
    let columns = file.text.lines().map(|line| line.chars().count()).enumerate();
    let long = columns.filter(|(_, columns)| *columns > MOST);
    long.map(|(at, n)| (at + 1, format!("{n} columns; break the line at {MOST}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn characters_count_and_not_bytes() {
        let text = format!("//{}\n//{}\n", "é".repeat(98), "x".repeat(99));
        let found = check(&file("a.rs", &text));
        assert_eq!(found, [(2, "101 columns; break the line at 100".to_owned())]);
        assert!(check(&file("a.md", &text)).is_empty());
    }
}
