//! Every attacked image: its scores as a row, and its two pictures.

use super::thumbnails::Thumbnails;
use record::markdown::NONE;
use record::run::Run;
use record::{ImageScore, MetricInfo};
use serde_json::{Value, json};
use suites::flag::in_full;

/// Images listed in the page; all are in records.csv.
const LISTED: usize = 20_000;

/// The table of images, and for each row its truth and reconstruction as [`Thumbnails::add`] says,
/// with a path where it is not the usual.
pub(super) fn images(run: &Run) -> Value {
    let metrics: Vec<MetricInfo> = run.metric_names.iter().map(|m| run.metric(m)).collect();
    let all: Vec<(usize, usize)> = run
        .records
        .iter()
        .enumerate()
        .flat_map(|(at, r)| (0..r.images.len()).map(move |i| (at, i)))
        .collect();
    let listed = &all[..all.len().min(LISTED)];
    let image = |(at, i): (usize, usize)| &run.records[at].images[i];
    let head = ["#", "trial", "index", "example", "client", "label", "guessed"]
        .map(String::from)
        .into_iter();
    let head: Vec<String> =
        head.chain(metrics.iter().map(MetricInfo::label)).chain(["flags".to_owned()]).collect();
    let (pictures, thumbnails) = pictures(run, listed);
    let rows = listed.iter().map(|place| row(place.0, image(*place), &metrics));
    json!({
        "head": head,
        "rows": rows.collect::<Vec<_>>(),
        "psnr": head.iter().position(|h| *h == run.metric("psnr").label()),
        "pictures": pictures,
        "thumbnails": thumbnails,
        "left": all.len() - listed.len(),
    })
}

fn row(at: usize, image: &ImageScore, metrics: &[MetricInfo]) -> Vec<String> {
    let label = |l: i64| if l < 0 { "none".to_owned() } else { l.to_string() };
    let place = [at + 1, image.trial, image.index, image.id, image.client].map(|v| v.to_string());
    let scores = metrics.iter().map(|m| score(m, image.scores.get(&m.name).copied().flatten()));
    let guess = image.guessed_label.map_or(NONE.into(), label);
    let flags = if image.flags.is_empty() { NONE.into() } else { in_full(&image.flags) };
    place.into_iter().chain([label(image.label), guess]).chain(scores).chain([flags]).collect()
}

/// Raw, not capped; what is not finite as the word for it.
fn score(metric: &MetricInfo, value: Option<f64>) -> String {
    match value {
        None => NONE.into(),
        Some(v) if v.is_finite() => metric.show(v),
        Some(v) => v.to_string(),
    }
}

/// One image of every cell before the second of any, so that a budget used up leaves no cell
/// without a picture before it must.
fn pictures(run: &Run, listed: &[(usize, usize)]) -> (Vec<Value>, Vec<String>) {
    let mut order: Vec<usize> = (0..listed.len()).collect();
    order.sort_by_key(|row| (listed[*row].1, listed[*row].0));
    let (mut out, mut thumbnails) = (vec![Value::Null; listed.len()], Thumbnails::new(&run.dir));
    for row in order {
        let (at, i) = listed[row];
        let image = &run.records[at].images[i];
        let mut pair =
            [("truth", &image.truth_png), ("guess", &image.guess_png)].map(|(kind, path)| {
                let usual = format!(
                    "artifacts/{}/trial-{}-{}-{kind}.png",
                    run.cells[at].id, image.trial, image.index
                );
                let other = path.as_ref().filter(|p| **p != usual);
                (thumbnails.add(path.as_deref()), other.map_or(Value::Null, |p| json!(p)))
            });
        let [(truth, truth_path), (guess, guess_path)] = std::mem::take(&mut pair);
        out[row] = match (&truth_path, &guess_path) {
            (Value::Null, Value::Null) => json!([truth, guess]),
            _ => json!([truth, guess, truth_path, guess_path]),
        };
    }
    (out, thumbnails.list)
}
