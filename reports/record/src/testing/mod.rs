//! Synthetic records, for tests of what reads records.

pub mod nights;

use crate::{
    CellRecord, Cost, ImageScore, Outcome, RunInfo, SCHEMA, Scores, SuiteInfo, TracePoint, Wall,
};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use suites::{CellSpec, Named};

/// Bits of the cap that tests have put in the place of PSNR's own; 0 where they have not.
static CAP: AtomicU64 = AtomicU64::new(0);

/// Caps the PSNR of every mean of this process at `cap` dB, to see what takes its numbers from
/// [`crate::aggregate`]; `None` is its own cap again.
pub fn cap_psnr_at(cap: Option<f64>) {
    CAP.store(cap.map_or(0, f64::to_bits), Ordering::SeqCst);
}

pub(crate) fn psnr_cap() -> Option<f64> {
    Some(f64::from_bits(CAP.load(Ordering::SeqCst))).filter(|cap| *cap != 0.0)
}

/// The description of a run of a suite with this text.
pub fn info(text: &str) -> RunInfo {
    RunInfo {
        schema: SCHEMA.into(),
        bench_version: "0.1.0".into(),
        suite: SuiteInfo {
            name: "demo".into(),
            text: text.into(),
            version: "1".into(),
            ..Default::default()
        },
        libtorch: "2.11.0 (cpu)".into(),
        device: "cpu".into(),
        machine: "Linux, 2 cores".into(),
        processor: String::new(),
        overrides: Vec::new(),
        shard: None,
        command: "bench suite demo".into(),
        resume: "bench suite demo --out runs/demo".into(),
        elsewhere: Vec::new(),
        metrics: Vec::new(),
        streams: suites::stream_key::VERSION,
    }
}

/// Scores of one image from its PSNR.
pub fn scores(psnr: f64) -> Scores {
    let mse = 10f64.powf(-psnr / 10.0);
    let pairs =
        [("psnr", psnr), ("mse", mse), ("ssim", (psnr / 40.0).min(1.0)), ("label_match", 1.0)];
    pairs
        .into_iter()
        .map(|(k, v)| (k.to_owned(), Some(v)))
        .chain([("lpips-squeeze".to_owned(), None)])
        .collect()
}

/// A finished cell of `attack` at `seed` with these PSNRs, one image a trial.
pub fn record(attack: &str, seed: u64, psnrs: &[f64]) -> CellRecord {
    let mut spec = CellSpec::new("photos", "simple-cnn", attack);
    spec.trials = psnrs.len();
    spec.seed = seed;
    spec.attack = Named::new(attack).with("iterations", 300);
    from_spec(spec, psnrs)
}

/// A finished cell of `spec` with these PSNRs, laid out trial by trial.
pub fn from_spec(spec: CellSpec, psnrs: &[f64]) -> CellRecord {
    let batch = spec.federation.local.batch_size;
    let image = |at: usize, psnr: f64| ImageScore {
        trial: at / batch,
        index: at % batch,
        id: at,
        client: (at / batch) % spec.federation.clients.total,
        label: 3,
        guessed_label: Some(3),
        scores: scores(psnr),
        flags: Vec::new(),
        truth_png: None,
        guess_png: None,
    };
    let null = |psnr: f64| psnrs.iter().map(|_| scores(psnr)).collect::<Vec<_>>();
    CellRecord {
        id: spec.id(),
        outcome: Outcome::Done,
        threat: "An honest-but-curious server sees one client's gradient.".into(),
        signals: Vec::new(),
        images: psnrs.iter().enumerate().map(|(at, psnr)| image(at, *psnr)).collect(),
        baselines: [("grey", 9.0), ("mean", 11.5), ("noise", 5.0), ("nearest", 13.0)]
            .into_iter()
            .map(|(k, v)| (k.into(), null(v)))
            .collect(),
        candidates: None,
        task: BTreeMap::from([("accuracy".into(), 0.5)]),
        defenses: Vec::new(),
        cost: Cost {
            bytes_up: 35_000_000,
            bytes_down: 35_000_000,
            bytes_up_all: 350_000_000,
            bytes_down_all: 350_000_000,
            gradient_evaluations: 300,
            restarts: 1,
            iterations: 300,
        },
        trace: (0..4)
            .map(|i| TracePoint {
                iteration: i * 100,
                objective: vec![Some(0.1 / (1 + i) as f64); spec.trials],
            })
            .collect(),
        flags: Vec::new(),
        notes: vec!["lpips-squeeze: weights absent".into()],
        wall: Wall {
            seconds: 12.5,
            attack_seconds: 10.0,
            phases: BTreeMap::new(),
            rounds: BTreeMap::new(),
            finished_unix: 1_700_000_000,
        },
        spec,
    }
}
