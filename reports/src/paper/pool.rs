//! One value of a measure with its interval, from however many cells fall on one point.

use super::filter::Picked;
use super::measure::Measure;
use crate::metrics::{Metric, Threshold};
use crate::run::Run;
use crate::stats::{
    BOOTSTRAP_RESAMPLES, CONFIDENCE, Interval, bootstrap_ci_at, mean, quantile_sorted, sample_sd, sorted,
    wilson_at,
};
use crate::summary::BOOTSTRAP_SEED;
use rand::Rng;
use std::collections::{BTreeMap, BTreeSet};
use suites::rng;

/// A value and what stands behind it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Estimate {
    /// Mean or share; `None` where nothing was measured.
    pub value: Option<f64>,
    pub interval: Option<(f64, f64)>,
    /// Sample standard deviation of the values behind a mean.
    pub sd: Option<f64>,
    /// Values behind it: images, or cells for what is measured once a cell.
    pub n: usize,
    /// Of a share: those that succeeded.
    pub successes: Option<usize>,
    /// Images without a usable value; in a share they are tries without success.
    pub failed: usize,
    /// Values that were not measured.
    pub missing: usize,
    /// Values that entered a mean at the metric's cap.
    pub capped: usize,
    /// Whether images count more than once, and were resampled as clusters.
    pub clustered: bool,
    /// Places of the cells behind it.
    pub cells: Vec<usize>,
}

/// The value of `measure` over `picked`, with a 95 % interval.
pub(super) fn estimate(run: &Run, measure: &Measure, picked: &[Picked]) -> Estimate {
    estimate_at(run, measure, picked, CONFIDENCE)
}

/// As [`estimate`], with another confidence in (0, 1).
pub(super) fn estimate_at(run: &Run, measure: &Measure, picked: &[Picked], confidence: f64) -> Estimate {
    let cells = picked.iter().map(|p| p.at).collect();
    let found = match measure {
        Measure::Metric(metric) => of_images(run, metric, picked, confidence),
        Measure::Null(null, metric) => of_null(run, null, metric, picked, confidence),
        Measure::Success(metric, bound) => of_success(run, metric, *bound, picked, confidence),
        other => of_cells(run, other, picked, confidence),
    };
    Estimate { cells, ..found }
}

/// One value with the image it was measured on: cells that attacked the same image share it.
type Valued = (String, Option<f64>);

fn image_key(run: &Run, at: usize, image: usize) -> String {
    let task = &run.records[at].spec.task;
    format!("{} {} {}", task.dataset, task.split, run.records[at].images[image].id)
}

fn of_images(run: &Run, metric: &Metric, picked: &[Picked], confidence: f64) -> Estimate {
    let mut values: Vec<Valued> = Vec::new();
    for cell in picked {
        let scores = run.records[cell.at].scores(&metric.name);
        values.extend(cell.images.iter().map(|i| (image_key(run, cell.at, *i), scores[*i])));
    }
    let lost = picked.iter().map(|p| p.lost).sum();
    of_values(&values, metric.cap, lost, confidence, &stream_key(run, picked, ""), &metric.name)
}

fn of_null(run: &Run, null: &str, metric: &Metric, picked: &[Picked], confidence: f64) -> Estimate {
    let picked = one_a_world(run, null, picked);
    let mut values: Vec<Valued> = Vec::new();
    for cell in &picked {
        let scores = &run.records[cell.at].baselines[null];
        let of = |i: &usize| scores.get(*i).and_then(|s| s.get(&metric.name).copied().flatten());
        values.extend(cell.images.iter().map(|i| (image_key(run, cell.at, *i), of(i))));
    }
    of_values(
        &values,
        metric.cap,
        0,
        confidence,
        &stream_key(run, &picked, &format!("/{null}")),
        &metric.name,
    )
}

/// Cells of one world have one null baseline between them.
pub(super) fn one_a_world(run: &Run, null: &str, picked: &[Picked]) -> Vec<Picked> {
    let mut seen = BTreeSet::new();
    let has = |p: &&Picked| run.records[p.at].baselines.contains_key(null);
    picked.iter().filter(has).filter(|p| seen.insert(run.records[p.at].spec.world_key())).cloned().collect()
}

/// The key of a bootstrap's stream: that of the cell's own summary where one whole cell is meant, so that figure and report agree.
fn stream_key(run: &Run, picked: &[Picked], suffix: &str) -> String {
    let key = |p: &Picked| {
        let id = &run.records[p.at].id;
        match p.images.len() == run.records[p.at].images.len() {
            true => id.to_string(),
            false => format!("{id}{:?}", p.images),
        }
    };
    format!("{}{suffix}", picked.iter().map(key).collect::<Vec<_>>().join("+"))
}

/// Mean of values: what is above `cap` enters at the cap, NaN and -inf are failures, `None` is missing.
fn of_values(
    values: &[Valued],
    cap: Option<f64>,
    lost: usize,
    confidence: f64,
    key: &str,
    what: &str,
) -> Estimate {
    let mut out = Estimate { failed: lost, ..Estimate::default() };
    let mut kept: Vec<(&str, f64)> = Vec::with_capacity(values.len());
    for (image, value) in values {
        match (value, cap) {
            (None, _) => out.missing += 1,
            (Some(v), Some(top)) if *v > top => {
                out.capped += 1;
                kept.push((image, top));
            }
            (Some(v), _) if v.is_finite() => kept.push((image, *v)),
            _ => out.failed += 1,
        }
    }
    let plain: Vec<f64> = kept.iter().map(|(_, v)| *v).collect();
    let mut clusters: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    kept.iter().for_each(|(image, v)| clusters.entry(image).or_default().push(*v));
    let mut stream = rng::stream(BOOTSTRAP_SEED, key, &format!("bootstrap {what}"));
    out.clustered = clusters.len() < plain.len();
    let ci = match out.clustered {
        true => clustered_ci(&clusters.into_values().collect::<Vec<_>>(), confidence, &mut stream),
        false => bootstrap_ci_at(&plain, confidence, &mut stream),
    };
    out.n = plain.len();
    (out.value, out.sd) = (mean(&plain), sample_sd(&plain));
    out.interval = ci.map(|ci| (ci.low, ci.high));
    out
}

/// Percentile bootstrap of the mean over all values, drawing whole clusters (Davison and Hinkley, 1997, section 3.8); `None` below two clusters.
fn clustered_ci<R: Rng>(clusters: &[Vec<f64>], confidence: f64, rng: &mut R) -> Option<Interval> {
    if clusters.len() < 2 {
        return None;
    }
    let sums: Vec<(f64, usize)> = clusters.iter().map(|c| (c.iter().sum(), c.len())).collect();
    let mut draw = || {
        let (mut sum, mut n) = (0.0, 0);
        for _ in 0..sums.len() {
            let (s, k) = sums[rng.random_range(0..sums.len())];
            (sum, n) = (sum + s, n + k);
        }
        sum / n as f64
    };
    let means = sorted(&(0..BOOTSTRAP_RESAMPLES).map(|_| draw()).collect::<Vec<_>>());
    let tail = (1.0 - confidence) / 2.0;
    Some(Interval { low: quantile_sorted(&means, tail)?, high: quantile_sorted(&means, 1.0 - tail)? })
}

/// The flag of a reconstruction that held NaN or infinity and was scored as the grey image.
pub(super) const NON_FINITE: &str = "non-finite";

/// Success as in the report: a failed attack and a diverged image are tries without success, an unmeasured image is no try.
fn of_success(run: &Run, metric: &Metric, bound: f64, picked: &[Picked], confidence: f64) -> Estimate {
    let threshold = Threshold { metric: "", bound };
    let (mut successes, mut tries, mut failed, mut missing) = (0, 0, 0, 0);
    for cell in picked {
        let record = &run.records[cell.at];
        let scores = record.scores(&metric.name);
        let measured = cell.images.iter().filter(|i| scores[**i].is_some()).count();
        let mut own = cell.lost;
        failed += cell.lost;
        for &i in &cell.images {
            let fell = record.images[i].flags.iter().any(|f| f == NON_FINITE);
            match scores[i] {
                Some(v) => {
                    own += 1;
                    successes += usize::from(!fell && threshold.met(metric, v));
                    failed += usize::from(fell);
                }
                // A diverged image that this metric could not take is a try all the same, where the metric was measured at all.
                None if fell && measured > 0 => (own, failed) = (own + 1, failed + 1),
                None => missing += 1,
            }
        }
        tries += own;
    }
    let mut out = Estimate { n: tries, failed, missing, successes: Some(successes), ..Estimate::default() };
    if let Some(rate) = wilson_at(successes, tries, confidence) {
        (out.value, out.interval) = (Some(rate.rate), Some((rate.ci.low, rate.ci.high)));
    }
    out
}

/// The mean over cells, or over rounds for what all attacks on a round share.
fn of_cells(run: &Run, measure: &Measure, picked: &[Picked], confidence: f64) -> Estimate {
    let mut groups: BTreeMap<String, (usize, Option<f64>)> = BTreeMap::new();
    for cell in picked {
        let record = &run.records[cell.at];
        let key = match measure.of_round() {
            true => format!("{} {:?}", run.round_key(cell.at), record.spec.utility),
            false => record.id.to_string(),
        };
        let own = measure.of_cell(record);
        let slot = groups.entry(key).or_insert((cell.at, own));
        if slot.1.is_none() {
            *slot = (cell.at, own);
        }
    }
    let values: Vec<Valued> = groups.iter().map(|(key, (_, v))| (key.clone(), *v)).collect();
    let key = stream_key(run, picked, "");
    let mut out = of_values(&values, None, 0, confidence, &key, &format!("{measure:?}"));
    // One training: the only spread known is that of the test examples.
    if let ([(_, Some(share))], true) = (values.as_slice(), measure.range().is_some()) {
        let first = groups.values().next().map(|(at, _)| &run.records[*at].task);
        let tries = first.and_then(|t| t.get("test_examples").copied()).unwrap_or(0.0).max(0.0) as usize;
        let rate = wilson_at((share * tries as f64).round().max(0.0) as usize, tries, confidence);
        out.interval = rate.map(|r| (r.ci.low, r.ci.high));
    }
    out
}

/// Every usable value of `measure` with its cell's place and, of measures of images, the image's: capped as means are.
pub(super) fn raw(run: &Run, measure: &Measure, picked: &[Picked]) -> Vec<(usize, Option<usize>, f64)> {
    let mut out = Vec::new();
    match measure {
        Measure::Metric(metric) => {
            for cell in picked {
                let scores = run.records[cell.at].scores(&metric.name);
                let value = |i: &usize| Some((cell.at, Some(*i), usable(scores[*i]?, metric)?));
                out.extend(cell.images.iter().filter_map(value));
            }
        }
        Measure::Null(null, metric) => {
            for cell in one_a_world(run, null, picked) {
                let scores = &run.records[cell.at].baselines[null];
                let of = |i: &usize| scores.get(*i).and_then(|s| s.get(&metric.name).copied().flatten());
                let value = |i: &usize| Some((cell.at, Some(*i), usable(of(i)?, metric)?));
                out.extend(cell.images.iter().filter_map(value));
            }
        }
        other => {
            let value = |p: &Picked| {
                other.of_cell(&run.records[p.at]).filter(|v| v.is_finite()).map(|v| (p.at, None, v))
            };
            out.extend(picked.iter().filter_map(value));
        }
    }
    out
}

/// A score as it enters means, if it does.
pub(super) fn usable(value: f64, metric: &Metric) -> Option<f64> {
    let capped = metric.cap.map_or(value, |cap| value.min(cap));
    capped.is_finite().then_some(capped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};

    #[test]
    fn clusters_of_one_are_the_plain_bootstrap() {
        let values: Vec<f64> = (1..12).map(|i| f64::from(i).sqrt()).collect();
        let singles: Vec<Vec<f64>> = values.iter().map(|v| vec![*v]).collect();
        let rng = || ChaCha12Rng::seed_from_u64(4);
        assert_eq!(
            clustered_ci(&singles, CONFIDENCE, &mut rng()),
            bootstrap_ci_at(&values, CONFIDENCE, &mut rng())
        );
    }

    #[test]
    fn repeating_every_image_does_not_narrow_the_interval() {
        let values: Vec<Valued> = (0..12).map(|i| (i.to_string(), Some(f64::from(i * i)))).collect();
        let once = of_values(&values, None, 0, CONFIDENCE, "k", "m");
        let four: Vec<Valued> = values.iter().cycle().take(48).cloned().collect();
        let repeated = of_values(&four, None, 0, CONFIDENCE, "k", "m");
        assert!(repeated.clustered && !once.clustered && repeated.value == once.value);
        let width = |e: &Estimate| e.interval.map(|(low, high)| high - low).unwrap();
        assert!((width(&repeated) / width(&once) - 1.0).abs() < 0.1);
        // Taken for 48 images it would be half as wide.
        let naive: Vec<f64> = four.iter().filter_map(|(_, v)| *v).collect();
        let ci = bootstrap_ci_at(&naive, CONFIDENCE, &mut ChaCha12Rng::seed_from_u64(0)).unwrap();
        assert!((ci.high - ci.low) < 0.6 * width(&once));
    }

    #[test]
    fn nothing_is_dropped_silently() {
        let values = [Some(20.0), None, Some(f64::INFINITY), Some(f64::NAN), Some(30.0)];
        let values: Vec<Valued> = values.iter().enumerate().map(|(i, v)| (i.to_string(), *v)).collect();
        let e = of_values(&values, Some(100.0), 2, CONFIDENCE, "k", "psnr");
        assert_eq!((e.n, e.missing, e.capped, e.failed, e.value), (3, 1, 1, 3, Some(50.0)));
    }
}
