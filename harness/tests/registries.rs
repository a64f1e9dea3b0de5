//! Parameters are spelled out before anything is derived from them, and names are looked up in the
//! registries that a program was given.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use federation::init;
use harness::{Registries, resolve};
use serde_json::{Map, Value, json};
use suites::{CellSpec, ModelSpec, TaskSpec, TrainSpec, stream_key};

/// The task on which every model can be built.
fn task() -> TaskSpec {
    let mut task = CellSpec::new("photos", "mlp", "analytic").task;
    task.size = Some(32);
    task
}

fn cell(model: &str, params: &Map<String, Value>) -> CellSpec {
    let mut spec = CellSpec::new("photos", model, "analytic");
    spec.task = task();
    spec.model.params = params.clone();
    resolve::spell_out(&Registries::builtin(), &mut spec).unwrap();
    spec
}

/// Every choice of some of a table's entries.
fn parts(all: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let chosen = |set: u32| {
        let entries = all.iter().enumerate().filter(|(i, _)| (set >> i) & 1 == 1);
        entries.map(|(_, (key, value))| (key.clone(), value.clone())).collect()
    };
    (0..1 << all.len()).map(chosen).collect()
}

/// How many of its defaults a user writes changes neither the cell nor its first weights.
#[test]
fn a_default_may_be_written_or_left_out() {
    for entry in Registries::builtin().federation.models.iter() {
        let bare = cell(entry.name, &Map::new());
        for given in parts(&bare.model.params) {
            let spec = cell(entry.name, &given);
            assert_eq!(spec.id(), bare.id(), "{} with {given:?}", entry.name);
            let key = |spec: &CellSpec| stream_key::weights(&spec.task, &spec.model);
            assert_eq!(key(&spec), key(&bare), "{} with {given:?}", entry.name);
        }
    }
}

/// A default that depends on another parameter is that of the given one.
#[test]
fn a_head_brings_its_own_margin() {
    let of = |params: Value| cell("mobilefacenet", params.as_object().unwrap());
    let whole = of(json!({ "head": "arcface", "scale": 64, "margin": 0.5 }));
    assert_eq!(of(json!({ "head": "arcface" })).id(), whole.id());
    assert_ne!(of(json!({ "head": "cosface" })).id(), whole.id());
    assert_eq!(of(json!({ "head": "cosface" })).model.params["margin"], 0.35);
}

/// The same of a training, and of the weights themselves.
#[test]
fn a_training_starts_alike_however_its_model_is_written() {
    let start = |params: Value| {
        let mut spec = TrainSpec::new("t", "digits", "mlp");
        spec.model.params = params.as_object().unwrap().clone();
        let registries = &Registries::builtin().federation;
        let federation =
            federation::prepare(registries, &spec, None, &AtomicBool::new(false)).unwrap();
        let ModelSpec { params, .. } = &federation.spec.model;
        assert!(!params.is_empty(), "spelled out");
        let (spec, net) = (&federation.spec, &federation.net);
        let weights = init::weights(net, &spec.task, &spec.model, spec.seed).unwrap();
        (federation.spec.digest(), weights.flat(0))
    };
    let plain = start(json!({}));
    assert_eq!(start(json!({ "hidden": [128] })), plain);
    assert_ne!(start(json!({ "hidden": [64] })).0, plain.0);
}

/// The rooms above the registries: whoever looked a name up elsewhere would miss what was added.
const ROOMS: [&str; 3] = ["src", "federation/src", "cli/src"];
/// What would look it up elsewhere.
const ELSEWHERE: [&str; 8] = [
    "::ENTRIES",
    "::PROTOCOLS",
    "datasets::open(",
    "datasets::verify(",
    "Suite::load(",
    "Panel::open(",
    "suites::find(",
    "::builtin()",
];

#[test]
fn names_are_looked_up_in_the_given_registries_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<PathBuf> = ROOMS.iter().flat_map(|room| files(&root.join(room))).collect();
    assert!(files.len() > 50, "the sources were not found");
    for path in files {
        let own = ["registries.rs", "main.rs", "tests.rs"];
        if own.iter().any(|name| path.file_name().is_some_and(|n| n == *name)) {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for word in ELSEWHERE {
            assert!(!text.contains(word), "{} has {word}", path.display());
        }
    }
}

/// Every file below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
