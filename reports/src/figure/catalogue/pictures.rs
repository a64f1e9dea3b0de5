//! Grids of pictures: of the cells that attacked the same images, and of each cell.

use super::{Catalogue, cell_name, page, page_slug, whole};
use crate::figure::chart::{Body, Chart, Grid, GridCell, GridRow, Picture, Width};
use crate::figure::draw::BLACK_AT;
use record::markdown::ranges;
use record::run::Run;
use record::safe_path;
use record::{ImageScore, MetricInfo};
use std::path::{Path, PathBuf};
use suites::figure::{FigureKind, FigureSpec};

/// Images of one cell's grid.
const IMAGES: usize = 18;
/// Grids of one report.
const GRIDS: usize = 40;
/// Images and cells of a comparison.
const COMPARED: (usize, usize) = (5, 8);

/// The grids of the run; those beyond [`GRIDS`] are counted.
pub(super) fn grids(run: &Run, out: &mut Catalogue) {
    let mut own = Catalogue::default();
    run.worlds().iter().for_each(|world| comparisons(run, world, &mut own));
    own.charts.extend(run.attacked().into_iter().filter_map(|at| cell(run, at)));
    let left = own.charts.len().saturating_sub(GRIDS);
    if left > 0 {
        own.remarks.push(format!(
            "{left} more grids were not drawn; all pictures lie in the run folder's `artifacts/`."
        ));
    }
    out.charts.extend(own.charts.into_iter().take(GRIDS));
    out.remarks.extend(own.remarks);
}

/// The same images under several attacks and defenses; several pages where there are many cells.
fn comparisons(run: &Run, world: &[usize], out: &mut Catalogue) {
    let drawn = |at: &usize| run.records[*at].images.iter().any(|i| i.guess_png.is_some());
    let cells: Vec<usize> = world.iter().copied().filter(drawn).collect();
    if cells.len() < 2 {
        return;
    }
    let pages: Vec<&[usize]> = cells.chunks(COMPARED.1).collect();
    for (at, shown) in pages.iter().enumerate() {
        let numbers: Vec<usize> = shown.iter().map(|at| at + 1).collect();
        let name = format!("compare-{}{}", run.world(cells[0]), page_slug(at));
        let own = FigureSpec {
            rows: Some("cell".into()),
            images: Some(COMPARED.0),
            caption: format!(
                "The same images in cells {}, PSNR below each.{}",
                ranges(&numbers),
                page(at, pages.len())
            ),
            ..FigureSpec::new(&name, FigureKind::Grid)
        };
        out.add(run, &own, whole(run, shown));
    }
}

/// Truth, reconstruction and difference of a cell's first images.
fn cell(run: &Run, at: usize) -> Option<Chart> {
    let record = &run.records[at];
    let pictured = |i: &&ImageScore| i.truth_png.is_some() || i.guess_png.is_some();
    let images: Vec<&ImageScore> = record.images.iter().filter(pictured).collect();
    let shown = &images[..images.len().min(IMAGES)];
    let file = |png: &Option<String>| inside(&run.dir, png.as_deref());
    let files: Vec<(Option<PathBuf>, Option<PathBuf>)> =
        shown.iter().map(|i| (file(&i.truth_png), file(&i.guess_png))).collect();
    if files.iter().all(|(truth, guess)| truth.is_none() && guess.is_none()) {
        return None;
    }
    let metrics = score_names(run);
    let one = |file: &Option<PathBuf>| file.clone().map_or(Picture::Gone, Picture::File);
    let apart = |pair: &(Option<PathBuf>, Option<PathBuf>)| match pair {
        (Some(truth), Some(guess)) => Picture::Difference(truth.clone(), guess.clone()),
        _ => Picture::Gone,
    };
    let scores = |i: &ImageScore| metrics.iter().map(|m| score(i, m)).collect::<Vec<_>>().join(" ");
    let row = |label: &str, cells: Vec<GridCell>| GridRow {
        label: label.into(),
        cells: cells.into_iter().map(Some).collect(),
    };
    let bare = |picture| GridCell { picture, caption: String::new() };
    let below = files
        .iter()
        .zip(shown)
        .map(|(pair, i)| GridCell { picture: apart(pair), caption: scores(i) });
    let rows = vec![
        row("truth", files.iter().map(|(truth, _)| bare(one(truth))).collect()),
        row("guess", files.iter().map(|(_, guess)| bare(one(guess))).collect()),
        row("|difference|", below.collect()),
    ];
    let part = if shown.len() < images.len() {
        format!(", the first {} of {}", shown.len(), images.len())
    } else {
        String::new()
    };
    let names: Vec<String> = metrics.iter().map(MetricInfo::label).collect();
    Some(Chart {
        name: format!("grid-{}", record.id),
        caption: format!(
            "{}{part}: truth, reconstruction, and absolute difference (mean over colours; black is \
             {BLACK_AT} of the range or more), with {}.",
            cell_name(run, at),
            names.join(", ")
        ),
        width: Width::Column,
        body: Body::Grid(Grid { heads: vec![String::new(); shown.len()], rows }),
        remarks: Vec::new(),
    })
}

/// The path of a picture that lies in the run folder: records may come from elsewhere, so nothing
/// outside is opened.
fn inside(dir: &Path, below: Option<&str>) -> Option<PathBuf> {
    let path = dir.join(below.filter(|b| safe_path(Path::new(b)))?);
    path.is_file().then_some(path)
}

/// PSNR, SSIM and the first LPIPS, if measured anywhere.
fn score_names(run: &Run) -> Vec<MetricInfo> {
    let measured = || run.metric_names.iter().filter(|n| run.has_mean(n));
    let fixed = measured().filter(|n| *n == "psnr" || *n == "ssim");
    let lpips = measured().find(|n| n.starts_with("lpips-"));
    fixed.chain(lpips).map(|n| run.metric(n)).collect()
}

fn score(image: &ImageScore, metric: &MetricInfo) -> String {
    match image.scores.get(&metric.name).copied().flatten() {
        None => "–".into(),
        Some(v) if v == f64::INFINITY => "exact".into(),
        Some(v) if metric.unit == "dB" => format!("{v:.1}"),
        Some(v) => format!("{v:.2}"),
    }
}
