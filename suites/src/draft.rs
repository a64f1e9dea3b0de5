//! A spec while layers are written over its defaults, and where each value came from.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::SpecError;
use crate::document::Document;
use crate::layer::assign;
use crate::plan::Assignment;
use crate::read;

/// Where a cell comes from, for errors.
#[derive(Debug, Clone, Default)]
pub(crate) struct Origin {
    /// The cell in words.
    pub label: String,
    /// Paths written, in order, with their keys in the suite file.
    pub trail: Vec<(String, Option<String>)>,
}

/// A cell or a training while it is being written.
#[derive(Clone)]
pub(crate) struct Draft {
    value: Value,
    /// What was written, for errors.
    pub origin: Origin,
}

impl Draft {
    /// A draft over these defaults.
    pub fn over(value: Value) -> Draft {
        Draft { value, origin: Origin::default() }
    }

    /// Writes one layer, in order.
    pub fn write(
        &mut self,
        document: &Document,
        assignments: &[Assignment],
    ) -> Result<(), SpecError> {
        for Assignment { path, value, key } in assignments {
            self.origin.trail.push((path.clone(), key.clone()));
            assign(&mut self.value, path, value)
                .map_err(|error| self.origin.blame(document, error))?;
        }
        Ok(())
    }

    /// What was written, read.
    pub fn finish<T: DeserializeOwned>(
        self,
        document: &Document,
    ) -> Result<(T, Origin), SpecError> {
        let read = read::value("", &self.value);
        Ok((read.map_err(|error| self.origin.blame(document, error))?, self.origin))
    }
}

impl Origin {
    /// `error`, at the line that last wrote the field it is about; bare where an override did.
    pub fn blame(&self, document: &Document, error: SpecError) -> SpecError {
        let (path, key) = match &error {
            SpecError::Value { path, .. } | SpecError::Form { path, .. } => (path.clone(), None),
            SpecError::UnknownKey { place, key, .. } => (read::join(place, key), Some(key.clone())),
            _ => (String::new(), None),
        };
        match self
            .writer(document, &path)
            .or_else(|| self.holder(document, key.as_deref().unwrap_or(&path)))
        {
            Some(Some(key)) => document.blame(&key, error),
            Some(None) => error,
            None => document.blame("defaults", error),
        }
    }

    /// The last assignment at, above or below `path`: its key in the file, or `None` for an
    /// override.
    fn writer(&self, document: &Document, path: &str) -> Option<Option<String>> {
        let touches = |written: &str| match path.strip_prefix(written) {
            Some("") => Some(String::new()),
            Some(rest) if !written.is_empty() => rest.strip_prefix('.').map(str::to_owned),
            _ => written
                .strip_prefix(path)
                .filter(|rest| rest.starts_with('.'))
                .map(|_| String::new()),
        };
        let mut touching =
            self.trail.iter().rev().filter_map(|(written, key)| Some((touches(written)?, key)));
        let mut wide = None;
        touching
            .find_map(|(rest, key)| match key {
                None => Some(None),
                Some(key) => {
                    let exact = read::join(key, &rest);
                    wide = wide.take().or(Some(key.clone()));
                    document.exact_line(&exact).map(|_| Some(exact))
                }
            })
            .or(wide.map(Some))
    }

    /// The last assignment whose table has the key that ends `path`: for errors that speak of an
    /// entry ("dlg.iteratons") instead of a path.
    fn holder(&self, document: &Document, path: &str) -> Option<Option<String>> {
        let last = path.rsplit('.').next().filter(|key| !key.is_empty())?;
        self.trail.iter().rev().find_map(|(written, key)| {
            let Some(key) = key else {
                return written.ends_with(&format!(".{last}")).then_some(None);
            };
            let inside = read::join(key, last);
            let found = if written.ends_with(&format!(".{last}")) {
                document.exact_line(key).map(|_| key.clone())
            } else {
                document.exact_line(&inside).map(|_| inside)
            };
            found.map(Some)
        })
    }
}
