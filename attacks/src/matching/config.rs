//! The parameters of a gradient-matching attack.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use suites::{Parameters, SpecError};
use tch::{Device, Kind};

use super::derivative::Derivative;
use super::init::Start;
use super::labels::Labels;
use super::objective::Objective;
use super::weights::{LayerWeights, Pick};
use crate::optim::{Decay, Optimizer, Patience, Schedule};

/// Which total variation.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tv {
    /// Mean absolute differences.
    #[default]
    Anisotropic,
    /// Mean gradient magnitude.
    Isotropic,
    /// Mean squared differences.
    Squared,
    /// Mean gradient magnitude of the channels and of their differences; of the channels alone
    /// where there are not three.
    DoubleOpponent,
}

/// Everything that can be set; presets are values of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MatchingConfig {
    /// Optimiser steps of a restart, at least 1.
    pub iterations: usize,
    /// Independent starts; the one with the lowest objective is kept.
    pub restarts: usize,
    /// `adam`, `adamw`, `sgd` or `lbfgs`.
    pub optimizer: String,
    /// Step size in normalised pixel units.
    pub lr: f64,
    /// Momentum of `sgd`.
    pub momentum: f64,
    /// Replace the gradient by its sign.
    pub signed: bool,
    /// Of `adam` and `adamw`: bound the gradient by a hyperbolic tangent that fades out over the
    /// iterations.
    pub soft_sign: bool,
    /// Largest L2 norm of a lane's gradient, or null.
    pub clip_grad: Option<f64>,
    /// How the step size falls.
    pub schedule: Decay,
    /// Linear warm-up: below 1 a fraction of the iterations, else a count.
    pub warmup: f64,
    /// How gradients are compared.
    pub objective: Objective,
    /// Share of cosine in `both`.
    pub both_weight: f64,
    /// Weight of total variation.
    pub tv_weight: f64,
    /// Which total variation.
    pub tv: Tv,
    /// Weight of the mean squared normalised pixel.
    pub l2_weight: f64,
    /// Weight of the mean squared distance between what the last layer works on and what its
    /// captured gradient says that is, one example a signal.
    pub feature_weight: f64,
    /// Weight of the distance between the BatchNorm statistics of the dummy batch and those that
    /// the client's update holds. Not spelled out where it is 0, so that cells from before it keep
    /// their ids and starts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bn_weight: f64,
    /// Keep pixels in `[0, 1]` after every step.
    pub boxed: bool,
    /// Where a restart begins.
    pub init: Start,
    /// Where labels come from.
    pub labels: Labels,
    /// Parameters to match; empty for all.
    pub layers: Vec<Pick>,
    /// Weight of each matched parameter.
    pub layer_weights: LayerWeights,
    /// Stop a lane after so many iterations without improvement, or null.
    pub patience: Option<usize>,
    /// What counts as an improvement of the objective.
    pub min_improvement: f64,
    /// Compute in f64; null for f64 with `lbfgs`, whose line search needs its digits, and f32 else.
    pub double: Option<bool>,
    /// Of `lbfgs`: a restart is converged where no component of its gradient is above this share of
    /// the largest one at its start, at least 0.
    pub tolerance_grad: f64,
    /// Of `lbfgs`: a step ends where the objective changes by less than this share of its value at
    /// the start, or every variable by less than this, at least 0.
    pub tolerance_change: f64,
    /// Most labels that restarts try where noise leaves the label of a single example open, the
    /// likeliest first; at least 1.
    pub label_hypotheses: usize,
    /// For `local_update`: differentiate through the simulated local steps instead of dividing by
    /// `lr * steps`.
    pub unroll: bool,
    /// How the distance is differentiated by the pictures. Not spelled out where it is exact, so
    /// that cells from before it keep their ids and starts.
    #[serde(default, skip_serializing_if = "Derivative::is_exact")]
    pub derivative: Derivative,
}

fn is_zero(weight: &f64) -> bool {
    *weight == 0.0
}

impl Default for MatchingConfig {
    fn default() -> MatchingConfig {
        MatchingConfig {
            iterations: 1000,
            restarts: 1,
            optimizer: "adam".into(),
            lr: 0.1,
            momentum: 0.9,
            signed: false,
            soft_sign: false,
            clip_grad: None,
            schedule: Decay::Constant,
            warmup: 0.0,
            objective: Objective::L2,
            both_weight: 0.5,
            tv_weight: 0.0,
            tv: Tv::Anisotropic,
            l2_weight: 0.0,
            feature_weight: 0.0,
            bn_weight: 0.0,
            boxed: false,
            init: Start::Normal,
            labels: Labels::Idlg,
            layers: Vec::new(),
            layer_weights: LayerWeights::Uniform,
            patience: None,
            min_improvement: 0.0,
            double: None,
            tolerance_grad: 1e-12,
            tolerance_change: 1e-18,
            label_hypotheses: 1,
            unroll: false,
            derivative: Derivative::Exact,
        }
    }
}

impl MatchingConfig {
    /// Overlays a suite's parameters on a preset and checks every range.
    ///
    /// # Errors
    /// Names the parameter, what is wrong and what to write instead.
    pub fn overlay(
        preset: &str,
        base: &MatchingConfig,
        given: &Map<String, Value>,
    ) -> Result<MatchingConfig, SpecError> {
        let mut all = base.parameters();
        for (key, value) in given {
            if !all.contains_key(key) {
                return Err(SpecError::unknown_key(
                    format!("attack `{preset}`"),
                    key,
                    all.keys().map(String::as_str),
                ));
            }
            all.insert(key.clone(), value.clone());
        }
        let config: MatchingConfig = suites::params(preset, &all)?;
        config.check()?;
        Ok(config)
    }

    /// Every parameter with its value, also those that are not spelled out at theirs.
    pub fn parameters(&self) -> Map<String, Value> {
        let mut all = self.spelled_out();
        all.entry("bn_weight").or_insert(json!(self.bn_weight));
        all.entry("derivative").or_insert(json!(self.derivative));
        all
    }

    /// The optimiser with its options.
    ///
    /// # Errors
    /// What the optimiser's own range checks say.
    pub fn optimizer(&self) -> Result<Optimizer, SpecError> {
        let mut table = json!({
            "name": self.optimizer,
            "lr": self.lr,
            "signed": self.signed,
            "clip": self.clip_grad,
        });
        if self.optimizer == "sgd" {
            table["momentum"] = json!(self.momentum);
        }
        if self.soft_sign && self.optimizer.starts_with("adam") {
            table["soft_over"] = json!(self.iterations);
        }
        if self.optimizer == "lbfgs" {
            table["relative"] = json!(true);
            table["tolerance_grad"] = json!(self.tolerance_grad);
            table["tolerance_change"] = json!(self.tolerance_change);
        }
        let problem = |e: serde_json::Error| {
            SpecError::value(
                "attack.optimizer",
                e.to_string(),
                "use adam, adamw, sgd or lbfgs with a positive lr",
            )
        };
        serde_json::from_value(table).map_err(problem)
    }

    /// The element type on that device. Metal has no f64.
    pub fn kind(&self, device: Device) -> Kind {
        let second_order = self.optimizer == "lbfgs" && device != Device::Mps;
        if self.double.unwrap_or(second_order) { Kind::Double } else { Kind::Float }
    }

    /// The schedule.
    pub fn schedule(&self) -> Schedule {
        Schedule { name: self.schedule, warmup: self.warmup }
    }

    /// Early stopping, if asked for.
    pub fn patience(&self) -> Option<Patience> {
        self.patience.map(|patience| Patience { patience, min_improvement: self.min_improvement })
    }

    fn check(&self) -> Result<(), SpecError> {
        let positive = [
            ("iterations", self.iterations),
            ("restarts", self.restarts),
            ("label_hypotheses", self.label_hypotheses),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, v)| *v == 0) {
            return Err(SpecError::value(format!("attack.{name}"), "is 0", "write at least 1"));
        }
        let not_negative = [
            ("tv_weight", self.tv_weight),
            ("l2_weight", self.l2_weight),
            ("feature_weight", self.feature_weight),
            ("bn_weight", self.bn_weight),
            ("tolerance_grad", self.tolerance_grad),
            ("tolerance_change", self.tolerance_change),
        ];
        for (name, v) in not_negative {
            if !(v >= 0.0 && v.is_finite()) {
                return Err(SpecError::value(
                    format!("attack.{name}"),
                    format!("is {v}"),
                    "write a number of at least 0",
                ));
            }
        }
        if !(0.0..=1.0).contains(&self.both_weight) {
            return Err(SpecError::value(
                "attack.both_weight",
                format!("is {}", self.both_weight),
                "write a share between 0 and 1",
            ));
        }
        if let LayerWeights::Explicit(list) = &self.layer_weights
            && (list.iter().any(|w| *w < 0.0 || !w.is_finite()) || list.iter().all(|w| *w == 0.0))
        {
            let problem = format!("is {list:?}");
            let remedy = "write numbers of at least 0, at least one of them above";
            return Err(SpecError::value("attack.layer_weights", problem, remedy));
        }
        let said =
            |path: &'static str| move |e: String| SpecError::value(path, e, "see docs/attacks.md");
        self.schedule().check().map_err(said("attack.warmup"))?;
        self.patience().map_or(Ok(()), |p| p.check()).map_err(said("attack.patience"))?;
        self.optimizer().map(|_| ())
    }
}
