//! The columns of a table that a model was trained on: their names, and the span that scales each to `[0, 1]`.

use std::path::{Path, PathBuf};

use datasets::formats::uci;
use datasets::{DatasetError, Kind, Request, Split};

use super::unfit;
use crate::HarnessError;
use crate::saved::Saved;

/// Least and largest value of a column among the training rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// What becomes 0.
    pub low: f64,
    /// What becomes 1.
    pub high: f64,
}

impl Span {
    /// The scaled value: linear between the ends and clamped to them, as the training rows were.
    pub fn scale(&self, value: f64) -> f32 {
        match self.high > self.low {
            true => ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0) as f32,
            false => 0.0,
        }
    }
}

/// A model's columns.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Names, one a feature; empty where the table has none.
    pub names: Vec<String>,
    /// How each is scaled; `None` where rows come scaled already.
    pub spans: Option<Vec<Span>>,
    /// Features of a row.
    pub count: usize,
}

impl Columns {
    /// The columns of the table that a model was trained on. `scaled`: rows come with values in `[0, 1]` already.
    ///
    /// # Errors
    /// A model of pictures, or a table whose spans are not at hand.
    pub fn of(
        model: &Path,
        saved: &Saved,
        root: Option<&Path>,
        scaled: bool,
    ) -> Result<Columns, HarnessError> {
        let card = &saved.card;
        if card.kind != Kind::Table {
            let problem = format!(
                "{} was trained on pictures ({}, {}x{}x{}), not on rows of a table; give a model such as that of `bench train wdbc-logistic`",
                super::describe(saved),
                card.name,
                card.channels,
                card.height,
                card.width
            );
            return Err(unfit(model, problem));
        }
        let wdbc = card.name.starts_with("wdbc") && card.channels == uci::FEATURES;
        let names = if wdbc { (0..card.channels).map(uci::feature_name).collect() } else { Vec::new() };
        let spans = match (scaled, wdbc) {
            (true, _) => None,
            (false, true) => Some(spans(saved, root)?),
            (false, false) => {
                let problem = format!(
                    "does not say how the columns of `{}` are scaled; scale them to [0, 1] and add --scaled",
                    card.name
                );
                return Err(unfit(model, problem));
            }
        };
        Ok(Columns { names, spans, count: card.channels })
    }
}

/// The spans that the data set scaled its rows by, from `wdbc.data` and the scaled rows: scaling is monotone, so that the n-th smallest raw
/// value of a column became its n-th smallest scaled one, whatever the order of the rows. What is found must give every scaled value back.
fn spans(saved: &Saved, root: Option<&Path>) -> Result<Vec<Span>, HarnessError> {
    let path = raw_file(root)?;
    let bytes = std::fs::read(&path).map_err(|source| HarnessError::Io {
        what: "read",
        path: path.display().to_string(),
        source,
    })?;
    let raw = uci::parse(&bytes).map_err(|e| e.at(&path))?;
    let request = Request { root, ..Request::default() };
    let data = datasets::open(&saved.card.name, &request)?;
    let mut scaled: Vec<Vec<f32>> = vec![Vec::new(); uci::FEATURES];
    for split in [Split::Train, Split::Val, Split::Test] {
        let ids: Vec<usize> = (0..data.len(split)).collect();
        let x = data.batch(split, &ids)?.x;
        for (feature, column) in scaled.iter_mut().enumerate() {
            column.extend(Vec::<f32>::try_from(x.select(1, feature as i64).contiguous()).unwrap_or_default());
        }
    }
    let column = |feature: usize| raw.features.iter().skip(feature).step_by(uci::FEATURES).copied().collect();
    let found = scaled.into_iter().enumerate().map(|(feature, scaled)| span(column(feature), scaled));
    found.collect::<Option<Vec<Span>>>().ok_or_else(|| {
        unfit(
            &path,
            "is not the table that the model was trained on; use wdbc.data as UCI ships it, 569 rows",
        )
    })
}

fn raw_file(root: Option<&Path>) -> Result<PathBuf, DatasetError> {
    let places = root.iter().flat_map(|root| ["wdbc/wdbc.data", "wdbc.data"].map(|name| root.join(name)));
    places.clone().find(|path| path.is_file()).ok_or_else(|| DatasetError::Missing {
        what: "wdbc.data, which says how the columns are scaled,".into(),
        looked: root.map_or("any data folder, as none is set".into(), |root| root.display().to_string()),
        remedy: "put it in wdbc/ below the folder of --data or BENCH_DATA, or give rows that are scaled to [0, 1] and --scaled".into(),
    })
}

/// The span that turns the sorted `raw` into the sorted `scaled`.
fn span(mut raw: Vec<f64>, mut scaled: Vec<f32>) -> Option<Span> {
    raw.sort_by(f64::total_cmp);
    scaled.sort_by(f32::total_cmp);
    if raw.len() != scaled.len() {
        return None;
    }
    let pairs = || raw.iter().zip(&scaled);
    let low = pairs().filter(|(_, s)| **s == 0.0).map(|(r, _)| *r).next_back()?;
    let high = pairs().find(|(_, s)| **s == 1.0).map(|(r, _)| *r)?;
    let span = Span { low, high };
    pairs().all(|(r, s)| span.scale(*r) == *s).then_some(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_found_from_any_order_and_proved() {
        let span = Span { low: -2.0, high: 6.0 };
        let raw: Vec<f64> = vec![3.1, -2.0, -7.0, 6.0, 0.4, 9.5, 1.0];
        let mut scaled: Vec<f32> = raw.iter().map(|r| span.scale(*r)).collect();
        scaled.reverse();
        assert_eq!(super::span(raw.clone(), scaled.clone()), Some(span));
        scaled[3] += 0.01;
        assert_eq!(super::span(raw.clone(), scaled.clone()), None);
        assert_eq!(super::span(raw[1..].to_vec(), scaled), None);
        assert_eq!((span.scale(-9.0), span.scale(2.0), span.scale(7.0)), (0.0, 0.5, 1.0));
        assert_eq!(Span { low: 1.0, high: 1.0 }.scale(5.0), 0.0);
    }
}
