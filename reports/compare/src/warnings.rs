//! Warnings about what no test covers: images that are no numbers, leaks where nothing was attacked
//! before, attacks that fell behind defenses only, slow attacks, and other work for the same spec.

use crate::costs::{self, Ran, ran};
use crate::effect::{Judgement, Subject};
use crate::findings::{Finding, Kind, Weight};
use crate::measure::Measure;
use crate::pairs::{Pair, State};
use crate::{Comparison, Pairing, Side, behind};
use record::aggregate::diverged;
use record::{CellRecord, ImageScore};
use std::collections::{BTreeMap, HashMap};

/// Work that differs by more than this share is for the worse: an attack with less of it is another
/// attack.
const WORK: f64 = 0.1;

/// All of them.
pub(crate) fn find(
    all: &Comparison,
    (base, new): (&Side, &Side),
    pairs: &[Pair],
    measures: &[Measure],
) -> Vec<Finding> {
    let mut found = fallen(all, pairs, measures);
    found.extend(not_measurable(all, base, pairs));
    found.extend(not_finite(base, new, pairs));
    found.extend(leaks(all, (base, new), pairs, measures));
    found.extend(slow(all, base, new, pairs));
    if all.pairing == Pairing::SameSeed {
        found.extend(work(base, new, pairs, |p| all.labels.defense(p)));
    }
    found
}

fn warning(kind: Kind, subject: String, text: String) -> Finding {
    Finding { weight: Weight::Warning, kind, adverse: true, subject, text }
}

/// Attacks that reconstruct less behind defenses, while neither their undefended cells nor the
/// other attacks there do.
fn fallen(all: &Comparison, pairs: &[Pair], measures: &[Measure]) -> Vec<Finding> {
    let leading = measures.iter().enumerate().find(|(_, m)| m.raw() && m.tolerance.is_some());
    let Some(leading) = leading.filter(|_| all.pairing == Pairing::SameSeed) else {
        return Vec::new();
    };
    let told = |name: &str| {
        all.effects.iter().any(|e| match &e.subject {
            Subject::Attack(n) => n == name && e.beyond() && e.points_to == Judgement::AttackWeaker,
            Subject::AttackBehind(n) => n == name && e.judgement == Judgement::AttackWeaker,
            _ => false,
        })
    };
    let fallen = behind::fallen(pairs, leading, |p| all.labels.defense(p));
    let finding = |f: behind::Fallen| {
        let others =
            if f.compared { "the other attacks there do not" } else { "no other attack met them" };
        let text = format!(
            "reconstructs less behind {} of {} defenses ({}), and {others}: a weaker (adaptive) \
             attack makes defenses look strong",
            f.behind.len(),
            f.of,
            f.behind.join(", ")
        );
        warning(Kind::WeakerBehind, format!("attack {}", f.attack), text)
    };
    fallen.into_iter().filter(|f| !told(&f.attack)).map(finding).collect()
}

/// Defenses of which nothing follows, because no attack beats the floor without them; for the worse
/// where that was not so.
fn not_measurable(all: &Comparison, base: &Side, pairs: &[Pair]) -> Vec<Finding> {
    let mut groups: BTreeMap<(String, &str), (usize, bool)> = BTreeMap::new();
    for pair in pairs.iter().filter(|p| p.scored()) {
        let Some(why) = pair.doubt.as_deref() else { continue };
        let own = groups.entry((all.labels.defense(pair), why)).or_default();
        *own = (own.0 + 1, own.1 || base.doubts[pair.base].is_none());
    }
    let finding = |((defense, why), (cells, adverse)): ((String, &str), (usize, bool))| {
        let which =
            if cells == 1 { "1 cell raises".into() } else { format!("{cells} cells raise") };
        let text = format!("{which} no alarm: {why}");
        Finding { adverse, ..warning(Kind::NotMeasurable, format!("defense {defense}"), text) }
    };
    groups.into_iter().map(finding).collect()
}

/// Attacks more of whose images are not finite than before.
fn not_finite(base: &Side, new: &Side, pairs: &[Pair]) -> Vec<Finding> {
    let mut counts: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for pair in pairs.iter().filter(|p| p.scored()) {
        let count = |r: &CellRecord| r.images.iter().filter(|i| diverged(i)).count();
        let own = counts.entry(&pair.attack).or_default();
        own.0 += count(&base.records[pair.base]);
        own.1 += count(&new.records[pair.new]);
        own.2 += new.records[pair.new].images.len();
    }
    let finding = |(name, (before, after, all)): (&&str, &(usize, usize, usize))| {
        let text =
            format!("{before} → {after} of {all} images are not finite; they count as no gain");
        warning(Kind::NotFinite, format!("attack {name}"), text)
    };
    counts.iter().filter(|(_, c)| c.1 > c.0).map(finding).collect()
}

/// Defended cells in which images have scores now that had none, some of them successes.
fn leaks(
    all: &Comparison,
    (base, new): (&Side, &Side),
    pairs: &[Pair],
    measures: &[Measure],
) -> Vec<Finding> {
    let Some(metric) = measures.iter().map(|m| &m.metric).find(|m| m.name == "psnr") else {
        return Vec::new();
    };
    let Some(easiest) = metric.thresholds.first().copied() else { return Vec::new() };
    let psnr = |i: &ImageScore| i.scores.get("psnr").copied().flatten().filter(|v| !v.is_nan());
    let finding = |pair: &Pair| {
        let (was, is) = (&base.records[pair.base], &new.records[pair.new]);
        let paired = pair.state == State::Compared && all.pairing == Pairing::SameSeed;
        let judged = pair.defended && pair.doubt.is_none();
        if !judged || !(paired || matches!(pair.state, State::NowApplies | State::Recovered)) {
            return None;
        }
        let had: HashMap<_, _> =
            was.images.iter().map(|i| ((i.trial, i.index), psnr(i).is_some())).collect();
        let fresh =
            |i: &&ImageScore| psnr(i).is_some() && had.get(&(i.trial, i.index)) != Some(&true);
        let fresh: Vec<&ImageScore> = is.images.iter().filter(fresh).collect();
        let met =
            |i: &&&ImageScore| !diverged(i) && psnr(i).is_some_and(|v| metric.met(easiest, v));
        let leaked = fresh.iter().filter(met).count();
        let why = match pair.state {
            State::NowApplies => "leaks now where it did not apply",
            State::Recovered => "leaks now where it failed",
            _ => "leaks now in images that had no score",
        };
        let text =
            format!("{why}: {leaked} of {} images at {}", fresh.len(), metric.threshold(easiest));
        (leaked > 0).then(|| {
            warning(Kind::Leaks, format!("cell {}", all.labels.cell(is.id.as_str())), text)
        })
    };
    pairs.iter().filter_map(finding).collect()
}

/// Attacks whose cells together take longer than the tolerance.
fn slow(all: &Comparison, base: &Side, new: &Side, pairs: &[Pair]) -> Vec<Finding> {
    if !all.speed.informational.is_empty() {
        return Vec::new();
    }
    let sums = costs::by_attack(base, new, pairs, &all.gate);
    let slower = |(_, (before, after)): &(&String, &(f64, f64))| {
        *before > 0.0 && after / before > all.gate.slower
    };
    let finding = |(name, (before, after)): (&String, &(f64, f64))| {
        let text = format!(
            "takes × {:.2} as long: {before:.1} → {after:.1} s in all of its cells",
            after / before
        );
        warning(Kind::Slow, format!("attack {name}"), text)
    };
    sums.iter().filter(slower).map(finding).collect()
}

/// What a cell did, as counted by the program and not by a clock.
type Work = fn(&CellRecord) -> u64;

/// Cells of one spec that did another amount of work, by attack; of what is sent, by defenses.
fn work(
    base: &Side,
    new: &Side,
    pairs: &[Pair],
    defense: impl Fn(&Pair) -> String,
) -> Vec<Finding> {
    let kinds: [(&str, bool, Work); 4] = [
        ("gradient evaluations", true, |r| r.cost.gradient_evaluations),
        ("iterations", true, |r| r.cost.iterations),
        ("bytes up", false, |r| r.cost.bytes_up),
        ("bytes down", false, |r| r.cost.bytes_down),
    ];
    let mut found = Vec::new();
    for (what, by_attack, work) in kinds {
        let mut groups: BTreeMap<String, (u64, u64, usize)> = BTreeMap::new();
        for pair in pairs {
            let Some(Ran { base, new }) = ran(base, new, std::slice::from_ref(pair)).pop() else {
                continue;
            };
            let (before, after) = (work(base), work(new));
            if before != after {
                let name = if by_attack {
                    format!("attack {}", pair.attack)
                } else {
                    format!("defense {}", defense(pair))
                };
                let own = groups.entry(name).or_default();
                *own = (own.0.saturating_add(before), own.1.saturating_add(after), own.2 + 1);
            }
        }
        found.extend(groups.into_iter().map(|(subject, sums)| other_work(what, subject, sums)));
    }
    found
}

fn other_work(what: &str, subject: String, (before, after, cells): (u64, u64, usize)) -> Finding {
    let ratio = after as f64 / before as f64;
    let shown = if before == 0 { format!("0 → {after}") } else { format!("× {ratio:.3}") };
    let text = format!("{what} {shown} in {cells} cells of an unchanged spec");
    let adverse = before == 0 || (ratio - 1.0).abs() > WORK;
    Finding { adverse, ..warning(Kind::Work, subject, text) }
}
