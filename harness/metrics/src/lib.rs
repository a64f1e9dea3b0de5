//! How a reconstruction is scored against the truth. `docs/metrics.md` is the specification; this
//! is its code.
//!
//! Every metric takes pixels in `[0, 1]`, clamps the guess to them, and returns one number an
//! image. A reconstruction with a NaN or an infinity counts as the grey image and is flagged (see
//! [`images`]).

pub mod baselines;
mod error;
pub mod fl_attack;
pub mod identification;
pub mod images;
pub mod label_batch;
pub mod label_match;
pub mod lpips;
mod mse;
pub mod pairing;
mod panel;
mod psnr;
pub mod registered;
mod registry;
mod ssim;
pub mod verification;

use tch::Tensor;

pub use error::MetricError;
pub use mse::mse;
pub use panel::{ImageScores, Panel, Scored, Scores};
pub use psnr::{CAP_DB, psnr_from_mse};
pub use registry::{ENTRIES, MetricEntry, Setup, builtin, find, infos};
pub use ssim::ssim;

/// One way to compare a reconstruction with the truth.
pub trait Metric: Send + Sync {
    /// Scores `[N, C, H, W]` (or `[N, F]` tables) in `[0, 1]`, one number an image; both tensors
    /// have the same shape, row `i` of the guess belonging to row `i` of the truth.
    ///
    /// # Errors
    /// [`MetricError`] for shapes that differ or that this metric cannot compare, and for a truth
    /// that is not pixels.
    fn score(&self, guess: &Tensor, truth: &Tensor) -> Result<Vec<f64>, MetricError>;

    /// Vectors `[N, D]` of images whose mean squared differences order pairs as this metric does;
    /// `None` for one that is no such distance, or cannot take these images.
    ///
    /// # Errors
    /// [`MetricError`] for shapes that are no images.
    fn embed(&self, _pixels: &Tensor) -> Result<Option<Tensor>, MetricError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
