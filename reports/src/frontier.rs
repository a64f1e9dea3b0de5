//! Privacy against utility: what the strongest attack got through each defense, and what the task
//! was worth trained with it.

mod worst_case;

pub(crate) use worst_case::{JOINT, WorstCase};

use record::axes::acting;
use record::run::{Run, group};
use record::utility::{self, Share};

/// What the interval of an accuracy is about, for captions and tables.
pub(crate) const ONE_TRAINING: &str = "95 % Wilson intervals over the test examples of one \
    training; how much trainings differ from each other is not in them";

/// One task under one adversary: its defenses as points.
pub(crate) struct Panel {
    /// What tells it from the other panels; empty for the only one.
    pub name: String,
    pub points: Vec<Point>,
    /// Mean PSNR of the strongest null baseline: less than this is nothing gained.
    pub null: Option<f64>,
}

/// One defense: the attacks on it, and the federation that was trained with it.
pub(crate) struct Point {
    /// Cells that differ in the attack alone.
    pub rivals: Vec<usize>,
    /// The defenses with what varies of their parameters.
    pub label: String,
    pub undefended: bool,
    pub worst: WorstCase,
    pub accuracy: Accuracy,
}

impl Panel {
    /// Which points are Pareto-optimal; reconstructions worse than the strongest null baseline leak
    /// no less than it.
    pub fn optimal(&self, leak: Leak) -> Vec<bool> {
        let floor = match leak {
            Leak::Success => 0.0,
            Leak::Psnr => self.null.unwrap_or(f64::NEG_INFINITY),
        };
        let place = |p: &Point| p.place(leak).map(|(x, y)| (x.max(floor), y));
        pareto(&self.points.iter().map(place).collect::<Vec<_>>())
    }
}

/// What the utility federation came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Accuracy {
    Measured(Share),
    /// Why there is none.
    Lost(String),
}

/// What a frontier's horizontal axis measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Leak {
    Success,
    Psnr,
}

impl Point {
    fn of(run: &Run, rivals: Vec<usize>) -> Self {
        let at = rivals[0];
        let undefended = !run.defended(at);
        let label =
            if undefended { "no defense".into() } else { record::axes::defense_label(run, at) };
        let worst = WorstCase::of(run, &rivals);
        Point { accuracy: accuracy(run, &rivals), rivals, label, undefended, worst }
    }

    /// Leak and accuracy where both were measured.
    pub fn place(&self, leak: Leak) -> Option<(f64, f64)> {
        let x = match leak {
            Leak::Success => self.worst.success.map(|(rate, _)| rate.rate),
            Leak::Psnr => self.worst.psnr.map(|(mean, ..)| mean),
        };
        match self.accuracy {
            Accuracy::Measured((share, _)) => Some((x.filter(|x| x.is_finite())?, share)),
            Accuracy::Lost(_) => None,
        }
    }
}

/// The accuracy of any of the cells: the federation is the same for all attacks.
fn accuracy(run: &Run, rivals: &[usize]) -> Accuracy {
    let trained = |at: &&usize| utility::rounds(&run.records[**at]).is_some();
    if let Some(share) =
        rivals.iter().filter(trained).find_map(|at| utility::accuracy(&run.records[*at]))
    {
        return Accuracy::Measured(share);
    }
    let notes = rivals.iter().flat_map(|at| &run.records[*at].notes);
    let told = notes.filter_map(|n| n.strip_prefix("utility not measured: ")).next();
    let failed = rivals.iter().find_map(|at| match &run.records[*at].outcome {
        record::Outcome::Failed { stage, message } => Some(format!("{stage}: {message}")),
        _ => None,
    });
    Accuracy::Lost(told.map(str::to_owned).or(failed).unwrap_or("training diverged".into()))
}

/// The panels of the run; none where no cell trained a federation, all of them the same one, or the
/// run does not say when a PSNR is a success.
pub(crate) fn panels(run: &Run) -> Vec<Panel> {
    if run.headline().is_none() {
        return Vec::new();
    }
    let with = |at: &usize| !run.records[*at].spec.federation.is_bare();
    let groups = group(run.attacked().into_iter().filter(with).collect(), |at| {
        let spec = &run.records[at].spec;
        format!("{} {} {:?}", spec.world_key(), spec.vantage, spec.facts)
    });
    let groups: Vec<Vec<usize>> =
        groups.into_iter().filter(|g| g.iter().any(|at| run.defended(*at))).collect();
    let firsts: Vec<usize> = groups.iter().map(|g| g[0]).collect();
    let distinguishing = run.axes.distinguishing(&firsts, &["attack", "defenses"]);
    let panel = |cells: Vec<usize>| Panel {
        name: run.axes.label(cells[0], &distinguishing, &[]),
        null: cells.iter().find_map(|at| run.cells[*at].best_null_psnr()),
        points: points(run, cells),
    };
    groups.into_iter().map(panel).filter(|p| p.points.len() > 1).collect()
}

/// One point a defense, the undefended twin first; where it was seen from another vantage only, it
/// is taken from there.
fn points(run: &Run, cells: Vec<usize>) -> Vec<Point> {
    let defended = cells.iter().copied().find(|at| run.defended(*at));
    let rivals =
        group(cells, |at| format!("{:?}", acting(&run.records[at].spec).collect::<Vec<_>>()));
    let mut points: Vec<Point> = rivals.into_iter().map(|r| Point::of(run, r)).collect();
    points.sort_by_key(|p| !p.undefended);
    if !points[0].undefended
        && let Some(twin) = defended.and_then(|at| run.undefended(at))
        && let Some(rivals) = run.rivals().into_iter().find(|r| r.contains(&twin))
        && !run.records[twin].spec.federation.is_bare()
    {
        // The same attack with another federation, or none, is no other attack.
        let federation = |at: &usize| &run.records[*at].spec.federation;
        let same = |at: &usize| federation(at) == federation(&twin);
        points.insert(0, Point::of(run, rivals.into_iter().filter(same).collect()));
    }
    points
}

/// Which of `(leak, utility)` no other beats in one without losing in the other.
fn pareto(places: &[Option<(f64, f64)>]) -> Vec<bool> {
    let beats = |a: (f64, f64), b: (f64, f64)| a.0 <= b.0 && a.1 >= b.1 && (a.0 < b.0 || a.1 > b.1);
    let optimal = |own: &Option<(f64, f64)>| {
        own.is_some_and(|own| !places.iter().flatten().any(|other| beats(*other, own)))
    };
    places.iter().map(optimal).collect()
}

#[cfg(test)]
mod tests;
