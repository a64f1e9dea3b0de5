//! Overrides as typed on a command line: `federation.local.lr=0.1`, `source=["gradients"]`,
//! `attack=dlg`.

use serde_json::Value;

use crate::SpecError;
use crate::document::Document;
use crate::layer::check_path;
use crate::old::{self, Language};

/// Path and value of `PATH=VALUE`. The value is read as TOML (a number, a list, a table); what is
/// not TOML is a plain string, so that names need no quotes.
///
/// # Errors
/// No `=`, a path that no cell has, or a number that is not finite.
pub fn parse_override(text: &str) -> Result<(String, Value), SpecError> {
    let (path, value) = parse_pair(text)?;
    if path.starts_with("utility") {
        old::refuse(&path, &value)?;
    }
    check_path(old::current(Language::Cell, &path)?.as_deref().unwrap_or(&path))?;
    Ok((path, value))
}

/// [`parse_override`] without asking whether a cell has that path: for trainings and parameters.
///
/// # Errors
/// No `=`, or a number that is not finite.
pub fn parse_pair(text: &str) -> Result<(String, Value), SpecError> {
    let Some((path, value)) = text.split_once('=') else {
        let problem = format!("`{text}` has no `=`");
        let remedy = "write PATH=VALUE, such as federation.local.lr=0.1";
        return Err(SpecError::value("override", problem, remedy));
    };
    let (path, value) = (path.trim(), value.trim());
    let plain = || Value::from(value);
    if value.contains('\n') {
        return Ok((path.into(), plain()));
    }
    let read = match Document::parse("override", &format!("value = {value}")) {
        Ok(document) => document.root.get("value").cloned().unwrap_or_else(plain),
        Err(SpecError::Syntax { .. }) => plain(),
        Err(error) => return Err(SpecError::form(path, reason(&error))),
    };
    Ok((path.into(), read))
}

fn reason(error: &SpecError) -> String {
    match error.cause() {
        SpecError::Form { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_toml_or_plain_words() {
        let value = |text| parse_override(text).unwrap().1;
        assert_eq!(value("federation.local.lr=1e-5"), json!(1e-5));
        assert_eq!(value("trials = 3"), json!(3));
        assert_eq!(value("attack=fl-attack"), json!("fl-attack"));
        assert_eq!(value("source=[\"gradients\"]"), json!(["gradients"]));
        assert_eq!(value("attack={ name = \"dlg\", lr = 1 }"), json!({ "name": "dlg", "lr": 1 }));
        assert_eq!(value("model.weights=a=b.pt"), json!("a=b.pt"));
    }

    #[test]
    fn mistakes_are_named() {
        let said = |text| parse_override(text).unwrap_err().to_string();
        assert!(said("federation.local.lr").contains("no `=`"));
        assert!(said("federatio.rounds=1").contains("did you mean `federation`"));
        assert_eq!(said("seed=nan"), "seed: `nan` is not a finite number");
    }
}
