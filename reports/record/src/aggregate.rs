//! The one rule by which scores become numbers: every table, figure, frontier, headline,
//! comparison and progress line takes its means and shares from here.
//!
//! - A score beyond its metric's cap, also an infinite one, enters a mean at the cap and is counted
//!   as capped.
//! - What is no number (NaN, -inf; +inf of a metric without a cap) is a failure and in no mean, as
//!   are the images that a failed attack lost.
//! - What was not measured is missing, and in neither a mean nor a share.
//! - In a share of successes, lost and diverged images are tries without success.
//! - Units of independence are images: values that share a unit are resampled together, and an
//!   image that was tried more than once counts once in Wilson's intervals.

use crate::stats::{
    CONFIDENCE, Interval, Paired, Rate, Summary, bootstrap_clusters, mean, median,
    paired_difference, sample_sd, wilson_at,
};
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
    let score = |i: &ImageScore| score(i, &metric.name);
    let values: Vec<(String, Option<f64>)> =
        record.images.iter().enumerate().map(|(at, i)| (unit(record, at), score(i))).collect();
    let stream = (record.id.as_str(), metric.name.as_str());
    Mean { cap: metric.cap, lost: record.lost_images(), confidence, stream }.of(&values)
}

/// The same of a null baseline; no attack can lose its images.
pub fn null_mean(record: &CellRecord, null: &str, metric: &MetricInfo) -> Summary {
    let rows = record.baselines.get(null).into_iter().flatten().enumerate();
    let unit = |at: usize| if at < record.images.len() { unit(record, at) } else { at.to_string() };
    let values: Vec<(String, Option<f64>)> =
        rows.map(|(at, s)| (unit(at), s.get(&metric.name).copied().flatten())).collect();
    let key = format!("{}/{null}", record.id);
    let stream = (key.as_str(), metric.name.as_str());
    Mean { cap: metric.cap, lost: 0, confidence: CONFIDENCE, stream }.of(&values)
}

/// The mean of the scores of `metric` over these images; `None` where none has one.
pub fn mean_of<'a>(
    images: impl Iterator<Item = &'a ImageScore>,
    metric: &MetricInfo,
) -> Option<f64> {
    mean(&images.filter_map(|i| usable(&i.scores, metric)).collect::<Vec<_>>())
}

/// What independent repetitions of a measurement differ in: the image, of whichever cell.
pub fn unit(record: &CellRecord, image: usize) -> String {
    let task = &record.spec.task;
    format!("{} {} {}", task.dataset, task.split, record.images[image].id)
}

/// A mean under way.
pub struct Mean<'a> {
    /// Largest value that enters.
    pub cap: Option<f64>,
    /// Images that a failed attack lost.
    pub lost: usize,
    /// Confidence of the interval, in (0, 1).
    pub confidence: f64,
    /// Key and purpose of the bootstrap's stream.
    pub stream: (&'a str, &'a str),
}

impl Mean<'_> {
    /// The mean of `values`, each with its unit of independence.
    pub fn of<U: AsRef<str>>(&self, values: &[(U, Option<f64>)]) -> Summary {
        let mut out = Summary { failed: self.lost, ..Summary::default() };
        let mut kept: Vec<(&str, f64)> = Vec::with_capacity(values.len());
        for (unit, value) in values {
            let entry = Entry::new(*value, self.cap);
            kept.extend(entry.value().map(|v| (unit.as_ref(), v)));
            match entry {
                Entry::Value(_) => {}
                Entry::Capped(_) => out.capped += 1,
                Entry::Failed => out.failed += 1,
                Entry::Missing => out.missing += 1,
            }
        }
        let plain: Vec<f64> = kept.iter().map(|(_, v)| *v).collect();
        let mut clusters: BTreeMap<&str, (f64, usize)> = BTreeMap::new();
        for (unit, v) in &kept {
            let (sum, n) = clusters.entry(unit).or_default();
            (*sum, *n) = (*sum + v, *n + 1);
        }
        out.clustered = clusters.len() < plain.len();
        let sums: Vec<(f64, usize)> = if out.clustered {
            clusters.into_values().collect()
        } else {
            plain.iter().map(|v| (*v, 1)).collect()
        };
        out.n = plain.len();
        (out.mean, out.sd, out.median) = (mean(&plain), sample_sd(&plain), median(&plain));
        let mut stream =
            rng::stream(BOOTSTRAP_SEED, self.stream.0, &format!("bootstrap {}", self.stream.1));
        out.ci = bootstrap_clusters(&sums, self.confidence, &mut stream);
        out
    }
}

/// The mean difference of `after` from `before` over the images that both attacked, capped as means
/// are; an image that only one side scored is a pair with a missing side, and counted as such.
pub fn paired(after: &CellRecord, before: &CellRecord, metric: &MetricInfo) -> Option<Paired> {
    let scores = |record: &CellRecord| -> BTreeMap<_, _> {
        let value = |i: &ImageScore| ((i.trial, i.client, i.id), usable(&i.scores, metric));
        record.images.iter().map(value).collect()
    };
    let (was, is) = (scores(before), scores(after));
    let images: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    let score = |of: &BTreeMap<_, Option<f64>>, image| of.get(image).copied().flatten();
    let pairs: Vec<_> = images.into_iter().map(|i| (score(&was, i), score(&is, i))).collect();
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
    cells: usize,
    sets: BTreeMap<String, Images>,
}

/// Images of one data set that were tried.
#[derive(Default)]
struct Images {
    known: BTreeSet<usize>,
    /// Tries of one cell, at most.
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
        let mut own = lost;
        self.failed += lost;
        for image in images.iter().map(|i| &record.images[*i]) {
            let Some(met) = goal.met(image, measured) else {
                self.missing += 1;
                continue;
            };
            own += 1;
            self.successes += usize::from(met);
            self.failed += usize::from(diverged(image) && !met);
            set.known.insert(image.id);
        }
        set.most = set.most.max(own);
        self.tries += own;
        self.cells += 1;
    }

    /// Different images: lost ones have no number, but those of one cell differ from each other.
    pub fn distinct(&self) -> usize {
        match self.cells {
            // One cell attacks no image twice.
            0 | 1 => self.tries,
            _ => self.sets.values().map(|set| set.known.len().max(set.most)).sum(),
        }
    }

    /// The share with its Wilson interval over different images; `None` where nothing was tried.
    pub fn rate(&self, confidence: f64) -> Option<Rate> {
        let rate = wilson_at(self.successes, self.tries, confidence)?;
        Some(Rate { ci: wilson_of_share(rate.rate, self.distinct(), confidence)?, ..rate })
    }
}

/// The rate of successes of one cell.
pub fn cell_rate(record: &CellRecord, goal: &Goal, confidence: f64) -> Option<Rate> {
    let mut tally = Tally::default();
    let all: Vec<usize> = (0..record.images.len()).collect();
    tally.add(record, &all, record.lost_images(), goal);
    tally.rate(confidence)
}

/// The rate of successes among scores that no attack made, such as those of a null baseline.
pub fn null_rate<'a>(
    scores: impl Iterator<Item = &'a Scores>,
    metric: &MetricInfo,
    bound: f64,
    confidence: f64,
) -> Option<Rate> {
    let values: Vec<f64> = scores.filter_map(|s| s.get(&metric.name).copied().flatten()).collect();
    let met = values.iter().filter(|v| metric.met(bound, **v)).count();
    wilson_at(met, values.len(), confidence)
}

/// Wilson's interval of a share over `tries` independent tries; where that is no whole number of
/// successes, of the two beside it.
pub fn wilson_of_share(share: f64, tries: usize, confidence: f64) -> Option<Interval> {
    let successes = (share * tries as f64).clamp(0.0, tries as f64);
    let (below, above) = if (successes - successes.round()).abs() < 1e-6 {
        (successes.round(), successes.round())
    } else {
        (successes.floor(), successes.ceil())
    };
    let end = |k: f64| wilson_at(k as usize, tries, confidence).map(|rate| rate.ci);
    Some(Interval { low: end(below)?.low, high: end(above)?.high })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_of(values: &[(String, Option<f64>)], cap: Option<f64>, lost: usize) -> Summary {
        Mean { cap, lost, confidence: CONFIDENCE, stream: ("k", "m") }.of(values)
    }

    fn numbered(values: &[Option<f64>]) -> Vec<(String, Option<f64>)> {
        values.iter().enumerate().map(|(i, v)| (i.to_string(), *v)).collect()
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
        assert!(repeated.clustered && !once.clustered && repeated.mean == once.mean);
        let width = |s: &Summary| s.ci.map(|ci| ci.high - ci.low).unwrap();
        assert!((width(&repeated) / width(&once) - 1.0).abs() < 0.1);
        // Taken for 48 images it would be half as wide.
        let naive: Vec<_> = four.iter().enumerate().map(|(i, v)| (i.to_string(), v.1)).collect();
        assert!(width(&mean_of(&naive, None, 0)) < 0.6 * width(&once));
    }

    #[test]
    fn a_share_of_no_whole_number_has_the_wider_interval() {
        let (whole, between) =
            (|k| wilson_at(k, 7, 0.95).unwrap().ci, wilson_of_share(0.5, 7, 0.95));
        assert_eq!(between, Some(Interval { low: whole(3).low, high: whole(4).high }));
        assert_eq!(wilson_of_share(3.0 / 7.0, 7, 0.95), Some(whole(3)));
    }
}
