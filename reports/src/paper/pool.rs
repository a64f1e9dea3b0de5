//! One value of a measure with its interval, from however many cells fall on one point.

use super::filter::Picked;
use super::measure::Measure;
use rand::Rng;
use record::ImageScore;
use record::axes::acting;
use record::metrics::{Metric, Threshold};
use record::run::Run;
use record::stats::{
    BOOTSTRAP_RESAMPLES, CONFIDENCE, Interval, bootstrap_ci_at, mean, quantile_sorted, sample_sd,
    sorted, wilson_at,
};
use record::summary::BOOTSTRAP_SEED;
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
    /// Reconstructions that diverged and entered a mean as the grey image that they were scored as.
    pub grey: usize,
    /// Whether images count more than once, and were resampled as clusters.
    pub clustered: bool,
    /// How the interval came about, where that needs to be told.
    pub how: Option<&'static str>,
    /// Places of the cells behind it.
    pub cells: Vec<usize>,
    /// Of what attacks share: the place of one cell for each value behind it.
    pub distinct: Vec<usize>,
}

/// Trainings from which a bootstrap over them says something.
const TRAININGS: usize = 5;

const REPEATED: &str = "an image that was tried more than once counts once in Wilson's intervals, \
    with its share of successes";
const ONE_TRAINING: &str = "an accuracy of one training has its Wilson interval over the test \
    examples; how much trainings differ is not in it";
const FEW_TRAININGS: &str = "a mean accuracy of 2 to 4 trainings has its Wilson interval over the \
    test examples of one of them, since they may share these; how much trainings differ is not in \
    it";
const MANY_TRAININGS: &str = "a mean accuracy of 5 trainings or more has a bootstrap interval \
    over trainings, no narrower than Wilson's over the test examples of one of them";

/// The value of `measure` over `picked`, with a 95 % interval.
pub(super) fn estimate(run: &Run, measure: &Measure, picked: &[Picked]) -> Estimate {
    estimate_at(run, measure, picked, CONFIDENCE)
}

/// As [`estimate`], with another confidence in (0, 1).
pub(super) fn estimate_at(
    run: &Run,
    measure: &Measure,
    picked: &[Picked],
    confidence: f64,
) -> Estimate {
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
    let found = of_values(
        &values,
        metric.cap,
        lost,
        confidence,
        &stream_key(run, picked, ""),
        &metric.name,
    );
    Estimate { grey: grey(run, metric, picked), ..found }
}

/// Diverged reconstructions with a value of `metric`.
fn grey(run: &Run, metric: &Metric, picked: &[Picked]) -> usize {
    let own = |cell: &Picked| {
        let images = &run.records[cell.at].images;
        let value = |i: &usize| images[*i].scores.get(&metric.name).copied().flatten();
        let enters = |i: &&usize| value(i).and_then(|v| usable(v, metric)).is_some();
        cell.images.iter().filter(|i| diverged(&images[**i])).filter(enters).count()
    };
    picked.iter().map(own).sum()
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
    picked
        .iter()
        .filter(has)
        .filter(|p| seen.insert(run.records[p.at].spec.world_key()))
        .cloned()
        .collect()
}

/// The key of a bootstrap's stream: that of the cell's own summary where one whole cell is meant,
/// so that figure and report agree.
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

/// Mean of values: what is above `cap` enters at the cap, NaN and -inf are failures, `None` is
/// missing.
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

/// Percentile bootstrap of the mean over all values, drawing whole clusters (Davison and Hinkley,
/// 1997, section 3.8); `None` below two clusters.
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
    Some(Interval {
        low: quantile_sorted(&means, tail)?,
        high: quantile_sorted(&means, 1.0 - tail)?,
    })
}

/// The flag of a reconstruction that held NaN or infinity and was scored as the grey image.
pub(super) const NON_FINITE: &str = "non-finite";

/// Whether the reconstruction held NaN or infinity.
pub(super) fn diverged(image: &ImageScore) -> bool {
    image.flags.iter().any(|flag| flag == NON_FINITE)
}

/// Success as in the report: a failed attack and a diverged image are tries without success, an
/// unmeasured image is no try.
fn of_success(
    run: &Run,
    metric: &Metric,
    bound: f64,
    picked: &[Picked],
    confidence: f64,
) -> Estimate {
    let threshold = Threshold { metric: "", bound };
    let (mut successes, mut tries, mut failed, mut missing) = (0, 0, 0, 0);
    let mut lots: BTreeMap<String, Lot> = BTreeMap::new();
    for cell in picked {
        let record = &run.records[cell.at];
        let scores = record.scores(&metric.name);
        let measured = cell.images.iter().any(|i| scores[*i].is_some());
        let lot = lots
            .entry(format!("{} {}", record.spec.task.dataset, record.spec.task.split))
            .or_default();
        let mut own = cell.lost;
        failed += cell.lost;
        for &i in &cell.images {
            let fell = diverged(&record.images[i]);
            match scores[i] {
                Some(v) => {
                    successes += usize::from(!fell && threshold.met(metric, v));
                    failed += usize::from(fell);
                }
                // A diverged image that this metric could not take is a try all the same, where the
                // metric was measured at all.
                None if fell && measured => failed += 1,
                None => {
                    missing += 1;
                    continue;
                }
            }
            own += 1;
            lot.images.insert(record.images[i].id);
        }
        lot.most = lot.most.max(own);
        tries += own;
    }
    let mut out =
        Estimate { n: tries, failed, missing, successes: Some(successes), ..Estimate::default() };
    // Cells may have attacked the same images; one cell attacks none twice.
    let distinct = if picked.len() > 1 { lots.values().map(Lot::distinct).sum() } else { tries };
    out.clustered = distinct < tries;
    out.how = out.clustered.then_some(REPEATED);
    out.value = (tries > 0).then(|| successes as f64 / tries as f64);
    out.interval = out.value.and_then(|share| wilson_of_share(share, distinct, confidence));
    out
}

/// Images of one data set that were tried.
#[derive(Default)]
struct Lot {
    images: BTreeSet<usize>,
    /// Tries of one cell, at most.
    most: usize,
}

impl Lot {
    /// Different images: lost ones have no number, but those of one cell differ from each other.
    fn distinct(&self) -> usize {
        self.images.len().max(self.most)
    }
}

/// Wilson's interval of a share over `tries` independent tries; where that is no whole number of
/// successes, of the two beside it.
fn wilson_of_share(share: f64, tries: usize, confidence: f64) -> Option<(f64, f64)> {
    let successes = (share * tries as f64).clamp(0.0, tries as f64);
    let whole = (successes - successes.round()).abs() < 1e-6;
    let (below, above) = match whole {
        true => (successes.round(), successes.round()),
        false => (successes.floor(), successes.ceil()),
    };
    let end = |k: f64| wilson_at(k as usize, tries, confidence).map(|rate| rate.ci);
    Some((end(below)?.low, end(above)?.high))
}

/// What a value of `measure` depends on: cells that agree in it share the value.
fn shared_key(run: &Run, measure: &Measure, at: usize) -> String {
    let record = &run.records[at];
    let spec = &record.spec;
    let defences = || acting(spec).collect::<Vec<_>>();
    let Measure::Task(name) = measure else {
        return match measure.of_round() {
            true => format!("{} {:?}", run.round_key(at), spec.utility),
            false => record.id.to_string(),
        };
    };
    let training = format!("{:?} {:?} {:?} {}", spec.task, spec.model, spec.training, spec.seed);
    match name.starts_with("trained_") || spec.training.rounds_before > 0 {
        true => format!("{training} {:?} {:?}", defences(), spec.utility),
        // No defence had a part in fresh weights.
        false => training,
    }
}

/// Every value that cells measured, once, with the place of a cell that has it.
fn once_each(run: &Run, measure: &Measure, picked: &[Picked]) -> Vec<(String, usize, Option<f64>)> {
    let mut groups: BTreeMap<String, Vec<(usize, Option<f64>)>> = BTreeMap::new();
    for cell in picked {
        let own = measure.of_cell(&run.records[cell.at]);
        let group = groups.entry(shared_key(run, measure, cell.at)).or_default();
        // Fresh weights are worth the same behind every defence, but for one that changes the
        // model.
        let fresh = matches!(measure, Measure::Task(name) if !name.starts_with("trained_"))
            && run.records[cell.at].spec.training.rounds_before == 0;
        let another = |v: f64| group.iter().all(|(_, w)| w.map(f64::to_bits) != Some(v.to_bits()));
        match (group.first(), own) {
            (None, _) | (Some((_, None)), Some(_)) => *group = vec![(cell.at, own)],
            (Some(_), Some(v)) if fresh && another(v) => group.push((cell.at, own)),
            _ => {}
        }
    }
    let named = |(key, group): (String, Vec<(usize, Option<f64>)>)| {
        let one = move |(i, (at, value))| (format!("{key} {i}"), at, value);
        group.into_iter().enumerate().map(one).collect::<Vec<_>>()
    };
    groups.into_iter().flat_map(named).collect()
}

/// The mean over cells, or over rounds or trainings for what all attacks on one share.
fn of_cells(run: &Run, measure: &Measure, picked: &[Picked], confidence: f64) -> Estimate {
    let all = once_each(run, measure, picked);
    let values: Vec<Valued> = all.iter().map(|(key, _, v)| (key.clone(), *v)).collect();
    let key = stream_key(run, picked, "");
    let mut out = of_values(&values, None, 0, confidence, &key, &format!("{measure:?}"));
    let kept = all.iter().filter(|(.., v)| v.is_some_and(f64::is_finite));
    out.distinct = kept.map(|(_, at, _)| *at).collect();
    if let Measure::Task(_) = measure {
        let share = out.value.filter(|_| measure.range().is_some());
        (out.interval, out.how) = of_trainings(run, &out, share, confidence);
    }
    out
}

/// The interval of a mean over trainings, of a share no narrower than its test examples allow: few
/// trainings say little of their spread, and the same test examples may have judged all of them.
fn of_trainings(
    run: &Run,
    mean: &Estimate,
    share: Option<f64>,
    confidence: f64,
) -> (Option<(f64, f64)>, Option<&'static str>) {
    let many = mean.n >= TRAININGS;
    let spread = mean.interval.filter(|_| many);
    let Some(share) = share else { return (spread, None) };
    let examples =
        |at: &usize| run.records[*at].task.get("test_examples").map_or(0, |n| n.max(0.0) as usize);
    let tries = mean.distinct.iter().map(examples).min().unwrap_or(0);
    let tested = wilson_of_share(share, tries, confidence);
    let how = match (mean.n, tested) {
        (_, None) => return (spread, None),
        (1, _) => ONE_TRAINING,
        _ if many => MANY_TRAININGS,
        _ => FEW_TRAININGS,
    };
    let wider = |a: (f64, f64), b: (f64, f64)| (a.0.min(b.0), a.1.max(b.1));
    (spread.into_iter().chain(tested).reduce(wider), Some(how))
}

/// Every usable value of `measure` with its cell's place and, of measures of images, the image's:
/// capped as means are.
pub(super) fn raw(
    run: &Run,
    measure: &Measure,
    picked: &[Picked],
) -> Vec<(usize, Option<usize>, f64)> {
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
                let of =
                    |i: &usize| scores.get(*i).and_then(|s| s.get(&metric.name).copied().flatten());
                let value = |i: &usize| Some((cell.at, Some(*i), usable(of(i)?, metric)?));
                out.extend(cell.images.iter().filter_map(value));
            }
        }
        other => {
            let all = once_each(run, other, picked).into_iter();
            let value = |(_, at, v): (String, usize, Option<f64>)| {
                Some((at, None, v.filter(|v| v.is_finite())?))
            };
            out.extend(all.filter_map(value));
            out.sort_by_key(|(at, ..)| *at);
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
        let values: Vec<Valued> =
            (0..12).map(|i| (i.to_string(), Some(f64::from(i * i)))).collect();
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
        let values: Vec<Valued> =
            values.iter().enumerate().map(|(i, v)| (i.to_string(), *v)).collect();
        let e = of_values(&values, Some(100.0), 2, CONFIDENCE, "k", "psnr");
        assert_eq!((e.n, e.missing, e.capped, e.failed, e.value), (3, 1, 1, 3, Some(50.0)));
    }
}
