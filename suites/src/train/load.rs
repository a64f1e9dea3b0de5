//! A task file under a profile and overrides, as the training it stands for.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::library::TASKS;
use super::spec::TrainSpec;
use crate::SpecError;
use crate::document::Document;
use crate::read::{self, join};

/// Name and text of every task that ships with the project.
pub fn names() -> &'static [(&'static str, &'static str)] {
    TASKS
}

/// Name and one line of every task that ships with the project.
pub fn describe() -> Vec<(&'static str, String)> {
    let line = |text: &str| {
        Document::parse("task", text).ok()?.root.get("description")?.as_str().map(str::to_owned)
    };
    names().iter().map(|(name, text)| (*name, line(text).unwrap_or_default())).collect()
}

/// Loads a task that ships with the project by its name, or any other by its path; overrides are
/// dotted paths, written last.
///
/// # Errors
/// One line with file and line: unreadable or invalid TOML, unknown keys, names and values out of
/// range.
pub fn load(
    name_or_path: &str,
    profile: Option<&str>,
    overrides: &[(String, Value)],
) -> Result<TrainSpec, SpecError> {
    let like_path = name_or_path.contains(['/', '\\']) || name_or_path.ends_with(".toml");
    let (file, text) = match names().iter().find(|(name, _)| *name == name_or_path) {
        Some((name, text)) => (format!("tasks/{name}.toml"), (*text).to_string()),
        None if like_path || Path::new(name_or_path).is_file() => {
            (name_or_path.to_string(), crate::suite::read_file(name_or_path)?)
        }
        None => {
            return Err(SpecError::unknown_name(
                "task",
                name_or_path,
                names().iter().map(|(name, _)| *name),
            ));
        }
    };
    let document = Document::parse(&file, &text)?;
    let value = layered(&document, profile)?;
    finish(&document, value, overrides)
}

/// The file over the defaults, the profile over the file.
fn layered(document: &Document, profile: Option<&str>) -> Result<Value, SpecError> {
    let mut value = serde_json::to_value(TrainSpec::new("", "", ""))
        .map_err(|e| SpecError::form("task", e.to_string()))?;
    let mut file = document.root.clone();
    let profiles = match file.remove("profiles") {
        Some(Value::Object(profiles)) => profiles,
        _ => Map::new(),
    };
    merge(document, &mut value, &Value::Object(file), "", "")?;
    match profile {
        None | Some("default") => Ok(value),
        Some(name) => match profiles.get(name) {
            Some(written) => {
                merge(document, &mut value, written, "", &join("profiles", name))?;
                Ok(value)
            }
            None => Err(SpecError::unknown_name("profile", name, profiles.keys())),
        },
    }
}

/// Tables that are one choice with its own parameters: written whole, or as the bare name under
/// this key.
const CHOICES: [(&str, &str); 3] =
    [("local.schedule", "kind"), ("server", "kind"), ("clients.partition", "kind")];

/// Writes `written` over `value`, table by table. `path` is the place in the spec, `key` the one in
/// the file.
fn merge(
    document: &Document,
    value: &mut Value,
    written: &Value,
    path: &str,
    key: &str,
) -> Result<(), SpecError> {
    let choice = CHOICES.iter().find(|(place, _)| *place == path);
    match (value, written) {
        (value, Value::String(name)) if choice.is_some() => {
            *value = json!({ (choice.map_or("kind", |c| c.1)): name });
        }
        (value, Value::String(name)) if path == "model" => other_model(value, &json!(name)),
        (value, one @ Value::String(_)) if path == "defenses" => {
            *value = if one == "none" { json!([]) } else { json!([one]) };
        }
        (Value::Object(map), Value::Object(written)) if choice.is_none() => {
            if let Some(name) = written.get("name").filter(|_| path == "model") {
                let mut model = Value::Object(std::mem::take(map));
                other_model(&mut model, name);
                *map = model.as_object().cloned().unwrap_or_default();
            }
            for (name, inner) in written {
                let (path, key) = (join(path, name), join(key, name));
                match map.get_mut(name) {
                    Some(slot) => merge(document, slot, inner, &path, &key)?,
                    None if path.starts_with("model.params.") => {
                        map.insert(name.clone(), inner.clone());
                    }
                    None => {
                        let place = path
                            .strip_suffix(name.as_str())
                            .unwrap_or_default()
                            .trim_end_matches('.');
                        let place = if place.is_empty() { "task file" } else { place };
                        let error =
                            SpecError::unknown_key(place, name, map.keys().map(String::as_str));
                        return Err(document.blame(&key, error));
                    }
                }
            }
        }
        (value, written) => *value = written.clone(),
    }
    Ok(())
}

/// Names the model; parameters and weights of one mean nothing to another.
fn other_model(model: &mut Value, name: &Value) {
    if model["name"] != *name {
        (model["params"], model["weights"]) = (json!({}), Value::Null);
        model["name"] = name.clone();
    }
}

/// `spec` with values written at dotted paths.
///
/// # Errors
/// A path that no training has, or a value that does not fit.
pub fn overridden(spec: &TrainSpec, overrides: &[(String, Value)]) -> Result<TrainSpec, SpecError> {
    let value = serde_json::to_value(spec).map_err(|e| SpecError::form("task", e.to_string()))?;
    finish(&Document::default(), value, overrides)
}

fn finish(
    document: &Document,
    mut value: Value,
    overrides: &[(String, Value)],
) -> Result<TrainSpec, SpecError> {
    for (path, wanted) in overrides {
        match path.strip_prefix("defenses.") {
            Some(within) => defense(&mut value["defenses"], within, wanted)?,
            None => {
                let nested = path
                    .split('.')
                    .rev()
                    .fold(wanted.clone(), |inner, segment| json!({ segment: inner }));
                merge(&Document::default(), &mut value, &nested, "", "")
                    .map_err(SpecError::bare)?;
            }
        }
    }
    let blamed = |error: SpecError| {
        let path = match &error {
            SpecError::Form { path, .. } | SpecError::Value { path, .. } => path.clone(),
            _ => return error,
        };
        if document.exact_line(&path).is_some() { document.blame(&path, error) } else { error }
    };
    let spec: TrainSpec = read::value("", &value).map_err(blamed)?;
    spec.check().map_err(blamed)?;
    Ok(spec)
}

/// `defenses.0.epsilon = 8` reaches into the list.
fn defense(list: &mut Value, within: &str, wanted: &Value) -> Result<(), SpecError> {
    let path = format!("defenses.{within}");
    let count = list.as_array().map_or(0, Vec::len);
    let (index, key) = within.split_once('.').unwrap_or((within, ""));
    let item = index.parse::<usize>().ok().and_then(|i| list.get_mut(i));
    let Some(item) = item else {
        return Err(SpecError::form(
            path,
            format!("the list of defences has {count} items, numbered from 0"),
        ));
    };
    if key.is_empty() {
        *item = wanted.clone();
        return Ok(());
    }
    if let Value::String(name) = item {
        *item = json!({ "name": name });
    }
    match item.as_object_mut() {
        Some(table) => table.insert(key.to_string(), wanted.clone()),
        None => return Err(SpecError::form(path, "is not a table, so it has no parameters")),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_reads_in_every_profile() {
        for (name, text) in names() {
            let spec = load(name, None, &[]).unwrap();
            assert_eq!(&spec.name, name);
            assert!(!spec.description.is_empty(), "{name}");
            let document = Document::parse(name, text).unwrap();
            let profiles = document.root.get("profiles").and_then(Value::as_object);
            for profile in profiles.into_iter().flat_map(Map::keys) {
                load(name, Some(profile), &[]).unwrap();
            }
        }
    }

    #[test]
    fn overrides_reach_everywhere() {
        let spec = TrainSpec::new("t", "digits", "mlp");
        let set = |path: &str, value: Value| overridden(&spec, &[(path.to_string(), value)]);
        assert_eq!(set("clients.total", json!(9)).unwrap().clients.total, 9);
        assert_eq!(set("local.schedule", json!("constant")).unwrap(), spec);
        let deep = TrainSpec {
            model: crate::ModelSpec {
                params: Map::from_iter([("hidden".into(), json!([3]))]),
                ..spec.model.clone()
            },
            ..spec.clone()
        };
        let model = |name: &str| {
            overridden(&deep, &[("model.name".to_string(), json!(name))])
                .unwrap()
                .model
                .params
                .len()
        };
        assert_eq!((model("mlp"), model("logistic")), (1, 0), "parameters are the model's own");
        assert_eq!(set("defenses", json!("secagg")).unwrap().defenses[0].name, "secagg");
        let said = |path: &str, value: Value| set(path, value).unwrap_err().to_string();
        assert!(said("client.total", json!(9)).contains("did you mean `clients`"));
        assert!(said("local.batchsize", json!(9)).contains("did you mean `batch_size`"));
        assert!(said("rounds", json!(0)).starts_with("rounds: "), "{}", said("rounds", json!(0)));
        assert!(said("rounds", json!("x")).starts_with("rounds"), "{}", said("rounds", json!("x")));
        assert!(said("regime", json!("federatd")).contains("did you mean"));
        assert!(said("defenses.0.epsilon", json!(1)).contains("0 items"));
        let number = TrainSpec { defenses: vec![crate::Named::new("prune")], ..spec.clone() };
        let twice = [("defenses.0".to_string(), json!(5)), ("defenses.0.x".to_string(), json!(1))];
        assert!(overridden(&number, &twice).unwrap_err().to_string().contains("is not a table"));
    }

    #[test]
    fn mistakes_in_a_file_have_their_line() {
        let document = Document::parse("t.toml", "name = \"t\"\n[clients]\ntotl = 3\n").unwrap();
        let line = layered(&document, None).unwrap_err().to_string();
        assert!(
            line.starts_with("t.toml:3: clients: unknown key `totl` (did you mean `total`?)"),
            "{line}"
        );
    }

    #[test]
    fn the_digest_follows_the_experiment() {
        let spec = TrainSpec::new("t", "digits", "mlp");
        let other = TrainSpec { description: "words".into(), ..spec.clone() };
        assert_eq!(spec.digest(), other.digest());
        assert_ne!(spec.digest(), TrainSpec { seed: 1, ..spec.clone() }.digest());
    }
}
