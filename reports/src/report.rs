//! `report/`: Markdown, figures, CSV and JSON of a run folder.

use crate::{ReportError, export, figures, html, tables};
use record::run::Run;
use record::store::write_whole;
use std::path::{Path, PathBuf};

/// Writes `report/` of the run in `run_dir` and returns the path of its `report.md`.
///
/// Works on unfinished runs, on runs that another process is still writing, and where pictures are
/// missing: the report is of what is there.
///
/// # Errors
/// [`ReportError`] where the run folder cannot be read or `report/` cannot be written.
pub fn write_report(run_dir: &Path) -> Result<PathBuf, ReportError> {
    let run = Run::load(run_dir)?;
    let dir = run_dir.join("report");
    let (records, cells) = (dir.join("records.csv"), dir.join("cells.csv"));
    write_whole(&records, &export::records_csv(&run, &records)?)?;
    write_whole(&cells, &export::cells_csv(&run, &cells)?)?;
    write_whole(&dir.join("summary.json"), &export::summary_json(&run))?;
    let figures = figures::write(&run, &dir)?;
    let path = dir.join("report.md");
    let text = markdown(&run, &figures);
    write_whole(&path, text.as_bytes())?;
    write_whole(&dir.join("report.html"), html::page(&run, &text).as_bytes())?;
    Ok(path)
}

/// The text of `report.md`.
fn markdown(run: &Run, figures: &str) -> String {
    let files = "## Files\n\n- [records.csv](records.csv): one row per image and metric\n- \
        [cells.csv](cells.csv): one row per cell\n\
                 - [summary.json](summary.json): all of this for programs\n";
    format!("{}{figures}{files}", tables::sections(run))
}
