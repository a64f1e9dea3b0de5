//! Everything that can be wrong with a suite, a spec or a parameter table, each as one line.

/// What is wrong, where, and how to mend it. `Display` is always a single line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpecError {
    /// A name that no registry entry, word list, suite or profile has.
    #[error("unknown {what} `{name}`{}; known: {}", hint(name, known), listed(known))]
    UnknownName {
        /// The kind of thing looked for, as a reader would say it: "attack", "source".
        what: String,
        /// The name as written.
        name: String,
        /// Every name that would have been accepted.
        known: Vec<String>,
    },
    /// A key that its table does not have.
    #[error("{place}: unknown key `{key}`{}; known: {}", hint(key, known), listed(known))]
    UnknownKey {
        /// The table, as a dotted path, or the entry whose parameters are meant.
        place: String,
        /// The key as written.
        key: String,
        /// Every key that would have been accepted.
        known: Vec<String>,
    },
    /// A value of the right type outside its range, or in contradiction with another.
    #[error("{path}: {problem}; {remedy}")]
    Value {
        /// Dotted path of the field, such as `training.lr`.
        path: String,
        /// What is wrong, with the value.
        problem: String,
        /// What to write instead.
        remedy: String,
    },
    /// A value of the wrong type or form.
    #[error("{path}: {message}")]
    Form {
        /// Dotted path of the field, or the entry whose parameter it is.
        path: String,
        /// What was found and what was expected.
        message: String,
    },
    /// Text that is not TOML.
    #[error("{file}:{line}:{column}: not valid TOML: {message}")]
    Syntax {
        /// File or suite name.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The parser's words, on one line.
        message: String,
    },
    /// Another error, with the line of the suite file that caused it.
    #[error("{file}:{line}: {error}")]
    At {
        /// File or suite name.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong there.
        error: Box<SpecError>,
    },
    /// A suite file that cannot be read.
    #[error("{path}: cannot read the suite file: {reason}; check the path and its permissions")]
    Read {
        /// The path as given.
        path: String,
        /// The operating system's words.
        reason: String,
    },
    /// Two cells that are the same experiment.
    #[error(
        "{first} and {second} are the same experiment (cell {id}); drop one, or let them differ \
         in a field"
    )]
    Duplicate {
        /// The id that both have.
        id: String,
        /// The earlier cell, in words.
        first: String,
        /// The later cell, in words.
        second: String,
    },
    /// A suite whose matrix multiplies beyond what a run can hold.
    #[error(
        "the matrix has {cells} cells, more than the {limit} allowed; split the suite or shorten \
         an axis"
    )]
    TooManyCells {
        /// The product of the axes, as words where it overflows.
        cells: String,
        /// The bound.
        limit: usize,
    },
    /// A suite in which every cell is excluded.
    #[error(
        "the suite has no cells: every combination is excluded; loosen an [[exclude]] or add an \
         [[include]]"
    )]
    NoCells,
}

impl SpecError {
    /// A value out of range: `path` is the dotted field, `remedy` says what to write instead.
    pub fn value(
        path: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        SpecError::Value { path: path.into(), problem: problem.into(), remedy: remedy.into() }
    }

    /// An unknown name among `known`.
    pub fn unknown_name<S: Into<String>>(
        what: impl Into<String>,
        name: impl Into<String>,
        known: impl IntoIterator<Item = S>,
    ) -> Self {
        SpecError::UnknownName {
            what: what.into(),
            name: name.into(),
            known: known.into_iter().map(Into::into).collect(),
        }
    }

    /// An unknown key of the table `place`, which has the keys `known`.
    pub fn unknown_key<S: Into<String>>(
        place: impl Into<String>,
        key: impl Into<String>,
        known: impl IntoIterator<Item = S>,
    ) -> Self {
        SpecError::UnknownKey {
            place: place.into(),
            key: key.into(),
            known: known.into_iter().map(Into::into).collect(),
        }
    }

    /// A value of the wrong type or form at `path`.
    pub fn form(path: impl Into<String>, message: impl Into<String>) -> Self {
        SpecError::Form { path: path.into(), message: message.into() }
    }

    /// The same error, with the place in a file that caused it.
    pub fn at(self, file: impl Into<String>, line: usize) -> Self {
        SpecError::At { file: file.into(), line, error: Box::new(self) }
    }

    /// The error itself, without the file and line around it.
    pub fn cause(&self) -> &SpecError {
        match self {
            SpecError::At { error, .. } => error.cause(),
            other => other,
        }
    }

    /// [`SpecError::cause`] by value.
    pub fn bare(self) -> SpecError {
        match self {
            SpecError::At { error, .. } => error.bare(),
            other => other,
        }
    }
}

/// The candidate that `name` was most likely meant to be, if any is close enough.
pub fn did_you_mean<'a, S: AsRef<str>>(name: &str, candidates: &'a [S]) -> Option<&'a str> {
    let plain = |s: &str| s.to_lowercase().replace('_', "-");
    let name = plain(name);
    let allowed = (name.chars().count() / 3).max(1);
    let close = |c: &str| {
        let distance = strsim::damerau_levenshtein(&name, &plain(c));
        let begins = name.len() >= 3 && plain(c).starts_with(&name);
        (distance <= allowed || begins).then_some(distance)
    };
    let scored = candidates.iter().map(AsRef::as_ref);
    scored
        .filter_map(|c| close(c).map(|d| (d, c)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

fn hint(name: &str, known: &[String]) -> String {
    did_you_mean(name, known).map_or(String::new(), |c| format!(" (did you mean `{c}`?)"))
}

fn listed(known: &[String]) -> String {
    match known {
        [] => "none".into(),
        names => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_near_names_only() {
        let known = ["dlg", "idlg", "fl-attack", "inverting-gradients"];
        assert_eq!(did_you_mean("fl_atack", &known), Some("fl-attack"));
        assert_eq!(did_you_mean("inverting", &known), Some("inverting-gradients"));
        assert_eq!(did_you_mean("DLG", &known), Some("dlg"));
        assert_eq!(did_you_mean("resnet", &known), None);
    }

    #[test]
    fn places_wrap_and_unwrap() {
        let error = SpecError::unknown_name("attack", "dgl", ["dlg"]).at("a.toml", 7);
        assert_eq!(
            error.to_string(),
            "a.toml:7: unknown attack `dgl` (did you mean `dlg`?); known: dlg"
        );
        assert!(matches!(error.cause(), SpecError::UnknownName { .. }));
    }
}
