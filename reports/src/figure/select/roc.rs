//! How well a score tells reconstructions from null baselines; and curves of a verification, from
//! its file.

use super::Work;
use super::grid::image_key;
use crate::figure::chart::{Body, Facet, Lines, Mark, Scale, Series};
use crate::figure::data::Sheet;
use crate::figure::estimate::Estimate;
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use record::MetricInfo;
use record::aggregate::diverged;
use record::markdown::counted;
use std::collections::BTreeSet;
use std::path::Path;
use suites::SpecError;
use suites::foreign::{self, limits};

/// Corners of a ROC curve as (false positive rate, true positive rate), from (0, 0) to (1, 1), and
/// the area under it.
///
/// `positives` and `negatives` are scores of which more means positive; -inf is accepted last. A
/// threshold accepts what is at least as high, so equal scores are accepted together and count half
/// in the area (Fawcett, 2006). Empty where there are no positives or no negatives.
pub(crate) fn roc_curve(positives: &[f64], negatives: &[f64]) -> (Vec<(f64, f64)>, f64) {
    if positives.is_empty() || negatives.is_empty() {
        return (Vec::new(), f64::NAN);
    }
    let mut all: Vec<(f64, bool)> = positives.iter().map(|v| (*v, true)).collect();
    all.extend(negatives.iter().map(|v| (*v, false)));
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut tp, mut fp) = (0, 0);
    let share = |tp: usize, fp: usize| {
        (fp as f64 / negatives.len() as f64, tp as f64 / positives.len() as f64)
    };
    let mut corners = vec![(0.0, 0.0)];
    for (at, (score, positive)) in all.iter().enumerate() {
        if *positive {
            tp += 1
        } else {
            fp += 1
        }
        let last_of_equals = all.get(at + 1).is_none_or(|next| next.0 != *score);
        if last_of_equals {
            corners.push(share(tp, fp));
        }
    }
    let area = corners.windows(2).map(|w| (w[1].0 - w[0].0) * (w[1].1 + w[0].1) / 2.0).sum();
    (corners, area)
}

pub(super) fn roc(work: &mut Work) -> Result<(Body, Sheet), SpecError> {
    let mut sheet = Sheet::new([
        "plot",
        "series",
        "false positive rate",
        "true positive rate",
        "auc",
        "positives",
        "negatives",
    ]);
    if !work.spec.from.is_empty() {
        let facet = verification(work, &mut sheet)?;
        return Ok((Body::Lines(vec![facet]), sheet));
    }
    let Measure::Metric(metric) = work.measure("y", "psnr")? else {
        let error = SpecError::value(
            "y",
            "is no score of images",
            "name one, such as `psnr` or `lpips-squeeze`",
        );
        return Err(work.spec.place.blame("y", error));
    };
    let sign = work.sign("y", &metric)?;
    let opponent = work.opponent(&metric)?;
    let colour = work.setting("colour", None)?;
    let mut facets = Vec::new();
    for (title, picked) in work.plots()? {
        let mut series = Vec::new();
        for (name, cells) in work.series(colour.as_ref(), &picked)? {
            let cells = work.judged(&Measure::Metric(metric.clone()), &cells);
            let positives = recovered(work, (&metric, sign), &cells);
            let negatives = work.null_scores(&opponent, &metric, &cells);
            let negatives = negatives.into_iter().filter(|v| !v.is_nan()).map(|v| sign * v);
            let negatives: Vec<f64> = negatives.collect();
            let (corners, auc) = roc_curve(&positives, &negatives);
            if corners.is_empty() {
                work.remark(
                    format!("no curve for {name}: nothing to tell apart").replace("  ", " "),
                );
                continue;
            }
            corners.iter().for_each(|(x, y)| {
                let counts = [positives.len(), negatives.len()].map(|c| c.to_string());
                let numbers = [*x, *y, auc].map(|v| v.to_string());
                sheet.push([title.clone(), name.clone()].into_iter().chain(numbers).chain(counts));
            });
            let counted =
                Estimate { cells: cells.iter().map(|c| c.at).collect(), ..Estimate::default() };
            work.count(&Measure::Metric(metric.clone()), &counted);
            series.push(curve(&name, auc, corners, Some(distinct(work, &cells))));
        }
        facets.push(Facet {
            title,
            plot: lines(
                series,
                format!("share of null ({opponent}) at least as good"),
                "share of reconstructions".into(),
            ),
        });
    }
    work.remark(format!(
        "a threshold on {} accepts what is at least as good; false positives are \
        images of the null baseline `{opponent}`",
        metric.title
    ));
    Ok((Body::Lines(facets), sheet))
}

/// Scores of the reconstructions, times the metric's sign; what was lost, diverged or is no number
/// is worse than anything.
fn recovered(work: &mut Work, (metric, sign): (&MetricInfo, f64), cells: &[Picked]) -> Vec<f64> {
    let (mut scores, mut lost, mut missing) = (Vec::new(), 0, 0);
    for cell in cells {
        let record = &work.run.records[cell.at];
        work.used.insert(cell.at);
        lost += cell.lost;
        for (i, score) in cell
            .images
            .iter()
            .map(|i| (*i, record.images[*i].scores.get(&metric.name).copied().flatten()))
        {
            let fell = diverged(&record.images[i]);
            match score {
                Some(v) if !fell && !v.is_nan() => scores.push(sign * v),
                None if !fell => missing += 1,
                _ => lost += 1,
            }
        }
    }
    scores.extend(std::iter::repeat_n(f64::NEG_INFINITY, lost));
    if lost > 0 {
        work.remark(format!(
            "{} lost to failed or diverged attacks count as not recovered",
            counted(lost, "image")
        ));
    }
    if missing > 0 {
        work.remark(format!("{} without a {} left out", counted(missing, "image"), metric.title));
    }
    scores
}

/// Images attacked, each once however many cells attacked it; at least those of one cell with what
/// that lost, which has no name.
fn distinct(work: &Work, cells: &[Picked]) -> usize {
    let keys = cells.iter().flat_map(|c| c.images.iter().map(|i| image_key(work.run, c.at, *i)));
    let named = keys.collect::<BTreeSet<String>>().len();
    cells.iter().map(|c| c.images.len() + c.lost).max().unwrap_or(0).max(named)
}

/// A curve named with its area; `images` is how many distinct images were to be told apart, where
/// that is known.
fn curve(name: &str, auc: f64, corners: Vec<(f64, f64)>, images: Option<usize>) -> Series {
    // A file of corners does not say how many scores made it, but at least one each.
    let decimals = if images.unwrap_or(corners.len()) < 100 { 2 } else { 3 };
    let count = images.map_or(String::new(), |n| format!(", n = {n}"));
    let name = format!("{name} (AUC {auc:.decimals$}{count})").trim_start().to_owned();
    let marks = corners.into_iter().map(|(x, y)| Mark::at(x, y)).collect();
    Series { steps: true, ..Series::new(name, marks) }
}

fn lines(series: Vec<Series>, x: String, y: String) -> Lines {
    let scale = |title| Scale { title, log: false, range: Some((0.0, 1.0)), words: Vec::new() };
    Lines { x: scale(x), y: scale(y), series, diagonal: true, joined: true, ..Lines::default() }
}

/// Curves that `bench verify` wrote.
fn verification(work: &mut Work, sheet: &mut Sheet) -> Result<Facet<Lines>, SpecError> {
    let mut series = Vec::new();
    for from in &work.spec.from {
        let path = work.source(from, "")?;
        let fault = |problem: String| {
            let remedy =
                "name a `roc.csv` that `bench verify --out` wrote, relative to the run folder";
            work.spec.place.blame("from", SpecError::value(from, problem, remedy))
        };
        let corners = read(&path).map_err(fault)?;
        let auc: f64 =
            corners.windows(2).map(|w| (w[1].0 - w[0].0) * (w[1].1 + w[0].1) / 2.0).sum();
        let folder = Path::new(from)
            .parent()
            .and_then(Path::file_name)
            .map(|n| n.to_string_lossy().into_owned());
        let name = if work.spec.from.len() > 1 {
            folder.unwrap_or_else(|| from.clone())
        } else {
            String::new()
        };
        for (x, y) in &corners {
            let numbers = [*x, *y, auc].map(|v| v.to_string());
            sheet.push(
                [String::new(), name.clone()]
                    .into_iter()
                    .chain(numbers)
                    .chain([String::new(), String::new()]),
            );
        }
        series.push(curve(&name, auc, corners, None));
    }
    let plot = lines(series, "false accept rate".into(), "true accept rate".into());
    Ok(Facet { title: String::new(), plot })
}

/// The corners of a `roc.csv`, from (0, 0) to (1, 1).
fn read(path: &Path) -> Result<Vec<(f64, f64)>, String> {
    let bytes = foreign::read(path, &limits::TABLE).map_err(|e| format!("cannot be read: {e}"))?;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let head = reader.headers().map_err(|e| format!("is no CSV: {e}"))?.clone();
    let column =
        |name: &str| head.iter().position(|h| h == name).ok_or(format!("has no column `{name}`"));
    let (far, tar) = (column("far")?, column("tar")?);
    let mut corners = Vec::new();
    for (at, row) in reader.records().enumerate() {
        let row = row.map_err(|e| format!("line {}: {e}", at + 2))?;
        let share = |column: usize| {
            let value: Option<f64> = row.get(column).and_then(|v| v.trim().parse().ok());
            value.filter(|v| (0.0..=1.0).contains(v)).ok_or(format!(
                "line {}: no share of 0 to 1 in `{}`",
                at + 2,
                &head[column]
            ))
        };
        corners.push((share(far)?, share(tar)?));
    }
    corners.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    if corners.is_empty() {
        return Err("has no line".into());
    }
    if corners.first() != Some(&(0.0, 0.0)) {
        corners.insert(0, (0.0, 0.0));
    }
    if corners.last() != Some(&(1.0, 1.0)) {
        corners.push((1.0, 1.0));
    }
    Ok(corners)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    }

    /// Not opened: a pipe would wait for somebody who writes.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_no_file_of_corners() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("roc.csv");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let said = read(&pipe).unwrap_err();
        assert!(said.contains("cannot be read") && said.contains("no regular file"), "{said}");
    }

    #[test]
    fn agrees_with_scikit_learn() {
        let golden: Value =
            serde_json::from_str(include_str!("../../../tests/golden/roc.json")).unwrap();
        let cases = golden["cases"].as_array().unwrap();
        assert!(cases.len() >= 10);
        for case in cases {
            let lost = case["lost"].as_u64().unwrap() as usize;
            let mut positives = numbers(&case["positives"]);
            positives.extend(std::iter::repeat_n(f64::NEG_INFINITY, lost));
            let (corners, auc) = roc_curve(&positives, &numbers(&case["negatives"]));
            assert!((auc - case["auc"].as_f64().unwrap()).abs() < 1e-12);
            let (fpr, tpr) = (numbers(&case["fpr"]), numbers(&case["tpr"]));
            assert_eq!(corners.len(), fpr.len());
            for ((x, y), (far, tar)) in corners.iter().zip(fpr.iter().zip(&tpr)) {
                assert!((x - far).abs() < 1e-12 && (y - tar).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn nothing_to_tell_apart_has_no_curve() {
        assert!(roc_curve(&[], &[1.0]).0.is_empty() && roc_curve(&[1.0], &[]).1.is_nan());
    }
}
