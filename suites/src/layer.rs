//! The one layering: values written at dotted paths of a cell or a training in JSON form, over its
//! defaults. Suites, their profiles, tasks and `--set` all write through here.
//!
//! Tables that carry a name (`attack`, `model`, `task`, `federation`, ...) may be given as the bare
//! name. Naming another one drops what belonged to the former: parameters of one attack mean
//! nothing to the next, and a federation begins with other defaults than a bare client.

use serde_json::{Map, Value, json};

use crate::SpecError;
use crate::federation::{FederationSpec, Regime};
use crate::read::join;
use crate::spec::CellSpec;

/// The tables that carry a name, and the key that holds it.
const HEADS: [(&str, &str); 7] = [
    ("attack", "name"),
    ("model", "name"),
    ("task", "dataset"),
    ("federation", "regime"),
    ("federation.clients.partition", "kind"),
    ("federation.local.schedule", "kind"),
    ("federation.server", "kind"),
];

/// Tables of plain keys: what is written lies over what stands there, key by key.
const TABLES: [&str; 6] = [
    "federation.clients",
    "federation.local",
    "federation.evaluation",
    "capture",
    "robustness",
    "model.params",
];

/// The key that holds the name of the table at `path`.
pub(crate) fn head(path: &str) -> Option<&'static str> {
    HEADS.iter().find(|(table, _)| *table == path).map(|(_, key)| *key)
}

/// A cell with every default and no names yet.
pub(crate) fn blank() -> Result<Value, SpecError> {
    serde_json::to_value(CellSpec::new("", "", ""))
        .map_err(|e| SpecError::form("spec", e.to_string()))
}

/// `attack.name` means the whole table `attack`; every other path means itself.
pub(crate) fn resolve(path: &str) -> &str {
    match path.rsplit_once('.') {
        Some((table, key)) if head(table) == Some(key) => table,
        _ => path,
    }
}

/// Number of segments after [`resolve`]: wider paths are written first, so that `attack.lr`
/// survives `attack`.
pub(crate) fn depth(path: &str) -> usize {
    resolve(path).split('.').count()
}

/// Writes `value` at `path`.
pub(crate) fn assign(cell: &mut Value, path: &str, value: &Value) -> Result<(), SpecError> {
    let table = resolve(path);
    if table != path {
        let key = &path[table.len() + 1..];
        return assign(cell, table, &json!({ key: value }));
    }
    match (path, head(path), value) {
        ("model", ..) if value.is_string() || value.is_object() => model(cell, value),
        ("model.file", ..) => model(cell, &json!({ "file": value })),
        (_, Some(key), Value::String(name)) => {
            named(cell, path, key, &Map::from_iter([(key.to_owned(), json!(name))]))
        }
        (_, Some(key), Value::Object(map)) => named(cell, path, key, map),
        (_, None, Value::Object(map)) if TABLES.contains(&path) => each(cell, path, map),
        ("defenses", ..) => set(cell, path, defenses(path, value)?),
        ("facts", _, Value::String(_)) => set(cell, path, json!([value])),
        _ => set(cell, path, value.clone()),
    }
}

/// A model by its name, its table or its file.
fn model(cell: &mut Value, value: &Value) -> Result<(), SpecError> {
    let table = match value {
        Value::Object(map) => map.clone(),
        name => Map::from_iter([("name".to_owned(), name.clone())]),
    };
    named(cell, "model", "name", &crate::spec::model_of_file(&table))
}

fn each(cell: &mut Value, path: &str, map: &Map<String, Value>) -> Result<(), SpecError> {
    map.iter().try_for_each(|(key, value)| assign(cell, &join(path, key), value))
}

/// Merges a table that carries a name; another name starts from fresh values.
fn named(
    cell: &mut Value,
    path: &str,
    key: &str,
    map: &Map<String, Value>,
) -> Result<(), SpecError> {
    let pointer = format!("/{}", path.replace('.', "/"));
    let old = cell.pointer(&pointer).and_then(|t| t.get(key)).cloned();
    if let Some(name) = map.get(key).filter(|name| old.as_ref() != Some(*name)) {
        afresh(cell, path, key, name)?;
    }
    map.iter()
        .filter(|(k, _)| k.as_str() != key)
        .try_for_each(|(k, value)| assign(cell, &join(path, k), value))
}

/// What a table starts from under another name.
fn afresh(cell: &mut Value, path: &str, key: &str, name: &Value) -> Result<(), SpecError> {
    match (path, name) {
        ("federation", Value::String(regime)) => {
            let wrong = |e: SpecError| SpecError::form("federation.regime", e.to_string());
            let fresh = FederationSpec::new(regime.parse::<Regime>().map_err(wrong)?);
            // What clients hold and how they train is the same whoever trains, but a bare client is
            // another matter.
            if fresh.is_bare() == (cell["federation"]["regime"] == Regime::Bare.name()) {
                return set(cell, "federation.regime", name.clone());
            }
            let value = serde_json::to_value(fresh);
            set(cell, path, value.map_err(|e| SpecError::form(path, e.to_string()))?)
        }
        ("task", _) => {
            set(cell, "task.label", Value::Null)?;
            set(cell, &join(path, key), name.clone())
        }
        ("model", _) => {
            set(cell, "model.params", json!({}))?;
            set(cell, "model.weights", Value::Null)?;
            set(cell, &join(path, key), name.clone())
        }
        _ => set(cell, path, json!({ key: name })),
    }
}

/// The list of defenses that a name, a table or a list of those means; `"none"` is the empty list.
fn defenses(path: &str, value: &Value) -> Result<Value, SpecError> {
    let is_none = |v: &Value| v == "none" || v.get("name").is_some_and(|n| n == "none");
    match value {
        Value::Array(items) if items.len() > 1 && items.iter().any(is_none) => {
            let problem = "`none` stands beside other defenses";
            Err(SpecError::value(
                path,
                problem,
                "write `none` alone; an axis of choices belongs in [matrix]",
            ))
        }
        Value::Array(items) if items.iter().any(is_none) => Ok(json!([])),
        Value::Array(_) => Ok(value.clone()),
        one if is_none(one) => Ok(json!([])),
        one => Ok(json!([one])),
    }
}

/// Plain writing: tables on the way are made where absent, list items are reached by their number.
fn set(cell: &mut Value, path: &str, value: Value) -> Result<(), SpecError> {
    let mut at = cell;
    let mut walked = String::new();
    for segment in path.split('.') {
        let known = walked.clone();
        walked = join(&walked, segment);
        if at.is_null() {
            *at = json!({});
        }
        at = match at {
            Value::Object(map) => map.entry(segment).or_insert(Value::Null),
            Value::Array(items) => {
                let count = items.len();
                let item = segment.parse::<usize>().ok().and_then(|i| items.get_mut(i));
                item.ok_or_else(|| {
                    SpecError::form(&walked, format!("the list has {count} items, numbered from 0"))
                })?
            }
            // A defense given by its bare name becomes a table when a parameter is set.
            Value::String(name) if known.starts_with("defenses.") => {
                let mut table = json!({ "name": name });
                table[segment] = value;
                *at = table;
                return Ok(());
            }
            _ => {
                return Err(SpecError::form(
                    &known,
                    format!("is not a table, so it has no `{segment}`"),
                ));
            }
        };
    }
    *at = value;
    Ok(())
}

/// Refuses paths that no cell has, such as `federation.local.learning_rate`.
pub(crate) fn check_path(path: &str) -> Result<(), SpecError> {
    let blank = blank()?;
    let mut at = &blank;
    let mut walked = String::new();
    for segment in path.split('.') {
        // Choices with parameters of their own, which the blank cell's choice may not have.
        let free = ["attack", "model.params"].contains(&walked.as_str())
            || (head(&walked).is_some() && walked.starts_with("federation."));
        match at {
            Value::Object(map) if !free => {
                let known = || map.keys().map(String::as_str);
                let place = if walked.is_empty() { "cell" } else { &walked };
                at = map
                    .get(segment)
                    .ok_or_else(|| SpecError::unknown_key(place, segment, known()))?;
            }
            Value::Object(_) | Value::Array(_) => return Ok(()),
            _ => {
                return Err(SpecError::form(
                    &walked,
                    format!("is not a table, so it has no `{segment}`"),
                ));
            }
        }
        walked = join(&walked, segment);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(steps: &[(&str, Value)]) -> Value {
        let mut cell = blank().unwrap();
        for (path, value) in steps {
            assign(&mut cell, path, value).unwrap();
        }
        cell
    }

    #[test]
    fn another_name_drops_parameters_the_same_keeps_them() {
        let dlg = ("attack", json!({ "iterations": 9, "name": "dlg" }));
        let cell = written(&[dlg.clone(), ("attack.name", json!("dlg")), ("attack.lr", json!(1))]);
        assert_eq!(cell["attack"], json!({ "name": "dlg", "iterations": 9, "lr": 1 }));
        let cell = written(&[dlg, ("attack", json!("idlg"))]);
        assert_eq!(cell["attack"], json!({ "name": "idlg" }));
        let cell = written(&[
            ("task", json!({ "label": "Male", "dataset": "celeba" })),
            ("task.dataset", json!("digits")),
        ]);
        assert_eq!(cell["task"]["label"], Value::Null);
    }

    #[test]
    fn another_regime_begins_with_its_own_defaults() {
        let local = ("federation.local", json!({ "lr": 0.5 }));
        let cell = written(&[local.clone(), ("federation", json!("bare"))]);
        assert_eq!(cell["federation"]["local"]["lr"], 0.5, "the regime that stands keeps its own");
        let deployed = json!({ "regime": "federated", "clients": { "partition": "by-identity" } });
        let cell = written(&[local, ("federation", deployed)]);
        assert_eq!(cell["federation"]["local"]["lr"], 0.05);
        assert_eq!(cell["federation"]["clients"]["total"], 5);
        assert_eq!(cell["federation"]["clients"]["partition"], json!({ "kind": "by-identity" }));
        let error = assign(&mut blank().unwrap(), "federation", &json!("federatd")).unwrap_err();
        assert!(error.to_string().contains("did you mean"), "{error}");
    }

    #[test]
    fn defenses_take_every_form() {
        let of = |v: Value| written(&[("defenses", v)])["defenses"].clone();
        assert_eq!(of(json!("none")), json!([]));
        assert_eq!(
            of(json!({ "name": "prune", "fraction": 0.5 })),
            json!([{ "name": "prune", "fraction": 0.5 }])
        );
        assert_eq!(of(json!(["prune", "quantise"])), json!(["prune", "quantise"]));
        let cell = written(&[("defenses", json!("prune")), ("defenses.0.fraction", json!(0.9))]);
        assert_eq!(cell["defenses"], json!([{ "name": "prune", "fraction": 0.9 }]));
        assert!(assign(&mut blank().unwrap(), "defenses", &json!(["none", "prune"])).is_err());
    }

    #[test]
    fn unknown_paths_are_named() {
        let said = |path: &str| check_path(path).unwrap_err().to_string();
        assert!(
            said("federation.local.batchsize").starts_with(
                "federation.local: unknown key `batchsize` (did you mean `batch_size`?)"
            )
        );
        assert!(said("atack").contains("did you mean `attack`"));
        assert!(said("source.kind").contains("source: is not a table"));
        assert!(check_path("attack.anything").is_ok());
        assert!(check_path("defenses.0.epsilon").is_ok());
    }
}
