//! Mean absolute error.

use metrics::{Metric, MetricCard, MetricEntry, MetricError};
use tch::{Kind, Tensor};

/// The registry's entry.
pub static ENTRY: MetricEntry = MetricEntry {
    name: "mae",
    summary: "mean absolute error over pixels and channels",
    build: |_| Ok(Box::new(Mae)),
};

struct Mae;

impl Metric for Mae {
    fn card(&self) -> MetricCard {
        MetricCard {
            name: ENTRY.name,
            unit: "",
            range: (0.0, 1.0),
            higher_is_better: false,
            reference: "mean of the magnitudes of differences of pixels in [0, 1]",
        }
    }

    fn score(&self, guess: &Tensor, truth: &Tensor) -> Result<Vec<f64>, MetricError> {
        let off = (guess - truth).abs().flatten(1, -1).mean_dim(1, false, Kind::Double);
        Ok(Vec::try_from(off)?)
    }
}
