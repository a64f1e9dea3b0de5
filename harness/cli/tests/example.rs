//! `examples/own-attack-and-model`, which is outside the workspace: its two files and its suite in
//! this program, and its lock file beside the workspace's. `ci/example` builds the crate itself.

#[path = "../../../examples/own-attack-and-model/src/attack.rs"]
mod attack;

#[path = "../../../examples/own-attack-and-model/src/model.rs"]
mod model;

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Parser;
use cli::cli::Cli;
use cli::verbs::dispatch;
use harness::Registries;
use record::Outcome;
use suites::SuiteEntry;

static SUITE: SuiteEntry = SuiteEntry {
    name: "own",
    text: include_str!("../../../examples/own-attack-and-model/own.toml"),
};

#[test]
fn the_example_runs_its_suite() {
    let registries = Registries::builtin().with_attack(&attack::ENTRY).unwrap();
    let registries = registries.with_model(&model::ENTRY).unwrap().with_suite(&SUITE).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().to_str().unwrap();
    let args = ["bench", "--device", "cpu", "--json", "suite", "own", "--jobs", "1", "--out", out];
    let code = dispatch(&Cli::try_parse_from(args).unwrap(), registries).unwrap();
    assert_eq!(code, ExitCode::SUCCESS);
    let records = record::store::read_records(dir.path()).unwrap();
    let attacks: Vec<&str> = records.iter().map(|r| r.spec.attack.name.as_str()).collect();
    assert_eq!(attacks, ["analytic", "polish"]);
    for record in &records {
        assert_eq!((&record.outcome, record.images.len()), (&Outcome::Done, 4));
        assert_eq!(record.spec.model.name, "tanh-mlp");
        assert_eq!(record.spec.model.params["width"], 64, "defaults are spelled out");
    }
    // The closed form is the image itself, to rounding; polishing must not lose it.
    let mse = |i: usize| records[i].images.iter().map(|image| image.scores["mse"].unwrap());
    assert!(mse(0).chain(mse(1)).all(|mse| mse < 1e-4), "{:?}", mse(1).collect::<Vec<_>>());
}

/// Name and version of every package of a lock file.
fn packages(lock: &str) -> BTreeSet<(String, String)> {
    let lock: toml::Table = lock.parse().unwrap();
    let text = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
    let packages = lock["package"].as_array().unwrap();
    packages.iter().map(|p| (text(p, "name"), text(p, "version"))).collect()
}

#[test]
fn the_examples_lock_file_agrees_with_the_workspaces() {
    let own = packages(include_str!("../../../examples/own-attack-and-model/Cargo.lock"));
    let all = packages(include_str!("../../../Cargo.lock"));
    let more: Vec<_> = own.difference(&all).map(|(name, _)| name.as_str()).collect();
    assert_eq!(more, ["own-attack-and-model"], "run `cargo update` there to agree");
    assert!(own.len() > 100, "{} packages", own.len());
}
