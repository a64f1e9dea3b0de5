//! `report/`: Markdown, HTML, LaTeX, figures, CSV and JSON of a run folder.

pub(crate) mod latex;
pub(crate) mod markdown;
pub(crate) mod model;

use crate::figure::{catalogue, files};
use crate::{ReportError, export, html, tables};
use model::{Section, Span, Text};
use record::run::Run;
use record::write_whole;
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
    let drawn = catalogue::of_run(&run);
    files::write(&dir, &drawn.charts)?;
    let mut report = tables::report(&run, drawn);
    report.details.push(Section::new("Files").list(files_beside()));
    let path = dir.join("report.md");
    write_whole(&path, markdown::render(&report).as_bytes())?;
    write_whole(&dir.join("report.tex"), latex::render(&report).as_bytes())?;
    write_whole(&dir.join("report.html"), html::page(&run, &report, &dir).as_bytes())?;
    Ok(path)
}

fn files_beside() -> Vec<Text> {
    let all = [
        ("records.csv", "one row per image and metric"),
        ("cells.csv", "one row per cell"),
        ("summary.json", "all of this for programs"),
        ("report.tex", "this report as LaTeX"),
    ];
    let line = |(file, what): (&str, &str)| {
        Text(vec![Span::Link(file.into(), file.into()), Span::Words(format!(": {what}"))])
    };
    all.map(line).to_vec()
}
