//! The allow-list: what the tree still breaks, as a count for each rule and file. It only shrinks.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::rules::{Finding, Rule};
use crate::tree;

/// Where the list lies, below the root.
pub const FILE: &str = "xtask/allowed.txt";

const HEAD: &str = "\
# What the rules of `cargo xtask check` still find: rule, number of findings, file.
# The list only shrinks: the sum of a rule never grows from one commit to the next, and a number
# that is too large fails as well. `cargo xtask check --shrink` writes the list anew after findings
# are mended or files move.
";

/// Findings that are let pass, counted by rule and file.
#[derive(Debug, Default, PartialEq)]
pub struct Allowed(BTreeMap<(Rule, String), usize>);

impl Allowed {
    /// The list of the working tree; `None` where there is none.
    ///
    /// # Errors
    /// As [`Allowed::parse`].
    pub fn read() -> Result<Option<Allowed>, Error> {
        let text = std::fs::read_to_string(tree::root().join(FILE)).ok();
        text.map(|text| Allowed::parse(&text)).transpose()
    }

    /// The list as a commit holds it; `None` where there is no such commit, or no list in it.
    ///
    /// # Errors
    /// As [`Allowed::parse`].
    pub fn committed(commit: &str) -> Result<Option<Allowed>, Error> {
        let text = tree::output("git", &["show", &format!("{commit}:{FILE}")]).ok();
        text.map(|text| Allowed::parse(&text)).transpose()
    }

    /// Reads lines of rule, number and path; `#` begins a comment.
    ///
    /// # Errors
    /// [`Error::Allowed`] with the line that has another form.
    pub fn parse(text: &str) -> Result<Allowed, Error> {
        let lines = text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#'));
        lines.map(entry).collect::<Result<_, _>>().map(Allowed)
    }

    /// Counts findings.
    pub fn from_findings(findings: &[Finding]) -> Allowed {
        let mut counts = BTreeMap::new();
        for finding in findings {
            *counts.entry((finding.rule, finding.path.clone())).or_insert(0) += 1;
        }
        Allowed(counts)
    }

    /// Writes the list to its place.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&self) -> Result<(), Error> {
        let line = |((rule, path), count): (&(Rule, String), &usize)| {
            format!("{} {count} {path}\n", rule.name())
        };
        let text = HEAD.to_owned() + &self.0.iter().map(line).collect::<String>();
        std::fs::write(tree::root().join(FILE), text).map_err(|e| Error::File(FILE.into(), e))
    }

    /// Refuses a list in which a rule allows more, over all files, than it did in `before`.
    ///
    /// # Errors
    /// [`Error::Allowed`] with the first such rule.
    pub fn no_larger_than(&self, before: &Allowed) -> Result<(), Error> {
        for rule in Rule::ALL {
            let (was, is) = (before.sum(rule), self.sum(rule));
            if is > was {
                let name = rule.name();
                return Err(Error::Allowed(format!(
                    "{name} grew from {was} to {is}; mend what is new, the list only shrinks"
                )));
            }
        }
        Ok(())
    }

    fn sum(&self, rule: Rule) -> usize {
        self.0.iter().filter(|((r, _), _)| *r == rule).map(|(_, count)| count).sum()
    }

    /// What must be mended, a line each: every finding of a file that has more than its number, and
    /// every number that is larger than what is found.
    pub fn compare(&self, findings: &[Finding]) -> Vec<String> {
        let found = Allowed::from_findings(findings);
        let count = |of: &Allowed, key: &(Rule, String)| of.0.get(key).copied().unwrap_or(0);
        let too_many = |finding: &&Finding| {
            let key = (finding.rule, finding.path.clone());
            count(&found, &key) > count(self, &key)
        };
        let stale = |key: &&(Rule, String)| count(&found, key) < count(self, key);
        let mended = |key: &(Rule, String)| {
            let (allowed, found) = (count(self, key), count(&found, key));
            let (rule, path) = (key.0.name(), &key.1);
            format!("{FILE}: {rule} {allowed} {path}, found {found}; cargo xtask check --shrink")
        };
        let mut lines: Vec<String> =
            findings.iter().filter(too_many).map(Finding::to_string).collect();
        lines.extend(self.0.keys().filter(stale).map(mended));
        lines
    }
}

/// One line of the list.
fn entry(line: &str) -> Result<((Rule, String), usize), Error> {
    let wrong = || Error::Allowed(format!("`{line}` is not `RULE NUMBER FILE`; correct the line"));
    let mut parts = line.splitn(3, ' ');
    let rule = parts.next().and_then(Rule::find).ok_or_else(wrong)?;
    let count = parts.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0).ok_or_else(wrong)?;
    let path = parts.next().ok_or_else(wrong)?;
    Ok(((rule, path.to_owned()), count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(path: &str) -> Finding {
        Finding::new(Rule::Columns, path, 1, "long".into())
    }

    fn list(text: &str) -> Allowed {
        Allowed::parse(text).unwrap()
    }

    #[test]
    fn the_list_only_shrinks() {
        let before = list("columns 2 a.rs\nfiles 1 a.rs\n");
        assert!(list("columns 1 a.rs\n").no_larger_than(&before).is_ok());
        assert!(list("columns 2 moved/a.rs\nfiles 1 b.rs\n").no_larger_than(&before).is_ok());
        let grown = list("columns 2 a.rs\ncolumns 1 b.rs\n").no_larger_than(&before);
        assert!(grown.unwrap_err().to_string().contains("columns grew from 2 to 3"));
        let new = list("paths 1 a.rs\n").no_larger_than(&before);
        assert!(new.unwrap_err().to_string().contains("paths grew from 0 to 1"));
    }

    #[test]
    fn an_empty_list_stays_empty() {
        assert!(list("columns 1 a.rs\n").no_larger_than(&list("# none\n")).is_err());
    }

    #[test]
    fn a_list_is_neither_too_small_nor_too_large() {
        let allowed = list("# two\ncolumns 1 a.rs\n\ncolumns 1 b.rs\n");
        assert!(allowed.compare(&[finding("a.rs"), finding("b.rs")]).is_empty());
        let more = allowed.compare(&[finding("a.rs"), finding("a.rs"), finding("b.rs")]);
        assert_eq!(more.len(), 2);
        assert!(more[0].starts_with("a.rs:1: "), "{more:?}");
        let fewer = allowed.compare(&[finding("a.rs")]);
        assert_eq!(fewer.len(), 1);
        assert!(fewer[0].contains("columns 1 b.rs, found 0"), "{fewer:?}");
        assert_eq!(allowed.compare(&[finding("a.rs"), finding("b.rs"), finding("c.rs")]).len(), 1);
    }

    #[test]
    fn lines_of_another_form_are_refused() {
        for bad in ["columns 1", "columns x a.rs", "columns 0 a.rs", "colums 1 a.rs", "columns"] {
            let error = Allowed::parse(bad).unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains("RULE NUMBER FILE"), "{error}");
        }
    }
}
