//! What is compared of each image: its metrics, and whether it is a success.

use crate::metrics::{Metric, THRESHOLDS, Threshold, in_order};
use crate::{CellRecord, ImageScore};
use suites::Gate;

/// One quantity of an image.
#[derive(Clone, Debug)]
pub(super) struct Measure {
    /// Name in JSON and in tables.
    pub title: String,
    pub metric: Metric,
    /// The bound that makes it a success; `None` where the metric itself is meant.
    threshold: Option<Threshold>,
    /// How far its mean may move; `None` where it never raises an alarm.
    pub tolerance: Option<f64>,
}

impl Measure {
    /// Every metric of `records` in the order of reading, then the successes at the declared thresholds.
    pub fn all<'a>(records: impl Iterator<Item = &'a CellRecord>, gate: &Gate) -> Vec<Measure> {
        let names = in_order(
            records
                .flat_map(|r| &r.images)
                .flat_map(|i| i.scores.keys())
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .cloned(),
        );
        let metrics: Vec<Metric> = names.iter().map(|name| Metric::of(name)).collect();
        let itself = |metric: &Metric| Measure {
            title: metric.label(),
            tolerance: gate.tolerance(&metric.name),
            metric: metric.clone(),
            threshold: None,
        };
        let success = |metric: &Metric| {
            let judged = THRESHOLDS.iter().filter(|t| t.judges(&metric.name));
            let one = |t: &Threshold| Measure {
                title: format!("success {}", t.label(metric)),
                metric: metric.clone(),
                threshold: Some(*t),
                tolerance: None,
            };
            judged.map(one).collect::<Vec<_>>()
        };
        metrics.iter().map(itself).chain(metrics.iter().flat_map(success)).collect()
    }

    /// Whether more of it means that the attack got more.
    pub fn higher_is_better(&self) -> bool {
        self.threshold.is_some() || self.metric.higher_is_better
    }

    /// Whether it is the metric itself, not a success by it.
    pub fn raw(&self) -> bool {
        self.threshold.is_none()
    }

    /// The value that enters means: capped; `None` where it was not measured or is no number. An image that diverged is no success.
    pub fn of(&self, image: &ImageScore) -> Option<f64> {
        let value = image.scores.get(&self.metric.name).copied().flatten();
        let Some(threshold) = self.threshold else {
            let cap = self.metric.cap.unwrap_or(f64::INFINITY);
            // The minimum of NaN and a cap would be the cap.
            return value.filter(|v| !v.is_nan()).map(|v| v.min(cap)).filter(|v| v.is_finite());
        };
        let diverged = image.flags.iter().any(|f| f == crate::summary::NON_FINITE);
        match value {
            None if !diverged => None,
            value => {
                Some(f64::from(u8::from(!diverged && value.is_some_and(|v| threshold.met(&self.metric, v)))))
            }
        }
    }

    /// A difference of it, with sign.
    pub fn signed(&self, difference: f64) -> String {
        let shown =
            if self.raw() { self.metric.show(difference.abs()) } else { format!("{:.3}", difference.abs()) };
        let sign = if difference < 0.0 { "−" } else { "+" };
        format!("{sign}{shown}")
    }
}
