//! No path leads out of the project, neither to somebody's home nor beside the checkout.

use std::path::{Component, Path, PathBuf};

use crate::tree::{self, File};

/// Folders that only one machine has.
const MACHINES: [&str; 7] = ["home", "root", "Users", "work", "mnt", "tmp", "opt"];

/// Paths of a file that name something outside the project.
pub fn check(file: &File) -> Vec<(usize, String)> {
    let skipped = matches!(file.extension(), "lock" | "json" | "jsonl" | "csv" | "svg");
    if skipped || file.path == file!() {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate();
    let words = lines.flat_map(|(at, line)| tokens(line).map(move |word| (at + 1, word)));
    words
        .filter(|(_, word)| of_a_machine(word) || leaves(&file.path, word))
        .map(|(at, word)| (at, format!("{word} is no path of the project; take it from a setting")))
        .collect()
}

/// What could be a path: characters of names, dots and slashes.
fn tokens(line: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| c.is_alphanumeric() || "._-/~".contains(c);
    line.split(move |c| !part(c)).filter(|word| word.contains('/'))
}

/// Whether a word is an absolute path below a folder of one machine.
fn of_a_machine(word: &str) -> bool {
    let mut parts = word.split('/');
    let absolute = parts.next() == Some("");
    absolute && parts.next().is_some_and(|p| MACHINES.contains(&p)) && parts.next().is_some()
}

/// Whether a word leads above the root from the folder of the file's crate, and meets nothing in
/// the project from the file's own folder, as `include_str!` would read it. Links of documents are
/// for `cargo xtask docs`.
fn leaves(file: &str, word: &str) -> bool {
    let last = word.rsplit("../").next().unwrap_or("");
    let named = word.starts_with("../") && last.starts_with(char::is_alphanumeric);
    if file.ends_with(".md") || !named {
        return false;
    }
    let own = Path::new(file).parent().unwrap_or(Path::new(""));
    let package = own.ancestors().find(|folder| tree::exists(&folder.join("Cargo.toml")));
    resolved(package.unwrap_or(own), word).is_none()
        && !resolved(own, word).is_some_and(|path| tree::exists(&path))
}

/// `word` seen from `folder`, without `..`; `None` where it leaves the project.
fn resolved(folder: &Path, word: &str) -> Option<PathBuf> {
    let mut path = folder.to_path_buf();
    for part in Path::new(word).components() {
        match part {
            Component::ParentDir => path.pop().then_some(())?,
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn found(path: &str, text: &str) -> Vec<usize> {
        check(&file(path, text)).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let text = "see /home/me/data\n/usr/bin/env\nhttps://a.b/home/x\n`/tmp/run`\na/tmp/b\n";
        assert_eq!(found("docs/a.md", text), [1, 4]);
    }

    #[test]
    fn paths_beside_the_checkout_are_found() {
        let text =
            "join(\"../../data/x\")\nsee ../README.md\n\"../../Cargo.toml\"\n../run/x\n../\n";
        assert_eq!(found("xtask/src/main.rs", text), [1]);
    }
}
