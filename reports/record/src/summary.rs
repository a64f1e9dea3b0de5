//! Every cell with its statistics: what tables, figures, `cells.csv` and `summary.json` are made
//! of.

use crate::metrics::{Metric, THRESHOLDS, in_order};
use crate::stats::{Rate, Summary, summarise, wilson};
use crate::{CellRecord, ImageScore, Outcome, Scores};
use serde::Serialize;
use std::collections::BTreeMap;
use suites::{Fact, rng};

/// Seed of every bootstrap; the stream's key is the cell, so that intervals do not depend on other
/// cells.
pub const BOOTSTRAP_SEED: u64 = 0;

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
    pub flags: BTreeMap<String, usize>,
}

impl CellSummary {
    /// Summarises one record.
    pub fn of(record: &CellRecord) -> Self {
        let lost = record.lost_images();
        let rows: Vec<&Scores> = record.images.iter().map(|i| &i.scores).collect();
        let null = |f: &dyn Fn(&String, &[&Scores]) -> Stats| -> BTreeMap<String, Stats> {
            let each = record.baselines.iter();
            each.map(|(name, rows)| (name.clone(), f(name, &rows.iter().collect::<Vec<_>>())))
                .collect()
        };
        let key = record.id.as_str();
        let diverged: Vec<bool> =
            record.images.iter().map(|i| i.flags.iter().any(|f| f == NON_FINITE)).collect();
        let own = Stats::of(&rows, &diverged, lost, key);
        let (mut baselines, mut baseline_success) = (BTreeMap::new(), BTreeMap::new());
        for (name, stats) in null(&|name, rows| Stats::of(rows, &[], 0, &format!("{key}/{name}"))) {
            baselines.insert(name.clone(), stats.metrics);
            baseline_success.insert(name, stats.success);
        }
        let label_accuracy = label_accuracy(record, lost);
        let labels_granted = record.spec.facts.contains(&Fact::Labels);
        CellSummary {
            id: record.id.to_string(),
            outcome: outcome(&record.outcome),
            metrics: own.metrics,
            success: own.success,
            labels_known: labels_granted && label_accuracy.is_none(),
            label_accuracy,
            baselines,
            baseline_success,
            flags: flags(record),
        }
    }

    /// The highest mean PSNR among the null baselines.
    pub fn best_null_psnr(&self) -> Option<f64> {
        let means = self.baselines.values().filter_map(|b| b.get("psnr")?.mean);
        means.max_by(f64::total_cmp)
    }

    /// The mean of a metric.
    pub fn mean(&self, metric: &str) -> Option<f64> {
        self.metrics.get(metric)?.mean
    }
}

struct Stats {
    metrics: BTreeMap<String, Summary>,
    success: BTreeMap<String, Rate>,
}

impl Stats {
    fn of(rows: &[&Scores], diverged: &[bool], lost: usize, key: &str) -> Self {
        let mut out = Stats { metrics: BTreeMap::new(), success: BTreeMap::new() };
        let mut names = in_order(rows.iter().flat_map(|scores| scores.keys().cloned()));
        if names.is_empty() && lost > 0 {
            names.push("psnr".into());
        }
        for name in names {
            let metric = Metric::of(&name);
            let values: Vec<_> =
                rows.iter().map(|scores| scores.get(&name).copied().flatten()).collect();
            let mut stream = rng::stream(BOOTSTRAP_SEED, key, &format!("bootstrap {name}"));
            out.success.extend(success(&metric, &values, diverged, lost));
            out.metrics.insert(name, summarise(&values, metric.cap, lost, &mut stream));
        }
        out
    }
}

/// The flag of a reconstruction that held NaN or infinity and was scored as the grey image.
pub const NON_FINITE: &str = "non-finite";

/// Success rates: a failed attack and a diverged image (`diverged[i]`; missing means not) are tries
/// without success, an unmeasured image is no try.
fn success(
    metric: &Metric,
    values: &[Option<f64>],
    diverged: &[bool],
    lost: usize,
) -> BTreeMap<String, Rate> {
    let fell = |i: usize| diverged.get(i).copied().unwrap_or(false);
    let measured: Vec<(usize, f64)> =
        values.iter().enumerate().filter_map(|(i, v)| Some((i, (*v)?))).collect();
    let judged = THRESHOLDS.iter().filter(|t| t.judges(&metric.name));
    let rate = |t: &crate::metrics::Threshold| {
        let successes = measured.iter().filter(|(i, v)| !fell(*i) && t.met(metric, *v)).count();
        // A diverged image that this metric could not take is a try all the same, where the metric
        // was measured at all.
        let dropped = (0..values.len()).filter(|&i| fell(i) && values[i].is_none()).count();
        let tries = if measured.is_empty() { lost } else { measured.len() + dropped + lost };
        Some((t.label(metric), wilson(successes, tries)?))
    };
    judged.filter_map(rate).collect()
}

fn label_accuracy(record: &CellRecord, lost: usize) -> Option<Rate> {
    let told = |image: &ImageScore| image.scores.get("label_match").copied().flatten();
    let matches: Vec<bool> =
        record.images.iter().filter_map(told).map(|score| score >= 0.5).collect();
    // Without a single guess the attack does not guess labels at all.
    (!matches.is_empty())
        .then(|| wilson(matches.iter().filter(|m| **m).count(), matches.len() + lost))?
}

fn outcome(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::NotApplicable { .. } => "not applicable",
        Outcome::Failed { .. } => "failed",
    }
}

fn flags(record: &CellRecord) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for flag in record.flags.iter().chain(record.images.iter().flat_map(|i| &i.flags)) {
        *counted.entry(flag.clone()).or_insert(0) += 1;
    }
    counted
}
