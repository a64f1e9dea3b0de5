//! The figures of a report as files: each as PNG (300 dpi) and SVG at the width of a column.

use super::chart::Chart;
use super::draw::draw;
use super::style::Style;
use record::RecordError;
use record::write_whole;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Writes the figures below `dir/figures/` and removes those of an earlier report.
///
/// # Errors
/// [`RecordError::Io`] for the first figure that cannot be drawn or written.
pub(crate) fn write(dir: &Path, charts: &[Chart]) -> Result<(), RecordError> {
    let folder = dir.join("figures");
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), RecordError> {
        while let Some(chart) = charts.get(next.fetch_add(1, Ordering::Relaxed)) {
            save(&folder, chart)?;
        }
        Ok(())
    };
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get().min(charts.len()));
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        all.into_iter().try_for_each(|worker| match worker.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    remove_stale(&folder, charts)
}

fn save(folder: &Path, chart: &Chart) -> Result<(), RecordError> {
    let canvas = draw(chart, &Style::report()).without_face();
    let path = |ending: &str| folder.join(format!("{}.{ending}", chart.name));
    let failed = |ending: &str| {
        let path = path(ending);
        move |message: String| RecordError::io("draw", &path)(std::io::Error::other(message))
    };
    write_whole(&path("png"), &canvas.png().map_err(failed("png"))?)?;
    write_whole(&path("svg"), canvas.svg().map_err(failed("svg"))?.as_bytes())
}

/// Removes figures of an earlier report that this one no longer has.
fn remove_stale(folder: &Path, charts: &[Chart]) -> Result<(), RecordError> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for path in entries.filter_map(|e| Some(e.ok()?.path())) {
        let ours = path.extension().is_some_and(|e| e == "png" || e == "svg");
        let stem = path.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        if ours && !charts.iter().any(|chart| chart.name == stem) {
            std::fs::remove_file(&path).map_err(RecordError::io("remove", &path))?;
        }
    }
    Ok(())
}
