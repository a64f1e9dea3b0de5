//! The one entry to every metric: shapes are checked, pixels clamped, and diverged reconstructions
//! replaced.

use crate::MetricError;
use tch::{Device, Kind, Tensor};

/// What a diverged reconstruction counts as: the attacker is left with what it knew before.
pub const GREY: f64 = 0.5;

/// How far a truth may lie outside `[0, 1]` before it is taken for something that is not pixels.
const SLACK: f64 = 1e-5;

/// A guess and its truth, checked.
pub struct Prepared {
    /// `[N, C, H, W]`, clamped to `[0, 1]`, finite, on the guess's device.
    pub guess: Tensor,
    /// `[N, C, H, W]` in `[0, 1]`, on its own device.
    pub truth: Tensor,
    /// One a guess: whether it came without NaN and infinity. Where false, `guess` holds the grey
    /// image.
    pub finite: Vec<bool>,
}

/// Checks and clamps. Table rows `[N, F]` become images of F channels and one pixel. Idempotent.
///
/// # Errors
/// [`MetricError`] for shapes that differ, are neither images nor rows, or a truth outside `[0,
/// 1]`.
pub fn prepare(guess: &Tensor, truth: &Tensor) -> Result<Prepared, MetricError> {
    if guess.size() != truth.size() {
        return Err(MetricError::Shape { guess: guess.size(), truth: truth.size() });
    }
    let truth = floating(&four_dimensional(truth)?);
    check_truth(&truth)?;
    let (guess, finite) = clean(guess)?;
    Ok(Prepared { guess, truth: truth.clamp(0.0, 1.0), finite })
}

/// Clamps a guess alone; diverged images become grey.
///
/// # Errors
/// [`MetricError::Dimensions`].
pub fn clean(guess: &Tensor) -> Result<(Tensor, Vec<bool>), MetricError> {
    let guess = floating(&four_dimensional(guess)?);
    let finite = guess.isfinite().flatten(1, -1).all_dim(1, false);
    let keep = finite.view([-1, 1, 1, 1]);
    let grey = guess.full_like(GREY);
    let clean = guess.where_self(&keep, &grey).clamp(0.0, 1.0);
    let finite = Vec::<bool>::try_from(finite.to_device(Device::Cpu))?;
    Ok((clean, finite))
}

fn four_dimensional(t: &Tensor) -> Result<Tensor, MetricError> {
    match t.size()[..] {
        [_, c, h, w] if c * h * w > 0 => Ok(t.shallow_clone()),
        [n, f] if f > 0 => Ok(t.view([n, f, 1, 1])),
        _ => Err(MetricError::Dimensions(t.size())),
    }
}

fn floating(t: &Tensor) -> Tensor {
    let t = t.detach();
    if t.kind() == Kind::Double { t } else { t.to_kind(Kind::Float) }
}

fn check_truth(truth: &Tensor) -> Result<(), MetricError> {
    if truth.numel() == 0 {
        return Ok(());
    }
    let (low, high) = (truth.min().double_value(&[]), truth.max().double_value(&[]));
    // min and max of libtorch propagate NaN.
    if !(low.is_finite() && high.is_finite()) {
        return Err(MetricError::Truth { what: "non-finite values".into() });
    }
    if low < -SLACK || high > 1.0 + SLACK {
        return Err(MetricError::Truth { what: format!("values from {low:.3} to {high:.3}") });
    }
    Ok(())
}

/// Pixels of a batch as `f64` in row-major order, for the metrics that are plain arithmetic.
pub struct Pixels {
    data: Vec<f64>,
    /// Images, channels, height, width.
    pub shape: [usize; 4],
}

impl Pixels {
    /// Copies a `[N, C, H, W]` tensor from any device.
    ///
    /// # Errors
    /// [`MetricError::Dimensions`] for other shapes.
    pub fn new(t: &Tensor) -> Result<Self, MetricError> {
        let [n, c, h, w] = t.size()[..] else {
            return Err(MetricError::Dimensions(t.size()));
        };
        let flat = t.to_device(Device::Cpu).to_kind(Kind::Double).contiguous().view(-1);
        let data = Vec::<f64>::try_from(flat)?;
        Ok(Pixels { data, shape: [n as usize, c as usize, h as usize, w as usize] })
    }

    /// All values of image `i`.
    pub fn image(&self, i: usize) -> &[f64] {
        let [_, c, h, w] = self.shape;
        &self.data[i * c * h * w..(i + 1) * c * h * w]
    }

    /// The images in order.
    pub fn images(&self) -> impl Iterator<Item = &[f64]> {
        (0..self.shape[0]).map(|i| self.image(i))
    }
}

/// Both sides of a comparison as plain numbers, prepared.
///
/// # Errors
/// As [`prepare`].
pub fn pixels(guess: &Tensor, truth: &Tensor) -> Result<(Pixels, Pixels), MetricError> {
    let ready = prepare(guess, truth)?;
    Ok((Pixels::new(&ready.guess)?, Pixels::new(&ready.truth)?))
}
