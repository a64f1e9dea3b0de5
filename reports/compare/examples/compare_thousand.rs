//! Seconds to compare two runs of 1,000 cells of 8 images each: reading both folders, every test
//! and interval, all three outputs.
//!
//! `cargo run --release -p compare --example compare_thousand [BASE NEW]`; without arguments a pair
//! is made in a temporary folder.

use compare::{Pairing, Side};
use record::{CellRecord, Cost, ImageScore, Outcome, RunInfo, SuiteInfo, TracePoint, Wall};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
use suites::{CellSpec, Gate, Named};

const CELLS: u64 = 1000;
const IMAGES: usize = 8;
const METRICS: [&str; 9] = [
    "fl-attack-psnr",
    "fl-attack-ssim",
    "label_match",
    "lpips-alex",
    "lpips-squeeze",
    "lpips-vgg",
    "mse",
    "psnr",
    "ssim",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scratch = tempfile::tempdir()?;
    let given: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    let (base, new) = match given.as_slice() {
        [base, new] => (base.clone(), new.clone()),
        _ => (made(scratch.path(), "base", 0.0)?, made(scratch.path(), "new", 1.0)?),
    };
    let start = Instant::now();
    let (a, b) = (Side::open(&base)?, Side::open(&new)?);
    let read = start.elapsed();
    let found = compare::compare(
        &a,
        &b,
        &Gate::of_suite_text("suite", b.suite_text())?,
        Pairing::SameSeed,
    )?;
    let compared = start.elapsed();
    let json = serde_json::to_string(&found.json())?;
    let sizes = (found.terminal().len(), found.markdown().len(), json.len());
    println!("{}", found.terminal());
    let file = scratch.path().join("baseline.json");
    let baseline = compare::write_baseline(&base, &file)?;
    println!(
        "{} cells, {} tests; bytes of text, Markdown, JSON: {sizes:?}",
        found.counts.common,
        found.effects.len()
    );
    println!(
        "baseline: {} bytes for {} cells, {} images",
        baseline.bytes, baseline.cells, baseline.images
    );
    println!("read {read:.2?}, compared {:.2?}, all {:.2?}", compared - read, start.elapsed());
    Ok(())
}

/// A run folder in which every score differs from the other run's.
fn made(dir: &Path, name: &str, shift: f64) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let dir = dir.join(name);
    let records: Vec<CellRecord> = (0..CELLS).map(|at| record(at, shift)).collect();
    let lines: Result<Vec<String>, _> = records.iter().map(serde_json::to_string).collect();
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("cells.jsonl"), lines?.join("\n") + "\n")?;
    std::fs::write(dir.join("run.json"), serde_json::to_string(&info(&records))?)?;
    Ok(dir)
}

fn info(records: &[CellRecord]) -> RunInfo {
    RunInfo {
        schema: record::SCHEMA.into(),
        bench_version: "0.1.0".into(),
        suite: SuiteInfo {
            name: "thousand".into(),
            cells: records.iter().map(|r| r.id.clone()).collect(),
            ..SuiteInfo::default()
        },
        libtorch: "2.11.0 (cpu)".into(),
        device: "cpu".into(),
        machine: "any".into(),
        ..RunInfo::default()
    }
}

fn record(at: u64, shift: f64) -> CellRecord {
    let mut spec = CellSpec::new(
        "photos",
        "lenet-zhu",
        ["dlg", "idlg", "fl-attack", "analytic", "gan"][at as usize % 5],
    );
    spec.trials = IMAGES;
    spec.seed = at / 25;
    let defense = ["none", "prune", "quantise", "dp-local", "dp-sgd"][at as usize / 5 % 5];
    spec.defenses = if defense == "none" {
        Vec::new()
    } else {
        vec![Named::new(defense).with("strength", 0.5)]
    };
    let scores = |image: usize| -> BTreeMap<String, Option<f64>> {
        let value = |m: usize| {
            20.0 + ((at as usize * 31 + image * 7 + m) as f64 + 0.37 * shift).sin() * 5.0
        };
        METRICS.iter().enumerate().map(|(m, name)| ((*name).to_owned(), Some(value(m)))).collect()
    };
    let image = |trial: usize| ImageScore {
        trial,
        index: 0,
        id: spec.seed as usize * 10 + trial,
        client: 0,
        label: 1,
        guessed_label: Some(1),
        scores: scores(trial),
        flags: Vec::new(),
        truth_png: Some(format!("artifacts/{at}/trial-{trial}-0-truth.png")),
        guess_png: Some(format!("artifacts/{at}/trial-{trial}-0-guess.png")),
    };
    let images: Vec<ImageScore> = (0..IMAGES).map(image).collect();
    let nulls = ["grey", "mean", "noise", "nearest"]
        .map(|n| (n.to_owned(), images.iter().map(|i| i.scores.clone()).collect()));
    let trace = |i: u64| TracePoint {
        iteration: i * 10,
        objective: vec![Some(1.0 / (i + 1) as f64); IMAGES],
    };
    CellRecord {
        id: spec.id(),
        outcome: Outcome::Done,
        threat: "An honest-but-curious server sees the gradient of one image.".into(),
        signals: Vec::new(),
        images,
        baselines: nulls.into(),
        candidates: None,
        task: BTreeMap::from([("accuracy".into(), 0.5)]),
        defenses: Vec::new(),
        cost: Cost {
            gradient_evaluations: 300,
            bytes_up: 1000,
            bytes_down: 1000,
            ..Cost::default()
        },
        trace: (0..100).map(trace).collect(),
        flags: Vec::new(),
        notes: Vec::new(),
        wall: Wall { seconds: 10.0 + shift * 0.1, attack_seconds: 9.0, ..Wall::default() },
        spec,
    }
}
