//! Task accuracy of federations.

use crate::costs::{Ran, by_unit, cost_effect, ran};
use crate::effect::{Bench, Effect, Family, Scale, Subject, Tested};
use crate::pairs::Pair;
use crate::{Pairing, Side};
use record::axes::acting;
use record::stats::mean;
use record::{CellRecord, Outcome};
use serde::Serialize;
use statrs::distribution::{DiscreteCDF, Hypergeometric};
use std::collections::HashMap;
use suites::Gate;

/// The accuracy of one federation on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Accuracy {
    /// A cell that has it, by its id in the new run.
    pub cell: String,
    /// `accuracy` of the attacked model, or `trained_accuracy` with the defenses in the loop.
    pub metric: &'static str,
    /// In [0, 1]; the mean over the cells that repeat it.
    pub base: f64,
    /// In [0, 1].
    pub new: f64,
    /// Cells that repeat it.
    pub cells: usize,
    /// Examples that either accuracy was measured on, before and after; `None` where a record does
    /// not say.
    pub test_examples: Option<(u64, u64)>,
    #[serde(skip)]
    seeds: (u64, u64),
}

/// Accuracy of every distinct federation: attacks and vantages share one, and count once, with
/// their mean.
pub(crate) fn federations(base: &Side, new: &Side, pairs: &[Pair]) -> Vec<Accuracy> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut out: Vec<Accuracy> = Vec::new();
    for ran in ran(base, new, pairs) {
        for metric in ["accuracy", "trained_accuracy"] {
            let Some(one) = Accuracy::from_run(&ran, metric) else { continue };
            let key = format!("{metric} {}", federation(ran.new, metric));
            let place = *places.entry(key).or_insert(out.len());
            match out.get_mut(place) {
                Some(known) => known.repeat(&one),
                None => out.push(one),
            }
        }
    }
    out
}

impl Accuracy {
    fn from_run(ran: &Ran, metric: &'static str) -> Option<Accuracy> {
        let value = |r: &CellRecord| r.task.get(metric).copied().filter(|v| v.is_finite());
        let tried = |r: &CellRecord| {
            let n = r.task.get("test_examples").copied()?;
            (n.is_finite() && n >= 1.0).then_some(n as u64)
        };
        Some(Accuracy {
            cell: ran.new.id.to_string(),
            metric,
            base: value(ran.base)?,
            new: value(ran.new)?,
            cells: 1,
            test_examples: tried(ran.base).zip(tried(ran.new)),
            seeds: (ran.base.spec.seed, ran.new.spec.seed),
        })
    }

    /// Takes in another cell of the same federation.
    fn repeat(&mut self, other: &Accuracy) {
        let n = self.cells as f64;
        self.base = (self.base * n + other.base) / (n + 1.0);
        self.new = (self.new * n + other.new) / (n + 1.0);
        self.cells += 1;
    }
}

/// What tells one federation from another.
fn federation(record: &CellRecord, metric: &str) -> String {
    let spec = &record.spec;
    let defenses: Vec<_> = acting(spec).collect();
    let shared = format!("{:?} {:?} {}", spec.task, spec.model, spec.seed);
    match metric {
        "accuracy" if spec.capture.round == 0 => shared,
        "accuracy" => format!(
            "{shared} {:?} {} {} {defenses:?}",
            spec.federation, spec.source, spec.capture.round
        ),
        _ => format!("{shared} {:?} {} {defenses:?}", spec.federation, spec.source),
    }
}

/// Cells that had an accuracy and have none any more, as after a training that diverged.
pub(crate) fn accuracies_lost(base: &Side, new: &Side, pairs: &[Pair]) -> usize {
    let has = |r: &CellRecord, metric: &str| r.task.get(metric).is_some_and(|v| v.is_finite());
    let lost = |r: &&Ran| {
        ["accuracy", "trained_accuracy"].iter().any(|m| has(r.base, m) && !has(r.new, m))
            && r.new.outcome == Outcome::Done
    };
    ran(base, new, pairs).iter().filter(lost).count()
}

/// Task accuracy over the distinct federations; at the same seed also of each by itself.
pub(crate) fn accuracy(
    all: &[Accuracy],
    gate: &Gate,
    how: Pairing,
    bench: &mut Bench,
) -> Vec<Effect> {
    let mut effects: Vec<Effect> = pooled(all, gate, how, bench).into_iter().collect();
    if how == Pairing::SameSeed {
        effects.extend(all.iter().filter_map(|one| single(one, gate)));
    }
    effects
}

fn pooled(all: &[Accuracy], gate: &Gate, how: Pairing, bench: &mut Bench) -> Option<Effect> {
    let values = by_unit(all.iter().map(|a| (a.seeds, a.new - a.base)).collect(), how);
    let tested = bench.test(&values, Scale::default())?;
    let side = |pick: fn(&Accuracy) -> f64| {
        mean(&all.iter().map(pick).collect::<Vec<_>>()).unwrap_or(f64::NAN)
    };
    let sides = (side(|a| a.base), side(|a| a.new));
    let shown = format!("{:+.3}{}", tested.mean, tested.spread(|v| format!("{v:+.3}")));
    let counts = (all.len(), 0, values.len());
    let effect = cost_effect(Subject::Accuracy, "task accuracy", counts, sides, tested, shown);
    Some(Effect { family: Family::Pooled, tolerance: Some(gate.accuracy), ..effect })
}

/// One federation: Fisher's exact test of its right answers among the test examples, before and
/// after. The two models answer the same examples, and what both find easy makes their shares more
/// alike than the test assumes, so that it errs on the side of silence.
fn single(one: &Accuracy, gate: &Gate) -> Option<Effect> {
    let (base, new) = one.test_examples?;
    let right = |share: f64, n: u64| (share.clamp(0.0, 1.0) * n as f64).round() as u64;
    let (before, after) = (right(one.base, base), right(one.new, new));
    let (p, smallest_p) = fisher((before, base), (after, new))?;
    let change = one.new - one.base;
    let moved = usize::from(change != 0.0);
    let test = "Fisher's exact test";
    let tested = Tested {
        mean: change,
        ci: None,
        few: Vec::new(),
        test,
        p,
        smallest_p,
        moved,
        agrees: true,
    };
    let shown = format!("{:.3} → {:.3} on {new} examples", one.base, one.new);
    let subject = Subject::Federation(one.cell.clone());
    let metric = one.metric.replace('_', " ");
    let effect =
        cost_effect(subject, &metric, (one.cells, 0, 1), (one.base, one.new), tested, shown);
    Some(Effect { family: Family::Cells, tolerance: Some(gate.accuracy), ..effect })
}

/// Twice the smaller tail of the hypergeometric distribution of the successes on one side, given
/// those of both together; and the least that it could be, given these. A side is (successes,
/// tries).
fn fisher(a: (u64, u64), b: (u64, u64)) -> Option<(f64, f64)> {
    let (right, all) = (a.0 + b.0, a.1 + b.1);
    let null = Hypergeometric::new(all, right, a.1).ok()?;
    let p = |k: u64| {
        let above = if k == 0 { 1.0 } else { null.sf(k - 1) };
        (2.0 * null.cdf(k).min(above)).min(1.0)
    };
    let (least, most) = (right.saturating_sub(b.1), right.min(a.1));
    Some((p(a.0), p(least).min(p(most))))
}

#[cfg(test)]
mod tests {
    use super::fisher;

    #[test]
    fn fisher_by_hand() {
        // Of 4 right answers among 8, all 4 on one side: 1 of 70 ways, and as many the other way
        // round.
        let (p, least) = fisher((4, 4), (0, 4)).unwrap();
        assert!((p - 2.0 / 70.0).abs() < 1e-9 && (least - p).abs() < 1e-12, "{p} {least}");
        assert_eq!(fisher((2, 4), (2, 4)).unwrap().0, 1.0);
        // Everything right on both sides can tell nothing.
        assert_eq!(fisher((4, 4), (4, 4)).unwrap(), (1.0, 1.0));
    }
}
