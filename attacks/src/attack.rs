//! The attack trait: from an [`Observation`] to a [`Reconstruction`], with nothing else at hand.

use std::sync::atomic::{AtomicBool, Ordering};

use learning::Observation;
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use suites::rng::AttackSeed;
use suites::{Fact, Flag, Parameters};
use tch::{Device, Tensor};

use crate::AttackError;

/// An attack with its parameters fixed; [`Parameters`] come with `Serialize`.
pub trait Attack: Parameters + Send + Sync {
    /// Facts it cannot do without.
    fn needs(&self) -> Vec<Fact>;

    /// Whether the captured signal decides anything. Where it does not, the result is what the
    /// model's weights give by themselves.
    fn reads_signal(&self) -> bool {
        true
    }

    /// Whether it asks for the shares of the classes in public data.
    fn reads_class_shares(&self) -> bool {
        false
    }

    /// Whether it reads labels off the signal, or optimises them along, as those of a task with one
    /// class an example, while these facts are granted.
    fn infers_labels(&self, _granted: &[Fact]) -> bool {
        false
    }

    /// Whether it adapts to the effects that defenses publish; without any it adapts to nothing.
    fn adapts(&self) -> bool {
        false
    }

    /// Whether it reads an update as a direction, so that it does without the learning rate.
    fn reads_directions(&self) -> bool {
        false
    }

    /// Recovers the batch behind each of the observation's `N` signals.
    ///
    /// # Errors
    /// When the attack does not apply to this model or signal, when nothing finite came out, or
    /// when cancelled.
    fn reconstruct(&self, seen: &Observation, run: &Run) -> Result<Reconstruction, AttackError>;

    /// How many public pictures, one batch each, it would calibrate itself on; `None` for an attack
    /// that does not.
    fn calibrates_on(&self) -> Option<usize> {
        None
    }

    /// Decides on those pictures how to attack; what it decides holds for every round like theirs.
    ///
    /// # Errors
    /// `NotApplicable` for an attack that decides nothing, or of whose recipes none applies;
    /// `BadSignal` where pictures and signals do not belong together, or when cancelled.
    fn choose(&self, _calibration: &Calibration, _run: &Run) -> Result<Choice, AttackError> {
        Err(AttackError::NotApplicable("the attack decides nothing on public pictures".into()))
    }

    /// As [`Attack::reconstruct`], in the way that it chose. Attacks that decide nothing ignore it.
    ///
    /// # Errors
    /// As [`Attack::reconstruct`]; `BadSignal` for a choice of another attack.
    fn reconstruct_chosen(
        &self,
        seen: &Observation,
        _choice: Option<&Choice>,
        run: &Run,
    ) -> Result<Reconstruction, AttackError> {
        self.reconstruct(seen, run)
    }
}

/// What an attack decided on public pictures. It holds nothing of them, and can be kept.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Choice {
    /// The decision in the attack's own form.
    pub decision: serde_json::Value,
    /// Gradient evaluations spent on it, all public signals together.
    pub evaluations: u64,
}

/// The attacked round, replayed by the adversary on pictures that it may have.
///
/// Whoever captures the round makes it, by the same path as the attacked signals: the same
/// weights, source, federation and defenses, other examples, and *other draws* of noise, masks and
/// rounding. None of its pictures may be among those attacked, nor among those that are scored.
/// The facts in `seen.known` are those that the threat model grants of the attacked signals;
/// labels, where granted, are those of the public pictures.
pub struct Calibration {
    /// `M` signals of public batches, of as many examples each as the attacked signals have.
    pub seen: Observation,
    /// The public batches, `[M, B, C, H, W]` or `[M, B, F]` in `[0, 1]`, f32, on any device; where
    /// a defense alters examples (MixUp), those that a perfect attack would return.
    pub truth: Tensor,
}

/// What an attack may use besides the observation: its own randomness, a device, and a way to
/// report progress.
pub struct Run<'a> {
    /// Root of its randomness, which tells nothing of anybody else's.
    pub seed: AttackSeed,
    /// Key of this experiment's attack streams (the same across defenses, so that comparisons are
    /// paired).
    pub key: &'a str,
    /// Where tensors live.
    pub device: Device,
    /// Set by Ctrl-C; looked at once an iteration.
    pub cancel: &'a AtomicBool,
    /// Called now and then with the state of the optimisation.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

/// A moment of an optimisation.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Iterations done.
    pub iteration: usize,
    /// Iterations planned.
    pub total: usize,
    /// Lanes (captures times restarts) that run side by side.
    pub lanes: i64,
    /// Mean objective over the lanes, where it was read.
    pub objective: Option<f64>,
}

impl Run<'_> {
    /// The random stream for a purpose.
    pub fn stream(&self, purpose: &str) -> ChaCha12Rng {
        self.seed.stream(self.key, purpose)
    }

    /// Fails once the user has asked to stop.
    ///
    /// # Errors
    /// `AttackError::Cancelled`.
    pub fn check(&self) -> Result<(), AttackError> {
        if self.cancel.load(Ordering::Relaxed) { Err(AttackError::Cancelled) } else { Ok(()) }
    }
}

/// What an attack made of `N` signals.
#[derive(Debug)]
pub struct Reconstruction {
    /// Pixels in `[0, 1]`, `[N, B, C, H, W]` (tables `[N, B, F]`), f32; `[N, B, 0]` of an attack
    /// that tells labels alone.
    pub pixels: Tensor,
    /// Guessed class indices `[N, B]` (i64), where the attack guesses them; `-1` where it could
    /// not. Of an attack that tells labels alone, and several an example, `[N, B, K]` zeros and
    /// ones (f32).
    pub labels: Option<Tensor>,
    /// How sure the attack is of each guessed label, `[N, B]` (of several an example `[N, K]`, of
    /// each count) in `[0, 1]`, f32; none where it does not say.
    pub certainty: Option<Tensor>,
    /// Final objective of the chosen restart, one a capture (not comparable between attacks); 0 of
    /// an attack without one.
    pub objective: Vec<f64>,
    /// `(iteration, best objective so far of each capture)`, thinned.
    pub trace: Vec<(u64, Vec<f64>)>,
    /// Parameter-gradient (or feature-gradient) evaluations spent on one capture, restarts
    /// included.
    pub evaluations: u64,
    /// Optimiser iterations spent on one capture, restarts included.
    pub iterations: u64,
    /// Restarts.
    pub restarts: usize,
    /// Doubts about single captures, e.g. that no objective was finite.
    pub flags: Vec<Vec<Flag>>,
}

impl Reconstruction {
    /// Whether there are pictures (or rows of tables) in it, and not labels alone.
    pub fn has_pictures(&self) -> bool {
        self.pixels.numel() > 0
    }
}
