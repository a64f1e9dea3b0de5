//! Mean absolute error.

use metrics::{Metric, MetricEntry, MetricError};
use record::MetricInfo;
use tch::{Kind, Tensor};

/// The registry's entry.
pub static ENTRY: MetricEntry = MetricEntry {
    name: "mae",
    summary: "mean absolute error over pixels and channels",
    info: || MetricInfo {
        range: [Some(0.0), Some(1.0)],
        reference: "mean of the magnitudes of differences of pixels in [0, 1]".into(),
        ..MetricInfo::lower(ENTRY.name, "MAE")
    },
    build: |_| Ok(Box::new(Mae)),
};

struct Mae;

impl Metric for Mae {
    fn score(&self, guess: &Tensor, truth: &Tensor) -> Result<Vec<f64>, MetricError> {
        let off = (guess - truth).abs().flatten(1, -1).mean_dim(1, false, Kind::Double);
        Ok(Vec::try_from(off)?)
    }
}
