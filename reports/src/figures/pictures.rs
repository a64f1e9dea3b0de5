//! Grids of pictures: of each cell, and of the cells that attacked the same images.

use super::grid::{BLACK_AT, Strip, Tile, difference, draw};
use super::{Figure, cell_name, page, page_slug};
use image::{ImageReader, Limits, RgbImage};
use record::ImageScore;
use record::metrics::{Metric, in_order};
use record::run::Run;
use std::path::{Component, Path};

/// Pictures side by side.
const COLUMNS: usize = 6;
/// Images of one cell's grid.
const IMAGES: usize = 18;
/// Grids of one report.
const GRIDS: usize = 40;
/// Images and cells of a comparison.
const COMPARED: (usize, usize) = (5, 8);
/// Largest side of a picture that is read, in pixels.
const SIDE: u32 = 4096;

/// The grids of the run, and a remark on those left out.
pub(super) fn grids(run: &Run) -> (Vec<Figure>, String) {
    let mut out: Vec<Figure> =
        run.worlds().iter().flat_map(|world| comparisons(run, world)).collect();
    out.extend(run.attacked().into_iter().filter_map(|at| cell(run, at)));
    let left = out.len().saturating_sub(GRIDS);
    out.truncate(GRIDS);
    let remark = match left {
        0 => String::new(),
        _ => format!(
            "{left} more grids were not drawn; all pictures lie in the run folder's \
             `artifacts/`.\n\n"
        ),
    };
    (out, remark)
}

/// Reads a picture below the run folder; anything else than a readable picture there is none.
fn load(dir: &Path, below: Option<&String>) -> Option<RgbImage> {
    let below = Path::new(below?);
    // Records may come from elsewhere: nothing outside the run folder is opened.
    if !below.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
        return None;
    }
    let mut reader = ImageReader::open(dir.join(below)).ok()?.with_guessed_format().ok()?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(SIDE), Some(SIDE));
    reader.limits(limits);
    Some(reader.decode().ok()?.to_rgb8())
}

fn has_picture(image: &&ImageScore) -> bool {
    image.truth_png.is_some() || image.guess_png.is_some()
}

/// Truth, reconstruction and difference of a cell's first images.
fn cell(run: &Run, at: usize) -> Option<Figure> {
    let record = &run.records[at];
    let images: Vec<&ImageScore> = record.images.iter().filter(has_picture).collect();
    let shown = &images[..images.len().min(IMAGES)];
    let metrics = score_names(run);
    let bands: Vec<Vec<Strip>> =
        shown.chunks(COLUMNS).map(|band| strips(run, band, &metrics)).collect();
    if !bands.iter().flatten().flat_map(|s| &s.tiles).any(|t| t.picture.is_some()) {
        return None;
    }
    let part = if shown.len() < images.len() {
        format!(", the first {} of {}", shown.len(), images.len())
    } else {
        String::new()
    };
    let name = cell_name(run, at, &run.distinguishing, &[]);
    let caption = format!(
        "Cell {}, {name}{part}: truth, reconstruction, and absolute difference (mean over \
         colours; black is {BLACK_AT} of the range or more).",
        at + 1
    );
    Some(Figure::new(
        format!("grid-{}", record.id),
        caption,
        draw(&format!("#{} {name}", at + 1), &bands),
    ))
}

fn strips(run: &Run, images: &[&ImageScore], metrics: &[Metric]) -> Vec<Strip> {
    let (mut truths, mut guesses, mut differences) = (Vec::new(), Vec::new(), Vec::new());
    for image in images {
        let truth = load(&run.dir, image.truth_png.as_ref());
        let guess = load(&run.dir, image.guess_png.as_ref());
        let apart = truth.as_ref().zip(guess.as_ref()).and_then(|(t, g)| difference(t, g));
        truths.push(Tile { picture: truth, below: Vec::new() });
        guesses.push(Tile { picture: guess, below: Vec::new() });
        differences.push(Tile {
            picture: apart,
            below: metrics.iter().map(|m| score(image, m)).collect(),
        });
    }
    let strip = |name: &str, tiles| Strip { name: name.into(), tiles, below: Vec::new() };
    let mut last = strip("|difference|", differences);
    last.below = metrics.iter().map(short_label).collect();
    vec![strip("truth", truths), strip("reconstruction", guesses), last]
}

/// A metric's name where there is little room.
fn short_label(metric: &Metric) -> String {
    if metric.name.starts_with("lpips-") { "LPIPS".into() } else { metric.label() }
}

/// PSNR, SSIM and the first LPIPS, if measured anywhere.
fn score_names(run: &Run) -> Vec<Metric> {
    let measured = |name: &String| run.cells.iter().any(|c| c.mean(name).is_some());
    let names = in_order(run.cells.iter().flat_map(|c| c.metrics.keys().cloned()));
    let lpips = names.iter().find(|n| n.starts_with("lpips-") && measured(n));
    let fixed = ["psnr", "ssim"].map(String::from);
    fixed.iter().filter(|n| measured(n)).chain(lpips).map(|n| Metric::of(n)).collect()
}

fn score(image: &ImageScore, metric: &Metric) -> String {
    match image.scores.get(&metric.name).copied().flatten() {
        None => "–".into(),
        Some(v) if v == f64::INFINITY => "exact".into(),
        Some(v) if metric.unit == "dB" => format!("{v:.1}"),
        Some(v) => format!("{v:.2}"),
    }
}

/// The same images under several attacks and defences, PSNR below each; several pages where there
/// are many cells.
fn comparisons(run: &Run, world: &[usize]) -> Vec<Figure> {
    let drawn = |at: &usize| run.records[*at].images.iter().any(|i| i.guess_png.is_some());
    let cells: Vec<usize> = world.iter().copied().filter(drawn).collect();
    if cells.len() < 2 {
        return Vec::new();
    }
    let pages: Vec<&[usize]> = cells.chunks(COMPARED.1).collect();
    let draw = |(at, page): (usize, &&[usize])| comparison(run, &cells, page, (at, pages.len()));
    pages.iter().enumerate().map(draw).collect()
}

fn comparison(run: &Run, cells: &[usize], shown: &[usize], (at, of): (usize, usize)) -> Figure {
    let first: Vec<&ImageScore> = run.records[cells[0]].images.iter().take(COMPARED.0).collect();
    let truth =
        |i: &&ImageScore| Tile { picture: load(&run.dir, i.truth_png.as_ref()), below: Vec::new() };
    let truths = first.iter().map(truth).collect();
    let mut strips = vec![Strip { name: "truth".into(), tiles: truths, below: Vec::new() }];
    let (psnr, distinguishing) = (Metric::of("psnr"), run.axes.distinguishing(cells, &[]));
    for &cell in shown {
        let tile = |like: &&ImageScore| {
            let place =
                |i: &&ImageScore| (i.trial, i.index, i.id) == (like.trial, like.index, like.id);
            match run.records[cell].images.iter().find(place) {
                Some(i) => Tile {
                    picture: load(&run.dir, i.guess_png.as_ref()),
                    below: vec![score(i, &psnr)],
                },
                None => Tile { picture: None, below: vec!["–".into()] },
            }
        };
        let (name, tiles) =
            (cell_name(run, cell, &distinguishing, &[]), first.iter().map(tile).collect());
        strips.push(Strip { name, tiles, below: vec![psnr.label()] });
    }
    let numbers: Vec<usize> = shown.iter().map(|at| at + 1).collect();
    let caption = format!(
        "The same images in cells {}, PSNR below each.",
        record::markdown::ranges(&numbers)
    );
    let name = format!("compare-{}{}", run.records[cells[0]].spec.world_key(), page_slug(at));
    Figure::new(name, caption, draw(&format!("The same images{}", page(at, of)), &[strips]))
}
