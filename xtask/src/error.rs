//! What can go wrong, in one line each.

use std::fmt;

/// Why a command did not end well.
#[derive(Debug)]
pub enum Error {
    /// No such command.
    Usage(String),
    /// A file could not be read or written.
    File(String, std::io::Error),
    /// A program could not be started.
    Start(String, std::io::Error),
    /// A program ran and failed.
    Failed(String),
    /// Rules are broken: the number of findings, which are already printed.
    Findings(usize),
    /// `xtask/allowed.txt` cannot be used as it is.
    Allowed(String),
}

impl Error {
    /// The exit code of the process.
    pub fn code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::Usage(given) => {
                write!(f, "unknown command `{given}`; `cargo xtask help` lists the commands")
            }
            Error::File(path, why) => write!(f, "{path}: {why}; mend or restore the file"),
            Error::Start(line, why) => {
                write!(f, "`{line}` does not start: {why}; install {}", first_word(line))
            }
            Error::Failed(line) => write!(f, "`{line}` failed; its own words are above"),
            Error::Findings(1) => write!(f, "1 finding; mend it"),
            Error::Findings(count) => write!(f, "{count} findings; mend them"),
            Error::Allowed(why) => write!(f, "xtask/allowed.txt: {why}"),
        }
    }
}

fn first_word(line: &str) -> &str {
    line.split(' ').next().unwrap_or(line)
}
