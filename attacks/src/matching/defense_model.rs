//! What an adversary who knows the defenses changes in the match.

use learning::Observation;
use serde::{Deserialize, Serialize};

use super::entry_constraint::masked_weight;
use super::objective::Objective;
use crate::AttackError;
use crate::undo::Undo;

/// How a candidate's gradient is led through what the captured one went through. The default
/// changes nothing.
///
/// All numbers are in the units of the gradient that the signal stands for: an update's are divided
/// by its [`super::signal::step_scale`] first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DefenseModel {
    /// Only entries that the signal holds (are not zero in it) are matched.
    pub kept: bool,
    /// What of the last layer is left out.
    pub masked: Option<Masked>,
    /// What the signal tells about each entry.
    pub values: Values,
    /// Share of each tensor's entries, the smallest, that was zeroed before noise hid which they
    /// were.
    pub pruned: Option<f64>,
    /// How the gradient was scaled down.
    pub clip: Option<Clip>,
    /// Noise in every entry, and the prior that is weighed against it.
    pub noise: Option<Noise>,
    /// Draws of the model's random buffers that an evaluation averages over; 0 to leave them as
    /// broadcast.
    pub draws: usize,
    /// Labels are mixtures of classes.
    pub mixed: bool,
    /// What is undone on the matched examples, in the order in which it was done to them.
    pub undo: Vec<Undo>,
    /// What was adapted, in words; empty where nothing was.
    pub notes: Vec<String>,
}

/// What of the last layer, where it is linear, is left out of the match because its columns may
/// have been masked.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Masked {
    /// Columns that are zero in the signal.
    #[default]
    Columns,
    /// Its whole weight.
    Layer,
}

/// What a captured value tells about the value it was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Values {
    /// The value itself.
    #[default]
    Exact,
    /// The value itself, and of one that was zeroed, that its magnitude is at most the least that
    /// the tensor kept.
    Largest,
    /// A cell around it, one of `2^bits - 1` between the tensor's extremes.
    Cells {
        /// Bits of a value.
        bits: u32,
    },
    /// A neighbour on the grid of its bucket, drawn so that it is right on average.
    Rounded {
        /// Levels beside zero.
        levels: f64,
        /// Consecutive values that share a grid; 0 for a whole tensor.
        bucket: i64,
    },
    /// The value, but only that it is beyond where its magnitude reaches this.
    Censored {
        /// Largest magnitude that was let through.
        at: f64,
    },
    /// Its sign.
    Signs,
}

/// How a gradient `g` was scaled down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// By `min(1, at / |g|_2)`.
    L2 {
        /// Largest Euclidean norm.
        at: f64,
    },
    /// By `min(1, at / |g|_1)`.
    L1 {
        /// Largest sum of magnitudes.
        at: f64,
    },
    /// By an unknown factor of at most 1: the likeliest is taken.
    Unknown,
}

/// Law of the noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Normal; the scale is its standard deviation. The negative log-likelihood is `|G - g|_2^2 /
    /// (2 scale^2)`.
    Gaussian,
    /// Laplace; the scale is its `b`. The negative log-likelihood is `|G - g|_1 / scale`.
    Laplace,
}

/// Additive noise of known law, and the image prior that its likelihood is weighed against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// Law.
    pub law: Law,
    /// Its scale on each entry.
    pub scale: f64,
    /// Mean magnitude `d` of the difference of neighbouring normalised pixels; the prior's negative
    /// logarithm is their sum over `d`.
    pub contrast: f64,
}

impl Noise {
    /// Its standard deviation on an entry.
    pub fn standard_deviation(&self) -> f64 {
        match self.law {
            Law::Gaussian => self.scale,
            Law::Laplace => self.scale * 2f64.sqrt(),
        }
    }
}

impl DefenseModel {
    /// Whether candidates' gradients are compared as they are: nothing differs but what labels may
    /// be, and what is undone afterwards.
    pub fn compares_plainly(&self) -> bool {
        let (undo, notes) = (Vec::new(), Vec::new());
        DefenseModel { mixed: false, undo, notes, ..self.clone() } == DefenseModel::default()
    }

    /// Whether values were given random signs, so that examples are no pictures and lie in no box.
    pub fn flips(&self) -> bool {
        self.undo.iter().any(|u| matches!(u, Undo::Mixtures { of, .. } if of.flipped))
    }

    /// The same for whoever undoes nothing.
    pub fn without_undo(self) -> DefenseModel {
        DefenseModel { undo: Vec::new(), ..self }
    }

    /// What of it concerns the examples and not their gradient.
    pub fn of_examples(self) -> DefenseModel {
        DefenseModel { mixed: self.mixed, undo: self.undo, ..DefenseModel::default() }
    }

    /// The same for an attack of that objective: where nothing but a clip is known, one that
    /// compares directions alone has nothing to allow for.
    pub fn for_objective(mut self, own: Objective) -> DefenseModel {
        if self.noise.is_some() || self.clip.is_none() {
            return self;
        }
        let distance = self.objective().unwrap_or(own);
        if self.values == Values::Signs || distance.sees_directions_only() {
            self.clip = None;
        } else {
            self.notes.push("clipped as the clients were".into());
        }
        self
    }

    /// The matched parameters of the selected ones.
    ///
    /// # Errors
    /// When none is left.
    pub(super) fn select(
        &self,
        seen: &Observation,
        mut selected: Vec<usize>,
    ) -> Result<Vec<usize>, AttackError> {
        if self.masked == Some(Masked::Layer) {
            let layout = seen.net.layout();
            let left_out = masked_weight(layout);
            let trainable = layout.trainable();
            selected.retain(|&i| Some(&layout.specs()[trainable[i]].name) != left_out.as_ref());
        }
        if selected.is_empty() {
            Err(AttackError::NotApplicable("nothing but the masked layer would be matched".into()))
        } else {
            Ok(selected)
        }
    }

    /// Whether single entries are treated, so that gradients must be formed.
    pub(super) fn needs_entries(&self) -> bool {
        self.kept || self.masked.is_some() || self.values != Values::Exact || self.pruned.is_some()
    }

    /// The distance that the likelihood asks for, where one does; it is then measured relative to
    /// the signal.
    pub(super) fn objective(&self) -> Option<Objective> {
        match (self.values, self.noise) {
            (Values::Signs, _) => None,
            (_, Some(Noise { law: Law::Laplace, .. })) => Some(Objective::L1),
            (Values::Exact, None) => None,
            _ => Some(Objective::L2),
        }
    }
}
