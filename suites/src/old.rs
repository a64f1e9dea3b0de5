//! Keys of 1.x in the spelling of today: a suite or task that has them is read where they have a
//! faithful meaning, and refused with the new spelling where they have none.

use serde_json::{Map, Value, json};

use crate::SpecError;
use crate::federation::{FederationSpec, Regime};
use crate::plan::Assignment;
use crate::read::join;
use crate::spec::REMOVED_FACTS;

/// Old paths of a cell, and what they are called now.
const CELL: [(&str, &str); 10] = [
    ("training.clients", "federation.clients.total"),
    ("training.partition", "federation.clients.partition"),
    ("training.local_examples", "federation.clients.examples"),
    ("training.batch_size", "federation.local.batch_size"),
    ("training.local_epochs", "federation.local.epochs"),
    ("training.lr", "federation.local.lr"),
    ("training.momentum", "federation.local.momentum"),
    ("training.weight_decay", "federation.local.weight_decay"),
    ("training.augment", "federation.local.augment"),
    ("training.rounds_before", "capture.round"),
];

/// Old tables of a training, which are below `federation` now.
const TASK: [&str; 6] = ["regime", "rounds", "clients", "local", "server", "evaluation"];

/// What a defense measured, as a column of a figure or table: the old family and today's.
const MEASURED: (&str, &str) = ("defence.", "measured.");

/// Which language a file speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    /// Cells of a suite.
    Cell,
    /// A training.
    Task,
}

/// The path of today for an old one; `None` where it is none.
///
/// # Errors
/// A key that neither the old nor the new language has.
pub(crate) fn current(language: Language, path: &str) -> Result<Option<String>, SpecError> {
    let within =
        |old: &str| path == old || path.strip_prefix(old).is_some_and(|r| r.starts_with('.'));
    match language {
        Language::Task => Ok(TASK.iter().any(|old| within(old)).then(|| join("federation", path))),
        Language::Cell => match path.strip_prefix("training.") {
            None => Ok(path.strip_prefix(MEASURED.0).map(|key| format!("{}{key}", MEASURED.1))),
            Some(key) => {
                let found = CELL.iter().find(|(old, _)| within(old));
                let known = || CELL.iter().filter_map(|(old, _)| old.strip_prefix("training."));
                let (old, new) =
                    found.ok_or_else(|| SpecError::unknown_key("training", key, known()))?;
                Ok(Some(format!("{new}{}", &path[old.len()..])))
            }
        },
    }
}

/// The path of today for a path of 1.x in a cell; the path itself where it is none.
pub fn current_path(path: &str) -> String {
    current(Language::Cell, path).ok().flatten().unwrap_or_else(|| path.to_owned())
}

/// Layers with old keys in the spelling of today, and one line for the user on each old key.
///
/// # Errors
/// Rounds before a capture and a federation beside the attacked one, which are no more; both
/// spellings of one key.
pub(crate) fn modernise(
    language: Language,
    assignments: Vec<Assignment>,
    notes: &mut Vec<String>,
) -> Result<Vec<Assignment>, SpecError> {
    let (mut all, mut old) = (Vec::new(), Vec::new());
    for assignment in assignments.into_iter().flat_map(spread) {
        refuse(&assignment.path, &assignment.value)?;
        dropped_facts(&assignment, notes);
        if language == Language::Cell && ["utility"].contains(&assignment.path.as_str()) {
            continue;
        }
        match current(language, &assignment.path)? {
            // No round before the capture is what every cell begins with.
            Some(_) if assignment.path == "training.rounds_before" => {}
            Some(path) => {
                note(&assignment.path, &path, notes);
                old.push(Assignment { path, ..assignment });
            }
            None => all.push(assignment),
        }
    }
    if let Some(twice) = old.iter().find(|old| all.iter().any(|new| writes(new, &old.path))) {
        return Err(SpecError::value(
            &twice.path,
            "is given in both its old and its new spelling",
            "drop the old one",
        ));
    }
    all.extend(old);
    Ok(all)
}

/// One line on each fact of a list that grants nothing any more.
fn dropped_facts(assignment: &Assignment, notes: &mut Vec<String>) {
    if assignment.path != "facts" && !assignment.path.ends_with(".facts") {
        return;
    }
    let text = assignment.value.to_string();
    for word in REMOVED_FACTS.iter().filter(|word| text.contains(&format!("\"{word}\""))) {
        let line = format!("fact `{word}` granted nothing and is dropped");
        if !notes.contains(&line) {
            notes.push(line);
        }
    }
}

/// One line on an old key, once.
pub(crate) fn note(old: &str, new: &str, notes: &mut Vec<String>) {
    let line = format!("`{old}` is now `{new}`");
    if !notes.contains(&line) {
        notes.push(line);
    }
}

/// The old table `training`, key by key.
fn spread(assignment: Assignment) -> Vec<Assignment> {
    match (&assignment.path[..], &assignment.value) {
        ("training", Value::Object(map)) => map
            .iter()
            .map(|(key, value)| Assignment {
                path: join("training", key),
                value: value.clone(),
                key: assignment.key.as_ref().map(|place| join(place, key)),
            })
            .collect(),
        _ => vec![assignment],
    }
}

/// Refuses what has no faithful meaning any more.
///
/// # Errors
/// Says how it is written now.
pub(crate) fn refuse(path: &str, value: &Value) -> Result<(), SpecError> {
    match (path, value) {
        ("training.rounds_before", rounds) if *rounds != 0 => Err(SpecError::value(
            path,
            "rounds before a capture are rounds of the federation that is attacked",
            format!(
                "write federation = {{ regime = \"federated\", rounds = .., clients = {{ .. }}, \
                 local = {{ .. }} }} and capture.round = {rounds}"
            ),
        )),
        ("utility", Value::Object(table)) => Err(SpecError::value(
            path,
            "the federation that is measured is the one that is attacked",
            format!("write {} and the captured round as capture.round", spelled(table)),
        )),
        (path, _) if path.starts_with("utility.") => Err(SpecError::value(
            path,
            "the federation that is measured is the one that is attacked",
            "write its keys below `federation`, with regime = \"federated\"",
        )),
        _ => Ok(()),
    }
}

/// An old `utility` as the federation that it would be now.
fn spelled(table: &Map<String, Value>) -> String {
    let some = |keys: &[(&str, &str)]| {
        let words = keys
            .iter()
            .filter_map(|(old, new)| table.get(*old).map(|value| format!("{new} = {value}")));
        words.collect::<Vec<_>>().join(", ")
    };
    let rounds = some(&[("rounds", "rounds")]);
    let clients = some(&[("clients", "total"), ("examples", "examples")]);
    let local = some(&[
        ("batch_size", "batch_size"),
        ("local_epochs", "epochs"),
        ("lr", "lr"),
        ("momentum", "momentum"),
    ]);
    format!(
        "federation = {{ regime = \"federated\", {rounds}, clients = {{ {clients} }}, local = {{ \
         {local} }} }}"
    )
}

/// Whether an assignment writes at that path.
fn writes(assignment: &Assignment, path: &str) -> bool {
    match path.strip_prefix(&assignment.path[..]) {
        Some("") => true,
        Some(rest) => rest.strip_prefix('.').is_some_and(|rest| {
            assignment.value.pointer(&format!("/{}", rest.replace('.', "/"))).is_some()
        }),
        None => assignment.path.starts_with(&format!("{path}.")),
    }
}

/// A cell as schema 1.x recorded it, in the language of today; whether it was one.
///
/// A cell of 1.x attacked clients of its own, after `rounds_before` rounds of theirs; what it
/// measured in `utility` was another federation, which the language of today cannot name.
pub fn upgrade_recorded(cell: &mut Value) -> bool {
    let Some(cell) = cell.as_object_mut() else { return false };
    let Some(Value::Object(training)) = cell.remove("training") else { return false };
    cell.remove("utility");
    let before = training.get("rounds_before").and_then(Value::as_u64).unwrap_or(0);
    let regime = if before > 0 { Regime::Federated } else { Regime::Bare };
    let mut spec = FederationSpec::new(regime);
    spec.rounds = before as usize + 1;
    let mut federation = serde_json::to_value(spec).unwrap_or_default();
    for (old, new) in CELL {
        let key = old.strip_prefix("training.").and_then(|key| training.get(key));
        let place = new.strip_prefix("federation").map(|path| path.replace('.', "/"));
        if let (Some(value), Some(place)) = (key, place)
            && let Some(slot) = federation.pointer_mut(&place)
        {
            *slot = value.clone();
        }
    }
    cell.insert("federation".into(), federation);
    cell.insert("capture".into(), json!({ "round": before }));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(written: &[(&str, Value)]) -> Result<(Vec<String>, Vec<String>), String> {
        let one = |(path, value): &(&str, Value)| Assignment {
            path: (*path).into(),
            value: value.clone(),
            key: None,
        };
        let mut notes = Vec::new();
        let all = modernise(Language::Cell, written.iter().map(one).collect(), &mut notes);
        let paths = all.map_err(|e| e.to_string())?.into_iter().map(|a| a.path).collect();
        Ok((paths, notes))
    }

    #[test]
    fn faithful_keys_are_read_and_noted_once() {
        let table = json!({ "clients": 3, "lr": 0.1, "rounds_before": 0 });
        let (paths, notes) = read(&[("training", table), ("training.lr", json!(1))]).unwrap();
        assert_eq!(
            paths,
            ["federation.clients.total", "federation.local.lr", "federation.local.lr"]
        );
        assert_eq!(notes.len(), 2);
        assert!(notes[0].contains("`training.clients` is now `federation.clients.total`"));
    }

    #[test]
    fn facts_that_grant_nothing_are_dropped_with_a_line() {
        let mut notes = Vec::new();
        let list = json!([["labels", "normalisation"], ["normalisation"]]);
        let all = modernise(
            Language::Cell,
            vec![Assignment { path: "facts".into(), value: list, key: None }],
            &mut notes,
        );
        assert_eq!(all.unwrap().len(), 1);
        assert_eq!(notes, ["fact `normalisation` granted nothing and is dropped"]);
    }

    #[test]
    fn what_means_nothing_any_more_shows_the_new_spelling() {
        let said = read(&[("training.rounds_before", json!(5))]).unwrap_err();
        assert!(said.contains("capture.round = 5") && !said.contains('\n'), "{said}");
        let said = read(&[("utility", json!({ "rounds": 3, "clients": 4, "lr": 0.1 }))]);
        let said = said.unwrap_err();
        assert!(
            said.contains("rounds = 3, clients = { total = 4 }, local = { lr = 0.1 }"),
            "{said}"
        );
    }

    #[test]
    fn both_spellings_are_refused() {
        let old = ("training.lr", json!(1));
        let new =
            [("federation.local.lr", json!(2)), ("federation", json!({ "local": { "lr": 2 } }))];
        for new in new {
            let said = read(&[old.clone(), new]).unwrap_err();
            assert!(said.contains("both its old and its new spelling"), "{said}");
        }
        assert!(read(&[old, ("federation", json!({ "local": { "momentum": 0 } }))]).is_ok());
    }

    #[test]
    fn columns_of_what_a_defense_measured_are_read() {
        assert_eq!(current_path("defence.noise_to_signal"), "measured.noise_to_signal");
        assert_eq!(current_path("defenses.0.epsilon"), "defenses.0.epsilon");
    }

    #[test]
    fn recorded_cells_are_upgraded() {
        let mut cell = serde_json::to_value(crate::CellSpec::new("photos", "mlp", "dlg")).unwrap();
        let new = cell.clone();
        let table = cell.as_object_mut().unwrap();
        table.retain(|key, _| key != "federation" && key != "capture");
        table.insert("utility".into(), Value::Null);
        table.insert(
            "training".into(),
            json!({
                "clients": 3, "batch_size": 2, "local_epochs": 1, "local_examples": null,
                "lr": 0.1, "momentum": 0.0, "weight_decay": 0.0, "augment": false,
                "rounds_before": 4, "partition": { "kind": "iid" },
            }),
        );
        assert!(upgrade_recorded(&mut cell));
        let spec: crate::CellSpec = serde_json::from_value(cell).unwrap();
        assert_eq!((spec.federation.clients.total, spec.federation.local.batch_size), (3, 2));
        assert_eq!((spec.capture.round, spec.federation.rounds), (4, 5));
        assert_eq!((spec.federation.local.lr, spec.federation.is_bare()), (0.1, false));
        assert!(!upgrade_recorded(&mut new.clone()), "a cell of today stays as it is");
    }
}
