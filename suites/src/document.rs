//! TOML text as JSON values, with the line of every key kept beside them.

use std::collections::HashMap;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

use crate::SpecError;
use crate::read::join;

/// A parsed suite file.
#[derive(Debug, Default, Clone)]
pub(crate) struct Document {
    /// The whole file; always an object.
    pub root: Map<String, Value>,
    /// What to call the file in errors.
    pub file: String,
    lines: HashMap<String, usize>,
}

impl Document {
    /// Parses `text`; `file` names it in errors.
    pub fn parse(file: &str, text: &str) -> Result<Self, SpecError> {
        let table = DeTable::parse(text).map_err(|error| {
            let (line, column) = position(text, error.span().map_or(0, |s| s.start));
            SpecError::Syntax {
                file: file.into(),
                line,
                column,
                message: error.message().split_whitespace().collect::<Vec<_>>().join(" "),
            }
        })?;
        let mut reader = Reader { file, starts: line_starts(text), lines: HashMap::new() };
        let root = reader.table("", table.get_ref())?;
        Ok(Document { root, file: file.into(), lines: reader.lines })
    }

    /// Line of the key at `path` (`matrix.attack.2.lr`), or of the nearest table around it; from 1.
    pub fn line(&self, path: &str) -> usize {
        let mut path = path;
        loop {
            if let Some(line) = self.lines.get(path) {
                return *line;
            }
            match path.rfind('.') {
                Some(cut) => path = &path[..cut],
                None => return 1,
            }
        }
    }

    /// Line of the key at `path`, if the file has that very key.
    pub fn exact_line(&self, path: &str) -> Option<usize> {
        self.lines.get(path).copied()
    }

    /// `error`, said to be at the key `path` of this file.
    pub fn blame(&self, path: &str, error: SpecError) -> SpecError {
        match error {
            placed @ (SpecError::At { .. } | SpecError::Syntax { .. }) => placed,
            bare => bare.at(&self.file, self.line(path)),
        }
    }

    /// A table of the file, or nothing where it is absent.
    pub fn table<'a>(
        &self,
        within: &'a Map<String, Value>,
        key: &str,
        path: &str,
    ) -> Result<Option<&'a Map<String, Value>>, SpecError> {
        match within.get(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(_) => {
                let message = format!("must be a table, written `[{path}]`");
                Err(self.blame(path, SpecError::form(path, message)))
            }
        }
    }

    /// An array of tables of the file, or nothing where it is absent.
    pub fn tables<'a>(
        &self,
        within: &'a Map<String, Value>,
        key: &str,
        path: &str,
    ) -> Result<Option<Vec<&'a Map<String, Value>>>, SpecError> {
        let Some(value) = within.get(key) else {
            return Ok(None);
        };
        let items = value.as_array().map(|items| items.iter().map(Value::as_object));
        match items.and_then(|tables| tables.collect()) {
            Some(tables) => Ok(Some(tables)),
            None => {
                let message = format!("must be tables, each written under its own `[[{path}]]`");
                Err(self.blame(path, SpecError::form(path, message)))
            }
        }
    }

    /// Refuses keys of `table` (at `path`) that are not among `known`.
    pub fn only(
        &self,
        table: &Map<String, Value>,
        path: &str,
        known: &[&str],
    ) -> Result<(), SpecError> {
        match table.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                let place = if path.is_empty() { "suite file" } else { path };
                let error = SpecError::unknown_key(place, key, known.iter().copied());
                Err(self.blame(&join(path, key), error))
            }
        }
    }
}

struct Reader<'a> {
    file: &'a str,
    starts: Vec<usize>,
    lines: HashMap<String, usize>,
}

impl Reader<'_> {
    fn line_of(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    fn table(&mut self, path: &str, table: &DeTable) -> Result<Map<String, Value>, SpecError> {
        let mut map = Map::new();
        for (key, value) in table {
            let inner = join(path, key.get_ref());
            self.lines.insert(inner.clone(), self.line_of(key.span().start));
            map.insert(key.get_ref().to_string(), self.value(&inner, value)?);
        }
        Ok(map)
    }

    fn array(&mut self, path: &str, array: &DeArray) -> Result<Value, SpecError> {
        let mut items = Vec::with_capacity(array.len());
        for (index, item) in array.iter().enumerate() {
            let inner = join(path, &index.to_string());
            self.lines.insert(inner.clone(), self.line_of(item.span().start));
            items.push(self.value(&inner, item)?);
        }
        Ok(Value::Array(items))
    }

    fn value(&mut self, path: &str, value: &Spanned<DeValue>) -> Result<Value, SpecError> {
        let place = self.line_of(value.span().start);
        let wrong = |message: String| SpecError::form(path, message).at(self.file, place);
        Ok(match value.get_ref() {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Boolean(flag) => Value::from(*flag),
            DeValue::Integer(digits) => integer(digits)
                .ok_or_else(|| wrong(format!("`{digits}` does not fit in 64 bits")))?,
            DeValue::Float(digits) => {
                let number = digits.as_str().parse().ok().and_then(Number::from_f64);
                let found =
                    number.ok_or_else(|| wrong(format!("`{digits}` is not a finite number")))?;
                Value::Number(found)
            }
            DeValue::Datetime(when) => {
                return Err(wrong(format!("a date ({when}) has no meaning in a suite")));
            }
            DeValue::Array(array) => self.array(path, array)?,
            DeValue::Table(table) => Value::Object(self.table(path, table)?),
        })
    }
}

fn integer(digits: &DeInteger) -> Option<Value> {
    let (text, radix) = (digits.as_str(), digits.radix());
    let signed = i64::from_str_radix(text, radix).map(Value::from);
    signed.or_else(|_| u64::from_str_radix(text, radix).map(Value::from)).ok()
}

fn line_starts(text: &str) -> Vec<usize> {
    let after_breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
    std::iter::once(0).chain(after_breaks).collect()
}

/// Line and column (in characters) of a byte offset, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let starts = line_starts(text);
    let line = starts.partition_point(|start| *start <= offset);
    let begin = starts[line - 1];
    let column = text.get(begin..offset).map_or(1, |s| s.chars().count() + 1);
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keeps_values_order_and_lines() {
        let text = "[matrix]\nsource = [\"b\", \"a\"]\n\"x.y\" = [\n  1_000,\n  0x10,\n  \
            2.5e-1,\n]\n[[include]]\ntrials = 3\n";
        let document = Document::parse("t.toml", text).unwrap();
        assert_eq!(document.root["matrix"]["x.y"], json!([1000, 16, 0.25]));
        assert_eq!(document.root["matrix"].as_object().unwrap().keys().next().unwrap(), "source");
        assert_eq!(document.line("matrix.x.y.1"), 5);
        assert_eq!(document.line("include.0.trials"), 9);
        assert_eq!(document.line("matrix.source.0.nothing"), 2);
    }

    #[test]
    fn refuses_what_json_cannot_hold() {
        let said = |text: &str| Document::parse("t.toml", text).unwrap_err().to_string();
        assert_eq!(said("a = 1\nlr = nan"), "t.toml:2: lr: `nan` is not a finite number");
        assert_eq!(said("a = 1e999"), "t.toml:1: a: `1e999` is not a finite number");
        assert!(said("d = 2020-01-01").contains("a date"));
        assert!(said("a = 99999999999999999999").contains("64 bits"));
    }

    #[test]
    fn syntax_errors_have_line_and_column() {
        let error = Document::parse("t.toml", "a = 1\nb = = 2\n").unwrap_err().to_string();
        assert!(error.starts_with("t.toml:2:5: not valid TOML: "), "{error}");
        assert!(!error.contains('\n'));
    }
}
