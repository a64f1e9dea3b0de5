//! What is kept of one cell: per-image raw scores and everything a reader needs to judge them.

use crate::number;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use suites::{CellId, CellSpec, Flag, Source, Vantage};

/// Scores of one image by metric name: `mse`, `psnr` (dB), `ssim`, `lpips-squeeze`, `lpips-alex`,
/// `lpips-vgg`, `label_match` (0 or 1), `fl-attack-psnr`, `fl-attack-ssim`.
///
/// `None` means not measured, with the reason in the record's notes. Infinite values are kept as
/// they are.
pub type Scores = BTreeMap<String, Option<f64>>;

/// One line of `cells.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellRecord {
    /// Identity of `spec`.
    pub id: CellId,
    /// The cell, fully spelled out.
    pub spec: CellSpec,
    /// How it ended.
    pub outcome: Outcome,
    /// In words: who attacked, what was seen, what was known.
    pub threat: String,
    /// The examples behind each signal, in the order of the captures; empty before the capture, and
    /// in records of old.
    #[serde(default)]
    pub signals: Vec<SignalRecord>,
    /// One entry per attacked image.
    pub images: Vec<ImageScore>,
    /// Null baselines by name (`grey`, `mean`, `noise`, `nearest`): scores in the order of
    /// `images`.
    #[serde(with = "number::baselines")]
    pub baselines: BTreeMap<String, Vec<Scores>>,
    /// Pictures among which an original was looked for, itself among them; `None` where nobody
    /// asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<usize>,
    /// The attacked model on the test split: `accuracy` in [0, 1], `loss`; and of the
    /// federation's last model, after `trained_rounds` rounds, `trained_accuracy` and
    /// `trained_loss`; `majority`, the accuracy of always naming the most frequent class. Nothing
    /// of a bare client.
    #[serde(with = "number::map")]
    pub task: BTreeMap<String, f64>,
    /// One note per defense, in the order of the spec.
    pub defenses: Vec<DefenseNote>,
    /// What the attack and the round cost, per trial.
    pub cost: Cost,
    /// The objective on its way, for a bounded number of iterations.
    pub trace: Vec<TracePoint>,
    /// Doubts about the whole cell, such as `zero-gradient: capture 0`.
    pub flags: Vec<Flag>,
    /// Reasons and remarks in words, such as why LPIPS is missing.
    pub notes: Vec<String>,
    /// Times; the only part that differs between two runs of one cell.
    pub wall: Wall,
}

/// The examples behind one captured signal, one entry each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalRecord {
    /// Places in the data set's split.
    pub ids: Vec<usize>,
    /// The client that holds each.
    pub clients: Vec<usize>,
    /// Its class; -1 where it has several labels at once.
    pub labels: Vec<i64>,
}

/// How a cell ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// The attack ran; `images` holds its scores.
    Done,
    /// The combination makes no sense, such as an attack that needs a fact which is not granted.
    NotApplicable {
        /// The reason, in words.
        why: String,
    },
    /// Something broke. Counts as a failed attack in success rates where the attack had begun.
    Failed {
        /// Where: `plan`, `training`, `capture`, `attack`, `scoring`, or `panic`.
        stage: String,
        /// What the program said.
        message: String,
    },
}

impl Outcome {
    /// Where it failed and what the program said, such as "attack: out of memory"; `None` of what
    /// did not fail.
    pub fn failure(&self) -> Option<String> {
        match self {
            Outcome::Failed { stage, message } => Some(format!("{stage}: {message}")),
            _ => None,
        }
    }
}

/// One attacked image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageScore {
    /// Trial, from 0.
    pub trial: usize,
    /// Place within the trial's batch, from 0.
    pub index: usize,
    /// Example id in the split.
    pub id: usize,
    /// Client that held it.
    pub client: usize,
    /// True label (multi-label: first positive, or -1).
    pub label: i64,
    /// The attack's guess of the label.
    pub guessed_label: Option<i64>,
    /// Scores of the reconstruction.
    #[serde(with = "number::scores")]
    pub scores: Scores,
    /// Doubts about this image, such as `worse-than-null`.
    pub flags: Vec<Flag>,
    /// Picture of the truth, relative to the run folder.
    pub truth_png: Option<String>,
    /// Picture of the reconstruction, relative to the run folder.
    pub guess_png: Option<String>,
}

/// What a defense promises and what it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefenseNote {
    /// Registry name.
    pub name: String,
    /// Such as "(epsilon = 8, delta = 1e-5)-DP per example", or "no guarantee".
    pub claim: String,
    /// `sigma`, `clip_factor`, `noise_to_signal`, `epsilon` and what else the defense measured.
    #[serde(with = "number::map")]
    pub values: BTreeMap<String, f64>,
    /// The adaptive attack registered against it, if any.
    pub adaptive: Option<String>,
}

/// Cost of one trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Bytes that one client sends in the captured round.
    pub bytes_up: u64,
    /// Bytes that one client receives in it, the next model included.
    pub bytes_down: u64,
    /// Bytes that all clients together send in it.
    #[serde(default)]
    pub bytes_up_all: u64,
    /// Bytes that all clients together receive in it.
    #[serde(default)]
    pub bytes_down_all: u64,
    /// Model gradients that the attack evaluated.
    pub gradient_evaluations: u64,
    /// Restarts of the attack.
    pub restarts: usize,
    /// Iterations, all restarts together.
    pub iterations: u64,
}

/// The objective at one iteration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TracePoint {
    /// Iteration, from 0.
    pub iteration: u64,
    /// Per trial: the objective of the best restart; `None` = not finite.
    #[serde(with = "number::list")]
    pub objective: Vec<Option<f64>>,
}

/// Times of one cell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wall {
    /// The whole cell, in seconds.
    pub seconds: f64,
    /// The attack alone, in seconds.
    pub attack_seconds: f64,
    /// Seconds by phase.
    pub phases: BTreeMap<String, f64>,
    /// Seconds by phase of the protocol in one captured round (a client's own work: mean over
    /// clients).
    #[serde(default)]
    pub rounds: BTreeMap<String, f64>,
    /// When the cell was finished, in seconds since 1970.
    pub finished_unix: u64,
}

impl CellRecord {
    /// Whether a resume leaves this cell alone: it is done, or cannot apply.
    pub fn settled(&self) -> bool {
        !matches!(self.outcome, Outcome::Failed { .. })
    }

    /// Examples behind all signals: those recorded, or in records of old, which have none, as many
    /// as their spec says.
    pub(crate) fn examples(&self) -> usize {
        if !self.signals.is_empty() {
            return self.signals.iter().map(|s| s.ids.len()).sum();
        }
        let (clients, batch) =
            (&self.spec.federation.clients, self.spec.federation.local.batch_size);
        let local = clients.examples.unwrap_or(batch);
        let each = match self.spec.source {
            Source::Gradients | Source::OneStepUpdate => batch,
            Source::LocalUpdate => local,
            Source::AggUpdate => {
                let seen = self.spec.federation.cohort().saturating_sub(self.colluders());
                local.saturating_mul(seen)
            }
        };
        self.spec.trials.saturating_mul(each)
    }

    /// Clients whose own updates the adversary knows, and does not attack.
    fn colluders(&self) -> usize {
        match self.spec.vantage {
            Vantage::Colluding { k } => k,
            _ => 0,
        }
    }

    /// Images that an attack was let loose on and gave nothing for: all of the cell where the
    /// attack failed. A cell that failed before its attack began (data, training, a defense) says
    /// nothing about the attack and loses none.
    pub fn lost_images(&self) -> usize {
        match &self.outcome {
            Outcome::Failed { stage, .. } if stage == "attack" || stage == "panic" => {
                self.examples().saturating_sub(self.images.len())
            }
            _ => 0,
        }
    }

    /// The metric `name` of every image, in the order of `images`.
    pub fn scores(&self, name: &str) -> Vec<Option<f64>> {
        self.images.iter().map(|image| image.scores.get(name).copied().flatten()).collect()
    }

    /// Names of all metrics that any image carries, sorted.
    pub fn metrics(&self) -> Vec<&str> {
        let names: std::collections::BTreeSet<_> =
            self.images.iter().flat_map(|i| i.scores.keys()).collect();
        names.into_iter().map(String::as_str).collect()
    }
}
