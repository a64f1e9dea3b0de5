//! A task file under a profile and overrides, as the training it stands for.

use std::path::Path;

use serde_json::{Map, Value};

use super::library::TASKS;
use super::spec::TrainSpec;
use crate::SpecError;
use crate::document::Document;
use crate::draft::Draft;
use crate::layer::depth;
use crate::old::{self, Language};
use crate::plan::{Assignment, assignments};
use crate::read::join;

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

/// A task as it was loaded.
#[derive(Clone, Debug)]
pub struct Task {
    /// The training, fully spelled out.
    pub spec: TrainSpec,
    /// What the user should know of how the file is written, such as keys of old.
    pub notes: Vec<String>,
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
) -> Result<Task, SpecError> {
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
    layered(&Document::parse(&file, &text)?, profile, overrides)
}

/// The file over the defaults, the profile over the file, the overrides over both.
fn layered(
    document: &Document,
    profile: Option<&str>,
    overrides: &[(String, Value)],
) -> Result<Task, SpecError> {
    let mut file = document.root.clone();
    let profiles = match file.shift_remove("profiles") {
        Some(Value::Object(profiles)) => profiles,
        _ => Map::new(),
    };
    let mut layers = vec![assignments(&file, "")];
    match profile {
        None | Some("default") => {}
        Some(name) => match profiles.get(name) {
            Some(Value::Object(table)) => layers.push(assignments(table, &join("profiles", name))),
            _ => return Err(SpecError::unknown_name("profile", name, profiles.keys())),
        },
    }
    write(document, &TrainSpec::new("", "", ""), layers, overrides)
}

/// `spec` with values written at dotted paths.
///
/// # Errors
/// A path that no training has, or a value that does not fit.
pub fn overridden(spec: &TrainSpec, overrides: &[(String, Value)]) -> Result<TrainSpec, SpecError> {
    write(&Document::default(), spec, Vec::new(), overrides).map(|task| task.spec)
}

/// A training from its JSON, which may be one of 1.x.
///
/// # Errors
/// JSON that is no training's.
pub fn revive(value: &Value) -> Result<TrainSpec, SpecError> {
    let Value::Object(table) = value else {
        return Err(SpecError::form("training", "is not a table"));
    };
    let layers = vec![assignments(table, "")];
    write(&Document::default(), &TrainSpec::new("", "", ""), layers, &[]).map(|task| task.spec)
}

fn write(
    document: &Document,
    base: &TrainSpec,
    layers: Vec<Vec<Assignment>>,
    overrides: &[(String, Value)],
) -> Result<Task, SpecError> {
    let base = serde_json::to_value(base).map_err(|e| SpecError::form("task", e.to_string()))?;
    let (mut draft, mut notes) = (Draft::over(base), Vec::new());
    for layer in layers {
        let mut layer = old::modernise(Language::Task, layer, &mut notes)?;
        layer.sort_by_key(|assignment| depth(&assignment.path));
        draft.write(document, &layer)?;
    }
    for (path, value) in overrides {
        let one = Assignment { path: path.clone(), value: value.clone(), key: None };
        draft.write(document, &old::modernise(Language::Task, vec![one], &mut notes)?)?;
    }
    let (spec, origin): (TrainSpec, _) = draft.finish(document)?;
    if !spec.name.is_empty() {
        crate::suite::named(document, "name", &spec.name)?;
    }
    spec.check().map_err(|error| origin.blame(document, error))?;
    Ok(Task { spec, notes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_task_reads_in_every_profile() {
        for (name, text) in names() {
            let spec = load(name, None, &[]).unwrap().spec;
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
        assert_eq!(set("federation.clients.total", json!(9)).unwrap().federation.clients.total, 9);
        assert_eq!(set("federation.local.schedule", json!("constant")).unwrap(), spec);
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
        assert!(said("federation.client.total", json!(9)).contains("did you mean `clients`"));
        assert!(said("federation.local.batchsize", json!(9)).contains("did you mean `batch_size`"));
        assert!(said("rounds", json!(0)).starts_with("federation.rounds: "));
        assert!(said("rounds", json!("x")).starts_with("federation.rounds"));
        assert!(said("federation.regime", json!("federatd")).contains("did you mean"));
        assert!(said("defenses.0.epsilon", json!(1)).contains("0 items"));
        let number = TrainSpec { defenses: vec![crate::Named::new("prune")], ..spec.clone() };
        let twice = [("defenses.0".to_string(), json!(5)), ("defenses.0.x".to_string(), json!(1))];
        assert!(overridden(&number, &twice).unwrap_err().to_string().contains("is not a table"));
    }

    #[test]
    fn mistakes_in_a_file_have_their_line() {
        let document =
            Document::parse("t.toml", "name = \"t\"\n[federation.clients]\ntotl = 3\n").unwrap();
        let line = layered(&document, None, &[]).unwrap_err().to_string();
        assert!(
            line.starts_with(
                "t.toml:3: federation.clients: unknown key `totl` (did you mean `total`?)"
            ),
            "{line}"
        );
    }

    #[test]
    fn tasks_of_old_are_read_as_those_of_today() {
        let old = "name = \"t\"\nrounds = 3\ntask = \"digits\"\nmodel = \"mlp\"\n\
            [clients]\ntotal = 7";
        let task = layered(&Document::parse("t.toml", old).unwrap(), None, &[]).unwrap();
        assert_eq!((task.spec.federation.rounds, task.spec.federation.clients.total), (3, 7));
        assert!(task.notes.contains(&"`clients` is now `federation.clients`".to_string()));
        let spec = TrainSpec::new("t", "digits", "mlp");
        assert_eq!(revive(&serde_json::to_value(&spec).unwrap()).unwrap(), spec);
    }

    #[test]
    fn the_digest_follows_the_experiment() {
        let spec = TrainSpec::new("t", "digits", "mlp");
        let other = TrainSpec { description: "words".into(), ..spec.clone() };
        assert_eq!(spec.digest(), other.digest());
        assert_ne!(spec.digest(), TrainSpec { seed: 1, ..spec.clone() }.digest());
    }
}
