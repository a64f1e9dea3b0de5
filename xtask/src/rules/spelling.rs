//! Code says `defense`: identifiers, keys and file names. Sentences may say `defence`, and so does
//! the one file that reads the keys of schema 1.

use super::scan::{Piece, pieces};
use crate::tree::File;

const BRITISH: &str = "defence";
const OLD_KEYS: &str = "suites/src/old.rs";

/// The file's name, and the words of its code, that are spelled the British way.
pub fn check(file: &File) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    if british(&file.path) {
        found.push((1, format!("{} in the file's name; write defense", file.path)));
    }
    let words = match file.extension() {
        _ if file.path == file!() || file.path == OLD_KEYS => Vec::new(),
        "rs" => rust(&file.text),
        "toml" => toml(&file.text),
        _ => Vec::new(),
    };
    found.extend(words.into_iter().map(|(line, word)| (line, format!("{word}; write defense"))));
    found
}

fn british(text: &str) -> bool {
    text.to_ascii_lowercase().contains(BRITISH)
}

/// Identifiers and keys of a Rust file.
fn rust(text: &str) -> Vec<(usize, &str)> {
    let found = |(line, piece)| match piece {
        Piece::Code(code) => words(line, code, |_| true),
        Piece::Text(text) => words(line, text, |word| is_key(word, text)),
    };
    pieces(text).into_iter().flat_map(found).collect()
}

/// Keys of a TOML file, and values that are names.
fn toml(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.split("# ").next().unwrap_or(line);
        for (index, part) in line.split('"').enumerate() {
            let quoted = index % 2 == 1;
            found.extend(words(at + 1, part, |word| !quoted || is_key(word, part)));
        }
    }
    found
}

/// Words of `text` spelled the British way for which `counts` holds, with their lines.
fn words(first: usize, text: &str, counts: impl Fn(&str) -> bool) -> Vec<(usize, &str)> {
    let part = |c: char| c.is_alphanumeric() || "_-./".contains(c);
    let lines = text.split('\n').enumerate();
    lines
        .flat_map(|(at, line)| line.split(move |c| !part(c)).map(move |word| (first + at, word)))
        .map(|(line, word)| (line, word.trim_matches(['.', '-', '/'])))
        .filter(|(_, word)| british(word) && counts(word))
        .collect()
}

/// Whether a word in a string is a key, a file or a whole value, and not part of a sentence.
fn is_key(word: &str, text: &str) -> bool {
    word == text || word.contains(['_', '-', '.', '/'])
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let short = |(line, said): (usize, String)| {
            format!("{line} {}", said.split([';', ' ']).next().unwrap())
        };
        check(&file(path, text)).into_iter().map(short).collect()
    }

    #[test]
    fn names_and_keys_are_found_in_rust() {
        let text = "// a defence\nfn a_defence() {\n    b(\"no defence here\", \"defence\");\n\
            c(\"see\n defence.epsilon, or\");\n    Defences::new(\"a.defence\")\n}\n";
        let want = ["2 a_defence", "3 defence", "5 defence.epsilon", "6 Defences", "6 a.defence"];
        assert_eq!(found("a.rs", text), want);
    }

    #[test]
    fn keys_are_found_in_toml() {
        let text = "# defence\ndefence = 1\nx = \"a good defence\"\ny = [\"defence.epsilon\"]\n";
        assert_eq!(found("a.toml", text), ["2 defence", "4 defence.epsilon"]);
    }

    #[test]
    fn names_of_files_are_read() {
        assert_eq!(found("docs/defences.md", "a defence"), ["1 docs/defences.md"]);
        assert!(found("docs/defenses.md", "a defence").is_empty());
    }
}
