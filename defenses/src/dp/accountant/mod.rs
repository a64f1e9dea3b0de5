//! Accountants: the `(epsilon, delta)` of many Poisson-subsampled Gaussian releases, add/remove
//! neighbouring.
//!
//! Two are run and the tighter is reported: Renyi DP ([`rdp`]) and numerical composition of the
//! privacy loss ([`prv`]). Both are upper bounds. Without sampling the composition is one Gaussian
//! and exact ([`gaussian`]).

pub mod distributed;
pub mod gaussian;
pub mod laplace;
mod loss;
pub(super) mod prv;
pub mod rdp;

use std::collections::{BTreeMap, HashMap};
use std::sync::{LazyLock, Mutex, PoisonError};

use suites::SpecError;

/// Steps of one kind: `steps` releases with noise `noise_multiplier` times the sensitivity, each
/// unit in a step with probability `rate`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    /// Standard deviation of the noise over the sensitivity, at least 1e-6.
    pub noise_multiplier: f64,
    /// Sampling probability, in (0, 1].
    pub rate: f64,
    /// Releases, at least 1.
    pub steps: u64,
}

/// Epsilon by each accountant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// By Renyi DP.
    pub rdp: f64,
    /// By composition of the privacy loss; `None` where its grid does not cover the question.
    pub prv: Option<f64>,
    /// By the closed form, where nothing is sampled.
    pub exact: Option<f64>,
    /// The tightest: what is reported.
    pub best: f64,
    /// The order at which `rdp` was found.
    pub order: f64,
}

impl Answer {
    /// Epsilon by name of the accountant.
    pub fn accountants(&self) -> BTreeMap<&'static str, f64> {
        let all = [("rdp", Some(self.rdp)), ("prv", self.prv), ("analytic", self.exact)];
        all.into_iter().filter_map(|(name, e)| Some((name, e?))).collect()
    }

    /// Name of the accountant whose epsilon is reported.
    pub fn reported(&self) -> &'static str {
        match self {
            Answer { exact: Some(_), .. } => "analytic",
            Answer { prv: Some(prv), rdp, .. } if prv < rdp => "prv",
            _ => "rdp",
        }
    }
}

type Key = [u64; 4];
static ANSWERS: LazyLock<Mutex<HashMap<Key, Answer>>> = LazyLock::new(Mutex::default);

/// Epsilon at `delta` of `steps` releases; answers are remembered.
///
/// # Errors
/// `noise_multiplier` below 1e-6, `rate` outside (0, 1], no `steps`, or `delta` outside (0, 1).
pub fn epsilon(
    noise_multiplier: f64,
    rate: f64,
    steps: u64,
    delta: f64,
) -> Result<Answer, SpecError> {
    let key = [noise_multiplier.to_bits(), rate.to_bits(), steps, delta.to_bits()];
    if let Some(known) = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(*known);
    }
    let answer = composed(&[Phase { noise_multiplier, rate, steps }], delta)?;
    ANSWERS.lock().unwrap_or_else(PoisonError::into_inner).insert(key, answer);
    Ok(answer)
}

/// Epsilon at `delta` of several phases one after the other, by every accountant.
///
/// # Errors
/// As [`epsilon`]; no phase at all.
pub fn composed(phases: &[Phase], delta: f64) -> Result<Answer, SpecError> {
    check(phases, delta)?;
    Ok(answer(phases, delta, prv::FINE))
}

/// Every accountant.
pub(super) fn answer(phases: &[Phase], delta: f64, effort: prv::Effort) -> Answer {
    let (rdp, order) = by_rdp(phases, delta);
    let prv = prv::epsilon(phases, delta, prv::Hint { epsilon: rdp, order }, effort);
    let exact = exact(phases, delta);
    let best = exact.unwrap_or_else(|| prv.map_or(rdp, |p| p.min(rdp)));
    Answer { rdp, prv, exact, best, order }
}

/// Epsilon by Renyi DP alone, and its order: microseconds to milliseconds.
pub(super) fn by_rdp(phases: &[Phase], delta: f64) -> (f64, f64) {
    let mut total = vec![0.0; rdp::orders().len()];
    for phase in phases {
        let curve = rdp::curve(phase.noise_multiplier, phase.rate);
        total.iter_mut().zip(curve).for_each(|(t, r)| *t += phase.steps as f64 * r);
    }
    rdp::convert(rdp::orders().iter().copied().zip(total), delta)
}

/// Gaussians compose to one Gaussian of `sum steps/sigma^2`.
fn exact(phases: &[Phase], delta: f64) -> Option<f64> {
    let precision = |p: &Phase| p.steps as f64 / p.noise_multiplier.powi(2);
    let sampled = phases.iter().any(|p| p.rate < 1.0);
    (!sampled)
        .then(|| gaussian::epsilon(phases.iter().map(precision).sum::<f64>().sqrt().recip(), delta))
}

fn check(phases: &[Phase], delta: f64) -> Result<(), SpecError> {
    if phases.is_empty() {
        return Err(SpecError::value("steps", "are none", "account for at least one release"));
    }
    for phase in phases {
        check_sigma(phase.noise_multiplier)?;
        check_sampling(phase.rate, phase.steps)?;
    }
    check_delta(delta)
}

/// The least noise that is accounted for; below, numbers overflow long before privacy begins.
const LEAST_NOISE: f64 = 1e-6;

fn check_sigma(sigma: f64) -> Result<(), SpecError> {
    positive("noise_multiplier", sigma)?;
    if sigma >= LEAST_NOISE {
        Ok(())
    } else {
        Err(SpecError::value(
            "noise_multiplier",
            format!("is {sigma:e}, with which nothing is private"),
            "write at least 1e-6 times the sensitivity",
        ))
    }
}

/// A finite number above 0.
pub(super) fn positive(name: &str, value: f64) -> Result<(), SpecError> {
    if value > 0.0 && value.is_finite() {
        Ok(())
    } else {
        Err(SpecError::value(name, format!("is {value}"), "write a finite number above 0"))
    }
}

/// The sampling rate and the number of releases.
pub(super) fn check_sampling(rate: f64, steps: u64) -> Result<(), SpecError> {
    if !(rate > 0.0 && rate <= 1.0) {
        let remedy =
            "write the probability that a unit takes part in a step, above 0 and at most 1";
        return Err(SpecError::value("rate", format!("is {rate}"), remedy));
    }
    match steps {
        0 => Err(SpecError::value("steps", "is 0", "account for at least one release")),
        _ => Ok(()),
    }
}

/// The failure probability.
pub(super) fn check_delta(delta: f64) -> Result<(), SpecError> {
    if delta > 0.0 && delta < 1.0 {
        Ok(())
    } else {
        Err(SpecError::value(
            "delta",
            format!("is {delta}"),
            "write a probability strictly between 0 and 1, e.g. 1e-5",
        ))
    }
}

#[cfg(test)]
mod tests;
