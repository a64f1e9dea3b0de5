//! The one error type of this crate. Every message is a single line: what is wrong, where, and how
//! to mend it.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// What can go wrong between a data set's name and a batch of examples.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// A name (data set, attribute, ...) that is not among those known; `hint` holds the nearest or
    /// the whole list.
    #[error("unknown {what} `{name}`; {hint}")]
    Unknown {
        /// What kind of thing was named, for instance `data set`.
        what: &'static str,
        /// The name as given.
        name: String,
        /// The nearest known name, or how to list them.
        hint: String,
    },
    /// The files of a data set are not where they were looked for.
    #[error("{what} not found in {looked}; {remedy}")]
    Missing {
        /// What is missing.
        what: String,
        /// Where it was looked for.
        looked: String,
        /// How to get it, or where to put it.
        remedy: String,
    },
    /// A file that could not be opened, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file whose content is not what its format promises.
    #[error("{}: {place}: {problem}; {remedy}", file.display())]
    Bad {
        /// The file.
        file: PathBuf,
        /// Line, column, record or byte within it.
        place: String,
        /// What is wrong there.
        problem: String,
        /// How to mend it.
        remedy: String,
    },
    /// A request that the data set cannot serve (size, label, limit, split, example id).
    #[error("{dataset}: {problem}; {remedy}")]
    Request {
        /// The data set's name.
        dataset: String,
        /// What cannot be served.
        problem: String,
        /// What to ask for instead.
        remedy: String,
    },
    /// A partition among clients that cannot be made.
    #[error("partition `{kind}`: {problem}; {remedy}")]
    Partition {
        /// The kind of partition.
        kind: String,
        /// Why it cannot be made.
        problem: String,
        /// What to change.
        remedy: String,
    },
    /// A download that did not end well.
    #[error("fetching {what} from {url}: {problem}; {remedy}")]
    Fetch {
        /// The data set or file.
        what: String,
        /// Its address.
        url: String,
        /// What went wrong.
        problem: String,
        /// What to do about it.
        remedy: String,
    },
    /// Several faults at once; `verify` lists them one by one.
    #[error("{}", several(.0))]
    Several(Vec<DatasetError>),
}

impl DatasetError {
    /// Wraps an I/O error with the file it happened on.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }

    /// A request that `dataset` cannot serve.
    pub fn request(dataset: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Request {
            dataset: dataset.to_string(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// Files that were looked for at `looked`.
    pub(crate) fn missing(
        what: impl Into<String>,
        looked: &Path,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Missing {
            what: what.into(),
            looked: looked.display().to_string(),
            remedy: remedy.into(),
        }
    }

    /// The single faults this error is made of.
    pub fn into_vec(self) -> Vec<DatasetError> {
        match self {
            Self::Several(all) => all.into_iter().flat_map(Self::into_vec).collect(),
            one => vec![one],
        }
    }

    /// `Ok` for no fault, the fault itself for one, [`DatasetError::Several`] for more.
    pub(crate) fn collect(mut faults: Vec<DatasetError>) -> Result<(), DatasetError> {
        match faults.pop() {
            None => Ok(()),
            Some(only) if faults.is_empty() => Err(only),
            Some(last) => {
                faults.push(last);
                Err(Self::Several(faults))
            }
        }
    }

    /// The first fault of `a` and `b`, both where both failed, else their values.
    pub(crate) fn both<A, B>(
        a: Result<A, DatasetError>,
        b: Result<B, DatasetError>,
    ) -> Result<(A, B), DatasetError> {
        match (a, b) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            (Err(a), Err(b)) => Err(Self::Several(vec![a, b])),
            (Err(one), _) | (_, Err(one)) => Err(one),
        }
    }
}

fn several(all: &[DatasetError]) -> String {
    let shown: Vec<String> = all.iter().take(3).map(ToString::to_string).collect();
    let rest = all.len().saturating_sub(shown.len());
    let tail = if rest > 0 {
        format!(" | and {rest} more (`bench data verify` lists them all)")
    } else {
        String::new()
    };
    shown.join(" | ") + &tail
}

/// `did you mean ...?`, or the list of what is known when nothing is near.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match suites::did_you_mean(name, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_list_all() {
        assert_eq!(nearest("smilng", ["Male", "Smiling"]), "did you mean `Smiling`?");
        assert_eq!(nearest("zzzzzzzz", ["a", "b"]), "known: a, b");
    }

    #[test]
    fn messages_are_one_line() {
        let bad = || DatasetError::Bad {
            file: "a.bin".into(),
            place: "record 3".into(),
            problem: "label 17".into(),
            remedy: "labels are 0 to 9".into(),
        };
        assert_eq!(bad().to_string(), "a.bin: record 3: label 17; labels are 0 to 9");
        let many = DatasetError::Several((0..5).map(|_| bad()).collect());
        assert!(!many.to_string().contains('\n') && many.to_string().contains("and 2 more"));
        assert_eq!(many.into_vec().len(), 5);
    }
}
