//! Privacy against utility: what the strongest attack got through each defense, and what the task
//! is worth trained with it. The report's tables, its figures and those of papers take their points
//! and their worst cases here.

use crate::figure::columns::Setting;
use crate::figure::estimate::{Estimate, estimate, estimate_at};
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use crate::figure::select::part;
use record::run::{Run, group};
use record::stats::{CONFIDENCE, mean};
use record::{CellRecord, Outcome};

mod marks;

pub(crate) use marks::{Judge, Pareto, RULE};

/// How the intervals of the worst case are to be read, for captions and tables.
pub(crate) const JOINT: &str = "at 1 - 0.05/k for each of the k attacks tried on a defense \
    (Bonferroni), so that 95 % holds for the largest of them";

/// What the interval of an accuracy is about, for captions and tables.
pub(crate) const ONE_TRAINING: &str = "95 % Wilson interval over the test examples of one \
    training, in which there is nothing of how much trainings differ; of 2 to 7 trainings it has \
    none, and of 8 or more that over trainings";

/// One attack by one adversary on one defense, at any seed.
pub(crate) struct Try {
    /// What tells the adversary from the others; empty for the only one.
    pub adversary: String,
    pub attack: String,
    pub cells: Vec<Picked>,
    /// What it got; `None` where no image has a score: a crash says nothing of what the defense
    /// holds back.
    pub leak: Option<Estimate>,
    /// Whether it was let loose at all: what failed before its attack is no try.
    pub loose: bool,
}

/// The attacks on one defense, and the strongest of them.
pub(crate) struct Point {
    pub tries: Vec<Try>,
    /// Place of the strongest in `tries`, the first of equals; `None` where none was scored.
    strongest: Option<usize>,
    /// What the strongest got. It was chosen for that, so the interval is that of the largest of
    /// all means (Bonferroni).
    pub leak: Estimate,
}

impl Point {
    /// What the attacks in `cells`, all on one defense, got by `leak`. A `leak` without a direction
    /// is taken for one of which more is more: callers refuse it.
    pub fn new(run: &Run, leak: &Measure, cells: &[Picked]) -> Self {
        let tries = tries(run, leak, cells);
        let sign = sign(leak);
        let scored = || tries.iter().enumerate().filter_map(|(at, t)| Some((at, t.leak.as_ref()?)));
        // Without an interval of each there is none of the largest.
        let ends: Option<Vec<(f64, f64)>> = scored().map(|(_, e)| e.interval).collect();
        let larger = |a: (f64, f64), b: (f64, f64)| {
            if sign > 0.0 { (a.0.max(b.0), a.1.max(b.1)) } else { (a.0.min(b.0), a.1.min(b.1)) }
        };
        let interval = ends.and_then(|ends| ends.into_iter().reduce(larger));
        let value = |e: &Estimate| sign * e.value.unwrap_or(f64::NEG_INFINITY);
        let found = scored().reduce(|a, b| if value(b.1) > value(a.1) { b } else { a });
        let leak =
            found.map_or_else(Estimate::default, |(_, e)| Estimate { interval, ..e.clone() });
        Point { strongest: found.map(|(at, _)| at), leak, tries }
    }

    /// The strongest attack.
    pub fn strongest(&self) -> Option<&Try> {
        self.tries.get(self.strongest?)
    }

    /// The place of a cell of the strongest attack.
    pub fn cell(&self) -> Option<usize> {
        Some(self.strongest()?.cells.first()?.at)
    }

    /// What the task is worth with the defense, of `cells`: what leaked is a round of one
    /// federation, and the worth is that federation's.
    pub fn worth(&self, run: &Run, worth: &Measure, cells: &[Picked]) -> Estimate {
        let own = self.cell().map(|at| federation(run, at));
        let same = |c: &&Picked| own.as_ref().is_none_or(|own| *own == federation(run, c.at));
        let trained: Vec<Picked> = cells.iter().filter(same).cloned().collect();
        estimate(run, worth, &trained)
    }
}

/// 1 where more of a measure leaks more, -1 where less does.
pub(crate) fn sign(leak: &Measure) -> f64 {
    if leak.higher_is_better() == Some(false) { -1.0 } else { 1.0 }
}

/// What tells the federation of a cell from others behind one defense; seeds are repetitions.
fn federation(run: &Run, at: usize) -> String {
    let spec = &run.records[at].spec;
    format!("{:?} {:?} {:?} {}", spec.task, spec.model, spec.federation, spec.source)
}

/// The attacks on one defense by adversary, each at a confidence that makes all of their intervals
/// hold at once.
fn tries(run: &Run, leak: &Measure, cells: &[Picked]) -> Vec<Try> {
    let new = |adversary: &String, attack: String, cells: Vec<Picked>| Try {
        adversary: adversary.clone(),
        attack,
        leak: None,
        loose: cells.iter().any(|c| let_loose(&run.records[c.at])),
        cells,
    };
    let mut out = Vec::new();
    for (adversary, cells) in adversaries(run, cells) {
        let attacks = part(run, &Setting::Attack, &cells).into_iter();
        out.extend(attacks.map(|(attack, cells)| new(&adversary, attack.label(), cells)));
    }
    let loose = out.iter().filter(|t| t.loose).count();
    let level = 1.0 - (1.0 - CONFIDENCE) / loose.max(1) as f64;
    for own in &mut out {
        let found =
            has_scores(run, leak, &own.cells).then(|| estimate_at(run, leak, &own.cells, level));
        own.leak = found.filter(|e| e.value.is_some());
    }
    out
}

/// Cells by what the adversary faces, sees and knows, with what tells these apart: one that sees
/// more is another threat. Seeds are repetitions.
fn adversaries(run: &Run, cells: &[Picked]) -> Vec<(String, Vec<Picked>)> {
    let all = group((0..cells.len()).collect(), |i| run.mechanism(cells[i].at).to_owned());
    let firsts: Vec<usize> = all.iter().map(|g| cells[g[0]].at).collect();
    let distinguishing = run.axes.distinguishing(&firsts, &["attack", "defenses", "seed"]);
    let name = |at: usize| run.axes.label(at, &distinguishing, &[]);
    let of =
        |g: Vec<usize>| (name(cells[g[0]].at), g.into_iter().map(|i| cells[i].clone()).collect());
    all.into_iter().map(of).collect()
}

/// Whether any image has a score of what `leak` is about.
pub(crate) fn has_scores(run: &Run, leak: &Measure, cells: &[Picked]) -> bool {
    let metric = match leak {
        Measure::Metric(metric) | Measure::Success(metric, _) => metric,
        _ => return true,
    };
    let any = |cell: &Picked| {
        let scores = run.records[cell.at].scores(&metric.name);
        cell.images.iter().any(|i| scores[*i].is_some())
    };
    cells.iter().any(any)
}

/// Whether the attack of a cell began.
pub(crate) fn let_loose(record: &CellRecord) -> bool {
    matches!(record.outcome, Outcome::Done) || record.lost_images() > 0 || !record.images.is_empty()
}

/// One federation, its task and source, under one adversary: its defenses.
pub(crate) struct Panel {
    /// What tells it from the other panels; empty for the only one.
    pub name: String,
    /// Per defense the cells, which differ in the attack alone; without a defense first.
    pub defenses: Vec<Vec<usize>>,
    /// The floor, the mean PSNR of the strongest null baseline that needs no truth: less than this
    /// is nothing gained.
    pub null: Option<f64>,
}

/// The panels of the run; none where no cell trained a federation, all of them the same one, or the
/// run does not say when a PSNR is a success.
pub(crate) fn panels(run: &Run) -> Vec<Panel> {
    let deployed = |at: &usize| !run.records[*at].spec.federation.is_bare();
    let cells: Vec<usize> = run.attacked().into_iter().filter(deployed).collect();
    // The key of a mechanism holds the federation: no panel has points of two. Seeds repeat it.
    let groups = group(cells, |at| run.mechanism(at).to_owned());
    let groups: Vec<Vec<usize>> =
        groups.into_iter().filter(|g| g.iter().any(|at| run.defended(*at))).collect();
    let firsts: Vec<usize> = groups.iter().map(|g| g[0]).collect();
    let distinguishing = run.axes.distinguishing(&firsts, &["attack", "defenses", "seed"]);
    let panel = |cells: Vec<usize>| Panel {
        name: run.axes.label(cells[0], &distinguishing, &[]),
        null: floor(run, &cells),
        defenses: defenses(run, cells),
    };
    let panels = groups.into_iter().filter(|_| run.headline().is_some()).map(panel);
    panels.filter(|p| p.defenses.len() > 1).collect()
}

/// The mean of the floors of these cells' worlds.
fn floor(run: &Run, cells: &[usize]) -> Option<f64> {
    let worlds = group(cells.to_vec(), |at| run.world(at).to_owned());
    let of = |world: &Vec<usize>| world.iter().find_map(|at| run.best_null_psnr(*at));
    mean(&worlds.iter().filter_map(of).collect::<Vec<_>>())
}

/// The cells by defense, those without one first; where these were seen from another vantage only,
/// they are taken from there, and where they are of the same world.
fn defenses(run: &Run, cells: Vec<usize>) -> Vec<Vec<usize>> {
    let defended = cells.iter().copied().find(|at| run.defended(*at));
    let mut out = group(cells, |at| run.defenses(at).to_owned());
    out.sort_by_key(|rivals| run.defended(rivals[0]));
    if run.defended(out[0][0])
        && let Some(twin) = defended.and_then(|at| run.undefended(at))
        && let Some(rivals) = run.rivals().into_iter().find(|r| r.contains(&twin))
    {
        out.insert(0, rivals);
    }
    out
}

#[cfg(test)]
mod tests;
