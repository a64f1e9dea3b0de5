//! `cargo xtask check`: what every change must pass before its tests.

use crate::allowed::Allowed;
use crate::error::Error;
use crate::{rules, tree};

/// Formatting, rules of the text, lints.
///
/// # Errors
/// The first step that fails; findings are printed.
pub fn check() -> Result<(), Error> {
    fast()?;
    let clippy = ["clippy", "--release", "--locked", "--workspace", "--all-targets", "--quiet"];
    tree::cargo(&[&clippy[..], &["--", "-D", "warnings"]].concat(), &[])
}

/// Formatting, the lock files and the rules of the text.
///
/// # Errors
/// As [`check`].
pub fn fast() -> Result<(), Error> {
    tree::cargo(&["fmt", "--all", "--check"], &[])?;
    locks()?;
    let allowed = Allowed::read()?.unwrap_or_default();
    only_shrinks(&allowed)?;
    let wrong = allowed.compare(&rules::findings(&tree::files()?));
    wrong.iter().for_each(|line| println!("{line}"));
    match wrong.len() {
        0 => Ok(()),
        count => Err(Error::Findings(count)),
    }
}

/// The crates outside the workspace whose own `Cargo.lock` must follow a new dependency of ours.
const OUTSIDE: [&str; 1] = ["examples/own-attack-and-model/Cargo.toml"];

/// Every `Cargo.lock` says what its `Cargo.toml` and ours ask for; mend one with
/// `cargo update --workspace --manifest-path FILE`.
fn locks() -> Result<(), Error> {
    OUTSIDE.iter().try_for_each(|manifest| {
        tree::cargo(
            &["update", "--workspace", "--locked", "--quiet", "--manifest-path", manifest],
            &[],
        )
    })
}

/// Writes the allow-list anew from what is found, where no rule finds more than it allowed.
///
/// # Errors
/// [`Error::Allowed`] where a rule finds more than before; [`check`] lists what is new.
pub fn shrink() -> Result<(), Error> {
    let found = Allowed::from_findings(&rules::findings(&tree::files()?));
    if let Some(before) = Allowed::read()? {
        found.no_larger_than(&before)?;
    }
    only_shrinks(&found)?;
    found.write()
}

/// Holds a list against those of the last commit and the one before it: a checkout of one commit
/// has only the first.
fn only_shrinks(list: &Allowed) -> Result<(), Error> {
    for commit in ["HEAD", "HEAD^"] {
        if let Some(before) = Allowed::committed(commit)? {
            list.no_larger_than(&before)?;
        }
    }
    Ok(())
}
