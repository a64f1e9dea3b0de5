//! The best reconstructions of the whole run, truth above guess, one of each original at most.

use super::Work;
use super::grid::image_key;
use crate::figure::chart::{Body, Grid, GridCell, GridRow, Picture};
use crate::figure::columns::Setting;
use crate::figure::data::{Sheet, shown};
use crate::figure::measure::Measure;
use record::markdown::counted;
use record::{MetricInfo, safe_path};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use suites::SpecError;
use suites::figure::FigureWidth;

/// Reconstructions shown where nothing is said.
const TOP: usize = 12;

/// One image with its rank's score.
struct Ranked {
    at: usize,
    image: usize,
    score: f64,
}

pub(super) fn montage(work: &mut Work) -> Result<(Body, Sheet), SpecError> {
    let Measure::Metric(metric) = work.measure("y", "psnr")? else {
        let error =
            SpecError::value("y", "is no score of images", "name one, such as `psnr` or `ssim`");
        return Err(work.spec.place.blame("y", error));
    };
    let mut all = ranked(work, &metric)?;
    let found = all.len();
    let mut seen = BTreeSet::new();
    all.retain(|item| seen.insert(image_key(work.run, item.at, item.image)));
    if all.len() < found {
        work.remark("of each original the best reconstruction".into());
    }
    all.truncate(work.spec.top.unwrap_or(TOP));
    work.remark(format!("the best {} of {found} reconstructions by {}", all.len(), metric.title));
    let default = if work.spec.width == FigureWidth::Page { 6 } else { 4 };
    let per_row = work.spec.per_row.unwrap_or(default).min(all.len().max(1));
    let of = |item: &Ranked| (item.at, label(work, item.at));
    let (labels, told) = Labels::new(&all.iter().map(of).collect());
    told.into_iter().for_each(|told| work.remark(told));
    let mut sheet =
        Sheet::new(["rank", "cell", "setting", "image", "metric", "score", "truth", "guess"]);
    let mut rows = Vec::new();
    for (block, chunk) in all.chunks(per_row).enumerate() {
        let (mut truths, mut guesses) = (Vec::new(), Vec::new());
        for (place, item) in chunk.iter().enumerate() {
            let rank = block * per_row + place + 1;
            let (truth, guess, row) = pictures(work, item, (rank, &labels), &metric);
            sheet.push(row);
            truths.push(truth);
            guesses.push(guess);
        }
        truths.resize_with(per_row, || None);
        guesses.resize_with(per_row, || None);
        rows.push(GridRow { label: "truth".into(), cells: truths });
        rows.push(GridRow { label: "guess".into(), cells: guesses });
    }
    Ok((Body::Grid(Grid { heads: vec![String::new(); per_row], rows }), sheet))
}

/// Every scored reconstruction, best first; equals in the suite's order.
fn ranked(work: &mut Work, metric: &MetricInfo) -> Result<Vec<Ranked>, SpecError> {
    let sign = -work.sign("y", metric)?;
    let (mut all, mut diverged) = (Vec::new(), 0);
    for cell in &work.picked {
        let record = &work.run.records[cell.at];
        for &image in &cell.images {
            let own = &record.images[image];
            let score = own.scores.get(&metric.name).copied().flatten().filter(|s| !s.is_nan());
            if record::aggregate::diverged(own) {
                diverged += 1;
            } else if let Some(score) = score {
                all.push(Ranked { at: cell.at, image, score });
            }
        }
    }
    if diverged > 0 {
        work.remark(format!("{} of diverged attacks left out", counted(diverged, "image")));
    }
    all.sort_by(|a, b| (sign * a.score).total_cmp(&(sign * b.score)));
    Ok(all)
}

fn pictures(
    work: &mut Work,
    item: &Ranked,
    (rank, labels): (usize, &Labels),
    metric: &MetricInfo,
) -> (Option<GridCell>, Option<GridCell>, Vec<String>) {
    let record = &work.run.records[item.at];
    let image = &record.images[item.image];
    let label = label(work, item.at);
    let score = score(metric, item.score);
    work.used.insert(item.at);
    let truth = picture(work, image.truth_png.as_deref(), labels.below(rank, item.at));
    let guess = picture(work, image.guess_png.as_deref(), score);
    let row = vec![
        rank.to_string(),
        record.id.to_string(),
        label,
        image.id.to_string(),
        metric.name.clone(),
        shown(Some(item.score)),
        image.truth_png.clone().unwrap_or_default(),
        image.guess_png.clone().unwrap_or_default(),
    ];
    (truth, guess, row)
}

/// What tells a cell from the others of the run, its parts between dots.
fn label(work: &Work, at: usize) -> String {
    Setting::Cell.key(work.run, at, None).label()
}

/// Between the parts of a label.
const DOT: &str = " · ";
/// Letters that fit below a picture.
const LETTERS: usize = 28;

/// What stands below the truths: what differs among the cells shown, or where that is long for any
/// of them, the numbers of their cells. What all share is a remark.
struct Labels(BTreeMap<usize, String>);

impl Labels {
    /// From the labels of the cells shown; with a remark.
    fn new(whole: &BTreeMap<usize, String>) -> (Self, Option<String>) {
        let shared = |part: &str| whole.values().all(|l| l.split(DOT).any(|p| p == part));
        let parts = |label: &str, common: bool| {
            let kept = label.split(DOT).filter(|part| shared(part) == common);
            kept.collect::<Vec<_>>().join(DOT)
        };
        let common = whole.values().next().map_or(String::new(), |label| parts(label, true));
        let own = |(at, label): (&usize, &String)| (*at, parts(label, false));
        let own: BTreeMap<usize, String> = whole.iter().map(own).collect();
        if own.values().any(|label| label.chars().count() > LETTERS) {
            let number = |at: &usize| (*at, format!("#{}", at + 1));
            let told = "#n is the number of a cell in the report";
            return (Labels(own.keys().map(number).collect()), Some(told.into()));
        }
        (Labels(own), (!common.is_empty()).then(|| format!("all of {common}")))
    }

    /// "3. captured round 50".
    fn below(&self, rank: usize, at: usize) -> String {
        format!("{rank}. {}", self.0[&at]).trim_end().to_owned()
    }
}

/// A score below a picture: short, with its unit.
pub(super) fn score(metric: &MetricInfo, value: f64) -> String {
    match metric.unit.as_str() {
        "dB" if value.is_infinite() => "∞ dB".into(),
        "dB" => format!("{value:.1} dB"),
        _ => metric.show(value),
    }
}

/// The picture `file`, relative to the run folder, where it is there; records may come from
/// elsewhere, so nothing outside is opened.
pub(super) fn picture(work: &mut Work, file: Option<&str>, caption: String) -> Option<GridCell> {
    let own = file.filter(|f| safe_path(Path::new(f)));
    let there = own.map(|f| work.run.dir.join(f)).filter(|path: &PathBuf| path.is_file());
    if there.is_none() {
        let name = match (file, own) {
            (None, _) => "not kept by the run".into(),
            (Some(f), None) => format!("outside the run folder: {f}"),
            (Some(f), Some(_)) => format!("missing: {f}"),
        };
        work.remark(format!("picture {name}; its place is left blank"));
    }
    there.map(|file| GridCell { picture: Picture::File(file), caption })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(whole: &[&str]) -> (Vec<String>, Option<String>) {
        let whole: BTreeMap<usize, String> =
            whole.iter().enumerate().map(|(at, label)| (at, (*label).to_owned())).collect();
        let (labels, told) = Labels::new(&whole);
        (whole.keys().map(|at| labels.below(at + 1, *at)).collect(), told)
    }

    #[test]
    fn below_a_picture_stands_what_differs() {
        let (below, told) = labels(&[
            "dlg (iterations = 1000) · no defense · captured round 0",
            "dlg (iterations = 1000) · no defense · captured round 50",
        ]);
        assert_eq!(below, ["1. captured round 0", "2. captured round 50"]);
        assert_eq!(told.as_deref(), Some("all of dlg (iterations = 1000) · no defense"));
        let (below, told) = labels(&["dlg"]);
        assert_eq!((below, told.as_deref()), (vec!["1.".to_owned()], Some("all of dlg")));
        assert_eq!(labels(&["dlg", "idlg"]), (vec!["1. dlg".into(), "2. idlg".into()], None));
    }

    #[test]
    fn what_is_too_long_for_that_is_the_number_of_the_cell() {
        let (below, told) = labels(&["dlg · none", "an-attack-with-a-long-name · prune (0.9)"]);
        assert_eq!(below, ["1. #1", "2. #2"]);
        assert!(told.unwrap().starts_with("#n is the number of a cell"));
    }
}
