//! Speed and other costs of cells, and task accuracy of federations.

use super::effect::{Bench, Effect, Family, Judgement, Subject, Tested};
use super::pairs::{Pair, State};
use super::{Pairing, Side, units};
use crate::axes::acting;
use crate::stats::{Interval, mean};
use crate::{CellRecord, Outcome};
use serde::Serialize;
use suites::Gate;

/// How the seconds of cells were compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Speed {
    /// Cells compared.
    pub cells: usize,
    /// Cells left out, since they take less than the gate's `min_seconds` in both runs.
    pub too_short: usize,
    /// Seconds of the compared cells, together, in the base.
    pub base_seconds: f64,
    /// The same in the new run.
    pub new_seconds: f64,
    /// Why the ratio raises no alarm: what differs of program, machine, device or threads. Empty where nothing does.
    pub informational: Vec<String>,
}

/// Two records of a cell that ran on both sides.
struct Ran<'a> {
    base: &'a CellRecord,
    new: &'a CellRecord,
}

fn ran<'a>(base: &'a Side, new: &'a Side, pairs: &[Pair]) -> Vec<Ran<'a>> {
    let done = |p: &&Pair| matches!(p.state, State::Identical | State::Compared | State::OtherImages);
    let of = |p: &Pair| Ran { base: &base.records[p.base], new: &new.records[p.new] };
    pairs.iter().filter(done).map(of).collect()
}

/// What two runs must share for their seconds to be comparable, and do not.
pub(super) fn differing_hosts(base: &Side, new: &Side) -> Vec<String> {
    let (b, n) = (&base.info, &new.info);
    let mut out = Vec::new();
    let mut differ = |what: &str, b: &str, n: &str| {
        if b != n {
            out.push(format!("{what}: {b} → {n}"));
        }
    };
    differ("machine", &b.machine, &n.machine);
    differ("device", &b.device, &n.device);
    differ("libtorch", &b.libtorch, &n.libtorch);
    for flag in ["--threads", "--jobs"] {
        differ(flag, &flag_of(&b.command, flag), &flag_of(&n.command, flag));
    }
    for (side, name) in [(base, "base"), (new, "new run")] {
        if !side.info.elsewhere.is_empty() {
            out.push(format!("parts of the {name} were made on other machines"));
        }
    }
    out
}

/// The value of a flag in a command line; "default" where it is not there.
fn flag_of(command: &str, flag: &str) -> String {
    let mut words = command.split_whitespace();
    while let Some(word) = words.next() {
        match word.strip_prefix(flag) {
            Some("") => return words.next().unwrap_or_default().to_owned(),
            Some(rest) if rest.starts_with('=') => return rest[1..].to_owned(),
            _ => {}
        }
    }
    "default".into()
}

/// The ratio of seconds over cells, and what it rests on.
pub(super) fn speed(
    base: &Side,
    new: &Side,
    pairs: &[Pair],
    gate: &Gate,
    how: Pairing,
    bench: &mut Bench,
) -> (Speed, Option<Effect>) {
    let all = ran(base, new, pairs);
    let long = |r: &&Ran| r.base.wall.seconds.max(r.new.wall.seconds) >= gate.min_seconds;
    let timed: Vec<&Ran> = all.iter().filter(long).collect();
    let sum = |of: fn(&Ran) -> f64| timed.iter().map(|r| of(r)).sum();
    let speed = Speed {
        cells: timed.len(),
        too_short: all.len() - timed.len(),
        base_seconds: sum(|r| r.base.wall.seconds),
        new_seconds: sum(|r| r.new.wall.seconds),
        informational: differing_hosts(base, new),
    };
    let seconds = |r: &Ran| (r.base.wall.seconds, r.new.wall.seconds);
    let mut effect = ratio(&timed, seconds, Subject::Speed, "seconds", how, bench);
    if let Some(effect) = effect.as_mut().filter(|_| speed.informational.is_empty()) {
        (effect.family, effect.tolerance) = (Family::Pooled, Some(gate.slower));
    }
    (speed, effect)
}

/// What a cell costs, above zero where it costs anything.
type Cost = fn(&CellRecord) -> f64;

/// Ratios of what else a cell costs.
pub(super) fn others(
    base: &Side,
    new: &Side,
    pairs: &[Pair],
    how: Pairing,
    bench: &mut Bench,
) -> Vec<Effect> {
    let all = ran(base, new, pairs);
    let all: Vec<&Ran> = all.iter().collect();
    let costs: [(&str, Cost); 4] = [
        ("gradient evaluations", |r| r.cost.gradient_evaluations as f64),
        ("bytes up", |r| r.cost.bytes_up as f64),
        ("bytes down", |r| r.cost.bytes_down as f64),
        ("attack seconds", |r| r.wall.attack_seconds),
    ];
    let one = |(name, cost): (&str, Cost)| {
        ratio(&all, |r| (cost(r.base), cost(r.new)), Subject::Cost(name.into()), name, how, bench)
    };
    costs.into_iter().filter_map(one).collect()
}

/// Values by unit: each by itself at the same seed; across seeds the mean over what shares a seed on either side.
fn by_unit(values: Vec<((u64, u64), f64)>, how: Pairing) -> Vec<f64> {
    if how == Pairing::SameSeed {
        return values.into_iter().map(|(_, v)| v).collect();
    }
    units::by_seed(&values)
}

/// The geometric mean of `new / base` over the cells where both are above zero, tested on logarithms.
fn ratio(
    cells: &[&Ran],
    cost: impl Fn(&Ran) -> (f64, f64),
    subject: Subject,
    name: &str,
    how: Pairing,
    bench: &mut Bench,
) -> Option<Effect> {
    let positive = |r: &&&Ran| cost(r).0 > 0.0 && cost(r).1 > 0.0;
    let used: Vec<&Ran> = cells.iter().filter(positive).copied().collect();
    let logs = used.iter().map(|r| {
        let (before, after) = cost(r);
        ((r.base.spec.seed, r.new.spec.seed), (after / before).ln())
    });
    let logs = by_unit(logs.collect(), how);
    let tested = bench.test(&logs)?;
    let geometric = |pick: fn((f64, f64)) -> f64| {
        mean(&used.iter().map(|r| pick(cost(r)).ln()).collect::<Vec<_>>()).map_or(f64::NAN, f64::exp)
    };
    let ci = tested.ci.map(|ci| Interval { low: ci.low.exp(), high: ci.high.exp() });
    let shown = ci.map_or(String::new(), |ci| format!(" [{:.3}, {:.3}]", ci.low, ci.high));
    let shown = format!("× {:.3}{shown}", tested.mean.exp());
    let sides = (geometric(|c| c.0), geometric(|c| c.1));
    let change = tested.mean.exp();
    let counts = (used.len(), cells.len() - used.len(), logs.len());
    Some(Effect { change, ci, ..of(subject, name, counts, sides, tested, shown) })
}

/// An effect that is described only.
fn of(
    subject: Subject,
    metric: &str,
    (cells, unpaired, units): (usize, usize, usize),
    (base, new): (f64, f64),
    tested: Tested,
    shown: String,
) -> Effect {
    Effect {
        subject,
        metric: metric.into(),
        cells,
        pairs: cells,
        unpaired,
        units,
        moved: tested.moved,
        base,
        new,
        change: tested.mean,
        beside_twins: None,
        ci: tested.ci,
        test: tested.test,
        p: tested.p,
        smallest_p: tested.smallest_p,
        p_adjusted: None,
        family: Family::Described,
        tolerance: None,
        judgement: Judgement::Described,
        points_to: Judgement::Described,
        shown,
        higher: true,
        agrees: tested.agrees,
    }
}

/// The accuracy of one federation on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// A cell that has it, by its id in the new run.
    pub cell: String,
    /// `accuracy` of the attacked model, or `trained_accuracy` with the defences in the loop.
    pub metric: &'static str,
    /// In [0, 1].
    pub base: f64,
    /// In [0, 1].
    pub new: f64,
    #[serde(skip)]
    seeds: (u64, u64),
}

/// Accuracy of every distinct federation: attacks and vantages share one, and count once.
pub(super) fn federations(base: &Side, new: &Side, pairs: &[Pair]) -> Vec<Accuracy> {
    let mut seen = std::collections::HashSet::new();
    let mut out = Vec::new();
    for ran in ran(base, new, pairs) {
        for metric in ["accuracy", "trained_accuracy"] {
            let value = |r: &CellRecord| r.task.get(metric).copied().filter(|v| v.is_finite());
            let (Some(b), Some(n)) = (value(ran.base), value(ran.new)) else { continue };
            let key = format!("{metric} {} {b:?} {n:?}", federation(ran.new, metric));
            if seen.insert(key) {
                let seeds = (ran.base.spec.seed, ran.new.spec.seed);
                out.push(Accuracy { cell: ran.new.id.to_string(), metric, base: b, new: n, seeds });
            }
        }
    }
    out
}

/// What can tell one federation from another. Two with equal settings here and equal accuracies, before and after, are one.
fn federation(record: &CellRecord, metric: &str) -> String {
    let spec = &record.spec;
    let defences: Vec<_> = acting(spec).collect();
    let shared = format!("{:?} {:?} {}", spec.task, spec.model, spec.seed);
    match metric {
        "accuracy" if spec.training.rounds_before == 0 => shared,
        "accuracy" => format!("{shared} {:?} {defences:?}", spec.training),
        _ => format!("{shared} {:?} {defences:?}", spec.utility),
    }
}

/// Cells that had an accuracy and have none any more, as after a training that diverged.
pub(super) fn accuracies_lost(base: &Side, new: &Side, pairs: &[Pair]) -> usize {
    let has = |r: &CellRecord, metric: &str| r.task.get(metric).is_some_and(|v| v.is_finite());
    let lost = |r: &&Ran| {
        ["accuracy", "trained_accuracy"].iter().any(|m| has(r.base, m) && !has(r.new, m))
            && r.new.outcome == Outcome::Done
    };
    ran(base, new, pairs).iter().filter(lost).count()
}

/// Task accuracy over the distinct federations.
pub(super) fn accuracy(all: &[Accuracy], gate: &Gate, how: Pairing, bench: &mut Bench) -> Option<Effect> {
    let values = by_unit(all.iter().map(|a| (a.seeds, a.new - a.base)).collect(), how);
    let tested = bench.test(&values)?;
    let side =
        |pick: fn(&Accuracy) -> f64| mean(&all.iter().map(pick).collect::<Vec<_>>()).unwrap_or(f64::NAN);
    let sides = (side(|a| a.base), side(|a| a.new));
    let ci = tested.ci.map_or(String::new(), |ci| format!(" [{:+.3}, {:+.3}]", ci.low, ci.high));
    let shown = format!("{:+.3}{ci}", tested.mean);
    let counts = (all.len(), 0, values.len());
    let effect = of(Subject::Accuracy, "task accuracy", counts, sides, tested, shown);
    Some(Effect { family: Family::Pooled, tolerance: Some(gate.accuracy), ..effect })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_however_written() {
        assert_eq!(flag_of("bench suite a --threads 4 --jobs=2", "--threads"), "4");
        assert_eq!(flag_of("bench suite a --threads 4 --jobs=2", "--jobs"), "2");
        assert_eq!(flag_of("bench suite a", "--jobs"), "default");
    }
}
