//! Two records of one cell, image by image.

use crate::matching::seedless;
use crate::measure::Measure;
use crate::{Pairing, Side};
use record::axes::acting;
use record::stats::mean;
use record::validity::{facts, see_alike};
use record::{CellRecord, ImageScore, Outcome};
use std::collections::HashMap;

/// How a matched cell came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Equal records; nothing to test.
    Identical,
    /// Both are done and attacked the same images (or draws, across seeds).
    Compared,
    /// Both are done, and other images were attacked: the random streams changed.
    OtherImages,
    /// It failed, and had not.
    NewlyFailed,
    /// It failed both times.
    StillFailed,
    /// It had failed, and is done.
    Recovered,
    /// It applied, and does not any more.
    NoLongerApplies,
    /// It did not apply, and does now.
    NowApplies,
    /// It applies on neither side.
    NeverApplied,
}

/// A value before and after.
pub(crate) type BeforeAfter = (f64, f64);

/// A cell on both sides.
pub(crate) struct Pair {
    pub base: usize,
    pub new: usize,
    pub state: State,
    /// What `SameSeed` calls a cell is its id; across seeds it is the spec without the seed.
    pub cell: String,
    pub attack: String,
    /// What all attacks on one signal share: the spec without attack and facts.
    pub world: String,
    pub defended: bool,
    /// Why nothing follows of its defenses, on either side.
    pub doubt: Option<String>,
    /// Per row: the image attacked, or the draw of the seed, as a number shared by all cells that
    /// have the same.
    pub nodes: Vec<usize>,
    /// Per row: what was reconstructed together.
    pub trials: Vec<usize>,
    /// Per measure: its values by row; empty where the cell lacks the measure.
    pub columns: Vec<Vec<Option<BeforeAfter>>>,
    /// Per measure: rows that had a value in the base and have none now.
    pub lost: Vec<usize>,
    /// Place of the pair that differs only in having no defense, and the row there for each row
    /// here.
    pub twin: Option<(usize, Vec<Option<usize>>)>,
}

impl Pair {
    /// Whether both sides have scores.
    pub fn scored(&self) -> bool {
        matches!(self.state, State::Identical | State::Compared)
    }

    /// Whether its scores enter tests: not where no attack beats the floor without the defense.
    pub fn tested(&self) -> bool {
        self.scored() && self.doubt.is_none()
    }
}

/// Numbers for images and seeds, the same for the same.
#[derive(Default)]
struct Nodes(HashMap<String, usize>);

impl Nodes {
    fn number(&mut self, key: String) -> usize {
        let next = self.0.len();
        *self.0.entry(key).or_insert(next)
    }
}

/// Lays out the matched cells of two runs.
pub(crate) fn lay_out(
    base: &Side,
    new: &Side,
    matched: &[(usize, usize)],
    measures: &[Measure],
    how: Pairing,
) -> Vec<Pair> {
    let mut nodes = Nodes::default();
    let pair = |(b, n): &(usize, usize)| {
        let same = base.prints[*b] == new.prints[*n];
        let mut pair = Pair::new((*b, &base.records[*b]), (*n, &new.records[*n]), same, how);
        pair.doubt = new.doubts[*n].clone().or_else(|| base.doubts[*b].clone());
        if pair.scored() {
            match how {
                Pairing::SameSeed => {
                    pair.images(&base.records[*b], &new.records[*n], measures, &mut nodes)
                }
                Pairing::AcrossSeeds => {
                    pair.means(&base.records[*b], &new.records[*n], measures, &mut nodes)
                }
            }
        }
        pair
    };
    let mut pairs: Vec<Pair> = matched.iter().map(pair).collect();
    let twins = twins(&pairs, base, new);
    pairs.iter_mut().zip(twins).for_each(|(pair, twin)| pair.twin = twin);
    pairs
}

impl Pair {
    fn new(
        base: (usize, &CellRecord),
        new: (usize, &CellRecord),
        same: bool,
        how: Pairing,
    ) -> Pair {
        let spec = &new.1.spec;
        let cell = match how {
            Pairing::SameSeed => new.1.id.clone(),
            Pairing::AcrossSeeds => seedless(new.1),
        };
        Pair {
            base: base.0,
            new: new.0,
            state: state(base.1, new.1, same, how),
            cell: cell.to_string(),
            attack: spec.attack.name.clone(),
            world: world(new.1),
            defended: acting(spec).next().is_some(),
            doubt: None,
            nodes: Vec::new(),
            trials: Vec::new(),
            columns: Vec::new(),
            lost: Vec::new(),
            twin: None,
        }
    }

    /// One row an image.
    fn images(
        &mut self,
        base: &CellRecord,
        new: &CellRecord,
        measures: &[Measure],
        nodes: &mut Nodes,
    ) {
        let after: HashMap<_, _> = new.images.iter().map(|i| ((i.trial, i.index), i)).collect();
        let both: Vec<(&ImageScore, Option<&ImageScore>)> =
            base.images.iter().map(|i| (i, after.get(&(i.trial, i.index)).copied())).collect();
        let task = &new.spec.task;
        for (image, _) in &both {
            self.nodes
                .push(nodes.number(format!("{} {:?} {}", task.dataset, task.split, image.id)));
            self.trials.push(image.trial);
        }
        for measure in measures {
            let values: Vec<_> = both
                .iter()
                .map(|(b, n)| n.map_or((measure.value(b), None), |n| measure.of_both(b, n)))
                .collect();
            self.column(&values);
        }
    }

    /// One row: the means over each side's own images.
    fn means(
        &mut self,
        base: &CellRecord,
        new: &CellRecord,
        measures: &[Measure],
        nodes: &mut Nodes,
    ) {
        let (b, n) = (base.spec.seed, new.spec.seed);
        // Two nodes of one trial: what shares a seed on either side is one unit.
        self.nodes = vec![nodes.number(format!("base {b}")), nodes.number(format!("new {n}"))];
        self.trials = vec![0, 0];
        for measure in measures {
            let (before, after) = measure.of_all(base, new);
            self.column(&[(mean(&before), mean(&after)), (None, None)]);
            // The two means hide how many images stand behind each.
            if let Some(lost) = self.lost.last_mut() {
                *lost = before.len().saturating_sub(after.len());
            }
        }
    }

    fn column(&mut self, values: &[(Option<f64>, Option<f64>)]) {
        let lost = values.iter().filter(|(b, n)| b.is_some() && n.is_none()).count();
        let rows: Vec<_> = values.iter().map(|(b, n)| Some(((*b)?, (*n)?))).collect();
        let any = rows.iter().any(Option::is_some);
        self.columns.push(if any { rows } else { Vec::new() });
        self.lost.push(lost);
    }
}

/// The spec without attack and facts.
fn world(record: &CellRecord) -> String {
    let mut spec = record.spec.clone();
    spec.attack = suites::Named::new("");
    spec.facts.clear();
    spec.id().to_string()
}

fn state(base: &CellRecord, new: &CellRecord, same: bool, how: Pairing) -> State {
    use Outcome::{Done, Failed, NotApplicable};
    match (&base.outcome, &new.outcome) {
        (Failed { .. }, Failed { .. }) => State::StillFailed,
        (_, Failed { .. }) => State::NewlyFailed,
        (Failed { .. }, _) => State::Recovered,
        (NotApplicable { .. }, NotApplicable { .. }) => State::NeverApplied,
        (Done, NotApplicable { .. }) => State::NoLongerApplies,
        (NotApplicable { .. }, Done) => State::NowApplies,
        (Done, Done) if same => State::Identical,
        (Done, Done) if how == Pairing::SameSeed && other_images(base, new) => State::OtherImages,
        (Done, Done) => State::Compared,
    }
}

/// Whether any place in a trial holds another example than before.
fn other_images(base: &CellRecord, new: &CellRecord) -> bool {
    let before: HashMap<_, _> = base.images.iter().map(|i| ((i.trial, i.index), i.id)).collect();
    new.images.iter().any(|i| before.get(&(i.trial, i.index)).is_some_and(|id| *id != i.id))
}

type Twin = Option<(usize, Vec<Option<usize>>)>;

/// For each defended pair the undefended one of the same world, attack and facts, at the same
/// vantage or else at one that sees the same, as in the report.
fn twins(pairs: &[Pair], base: &Side, new: &Side) -> Vec<Twin> {
    let key = |pair: &Pair| {
        let spec = &new.records[pair.new].spec;
        let seed = base.records[pair.base].spec.seed;
        format!("{seed} {} {:?}", spec.attack_key(), facts(spec))
    };
    let vantage = |pair: &Pair| new.records[pair.new].spec.vantage;
    let mut plain: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, pair) in pairs.iter().enumerate().filter(|(_, p)| p.scored() && !p.defended) {
        plain.entry(key(pair)).or_default().push(at);
    }
    let twin = |pair: &Pair| -> Twin {
        let candidates = plain.get(&key(pair))?;
        let same = |at: &&usize| vantage(&pairs[**at]) == vantage(pair);
        let alike = |at: &&usize| see_alike(vantage(&pairs[**at]), vantage(pair));
        let at = *candidates.iter().find(same).or_else(|| candidates.iter().find(alike))?;
        Some((at, rows(pair, &pairs[at])))
    };
    pairs
        .iter()
        .map(|pair| if pair.scored() && pair.defended { twin(pair) } else { None })
        .collect()
}

/// The row of `twin` that holds the same image in the same trial, for each row of `pair`.
pub(crate) fn rows(pair: &Pair, twin: &Pair) -> Vec<Option<usize>> {
    let places: HashMap<_, _> =
        twin.trials.iter().zip(&twin.nodes).enumerate().map(|(row, key)| (key, row)).collect();
    pair.trials.iter().zip(&pair.nodes).map(|key| places.get(&key).copied()).collect()
}
