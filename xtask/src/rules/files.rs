//! No file of Rust is longer than 500 lines.

use crate::tree::File;

const MOST: usize = 500;

/// The file itself, where it is too long.
pub fn check(file: &File) -> Vec<(usize, String)> {
    let lines = file.text.lines().count();
    if file.extension() != "rs" || lines <= MOST {
        return Vec::new();
    }
    vec![(1, format!("{lines} lines; split the file at {MOST} or before"))]
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn five_hundred_lines_are_the_most() {
        assert!(check(&file("a.rs", &"\n".repeat(500))).is_empty());
        assert_eq!(check(&file("a.rs", &"\n".repeat(501))).len(), 1);
        assert!(check(&file("a.json", &"\n".repeat(501))).is_empty());
    }
}
