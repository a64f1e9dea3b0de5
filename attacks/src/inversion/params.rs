//! The parameters of model inversion.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use suites::SpecError;

use super::objective::{L2, Loss};
use crate::matching::config::Tv;
use crate::matching::init::Start;
use crate::optim::{Decay, Optimizer, Schedule};

/// The attack with its parameters.
///
/// The defaults were chosen on one `mnist-cnn` (seed 7, three epochs), by the likeness of what came
/// out to the class means and by what another model said of it; photographs have no dark ground,
/// and `l2 = "mean"` suits them better. Lengths are in normalised pixels (pixel minus mean, over
/// standard deviation), as the model sees them.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelInversion {
    /// Optimiser steps of a restart, at least 1.
    pub iterations: usize,
    /// Independent starts; the one with the lowest objective is kept. At least 1.
    pub restarts: usize,
    /// `adam`, `adamw`, `sgd` or `lbfgs`.
    pub optimizer: String,
    /// Step size, above 0.
    pub lr: f64,
    /// How the step size falls.
    pub schedule: Decay,
    /// How far the model is from the class.
    pub loss: Loss,
    /// Weight of total variation, at least 0.
    pub tv_weight: f64,
    /// Which total variation.
    pub tv: Tv,
    /// Weight of the mean squared normalised pixel, measured from `l2`, at least 0.
    pub l2_weight: f64,
    /// What it is measured from.
    pub l2: L2,
    /// Weight of the distance from BatchNorm's running statistics, at least 0. Above 0 all classes
    /// of a restart are optimised together, since the statistics are theirs together, and a restart
    /// is chosen for all of them.
    pub bn_weight: f64,
    /// Keep pixels in `[0, 1]` after every step.
    pub boxed: bool,
    /// Where a restart begins.
    pub init: Start,
    /// Blur and sharpen after so many steps; 0 for never.
    pub blur_every: usize,
    /// Standard deviation of the first blur in pixels, at least 0; it falls linearly to 0 at
    /// `blur_until`.
    pub blur_sigma: f64,
    /// Share of the steps after which neither blur nor sharpening follows, 0 to 1.
    pub blur_until: f64,
    /// How much of what a blur of one pixel takes away is added after each blur, at least 0.
    pub sharpen: f64,
}

impl Default for ModelInversion {
    fn default() -> ModelInversion {
        ModelInversion {
            iterations: 500,
            restarts: 4,
            optimizer: "adam".into(),
            lr: 0.1,
            schedule: Decay::Cosine,
            loss: Loss::CrossEntropy,
            tv_weight: 0.1,
            tv: Tv::Isotropic,
            l2_weight: 0.1,
            l2: L2::Black,
            bn_weight: 0.0,
            boxed: true,
            init: Start::Normal,
            blur_every: 10,
            blur_sigma: 1.5,
            blur_until: 0.8,
            sharpen: 1.0,
        }
    }
}

impl ModelInversion {
    /// Reads the parameters and checks their ranges.
    ///
    /// # Errors
    /// Names the parameter, what is wrong and what to write instead.
    pub fn new(map: &Map<String, Value>) -> Result<ModelInversion, SpecError> {
        let params: ModelInversion = suites::params("model-inversion", map)?;
        params.check()?;
        Ok(params)
    }

    /// The optimiser with its options.
    pub(super) fn optimizer(&self) -> Result<Optimizer, SpecError> {
        let read = serde_json::from_value(json!({ "name": self.optimizer, "lr": self.lr }));
        read.map_err(|e: serde_json::Error| {
            let remedy = "use adam, adamw, sgd or lbfgs with a positive lr";
            SpecError::value("attack.optimizer", e.to_string(), remedy)
        })
    }

    /// The schedule of the step size.
    pub(super) fn schedule(&self) -> Schedule {
        Schedule::new(self.schedule)
    }

    /// Standard deviation of the blur that follows step `iteration` (from 0), in pixels; `None`
    /// where no filter does.
    pub(super) fn blur_after(&self, iteration: usize) -> Option<f64> {
        let end = self.blur_until * self.iterations as f64;
        let done = (iteration + 1) as f64;
        let due =
            self.blur_every > 0 && (iteration + 1).is_multiple_of(self.blur_every) && done < end;
        due.then(|| self.blur_sigma * (1.0 - done / end))
    }

    fn check(&self) -> Result<(), SpecError> {
        let wrong = |name: &str, problem: String, remedy: &str| {
            Err(SpecError::value(format!("attack.{name}"), problem, remedy))
        };
        for (name, value) in [("iterations", self.iterations), ("restarts", self.restarts)] {
            if value == 0 {
                return wrong(name, "is 0".into(), "write at least 1");
            }
        }
        let weights = [
            ("tv_weight", self.tv_weight),
            ("l2_weight", self.l2_weight),
            ("bn_weight", self.bn_weight),
            ("sharpen", self.sharpen),
        ];
        if let Some((name, value)) =
            weights.into_iter().find(|(_, v)| !(v.is_finite() && *v >= 0.0))
        {
            return wrong(name, format!("is {value}"), "write a number of at least 0");
        }
        // A kernel far wider than any picture costs memory and tells nothing.
        if !(0.0..=64.0).contains(&self.blur_sigma) {
            return wrong(
                "blur_sigma",
                format!("is {}", self.blur_sigma),
                "write pixels from 0 to 64",
            );
        }
        if !(0.0..=1.0).contains(&self.blur_until) {
            return wrong(
                "blur_until",
                format!("is {}", self.blur_until),
                "write a share between 0 and 1",
            );
        }
        self.optimizer().map(|_| ())
    }
}
