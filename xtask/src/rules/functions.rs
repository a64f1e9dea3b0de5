//! No function is longer than 100 lines, from its `fn` to its closing brace.
//!
//! The code is formatted, so the brace that closes a function stands where its `fn` line begins.

use crate::tree::File;

const MOST: usize = 100;

/// Functions of a Rust file that are too long.
pub fn check(file: &File) -> Vec<(usize, String)> {
    if file.extension() != "rs" {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let starts = (0..lines.len()).filter(|at| starts_function(lines[*at]));
    let long = starts.map(|at| (at, length(&lines[at..]))).filter(|(_, length)| *length > MOST);
    long.map(|(at, n)| (at + 1, format!("a function of {n} lines; split it at {MOST} or before")))
        .collect()
}

/// Whether a line begins a function, whatever stands before `fn`.
fn starts_function(line: &str) -> bool {
    const BEFORE: [&str; 7] = ["pub", "const", "async", "unsafe", "extern", "default", "\"C\""];
    let mut words = line.split_whitespace().skip_while(|word| {
        BEFORE.contains(word) || (word.starts_with("pub(") && word.ends_with(')'))
    });
    words.next() == Some("fn") && words.next().is_some()
}

/// Lines from the first of `lines` to the one that closes it; 1 for a body on the same line, or for
/// none.
fn length(lines: &[&str]) -> usize {
    let indent = indentation(lines[0]);
    let closes = |line: &str| {
        indentation(line) == indent && (line.trim_start() == "}" || line.ends_with(';'))
    };
    if lines[0].ends_with(['}', ';']) {
        return 1;
    }
    lines.iter().position(|line| closes(line)).map_or(lines.len(), |at| at + 1)
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn function(head: &str, body: usize, indent: &str) -> String {
        format!("{indent}{head} {{\n{}{indent}}}\n", format!("{indent}    x();\n").repeat(body))
    }

    #[test]
    fn a_hundred_lines_are_the_most() {
        for (head, indent) in
            [("fn a()", ""), ("pub(crate) const fn a()", "    "), ("pub unsafe fn a<'a>()", "")]
        {
            let (just, over) = (function(head, 98, indent), function(head, 99, indent));
            assert!(check(&file("a.rs", &just)).is_empty(), "{head}");
            let found = check(&file("a.rs", &format!("{just}{over}")));
            assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [101], "{head}");
        }
    }

    #[test]
    fn declarations_and_words_in_comments_are_no_functions() {
        let text = "    fn a(&self) -> usize;\n    fn b() {}\n// fn c() {\nlet f: fn() = d;\n"
            .to_owned()
            + &"x\n".repeat(200);
        assert!(check(&file("a.rs", &text)).is_empty());
    }
}
