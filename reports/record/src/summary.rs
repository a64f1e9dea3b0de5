//! Every cell with its statistics: what tables, figures, `cells.csv` and `summary.json` are made
//! of.

use crate::aggregate::{Goal, cell_mean, cell_rate, null_mean, null_rate};
use crate::stats::{CONFIDENCE, Rate, Summary};
use crate::{CellRecord, MetricInfo, Metrics, Outcome};
use serde::Serialize;
use std::collections::BTreeMap;
use suites::{Fact, Flag};

/// Statistics of one cell.
#[derive(Clone, Debug, Serialize)]
pub struct CellSummary {
    /// Identity of the cell.
    pub id: String,
    /// `done`, `not applicable` or `failed`.
    pub outcome: &'static str,
    /// By metric.
    pub metrics: BTreeMap<String, Summary>,
    /// By threshold in words.
    pub success: BTreeMap<String, Rate>,
    /// Share of labels that the attack guessed; `None` where it was told them or guesses none.
    pub label_accuracy: Option<Rate>,
    /// Whether the adversary was told the labels.
    pub labels_known: bool,
    /// By null baseline, then by metric.
    pub baselines: BTreeMap<String, BTreeMap<String, Summary>>,
    /// By null baseline, then by threshold in words.
    pub baseline_success: BTreeMap<String, BTreeMap<String, Rate>>,
    /// Flags with the number of images (or 1 for the cell itself) that carry them.
    pub flags: BTreeMap<Flag, usize>,
}

impl CellSummary {
    /// Summarises one record of a run with these metrics.
    pub fn from_record(record: &CellRecord, metrics: &Metrics) -> Self {
        let mut names = metrics.in_order(record.metrics().into_iter().map(str::to_owned));
        if names.is_empty() && record.lost_images() > 0 {
            names.push("psnr".into());
        }
        let (mut baselines, mut baseline_success) = (BTreeMap::new(), BTreeMap::new());
        for (null, rows) in &record.baselines {
            let names = metrics.in_order(rows.iter().flat_map(|scores| scores.keys().cloned()));
            let mean = |name: &String| (name.clone(), null_mean(record, null, &metrics.get(name)));
            baselines.insert(null.clone(), names.iter().map(mean).collect());
            let rate = |m: &MetricInfo, t| null_rate(record, null, m, t, CONFIDENCE);
            baseline_success.insert(null.clone(), rates(metrics, &names, rate));
        }
        let mean =
            |name: &String| (name.clone(), cell_mean(record, &metrics.get(name), CONFIDENCE));
        let success = |m: &MetricInfo, t| cell_rate(record, &Goal::Reached(m, t), CONFIDENCE);
        let label_accuracy = cell_rate(record, &Goal::Label, CONFIDENCE);
        CellSummary {
            id: record.id.to_string(),
            outcome: outcome(&record.outcome),
            metrics: names.iter().map(mean).collect(),
            success: rates(metrics, &names, success),
            labels_known: record.spec.facts.contains(&Fact::Labels) && label_accuracy.is_none(),
            label_accuracy,
            baselines,
            baseline_success,
            flags: flags(record),
        }
    }

    /// The mean of a metric.
    pub fn mean(&self, metric: &str) -> Option<f64> {
        self.metrics.get(metric)?.mean
    }
}

/// The rate of success at each declared threshold, by its words.
fn rates(
    metrics: &Metrics,
    names: &[String],
    rate: impl Fn(&MetricInfo, f64) -> Option<Rate>,
) -> BTreeMap<String, Rate> {
    let of = |name: &String| {
        let metric = metrics.get(name);
        let one = |bound: &f64| Some((metric.threshold(*bound), rate(&metric, *bound)?));
        metric.thresholds.iter().filter_map(one).collect::<Vec<_>>()
    };
    names.iter().flat_map(of).collect()
}

fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::NotApplicable { .. } => "not applicable",
        Outcome::Failed { .. } => "failed",
    }
}

fn flags(record: &CellRecord) -> BTreeMap<Flag, usize> {
    let mut counted = BTreeMap::new();
    for flag in record.flags.iter().chain(record.images.iter().flat_map(|i| &i.flags)) {
        *counted.entry(flag.clone()).or_insert(0) += 1;
    }
    counted
}
