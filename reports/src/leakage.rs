//! Leakage against training progress: cells that differ only in the rounds trained before the
//! capture.

use record::run::{Run, group};
use suites::{BatchNorm, Named};

/// Cells that share everything but attack, mode of BatchNorm and progress.
pub(crate) struct Course {
    /// What tells it from the other courses; empty for the only one.
    pub name: String,
    pub lines: Vec<Line>,
}

/// One attack and mode, at several rounds.
pub(crate) struct Line {
    /// The attack, and the mode of BatchNorm where that varies.
    pub name: String,
    /// Ascending in rounds.
    pub cells: Vec<usize>,
}

/// Rounds trained before the capture of cell `at`.
pub(crate) fn rounds(run: &Run, at: usize) -> usize {
    run.records[at].spec.capture.round
}

/// The courses of the run; a single point is none.
pub(crate) fn courses(run: &Run) -> Vec<Course> {
    let lines = group(run.attacked(), |at| {
        let mut spec = run.records[at].spec.clone();
        spec.capture.round = 0;
        spec.id().to_string()
    });
    let several =
        |cells: &Vec<usize>| cells.iter().any(|at| rounds(run, *at) != rounds(run, cells[0]));
    let mut lines: Vec<Vec<usize>> = lines.into_iter().filter(several).collect();
    lines.iter_mut().for_each(|cells| cells.sort_by_key(|at| rounds(run, *at)));
    let courses = group((0..lines.len()).collect(), |line| {
        let mut spec = run.records[lines[line][0]].spec.clone();
        (spec.capture.round, spec.attack) = (0, Named::new(""));
        spec.model.batch_norm = BatchNorm::Train;
        spec.id().to_string()
    });
    let firsts: Vec<usize> = courses.iter().map(|c| lines[c[0]][0]).collect();
    let between = run.axes.distinguishing(&firsts, &IGNORED);
    let course = |members: &Vec<usize>| {
        let own: Vec<usize> = members.iter().map(|line| lines[*line][0]).collect();
        let within = run.axes.distinguishing(&own, &["capture.round"]);
        let line = |line: &usize| {
            let cells = lines[*line].clone();
            let name = run.axes.label(cells[0], &within, &[]);
            Line {
                name: if name.is_empty() { run.axes.attacks[cells[0]].clone() } else { name },
                cells,
            }
        };
        Course {
            name: run.axes.label(own[0], &between, &[]),
            lines: members.iter().map(line).collect(),
        }
    };
    courses.iter().map(course).collect()
}

/// What courses do not differ in.
const IGNORED: [&str; 3] = ["capture.round", "attack", "model.batch_norm"];
