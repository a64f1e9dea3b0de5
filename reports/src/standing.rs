//! How each defense stands: what the strongest attack tried on it got, with all that a reader
//! judges it by. The hero figure, the verdict and the main table take their rows here.

use crate::figure::estimate::{Estimate, estimate};
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use crate::frontier::{Point, let_loose};
use crate::identified::Identified;
use crate::words;
use record::run::{Run, group};
use record::utility;
use record::validity::is_oracle;
use record::{CellRecord, MetricInfo, Outcome};
use std::collections::BTreeSet;
use suites::CellSpec;

/// One defense against one adversary: cells that differ in the attack and the seed alone.
pub(crate) struct Stand {
    /// What a reader calls it, such as "SecAgg (seen by the server)".
    pub name: String,
    pub cells: Vec<Picked>,
    /// The attacks tried, and the strongest by mean PSNR.
    pub point: Point,
}

/// The stands of the cells `picked`, those without a defense first, then in the suite's order; and
/// the settings in which cells left out differ from those of the same defense, source and vantage.
pub(crate) fn stands(run: &Run, picked: &[Picked]) -> (Vec<Stand>, Vec<String>) {
    let kept = |at: usize| format!("{} {}", run.mechanism(at), run.defenses(at));
    let places = group((0..picked.len()).collect(), |i| kept(picked[i].at));
    let mut groups: Vec<Vec<Picked>> =
        places.into_iter().map(|g| g.into_iter().map(|i| picked[i].clone()).collect()).collect();
    let left = first_of_each(run, &mut groups);
    groups.sort_by_key(|cells| run.defended(cells[0].at));
    let firsts: Vec<usize> = groups.iter().map(|g| g[0].at).collect();
    let stand = |cells: Vec<Picked>| Stand {
        name: name(run, cells[0].at, &firsts),
        point: Point::new(run, &Measure::Metric(run.metric("psnr")), &cells),
        cells,
    };
    (groups.into_iter().map(stand).collect(), left)
}

/// Keeps of each defense, source and vantage the first group that an attack was let loose on, else
/// the first; returns the settings in which the others differ from these.
fn first_of_each(run: &Run, groups: &mut Vec<Vec<Picked>>) -> Vec<String> {
    let key = |group: &Vec<Picked>| {
        let spec = &run.records[group[0].at].spec;
        format!("{} {} {}", run.defenses(group[0].at), spec.source, spec.vantage)
    };
    let loose = |g: &Vec<Picked>| g.iter().any(|c| let_loose(&run.records[c.at]));
    let mut kept: Vec<Vec<Picked>> = Vec::new();
    let mut left = BTreeSet::new();
    for own in std::mem::take(groups) {
        let Some(slot) = kept.iter_mut().find(|k| key(k) == key(&own)) else {
            kept.push(own);
            continue;
        };
        let settings = crate::figure::select::differing(run, &[slot[0].at, own[0].at]);
        left.extend(settings.into_iter().filter(|path| path != "attack"));
        if !loose(slot) && loose(&own) {
            *slot = own;
        }
    }
    *groups = kept;
    left.into_iter().collect()
}

/// The defense of cell `at` among the `firsts` of all stands, with its source and its vantage where
/// another stand of this defense has another, or where they are not those of the first stand.
fn name(run: &Run, at: usize, firsts: &[usize]) -> String {
    let told = |of: fn(&CellSpec) -> String| {
        let value = |at: &usize| of(&run.records[*at].spec);
        let same = |other: &&usize| run.defenses(**other) == run.defenses(at);
        let mut others = firsts.iter().filter(same).chain(firsts.first());
        others.any(|other| value(other) != value(&at)).then(|| value(&at))
    };
    let source = told(|spec| words::source(spec.source).to_owned());
    let vantage = told(|spec| words::vantage(spec.vantage));
    words::defense_with(run, at, [source, vantage].into_iter().flatten().collect())
}

/// At most `most` of the stands in their order: one of each defense before the second of any.
pub(crate) fn fitting(run: &Run, stands: Vec<Stand>, most: usize) -> Vec<Stand> {
    let mut seen = BTreeSet::new();
    let again: Vec<bool> =
        stands.iter().map(|s| !seen.insert(run.defenses(s.at()).to_owned())).collect();
    let mut places: Vec<usize> = (0..stands.len()).collect();
    places.sort_by_key(|at| again[*at]);
    let kept: BTreeSet<usize> = places.into_iter().take(most).collect();
    stands.into_iter().enumerate().filter(|(at, _)| kept.contains(at)).map(|(_, s)| s).collect()
}

impl Stand {
    /// Place of a cell of the strongest attack, else of the first cell.
    pub fn at(&self) -> usize {
        self.point.cell().unwrap_or(self.cells[0].at)
    }

    /// The cells of the strongest attack; none where none was scored.
    pub fn strongest(&self) -> &[Picked] {
        self.point.strongest().map_or(&[], |best| &best.cells)
    }

    /// The strongest attack's name; tables say what varies of its parameters.
    pub fn attack<'a>(&self, run: &'a Run) -> Option<&'a str> {
        self.point.cell().map(|at| run.records[at].spec.attack.name.as_str())
    }

    /// Mean of a score over the strongest attack's pictures.
    pub fn mean(&self, run: &Run, metric: &MetricInfo) -> Option<f64> {
        estimate(run, &Measure::Metric(metric.clone()), self.strongest()).value
    }

    /// Mean PSNR in dB of the best picture that is made without attacking and without the truth,
    /// over the strongest attack's pictures; `None` where there are none, or the run does not say
    /// that more PSNR is better.
    pub fn floor(&self, run: &Run) -> Option<f64> {
        let psnr = run.metric("psnr");
        psnr.higher_is_better.filter(|higher| *higher)?;
        let cells = self.strongest();
        let nulls: BTreeSet<&String> =
            cells.iter().flat_map(|c| run.cells[c.at].baselines.keys()).collect();
        let mean =
            |null: &String| estimate(run, &Measure::Null(null.clone(), psnr.clone()), cells).value;
        nulls.into_iter().filter(|n| !is_oracle(n)).filter_map(mean).max_by(f64::total_cmp)
    }

    /// Whether the strongest attack got more than the floor by mean PSNR; `None` where either is
    /// missing.
    pub fn beats_floor(&self, run: &Run) -> Option<bool> {
        Some(self.point.leak.value? > self.floor(run)?)
    }

    /// How many of the strongest attack's pictures are identified; `None` where nobody asked.
    pub fn identified(&self, run: &Run) -> Option<Identified> {
        Identified::of(run, self.strongest())
    }

    /// What the task is worth with the defense, over all trainings of the federation behind the
    /// strongest attack: a share in [0, 1].
    pub fn accuracy(&self, run: &Run) -> Estimate {
        let trained = self.cells.iter().any(|c| utility::rounds(&run.records[c.at]).is_some());
        let name = if trained { "trained_accuracy" } else { "accuracy" };
        self.point.worth(run, &Measure::Task(name.into()), &self.cells)
    }

    /// What the defense promises, in short; `None` where there is none.
    pub fn claim(&self, run: &Run) -> Option<String> {
        let noted = self
            .cells
            .iter()
            .map(|c| c.at)
            .find(|at| run.records[*at].defenses.iter().any(|note| note.name != "none"));
        words::claim(&run.records[noted.unwrap_or(self.at())])
    }

    /// In words why there is no picture: not measurable, nothing to attack, no attack that applies,
    /// or all failed; `None` where an attack was scored.
    pub fn silence(&self, run: &Run) -> Option<String> {
        if self.point.cell().is_some() {
            return None;
        }
        // Its pictures are left out, not missing.
        if run.not_measurable(self.at()) {
            return run.doubt(self.at());
        }
        let records = || self.cells.iter().map(|c| &run.records[c.at]);
        let failed = records().find_map(|r| r.outcome.failure());
        let refused: BTreeSet<&str> = records().filter_map(refusal).collect();
        let whys = refused.into_iter().collect::<Vec<_>>().join("; ");
        Some(match failed {
            Some(failure) => format!("Every attack failed, in {failure}"),
            None if whys.is_empty() => "No reconstruction has a PSNR".into(),
            None if self.works_elsewhere(run) => format!("Nothing to attack: {whys}"),
            None => format!("No attack applies: {whys}"),
        })
    }

    /// Whether an attack that is refused here was let loose where no defense acts: then it is not
    /// the attack that is in the way.
    fn works_elsewhere(&self, run: &Run) -> bool {
        let own: BTreeSet<&str> =
            self.cells.iter().map(|c| run.records[c.at].spec.attack.name.as_str()).collect();
        let free = (0..run.records.len()).filter(|at| !run.defended(*at));
        free.map(|at| &run.records[at])
            .any(|r| let_loose(r) && own.contains(r.spec.attack.name.as_str()))
    }
}

fn refusal(record: &CellRecord) -> Option<&str> {
    match &record.outcome {
        Outcome::NotApplicable { why } => Some(why),
        _ => None,
    }
}

/// The LPIPS that readers compare by: with AlexNet where the run has it, else the first measured.
pub(crate) fn lpips(run: &Run) -> Option<MetricInfo> {
    let measured = || run.metric_names.iter().filter(|n| run.has_mean(n));
    let alex = measured().find(|n| *n == "lpips-alex");
    alex.or_else(|| measured().find(|n| n.starts_with("lpips-"))).map(|n| run.metric(n))
}

#[cfg(test)]
mod tests;
