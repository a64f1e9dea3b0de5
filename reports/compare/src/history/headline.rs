//! The few numbers of a run that are followed from night to night.

use crate::Side;
use record::aggregate::{Goal, Tally, mean_of};
use record::axes::{acting, defenses};
use record::stats::{CONFIDENCE, mean};
use record::{CellRecord, MetricInfo, Metrics, Outcome, utility};
use std::collections::{BTreeMap, HashSet};
use suites::CellId;

/// One number: what it is, of what, and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Headline {
    /// What it is.
    pub of: Quantity,
    /// The attack or defense; empty where the run as a whole is meant.
    pub series: String,
    /// In the quantity's unit.
    pub value: f64,
}

/// What is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// Mean PSNR of an attack without defenses, in dB.
    Psnr,
    /// Share of images that an attack without defenses reconstructs, in [0, 1].
    Success,
    /// Largest mean PSNR of any attack behind a defense, in dB.
    WorstCase,
    /// Mean test accuracy with a defense, in [0, 1].
    Accuracy,
    /// Seconds of all cells together.
    Seconds,
    /// Cells that failed.
    Failed,
}

impl Quantity {
    /// All of them, in the order of reading.
    pub const ALL: [Quantity; 6] = [
        Quantity::Psnr,
        Quantity::Success,
        Quantity::WorstCase,
        Quantity::Accuracy,
        Quantity::Seconds,
        Quantity::Failed,
    ];

    /// Name in the CSV and of figures.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Psnr => "undefended-psnr",
            Quantity::Success => "undefended-success",
            Quantity::WorstCase => "worst-case-psnr",
            Quantity::Accuracy => "accuracy",
            Quantity::Seconds => "seconds",
            Quantity::Failed => "failed-cells",
        }
    }

    /// Title with unit, as on an axis; success is that of runs with these metrics.
    pub fn label(self, metrics: &Metrics) -> String {
        match self {
            Quantity::Psnr => "mean PSNR (dB)".into(),
            Quantity::Success => format!("share of {}", goal_in_words(metrics)),
            Quantity::WorstCase => "largest mean PSNR (dB)".into(),
            Quantity::Accuracy => "test accuracy".into(),
            Quantity::Seconds => "seconds, all cells".into(),
            Quantity::Failed => "failed cells".into(),
        }
    }

    /// What a figure of it shows.
    pub fn caption(self, metrics: &Metrics) -> String {
        match self {
            Quantity::Psnr => "Mean PSNR of each attack over the images of its undefended cells.",
            Quantity::Success => {
                return format!(
                    "Share of images with {}, of each attack without defenses; images lost to a \
                     failed attack count as failures.",
                    goal_in_words(metrics)
                );
            }
            Quantity::WorstCase => "The largest mean PSNR that any attack has behind each defense.",
            Quantity::Accuracy => "Mean test accuracy over the cells of each defense.",
            Quantity::Seconds => "Seconds of all cells together.",
            Quantity::Failed => "Cells that failed.",
        }
        .into()
    }
}

/// Every headline of a run.
pub(crate) fn all(side: &Side) -> Vec<Headline> {
    let (records, psnr) = (&side.records, Metrics::from_run(&side.info).get("psnr"));
    let plain: Vec<&CellRecord> =
        records.iter().filter(|r| acting(&r.spec).next().is_none()).collect();
    let mut out = Vec::new();
    let mut add = |of, series: &str, value: Option<f64>| {
        out.extend(value.map(|value| Headline { of, series: series.into(), value }));
    };
    for (attack, cells) in by(plain.iter().copied(), |r| r.spec.attack.name.clone()) {
        add(Quantity::Psnr, &attack, mean_psnr(&cells, &psnr));
        add(Quantity::Success, &attack, success(&cells, &psnr));
    }
    let doubtful: HashSet<&CellId> =
        records.iter().zip(&side.doubts).filter(|(_, d)| d.is_some()).map(|(r, _)| &r.id).collect();
    for (defense, cells) in by(records.iter(), |r| defenses(&r.spec, |d| d.name.clone())) {
        // Of a defense that no attack beats the floor without, nothing is said.
        let judged = cells.iter().copied().filter(|r| !doubtful.contains(&r.id));
        let attacks = by(judged, |r| r.spec.attack.name.clone());
        let means = attacks.values().filter_map(|cells| mean_psnr(cells, &psnr));
        let worst = means.max_by(f64::total_cmp).filter(|_| psnr.higher_is_better == Some(true));
        add(Quantity::WorstCase, &defense, worst);
        let shares: Vec<f64> = cells.iter().filter_map(|r| Some(utility::accuracy(r)?.0)).collect();
        add(Quantity::Accuracy, &defense, mean(&shares));
    }
    add(Quantity::Seconds, "", Some(records.iter().map(|r| r.wall.seconds).sum()));
    let failed = records.iter().filter(|r| matches!(r.outcome, Outcome::Failed { .. })).count();
    add(Quantity::Failed, "", Some(failed as f64));
    out
}

fn by<'a>(
    records: impl Iterator<Item = &'a CellRecord>,
    key: impl Fn(&CellRecord) -> String,
) -> BTreeMap<String, Vec<&'a CellRecord>> {
    let mut groups: BTreeMap<String, Vec<&CellRecord>> = BTreeMap::new();
    records.for_each(|record| groups.entry(key(record)).or_default().push(record));
    groups
}

/// The mean PSNR over the images of these cells.
fn mean_psnr(cells: &[&CellRecord], psnr: &MetricInfo) -> Option<f64> {
    mean_of(cells.iter().flat_map(|r| &r.images), psnr)
}

/// The easiest threshold of the PSNR, such as "PSNR ≥ 20 dB".
fn goal_in_words(metrics: &Metrics) -> String {
    let psnr = metrics.get("psnr");
    psnr.thresholds.first().map_or("success".into(), |bound| psnr.threshold(*bound))
}

/// The share of successes, at the easiest threshold, over all images that the attack was let loose
/// on.
fn success(cells: &[&CellRecord], psnr: &MetricInfo) -> Option<f64> {
    let goal = Goal::Reached(psnr, *psnr.thresholds.first()?);
    let mut tally = Tally::default();
    for record in cells {
        let all: Vec<usize> = (0..record.images.len()).collect();
        tally.add(record, &all, record.lost_images(), &goal);
    }
    Some(tally.rate(CONFIDENCE)?.rate)
}
