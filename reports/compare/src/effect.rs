//! One difference between two runs with its interval and its test, and what it amounts to.

use record::stats::{Interval, Resamples, SignedRank, mean, sign_test, sorted, wilcoxon};
use serde::Serialize;

/// What a difference is a difference of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "kebab-case")]
pub enum Subject {
    /// An attack, over its undefended cells.
    Attack(String),
    /// An attack, over its defended cells, against the other attacks on the same defenses.
    AttackBehind(String),
    /// A defense, against the undefended twins of its cells.
    Defense(String),
    /// A defense over cells that have no undefended twin.
    DefenseAlone(String),
    /// Task accuracy over distinct federations.
    Accuracy,
    /// Task accuracy of one federation, by the id of a cell that has it.
    Federation(String),
    /// Seconds, by cell or in total.
    Speed,
    /// Another cost of a cell, by name.
    Cost(String),
    /// A single cell, by id (across seeds: of the spec at seed 0).
    Cell(String),
}

/// The family of tests that a test is corrected in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Attacks, defenses, accuracy and speed: half of the gate's `alpha`.
    Pooled,
    /// Single cells: the other half.
    Cells,
    /// Metrics and costs that raise no alarm; corrected among themselves at `alpha`.
    Described,
}

/// What an effect amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// No tolerance is set for it.
    Described,
    /// Within the tolerance.
    Within,
    /// Beyond the tolerance, and no surer than chance.
    NotSignificant,
    /// Beyond the tolerance, with too few units that moved for any test.
    Untested,
    /// Sure, but its mean and its ranks point in opposite directions.
    Mixed,
    /// The attack reconstructs less without any defense.
    AttackWeaker,
    /// The attack reconstructs more without any defense.
    AttackStronger,
    /// More is reconstructed through the defense.
    DefenseWeaker,
    /// Less is reconstructed through the defense.
    DefenseStronger,
    /// Less is reconstructed, and no undefended twin tells whether attack or defense changed.
    Unclear,
    /// Task accuracy fell.
    AccuracyDown,
    /// Task accuracy rose.
    AccuracyUp,
    /// Cells take longer.
    Slower,
    /// Cells take less time.
    Faster,
}

impl Judgement {
    /// Whether it is bad news for whoever keeps the benchmark.
    pub fn regression(self) -> bool {
        use Judgement::{AccuracyDown, AttackWeaker, DefenseWeaker, Slower};
        matches!(self, AttackWeaker | DefenseWeaker | AccuracyDown | Slower)
    }

    /// In words, after the subject's name.
    pub fn words(self) -> &'static str {
        match self {
            Judgement::Described => "described",
            Judgement::Within => "within tolerance",
            Judgement::NotSignificant => "not significant",
            Judgement::Untested => "beyond tolerance, too few units to test",
            Judgement::Mixed => "moved both ways",
            Judgement::AttackWeaker => "attack weaker",
            Judgement::AttackStronger => "attack stronger",
            Judgement::DefenseWeaker => "defense weaker",
            Judgement::DefenseStronger => "defense stronger",
            Judgement::Unclear => "less reconstructed, attack weaker or defense stronger",
            Judgement::AccuracyDown => "accuracy down",
            Judgement::AccuracyUp => "accuracy up",
            Judgement::Slower => "slower",
            Judgement::Faster => "faster",
        }
    }
}

/// A difference, new minus base, over independent units.
#[derive(Clone, Debug, Serialize)]
pub struct Effect {
    /// Of what.
    pub subject: Subject,
    /// In which quantity.
    pub metric: String,
    /// Cells behind it.
    pub cells: usize,
    /// Pairs of values behind it.
    pub pairs: usize,
    /// Pairs left out because a side has no number.
    pub unpaired: usize,
    /// Independent units: what shares an image or a reconstruction is one (across seeds: what
    /// shares a seed).
    pub units: usize,
    /// Units that moved at all; the test is over these.
    pub moved: usize,
    /// Mean of the base over the units; of a ratio, its geometric mean.
    pub base: f64,
    /// Mean of the new run.
    pub new: f64,
    /// `new - base`; for speed and costs the ratio `new / base` of geometric means.
    pub change: f64,
    /// For a defense: the change beside that of the undefended twins (difference in differences);
    /// for an attack behind defenses: beside that of the other attacks.
    pub beside_twins: Option<f64>,
    /// Bootstrap interval, at 95 %, of `beside_twins` where there is one, else of `change`; `None`
    /// below [`LEAST_UNITS`](record::stats::LEAST_UNITS) units.
    pub ci: Option<Interval>,
    /// Which exact test.
    pub test: &'static str,
    /// Its two-sided p-value; for a defense the larger of the two tests'.
    pub p: f64,
    /// The smallest that it could have been with so many units moved.
    pub smallest_p: f64,
    /// Holm's correction of `p` in `family`; `None` where `smallest_p` keeps it from ever being
    /// significant there.
    pub p_adjusted: Option<f64>,
    /// The family it is corrected in.
    pub family: Family,
    /// How far the mean may move (of speed: the ratio); `None` where it raises no alarm.
    pub tolerance: Option<f64>,
    /// What it amounts to.
    pub judgement: Judgement,
    /// What it would be called were it sure and beyond its tolerance, also where it has none.
    pub points_to: Judgement,
    /// The change with its interval, as tables show it.
    pub shown: String,
    /// Whether more of the quantity is more for the attack; `None` where nobody said.
    #[serde(skip)]
    pub(crate) higher: Option<bool>,
    /// The signs of the mean and of the ranks agree.
    #[serde(skip)]
    pub(crate) agrees: bool,
}

/// What a quantity's differences may be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scale {
    /// Differences of less than this are rounding: they rank as zero.
    pub floor: f64,
    /// Every value is a yes or a no.
    pub binary: bool,
}

/// Differences by unit, tested.
pub(crate) struct Tested {
    pub mean: f64,
    pub ci: Option<Interval>,
    /// The differences, ascending, where they are too few for an interval; else empty.
    pub few: Vec<f64>,
    pub test: &'static str,
    pub p: f64,
    pub smallest_p: f64,
    pub moved: usize,
    pub agrees: bool,
}

impl Tested {
    /// The interval, or the differences in its place, after a blank; nothing of a single one.
    pub fn spread(&self, show: impl Fn(f64) -> String) -> String {
        match &self.ci {
            Some(ci) => format!(" [{}, {}]", show(ci.low), show(ci.high)),
            None if self.few.len() > 1 => {
                let all: Vec<String> = self.few.iter().map(|v| show(*v)).collect();
                format!(" {{{}}}", all.join(", "))
            }
            None => String::new(),
        }
    }
}

/// Tests independent units, with the resamples that all tests share.
#[derive(Default)]
pub(crate) struct Bench(Resamples);

impl Bench {
    /// Tests the differences of independent units; `None` without any.
    ///
    /// Mean and interval are those of all differences. What counts as zero is told by sizes and not
    /// by signs, so that the test stays exact.
    pub fn test(&mut self, differences: &[f64], scale: Scale) -> Option<Tested> {
        let centre = mean(differences)?;
        let ci = self.0.interval(differences);
        let moved: Vec<f64> =
            differences.iter().copied().filter(|d| d.abs() >= scale.floor).collect();
        let ranks = wilcoxon(&moved);
        let binary = scale.binary && moved.iter().all(|d| *d == 0.0 || d.abs() == 1.0);
        Some(Tested {
            mean: centre,
            ci,
            few: if ci.is_none() { sorted(differences) } else { Vec::new() },
            test: if binary { "exact McNemar" } else { "Wilcoxon signed-rank" },
            p: p_value(&ranks, binary, &moved),
            smallest_p: SignedRank::smallest_p(ranks.n),
            moved: ranks.n,
            agrees: (ranks.plus - ranks.minus) * centre > 0.0,
        })
    }
}

/// Of outcomes that are yes or no, the sign test through the binomial distribution; it is what the
/// signed ranks come to when all are tied.
fn p_value(ranks: &SignedRank, binary: bool, differences: &[f64]) -> f64 {
    let plus = differences.iter().filter(|d| **d > 0.0).count();
    if binary { sign_test(plus, ranks.n - plus) } else { ranks.p }
}

impl Effect {
    /// Whether the test could have come out, and did, at `alpha` within its family.
    pub(crate) fn significant(&self, alpha: f64) -> bool {
        self.p_adjusted.is_some_and(|p| p <= alpha)
    }

    /// How far it moved for the purpose of the tolerance: the lesser of the plain change and that
    /// beside the twins, and nothing where the two point in opposite directions.
    pub(crate) fn size(&self) -> f64 {
        match self.beside_twins {
            None => self.change,
            Some(beside) if beside * self.change <= 0.0 => 0.0,
            Some(beside) if beside.abs() < self.change.abs() => beside,
            Some(_) => self.change,
        }
    }

    /// Whether it moved beyond its tolerance.
    pub(crate) fn beyond(&self) -> bool {
        let Some(tolerance) = self.tolerance else { return false };
        match self.subject {
            Subject::Speed => self.change > tolerance || self.change < 1.0 / tolerance,
            _ => self.size().abs() > tolerance,
        }
    }

    /// How many tolerances it moved by; infinite where none is granted.
    pub(crate) fn excess(&self) -> f64 {
        self.tolerance.map_or(0.0, |tolerance| self.size().abs() / tolerance)
    }
}
