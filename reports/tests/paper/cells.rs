//! Cells and the numbers of a paper, as its tests need them.

use record::testing::from_spec;
use record::{CellRecord, stats};
use std::collections::BTreeMap;
use suites::federation::{ClientsSpec, LocalSpec};
use suites::{CellSpec, FederationSpec, Named, Regime, Source, Vantage};

pub fn number(row: &BTreeMap<String, String>, key: &str) -> f64 {
    row[key].parse().unwrap_or_else(|_| panic!("{key} of {row:?}"))
}

pub fn noised(attack: &str, epsilon: Option<f64>, seed: u64) -> CellSpec {
    let mut spec = CellSpec::new("photos", "simple-cnn", attack);
    spec.trials = 4;
    spec.seed = seed;
    spec.defenses =
        epsilon.map(|e| Named::new("dp-local").with("epsilon", e)).into_iter().collect();
    spec
}

/// A cell whose task was trained under its defense and tested with 100 examples.
pub fn trained(mut spec: CellSpec, psnrs: &[f64], accuracy: f64) -> CellRecord {
    spec.federation = FederationSpec {
        rounds: 10,
        clients: ClientsSpec { total: 1, ..ClientsSpec::default() },
        local: LocalSpec { batch_size: 1, ..LocalSpec::default() },
        ..FederationSpec::new(Regime::Federated)
    };
    let mut record = from_spec(spec, psnrs);
    let task = [("trained_rounds", 8.0), ("trained_accuracy", accuracy), ("test_examples", 100.0)];
    record.task.extend(task.map(|(key, value)| (key.to_owned(), value)));
    record
}

/// As whoever sees the released sum alone.
pub fn of_sum(mut spec: CellSpec) -> CellSpec {
    (spec.source, spec.vantage) = (Source::AggUpdate, Vantage::Aggregate);
    spec
}

/// The same round, watched by another.
pub fn on_the_wire(mut spec: CellSpec) -> CellSpec {
    spec.vantage = Vantage::Eavesdropper;
    spec
}

pub fn ends(row: &BTreeMap<String, String>) -> (f64, f64) {
    (number(row, "low"), number(row, "high"))
}

pub fn wilson(successes: usize, tries: usize) -> (f64, f64) {
    let ci = stats::wilson(successes, tries).unwrap().ci.unwrap();
    (ci.low, ci.high)
}
