//! Scores against the best transform of the truth: behind a defense that shifts, flips or recolours
//! its examples a reconstruction can show the picture plainly, and lie pixels away from it.
//!
//! The guess is registered to the truth: mirrored or not, shifted by up to [`SHIFT`] pixels (a
//! quarter of the side at most) each way, and each channel mapped by `a x + b` with `a >= 0`, by
//! least squares over the overlap. The registration with the least mean squared error counts. It
//! sees the truth, so baselines are registered too, and only these compare with it.

use record::MetricInfo;
use tch::Tensor;

use crate::images::{Pixels, pixels};
use crate::{CAP_DB, MetricError, Scores, psnr_from_mse, ssim};

/// Shift in pixels, at most.
pub const SHIFT: usize = 8;

/// Names of the scores.
pub const NAMES: [&str; 2] = ["psnr-registered", "ssim-registered"];

/// What reports know of the scores.
pub fn infos() -> Vec<MetricInfo> {
    let reference = "of the guess after the best flip, shift by up to 8 pixels and gain and offset \
        of each channel";
    vec![
        MetricInfo {
            unit: "dB".into(),
            range: [Some(0.0), None],
            cap: Some(CAP_DB),
            decimals: 2,
            reference: reference.into(),
            ..MetricInfo::higher(NAMES[0], "PSNR, registered")
        },
        MetricInfo {
            range: [Some(-1.0), Some(1.0)],
            reference: reference.into(),
            ..MetricInfo::higher(NAMES[1], "SSIM, registered")
        },
    ]
}

/// The scores of images `[N, C, H, W]` in `[0, 1]`, guess `i` belonging to truth `i`; tables have
/// none, and images whose overlap is smaller than SSIM's window no `ssim-registered`.
///
/// # Errors
/// As [`prepare`](crate::images::prepare).
pub fn scores(guess: &Tensor, truth: &Tensor) -> Result<Vec<Scores>, MetricError> {
    let (guess, truth) = pixels(guess, truth)?;
    let [n, _, height, width] = guess.shape;
    if height * width == 1 {
        return Ok(vec![Scores::new(); n]);
    }
    (0..n).map(|i| score(&guess, &truth, i)).collect()
}

fn score(guess: &Pixels, truth: &Pixels, i: usize) -> Result<Scores, MetricError> {
    let size = [guess.shape[1], guess.shape[2], guess.shape[3]];
    let most = |side: usize| SHIFT.min(side / 4) as isize;
    let (down, right) = (most(size[1]), most(size[2]));
    let mut best: Option<(f64, Overlap)> = None;
    for flip in [false, true] {
        for (dy, dx) in (-down..=down).flat_map(|y| (-right..=right).map(move |x| (y, x))) {
            let overlap = Overlap { size, flip, dy, dx };
            let error = overlap.error(guess.image(i), truth.image(i));
            if best.as_ref().is_none_or(|(least, _)| error < *least) {
                best = Some((error, overlap));
            }
        }
    }
    let Some((error, overlap)) = best else { return Ok(Scores::new()) };
    let (x, t) = overlap.images(guess.image(i), truth.image(i));
    let similar = match ssim(&x, &t) {
        Ok(values) => values.first().copied(),
        Err(MetricError::Unsuited { .. }) => None,
        Err(other) => return Err(other),
    };
    Ok(Scores::from([
        (NAMES[0].to_string(), Some(psnr_from_mse(error))),
        (NAMES[1].to_string(), similar),
    ]))
}

/// Which pixels of a guess lie over which of the truth.
struct Overlap {
    /// Channels, height, width.
    size: [usize; 3],
    flip: bool,
    dy: isize,
    dx: isize,
}

impl Overlap {
    /// Height and width of what overlaps.
    fn side(&self) -> [usize; 2] {
        [self.size[1] - self.dy.unsigned_abs(), self.size[2] - self.dx.unsigned_abs()]
    }

    /// Values of a channel of guess and truth that lie over one another.
    fn pairs<'a>(
        &'a self,
        guess: &'a [f64],
        truth: &'a [f64],
        channel: usize,
    ) -> impl Iterator<Item = (f64, f64)> + 'a {
        let [_, h, w] = self.size;
        let [rows, columns] = self.side();
        let (top, left) = (self.dy.max(0) as usize, self.dx.max(0) as usize);
        let (above, before) = ((-self.dy).max(0) as usize, (-self.dx).max(0) as usize);
        let plane = channel * h * w;
        (0..rows * columns).map(move |at| {
            let (y, x) = (at / columns, at % columns);
            let column = if self.flip { w - 1 - (before + x) } else { before + x };
            let own = guess[plane + (above + y) * w + column];
            (own, truth[plane + (top + y) * w + left + x])
        })
    }

    /// Gain, of at least 0, and offset of a channel by least squares, and the squared error left.
    fn fit(&self, guess: &[f64], truth: &[f64], channel: usize) -> (f64, f64, f64) {
        let (mut n, mut x, mut t, mut xx, mut tt, mut xt) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for (a, b) in self.pairs(guess, truth, channel) {
            (n, x, t) = (n + 1.0, x + a, t + b);
            (xx, tt, xt) = (xx + a * a, tt + b * b, xt + a * b);
        }
        let (spread, both) = (xx - x * x / n, xt - x * t / n);
        let gain = if spread > 1e-9 { (both / spread).max(0.0) } else { 0.0 };
        let left = (tt - t * t / n) - 2.0 * gain * both + gain * gain * spread;
        (gain, (t - gain * x) / n, left.max(0.0))
    }

    /// The mean squared error after the best gains and offsets.
    fn error(&self, guess: &[f64], truth: &[f64]) -> f64 {
        let [rows, columns] = self.side();
        let total: f64 = (0..self.size[0]).map(|c| self.fit(guess, truth, c).2).sum();
        total / (self.size[0] * rows * columns) as f64
    }

    /// The registered guess and the truth, both `[1, C, rows, columns]`.
    fn images(&self, guess: &[f64], truth: &[f64]) -> (Tensor, Tensor) {
        let (mut x, mut t) = (Vec::new(), Vec::new());
        for channel in 0..self.size[0] {
            let (gain, offset, _) = self.fit(guess, truth, channel);
            for (a, b) in self.pairs(guess, truth, channel) {
                x.push(gain * a + offset);
                t.push(b);
            }
        }
        let [rows, columns] = self.side().map(|s| s as i64);
        let shape = [1, self.size[0] as i64, rows, columns];
        (Tensor::from_slice(&x).view(shape), Tensor::from_slice(&t).view(shape))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::formula_image;

    fn psnr(guess: &Tensor, truth: &Tensor) -> f64 {
        scores(guess, truth).unwrap()[0][NAMES[0]].unwrap()
    }

    #[test]
    fn what_was_moved_mirrored_and_recoloured_is_recognised() {
        let truth = formula_image(3, 24, 24, 3);
        let moved = truth.roll([2, -3], [2, 3]).flip([3]) * 0.6 + 0.2;
        let found = &scores(&moved, &truth).unwrap()[0];
        assert!(found[NAMES[0]].unwrap() > 60.0, "{found:?}");
        assert!(found[NAMES[1]].unwrap() > 0.999, "{found:?}");
        let plain = crate::mse(&moved, &truth).unwrap()[0];
        assert!(psnr_from_mse(plain) < 20.0);
    }

    #[test]
    fn another_picture_or_a_negative_is_not() {
        let truth = formula_image(3, 24, 24, 3);
        let grey = psnr(&truth.full_like(0.5), &truth);
        for other in [formula_image(8, 24, 24, 3), 1.0 - &truth] {
            let found = psnr(&other, &truth);
            assert!(found < grey + 6.0, "{found} against {grey}");
        }
        // Beyond the largest shift nothing is found.
        let far = truth.roll([12], [3]);
        assert!(psnr(&far, &truth) < 40.0);
    }

    #[test]
    fn a_registration_never_loses_against_the_plain_score() {
        let (truth, guess) = (formula_image(1, 16, 20, 1), formula_image(2, 16, 20, 1));
        let plain = psnr_from_mse(crate::mse(&guess, &truth).unwrap()[0]);
        assert!(psnr(&guess, &truth) >= plain);
        let row = formula_image(0, 1, 1, 12);
        assert!(scores(&row, &row).unwrap()[0].is_empty());
    }
}
