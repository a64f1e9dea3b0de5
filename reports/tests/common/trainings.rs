//! Synthetic trainings with everything that their report can show.

use record::rounds::ROUNDS;
use record::{RoundRecord, TrainingInfo, write_rounds};
use std::path::Path;

/// Twelve rounds, evaluated every second one, with privacy and a dropout where `private`.
pub fn rounds(ceiling: f64, private: bool) -> Vec<RoundRecord> {
    let round = |at: usize| {
        let gone = 1.0 - (-(at as f64) / 4.0).exp();
        let accuracy = 0.1 + (ceiling - 0.1) * gone;
        let scores = [
            ("accuracy", accuracy),
            ("macro_f1", accuracy - 0.02 * (1.0 - gone)),
            ("auc", 0.5 + 0.5 * gone * ceiling),
            ("loss", 2.3 * (1.0 - 0.9 * gone) / ceiling),
            ("examples", 1000.0),
            ("majority", 0.1135),
        ];
        let dropped = private && at % 5 == 3;
        RoundRecord {
            round: at,
            clients: if at == 0 { 0 } else { 5 },
            survivors: if at == 0 { 0 } else { 5 - usize::from(dropped) },
            metrics: scores
                .into_iter()
                .filter(|_| at.is_multiple_of(2))
                .map(|(k, v)| (k.to_owned(), v))
                .collect(),
            train_loss: (at > 0).then(|| 2.1 * (1.0 - 0.95 * gone) / ceiling),
            lr: 0.1 * 0.95f64.powi(at as i32),
            bytes_up: if at == 0 { 0 } else { 5 * 1_200_000 },
            bytes_down: if at == 0 { 0 } else { 5 * 1_300_000 },
            seconds: if at == 0 { 0.0 } else { 2.25 },
            epsilon: (private && at > 0).then(|| 1.5 * (at as f64).sqrt()),
            delta: private.then_some(1e-5),
            failures: if dropped {
                vec![format!("client {} dropped out", at % 4)]
            } else {
                Vec::new()
            },
        }
    };
    (0..=12).map(round).collect()
}

/// What goes with them.
pub fn about() -> TrainingInfo {
    let facts = [
        ("task", "mnist-cnn"),
        ("model", "cnn, 421,642 parameters"),
        ("defenses", "dp-sgd: (8, 1e-5)-DP | per example"),
    ];
    let robustness = [
        ("gaussian noise", 0.1, 0.93, 0.979),
        ("gaussian noise", 0.3, 0.81, 0.853),
        ("blur", 1.0, 0.9, 0.947),
        ("pgd", 0.031, 0.4, 0.42),
    ];
    TrainingInfo {
        title: "Training of mnist-cnn".into(),
        command: "bench train mnist-cnn".into(),
        facts: facts.map(|(k, v)| (k.into(), v.into())).to_vec(),
        robustness: robustness.map(|(k, s, a, r)| (k.into(), s, a, r)).to_vec(),
        notes: vec!["the test split was subsampled to 2,000 examples".into()],
    }
}

/// Writes the rounds where a training has them.
pub fn write(dir: &Path, rounds: &[RoundRecord]) {
    write_rounds(&dir.join(ROUNDS), rounds).unwrap();
}
