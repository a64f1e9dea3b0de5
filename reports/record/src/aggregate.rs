//! The one rule by which scores become numbers: every table, figure, frontier, headline,
//! comparison and progress line takes its means and shares from here.
//!
//! - A score beyond its metric's cap, also an infinite one, enters a mean at the cap and is counted
//!   as capped.
//! - What is no number (NaN, -inf; +inf of a metric without a cap) is a failure and in no mean, as
//!   are the images that a failed attack lost.
//! - What was not measured is missing, and in neither a mean nor a share.
//! - In a share of successes, lost and diverged images are tries without success.
//! - Units of independence are captures and images ([`crate::units`]): values that share a unit are
//!   resampled together, and a unit counts once in Wilson's intervals. Below
//!   [`LEAST_UNITS`](crate::stats::LEAST_UNITS) units there is no interval.

use crate::stats::{
    CONFIDENCE, Paired, Rate, Summary, bootstrap, clusters, few, mean, median, paired_difference,
    sample_sd, wilson_of_units,
};
use crate::units::Units;
use crate::{CellRecord, ImageScore, MetricInfo, Scores};
use std::collections::{BTreeMap, BTreeSet};
use suites::{FlagKind, rng};

/// Seed of every bootstrap; the stream's key is what is summarised, so that no interval depends on
/// what else is.
const BOOTSTRAP_SEED: u64 = 0;

/// Whether the reconstruction held NaN or infinity.
pub fn diverged(image: &ImageScore) -> bool {
    image.flags.iter().any(|flag| flag.is(FlagKind::NonFinite))
}

/// What becomes of a score in a mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Entry {
    /// It enters as it is.
    Value(f64),
    /// It enters at the cap.
    Capped(f64),
    /// It is no number.
    Failed,
    /// It was not measured.
    Missing,
}

impl Entry {
    /// Judges a score of a metric with this cap.
    pub fn new(value: Option<f64>, cap: Option<f64>) -> Self {
        match (value, cap) {
            (None, _) => Entry::Missing,
            (Some(v), Some(top)) if v > top => Entry::Capped(top),
            (Some(v), _) if v.is_finite() => Entry::Value(v),
            _ => Entry::Failed,
        }
    }

    /// What enters the mean.
    pub fn value(self) -> Option<f64> {
        match self {
            Entry::Value(v) | Entry::Capped(v) => Some(v),
            Entry::Failed | Entry::Missing => None,
        }
    }
}

/// The score of `metric` among `scores` as it enters means; `None` where it does not.
pub fn usable(scores: &Scores, metric: &MetricInfo) -> Option<f64> {
    Entry::new(scores.get(&metric.name).copied().flatten(), metric.cap).value()
}

/// The mean of the scores of `metric` over all images of a cell, with its interval at
/// `confidence`, in (0, 1).
pub fn cell_mean(record: &CellRecord, metric: &MetricInfo, confidence: f64) -> Summary {
    let mut units = Units::of_cells([record]);
    let value = |(at, i)| (units.unit(record, at), score(i, &metric.name));
    let values: Vec<_> = record.images.iter().enumerate().map(value).collect();
    Mean::new(metric, record.lost_images(), confidence, record.id.as_str()).of(&values)
}

/// The same of a null baseline; no attack can lose its images.
pub fn null_mean(record: &CellRecord, null: &str, metric: &MetricInfo) -> Summary {
    let key = format!("{}/{null}", record.id);
    Mean::new(metric, 0, CONFIDENCE, &key).of(&null_values(record, null, &metric.name))
}

/// The scores of a null baseline, with the unit of the image of each.
fn null_values(record: &CellRecord, null: &str, metric: &str) -> Vec<(usize, Option<f64>)> {
    let mut units = Units::of_cells([record]);
    let rows = record.baselines.get(null).into_iter().flatten().enumerate();
    // Scores beyond the images, which no record of this version has, are units of their own.
    let mut unit = |at: usize| match record.images.get(at) {
        Some(_) => units.unit(record, at).unwrap_or_default(),
        None => usize::MAX - at,
    };
    rows.map(|(at, s)| (unit(at), s.get(metric).copied().flatten())).collect()
}

/// The mean of the scores of `metric` over these images; `None` where none has one.
pub fn mean_of<'a>(
    images: impl Iterator<Item = &'a ImageScore>,
    metric: &MetricInfo,
) -> Option<f64> {
    mean(&images.filter_map(|i| usable(&i.scores, metric)).collect::<Vec<_>>())
}

/// A mean under way.
pub struct Mean<'a> {
    /// Largest value that enters.
    pub cap: Option<f64>,
    /// Whether every value is 0 or 1: the interval is then Wilson's over the units, which no set
    /// of equal values makes a point.
    pub share: bool,
    /// Images that a failed attack lost.
    pub lost: usize,
    /// Confidence of the interval, in (0, 1).
    pub confidence: f64,
    /// Key and purpose of the bootstrap's stream.
    pub stream: (&'a str, &'a str),
}

impl<'a> Mean<'a> {
    /// One of scores of `metric`, of which a failed attack lost so many; `key` is that of the
    /// bootstrap's stream.
    pub fn new(metric: &'a MetricInfo, lost: usize, confidence: f64, key: &'a str) -> Self {
        let stream = (key, metric.name.as_str());
        Mean { cap: metric.cap, share: metric.share, lost, confidence, stream }
    }

    /// The mean of `values`, each with its unit of independence.
    pub fn of<U: Ord + Clone>(&self, values: &[(U, Option<f64>)]) -> Summary {
        let mut out = Summary { failed: self.lost, ..Summary::default() };
        let mut kept: Vec<(U, f64)> = Vec::with_capacity(values.len());
        for (unit, value) in values {
            let entry = Entry::new(*value, self.cap);
            kept.extend(entry.value().map(|v| (unit.clone(), v)));
            match entry {
                Entry::Value(_) => {}
                Entry::Capped(_) => out.capped += 1,
                Entry::Failed => out.failed += 1,
                Entry::Missing => out.missing += 1,
            }
        }
        let plain: Vec<f64> = kept.iter().map(|(_, v)| *v).collect();
        let clusters = clusters(&kept);
        (out.n, out.units) = (plain.len(), clusters.len());
        (out.mean, out.sd, out.median) = (mean(&plain), sample_sd(&plain), median(&plain));
        let purpose = format!("bootstrap {}", self.stream.1);
        let mut stream = rng::stream(BOOTSTRAP_SEED, self.stream.0, &purpose);
        // Chance levels of a share are shares themselves.
        out.ci = if self.share && plain.iter().all(|v| [0.0, 1.0].contains(v)) {
            let hits = plain.iter().filter(|v| **v >= 0.5).count();
            wilson_of_units(hits, plain.len(), clusters.len(), self.confidence).and_then(|r| r.ci)
        } else {
            bootstrap(&clusters, self.confidence, &mut stream)
        };
        out.values = few(&clusters);
        out
    }
}

/// The mean difference of `after` from `before` over the images that both attacked, capped as means
/// are; an image that only one side scored is a pair with a missing side, and counted as such.
pub fn paired(after: &CellRecord, before: &CellRecord, metric: &MetricInfo) -> Option<Paired> {
    let mut units = Units::of_cells([before, after]);
    let mut sides: BTreeMap<(usize, usize, usize), [Option<f64>; 2]> = BTreeMap::new();
    let mut unit_of = BTreeMap::new();
    for (side, record) in [before, after].into_iter().enumerate() {
        for (at, image) in record.images.iter().enumerate() {
            let key = (image.trial, image.client, image.id);
            sides.entry(key).or_default()[side] = usable(&image.scores, metric);
            unit_of.insert(key, units.unit(record, at).unwrap_or_default());
        }
    }
    let pair = |(key, [was, is]): (_, [Option<f64>; 2])| (unit_of[&key], was, is);
    let pairs: Vec<_> = sides.into_iter().map(pair).collect();
    let purpose = format!("bootstrap paired {}", metric.name);
    paired_difference(&pairs, &mut rng::stream(BOOTSTRAP_SEED, after.id.as_str(), &purpose))
}

/// What makes an image a success.
pub enum Goal<'a> {
    /// At least (of errors: at most) so much of a metric.
    Reached(&'a MetricInfo, f64),
    /// Its label was guessed.
    Label,
}

impl Goal<'_> {
    /// Whether the image was a success; `None` where nothing was tried, in a cell where the metric
    /// was `measured` at all or was not.
    pub fn met(&self, image: &ImageScore, measured: bool) -> Option<bool> {
        match self {
            Goal::Reached(metric, bound) => {
                let (fell, value) = (diverged(image), score(image, &metric.name));
                match value {
                    Some(v) => Some(!fell && metric.met(*bound, v)),
                    // A diverged image that this metric could not take is a try all the same.
                    None => (fell && measured).then_some(false),
                }
            }
            Goal::Label => score(image, LABEL).map(|v| v >= 0.5),
        }
    }

    fn measured(&self, record: &CellRecord, images: &[usize]) -> bool {
        let name = match self {
            Goal::Reached(metric, _) => &metric.name,
            Goal::Label => LABEL,
        };
        images.iter().any(|i| score(&record.images[*i], name).is_some())
    }
}

const LABEL: &str = "label_match";

fn score(image: &ImageScore, name: &str) -> Option<f64> {
    image.scores.get(name).copied().flatten()
}

/// A share of successes under way.
#[derive(Default)]
pub struct Tally {
    /// Images that succeeded.
    pub successes: usize,
    /// Images tried.
    pub tries: usize,
    /// Tries whose image was lost or diverged.
    pub failed: usize,
    /// Images of which nothing was measured.
    pub missing: usize,
    sets: BTreeMap<String, Tried>,
}

/// Images of one data set that were tried.
#[derive(Default)]
struct Tried {
    known: Units,
    /// Units of one cell, lost ones among them, at most.
    most: usize,
}

impl Tally {
    /// Counts these images of a cell, and those that its attack lost.
    pub fn add(&mut self, record: &CellRecord, images: &[usize], lost: usize, goal: &Goal) {
        let measured = goal.measured(record, images);
        // Without a single guess the attack does not guess labels at all.
        let lost = if measured || matches!(goal, Goal::Reached(..)) { lost } else { 0 };
        let task = &record.spec.task;
        let set = self.sets.entry(format!("{} {}", task.dataset, task.split)).or_default();
        let mut own = Units::default();
        self.tries += lost;
        self.failed += lost;
        for at in images {
            let image = &record.images[*at];
            let Some(met) = goal.met(image, measured) else {
                self.missing += 1;
                continue;
            };
            self.tries += 1;
            self.successes += usize::from(met);
            self.failed += usize::from(diverged(image) && !met);
            own.add(record, *at);
            set.known.add(record, *at);
        }
        set.most = set.most.max(own.count() + lost_captures(record, lost));
    }

    /// Independent units: lost images have no number, but those of one cell differ from each other.
    pub fn units(&mut self) -> usize {
        self.sets.values_mut().map(|set| set.known.count().max(set.most)).sum()
    }

    /// The share with its Wilson interval over independent units; `None` where nothing was tried.
    pub fn rate(&mut self, confidence: f64) -> Option<Rate> {
        let units = self.units();
        wilson_of_units(self.successes, self.tries, units, confidence)
    }
}

/// Captures that so many lost images of a cell fill.
fn lost_captures(record: &CellRecord, lost: usize) -> usize {
    lost.div_ceil((record.examples() / record.spec.trials.max(1)).max(1))
}

/// The rate of successes of one cell.
pub fn cell_rate(record: &CellRecord, goal: &Goal, confidence: f64) -> Option<Rate> {
    let mut tally = Tally::default();
    let all: Vec<usize> = (0..record.images.len()).collect();
    tally.add(record, &all, record.lost_images(), goal);
    tally.rate(confidence)
}

/// The rate of successes of a null baseline over the images of a cell.
pub fn null_rate(
    record: &CellRecord,
    null: &str,
    metric: &MetricInfo,
    bound: f64,
    confidence: f64,
) -> Option<Rate> {
    let values = null_values(record, null, &metric.name);
    let scored = || values.iter().filter_map(|(unit, v)| Some((*unit, (*v)?)));
    let met = scored().filter(|(_, v)| metric.met(bound, *v)).count();
    let units: BTreeSet<usize> = scored().map(|(unit, _)| unit).collect();
    wilson_of_units(met, scored().count(), units.len(), confidence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(values: &[(String, Option<f64>)], cap: Option<f64>, lost: usize) -> Summary {
        Mean { cap, share: false, lost, confidence: CONFIDENCE, stream: ("k", "m") }.of(values)
    }

    fn numbered(values: &[Option<f64>]) -> Vec<(String, Option<f64>)> {
        values.iter().enumerate().map(|(i, v)| (i.to_string(), *v)).collect()
    }

    #[test]
    fn a_share_of_equal_values_is_no_point() {
        let values = numbered(&[Some(1.0); 8]);
        let mean = |share| {
            Mean { cap: None, share, lost: 0, confidence: CONFIDENCE, stream: ("k", "m") }
                .of(&values)
        };
        let [plain, share] = [false, true].map(mean);
        assert_eq!(plain.ci.map(|ci| ci.low), Some(1.0));
        let ci = share.ci.unwrap();
        assert!(ci.high == 1.0 && (0.6..0.7).contains(&ci.low), "{ci:?}");
    }

    #[test]
    fn nothing_is_dropped_silently() {
        let infinite = [Some(20.0), None, Some(f64::INFINITY), Some(f64::NAN), Some(30.0)];
        let s = mean_of(&numbered(&infinite), Some(100.0), 2);
        assert_eq!((s.n, s.missing, s.capped, s.failed), (3, 1, 1, 3));
        assert_eq!((s.mean, s.median), (Some(50.0), Some(30.0)));
        let s = mean_of(&numbered(&[Some(1.0), Some(f64::INFINITY)]), None, 0);
        assert_eq!((s.n, s.capped, s.failed, s.sd, s.ci), (1, 0, 1, None, None));
        assert_eq!(mean_of(&[], None, 0), Summary::default());
    }

    #[test]
    fn repeating_every_image_does_not_narrow_the_interval() {
        let values: Vec<Option<f64>> = (0..12).map(|i| Some(f64::from(i * i))).collect();
        let once = mean_of(&numbered(&values), None, 0);
        let four: Vec<_> = numbered(&values).into_iter().cycle().take(48).collect();
        let repeated = mean_of(&four, None, 0);
        assert_eq!((repeated.n, repeated.units, repeated.mean), (48, 12, once.mean));
        let width = |s: &Summary| s.ci.map(|ci| ci.high - ci.low).unwrap();
        assert!((width(&repeated) / width(&once) - 1.0).abs() < 0.1);
        // Taken for 48 images it would be half as wide.
        let naive: Vec<_> = four.iter().enumerate().map(|(i, v)| (i.to_string(), v.1)).collect();
        assert!(width(&mean_of(&naive, None, 0)) < 0.6 * width(&once));
    }
}
