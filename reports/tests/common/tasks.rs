//! A synthetic run of tasks x defenses with federations trained, and of one attack along a
//! training.

use record::testing::{from_spec, info};
use record::{CellRecord, DefenseNote, Outcome, RunStore};
use std::path::Path;
use suites::federation::{ClientsSpec, LocalSpec};
use suites::{BatchNorm, CellSpec, FederationSpec, Named, Regime};

/// Writes the run to `dir` (new or empty).
pub fn write(dir: &Path) {
    let mut records = Vec::new();
    for (task, top) in [("digits", 0.95), ("wdbc", 0.97)] {
        for attack in ["inverting-gradients", "adaptive-matching"] {
            records.extend(defenses().into_iter().map(|d| defended(task, top, attack, d)));
        }
    }
    diverged(&mut records);
    for mode in [BatchNorm::Train, BatchNorm::Eval] {
        for attack in ["inverting-gradients", "fl-attack"] {
            records.extend([0, 1, 5, 20].map(|rounds| trained(attack, mode, rounds)));
        }
    }
    let mut info = info("[suite]\nname = \"tasks\"\n");
    info.suite.cells = records.iter().map(|r| r.id.clone()).collect();
    let mut store = RunStore::create(dir, info).unwrap();
    records.iter().for_each(|record| store.append(record).unwrap());
}

/// Defense, what it leaves of the attack, and what it leaves of the accuracy.
fn defenses() -> Vec<(Option<Named>, f64, f64)> {
    let dp = |name: &str, epsilon: f64| {
        Some(Named::new(name).with("epsilon", epsilon).with("delta", 1e-5))
    };
    vec![
        (None, 1.0, 1.0),
        (Some(Named::new("prune").with("fraction", 0.9)), 0.8, 0.99),
        (dp("dp-local", 10.0), 0.35, 0.55),
        (dp("dp-local", 100.0), 0.75, 0.9),
        (dp("dp-sgd", 3.0), 0.3, 0.85),
        (dp("dp-sgd", 30.0), 0.5, 0.93),
        (Some(Named::new("secagg")), 0.25, 1.0),
        (Some(Named::new("ckks")), 0.25, 0.995),
    ]
}

fn defended(
    task: &str,
    top: f64,
    attack: &str,
    (defense, leak, worth): (Option<Named>, f64, f64),
) -> CellRecord {
    let mut spec = CellSpec::new(task, "simple-cnn", attack);
    spec.trials = 8;
    spec.federation = FederationSpec {
        rounds: 8,
        clients: ClientsSpec { total: 1, ..ClientsSpec::default() },
        local: LocalSpec { batch_size: 1, ..LocalSpec::default() },
        ..FederationSpec::new(Regime::Federated)
    };
    spec.defenses = defense.iter().cloned().collect();
    let peak = 14.0 + 16.0 * leak + if attack == "adaptive-matching" { 2.0 } else { 0.0 };
    let psnrs: Vec<f64> = (0..8).map(|i| peak + 1.5 * (f64::from(i) - 3.5)).collect();
    let mut record = from_spec(spec, &psnrs);
    for (name, value) in
        [("trained_rounds", 8.0), ("trained_accuracy", top * worth), ("test_examples", 360.0)]
    {
        record.task.insert(name.into(), value);
    }
    if let Some(defense) = defense {
        let epsilon = defense.params.get("epsilon").and_then(serde_json::Value::as_f64);
        record.defenses.push(DefenseNote {
            name: defense.name.clone(),
            claim: "a claim".into(),
            values: epsilon.map(|e| ("epsilon".to_owned(), e)).into_iter().collect(),
            adaptive: (defense.name != "secagg").then(|| "adaptive-matching".into()),
        });
    }
    record
}

/// One training diverged, one attack failed, and one cell broke before its attack.
fn diverged(records: &mut [CellRecord]) {
    let of = |task: &'static str, name: &'static str| {
        move |r: &&mut CellRecord| {
            r.spec.task.dataset == task && r.spec.defenses.iter().any(|d| d.name == name)
        }
    };
    for record in records.iter_mut().filter(of("wdbc", "prune")) {
        record.task.remove("trained_accuracy");
        record.notes.push(
            "utility not measured: training diverged in round 3 (NaN or infinite weights)".into(),
        );
    }
    for record in records.iter_mut().filter(of("digits", "ckks")) {
        let stage =
            if record.spec.attack.name == "adaptive-matching" { "attack" } else { "capture" };
        record.outcome = Outcome::Failed { stage: stage.into(), message: "out of memory".into() };
        record.images.clear();
    }
}

fn trained(attack: &str, mode: BatchNorm, rounds: usize) -> CellRecord {
    let mut spec = CellSpec::new("photos", "convnet64", attack);
    spec.trials = 8;
    spec.model.batch_norm = mode;
    spec.federation = FederationSpec {
        rounds: 21,
        clients: ClientsSpec { total: 1, ..ClientsSpec::default() },
        local: LocalSpec { batch_size: 1, ..LocalSpec::default() },
        ..FederationSpec::new(Regime::Federated)
    };
    spec.capture.round = rounds;
    let gone = (1.0 + rounds as f64).ln();
    let peak = 26.0 - 3.0 * gone + if mode == BatchNorm::Eval { 2.5 } else { 0.0 }
        - if attack == "fl-attack" { 2.0 } else { 0.0 };
    let psnrs: Vec<f64> = (0..8).map(|i| peak + 0.9 * (f64::from(i) - 3.5)).collect();
    let mut record = from_spec(spec, &psnrs);
    record.task.insert("accuracy".into(), 0.25 + 0.2 * gone);
    record.task.insert("test_examples".into(), 200.0);
    record
}
