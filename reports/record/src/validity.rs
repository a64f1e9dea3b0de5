//! Whether a defended cell says anything: only where an attack beats, without the defense, what an
//! attacker gets who has seen nothing.
//!
//! An attack that fails undefended fails behind any defense, and behind none; its failure is no
//! merit of the defense (Carlini et al., 2019, on evaluating defenses against attacks that do not
//! work to begin with).

use crate::aggregate::usable;
use crate::axes::acting;
use crate::run::Run;
use crate::stats::{CONFIDENCE, LEAST_UNITS, bootstrap, clusters, mean};
use crate::units::Units;
use crate::{CellRecord, MetricInfo, Metrics, Outcome};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use suites::{CellSpec, Vantage, rng};

/// Null baselines whose author knows the truth: reference lines, and nothing that an attack must
/// beat. Every other null baseline needs no truth.
pub const ORACLES: [&str; 1] = ["nearest"];

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
    /// No cell of the run differs in having no defense.
    NoTwin,
}

impl Validity {
    /// Whether the attack beats the floor.
    pub fn measurable(&self) -> bool {
        matches!(self, Validity::Measurable { .. })
    }

    /// Whether it is known that it does not.
    pub fn fails(&self) -> bool {
        matches!(self, Validity::NotMeasurable { .. })
    }

    /// What stands in the place of a result, or beside it; `None` where the result counts.
    pub fn doubt(&self) -> Option<String> {
        match self {
            Validity::Measurable { .. } => None,
            Validity::NotMeasurable { why, .. } => Some(format!("not measurable: {why}")),
            Validity::NoTwin => Some("no undefended twin was run: validity unknown".into()),
        }
    }

    /// As a column of an export: `yes`, or `no` or `unknown` with the reason behind a colon.
    pub fn column(&self) -> String {
        match self {
            Validity::Measurable { .. } => "yes".into(),
            Validity::NotMeasurable { why, .. } => format!("no: {why}"),
            Validity::NoTwin => "unknown: no undefended twin was run".into(),
        }
    }
}

/// The validity of every cell, in the order of `records`: of a defended one that of its strongest
/// undefended twin, of an undefended one its own. Cells that differ in the seed alone are
/// repetitions, and judged together.
pub fn judge(records: &[CellRecord], metrics: &Metrics) -> Vec<Validity> {
    let psnr = metrics.get("psnr");
    let keys: Vec<Key> = records.iter().map(Key::new).collect();
    let mut plain: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, key) in keys.iter().enumerate().filter(|(_, k)| !k.defended && k.attacked) {
        plain.entry(&key.mechanism).or_default().push(at);
    }
    let mut known: HashMap<String, Validity> = HashMap::new();
    let mut one = |at: usize| {
        let here = plain.get(keys[at].mechanism.as_str()).map_or(&[][..], Vec::as_slice);
        let twins = keys[at].twins(&keys, here);
        let names = format!("{} {twins:?}", keys[at].defended);
        let judged = || strongest(&psnr, &by_attack(records, &twins), keys[at].defended);
        known.entry(names).or_insert_with(judged).clone()
    };
    (0..records.len()).map(&mut one).collect()
}

/// What pairs a cell with its undefended twins.
struct Key {
    /// The world at any seed, and the facts.
    mechanism: String,
    attack: String,
    vantage: Vantage,
    defended: bool,
    attacked: bool,
}

impl Key {
    fn new(record: &CellRecord) -> Self {
        let spec = &record.spec;
        let mut facts = spec.facts.clone();
        facts.sort_unstable();
        let seedless = CellSpec { seed: 0, ..spec.clone() };
        Key {
            mechanism: format!("{} {facts:?}", seedless.world_key()),
            attack: seedless.attack_key(),
            vantage: spec.vantage,
            defended: acting(spec).next().is_some(),
            attacked: !matches!(record.outcome, Outcome::NotApplicable { .. }),
        }
    }

    /// The undefended cells among `plain` that the cell is held against.
    ///
    /// In the plain every vantage that sees anything sees the same but for the colluders' own
    /// share, so that a twin at another vantage will do where none is at the same one.
    fn twins(&self, keys: &[Key], plain: &[usize]) -> Vec<usize> {
        let own = |at: &&usize| self.defended || keys[**at].attack == self.attack;
        let here = |at: &&usize| keys[**at].vantage == self.vantage;
        let same: Vec<usize> = plain.iter().filter(own).filter(here).copied().collect();
        if !same.is_empty() {
            return same;
        }
        let colludes = |key: &Key| matches!(key.vantage, Vantage::Colluding { .. });
        let loose = |at: &&usize| !colludes(self) && !colludes(&keys[**at]);
        plain.iter().filter(own).filter(loose).copied().collect()
    }
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
        let why = "the run does not say that more PSNR is a better attack".into();
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
                        (own.push(a), theirs.push(b));
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

/// What a run comes to as far as its defended cells can be measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Defended cells that were attacked.
    pub defended: usize,
    /// Of these, those whose undefended twin beats the floor.
    pub measurable: usize,
    /// Of these, those without an undefended twin.
    pub without_twin: usize,
    /// Undefended cells that were attacked.
    pub undefended: usize,
    /// Of these, those that beat the floor.
    pub beating: usize,
}

/// Counts the attacked cells of a run by what they say.
pub fn verdict(run: &Run) -> Verdict {
    let mut out = Verdict::default();
    for at in run.attacked() {
        let validity = &run.validity[at];
        if run.defended(at) {
            out.defended += 1;
            out.measurable += usize::from(validity.measurable());
            out.without_twin += usize::from(*validity == Validity::NoTwin);
        } else {
            out.undefended += 1;
            out.beating += usize::from(validity.measurable());
        }
    }
    out
}

impl Verdict {
    /// The sentence that a report begins with; `None` where every cell counts.
    pub fn sentence(&self) -> Option<String> {
        const FLOOR: &str = "what an attacker gets who has seen nothing";
        let Verdict { defended, measurable, without_twin, .. } = *self;
        if self.undefended > 0 && self.beating == 0 {
            let follows = if defended > 0 { ": nothing follows about these defenses" } else { "" };
            return Some(format!("No attack beat the floor, {FLOOR}{follows}."));
        }
        if measurable == defended {
            return None;
        }
        if without_twin == defended {
            return Some(
                "No undefended twin was run: the validity of these defended cells is \
                unknown."
                    .into(),
            );
        }
        let failing = defended - measurable - without_twin;
        let mut parts = Vec::new();
        if failing > 0 {
            parts.push(format!(
                "{failing} not measurable, for no attack surely beat the floor \
                ({FLOOR}) without the defense"
            ));
        }
        if without_twin > 0 {
            parts.push(format!("{without_twin} without an undefended twin"));
        }
        Some(format!(
            "Of {defended} defended cells {measurable} can be judged; {}.",
            parts.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{info, record};
    use suites::{Fact, Named};

    /// A cell; the floor of synthetic records is `mean` at 11.5 dB, `nearest` has 13.
    fn cell(attack: &str, seed: u64, psnrs: &[f64]) -> CellRecord {
        record(attack, seed, psnrs)
    }

    fn behind(mut own: CellRecord, defense: &str) -> CellRecord {
        own.spec.defenses = vec![Named::new(defense)];
        own.id = own.spec.id();
        own
    }

    fn judged(records: &[CellRecord]) -> Vec<Validity> {
        judge(records, &Metrics::from_run(&info("")))
    }

    #[test]
    fn the_floor_is_no_oracle() {
        // 12 dB are above the mean image, and below the nearest one, which needs the truth.
        let found = judged(&[cell("a", 0, &[12.0; 3]), behind(cell("a", 0, &[8.0; 3]), "prune")]);
        assert_eq!(found[0], Validity::Measurable { margin: 0.5, n: 3 });
        assert_eq!(found[1], found[0]);
    }

    #[test]
    fn an_attack_that_fails_undefended_measures_nothing() {
        let found = judged(&[cell("a", 0, &[9.0; 3]), behind(cell("a", 0, &[8.0; 3]), "prune")]);
        assert_eq!(
            found[1].doubt().unwrap(),
            "not measurable: the attack fails undefended (9.00 dB against 11.50 of the floor, \
             null: mean, n = 3)"
        );
        assert!(found[0].column().starts_with("no: the attack fails (9.00 dB"));
    }

    #[test]
    fn few_images_must_all_beat_it() {
        let found = judged(&[cell("a", 0, &[40.0, 40.0, 11.0])]);
        assert!(found[0].doubt().unwrap().contains("no attack surely beats the floor"));
        // From eight images on the interval must.
        let nearly = [40.0, 40.0, 38.0, 39.0, 41.0, 37.0, 42.0, 11.0];
        assert!(judged(&[cell("a", 0, &nearly)])[0].measurable());
        let mixed = [40.0, 8.0, 9.0, 8.0, 9.0, 8.0, 9.0, 8.0];
        assert!(judged(&[cell("a", 0, &mixed)])[0].fails());
    }

    #[test]
    fn the_strongest_attack_decides_and_seeds_are_together() {
        let all = [
            cell("a", 0, &[9.0; 4]),
            cell("b", 0, &[20.0; 4]),
            cell("b", 1, &[22.0; 4]),
            behind(cell("a", 0, &[8.0; 4]), "prune"),
            behind(cell("a", 2, &[8.0; 4]), "prune"),
        ];
        let found = judged(&all);
        assert!(found[0].fails() && found[1].measurable());
        // Four images, whatever number of seeds attacked them.
        assert_eq!(found[3], Validity::Measurable { margin: 9.5, n: 4 });
        assert_eq!(found[4], found[3]);
    }

    #[test]
    fn what_no_undefended_cell_shares_has_no_twin() {
        let mut told = behind(cell("a", 0, &[30.0; 3]), "prune");
        told.spec.facts = vec![Fact::Labels];
        told.id = told.spec.id();
        let found = judged(&[cell("a", 0, &[30.0; 3]), told]);
        assert_eq!(found[1], Validity::NoTwin);
        assert!(found[1].doubt().unwrap().contains("validity unknown"));
        // Without a null baseline there is no floor to beat.
        let mut bare = cell("a", 0, &[30.0; 3]);
        bare.baselines.retain(|null, _| is_oracle(null));
        assert!(judged(&[bare])[0].fails());
    }

    #[test]
    fn the_verdict_says_what_follows() {
        let run = |psnr: f64| {
            let cells = vec![cell("a", 0, &[psnr; 3]), behind(cell("a", 0, &[8.0; 3]), "prune")];
            verdict(&Run::new("".into(), info(""), cells))
        };
        let said = run(9.0).sentence().unwrap();
        assert!(said.starts_with("No attack beat the floor"), "{said}");
        assert!(said.ends_with("nothing follows about these defenses."), "{said}");
        assert_eq!(run(30.0).sentence(), None);
        let some =
            Verdict { defended: 5, measurable: 2, without_twin: 1, undefended: 2, beating: 1 };
        let said = some.sentence().unwrap();
        assert!(
            said.contains("Of 5 defended cells 2") && said.contains("2 not measurable"),
            "{said}"
        );
    }
}
