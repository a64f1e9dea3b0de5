//! `history.md`: the runs below a folder, night after night, as curves and CSV, with regressions
//! marked.

mod output;

use crate::ReportError;
use crate::figure::files;
use crate::report::markdown;
use compare::history::History;
use record::write_whole;
use std::path::{Path, PathBuf};
use suites::Gate;

/// What [`write_history`] found and wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySummary {
    /// Runs shown.
    pub runs: usize,
    /// Suites and profiles among them.
    pub groups: usize,
    /// Runs that regressed against the one before them.
    pub regressed: usize,
    /// Folders left out, one line each.
    pub skipped: Vec<String>,
    /// The page, `history.md`.
    pub page: PathBuf,
}

/// Writes `out/history.md`, `out/history.csv` and `out/figures/` on every run folder below `dir`,
/// as [`History::read`] groups and compares them.
///
/// # Errors
/// [`compare::CompareError::Incomparable`] where no run is found below `dir`;
/// [`record::RecordError::Io`].
pub fn write_history(
    dir: &Path,
    out: &Path,
    gate: Option<&Gate>,
) -> Result<HistorySummary, ReportError> {
    let History { groups, skipped } = History::read(dir, gate)?;
    let charts: Vec<_> =
        groups.iter().flat_map(|(title, nights)| output::charts(title, nights)).collect();
    files::write(out, &charts)?;
    let csv = out.join("history.csv");
    write_whole(&csv, &output::csv(&groups, &csv)?)?;
    let page = out.join("history.md");
    let report = output::page(&groups, &skipped, &charts);
    write_whole(&page, markdown::render(&report).as_bytes())?;
    let nights = || groups.values().flatten();
    Ok(HistorySummary {
        runs: nights().count(),
        groups: groups.len(),
        regressed: nights().filter(|n| !n.regressions().is_empty()).count(),
        skipped,
        page,
    })
}
