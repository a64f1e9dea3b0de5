//! The figures of a report, each as PNG (300 dpi) and SVG at the width of a paper's column.

mod bars;
mod boxes;
mod choose;
mod curves;
mod distributions;
mod frontier;
mod grid;
pub(crate) mod history;
mod labelled;
mod leakage;
mod lines;
mod panel;
mod pictures;
mod points;
mod progress;
mod stacked;
pub(crate) mod training;

use crate::ink::{axis, canvas, font, palette};
use canvas::Canvas;
use record::RecordError;
use record::axes::Distinguishing;
use record::markdown::escape;
use record::run::Run;
use record::store::write_whole;
use std::path::Path;

/// A figure with its file name (without ending) and what it shows.
struct Figure {
    name: String,
    caption: String,
    canvas: Canvas,
}

impl Figure {
    fn new(name: impl Into<String>, caption: impl Into<String>, canvas: Canvas) -> Self {
        Figure { name: name.into(), caption: caption.into(), canvas }
    }
}

/// Writes every figure the run has data for below `dir/figures/` and returns the report's section.
pub(crate) fn write(run: &Run, dir: &Path) -> Result<String, RecordError> {
    let (grids, omitted) = pictures::grids(run);
    let drawn = frontier::all(run)
        .into_iter()
        .chain(leakage::all(run))
        .chain(choose::bars(run))
        .chain(distributions::all(run))
        .chain(curves::all(run));
    let section = save_all(dir, drawn.chain(grids).collect(), "No cell has anything to draw yet.")?;
    Ok(section + &omitted)
}

/// Writes the figures below `dir/figures/`, removes those of an earlier report, and returns the
/// section that shows them.
fn save_all(dir: &Path, figures: Vec<Figure>, otherwise: &str) -> Result<String, RecordError> {
    let folder = dir.join("figures");
    let (mut text, mut written) = (String::from("## Figures\n\n"), Vec::new());
    for figure in figures {
        save(&folder, &figure)?;
        let name = &figure.name;
        text.push_str(&format!(
            "![{name}](figures/{name}.png)\n\n{} ([SVG](figures/{name}.svg))\n\n",
            escape(&figure.caption)
        ));
        written.push(figure.name);
    }
    if written.is_empty() {
        text.push_str(&format!("{otherwise}\n\n"));
    }
    remove_stale(&folder, &written)?;
    Ok(text)
}

fn save(folder: &Path, figure: &Figure) -> Result<(), RecordError> {
    let path = |ending: &str| folder.join(format!("{}.{ending}", figure.name));
    let failed = |ending: &str| {
        let path = path(ending);
        move |message: String| RecordError::io("draw", &path)(std::io::Error::other(message))
    };
    write_whole(&path("png"), &figure.canvas.png().map_err(failed("png"))?)?;
    write_whole(&path("svg"), figure.canvas.svg().map_err(failed("svg"))?.as_bytes())
}

/// Removes figures of an earlier report that this one no longer has.
fn remove_stale(folder: &Path, written: &[String]) -> Result<(), RecordError> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for path in entries.filter_map(|e| Some(e.ok()?.path())) {
        let ours = path.extension().is_some_and(|e| e == "png" || e == "svg");
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        if ours && !written.iter().any(|name| name == stem) {
            std::fs::remove_file(&path).map_err(RecordError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// What tells cell `at` from those it stands beside; its attack where nothing does.
fn cell_name(run: &Run, at: usize, distinguishing: &Distinguishing, except: &[&str]) -> String {
    let label = run.axes.label(at, distinguishing, except);
    let label = if label.is_empty() { run.axes.attacks[at].clone() } else { label };
    unbroken(&short(&label))
}

/// The label with the letters of privacy for their names.
fn short(label: &str) -> String {
    label.replace("epsilon = ", "ε=").replace("delta = ", "δ=")
}

/// The label with its short parts kept in one line.
fn unbroken(label: &str) -> String {
    let part = |part: &str| {
        if part.chars().count() <= 24 { part.replace(' ', "\u{a0}") } else { part.into() }
    };
    label.split(" · ").map(part).collect::<Vec<String>>().join("\u{a0}· ")
}

/// "psnr", "lpips-squeeze" as a part of a file name.
fn slug(text: &str) -> String {
    let mapped =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let joined: String = mapped.collect();
    joined.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// "" for a single page, else " (2 of 3)".
fn page(at: usize, of: usize) -> String {
    if of > 1 { format!(" ({} of {of})", at + 1) } else { String::new() }
}

/// "" for the first page, else "-2".
fn page_slug(at: usize) -> String {
    if at == 0 { String::new() } else { format!("-{}", at + 1) }
}
