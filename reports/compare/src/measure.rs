//! What is compared of each image: its metrics, and whether it is a success.

use crate::effect::Scale;
use record::aggregate::{Goal, diverged, usable};
use record::{CellRecord, ImageScore, MetricInfo, Metrics};
use std::collections::BTreeSet;
use suites::{FlagKind, Gate};

/// One quantity of an image.
#[derive(Clone, Debug)]
pub(crate) struct Measure {
    /// Name in JSON and in tables.
    pub title: String,
    pub metric: MetricInfo,
    /// The bound that makes it a success; `None` where the metric itself is meant.
    threshold: Option<f64>,
    /// How far its mean may move; `None` where it never raises an alarm.
    pub tolerance: Option<f64>,
    /// Of its differences.
    pub scale: Scale,
    /// Whether it is the share of images that are not finite.
    pub diverged: bool,
}

impl Measure {
    /// Every metric of `records` in the order of `metrics`, then the successes at the declared
    /// thresholds, then the share of images that are not finite, where any is.
    pub fn all<'a>(
        records: impl Iterator<Item = &'a CellRecord> + Clone,
        metrics: &Metrics,
        gate: &Gate,
    ) -> Vec<Measure> {
        let any = records.clone().flat_map(|r| &r.images).any(diverged);
        let names: BTreeSet<&String> =
            records.flat_map(|r| &r.images).flat_map(|i| i.scores.keys()).collect();
        let names = metrics.in_order(names.into_iter().cloned());
        let metrics: Vec<MetricInfo> = names.iter().map(|name| metrics.get(name)).collect();
        let itself = |metric: &MetricInfo| Measure {
            title: metric.label(),
            // Without a direction nothing is for the worse.
            tolerance: metric.higher_is_better.and_then(|_| gate.tolerance(&metric.name)),
            metric: metric.clone(),
            threshold: None,
            scale: Scale {
                floor: gate.rounding(&metric.name),
                binary: metric.name == "label_match",
            },
            diverged: false,
        };
        let success = |metric: &MetricInfo| {
            let one = |bound: &f64| Measure {
                title: format!("success {}", metric.threshold(*bound)),
                metric: metric.clone(),
                threshold: Some(*bound),
                tolerance: None,
                scale: Scale { floor: 0.0, binary: true },
                diverged: false,
            };
            metric.thresholds.iter().map(one).collect::<Vec<_>>()
        };
        let share = Measure {
            title: "share of non-finite images".into(),
            metric: MetricInfo::unknown(FlagKind::NonFinite.name()),
            threshold: None,
            tolerance: Some(0.0),
            scale: Scale { floor: 0.0, binary: true },
            diverged: true,
        };
        let scores = metrics.iter().map(itself).chain(metrics.iter().flat_map(success));
        scores.chain(any.then_some(share)).collect()
    }

    /// Whether more of it means that the attack got more; no more than less does where nobody said.
    pub fn higher_is_better(&self) -> bool {
        !self.diverged && (self.threshold.is_some() || self.metric.higher_is_better == Some(true))
    }

    /// Whether it is a metric of which nobody said what is better.
    pub fn undirected(&self) -> bool {
        self.raw() && self.metric.higher_is_better.is_none()
    }

    /// Whether it is the metric itself, not a success by it.
    pub fn raw(&self) -> bool {
        self.threshold.is_none() && !self.diverged
    }

    /// The values of one image before and after. A reconstruction that is not finite was scored as
    /// the grey image, which may be the better one: it never counts as more than the one that is
    /// finite. The rule is the same for both sides, so that the tests stay exact.
    pub fn of_both(&self, before: &ImageScore, after: &ImageScore) -> (Option<f64>, Option<f64>) {
        let (b, n) = (self.value(before), self.value(after));
        let directed = self.raw() && !self.undirected();
        let (Some(was), Some(is), true) = (b, n, directed) else { return (b, n) };
        match (diverged(before), diverged(after)) {
            (false, true) => (b, Some(self.worse(was, is))),
            (true, false) => (Some(self.worse(was, is)), n),
            _ => (b, n),
        }
    }

    /// The values of two records whose images are not paired: what is not finite counts as the
    /// worst of both.
    pub fn of_all(&self, base: &CellRecord, new: &CellRecord) -> (Vec<f64>, Vec<f64>) {
        let every = base.images.iter().chain(&new.images).filter_map(|i| self.value(i));
        let worst = every.reduce(|a, b| self.worse(a, b));
        let value = |i: &ImageScore| {
            let own = self.value(i);
            if self.raw() && !self.undirected() && diverged(i) { own.and(worst) } else { own }
        };
        let side = |r: &CellRecord| r.images.iter().filter_map(value).collect();
        (side(base), side(new))
    }

    fn worse(&self, a: f64, b: f64) -> f64 {
        if self.higher_is_better() { a.min(b) } else { a.max(b) }
    }

    /// The value that enters means: capped; `None` where it was not measured or is no number. An
    /// image that diverged is no success.
    pub fn value(&self, image: &ImageScore) -> Option<f64> {
        if self.diverged {
            return Some(f64::from(u8::from(diverged(image))));
        }
        match self.threshold {
            None => usable(&image.scores, &self.metric),
            Some(bound) => {
                let met = Goal::Reached(&self.metric, bound).met(image, true)?;
                Some(f64::from(u8::from(met)))
            }
        }
    }

    /// A difference of it, with sign.
    pub fn signed(&self, difference: f64) -> String {
        let shown = if self.raw() {
            self.metric.show(difference.abs())
        } else {
            format!("{:.3}", difference.abs())
        };
        let sign = if difference < 0.0 { "−" } else { "+" };
        format!("{sign}{shown}")
    }
}
