//! One value of a measure with its interval, from however many cells fall on one point.

use super::filter::Picked;
use super::measure::Measure;
use record::MetricInfo;
use record::aggregate::{Goal, Mean, Tally, diverged, unit, usable, wilson_of_share};
use record::axes::acting;
use record::run::Run;
use record::stats::{CONFIDENCE, Summary};
use std::collections::{BTreeMap, BTreeSet};

/// A value and what stands behind it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Estimate {
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
    let cells = picked.iter().map(|p| p.at).collect();
    let found = match measure {
        Measure::Metric(metric) => of_images(run, metric, picked, confidence),
        Measure::Null(null, metric) => of_null(run, null, metric, picked, confidence),
        Measure::Success(metric, bound) => {
            of_tries(run, &Goal::Reached(metric, *bound), picked, confidence)
        }
        Measure::Labels => of_tries(run, &Goal::Label, picked, confidence),
        other => of_cells(run, other, picked, confidence),
    };
    Estimate { cells, ..found }
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
            clustered: s.clustered,
            ..Estimate::default()
        }
    }
}

/// One value with its unit of independence.
type Valued = (String, Option<f64>);

fn of_images(run: &Run, metric: &MetricInfo, picked: &[Picked], confidence: f64) -> Estimate {
    let mut values: Vec<Valued> = Vec::new();
    for cell in picked {
        let record = &run.records[cell.at];
        let scores = record.scores(&metric.name);
        values.extend(cell.images.iter().map(|i| (unit(record, *i), scores[*i])));
    }
    let lost = picked.iter().map(|p| p.lost).sum();
    let key = stream_key(run, picked, "");
    let mean = Mean { cap: metric.cap, lost, confidence, stream: (&key, &metric.name) };
    Estimate { grey: grey(run, metric, picked), ..Estimate::of_mean(&mean.of(&values)) }
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
    let mut values: Vec<Valued> = Vec::new();
    for cell in &picked {
        let record = &run.records[cell.at];
        let scores = &record.baselines[null];
        let of = |i: &usize| scores.get(*i).and_then(|s| s.get(&metric.name).copied().flatten());
        values.extend(cell.images.iter().map(|i| (unit(record, *i), of(i))));
    }
    let key = stream_key(run, &picked, &format!("/{null}"));
    let mean = Mean { cap: metric.cap, lost: 0, confidence, stream: (&key, &metric.name) };
    Estimate::of_mean(&mean.of(&values))
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
    let clustered = tally.distinct() < tally.tries;
    Estimate {
        value: rate.map(|r| r.rate),
        interval: rate.map(|r| (r.ci.low, r.ci.high)),
        n: tally.tries,
        successes: Some(tally.successes),
        failed: tally.failed,
        missing: tally.missing,
        clustered,
        how: clustered.then_some(REPEATED),
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
    let values: Vec<Valued> = all.iter().map(|(key, _, v)| (key.clone(), *v)).collect();
    let key = stream_key(run, picked, "");
    let what = format!("{measure:?}");
    let mean = Mean { cap: None, lost: 0, confidence, stream: (&key, &what) };
    let mut out = Estimate::of_mean(&mean.of(&values));
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
    let tested = wilson_of_share(share, tries, confidence).map(|ci| (ci.low, ci.high));
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
pub(crate) fn raw(
    run: &Run,
    measure: &Measure,
    picked: &[Picked],
) -> Vec<(usize, Option<usize>, f64)> {
    let mut out = Vec::new();
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
