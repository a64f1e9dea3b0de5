//! Everything of a paper, written: figures, the numbers behind them, tables, LaTeX, the manifest.

use super::defaults::defaults;
use super::manifest::{Origin, manifest};
use super::table::table;
use super::{reproduce, stale_files};
use crate::ReportError;
use crate::figure::chart::Chart;
use crate::figure::draw::draw;
use crate::figure::select::{Selected, Source, select};
use crate::figure::style::{Style, StyleName};
use crate::report::{latex, markdown};
use record::run::Run;
use record::store::{CELLS, write_whole};
use record::{CellRecord, RecordError};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use suites::SpecError;
use suites::figure::{Declared, FigureSpec, Place, TableSpec, declared, declared_in_file};

/// What was written for a paper.
#[derive(Clone, Debug, Default)]
pub struct PaperSummary {
    /// Every file, relative to the output folder, the manifest last.
    pub files: Vec<PathBuf>,
    /// Figures drawn.
    pub figures: usize,
    /// Tables made.
    pub tables: usize,
    /// One line for each figure or table that could not be made; all others were.
    pub errors: Vec<String>,
    /// What must be said of the run as a whole, such as cells that have no record yet.
    pub remarks: Vec<String>,
    /// Where figures and tables were declared, in words.
    pub declared_by: String,
}

/// One figure or table as the manifest knows it.
#[derive(Default)]
pub(super) struct Made {
    pub what: &'static str,
    pub name: String,
    pub spec: Map<String, Value>,
    /// File and line of its declaration.
    pub place: String,
    pub files: Vec<String>,
    pub cells: Vec<String>,
    /// Files of the run folder that it was drawn from, with their hashes.
    pub sources: Vec<Source>,
    pub remarks: Vec<String>,
    pub error: Option<String>,
}

/// Folders of the output, and the file that lists everything in it.
pub(super) const FIGURES: &str = "figures";
pub(super) const DATA: &str = "data";
pub(super) const TABLES: &str = "tables";
pub(super) const MANIFEST: &str = "manifest.json";

/// The files written so far, with their hashes.
struct Out<'a> {
    dir: &'a Path,
    files: Vec<(String, String, usize)>,
}

impl Out<'_> {
    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<String, ReportError> {
        write_whole(&self.dir.join(name), bytes)?;
        self.files.push((name.to_owned(), blake3::hash(bytes).to_hex().to_string(), bytes.len()));
        Ok(name.to_owned())
    }
}

/// Writes figures, tables and all that goes with them of the run in `run` to the folder `out`, at
/// the widths of `style`.
///
/// They are those that the file `figures` declares, else those of the run's suite, else what the
/// run suggests. A figure that cannot be made leaves the others alone and is one line of
/// [`PaperSummary::errors`]. Works on unfinished runs. The same records give the same bytes. What
/// an earlier call left in `out` and this one does not write again is removed.
///
/// # Errors
/// [`ReportError`] where the run cannot be read, `figures` is not TOML, or a file cannot be
/// written.
pub fn write_paper(
    run: &Path,
    out: &Path,
    style: StyleName,
    figures: Option<&Path>,
) -> Result<PaperSummary, ReportError> {
    let loaded = Run::load(run)?;
    let (wanted, origin) = wanted(&loaded, figures)?;
    let mut summary = PaperSummary {
        declared_by: origin.words.clone(),
        remarks: state(&loaded)?,
        ..Default::default()
    };
    let mut files = Out { dir: out, files: Vec::new() };
    let mut made = Vec::new();
    let mut floats = String::from(
        "% needs \\usepackage{graphicx} and \\usepackage{textcomp}; paths are seen from this \
         file, and every picture has its width\n",
    );
    for (name, spec) in wanted.figures {
        made.push(one_figure(&loaded, style, (name, spec), &mut files, &mut floats)?);
    }
    for (name, spec) in wanted.tables {
        made.push(one_table(&loaded, (name, spec), &mut files)?);
    }
    let fine = |what: &str| made.iter().filter(|m| m.what == what && m.error.is_none()).count();
    (summary.figures, summary.tables) = (fine("figure"), fine("table"));
    summary.errors = made.iter().filter_map(|m| m.error.clone()).collect();
    if let (true, Some(path)) = (made.is_empty(), figures) {
        summary.errors.push(format!(
            "{}: declares no [[figure]] and no [[table]]; add one, or leave the file out",
            file_name(path)
        ));
    }
    files.write("figures.tex", floats.as_bytes())?;
    let regenerate = match figures {
        None => format!("bench paper RUN --style {}", style.name()),
        Some(path) => {
            format!("bench paper RUN --style {} --figures {}", style.name(), file_name(path))
        }
    };
    let section = reproduce::section(&loaded, &regenerate);
    files.write("reproducibility.md", markdown::section(&section).as_bytes())?;
    let paragraph = reproduce::tex(&loaded, &regenerate);
    summary
        .remarks
        .extend(latex::unknown_remark(&paragraph).map(|r| format!("reproducibility.tex: {r}")));
    files.write("reproducibility.tex", paragraph.as_bytes())?;
    let fresh: BTreeSet<&str> = files.files.iter().map(|(path, ..)| path.as_str()).collect();
    summary.remarks.extend(stale_files::remove(out, &fresh)?);
    let text = manifest(&loaded, style.name(), &origin, &made, &files.files, &summary);
    files.write(MANIFEST, &text)?;
    summary.files = files.files.into_iter().map(|(path, ..)| path.into()).collect();
    Ok(summary)
}

/// What is to be drawn, and who says so.
fn wanted(run: &Run, figures: Option<&Path>) -> Result<(Declared, Origin), ReportError> {
    if let Some(path) = figures {
        let words = format!("the file {}", file_name(path));
        return Ok((declared_in_file(path)?, Origin { words, text: String::new() }));
    }
    let suite = &run.info.suite;
    // A run made from flags stores no TOML, and declares nothing.
    let own = declared(&format!("{}.toml", suite.name), &suite.text).unwrap_or_default();
    if !own.figures.is_empty() || !own.tables.is_empty() {
        return Ok((
            own,
            Origin { words: format!("the suite {}", suite.name), text: String::new() },
        ));
    }
    let text = defaults(run);
    let words =
        "nobody: the suite has no [[figure]] and no [[table]], so these were derived from the run"
            .to_owned();
    Ok((declared("defaults", &text)?, Origin { words, text }))
}

/// What must be said of a run that is not whole.
fn state(run: &Run) -> Result<Vec<String>, ReportError> {
    let mut out = Vec::new();
    let open = run.info.suite.cells.len().saturating_sub(run.records.len());
    if open > 0 {
        out.push(format!(
            "{open} of {} cells have no record yet; this is of the others",
            run.info.suite.cells.len()
        ));
    }
    let path = run.dir.join(CELLS);
    let bytes = match suites::foreign::read(&path, &suites::foreign::limits::RUN) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(RecordError::io("read", &path)(e).into()),
    };
    let last = bytes.split_inclusive(|b| *b == b'\n').next_back();
    let torn = last
        .is_some_and(|l| !l.ends_with(b"\n") || serde_json::from_slice::<CellRecord>(l).is_err());
    if torn {
        out.push(
            "the last line of cells.jsonl is torn and left out: the run is still being \
            written, or was killed"
                .into(),
        );
    }
    Ok(out)
}

fn ids(run: &Run, cells: &[usize]) -> Vec<String> {
    cells.iter().map(|at| run.records[*at].id.to_string()).collect()
}

fn failed(what: &'static str, name: String, error: &SpecError) -> Made {
    Made { what, name, error: Some(told(error)), ..Made::default() }
}

/// The last part of a path, or all of one that has none.
fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

/// An error with the name of the file alone, wherever that lies.
fn told(error: &SpecError) -> String {
    match error {
        SpecError::At { file, line, error } => {
            format!("{}:{line}: {}", file_name(Path::new(file)), told(error))
        }
        other => other.to_string(),
    }
}

/// File and line, wherever the file lies: the manifest is to be the same.
fn place(place: &Place) -> String {
    format!("{}:{}", file_name(Path::new(&place.file)), place.line)
}

fn one_figure(
    run: &Run,
    style: StyleName,
    (name, spec): (String, Result<FigureSpec, SpecError>),
    files: &mut Out,
    floats: &mut String,
) -> Result<Made, ReportError> {
    let spec = match spec {
        Ok(spec) => spec,
        Err(error) => return Ok(failed("figure", name, &error)),
    };
    let (given, at) = (spec.given.clone(), place(&spec.place));
    let Selected { chart, sheet, cells, sources } = match select(run, &spec) {
        Ok(selected) => selected,
        Err(error) => return Ok(Made { spec: given, place: at, ..failed("figure", name, &error) }),
    };
    let data = format!("{DATA}/{name}.csv");
    let mut written = vec![files.write(&data, &sheet.csv(&files.dir.join(&data))?)?];
    let mut made = Made {
        what: "figure",
        name: name.clone(),
        spec: given,
        place: at,
        cells: ids(run, &cells),
        sources,
        remarks: chart.remarks.clone(),
        ..Made::default()
    };
    match inked(&chart, style) {
        Ok(drawn) => {
            for (ending, bytes) in drawn {
                written.push(files.write(&format!("{FIGURES}/{name}.{ending}"), &bytes)?);
            }
            let pdf = format!("{FIGURES}/{name}.pdf");
            let float =
                latex::figure(&chart.name, &pdf, spec.width, &chart.caption, &chart.remarks);
            made.remarks.extend(latex::unknown_remark(&float));
            *floats += "\n";
            *floats += &float;
        }
        Err(message) => {
            made.error = Some(format!("{}: figure `{name}` cannot be drawn: {message}", made.place))
        }
    }
    made.files = written;
    Ok(made)
}

/// The figure in each format, by its ending.
fn inked(chart: &Chart, style: StyleName) -> Result<[(&'static str, Vec<u8>); 3], String> {
    let canvas = draw(chart, &Style::named(style));
    Ok([("pdf", canvas.pdf()?), ("svg", canvas.svg()?.into_bytes()), ("png", canvas.png()?)])
}

fn one_table(
    run: &Run,
    (name, spec): (String, Result<TableSpec, SpecError>),
    files: &mut Out,
) -> Result<Made, ReportError> {
    let spec = match spec {
        Ok(spec) => spec,
        Err(error) => return Ok(failed("table", name, &error)),
    };
    let (given, at) = (spec.given.clone(), place(&spec.place));
    let mut tabled = match table(run, &spec) {
        Ok(tabled) => tabled,
        Err(error) => return Ok(Made { spec: given, place: at, ..failed("table", name, &error) }),
    };
    tabled.remarks.extend(latex::unknown_remark(&tabled.tex));
    let csv = format!("{TABLES}/{name}.csv");
    let written = vec![
        files.write(&format!("{TABLES}/{name}.tex"), tabled.tex.as_bytes())?,
        files.write(&csv, &tabled.sheet.csv(&files.dir.join(&csv))?)?,
    ];
    Ok(Made {
        what: "table",
        name,
        spec: given,
        place: at,
        files: written,
        cells: ids(run, &tabled.cells),
        remarks: tabled.remarks,
        ..Made::default()
    })
}
