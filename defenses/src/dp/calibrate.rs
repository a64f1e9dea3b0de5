//! Noise for a target: the accountant searched backwards.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use suites::SpecError;

use super::accountant::{
    self, Phase, by_rdp, check_delta, check_sampling, gaussian, positive, prv,
};

/// How close below its target epsilon must come.
const TIGHTNESS: f64 = 5e-4;
/// Noise multipliers searched.
const RANGE: (f64, f64) = (1e-3, 1e9);

const TOO_LITTLE: &str = "ask for less: so little noise protects nobody";

static KNOWN: LazyLock<Mutex<HashMap<[u64; 4], f64>>> = LazyLock::new(Mutex::default);

/// The smallest noise multiplier with which `steps` releases at sampling rate `rate` are `(epsilon,
/// delta)`-DP by [`accountant::epsilon`]: put back in, it gives at most `epsilon`, and less by at
/// most 0.05 %. Answers are remembered.
///
/// # Errors
/// `epsilon` not above 0, `delta` outside (0, 1), `rate` outside (0, 1], no `steps`, or a target
/// outside what noise multipliers from 0.001 to 1e9 give.
pub fn noise_multiplier(epsilon: f64, delta: f64, rate: f64, steps: u64) -> Result<f64, SpecError> {
    positive("epsilon", epsilon)?;
    check_delta(delta)?;
    check_sampling(rate, steps)?;
    let key = [epsilon.to_bits(), delta.to_bits(), rate.to_bits(), steps];
    if let Some(known) = KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(*known);
    }
    let search = Search { epsilon, delta, rate, steps };
    let sigma = if rate == 1.0 { search.unsampled()? } else { search.sampled()? };
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).insert(key, sigma);
    Ok(sigma)
}

/// The classical noise `sqrt(2 ln(1.25/delta))/epsilon` of one Gaussian release of sensitivity 1
/// (Dwork and Roth 2014, theorem A.1).
///
/// # Errors
/// `epsilon` above 1, where the theorem does not hold and the noise can be too small; otherwise out
/// of range.
pub fn classical(epsilon: f64, delta: f64) -> Result<f64, SpecError> {
    positive("epsilon", epsilon)?;
    check_delta(delta)?;
    if epsilon > 1.0 {
        return Err(SpecError::value(
            "epsilon",
            format!(
                "is {epsilon}, and the classical Gaussian calibration is proved for epsilon up to \
                 1 only (above, its noise can be too small)"
            ),
            "use the analytic calibration, which holds at every epsilon",
        ));
    }
    classical_anywhere(epsilon, delta)
}

/// The same formula at any epsilon, as other tools use it: what its noise is worth, an accountant
/// says.
///
/// # Errors
/// Numbers out of range.
pub fn classical_anywhere(epsilon: f64, delta: f64) -> Result<f64, SpecError> {
    positive("epsilon", epsilon)?;
    check_delta(delta)?;
    Ok((2.0 * (1.25 / delta).ln()).sqrt() / epsilon)
}

struct Search {
    epsilon: f64,
    delta: f64,
    rate: f64,
    steps: u64,
}

impl Search {
    fn phases(&self, sigma: f64) -> [Phase; 1] {
        [Phase { noise_multiplier: sigma, rate: self.rate, steps: self.steps }]
    }

    /// Logarithm of the best epsilon over the target: an upper bound, hence at most 0 only where
    /// the target is met.
    fn excess(&self, sigma: f64) -> f64 {
        (accountant::answer(&self.phases(sigma), self.delta, prv::COARSE).best / self.epsilon)
            .max(1e-300)
            .ln()
    }

    fn met_by_rdp(&self, sigma: f64) -> bool {
        by_rdp(&self.phases(sigma), self.delta).0 <= self.epsilon
    }

    /// Gaussians compose to one: closed form, then up by the last digits until the accountant
    /// agrees.
    fn unsampled(&self) -> Result<f64, SpecError> {
        let sigma = gaussian::sigma(self.epsilon, self.delta) * (self.steps as f64).sqrt();
        if sigma >= RANGE.0 { self.raised(sigma, 1e-13) } else { Err(self.refused(TOO_LITTLE)) }
    }

    /// Brackets, closes in on a coarse grid, then on the one that answers are made with.
    fn sampled(&self) -> Result<f64, SpecError> {
        let (low, high) = self.bracket()?;
        let (sigma, slope) = self.close_in(low, high);
        self.raised(self.refined(sigma, slope)?, 1e-6)
    }

    /// The Illinois rule on `log epsilon` against `log sigma`; a noise multiplier that about meets
    /// the target, and the mean slope.
    fn close_in(&self, mut low: f64, mut high: f64) -> (f64, f64) {
        let (below, mut above) = (self.excess(low), self.excess(high));
        let slope = (below - above) / (low / high).ln();
        // What the rule calculates with: the end that stays is made lighter.
        let (mut left, mut right) = (below, above);
        for turn in 1..12 {
            if above >= -TIGHTNESS || high / low < 1.0 + 1e-9 {
                break;
            }
            // Now and then a bisection, for the kink where epsilon falls to 0.
            let part = if turn % 5 == 0 { 0.5 } else { (left / (left - right)).clamp(0.02, 0.98) };
            let middle = (low.ln() + part * (high / low).ln()).exp();
            let value = self.excess(middle);
            if value <= 0.0 {
                (high, above, right, left) = (middle, value, value, 0.5 * left);
            } else {
                (low, left, right) = (middle, value, 0.5 * right);
            }
        }
        (high, slope)
    }

    /// The secant rule at full accuracy, from a first `d log epsilon / d log sigma`.
    fn refined(&self, mut sigma: f64, mut slope: f64) -> Result<f64, SpecError> {
        let mut before: Option<(f64, f64)> = None;
        for _ in 0..6 {
            let excess = (self.reported(sigma)? / self.epsilon).max(1e-300).ln();
            if (-TIGHTNESS..=0.0).contains(&excess) {
                break;
            }
            if let Some((other, there)) = before {
                let moved = (sigma / other).ln();
                slope = if moved.abs() > 1e-6 { (excess - there) / moved } else { slope };
            }
            before = Some((sigma, excess));
            sigma *= (-(0.4 * TIGHTNESS + excess) / slope.min(-0.1)).exp().clamp(0.9, 1.1);
        }
        Ok(sigma)
    }

    fn reported(&self, sigma: f64) -> Result<f64, SpecError> {
        Ok(accountant::epsilon(sigma, self.rate, self.steps, self.delta)?.best)
    }

    /// `sigma`, raised until the accountant, asked as everybody asks it, meets the target.
    fn raised(&self, mut sigma: f64, mut by: f64) -> Result<f64, SpecError> {
        while self.reported(sigma)? > self.epsilon {
            sigma *= 1.0 + by;
            by *= 2.0;
        }
        Ok(sigma)
    }

    /// Noise multipliers of which the first misses the target and the second meets it, starting
    /// from where Renyi DP meets it.
    fn bracket(&self) -> Result<(f64, f64), SpecError> {
        let mut high: f64 = 1.0;
        while !self.met_by_rdp(high) && high < 1e4 {
            high *= 1.5;
        }
        while self.met_by_rdp(high / 1.1) && high > RANGE.0 {
            high /= 1.1;
        }
        let (mut low, mut factor) = (high, 1.1);
        // Renyi DP has a floor, below which only the privacy loss answers.
        while self.excess(high) > 0.0 {
            (low, high, factor) = (high, high * factor, factor * factor);
            if high > RANGE.1 {
                return Err(self.refused("ask for more, or for fewer steps"));
            }
        }
        while low == high || self.excess(low) <= 0.0 {
            (high, low, factor) = (low, low / factor, factor * 1.1);
            if low < RANGE.0 {
                return Err(self.refused(TOO_LITTLE));
            }
        }
        Ok((low, high))
    }

    fn refused(&self, remedy: &str) -> SpecError {
        let problem = format!(
            "is {:?}, which no noise multiplier from {} to {:e} gives",
            self.epsilon, RANGE.0, RANGE.1
        );
        SpecError::value("epsilon", problem, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn put_back_in_it_gives_the_target() {
        for epsilon in [0.01, 1.0, 8.0, 1000.0] {
            for (rate, steps) in [(0.001, 1), (0.01, 1000), (0.25, 100), (1.0, 1), (1.0, 500)] {
                let sigma = noise_multiplier(epsilon, 1e-5, rate, steps).unwrap();
                let found = accountant::epsilon(sigma, rate, steps, 1e-5).unwrap().best;
                let part = found / epsilon;
                assert!(
                    part <= 1.0 && part > 0.999,
                    "{epsilon} {rate} {steps}: {sigma} gives {found}"
                );
            }
        }
    }

    #[test]
    fn more_steps_and_smaller_targets_need_more_noise() {
        let of = |e, d, q, t| noise_multiplier(e, d, q, t).unwrap();
        let base = of(2.0, 1e-5, 0.02, 500);
        assert!(of(2.0, 1e-5, 0.02, 1000) > base && of(1.0, 1e-5, 0.02, 500) > base);
        assert!(of(2.0, 1e-7, 0.02, 500) > base && of(2.0, 1e-5, 0.04, 500) > base);
    }

    #[test]
    fn the_classical_calibration_is_refused_above_one() {
        for (epsilon, delta, expected) in
            [(0.5, 1e-5, 9.689610525210778), (1.0, 1e-5, 4.844805262605389)]
        {
            assert!((classical(epsilon, delta).unwrap() / expected - 1.0).abs() < 1e-12);
            assert!(classical(epsilon, delta).unwrap() > gaussian::sigma(epsilon, delta));
        }
        let message = classical(10.0, 1e-5).unwrap_err().to_string();
        assert!(message.contains("up to 1 only") && message.contains("analytic"), "{message}");
        // The reason: at 10 its noise is below what the target takes.
        assert!((2.0 * 1.25e5f64.ln()).sqrt() / 10.0 < gaussian::sigma(10.0, 1e-5));
    }

    #[test]
    fn bad_targets_are_one_line() {
        let cases = [
            (noise_multiplier(0.0, 1e-5, 0.1, 1), "epsilon"),
            (noise_multiplier(-1.0, 1e-5, 0.1, 1), "epsilon"),
            (noise_multiplier(f64::NAN, 1e-5, 0.1, 1), "epsilon"),
            (noise_multiplier(1.0, 0.0, 0.1, 1), "delta"),
            (noise_multiplier(1.0, 1.0, 0.1, 1), "delta"),
            (noise_multiplier(1.0, 1e-5, 0.0, 1), "rate"),
            (noise_multiplier(1.0, 1e-5, 0.1, 0), "steps"),
            (noise_multiplier(1e9, 1e-5, 0.1, 1), "epsilon"),
            (noise_multiplier(1e300, 1e-5, 1.0, 1), "epsilon"),
        ];
        for (found, says) in cases {
            let message = found.unwrap_err().to_string();
            assert!(message.starts_with(says) && !message.contains('\n'), "{message}");
        }
    }
}
