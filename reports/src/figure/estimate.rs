//! One value of a measure with its interval, from however many cells fall on one point.

use super::filter::Picked;
use super::measure::Measure;
use record::MetricInfo;
use record::aggregate::{Goal, Mean, Tally, diverged, usable};
use record::axes::acting;
use record::run::Run;
use record::stats::{CONFIDENCE, Interval, Summary, wilson_at};
use record::units::Units;
use std::collections::{BTreeMap, BTreeSet};

/// A value and what stands behind it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Estimate {
    /// Mean or share; `None` where nothing was measured.
    pub value: Option<f64>,
    /// `None` where too few independent units stand behind the value.
    pub interval: Option<(f64, f64)>,
    /// The values of the units, ascending, where a mean has too few of them for an interval.
    pub values: Vec<f64>,
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
    /// Independent units behind it: what shares a capture or an image is one.
    pub units: usize,
    /// How the interval came about, where that needs to be told.
    pub how: Option<&'static str>,
    /// Places of the cells behind it.
    pub cells: Vec<usize>,
    /// Places of the cells that are not in it because no attack beats the floor undefended.
    pub left_out: Vec<usize>,
    /// Of what attacks share: the place of one cell for each value behind it.
    pub distinct: Vec<usize>,
}

const REPEATED: &str = "images that share a capture, and an image that was tried more than once, \
    count once in Wilson's intervals, with their share of successes";
const ONE_TRAINING: &str = "an accuracy of one training has its Wilson interval over the test \
    examples; how much trainings differ is not in it";
const FEW_TRAININGS: &str = "a mean accuracy of 2 to 7 trainings has no interval; each training's \
    own accuracy is shown";
const MANY_TRAININGS: &str = "a mean accuracy of 8 trainings or more has a bootstrap interval \
    over trainings, the test examples held fixed";

/// The value of `measure` over `picked`, with a 95 % interval.
pub(crate) fn estimate(run: &Run, measure: &Measure, picked: &[Picked]) -> Estimate {
    estimate_at(run, measure, picked, CONFIDENCE)
}

/// As [`estimate`], with another confidence in (0, 1).
pub(crate) fn estimate_at(
    run: &Run,
    measure: &Measure,
    picked: &[Picked],
    confidence: f64,
) -> Estimate {
    let (picked, left_out) = judged(run, measure, picked);
    let cells = picked.iter().map(|p| p.at).collect();
    let picked = picked.as_slice();
    let found = match measure {
        Measure::Metric(metric) => of_images(run, metric, picked, confidence),
        Measure::Null(null, metric) => of_null(run, null, metric, picked, confidence),
        Measure::Success(metric, bound) => {
            of_tries(run, &Goal::Reached(metric, *bound), picked, confidence)
        }
        Measure::Labels => of_tries(run, &Goal::Label, picked, confidence),
        other => of_cells(run, other, picked, confidence),
    };
    Estimate { cells, left_out, ..found }
}

/// The cells that say something by `measure`, and the places of the others: what an attack gets
/// behind a defense says nothing where no attack beats the floor without it.
pub(crate) fn judged(run: &Run, measure: &Measure, picked: &[Picked]) -> (Vec<Picked>, Vec<usize>) {
    let leaks = measure.leaks() && !matches!(measure, Measure::Null(..));
    let says = |p: &&Picked| !(leaks && run.not_measurable(p.at));
    let (kept, others): (Vec<&Picked>, Vec<&Picked>) = picked.iter().partition(says);
    (kept.into_iter().cloned().collect(), others.into_iter().map(|p| p.at).collect())
}

impl Estimate {
    fn of_mean(s: &Summary) -> Self {
        Estimate {
            value: s.mean,
            interval: s.ci.map(|ci| (ci.low, ci.high)),
            sd: s.sd,
            n: s.n,
            failed: s.failed,
            missing: s.missing,
            capped: s.capped,
            units: s.units,
            values: s.values.clone(),
            ..Estimate::default()
        }
    }

    /// The interval as tables write it.
    pub fn ci(&self) -> Option<Interval> {
        self.interval.map(|(low, high)| Interval { low, high })
    }

    /// Whether fewer units than values stand behind it.
    pub fn clustered(&self) -> bool {
        self.units < self.n
    }
}

/// One value with its unit of independence.
type Valued = (usize, Option<f64>);

/// The values of the images of cells, each with its unit.
fn valued(
    run: &Run,
    picked: &[Picked],
    value: impl Fn(usize, usize) -> Option<f64>,
) -> Vec<Valued> {
    let mut units = Units::default();
    let all = || picked.iter().flat_map(|p| p.images.iter().map(|i| (p.at, *i)));
    all().for_each(|(at, i)| units.add(&run.records[at], i));
    let one = |(at, i)| (units.unit(&run.records[at], i).unwrap_or_default(), value(at, i));
    all().map(one).collect()
}

fn of_images(run: &Run, metric: &MetricInfo, picked: &[Picked], confidence: f64) -> Estimate {
    let score = |at: usize, i: usize| run.records[at].images[i].scores.get(&metric.name).copied();
    let values = valued(run, picked, |at, i| score(at, i).flatten());
    let lost = picked.iter().map(|p| p.lost).sum();
    let key = stream_key(run, picked, "");
    let mean = Mean::new(metric, lost, confidence, &key).of(&values);
    Estimate { grey: grey(run, metric, picked), ..Estimate::of_mean(&mean) }
}

/// Diverged reconstructions with a value of `metric`.
fn grey(run: &Run, metric: &MetricInfo, picked: &[Picked]) -> usize {
    let images = picked.iter().flat_map(|c| c.images.iter().map(|i| &run.records[c.at].images[*i]));
    images.filter(|i| diverged(i) && usable(&i.scores, metric).is_some()).count()
}

fn of_null(
    run: &Run,
    null: &str,
    metric: &MetricInfo,
    picked: &[Picked],
    confidence: f64,
) -> Estimate {
    let picked = one_a_world(run, null, picked);
    let score = |at: usize, i: usize| run.records[at].baselines[null].get(i)?.get(&metric.name);
    let values = valued(run, &picked, |at, i| score(at, i).copied().flatten());
    let key = stream_key(run, &picked, &format!("/{null}"));
    Estimate::of_mean(&Mean::new(metric, 0, confidence, &key).of(&values))
}

/// Cells of one world have one null baseline between them.
pub(crate) fn one_a_world(run: &Run, null: &str, picked: &[Picked]) -> Vec<Picked> {
    let mut seen = BTreeSet::new();
    let has = |p: &&Picked| run.records[p.at].baselines.contains_key(null);
    picked.iter().filter(has).filter(|p| seen.insert(run.world(p.at))).cloned().collect()
}

/// The key of a bootstrap's stream: that of the cell's own summary where one whole cell is meant,
/// so that figure and report agree.
fn stream_key(run: &Run, picked: &[Picked], suffix: &str) -> String {
    let key = |p: &Picked| {
        let id = &run.records[p.at].id;
        if p.images.len() == run.records[p.at].images.len() {
            id.to_string()
        } else {
            format!("{id}{:?}", p.images)
        }
    };
    format!("{}{suffix}", picked.iter().map(key).collect::<Vec<_>>().join("+"))
}

/// The share of images that reach a goal.
fn of_tries(run: &Run, goal: &Goal, picked: &[Picked], confidence: f64) -> Estimate {
    let mut tally = Tally::default();
    picked.iter().for_each(|p| tally.add(&run.records[p.at], &p.images, p.lost, goal));
    let rate = tally.rate(confidence);
    let units = tally.units();
    Estimate {
        value: rate.map(|r| r.rate),
        interval: rate.and_then(|r| r.ci).map(|ci| (ci.low, ci.high)),
        n: tally.tries,
        units,
        successes: Some(tally.successes),
        failed: tally.failed,
        missing: tally.missing,
        how: (units < tally.tries).then_some(REPEATED),
        ..Estimate::default()
    }
}

/// What a value of `measure` depends on: cells that agree in it share the value.
fn shared_key(run: &Run, measure: &Measure, at: usize) -> String {
    let record = &run.records[at];
    let spec = &record.spec;
    let defenses = || acting(spec).collect::<Vec<_>>();
    let Measure::Task(name) = measure else {
        return if measure.of_round() { run.round_key(at) } else { record.id.to_string() };
    };
    let (federation, source) = (&spec.federation, spec.source);
    let training = format!("{:?} {:?} {federation:?} {}", spec.task, spec.model, spec.seed);
    match (name.starts_with("trained_"), spec.capture.round) {
        (true, _) => format!("{training} {source} {:?}", defenses()),
        // No defense had a part in fresh weights.
        (false, 0) => training,
        (false, round) => format!("{training} {source} {round} {:?}", defenses()),
    }
}

/// Every value that cells measured, once, with the place of a cell that has it.
fn once_each(run: &Run, measure: &Measure, picked: &[Picked]) -> Vec<(String, usize, Option<f64>)> {
    let mut groups: BTreeMap<String, Vec<(usize, Option<f64>)>> = BTreeMap::new();
    for cell in picked {
        let own = measure.of_cell(&run.records[cell.at]);
        let group = groups.entry(shared_key(run, measure, cell.at)).or_default();
        // Fresh weights are worth the same behind every defense, but for one that changes the
        // model.
        let fresh = matches!(measure, Measure::Task(name) if !name.starts_with("trained_"))
            && run.records[cell.at].spec.capture.round == 0;
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
    let values: Vec<(&str, Option<f64>)> =
        all.iter().map(|(key, _, v)| (key.as_str(), *v)).collect();
    let key = stream_key(run, picked, "");
    let what = format!("{measure:?}");
    let mean = Mean { cap: None, share: false, lost: 0, confidence, stream: (&key, &what) };
    let mut out = Estimate::of_mean(&mean.of(&values));
    let kept = all.iter().filter(|(.., v)| v.is_some_and(f64::is_finite));
    out.distinct = kept.map(|(_, at, _)| *at).collect();
    if matches!(measure, Measure::Task(_)) && measure.range().is_some() {
        trainings(run, &mut out, confidence);
    }
    out
}

/// Of an accuracy, the interval of a single training over its test examples, and what interval it
/// is. The units of the mechanism are trainings: over several of them there is no other interval
/// than that over trainings.
fn trainings(run: &Run, mean: &mut Estimate, confidence: f64) {
    mean.how = match (mean.n, mean.interval) {
        (0, _) => return,
        (1, _) => {
            mean.interval = over_examples(run, mean, confidence);
            mean.interval.map(|_| ONE_TRAINING)
        }
        (_, None) => Some(FEW_TRAININGS),
        _ => Some(MANY_TRAININGS),
    };
}

/// Wilson's interval of the accuracy of one training over its test examples.
fn over_examples(run: &Run, mean: &Estimate, confidence: f64) -> Option<(f64, f64)> {
    let (share, at) = (mean.value?, *mean.distinct.first()?);
    let tries = run.records[at].task.get("test_examples").map_or(0, |n| n.max(0.0) as usize);
    let right = (share * tries as f64).round() as usize;
    wilson_at(right, tries, confidence)?.ci.map(|ci| (ci.low, ci.high))
}

/// Every usable value of `measure` with its cell's place and, of measures of images, the image's:
/// capped as means are.
pub(crate) fn raw(
    run: &Run,
    measure: &Measure,
    picked: &[Picked],
) -> Vec<(usize, Option<usize>, f64)> {
    let mut out = Vec::new();
    let (picked, _) = judged(run, measure, picked);
    let picked = picked.as_slice();
    match measure {
        Measure::Metric(metric) => {
            for cell in picked {
                let images = &run.records[cell.at].images;
                let value =
                    |i: &usize| Some((cell.at, Some(*i), usable(&images[*i].scores, metric)?));
                out.extend(cell.images.iter().filter_map(value));
            }
        }
        Measure::Null(null, metric) => {
            for cell in one_a_world(run, null, picked) {
                let scores = &run.records[cell.at].baselines[null];
                let value = |i: &usize| Some((cell.at, Some(*i), usable(scores.get(*i)?, metric)?));
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
