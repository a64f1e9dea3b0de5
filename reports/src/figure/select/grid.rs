//! Truths above what each of several settings made of them.

use super::Work;
use super::groups;
use super::montage::{picture, score};
use crate::figure::chart::{Body, Grid, GridCell, GridRow, Picture};
use crate::figure::columns::Setting;
use crate::figure::data::{Sheet, shown};
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use record::MetricInfo;
use record::markdown::counted;
use record::run::Run;
use suites::SpecError;

/// Images shown where nothing is said.
const IMAGES: usize = 6;

/// Rows that still fit a page.
const ROWS: usize = 14;

/// An image of a data set, with a cell and its place there that has a picture of it.
pub(super) struct Image {
    pub key: String,
    pub at: usize,
    pub place: usize,
    rows: usize,
}

pub(super) fn grid(work: &mut Work) -> Result<(Body, Sheet), SpecError> {
    let Measure::Metric(metric) = work.measure("y", "psnr")? else {
        let error =
            SpecError::value("y", "is no score of images", "name one, such as `psnr` or `ssim`");
        return Err(work.spec.place.blame("y", error));
    };
    let setting = work.setting("rows", Some("cell"))?.unwrap_or(Setting::Cell);
    let parts = groups::part(work.run, &setting, &work.picked);
    work.refuse_many("rows", &setting, parts.len(), ROWS, "rows")?;
    let most = work.spec.images.unwrap_or(IMAGES);
    let images = choose(work, parts.iter().map(|(_, cells)| cells.as_slice()), most);
    let mut sheet = Sheet::new(["row", "column", "cell", "image", "metric", "score", "picture"]);
    let mut rows = vec![truths(work, &images, &mut sheet)];
    for (key, cells) in &parts {
        let label = setting.spoken(key);
        let row = guesses(work, &metric, &images, &label, cells, &mut sheet);
        rows.push(row);
    }
    let heads = vec![String::new(); images.len()];
    let grid = Grid { heads, rows };
    let any = grid
        .rows
        .iter()
        .skip(1)
        .flat_map(|r| &r.cells)
        .flatten()
        .any(|c| c.picture != Picture::Gone);
    let grid = if work.spec.transpose { transposed(grid) } else { grid };
    Ok((Body::Grid(grid), if any { sheet } else { Sheet::default() }))
}

pub(super) fn image_key(run: &Run, at: usize, place: usize) -> String {
    let task = &run.records[at].spec.task;
    format!("{} {} {:?} {}", task.dataset, task.split, task.size, run.records[at].images[place].id)
}

/// The `most` images that most rows have, then in the suite's order.
pub(super) fn choose<'a>(
    work: &mut Work,
    rows: impl Iterator<Item = &'a [Picked]>,
    most: usize,
) -> Vec<Image> {
    let mut all: Vec<Image> = Vec::new();
    for cells in rows {
        let mut seen: Vec<String> = Vec::new();
        for cell in cells {
            for &place in &cell.images {
                let key = image_key(work.run, cell.at, place);
                if seen.contains(&key) {
                    continue;
                }
                seen.push(key.clone());
                match all.iter_mut().find(|i| i.key == key) {
                    Some(image) => image.rows += 1,
                    None => all.push(Image { key, at: cell.at, place, rows: 1 }),
                }
            }
        }
    }
    let found = all.len();
    all.sort_by_key(|image| std::cmp::Reverse(image.rows));
    all.truncate(most);
    if found > all.len() {
        work.remark(format!("{} of {found} images shown", all.len()));
    }
    all
}

fn truths(work: &mut Work, images: &[Image], sheet: &mut Sheet) -> GridRow {
    let mut cells = Vec::new();
    for (column, image) in images.iter().enumerate() {
        let record = &work.run.records[image.at];
        let own = &record.images[image.place];
        let file = own.truth_png.clone();
        sheet.push(sheet_row(
            "truth",
            column,
            record.id.as_str(),
            own.id,
            "",
            None,
            file.as_deref(),
        ));
        cells.push(Some(framed(work, file.as_deref(), String::new())));
    }
    GridRow { label: "truth".into(), cells }
}

fn guesses(
    work: &mut Work,
    metric: &MetricInfo,
    images: &[Image],
    label: &str,
    cells: &[Picked],
    sheet: &mut Sheet,
) -> GridRow {
    let mut row = Vec::new();
    for (column, image) in images.iter().enumerate() {
        let run = work.run;
        let own = |cell: &Picked| {
            cell.images
                .iter()
                .copied()
                .filter(|p| image_key(run, cell.at, *p) == image.key)
                .map(|p| (cell.at, p))
                .collect::<Vec<_>>()
        };
        let all: Vec<(usize, usize)> = cells.iter().flat_map(own).collect();
        if all.len() > 1 {
            work.remark(format!(
                "{label}: several reconstructions of one image; the first in the suite's order is \
                 shown"
            ));
        }
        let Some(&(at, place)) = all.first() else {
            let lost: usize = cells.iter().map(|c| c.lost).sum();
            work.remark(match lost {
                0 => format!(
                    "{label}: not every image of the other rows was attacked; its place is left \
                     blank"
                ),
                _ => format!(
                    "{label}: {} lost to failed attacks; their places are left blank",
                    counted(lost, "image")
                ),
            });
            row.push(None);
            continue;
        };
        work.used.insert(at);
        row.push(guess(work, metric, (label, column), (at, place), sheet));
    }
    GridRow { label: label.to_owned(), cells: row }
}

fn guess(
    work: &mut Work,
    metric: &MetricInfo,
    (label, column): (&str, usize),
    (at, place): (usize, usize),
    sheet: &mut Sheet,
) -> Option<GridCell> {
    let record = &work.run.records[at];
    let own = &record.images[place];
    let value = own.scores.get(&metric.name).copied().flatten();
    let caption = value.map_or("not measured".into(), |v| score(metric, v));
    sheet.push(sheet_row(
        label,
        column,
        record.id.as_str(),
        own.id,
        &metric.name,
        value,
        own.guess_png.as_deref(),
    ));
    Some(framed(work, own.guess_png.as_deref(), caption))
}

/// A picture that is gone keeps its place and its score.
fn framed(work: &mut Work, file: Option<&str>, caption: String) -> GridCell {
    let gone = GridCell { picture: Picture::Gone, caption: caption.clone() };
    picture(work, file, caption).unwrap_or(gone)
}

fn sheet_row(
    label: &str,
    column: usize,
    cell: &str,
    image: usize,
    metric: &str,
    value: Option<f64>,
    file: Option<&str>,
) -> Vec<String> {
    let words = [label.to_owned(), (column + 1).to_string(), cell.to_owned(), image.to_string()];
    words
        .into_iter()
        .chain([metric.to_owned(), shown(value), file.unwrap_or_default().to_owned()])
        .collect()
}

/// One column per setting instead of one row.
fn transposed(grid: Grid) -> Grid {
    let heads = grid.rows.iter().map(|r| r.label.clone()).collect();
    let row = |column: usize| GridRow {
        label: String::new(),
        cells: grid.rows.iter().map(|r| r.cells.get(column).cloned().flatten()).collect(),
    };
    Grid { heads, rows: (0..grid.heads.len()).map(row).collect() }
}
