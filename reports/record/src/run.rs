//! A run folder read for reporting: records in the suite's order, each with its statistics.

use crate::axes::{Axes, Distinguishing, acting};
use crate::store::read_records;
use crate::summary::CellSummary;
use crate::validity::{self, Validity, facts, is_oracle, see_alike};
use crate::{CellRecord, MetricInfo, Metrics, Outcome, RecordError, RunInfo};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use suites::{CellId, CellSpec};

/// A run with what reports say of it.
#[derive(Clone, Debug)]
pub struct Run {
    /// The run folder.
    pub dir: PathBuf,
    /// Its `run.json`.
    pub info: RunInfo,
    /// What its scores mean, in the order of reports.
    pub metrics: Metrics,
    /// Names of the metrics that any cell has, in that order.
    pub metric_names: Vec<String>,
    /// In the suite's order; a cell's number in the report is its place here, from 1.
    pub records: Vec<CellRecord>,
    /// Statistics, in the order of `records`.
    pub cells: Vec<CellSummary>,
    /// Which settings vary over the records.
    pub axes: Axes,
    /// What tells the cells apart.
    pub distinguishing: Distinguishing,
    /// Per cell, whether it says anything of its defenses.
    pub validity: Vec<Validity>,
    /// Per cell, what tells it apart beside attack and defenses; the table of cells has the rest.
    pub settings: Vec<String>,
    keys: Vec<Keys>,
}

/// What groups a cell with others, taken once: every table and figure groups all cells.
#[derive(Clone, Debug)]
struct Keys {
    /// The spec as JSON.
    spec: Value,
    world: String,
    /// The world at any seed, the vantage and the facts.
    mechanism: String,
    attack: String,
    /// The defenses that act.
    defenses: String,
}

impl Keys {
    fn from_spec(spec: &CellSpec) -> Self {
        Keys {
            spec: serde_json::to_value(spec).unwrap_or(Value::Null),
            world: spec.world_key(),
            mechanism: mechanism(spec),
            attack: spec.attack_key(),
            defenses: format!("{:?}", acting(spec).collect::<Vec<_>>()),
        }
    }
}

fn mechanism(spec: &CellSpec) -> String {
    let world = CellSpec { seed: 0, ..spec.clone() }.world_key();
    format!("{world} {} {:?}", spec.vantage, facts(spec))
}

impl Run {
    /// Reads the run folder `dir` without changing it.
    ///
    /// # Errors
    /// As [`RunInfo::read`] and [`read_records`].
    pub fn load(dir: &Path) -> Result<Self, RecordError> {
        let info = RunInfo::read(dir)?;
        Ok(Self::new(dir.into(), info, read_records(dir)?))
    }

    /// A run of records in memory; they are put in the suite's order.
    pub fn new(dir: PathBuf, info: RunInfo, mut records: Vec<CellRecord>) -> Self {
        let order: HashMap<_, _> =
            info.suite.cells.iter().enumerate().map(|(at, id)| (id, at)).collect();
        records.sort_by_key(|r| (order.get(&r.id).copied().unwrap_or(usize::MAX), r.id.clone()));
        let metrics = Metrics::from_run(&info);
        let cells: Vec<CellSummary> =
            records.iter().map(|record| CellSummary::from_record(record, &metrics)).collect();
        let metric_names = metrics.in_order(cells.iter().flat_map(|c| c.metrics.keys().cloned()));
        let axes = Axes::from_records(&records);
        let places: Vec<usize> = (0..records.len()).collect();
        let distinguishing = axes.distinguishing(&places, &[]);
        let settings = places
            .iter()
            .map(|at| axes.label(*at, &distinguishing, &["attack", "defenses"]))
            .collect();
        let keys = records.iter().map(|r| Keys::from_spec(&r.spec)).collect();
        Run {
            validity: validity::judge(&records, &metrics),
            keys,
            dir,
            info,
            metrics,
            metric_names,
            records,
            cells,
            axes,
            distinguishing,
            settings,
        }
    }

    /// What the scores called `name` mean; without a direction where the run does not say.
    pub fn metric(&self, name: &str) -> MetricInfo {
        self.metrics.get(name)
    }

    /// The success that headlines are about: the PSNR with its middle threshold, and the two in
    /// words; `None` where the run declares none.
    pub fn headline(&self) -> Option<(MetricInfo, f64, String)> {
        let psnr = self.metric("psnr");
        let bound = psnr.middle_threshold()?;
        let words = psnr.threshold(bound);
        Some((psnr, bound, words))
    }

    /// The floor of cell `at`: the highest mean PSNR among the null baselines that need no truth;
    /// `None` where the run does not say that more of it is better.
    pub fn best_null_psnr(&self, at: usize) -> Option<f64> {
        self.metric("psnr").higher_is_better.filter(|higher| *higher)?;
        let nulls = self.cells[at].baselines.iter().filter(|(null, _)| !is_oracle(null));
        nulls.filter_map(|(_, b)| b.get("psnr")?.mean).max_by(f64::total_cmp)
    }

    /// Whether any cell has a mean of the metric `name`.
    pub fn has_mean(&self, name: &str) -> bool {
        self.cells.iter().any(|c| c.mean(name).is_some())
    }

    /// The planned cells that have no record yet.
    pub fn open(&self) -> Vec<&CellId> {
        let present: HashSet<_> = self.records.iter().map(|r| &r.id).collect();
        self.info.suite.cells.iter().filter(|id| !present.contains(id)).collect()
    }

    /// How many cells ended so: `done`, `not applicable` or `failed`.
    pub fn ended(&self, outcome: &str) -> usize {
        self.cells.iter().filter(|c| c.outcome == outcome).count()
    }

    /// Places of the cells whose attack ran or broke.
    pub fn attacked(&self) -> Vec<usize> {
        let applies =
            |at: &usize| !matches!(self.records[*at].outcome, Outcome::NotApplicable { .. });
        (0..self.records.len()).filter(applies).collect()
    }

    /// The attacked cells by world, worlds in the order they first appear: cells of one world saw
    /// the same images.
    pub fn worlds(&self) -> Vec<Vec<usize>> {
        group(self.attacked(), |at| self.world(at).to_owned())
    }

    /// The attacked cells by mechanism, adversary and defenses: cells of one group differ only in
    /// the attack and the seed.
    pub fn rivals(&self) -> Vec<Vec<usize>> {
        group(self.attacked(), |at| format!("{} {}", self.mechanism(at), self.defenses(at)))
    }

    /// The spec of cell `at` as JSON.
    pub fn spec(&self, at: usize) -> &Value {
        &self.keys[at].spec
    }

    /// The key of the world of cell `at`.
    pub fn world(&self, at: usize) -> &str {
        &self.keys[at].world
    }

    /// What tells the defenses of cell `at` that act from others.
    pub fn defenses(&self, at: usize) -> &str {
        &self.keys[at].defenses
    }

    /// The world of cell `at`, and what the adversary watches and knows there.
    pub fn adversary(&self, at: usize) -> String {
        let spec = &self.records[at].spec;
        format!("{} {} {:?}", self.world(at), spec.vantage, spec.facts)
    }

    /// As [`Run::adversary`] at any seed: cells that differ in it alone are repetitions.
    pub fn mechanism(&self, at: usize) -> &str {
        &self.keys[at].mechanism
    }

    /// What the federated round of cell `at` depends on: everything but the adversary.
    pub fn round_key(&self, at: usize) -> String {
        format!("{} {}", self.world(at), self.defenses(at))
    }

    /// The cell that differs from `at` only in having no defense.
    pub fn undefended(&self, at: usize) -> Option<usize> {
        let spec = &self.records[at].spec;
        let twins = self.attacked().into_iter().filter(|&other| {
            let same = self.keys[other].attack == self.keys[at].attack;
            same && !self.defended(other) && facts(&self.records[other].spec) == facts(spec)
        });
        let vantage = |other: &usize| self.records[*other].spec.vantage;
        twins
            .filter(|other| see_alike(vantage(other), spec.vantage))
            .min_by_key(|other| vantage(other) != spec.vantage)
    }

    /// What is to be said of a defended cell, or of one about a model that has not learnt, in the
    /// place of its result, or beside it; `None` of one that counts, and of an undefended one.
    pub fn doubt(&self, at: usize) -> Option<String> {
        let validity = &self.validity[at];
        (self.defended(at) || validity.untrained()).then(|| validity.doubt()).flatten()
    }

    /// Whether the cell is defended, and no attack beats the floor without the defense, or its
    /// model has not learnt: it enters no worst case, no frontier, no gate and no headline.
    pub fn not_measurable(&self, at: usize) -> bool {
        self.validity[at].untrained() || self.defended(at) && self.validity[at].fails()
    }

    /// Whether the cell has a defense that acts.
    pub fn defended(&self, at: usize) -> bool {
        acting(&self.records[at].spec).next().is_some()
    }
}

/// Groups places by a key, in the order the keys first appear.
pub fn group(places: Vec<usize>, key: impl Fn(usize) -> String) -> Vec<Vec<usize>> {
    let (mut groups, mut index) = (Vec::<Vec<usize>>::new(), HashMap::new());
    for at in places {
        let slot = *index.entry(key(at)).or_insert(groups.len());
        match groups.get_mut(slot) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    groups
}
