//! Rules of the text that no other tool holds. One rule is one file; each takes a file of the
//! project and gives what it finds there.

mod columns;
mod files;
mod functions;
mod paths;
mod scan;
mod spelling;

use std::fmt;

use crate::tree::File;

/// A rule, by the name that `xtask/allowed.txt` uses.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Rule {
    /// A line of Rust longer than 100 columns.
    Columns,
    /// A file of Rust longer than 500 lines.
    Files,
    /// A function longer than 100 lines.
    Functions,
    /// A path that leads out of the project.
    Paths,
    /// `defense` where code says `defense`: identifiers, keys, file names.
    Spelling,
}

impl Rule {
    /// Every rule, in the order of the list.
    pub const ALL: [Rule; 5] =
        [Rule::Columns, Rule::Files, Rule::Functions, Rule::Paths, Rule::Spelling];

    /// The rule's name.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Columns => "columns",
            Rule::Files => "files",
            Rule::Functions => "functions",
            Rule::Paths => "paths",
            Rule::Spelling => "spelling",
        }
    }

    /// The rule called `name`.
    pub fn find(name: &str) -> Option<Rule> {
        Rule::ALL.into_iter().find(|rule| rule.name() == name)
    }

    fn check(self, file: &File) -> Vec<(usize, String)> {
        match self {
            Rule::Columns => columns::check(file),
            Rule::Files => files::check(file),
            Rule::Functions => functions::check(file),
            Rule::Paths => paths::check(file),
            Rule::Spelling => spelling::check(file),
        }
    }
}

/// One place where a rule is broken.
#[derive(Debug)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// The file, below the root.
    pub path: String,
    line: usize,
    text: String,
}

impl Finding {
    /// A finding in line `line`, counted from 1, with what is wrong and how to mend it.
    pub fn new(rule: Rule, path: &str, line: usize, text: String) -> Finding {
        Finding { rule, path: path.into(), line, text }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}: {} ({})", self.path, self.line, self.text, self.rule.name())
    }
}

/// Everything that all rules find in all files.
pub fn findings(files: &[File]) -> Vec<Finding> {
    let of = |rule: Rule, file: &File| {
        let found = rule.check(file).into_iter();
        found.map(|(line, text)| Finding::new(rule, &file.path, line, text)).collect::<Vec<_>>()
    };
    Rule::ALL.iter().flat_map(|rule| files.iter().flat_map(|file| of(*rule, file))).collect()
}

#[cfg(test)]
fn file(path: &str, text: &str) -> File {
    File { path: path.into(), text: text.into() }
}
