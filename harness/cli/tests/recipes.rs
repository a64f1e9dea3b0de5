//! The recipes of CONTRIBUTING.md, walked: each is one new file and one line that registers it, and
//! then `bench` lists, checks, runs and scores it.

#[path = "../../../attacks/tests/worked_example/coarse_to_fine.rs"]
mod coarse_to_fine;

#[path = "../../../datasets/tests/worked_example/stripes.rs"]
mod stripes;

#[path = "../../../defenses/tests/worked_example/clamp.rs"]
mod clamp;

#[path = "../../metrics/tests/worked_example/mae.rs"]
mod mae;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use cli::cli::Cli;
use cli::verbs::dispatch;
use harness::Registries;
use record::{CellRecord, Outcome};
use suites::{CellSpec, SpecError, Suite, SuiteEntry};

static SUITE: SuiteEntry = SuiteEntry {
    name: "recipes",
    text: include_str!("../../../suites/tests/worked_example/recipes.toml"),
};

/// One line a recipe.
fn registries() -> Result<Registries, SpecError> {
    Registries::builtin()
        .with_attack(&coarse_to_fine::ENTRY)?
        .with_defense(&clamp::ENTRY)?
        .with_dataset(&stripes::ENTRY)?
        .with_metric(&mae::ENTRY)?
        .with_suite(&SUITE)
}

fn bench(args: &[&str]) -> ExitCode {
    let all = ["bench", "--device", "cpu", "--json"].iter().chain(args);
    dispatch(&Cli::try_parse_from(all).unwrap(), registries().unwrap()).unwrap()
}

/// The records of the suite, run once.
fn records(dir: &Path) -> Vec<CellRecord> {
    let code = bench(&["suite", "recipes", "--jobs", "1", "--out", dir.to_str().unwrap()]);
    assert_eq!(code, ExitCode::SUCCESS);
    record::store::read_records(dir).unwrap()
}

fn mean(record: &CellRecord, metric: &str) -> f64 {
    let scores: Vec<f64> = record.images.iter().map(|i| i.scores[metric].unwrap()).collect();
    scores.iter().sum::<f64>() / scores.len() as f64
}

#[test]
fn what_the_recipes_add_runs_in_a_suite() {
    assert_eq!(bench(&["check", "recipes"]), ExitCode::SUCCESS);
    let dir = tempfile::tempdir().unwrap();
    let records = records(dir.path());
    let [plain, defended] = &records[..] else { panic!("{} records", records.len()) };
    for record in &records {
        assert_eq!(record.outcome, Outcome::Done, "{}", record.id);
        assert_eq!((record.images.len(), record.spec.task.dataset.as_str()), (2, "stripes"));
        assert_eq!(record.spec.attack.params["tv_weight"], 0.01, "defaults are spelled out");
        // Root mean square is never below mean magnitude.
        assert!(mean(record, "mae") <= mean(record, "mse").sqrt() + 1e-6, "{}", record.id);
    }
    assert!(mean(plain, "mae") < grey(plain), "the attack sees the stripes");
    assert_eq!((plain.defenses.len(), defended.defenses.len()), (0, 1));
    let note = &defended.defenses[0];
    assert!(note.name == "clamp" && note.values["relative_error"] > 0.0, "{note:?}");
    assert_eq!(defended.spec.defenses[0].params["limit"], 0.001);
    assert!(mean(defended, "mae") > mean(plain, "mae"), "clamping hides something");
}

/// Mean absolute error of the grey image, beside which an attack is judged.
fn grey(record: &CellRecord) -> f64 {
    let grey = &record.baselines["grey"];
    grey.iter().map(|scores| scores["mae"].unwrap()).sum::<f64>() / grey.len() as f64
}

#[test]
fn every_registry_suggests_what_was_added() {
    let registries = registries().unwrap();
    let parts = &registries.federation;
    assert!(registries.attacks.find("coarse-to-fin").err().unwrap().to_string().contains("fine`?"));
    let said = |items: &[suites::Named]| {
        let built = defenses::pipeline::build(&parts.defenses, items);
        built.err().map_or("built".into(), |e| e.to_string())
    };
    assert!(said(&[suites::Named::new("clmp")]).contains("did you mean `clamp`?"));
    assert_eq!(said(&[suites::Named::new("clamp"), suites::Named::new("secagg")]), "built");
    let request = datasets::Request::default();
    let unknown = datasets::open_from(&parts.datasets, "strips", &request).err().unwrap();
    assert!(unknown.to_string().contains("stripes"), "{unknown}");
    assert!(registries.metrics.names().any(|name| name == "mae"));
    let suite = Suite::load_from(&registries.suites, "recipe", None, &[]).err().unwrap();
    assert!(suite.to_string().contains("did you mean `recipes`?"), "{suite}");
}

#[test]
fn the_data_set_is_sound() {
    let sets = &registries().unwrap().federation.datasets;
    let report = datasets::verify_from(sets, "stripes", &datasets::Request::default()).unwrap();
    assert!(report.is_sound(), "{:?}", report.problems);
    let [train, val, test] = &report.splits[..] else { panic!("{} splits", report.splits.len()) };
    assert_eq!((train.examples, val.examples, test.examples), (64, 16, 32));
    assert_eq!(train.per_class, [16; 4]);
}

#[test]
fn what_is_not_added_is_not_known() {
    let mut spec = CellSpec::new("stripes", "lenet-zhu", "coarse-to-fine");
    let error = harness::resolve::spell_out(&Registries::builtin(), &mut spec).unwrap_err();
    assert!(error.to_string().starts_with("unknown attack `coarse-to-fine`"), "{error}");
    harness::resolve::spell_out(&registries().unwrap(), &mut spec).unwrap();
}

#[test]
fn a_name_is_taken_once_and_for_all_kinds_of_a_list() {
    static SECAGG: suites::Entry<dyn defenses::Defense> = suites::Entry {
        name: "secagg",
        summary: "",
        reference: "",
        build: |_| Ok(Box::new(clamp::Clamp::default())),
    };
    let said = |of: Result<Registries, SpecError>| of.err().unwrap().to_string();
    let twice = said(registries().unwrap().with_attack(&coarse_to_fine::ENTRY));
    assert_eq!(twice, "attack `coarse-to-fine`: is registered already; give it another name");
    let hidden = said(Registries::builtin().with_defense(&SECAGG));
    assert_eq!(hidden, "protocol `secagg`: is registered already; give it another name");
}

/// The document sends a reader to these files, and to nothing that is not there.
#[test]
fn contributing_names_the_worked_examples() {
    let text = include_str!("../../../CONTRIBUTING.md");
    for file in [
        "attacks/tests/worked_example/coarse_to_fine.rs",
        "defenses/tests/worked_example/clamp.rs",
        "datasets/tests/worked_example/stripes.rs",
        "harness/metrics/tests/worked_example/mae.rs",
        "suites/tests/worked_example/recipes.toml",
    ] {
        assert!(text.contains(file), "CONTRIBUTING.md does not name {file}");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = text.split('`').filter(|word| word.ends_with(".rs") || word.ends_with(".toml"));
    let fixed = files.filter(|word| word.contains('/') && !word.contains(['*', ' ']));
    for file in fixed.filter(|word| !word.contains("NAME") && !word.contains("path/to")) {
        assert!(root.join(file).is_file(), "CONTRIBUTING.md names {file}, which is not there");
    }
}
