//! Two runs compared: what became weaker, stronger, slower, what failed, vanished or changed, and
//! how sure that is.
//!
//! `docs/compare.md` says which hypotheses are tested, on which units, and what the error rate
//! refers to.

mod baseline;
mod behind;
mod changed;
mod costs;
mod effect;
mod error;
mod federations;
mod findings;
pub mod history;
mod hypotheses;
mod json;
mod judge;
mod labels;
mod markdown;
mod matching;
mod measure;
mod pairs;
mod side;
mod text;
mod units;
mod warnings;

pub use baseline::{BASELINE_SCHEMA, BaselineSummary, write_baseline};
pub use costs::Speed;
pub use effect::{Effect, Family, Judgement, Subject};
pub use error::CompareError;
pub use federations::Accuracy;
pub use findings::{Counts, Finding, Kind, Weight};
pub use side::Side;

use labels::Labels;
use matching::Matched;
use measure::Measure;
use pairs::{Pair, State};
use record::Metrics;
use suites::Gate;

/// How cells and images of two runs are paired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pairing {
    /// Cells by id, images by their place in a trial.
    SameSeed,
    /// Cells by their spec without the seed, the least seed with the least; images are not paired,
    /// and the unit is the seed.
    AcrossSeeds,
}

/// What a comparison comes to. Where several apply, the first of them in this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Something regressed beyond the gate.
    Regressed,
    /// Nothing did in what is there, and a run is not whole.
    Unfinished,
    /// Nothing regressed, and cells fail that did not.
    Failed,
    /// Nothing regressed.
    Passed,
}

impl Verdict {
    /// The exit code: 0 passed, 1 regressed, 2 cannot be told, 3 newly failed cells. What
    /// [`compare`] refuses is 2 as well.
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Passed => 0,
            Verdict::Regressed => 1,
            Verdict::Unfinished => 2,
            Verdict::Failed => 3,
        }
    }
}

/// Everything found between two runs.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The base's path and suite.
    pub base: String,
    /// The new run's path and suite.
    pub new: String,
    /// How they were paired.
    pub pairing: Pairing,
    /// The thresholds applied.
    pub gate: Gate,
    /// How many cells are what.
    pub counts: Counts,
    /// What is worth saying, gravest first.
    pub findings: Vec<Finding>,
    /// Every test.
    pub effects: Vec<Effect>,
    /// What the speed rests on.
    pub speed: Speed,
    /// The accuracies of distinct federations.
    pub accuracies: Vec<Accuracy>,
    /// What a reader must know of the two runs, one line each: unfinished, another machine, another
    /// version of the suite.
    pub notes: Vec<String>,
    /// Why a side is not whole.
    pub unfinished: Vec<String>,
    labels: Labels,
}

/// Compares two runs under `gate`.
///
/// # Errors
/// [`CompareError::Incomparable`] where they have no cell in common, every common cell attacked
/// other images, or they disagree on which direction of a metric is better.
pub fn compare(
    base: &Side,
    new: &Side,
    gate: &Gate,
    how: Pairing,
) -> Result<Comparison, CompareError> {
    let (metrics, caps) = Metrics::of_both(&base.info, &new.info).map_err(|why| {
        CompareError::Incomparable(format!("{} and {}: {why}", base.name, new.name))
    })?;
    let matched = Matched::new(base, new, how)?;
    let records = matched.pairs.iter().flat_map(|(b, n)| [&base.records[*b], &new.records[*n]]);
    let measures = Measure::all(records, &metrics, gate);
    let pairs = pairs::lay_out(base, new, &matched.pairs, &measures, how);
    refuse_other_images(base, new, &pairs)?;
    let labels = Labels::new(base, new, &pairs, how);
    let mut bench = effect::Bench::default();
    let mut effects =
        hypotheses::scores(&pairs, &measures, &mut bench, |at| labels.defense(&pairs[at]));
    let accuracies = federations::federations(base, new, &pairs);
    effects.extend(federations::accuracy(&accuracies, gate, how, &mut bench));
    let (speed, seconds) = costs::speed(base, new, &pairs, gate, how, &mut bench);
    effects.extend(seconds);
    effects.extend(costs::others(base, new, &pairs, how, &mut bench));
    judge::judge(&mut effects, gate.alpha, &pairs);
    judge::doubt(&mut effects, &pairs, |pair| labels.defense(pair));
    let unfinished = unfinished(base, new);
    let mut comparison = Comparison {
        base: title(base),
        new: title(new),
        pairing: how,
        gate: gate.clone(),
        counts: Counts::new(&matched, &pairs),
        findings: Vec::new(),
        effects,
        speed,
        accuracies,
        notes: notes(base, new).into_iter().chain(caps).chain(undirected(&measures)).collect(),
        unfinished,
        labels,
    };
    comparison.findings = findings::find(&comparison, (base, new), &matched, &pairs, &measures);
    Ok(comparison)
}

impl Comparison {
    /// What it comes to.
    pub fn verdict(&self) -> Verdict {
        let any = |weight: Weight| self.findings.iter().any(|f| f.weight == weight);
        match () {
            () if any(Weight::Regression) => Verdict::Regressed,
            () if !self.unfinished.is_empty() => Verdict::Unfinished,
            () if any(Weight::Failure) => Verdict::Failed,
            () => Verdict::Passed,
        }
    }

    /// Warnings that are, or may be, for the worse.
    pub fn adverse_warnings(&self) -> usize {
        self.findings(Weight::Warning).filter(|f| f.adverse).count()
    }

    /// The findings of one weight.
    pub fn findings(&self, weight: Weight) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |f| f.weight == weight)
    }
}

fn title(side: &Side) -> String {
    format!("{} ({})", side.name, side.info.suite.title())
}

fn unfinished(base: &Side, new: &Side) -> Vec<String> {
    let one =
        |side: &Side| Some(format!("{} is not whole: {}", side.name, side.unfinished.as_ref()?));
    [base, new].into_iter().filter_map(one).collect()
}

fn refuse_other_images(base: &Side, new: &Side, pairs: &[Pair]) -> Result<(), CompareError> {
    let other = pairs.iter().filter(|p| p.state == State::OtherImages).count();
    if other == 0 || other < pairs.len() {
        return Ok(());
    }
    Err(CompareError::Incomparable(format!(
        "{} and {} attacked other images in every common cell, because the data or the random \
         streams changed; make the baseline again",
        base.name, new.name
    )))
}

fn notes(base: &Side, new: &Side) -> Vec<String> {
    let mut notes = Vec::new();
    let (b, n) = (&base.info, &new.info);
    if b.suite.version != n.suite.version || b.suite.name != n.suite.name {
        notes.push(format!(
            "the suites differ: {} version {} and {} version {}; cells with equal ids are compared",
            b.suite.name, b.suite.version, n.suite.name, n.suite.version
        ));
    }
    for side in [base, new] {
        notes.extend(side.info.old().map(|old| format!("{}: {old}", side.name)));
    }
    if b.bench_version != n.bench_version {
        notes.push(format!("made by bench {} and bench {}", b.bench_version, n.bench_version));
    }
    if b.shard != n.shard {
        let shard = |s: &Option<String>| s.clone().unwrap_or("the whole suite".into());
        notes.push(format!("shards differ: {} and {}", shard(&b.shard), shard(&n.shard)));
    }
    notes.extend(other_gates(base, new));
    let hosts = costs::differing_hosts(base, new);
    if !hosts.is_empty() {
        notes.push(format!("{}; speed is informational", hosts.join("; ")));
    }
    notes
}

/// One line on the metrics of which neither run says what is better.
fn undirected(measures: &[Measure]) -> Option<String> {
    let names: Vec<&str> =
        measures.iter().filter(|m| m.undirected()).map(|m| m.metric.name.as_str()).collect();
    (!names.is_empty()).then(|| {
        format!(
            "neither run says whether more or less of {} is better: it is described, not judged",
            names.join(", ")
        )
    })
}

/// The keys in which the runs' own gates differ, where both are known.
fn other_gates(base: &Side, new: &Side) -> Option<String> {
    let own = |side: &Side| -> Option<serde_json::Value> {
        let known = side.gate.is_some() || !side.suite_text().is_empty();
        serde_json::to_value(side.gate().ok().filter(|_| known)?).ok()
    };
    let (was, is) = (own(base)?, own(new)?);
    let differs = |(key, value): (&String, &serde_json::Value)| {
        let other = is.get(key)?;
        (other != value).then(|| format!("{key} {value} → {other}"))
    };
    let keys: Vec<String> = was.as_object()?.iter().filter_map(differs).collect();
    (!keys.is_empty()).then(|| format!("the runs' own gates differ: {}", keys.join(", ")))
}
