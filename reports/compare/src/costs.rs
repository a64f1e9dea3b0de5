//! Speed and other costs of cells, and task accuracy of federations.

use crate::effect::{Bench, Effect, Family, Judgement, Scale, Subject, Tested};
use crate::pairs::{Pair, State};
use crate::{Pairing, Side, units};
use record::CellRecord;
use record::stats::{Interval, mean};
use serde::Serialize;
use std::collections::BTreeMap;
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
    /// Why the ratio raises no alarm: what differs of program, machine, device or threads. Empty
    /// where nothing does.
    pub informational: Vec<String>,
}

/// Two records of a cell that ran on both sides.
pub(crate) struct Ran<'a> {
    pub base: &'a CellRecord,
    pub new: &'a CellRecord,
}

pub(crate) fn ran<'a>(base: &'a Side, new: &'a Side, pairs: &[Pair]) -> Vec<Ran<'a>> {
    let done =
        |p: &&Pair| matches!(p.state, State::Identical | State::Compared | State::OtherImages);
    let of = |p: &Pair| Ran { base: &base.records[p.base], new: &new.records[p.new] };
    pairs.iter().filter(done).map(of).collect()
}

/// What two runs must share for their seconds to be comparable, and do not.
pub(crate) fn differing_hosts(base: &Side, new: &Side) -> Vec<String> {
    let (b, n) = (&base.info, &new.info);
    let mut out = Vec::new();
    let mut differ = |what: &str, b: &str, n: &str| {
        if b != n {
            out.push(format!("{what}: {b} → {n}"));
        }
    };
    differ("machine", &b.machine, &n.machine);
    if !b.processor.is_empty() && !n.processor.is_empty() {
        differ("processor", &b.processor, &n.processor);
    }
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
pub(crate) fn speed(
    base: &Side,
    new: &Side,
    pairs: &[Pair],
    gate: &Gate,
    how: Pairing,
    bench: &mut Bench,
) -> (Speed, Vec<Effect>) {
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
    let each = ratio(&timed, seconds, Subject::Speed, "seconds", how, bench);
    let mut effects: Vec<Effect> =
        each.into_iter().chain(total(&timed, &speed, gate, how, bench)).collect();
    for effect in effects.iter_mut().filter(|_| speed.informational.is_empty()) {
        (effect.family, effect.tolerance) = (Family::Pooled, Some(gate.slower));
    }
    (speed, effects)
}

/// The ratio of all seconds together, tested over the cells beyond the tolerance alone: whether
/// more of them are slower than are faster. Which cells these are is told by the size of their
/// ratio and not by its sign, so that the test is exact.
fn total(
    timed: &[&Ran],
    speed: &Speed,
    gate: &Gate,
    how: Pairing,
    bench: &mut Bench,
) -> Option<Effect> {
    if !(speed.base_seconds > 0.0 && speed.new_seconds > 0.0) {
        return None;
    }
    let sign = |r: &Ran| {
        let ratio = (r.new.wall.seconds / r.base.wall.seconds).ln();
        let beyond = ratio.is_finite() && ratio.abs() > gate.slower.ln();
        ((r.base.spec.seed, r.new.spec.seed), if beyond { ratio.signum() } else { 0.0 })
    };
    let signs = by_unit(timed.iter().map(|r| sign(r)).collect(), how);
    let tested = bench.test(&signs, Scale { floor: 0.0, binary: true })?;
    let change = speed.new_seconds / speed.base_seconds;
    let beyond = tested.moved;
    let shown = format!(
        "× {change:.3}, {beyond} of {} cells beyond × {} either way",
        timed.len(),
        gate.slower
    );
    let sides = (speed.base_seconds, speed.new_seconds);
    let agrees = change.ln() * tested.mean > 0.0;
    let test = "sign test of cells beyond the tolerance";
    let counts = (timed.len(), 0, signs.len());
    let effect = cost_effect(Subject::Speed, "total seconds", counts, sides, tested, shown);
    Some(Effect { change, ci: None, agrees, test, ..effect })
}

/// Seconds before and after of each attack's cells together, by name, without those too short to
/// tell.
pub(crate) fn by_attack(
    base: &Side,
    new: &Side,
    pairs: &[Pair],
    gate: &Gate,
) -> BTreeMap<String, (f64, f64)> {
    let mut out: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for r in ran(base, new, pairs) {
        let (before, after) = (r.base.wall.seconds, r.new.wall.seconds);
        if before.max(after) >= gate.min_seconds {
            let sums = out.entry(r.new.spec.attack.name.clone()).or_default();
            *sums = (sums.0 + before, sums.1 + after);
        }
    }
    out
}

/// What a cell costs, above zero where it costs anything.
type Cost = fn(&CellRecord) -> f64;

/// Ratios of what else a cell costs.
pub(crate) fn others(
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

/// Values by unit: each by itself at the same seed; across seeds the mean over what shares a seed
/// on either side.
pub(crate) fn by_unit(values: Vec<((u64, u64), f64)>, how: Pairing) -> Vec<f64> {
    if how == Pairing::SameSeed {
        return values.into_iter().map(|(_, v)| v).collect();
    }
    units::by_seed(&values)
}

/// The geometric mean of `new / base` over the cells where both are above zero, tested on
/// logarithms.
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
    let tested = bench.test(&logs, Scale::default())?;
    let geometric = |pick: fn((f64, f64)) -> f64| {
        mean(&used.iter().map(|r| pick(cost(r)).ln()).collect::<Vec<_>>())
            .map_or(f64::NAN, f64::exp)
    };
    let ci = tested.ci.map(|ci| Interval { low: ci.low.exp(), high: ci.high.exp() });
    let spread = tested.spread(|v| format!("{:.3}", v.exp()));
    let shown = format!("× {:.3}{spread}", tested.mean.exp());
    let sides = (geometric(|c| c.0), geometric(|c| c.1));
    let change = tested.mean.exp();
    let counts = (used.len(), cells.len() - used.len(), logs.len());
    Some(Effect { change, ci, ..cost_effect(subject, name, counts, sides, tested, shown) })
}

/// An effect that is described only.
pub(crate) fn cost_effect(
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
        higher: Some(true),
        agrees: tested.agrees,
    }
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
