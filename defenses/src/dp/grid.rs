//! Clipped updates in whole steps of a grid, on which their noise is drawn.
//!
//! Sums of 32-bit floats show in their low bits whether noise fell on zero or on something else
//! (Mironov 2012). So a mechanism's values are whole numbers `k` of steps, a power of two, its
//! noise is a whole number, and what leaves is `step (k + noise)`, from the same set whatever was
//! hidden.
//!
//! An update is clipped, then rounded, and what rounding lost at one value is added to the next, so
//! that sums over many values keep what single values cannot show. The norm that counts is the
//! rounded update's: the sum of the whole numbers' squares (or magnitudes) is exact, and an update
//! above the bound, by rounding or by what floating point made of its norm, is scaled down and
//! rounded again until it is within. So the sensitivity is the bound itself, with nothing to add.

use learning::effect::Norm;
use learning::noise::power_of_two;
use learning::{Params, noise::discrete::LARGEST};
use tch::{Device, Kind, Tensor};

use crate::DefenseError;

/// One client's clipped values.
pub struct Clipped {
    /// Whole numbers of steps, of all trainable tensors in order.
    pub steps: Vec<f64>,
    /// `min(1, clip / norm)`.
    pub factor: f64,
    /// The norm before.
    pub norm: f64,
}

/// What all clients of a release were clipped to.
#[derive(Default)]
pub struct Clipping {
    factors: Vec<f64>,
    norms: Vec<f64>,
    signals: Vec<f64>,
}

impl Clipping {
    fn add(&mut self, client: &Clipped, step: f64) {
        self.factors.push(client.factor);
        self.norms.push(client.norm);
        self.signals.push(step * client.steps.iter().map(|k| k * k).sum::<f64>().sqrt());
    }

    /// The mean factor.
    pub fn factor(&self) -> f64 {
        mean(&self.factors)
    }

    /// The mean norm before clipping.
    pub fn norm(&self) -> f64 {
        mean(&self.norms)
    }

    /// The mean L2 norm after.
    pub fn signal(&self) -> f64 {
        mean(&self.signals)
    }

    /// Clients whose norm was at most `clip`.
    pub fn within(&self, clip: f64) -> f64 {
        self.norms.iter().filter(|norm| **norm <= clip).count() as f64
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The finest grid on which values of magnitude `bound` with noise of up to `reach` are exact in
/// 32-bit floats, which hold every whole number up to `2^24`.
pub fn float_step(bound: f64, reach: f64) -> f64 {
    2.0 * power_of_two((bound + reach) / 2f64.powi(24))
}

/// The grid of updates of norm `clip` that are summed: magnitudes stay below `2^22` steps, which
/// every protocol carries exactly, and noise of `multiplier * clip` below `2^27`.
pub fn sum_step(clip: f64, multiplier: f64) -> f64 {
    2.0 * power_of_two(clip / 2f64.powi(22)) * power_of_two(multiplier / 8.0).max(1.0)
}

/// Below how many steps of [`sum_step`]'s grid the magnitude of a value stays, whatever the norm.
pub fn sum_steps(multiplier: f64) -> f64 {
    2f64.powi(22) / power_of_two(multiplier / 8.0).max(1.0)
}

/// Clips each client's update, hands its values to `release`, and puts back what that returns; the
/// buffers are zero, for running statistics would leave unprotected.
///
/// # Errors
/// An update that is not finite: nothing that is clipped from it is private.
pub fn clip(
    update: &Params,
    (norm, bound): (Norm, f64),
    step: f64,
    mut release: impl FnMut(usize, Vec<f64>) -> Vec<f64>,
) -> Result<(Params, Clipping), DefenseError> {
    let mut clipping = Clipping::default();
    let mut failed = None;
    let update = each_lane(update, |t, values| match clipped(&values, norm, bound, step) {
        Ok(client) => {
            clipping.add(&client, step);
            release(t, client.steps)
        }
        Err(error) => {
            failed = Some(error);
            values
        }
    });
    match failed {
        None => Ok((update, clipping)),
        Some(error) => Err(error),
    }
}

/// Replaces the trainable values of each lane, in order, by what `f` makes of them; buffers are
/// zeroed.
pub fn each_lane(update: &Params, mut f: impl FnMut(usize, Vec<f64>) -> Vec<f64>) -> Params {
    let mut out = update.map(Tensor::zeros_like);
    for t in 0..update.lanes() {
        let of = |tensor: &Tensor| {
            let row = tensor.get(t).reshape([-1]).to_kind(Kind::Double).to_device(Device::Cpu);
            Vec::<f64>::try_from(&row).expect("a flat tensor of doubles")
        };
        let values = f(t as usize, update.trainable().flat_map(of).collect());
        let mut rest = values.as_slice();
        let specs = update.layout().specs();
        for (tensor, _) in out.tensors.iter_mut().zip(specs).filter(|(_, s)| s.trainable) {
            let mut row = tensor.get(t);
            let (part, after) = rest.split_at(row.numel());
            row.copy_(&Tensor::from_slice(part).reshape(row.size()));
            rest = after;
        }
    }
    out
}

/// Whole numbers near `factor value / step`, with a norm of at most `bound / step`.
fn clipped(values: &[f64], norm: Norm, bound: f64, step: f64) -> Result<Clipped, DefenseError> {
    let length = match norm {
        Norm::L2 => values.iter().map(|v| v * v).sum::<f64>().sqrt(),
        Norm::L1 => values.iter().map(|v| v.abs()).sum(),
    };
    if !length.is_finite() || !bound.is_finite() {
        return Err(DefenseError::BadUpdate(
            "holds NaN or infinite values; nothing that is clipped from it is private".into(),
        ));
    }
    let factor = (bound / length.max(1e-300)).min(1.0);
    let (mut scale, mut less) = (factor / step, 2f64.powi(-40));
    loop {
        let steps = whole(values, scale);
        let excess = excess(&steps, norm, bound / step);
        if excess <= 0.0 {
            return Ok(Clipped { steps, factor, norm: length });
        }
        scale *= 1.0 - less.max(excess).min(0.5);
        less *= 2.0;
    }
}

/// Each value times `scale` rounded to a whole number next to it, so that the errors of those
/// before it and its own add up to at most a half: what is lost at one is given to the next.
fn whole(values: &[f64], scale: f64) -> Vec<f64> {
    let mut owed = 0.0;
    let next = |value: &f64| {
        let exact = value * scale + owed;
        let near = exact.round_ties_even();
        owed = exact - near;
        near
    };
    values.iter().map(next).collect()
}

/// By what share the norm of whole numbers exceeds `bound`: at most 0 exactly where it does not.
fn excess(steps: &[f64], norm: Norm, bound: f64) -> f64 {
    let whole = steps.iter().map(|k| k.abs() as u128);
    let (sum, most) = match norm {
        Norm::L1 => (whole.sum::<u128>(), bound as u128),
        Norm::L2 => (whole.map(|k| k * k).sum::<u128>(), square(bound)),
    };
    if sum <= most { 0.0 } else { (sum - most) as f64 / most.max(1) as f64 }
}

/// The square of a number below `2^60`, rounded down (of `2^-32`, where it is below `2^31`).
fn square(bound: f64) -> u128 {
    let (whole, part) = (bound.trunc(), bound.fract());
    let fine = ((whole as u128) << 32) | (part * 2f64.powi(32)) as u128;
    if whole < 2f64.powi(31) { (fine * fine) >> 64 } else { (whole as u128).pow(2) }
}

/// Noise outside what the samplers draw.
pub fn unfit(entry: &str, steps: f64) -> DefenseError {
    let remedy = if steps < 16.0 { "lower" } else { "raise" };
    DefenseError::Unfit(format!(
        "{entry}: noise of {steps:.2e} steps of its grid is outside the 16 to {LARGEST:.0} that \
         are drawn exactly; {remedy} epsilon"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::update;

    /// Sums of squares in whole numbers, for updates that clip to the bound itself.
    #[test]
    fn the_norm_is_bounded_in_whole_numbers() {
        for (norm, n) in [(Norm::L2, 3), (Norm::L2, 1000), (Norm::L1, 3), (Norm::L1, 1000)] {
            for value in [0.3, 1.0, 1e-3, 77.7] {
                let step = float_step(0.1, 0.7);
                let one = clipped(&vec![value; n], norm, 0.1, step).unwrap();
                let sum: u128 = match norm {
                    Norm::L2 => one.steps.iter().map(|k| (k * k) as u128).sum(),
                    Norm::L1 => one.steps.iter().map(|k| *k as u128).sum(),
                };
                // 0.1 is 13421772.8 units of 2^-27.
                let most = 0.1 / step;
                let bound = if norm == Norm::L2 { most * most } else { most };
                assert!(sum as f64 <= bound, "{norm:?} {value}: {sum} above {bound}");
                let used = sum as f64 / bound;
                assert!(one.factor == 1.0 || used > 0.99, "{norm:?} {value}: {used} of the bound");
            }
        }
        assert_eq!((square(1.5), square(3.0), square(2f64.powi(40))), (2, 9, 1 << 80));
    }

    #[test]
    fn values_are_put_back_where_they_were() {
        let update = update(2, 5, 3.0);
        let doubled =
            each_lane(&update, |t, values| values.iter().map(|v| v * (t + 1) as f64).collect());
        let values = Vec::<f32>::try_from(doubled.tensors[0].reshape([-1])).unwrap();
        assert_eq!(values, [[3.0; 5], [6.0; 5]].concat());
        assert_eq!(doubled.tensors[0].kind(), Kind::Float);
    }

    #[test]
    fn grids_are_powers_of_two_with_room() {
        for (clip, sigma) in [(1.0, 0.6), (0.013, 3.0), (250.0, 1e-3)] {
            let step = float_step(clip, 14.0 * sigma);
            assert_eq!(step, power_of_two(step));
            assert!((clip + 14.0 * sigma) / step <= 2f64.powi(24));
            assert!((clip + 14.0 * sigma) / step > 2f64.powi(22));
            let step = sum_step(clip, sigma);
            assert!(clip / step <= 2f64.powi(22) && sigma * clip / step < 2f64.powi(27));
        }
    }
}
