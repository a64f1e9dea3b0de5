//! Which way the distance between gradients is differentiated by the pictures: by second-order
//! autograd, or as a difference of first derivatives ([`learning::gradients::FirstPass`]).

use learning::Observation;
use learning::gradients::{FirstPass, Pass, Step};
use serde::{Deserialize, Serialize};
use suites::{Flag, FlagKind};
use tch::{Device, Kind, Tensor};

use super::config::MatchingConfig;
use super::problem::Problem;
use crate::AttackError;
use crate::optim::rows;

/// How the distance is differentiated by the pictures.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Derivative {
    /// By second-order autograd.
    #[default]
    Exact,
    /// As a difference of first derivatives; refused where that cannot be.
    Difference,
    /// As a difference where that keeps its digits, else exactly.
    Auto,
}

impl Derivative {
    pub(super) fn is_exact(&self) -> bool {
        *self == Derivative::Exact
    }
}

/// The machine epsilon of single precision.
const F32_EPSILON: f64 = f32::EPSILON as f64;

/// Length of the first step, relative to the parameters, in units of the change that is aimed at:
/// 1e-4 in single precision.
const FIRST_STEP: f64 = 1.0 / 6.0;

/// Bounds of later ones.
const STEPS: [f64; 2] = [1e-12, 1e-2];

/// By how much one step may be longer or shorter than the last one, where that was trusted, and
/// where it was not: a change that is far off tells how far.
const PACE: [f64; 2] = [4.0, 1e4];

/// Changes that `auto` trusts, of dL/dx relative to it: as many machine epsilons, of which a few
/// are rounding, and as many times the change that is aimed at.
const TRUSTED: [f64; 2] = [300.0, 30.0];

/// Evaluations that a lane takes exactly before `auto` tries a difference again.
const WAIT: i64 = 10;

/// The differences of one attack.
///
/// The error of a difference is rounding, a few machine epsilons over the relative change of dL/dx,
/// and curvature, about that change. Both are least where the change is the root of the epsilons,
/// so each lane's step grows or shrinks towards such a change.
pub struct Differences {
    auto: bool,
    epsilon: f64,
    /// Length of each lane's step, `[T]`.
    size: Option<Tensor>,
    /// Evaluations until a lane takes a difference again, i64 `[T]`.
    waits: Option<Tensor>,
    /// Evaluations of each lane by autograd, i64 `[T]`, and those of either kind.
    exact: Option<Tensor>,
    total: i64,
}

/// What an attack does about its derivative: differences, or the reason why `auto` takes none.
pub enum Way {
    /// Second-order autograd, as was asked for.
    Exact,
    /// Differences.
    Differences(Differences),
    /// Second-order autograd, and why differences were not taken.
    Refused(String),
}

impl Way {
    /// # Errors
    /// `NotApplicable` where differences are asked for and cannot be taken, with what forbids them.
    pub fn of(
        config: &MatchingConfig,
        seen: &Observation,
        kind: Kind,
        [unrolls, draws]: [bool; 2],
    ) -> Result<Way, AttackError> {
        let auto = match config.derivative {
            Derivative::Exact => return Ok(Way::Exact),
            Derivative::Difference => false,
            Derivative::Auto => true,
        };
        if auto && config.optimizer == "lbfgs" {
            return Ok(Way::Refused("L-BFGS compares values to their last digit".into()));
        }
        let unfrozen = seen.net.model().unfrozen();
        let reason = match (unfrozen, unrolls, draws) {
            (Some(name), ..) => format!("a second pass cannot repeat {name}"),
            (_, true, _) => "local steps are unrolled".into(),
            (_, _, true) => "the model is random in every pass".into(),
            _ => {
                let epsilon = if kind == Kind::Double { f64::EPSILON } else { F32_EPSILON };
                return Ok(Way::Differences(Differences::new(epsilon, auto)));
            }
        };
        if auto {
            return Ok(Way::Refused(reason));
        }
        let problem = format!(
            "derivative = \"difference\" takes no differences here: {reason}; write \"auto\" or \
             \"exact\""
        );
        Err(AttackError::NotApplicable(problem))
    }

    /// What is said of each of `signals` signals, whose restarts are neighbours; nothing of what is
    /// exact as ever.
    pub fn flags(&self, signals: usize) -> Vec<Option<Flag>> {
        let said = |words: String| Some(Flag::with(FlagKind::Derivative, words));
        match self {
            Way::Exact => vec![None; signals],
            Way::Refused(why) => vec![said(format!("exact, for {why}")); signals],
            Way::Differences(differences) => {
                differences.counts(signals).into_iter().map(said).collect()
            }
        }
    }
}

impl Differences {
    fn new(epsilon: f64, auto: bool) -> Differences {
        Differences { auto, epsilon, size: None, waits: None, exact: None, total: 0 }
    }

    /// The change that is aimed at.
    fn aim(&self) -> f64 {
        (3.0 * self.epsilon).sqrt()
    }

    /// The next step of each lane, from how much the last one changed.
    fn adapt(&mut self, size: &Tensor, change: &Tensor) {
        let factor = change.reciprocal() * self.aim();
        let paced =
            |pace: f64| factor.nan_to_num(1.0 / pace, pace, 1.0 / pace).clamp(1.0 / pace, pace);
        let next = paced(PACE[0]).where_self(&self.is_trusted(change), &paced(PACE[1]));
        self.size = Some((size * next).clamp(STEPS[0], STEPS[1]));
    }

    /// Lanes `[T]` whose change is neither rounding nor curvature.
    fn is_trusted(&self, change: &Tensor) -> Tensor {
        let [least, most] = [TRUSTED[0] * self.epsilon, TRUSTED[1] * self.aim()];
        change.ge(least).logical_and(&change.le(most))
    }

    /// Objective `[T]` and gradient `[T, V]` at `x` `[T, V]`.
    fn evaluate(&mut self, problem: &mut Problem, x: &Tensor) -> (Tensor, Tensor) {
        self.total += 1;
        let none = || Tensor::zeros([x.size()[0]], (Kind::Int64, x.device()));
        let (waits, exact) =
            (self.waits.take().unwrap_or_else(none), self.exact.take().unwrap_or_else(none));
        let waiting = waits.gt(0);
        let found = (!all(&waiting)).then(|| {
            let size = self.size.take();
            let length = FIRST_STEP * self.aim();
            let first = || Tensor::full([x.size()[0]], length, (x.kind(), x.device()));
            let step = Step { size: size.unwrap_or_else(first), central: false };
            let found = problem.by_difference(x, &step);
            self.adapt(&step.size, &found.2);
            found
        });
        let poor = match &found {
            Some((value, gradient, change)) => self.is_poor(value, gradient, change),
            None => waiting.shallow_clone(),
        };
        let exactly = poor.logical_or(&waiting);
        let failed = poor.logical_and(&waiting.logical_not());
        // Where differences are asked for, the next evaluation tries one again.
        let wait = if self.auto { WAIT } else { 0 };
        self.waits = Some((waits - 1).clamp_min(0).where_self(
            &failed.logical_not(),
            &Tensor::full([1], wait, (Kind::Int64, x.device())),
        ));
        self.exact = Some(exact + exactly.to_kind(Kind::Int64));
        match found {
            Some((value, gradient, _)) if !any(&exactly) => (value, gradient),
            None => problem.by_autograd(x),
            Some((value, gradient, _)) => {
                let (own, slope) = problem.by_autograd(x);
                let value = own.where_self(&exactly, &value);
                (value, slope.where_self(&exactly.unsqueeze(1), &gradient))
            }
        }
    }

    /// Lanes `[T]` whose difference is not finite or has lost its digits.
    fn is_poor(&self, value: &Tensor, gradient: &Tensor, change: &Tensor) -> Tensor {
        let sound = rows::norm(gradient).lt(f64::INFINITY);
        let sound = if self.auto { sound.logical_and(&self.is_trusted(change)) } else { sound };
        sound.logical_not().logical_and(&value.abs().lt(f64::INFINITY))
    }

    fn counts(&self, signals: usize) -> Vec<String> {
        let lanes = match &self.exact {
            Some(exact) => Vec::<i64>::try_from(exact.to_device(Device::Cpu)).unwrap_or_default(),
            None => Vec::new(),
        };
        let each = (lanes.len() / signals.max(1)).max(1);
        let mut rows = lanes.chunks(each);
        let words = |_| {
            let row = rows.next().unwrap_or(&[]);
            let (exact, all) = (row.iter().sum::<i64>(), self.total * row.len() as i64);
            match exact {
                0 => "difference".to_owned(),
                _ => format!("difference, exact in {exact} of {all} evaluations"),
            }
        };
        (0..signals).map(words).collect()
    }
}

impl Problem<'_> {
    /// Objective `[T]` and gradient `[T, V]` at `x` `[T, V]`, in the way that the problem has.
    pub(super) fn differentiate(&mut self, x: &Tensor) -> (Tensor, Tensor) {
        match std::mem::replace(&mut self.way, Way::Exact) {
            Way::Differences(mut differences) => {
                let found = differences.evaluate(self, x);
                self.way = Way::Differences(differences);
                found
            }
            other => {
                self.way = other;
                self.by_autograd(x)
            }
        }
    }

    /// Objective `[T]`, its gradient `[T, V]` as a difference, and by how much the step changed
    /// dL/dx, relative to it `[T]`.
    fn by_difference(&self, x: &Tensor, step: &Step) -> (Tensor, Tensor, Tensor) {
        let (x, problem) = (x.detach().set_requires_grad(true), self);
        let pass = Pass {
            net: &self.seen.net,
            params: &self.weights,
            mode: self.seen.mode,
            form: self.form,
        };
        let (images, soft) = self.unpack(&x);
        let first = FirstPass::new(pass, &x, &images, |z| self.loss(z, 0, soft.as_ref()));
        let layers = first.gradients.layers.iter().map(|g| g.shallow_clone()).collect();
        let distance = self.compare(layers, &first.gradients.stats);
        let slopes = first.slopes(&distance);
        let (mut gradient, change) = first.derivative(pass, &slopes, step, &x, || {
            let (images, soft) = self.unpack(&x);
            (images, move |z: &Tensor| problem.loss(z, 0, soft.as_ref()))
        });
        let mut objective = self.summed(distance.detach());
        if let Some(penalty) = self.penalty(&self.unpack(&x).0) {
            gradient +=
                Tensor::run_backward(&[penalty.sum(penalty.kind())], &[&x], false, false).remove(0);
            objective += penalty.detach();
        }
        (objective, gradient, change)
    }
}

fn any(lanes: &Tensor) -> bool {
    lanes.any().int64_value(&[]) != 0
}

fn all(lanes: &Tensor) -> bool {
    lanes.all().int64_value(&[]) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bools(t: &Tensor) -> Vec<bool> {
        Vec::try_from(t).unwrap()
    }

    /// `auto` trusts a difference whose change is neither rounding nor curvature; either way of
    /// asking falls back where there is no number, but not where the objective has none either.
    #[test]
    fn the_rule_of_auto_is_what_is_written() {
        let value = Tensor::from_slice(&[1.0, 1.0, 1.0, 1.0, f64::NAN]);
        let nan = f32::NAN;
        let gradient = Tensor::from_slice(&[1.0f32, 1.0, 1.0, nan, nan]).unsqueeze(1);
        let change = Tensor::from_slice(&[6e-4f32, 1e-5, 0.1, 6e-4, nan]);
        let poor = |auto: bool| {
            let differences = Differences::new(F32_EPSILON, auto);
            bools(&differences.is_poor(&value, &gradient, &change))
        };
        assert_eq!(poor(true), [false, true, true, true, false]);
        assert_eq!(poor(false), [false, false, false, true, false]);
    }

    #[test]
    fn steps_grow_and_shrink_towards_the_best_change() {
        let mut differences = Differences::new(F32_EPSILON, true);
        let aim = differences.aim();
        let size = Tensor::from_slice(&[1e-4f64; 6]);
        // By four at most where the change is trusted, at once where it is far off.
        let change = [aim, aim / 2.0, aim / 8.0, aim / 40.0, aim * 500.0, f64::NAN];
        differences.adapt(&size, &Tensor::from_slice(&change));
        let next = Vec::<f64>::try_from(differences.size.unwrap()).unwrap();
        for (found, wanted) in next.iter().zip([1e-4, 2e-4, 4e-4, 4e-3, 2e-7, 1e-8]) {
            assert!((found - wanted).abs() < 1e-9, "{next:?}");
        }
    }
}
