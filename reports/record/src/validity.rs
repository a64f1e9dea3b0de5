//! Whether a defended cell says anything: only where an attack beats, without the defense, what an
//! attacker gets who has seen nothing.
//!
//! An attack that fails undefended fails behind any defense, and behind none; its failure is no
//! merit of the defense (Carlini et al., 2019, on evaluating defenses against attacks that do not
//! work to begin with).

use crate::aggregate::usable;
use crate::axes::acting;
use crate::stats::{CONFIDENCE, LEAST_UNITS, bootstrap, clusters, mean, wilson};
use crate::units::Units;
use crate::{CellRecord, MetricInfo, Metrics, Outcome};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use suites::{CellSpec, Fact, Vantage, rng};

mod verdict;

pub use verdict::{Verdict, verdict};

/// What attacks without pictures are judged by: the share of a batch's labels that was told.
const LABELS: &str = "label_multiset";

/// Null baselines whose author knows the truth: reference lines, and nothing that an attack must
/// beat. Every other null baseline needs no truth.
pub const ORACLES: [&str; 1] = ["nearest"];

/// What the adversary of a cell knows, in the order of facts: cells are told apart by them, however
/// they were listed.
pub fn facts(spec: &CellSpec) -> Vec<Fact> {
    let mut facts = spec.facts.clone();
    facts.sort_unstable();
    facts
}

/// Whether an undefended cell at one vantage may stand for one at the other: in the plain every
/// vantage that sees anything sees the same but for the colluders' own share.
pub fn see_alike(a: Vantage, b: Vantage) -> bool {
    let colludes = |v: Vantage| matches!(v, Vantage::Colluding { .. });
    a == b || (!colludes(a) && !colludes(b))
}

/// Whether the author of a null baseline knows the truth.
pub fn is_oracle(null: &str) -> bool {
    ORACLES.contains(&null)
}

/// A null baseline as reports call it; of an oracle they say that it is one.
pub fn null_title(null: &str) -> String {
    if is_oracle(null) {
        format!("oracle: {null} (needs the truth)")
    } else {
        format!("null: {null}")
    }
}

/// What a cell says of its defenses.
#[derive(Clone, Debug, PartialEq)]
pub enum Validity {
    /// The attack beats the floor without the defense.
    Measurable {
        /// By how much, in dB: the mean over images of its PSNR less that of the strongest null
        /// baseline that needs no truth.
        margin: f64,
        /// Independent units behind the mean.
        n: usize,
    },
    /// It does not, or not surely.
    NotMeasurable {
        /// In words that follow "not measurable: ".
        why: String,
        /// Independent units behind that.
        n: usize,
    },
    /// Rounds came before the capture, and the undefended model has not learnt by then: no row
    /// about a trained one.
    Untrained {
        /// In words that follow "not measurable: ".
        why: String,
    },
    /// No cell of the run differs in having no defense.
    NoTwin,
}

impl Validity {
    /// Whether the attack beats the floor.
    pub fn measurable(&self) -> bool {
        matches!(self, Validity::Measurable { .. })
    }

    /// Whether it is known that it does not, or that the model is none that was asked for.
    pub fn fails(&self) -> bool {
        matches!(self, Validity::NotMeasurable { .. }) || self.untrained()
    }

    /// Whether the attacked model should have learnt, and has not.
    pub fn untrained(&self) -> bool {
        matches!(self, Validity::Untrained { .. })
    }

    /// What stands in the place of a result, or beside it; `None` where the result counts.
    pub fn doubt(&self) -> Option<String> {
        match self {
            Validity::Measurable { .. } => None,
            Validity::NotMeasurable { why, .. } | Validity::Untrained { why } => {
                Some(format!("not measurable: {why}"))
            }
            Validity::NoTwin => Some("no undefended twin was run: validity unknown".into()),
        }
    }

    /// As a column of an export: `yes`, or `no` or `unknown` with the reason behind a colon.
    pub fn column(&self) -> String {
        match self {
            Validity::Measurable { .. } => "yes".into(),
            Validity::NotMeasurable { why, .. } | Validity::Untrained { why } => {
                format!("no: {why}")
            }
            Validity::NoTwin => "unknown: no undefended twin was run".into(),
        }
    }
}

/// The validity of every cell, in the order of `records`: of a defended one that of its strongest
/// undefended twin, of an undefended one its own. Cells that differ in the seed alone are
/// repetitions, and judged together.
pub fn judge(records: &[CellRecord], metrics: &Metrics) -> Vec<Validity> {
    let (psnr, labels) = (metrics.get("psnr"), metrics.get(LABELS));
    let keys: Vec<Key> = records.iter().map(Key::new).collect();
    let mut plain: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, key) in keys.iter().enumerate().filter(|(_, k)| !k.defended && k.attacked) {
        plain.entry(&key.mechanism).or_default().push(at);
    }
    let mut known: HashMap<String, Validity> = HashMap::new();
    let mut one = |at: usize| {
        let here = plain.get(keys[at].mechanism.as_str()).map_or(&[][..], Vec::as_slice);
        let (twins, raw): (Vec<usize>, Vec<usize>) =
            keys[at].twins(&keys, here).into_iter().partition(|&t| unlearnt(&records[t]).is_none());
        // Seeds are trainings: a row stands beside the model of its own.
        let own = raw.iter().find(|t| records[**t].spec.seed == records[at].spec.seed);
        let none = raw.first().filter(|_| twins.is_empty());
        if let Some(why) = own.or(none).and_then(|t| unlearnt(&records[*t])) {
            return Validity::Untrained { why };
        }
        let names = format!("{} {twins:?}", keys[at].defended);
        let metric = if keys[at].labels_alone { &labels } else { &psnr };
        let judged = || strongest(metric, &by_attack(records, &twins), keys[at].defended);
        known.entry(names).or_insert_with(judged).clone()
    };
    (0..records.len()).map(&mut one).collect()
}

/// Why the attacked model counts as untrained, where rounds came before its capture: its accuracy
/// is not surely (by Wilson's interval) above that of always naming the most frequent class.
fn unlearnt(record: &CellRecord) -> Option<String> {
    if record.spec.capture.round == 0 {
        return None;
    }
    let value = |name: &str| record.task.get(name).copied();
    let (accuracy, majority) = (value("accuracy")?, value("majority")?);
    let examples = value("test_examples")? as usize;
    let right = (accuracy * examples as f64).round() as usize;
    let sure = wilson(right.min(examples), examples).and_then(|rate| rate.ci);
    if sure.is_some_and(|ci| ci.low > majority) {
        return None;
    }
    Some(format!(
        "the attacked model has not learnt by round {} (accuracy {accuracy:.3} on {examples} test \
         examples, {majority:.3} without a model)",
        record.spec.capture.round
    ))
}

/// What pairs a cell with its undefended twins.
struct Key {
    /// The world at any seed, and the facts.
    mechanism: String,
    attack: String,
    vantage: Vantage,
    defended: bool,
    attacked: bool,
    /// It told labels and drew no picture: such cells are held against each other alone.
    labels_alone: bool,
}

impl Key {
    fn new(record: &CellRecord) -> Self {
        let spec = &record.spec;
        let facts = facts(spec);
        let seedless = CellSpec { seed: 0, ..spec.clone() };
        Key {
            mechanism: format!("{} {facts:?}", seedless.world_key()),
            attack: seedless.attack_key(),
            vantage: spec.vantage,
            defended: acting(spec).next().is_some(),
            attacked: !matches!(record.outcome, Outcome::NotApplicable { .. }),
            labels_alone: labels_alone(record),
        }
    }

    /// The undefended cells among `plain` that the cell is held against: those at its vantage, else
    /// those at one that sees the same.
    fn twins(&self, keys: &[Key], plain: &[usize]) -> Vec<usize> {
        let alike = |at: &usize| keys[*at].labels_alone == self.labels_alone;
        let plain: Vec<usize> = plain.iter().copied().filter(alike).collect();
        let own = |at: &&usize| self.defended || keys[**at].attack == self.attack;
        let here = |at: &&usize| keys[**at].vantage == self.vantage;
        let same: Vec<usize> = plain.iter().filter(own).filter(here).copied().collect();
        if !same.is_empty() {
            return same;
        }
        let alike = |at: &&usize| see_alike(keys[**at].vantage, self.vantage);
        plain.iter().filter(own).filter(alike).copied().collect()
    }
}

/// Whether the attack told labels and drew no picture.
fn labels_alone(record: &CellRecord) -> bool {
    let has =
        |name: &str| record.images.iter().any(|i| i.scores.get(name).is_some_and(Option::is_some));
    has(LABELS) && !has("psnr")
}

/// Cells by attack, seeds together, in the order of the records.
fn by_attack<'a>(records: &'a [CellRecord], cells: &[usize]) -> Vec<Vec<&'a CellRecord>> {
    let mut out: BTreeMap<String, Vec<&CellRecord>> = BTreeMap::new();
    for at in cells {
        let record = &records[*at];
        out.entry(format!("{:?}", record.spec.attack)).or_default().push(record);
    }
    out.into_values().collect()
}

/// The validity by the attack with the largest margin: chosen for that among k attacks, it must
/// beat the floor at 1 - 0.05/k (Bonferroni).
fn strongest(psnr: &MetricInfo, attacks: &[Vec<&CellRecord>], defended: bool) -> Validity {
    if attacks.is_empty() {
        return Validity::NoTwin;
    }
    if psnr.higher_is_better != Some(true) {
        let why = format!("the run does not say that more {} is a better attack", psnr.title);
        return Validity::NotMeasurable { why, n: 0 };
    }
    let found = attacks.iter().filter_map(|cells| Duel::new(psnr, cells));
    let Some(duel) = found.reduce(|a, b| if b.margin() > a.margin() { b } else { a }) else {
        let why = "no undefended attack has a score beside a null baseline that needs no truth";
        return Validity::NotMeasurable { why: why.into(), n: 0 };
    };
    duel.judged(1.0 - (1.0 - CONFIDENCE) / attacks.len() as f64, psnr, defended)
}

/// An attack against the strongest null baseline that needs no truth, image by image.
struct Duel {
    null: String,
    attack: f64,
    floor: f64,
    /// The differences of the PSNR, each with its unit.
    pairs: Vec<(usize, f64)>,
    stream: String,
}

impl Duel {
    /// `None` where no image has a score on both sides.
    fn new(psnr: &MetricInfo, cells: &[&CellRecord]) -> Option<Self> {
        let names: BTreeSet<&String> = cells.iter().flat_map(|c| c.baselines.keys()).collect();
        let mut units = Units::of_cells(cells.iter().copied());
        let mut against = |null: &String| {
            let (mut own, mut theirs, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
            for cell in cells {
                for (at, image) in cell.images.iter().enumerate() {
                    let scores = cell.baselines.get(null).and_then(|rows| rows.get(at));
                    let both = (usable(&image.scores, psnr), scores.and_then(|s| usable(s, psnr)));
                    if let (Some(a), Some(b)) = both {
                        pairs.push((units.unit(cell, at).unwrap_or_default(), a - b));
                        own.push(a);
                        theirs.push(b);
                    }
                }
            }
            let stream = cells.first()?.id.to_string();
            Some(Duel {
                null: null.clone(),
                attack: mean(&own)?,
                floor: mean(&theirs)?,
                pairs,
                stream,
            })
        };
        let duels = names.into_iter().filter(|n| !is_oracle(n)).filter_map(&mut against);
        duels.reduce(|a, b| if b.floor > a.floor { b } else { a })
    }

    fn margin(&self) -> f64 {
        self.attack - self.floor
    }

    /// From [`LEAST_UNITS`] units on, the interval of the mean difference must lie above 0; of
    /// fewer every pair must.
    fn judged(&self, confidence: f64, psnr: &MetricInfo, defended: bool) -> Validity {
        let clusters = clusters(&self.pairs);
        let (n, margin) = (clusters.len(), self.margin());
        let sure = if n < LEAST_UNITS {
            self.pairs.iter().all(|(_, d)| *d > 0.0)
        } else {
            let mut stream = rng::stream(0, &self.stream, "validity");
            bootstrap(&clusters, confidence, &mut stream).is_some_and(|ci| ci.low > 0.0)
        };
        if margin > 0.0 && sure {
            return Validity::Measurable { margin, n };
        }
        let what = match (margin > 0.0, defended) {
            (true, _) => "no attack surely beats the floor undefended",
            (false, true) => "the attack fails undefended",
            (false, false) => "the attack fails",
        };
        let [own, floor] = [self.attack, self.floor].map(|v| psnr.show(v));
        let unit = if psnr.unit.is_empty() { String::new() } else { format!(" {}", psnr.unit) };
        let null = &self.null;
        let why =
            format!("{what} ({own}{unit} against {floor} of the floor, null: {null}, n = {n})");
        Validity::NotMeasurable { why, n }
    }
}

#[cfg(test)]
mod tests;
