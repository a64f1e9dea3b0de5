//! What is worth saying about two runs, gravest first.

use crate::effect::{Effect, Judgement, Subject};
use crate::matching::Matched;
use crate::measure::Measure;
use crate::pairs::{Pair, State};
use crate::{Comparison, Pairing, Side, federations, warnings};
use record::{CellRecord, Outcome};
use serde::Serialize;
use suites::gate::Severity;

/// What a finding does to the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weight {
    /// An alarm.
    Regression,
    /// A cell that newly fails.
    Failure,
    /// Might be one, and could not be told.
    Warning,
    /// News without alarm.
    Change,
}

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "judgement", rename_all = "kebab-case")]
pub enum Kind {
    /// A tested effect.
    Effect(Judgement),
    /// The accuracy of one federation moved beyond the tolerance.
    Federation,
    /// A cell fails, newly or again.
    Failed,
    /// A cell that failed is done.
    Recovered,
    /// A cell vanished, or applies no more.
    Vanished,
    /// A cell appeared.
    Appeared,
    /// A cell's spec changed.
    SpecChanged,
    /// Other images were attacked.
    OtherImages,
    /// A metric is no longer measured.
    MetricLost,
    /// The threat model of cells reads otherwise.
    Threat,
    /// An attack fell behind defenses, where the others did not.
    WeakerBehind,
    /// No attack beats the floor without the defense: nothing follows of it.
    NotMeasurable,
    /// More images are not finite.
    NotFinite,
    /// A defended cell has successes where it had no scores.
    Leaks,
    /// The cells of an attack take longer.
    Slow,
    /// The same spec did another amount of work.
    Work,
}

/// One line to read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// How grave.
    pub weight: Weight,
    /// What kind.
    #[serde(flatten)]
    pub kind: Kind,
    /// Whether it is for the worse, or may be: one such warning keeps a night from becoming the
    /// next one's baseline.
    pub adverse: bool,
    /// What it is about: an attack, a defense, a cell in words.
    pub subject: String,
    /// What happened to it, with numbers.
    pub text: String,
}

/// How many cells are what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Cells that both runs have.
    pub common: usize,
    /// Of these: bit-identical.
    pub identical: usize,
    /// Tested.
    pub compared: usize,
    /// Not paired, since other images were attacked.
    pub other_images: usize,
    /// Newly failed.
    pub newly_failed: usize,
    /// Failed both times.
    pub still_failed: usize,
    /// Failed before, done now.
    pub recovered: usize,
    /// Applicable on at most one side.
    pub not_applicable: usize,
    /// In the base alone.
    pub vanished: usize,
    /// Planned in the new run and not yet there.
    pub unrun: usize,
    /// In the new run alone.
    pub appeared: usize,
    /// With a changed spec.
    pub changed: usize,
}

impl Counts {
    pub(crate) fn new(matched: &Matched, pairs: &[Pair]) -> Counts {
        let count = |states: &[State]| pairs.iter().filter(|p| states.contains(&p.state)).count();
        Counts {
            common: pairs.len(),
            identical: count(&[State::Identical]),
            compared: count(&[State::Compared]),
            other_images: count(&[State::OtherImages]),
            newly_failed: count(&[State::NewlyFailed]),
            still_failed: count(&[State::StillFailed]),
            recovered: count(&[State::Recovered]),
            not_applicable: count(&[
                State::NeverApplied,
                State::NoLongerApplies,
                State::NowApplies,
            ]),
            vanished: matched.vanished.len(),
            unrun: matched.unrun.len(),
            appeared: matched.appeared.len(),
            changed: matched.changed.len(),
        }
    }
}

/// Everything worth saying.
pub(crate) fn find(
    all: &Comparison,
    sides: (&Side, &Side),
    matched: &Matched,
    pairs: &[Pair],
    measures: &[Measure],
) -> Vec<Finding> {
    let lost = weight(all.gate.missing);
    let mut found = effects(all);
    found.extend(warnings::find(all, sides, pairs, measures));
    found.extend(single_federations(all));
    found.extend(cells(all, sides, pairs, lost));
    found.extend(threats(all, sides, pairs));
    found.extend(metrics_lost(pairs, measures, lost));
    found.extend(accuracies_lost(sides, pairs, lost));
    found.extend(unmatched(all, sides, matched, lost));
    // Stable: what is equally grave stays in the order of attacks, defenses, accuracy, speed,
    // cells.
    found.sort_by_key(|f| f.weight);
    found
}

fn weight(severity: Severity) -> Weight {
    match severity {
        Severity::Fail => Weight::Regression,
        Severity::Warn => Weight::Warning,
    }
}

/// What a change for the worse amounts to that could not be tested. Other seeds move every number:
/// across them it is never an alarm.
fn untested(all: &Comparison) -> Weight {
    match all.pairing {
        Pairing::SameSeed => weight(all.gate.untested),
        Pairing::AcrossSeeds => Weight::Warning,
    }
}

/// Tested effects, those of one subject and one judgement in one line.
fn effects(all: &Comparison) -> Vec<Finding> {
    let mut lines: Vec<(&Subject, Judgement, Vec<&Effect>)> = Vec::new();
    let silent = |e: &Effect| match e.judgement {
        Judgement::Described | Judgement::Within => true,
        Judgement::NotSignificant => !adverse(e),
        judgement => repeated(all, e, judgement),
    };
    for effect in all.effects.iter().filter(|e| !silent(e)) {
        match lines
            .iter_mut()
            .rev()
            .find(|(s, j, _)| *s == &effect.subject && *j == effect.judgement)
        {
            Some((_, _, effects)) => effects.push(effect),
            None => lines.push((&effect.subject, effect.judgement, vec![effect])),
        }
    }
    // Of cells too small to be tested alone one line tells all; their pools have lines of their
    // own.
    let unsure = [Judgement::Untested, Judgement::NotSignificant];
    lines.retain(|(s, j, _)| !(matches!(s, Subject::Cell(_)) && unsure.contains(j)));
    // Of single federations without significance the lines below tell.
    lines.retain(|(s, j, _)| !(matches!(s, Subject::Federation(_)) && unsure.contains(j)));
    let mut found: Vec<Finding> =
        lines.iter().map(|(s, j, effects)| line(all, s, *j, effects)).collect();
    found.extend(unsure.into_iter().filter_map(|judgement| unsure_cells(all, judgement)));
    found
}

/// Whether an attack is called the same behind defenses as without, which says it already.
fn repeated(all: &Comparison, effect: &Effect, judgement: Judgement) -> bool {
    let Subject::AttackBehind(name) = &effect.subject else { return false };
    all.effects
        .iter()
        .any(|e| e.judgement == judgement && e.subject == Subject::Attack(name.clone()))
}

/// Whether an effect beyond its tolerance, that is not sure, would be bad news.
fn adverse(effect: &Effect) -> bool {
    matches!(effect.judgement, Judgement::Untested | Judgement::NotSignificant)
        && (effect.points_to.regression() || effect.points_to == Judgement::Unclear)
}

fn unsure_cells(all: &Comparison, judgement: Judgement) -> Option<Finding> {
    let of = |e: &&Effect| {
        matches!(e.subject, Subject::Cell(_)) && e.judgement == judgement && adverse(e)
    };
    let effects: Vec<&Effect> = all.effects.iter().filter(of).collect();
    let worst = effects.iter().max_by(|a, b| a.excess().total_cmp(&b.excess()))?;
    let mut cells: Vec<&Subject> = effects.iter().map(|e| &e.subject).collect();
    cells.dedup();
    let (weight, why) = match judgement {
        Judgement::Untested => (untested(all), "with too few images each to test"),
        _ => (Weight::Warning, "no surer than chance"),
    };
    Some(Finding {
        weight,
        kind: Kind::Effect(judgement),
        adverse: true,
        subject: format!("{} single cells", cells.len()),
        text: format!(
            "moved for the worse beyond a tolerance, {why}; most of all {}: {}",
            all.subject(&worst.subject),
            all.told(worst)
        ),
    })
}

fn line(all: &Comparison, subject: &Subject, judgement: Judgement, effects: &[&Effect]) -> Finding {
    let weight = match judgement {
        j if j.regression() => Weight::Regression,
        Judgement::Untested if effects.iter().any(|e| adverse(e)) => untested(all),
        Judgement::NotSignificant | Judgement::Mixed | Judgement::Unclear => Weight::Warning,
        _ => Weight::Change,
    };
    let parts: Vec<String> = effects.iter().map(|e| all.told(e)).collect();
    let text = format!("{}: {}", judgement.words(), parts.join("; "));
    let adverse = weight < Weight::Change;
    Finding { weight, kind: Kind::Effect(judgement), adverse, subject: all.subject(subject), text }
}

impl Comparison {
    /// A subject in words.
    pub(crate) fn subject(&self, subject: &Subject) -> String {
        match subject {
            Subject::Attack(name) => format!("attack {name}"),
            Subject::AttackBehind(name) => format!("attack {name} behind defenses"),
            Subject::Defense(name) => format!("defense {name}"),
            Subject::DefenseAlone(name) => {
                format!("defense {name}, cells without an undefended twin")
            }
            Subject::Accuracy => "task accuracy".into(),
            Subject::Federation(id) => format!("federation of cell {}", self.labels.cell(id)),
            Subject::Speed => "speed".into(),
            Subject::Cost(name) => name.clone(),
            Subject::Cell(id) => format!("cell {}", self.labels.cell(id)),
        }
    }

    /// An effect in words: its size, its p-value, its units.
    pub(crate) fn told(&self, effect: &Effect) -> String {
        let p = match effect.p_adjusted {
            Some(p) => format!("p = {}", p_value(p)),
            None => format!("{} of {} units moved", effect.moved, effect.units),
        };
        let units = if effect.p_adjusted.is_some() {
            format!(", {} units", effect.units)
        } else {
            String::new()
        };
        format!("{} {} ({p}{units})", effect.metric, effect.shown)
    }
}

/// A p-value with two digits.
pub(crate) fn p_value(p: f64) -> String {
    match p {
        p if p < 1e-4 => format!("{p:.1e}"),
        p if p < 0.1 => format!("{p:.4}"),
        p => format!("{p:.2}"),
    }
}

/// Single federations whose accuracy moved beyond the tolerance without significance, or where no
/// number of test examples allows a test.
fn single_federations(all: &Comparison) -> Vec<Finding> {
    if all.pairing == Pairing::AcrossSeeds {
        return Vec::new();
    }
    let moved = all.accuracies.iter().filter(|a| (a.new - a.base).abs() > all.gate.accuracy);
    let finding = |a: &federations::Accuracy| {
        let metric = a.metric.replace('_', " ");
        let subject = Subject::Federation(a.cell.clone());
        let tested = all.effects.iter().find(|e| e.subject == subject && e.metric == metric);
        let (weight, why) = match tested {
            None => (
                untested(all),
                "not tested, since the records do not say on how many examples".to_owned(),
            ),
            Some(e) if adverse(e) && e.judgement == Judgement::Untested => {
                (untested(all), format!("too few test examples, {}", all.told(e)))
            }
            Some(e)
                if e.judgement == Judgement::NotSignificant
                    || e.judgement == Judgement::Untested =>
            {
                (Weight::Warning, format!("no surer than chance, {}", all.told(e)))
            }
            // Told as a tested effect.
            Some(_) => return None,
        };
        let adverse = a.new < a.base;
        let text = format!("{metric} {:.3} → {:.3}; {why}", a.base, a.new);
        let weight = if adverse { weight } else { Weight::Change };
        Some(Finding {
            weight,
            kind: Kind::Federation,
            adverse,
            subject: all.subject(&subject),
            text,
        })
    };
    moved.filter_map(finding).collect()
}

fn cells(
    all: &Comparison,
    (base, new): (&Side, &Side),
    pairs: &[Pair],
    lost: Weight,
) -> Vec<Finding> {
    let finding = |pair: &Pair| {
        let (was, is) = (&base.records[pair.base], &new.records[pair.new]);
        let (weight, kind, text) = match pair.state {
            State::NewlyFailed => (Weight::Failure, Kind::Failed, ended(is)),
            State::StillFailed => {
                (Weight::Warning, Kind::Failed, format!("{}; so it did before", ended(is)))
            }
            State::Recovered => (
                Weight::Change,
                Kind::Recovered,
                format!("{}; before, it {}", ended(is), ended(was)),
            ),
            State::NoLongerApplies => (lost, Kind::Vanished, ended(is)),
            State::NowApplies => (Weight::Change, Kind::Appeared, "applies now".into()),
            State::OtherImages => (
                lost,
                Kind::OtherImages,
                "other images were attacked; its scores are not paired".into(),
            ),
            _ => return None,
        };
        let subject = format!("cell {}", all.labels.cell(is.id.as_str()));
        let adverse = weight < Weight::Change && pair.state != State::StillFailed;
        Some(Finding { weight, kind, adverse, subject, text })
    };
    pairs.iter().filter_map(finding).collect()
}

/// Cells whose threat model reads otherwise, in one line: a change of wording touches all of them.
fn threats(all: &Comparison, (base, new): (&Side, &Side), pairs: &[Pair]) -> Option<Finding> {
    let other = |p: &&Pair| base.records[p.base].threat != new.records[p.new].threat;
    let cells: Vec<&Pair> = pairs.iter().filter(other).collect();
    let first = &new.records[cells.first()?.new];
    (all.pairing == Pairing::SameSeed).then(|| Finding {
        weight: Weight::Change,
        kind: Kind::Threat,
        adverse: false,
        subject: format!("{} cells", cells.len()),
        text: format!(
            "the threat model reads otherwise, first of cell {}: {}",
            all.labels.cell(first.id.as_str()),
            first.threat
        ),
    })
}

fn ended(record: &CellRecord) -> String {
    match &record.outcome {
        Outcome::Done => "is done".into(),
        Outcome::Failed { stage, message } => format!("failed in {stage}: {}", one_line(message)),
        Outcome::NotApplicable { why } => format!("does not apply: {}", one_line(why)),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Metrics with values in the base that are missing, or no numbers, now.
fn metrics_lost(pairs: &[Pair], measures: &[Measure], lost: Weight) -> Vec<Finding> {
    let finding = |(at, measure): (usize, &Measure)| {
        let count = |p: &Pair| p.lost.get(at).copied().unwrap_or(0);
        let (values, cells) =
            pairs.iter().fold((0, 0), |(v, c), p| (v + count(p), c + usize::from(count(p) > 0)));
        (values > 0).then(|| Finding {
            weight: if measure.tolerance.is_some() { lost } else { Weight::Warning },
            kind: Kind::MetricLost,
            adverse: true,
            subject: measure.title.clone(),
            text: format!(
                "had {values} values in {cells} cells that are missing or no numbers now"
            ),
        })
    };
    measures.iter().enumerate().filter(|(_, m)| m.raw()).filter_map(finding).collect()
}

fn accuracies_lost((base, new): (&Side, &Side), pairs: &[Pair], weight: Weight) -> Option<Finding> {
    let cells = federations::accuracies_lost(base, new, pairs);
    let text =
        format!("{cells} cells had one and have none now, as after a training that diverged");
    let subject = "task accuracy".into();
    (cells > 0).then_some(Finding { weight, kind: Kind::MetricLost, adverse: true, subject, text })
}

fn unmatched(
    all: &Comparison,
    (base, new): (&Side, &Side),
    matched: &Matched,
    lost: Weight,
) -> Vec<Finding> {
    let name = |record: &CellRecord| format!("cell {}", all.labels.cell(record.id.as_str()));
    let gone = matched.vanished.iter().map(|at| Finding {
        weight: lost,
        kind: Kind::Vanished,
        adverse: true,
        subject: name(&base.records[*at]),
        text: "vanished: the new run has no such cell".into(),
    });
    let come = matched.appeared.iter().map(|at| {
        let record = &new.records[*at];
        let failed = matches!(record.outcome, Outcome::Failed { .. });
        Finding {
            weight: if failed { Weight::Failure } else { Weight::Change },
            kind: if failed { Kind::Failed } else { Kind::Appeared },
            adverse: failed,
            subject: name(record),
            text: format!("appeared; it {}", ended(record)),
        }
    });
    // A suite that says it is another may hold other cells; one that does not must not.
    let (was, is) = (&base.info.suite, &new.info.suite);
    let same = (&was.name, &was.version) == (&is.name, &is.version);
    let unsaid = if same { "; the suite's version is the same" } else { "" };
    let altered = if same { lost } else { Weight::Change };
    let changed = matched.changed.iter().map(|c| {
        let record = &new.records[c.new];
        let settings: Vec<String> =
            c.settings.iter().map(|(p, was, is)| format!("{p} {was} → {is}")).collect();
        let failed = matches!(record.outcome, Outcome::Failed { .. });
        Finding {
            // What fails is a failure at least.
            weight: if failed { altered.min(Weight::Failure) } else { altered },
            kind: if failed { Kind::Failed } else { Kind::SpecChanged },
            adverse: failed || same,
            subject: name(record),
            text: format!(
                "spec changed: {}; not compared{unsaid}; it {}",
                settings.join(", "),
                ended(record)
            ),
        }
    });
    gone.chain(come).chain(changed).collect()
}
