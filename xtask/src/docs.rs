//! `cargo xtask docs`: the documents say what the code does.

use std::path::Path;

use crate::chores::TEST;
use crate::error::Error;
use crate::tree::{self, File};

/// Tests that read documents: crate and test.
const TESTS: [(&str, &str); 3] =
    [("attacks", "docs"), ("reports", "gallery"), ("reports", "export")];

/// Links first, which need no build; then the tests that hold documents to the code.
///
/// # Errors
/// A link that leads nowhere, or a test that fails.
pub fn check() -> Result<(), Error> {
    let broken: Vec<String> = tree::files()?.iter().flat_map(links).collect();
    broken.iter().for_each(|line| println!("{line}"));
    if !broken.is_empty() {
        return Err(Error::Findings(broken.len()));
    }
    for (package, test) in TESTS {
        tree::cargo(&[&TEST[..], &["--package", package, "--test", test]].concat(), &[])?;
    }
    Ok(())
}

/// Relative links of a Markdown file that lead nowhere, a line each.
fn links(file: &File) -> Vec<String> {
    if file.extension() != "md" {
        return Vec::new();
    }
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let lines = file.text.lines().enumerate();
    let targets = lines.flat_map(|(at, line)| {
        let after = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        after.map(move |target| (at + 1, target.split('#').next().unwrap_or(target)))
    });
    let local = |target: &str| !target.is_empty() && !target.contains(':');
    targets
        .filter(|(_, target)| local(target) && !tree::exists(&folder.join(target)))
        .map(|(at, target)| format!("{}:{at}: {target} is not there; mend the link", file.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let text = "[a](../README.md#start) [b](gone.md)\n[c](https://a.b/c) [d](#here)\n";
        let file = File { path: "docs/x.md".into(), text: text.into() };
        assert_eq!(links(&file), ["docs/x.md:1: gone.md is not there; mend the link"]);
    }
}
