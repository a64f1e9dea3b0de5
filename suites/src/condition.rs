//! Conditions on cells: what `[[exclude]]` and the `when` of a published value say.

use serde_json::{Map, Value};

use crate::SpecError;
use crate::canonical;
use crate::layer::{assign, blank, check_path};
use crate::old::{self, Language};
use crate::read::{self, join};
use crate::spec::CellSpec;

/// Dotted path and wanted value of every leaf; a list of values means "any of".
pub(crate) fn leaves(table: &Map<String, Value>) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    collect("", table, &mut found);
    found
}

fn collect(path: &str, table: &Map<String, Value>, found: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        match value {
            Value::Object(inner) => collect(&join(path, key), inner, found),
            leaf => found.push((join(path, key), leaf.clone())),
        }
    }
}

/// Choices whose other keys may be missing from a condition.
const PARTIAL: [&str; 3] =
    ["federation.clients.partition", "federation.local.schedule", "federation.server"];

/// Refuses a condition that no cell could ever meet for its spelling alone.
pub(crate) fn check(path: &str, wanted: &Value) -> Result<(), SpecError> {
    let current = old::current(Language::Cell, path)?;
    let path = current.as_deref().unwrap_or(path);
    check_path(path)?;
    let several = std::slice::from_ref(wanted);
    for value in wanted.as_array().map_or(several, Vec::as_slice) {
        let within_item = path.starts_with("defenses.");
        if !within_item {
            let mut cell = blank()?;
            assign(&mut cell, path, value)?;
            let read: Result<CellSpec, _> = read::value("", &cell);
            if !PARTIAL.iter().any(|table| path.starts_with(table)) {
                read?;
            }
        }
    }
    Ok(())
}

/// Whether `spec` meets every condition of `table`.
pub(crate) fn holds(table: &Map<String, Value>, spec: &CellSpec) -> bool {
    let Ok(cell) = serde_json::to_value(spec) else {
        return false;
    };
    leaves(table).iter().all(|(path, wanted)| {
        let Ok(current) = old::current(Language::Cell, path) else { return false };
        let pointer = format!("/{}", current.as_ref().unwrap_or(path).replace('.', "/"));
        cell.pointer(&pointer).is_some_and(|value| meets(value, wanted))
    })
}

fn meets(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (_, Value::Array(any)) => any.iter().any(|one| meets(value, one)),
        (Value::Number(a), Value::Number(b)) => canonical::number(a) == canonical::number(b),
        (Value::Array(items), Value::String(word)) => {
            (items.is_empty() && word == "none") || items.iter().any(|item| meets(item, wanted))
        }
        (Value::Object(table), Value::String(_)) => {
            ["name", "dataset", "kind", "regime"].iter().any(|key| table.get(*key) == Some(wanted))
        }
        (value, wanted) => value == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Named;
    use serde_json::json;

    fn met(wanted: Value) -> bool {
        let mut spec = CellSpec::new("photos", "mlp", "dlg");
        spec.attack = Named::new("dlg").with("lr", 1.0);
        spec.defenses = vec![Named::new("prune").with("fraction", 0.5)];
        holds(wanted.as_object().unwrap(), &spec)
    }

    #[test]
    fn names_lists_numbers_and_nesting() {
        assert!(met(json!({ "attack": "dlg", "source": ["agg_update", "gradients"] })));
        assert!(met(json!({ "attack.lr": 1, "task": { "dataset": "photos" } })));
        assert!(met(json!({ "defenses": "prune", "defenses.0.fraction": 0.5 })));
        assert!(met(json!({ "facts": "batch-size" })));
        assert!(!met(json!({ "defenses": "none" })));
        assert!(!met(json!({ "attack": "dlg", "source": "agg_update" })));
        assert!(!met(json!({ "attack.iterations": 3 })));
    }

    #[test]
    fn misspelt_conditions_are_refused() {
        assert!(
            check("source", &json!("gradient"))
                .unwrap_err()
                .to_string()
                .contains("did you mean `gradients`")
        );
        assert!(check("sauce", &json!("gradients")).is_err());
        assert!(check("defenses", &json!(["none", "prune"])).is_ok());
        assert!(check("federation.clients.partition", &json!("dirichlet")).is_ok());
    }
}
