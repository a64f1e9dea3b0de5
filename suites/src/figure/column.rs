//! Names of columns, as far as they can be judged without records.

use serde_json::Value;

use crate::SpecError;
use crate::layer::{blank, check_path};
use crate::old::{self, Language};

/// First words of dotted names that mean a measure.
const FAMILIES: [&str; 7] = ["task", "cost", "wall", "measured", "success", "null", "defenses"];

/// What a cell's `task.` measures are called: the other `task.` names are settings.
const TASK: [&str; 7] = [
    "accuracy",
    "loss",
    "majority",
    "test_examples",
    "trained_accuracy",
    "trained_loss",
    "trained_rounds",
];

/// First words of dotted names of measures.
pub fn measure_families() -> &'static [&'static str] {
    &FAMILIES
}

/// The settings of a cell that are tables: first words of dotted names of settings.
pub fn spec_tables() -> Vec<String> {
    let cell = blank().unwrap_or_default();
    let tables = cell.as_object().into_iter().flatten();
    let mut names: Vec<String> =
        tables.filter(|(_, v)| v.is_object() || v.is_null()).map(|(k, _)| k.clone()).collect();
    names.push("defenses".into());
    names
}

/// Refuses a dotted name that no run can have; bare words may be metrics, which only records know.
pub(super) fn check(column: &str) -> Result<(), SpecError> {
    let current = old::current(Language::Cell, column);
    let column = current.as_ref().ok().and_then(Option::as_deref).unwrap_or(column);
    let Some((first, rest)) = column.split_once('.') else {
        return Ok(());
    };
    let settings = spec_tables();
    match first {
        "task" if TASK.contains(&rest) => Ok(()),
        _ if settings.iter().any(|s| s == first) => check_setting(column, rest),
        _ if FAMILIES.contains(&first) => Ok(()),
        _ => {
            let known = settings.iter().map(String::as_str).chain(FAMILIES);
            Err(SpecError::unknown_name("column", column, near(first, rest, known)))
        }
    }
}

fn check_setting(column: &str, rest: &str) -> Result<(), SpecError> {
    let known = || -> Vec<String> {
        let cell = blank().unwrap_or_default();
        let first = column.split('.').next().unwrap_or_default();
        let keys = cell.get(first).and_then(Value::as_object).into_iter().flatten();
        let measures = TASK.iter().filter(|_| first == "task").map(|s| (*s).to_owned());
        keys.map(|(k, _)| k.clone()).chain(measures).map(|k| format!("{first}.{k}")).collect()
    };
    match check_path(column) {
        Ok(()) => Ok(()),
        Err(_) if rest.is_empty() => Err(SpecError::unknown_name("column", column, known())),
        Err(SpecError::UnknownKey { .. }) => {
            Err(SpecError::unknown_name("column", column, known()))
        }
        Err(other) => Err(other),
    }
}

fn near<'a>(first: &str, rest: &str, known: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names: Vec<String> = known.map(|k| format!("{k}.{rest}")).collect();
    names.sort();
    names.dedup();
    // The table is what is wrong: the nearest comes first, the others as patterns.
    let firsts: Vec<&str> = names.iter().filter_map(|n| n.split('.').next()).collect();
    match crate::did_you_mean(first, &firsts) {
        Some(near) => vec![format!("{near}.{rest}")],
        None => firsts.iter().map(|f| format!("{f}.*")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_names_are_judged_bare_words_are_not() {
        for good in [
            "psnr",
            "task.accuracy",
            "task.dataset",
            "attack.anything",
            "defenses.0.epsilon",
            "model.params.width",
        ] {
            assert!(check(good).is_ok(), "{good}");
        }
        let said = |c: &str| check(c).unwrap_err().to_string();
        assert!(said("capture.rond").contains("did you mean `capture.round`"));
        assert!(said("task.acuracy").contains("did you mean `task.accuracy`"));
        assert!(said("defense.epsilon").contains("did you mean `defenses.epsilon`"));
        assert!(said("federatoin.rounds").contains("did you mean `federation.rounds`"));
    }
}
