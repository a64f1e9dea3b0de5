//! The rows of an export, handed on one at a time: a table of all of them need not fit into memory.

use super::columns::{self, Cause};
use super::field::{Field, Row};
use record::run::Run;
use record::{CellRecord, ImageScore, Outcome, Scores};
use std::io;

/// Takes one row.
pub(super) type Take<'t> = dyn FnMut(&Row) -> io::Result<()> + 't;

/// The columns of every row.
pub(super) fn schema(run: &Run) -> Vec<Field<'_>> {
    let mut all = columns::run(&run.info);
    all.extend(columns::cell("", None, None));
    all.extend(columns::score(&Cause::default()));
    all
}

/// Hands every row of the run to `take`, in the order of the suite, and returns how many there
/// were.
pub(super) fn each(run: &Run, take: &mut Take) -> io::Result<usize> {
    let of_run = columns::run(&run.info);
    let mut rows = 0;
    let mut write = |of_cell: &[Field], cause: &Cause| {
        rows += 1;
        take(&Row([&of_run, of_cell, &columns::score(cause)]))
    };
    for (record, validity) in run.records.iter().zip(&run.validity) {
        let applies = !matches!(record.outcome, Outcome::NotApplicable { .. });
        let validity = Some(validity).filter(|_| applies);
        let of_cell = columns::cell(record.id.as_str(), Some(record), validity);
        let mut bare = true;
        of_record(record, &run.metric_names, &mut |cause| {
            bare = false;
            write(&of_cell, cause)
        })?;
        if bare {
            write(&of_cell, &Cause { status: bare_status(record), ..Cause::default() })?;
        }
    }
    for id in run.open() {
        write(
            &columns::cell(id.as_str(), None, None),
            &Cause { status: "not-run", ..Cause::default() },
        )?;
    }
    Ok(rows)
}

type TakeCause<'t> = dyn FnMut(&Cause) -> io::Result<()> + 't;

/// Scores of the attack, of the null baselines on the same image, then the images that the attack
/// lost.
fn of_record(record: &CellRecord, metrics: &[String], take: &mut TakeCause) -> io::Result<()> {
    for (place, image) in record.images.iter().enumerate() {
        of_image("attack", image, &image.scores, take)?;
        for (name, scores) in &record.baselines {
            if let Some(scores) = scores.get(place) {
                of_image(&format!("null:{name}"), image, scores, take)?;
            }
        }
    }
    for _ in 0..record.lost_images() {
        let lost =
            |metric| Cause { by: Some("attack"), metric, status: "lost", ..Cause::default() };
        // Where no image of the run was scored, there is no metric to name.
        if metrics.is_empty() {
            take(&lost(None))?;
        }
        metrics.iter().try_for_each(|metric| take(&lost(Some(metric))))?;
    }
    Ok(())
}

fn of_image(by: &str, image: &ImageScore, scores: &Scores, take: &mut TakeCause) -> io::Result<()> {
    let cause = |metric, value: Option<f64>| Cause {
        by: Some(by),
        image: Some(image),
        metric,
        value,
        status: if value.is_some() { "measured" } else { "not-measured" },
    };
    if scores.is_empty() {
        take(&cause(None, None))?;
    }
    scores.iter().try_for_each(|(metric, value)| take(&cause(Some(metric), *value)))
}

/// Why a cell has no images at all.
fn bare_status(record: &CellRecord) -> &'static str {
    match record.outcome {
        Outcome::Done => "no-images",
        Outcome::NotApplicable { .. } => "not-applicable",
        Outcome::Failed { .. } => "failed",
    }
}
