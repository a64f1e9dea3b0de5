//! Scores of an attack that tells labels and draws no picture: what is of pictures is not measured.

use std::collections::BTreeMap;

use attacks::Reconstruction;
use metrics::label_batch::{self, Counts, MORE};
use metrics::{Panel, identification, label_match};
use record::{ImageScore, Scores};
use tch::{Kind, Tensor};

use crate::HarnessError;
use crate::nulls::Public;
use crate::resolve::ResolvedCell;
use crate::scenario::GroundTruth;
use crate::score::CellScores;

/// Said once a cell.
const NO_PICTURE: &str =
    "the attack tells labels and draws no picture: nothing of pictures is measured";

/// Scores the labels of every signal, beside what chance and the most frequent class give.
///
/// # Errors
/// Data that cannot be read.
pub fn score(
    cell: &ResolvedCell,
    truth: &GroundTruth,
    found: &Reconstruction,
    panel: &Panel,
) -> Result<CellScores, HarnessError> {
    let public = Public::open(cell)?;
    let mut out = CellScores {
        images: Vec::new(),
        baselines: public.label_nulls(cell, truth),
        candidates: 0,
        notes: vec![NO_PICTURE.into()],
    };
    if public.is_empty() {
        out.notes.push("no public split: chance levels of labels are not measured".into());
    }
    let (signals, batch) = (truth.labels.size()[0], truth.labels.size()[1] as usize);
    let blank = unmeasured(panel);
    for n in 0..signals {
        let told = found.labels.as_ref().map(|l| l.get(n));
        let sure = found.certainty.as_ref().map(|c| values(&c.get(n)));
        let rows = one(&truth.labels.get(n), told, sure, batch);
        for (b, row) in rows.into_iter().enumerate() {
            let place = n as usize * batch + b;
            let mut scores = blank.clone();
            scores.extend(row.scores);
            out.images.push(ImageScore {
                trial: n as usize,
                index: b,
                id: truth.ids[place],
                client: truth.clients[place],
                label: row.label,
                guessed_label: row.guess,
                scores,
                flags: found.flags.get(n as usize).cloned().unwrap_or_default(),
                truth_png: None,
                guess_png: None,
            });
        }
    }
    Ok(out)
}

/// Every score that a picture would have.
fn unmeasured(panel: &Panel) -> Scores {
    let identified = identification::infos().into_iter().map(|info| info.name);
    let of_pictures = panel.names().map(String::from).chain(identified);
    of_pictures.chain([label_match::NAME.to_string()]).map(|name| (name, None)).collect()
}

/// One example.
struct Row {
    label: i64,
    guess: Option<i64>,
    scores: Scores,
}

/// The examples of a signal with labels `[B]` or `[B, K]`. A guess stands beside the example whose
/// label it is, each once; what is left follows in order.
fn one(truth: &Tensor, told: Option<Tensor>, sure: Option<Vec<f64>>, batch: usize) -> Vec<Row> {
    let told = told.unwrap_or_else(|| truth.full_like(-1).to_kind(Kind::Int64));
    let shared = label_batch::of_batch(&Counts::of(&told), &Counts::of(truth));
    let shared: BTreeMap<&str, f64> = shared.into_iter().collect();
    let all = |certainty: Option<f64>| -> Scores {
        let named = shared.iter().map(|(name, v)| (name.to_string(), Some(*v)));
        named.chain([(MORE[3].to_string(), certainty)]).collect()
    };
    if truth.kind() != Kind::Int64 || told.kind() != Kind::Int64 {
        let mean = sure.map(|c| c.iter().sum::<f64>() / c.len().max(1) as f64);
        let label = |_| Row { label: -1, guess: None, scores: all(mean) };
        return (0..batch).map(label).collect();
    }
    let (truth, told) = (classes(truth), classes(&told));
    let places = beside(&told, &truth);
    let row = |(b, &label): (usize, &i64)| {
        let place = places[b].filter(|at| told[*at] >= 0);
        let mut scores = all(place.and_then(|at| sure.as_ref()?.get(at).copied()));
        let hit = place.is_some_and(|at| told[at] == label);
        let name = label_match::OF_BATCH[0].to_string();
        scores.insert(name, Some(f64::from(u8::from(hit))));
        Row { label, guess: place.map(|at| told[at]), scores }
    };
    truth.iter().enumerate().map(row).collect()
}

/// For each truth the place of the guess beside it.
fn beside(told: &[i64], truth: &[i64]) -> Vec<Option<usize>> {
    let mut used = vec![false; told.len()];
    let mut take = |fits: &dyn Fn(i64) -> bool| {
        let at = (0..told.len()).find(|&at| !used[at] && fits(told[at]))?;
        used[at] = true;
        Some(at)
    };
    let hits: Vec<Option<usize>> = truth.iter().map(|label| take(&|l| l == *label)).collect();
    hits.into_iter().map(|hit| hit.or_else(|| take(&|_| true))).collect()
}

fn classes(t: &Tensor) -> Vec<i64> {
    Vec::try_from(t.contiguous()).unwrap_or_default()
}

fn values(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.to_kind(Kind::Double).reshape([-1])).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_stand_beside_the_labels_that_they_name() {
        let (truth, told) = (Tensor::from_slice(&[3i64, 1, 1]), Tensor::from_slice(&[1i64, 2, -1]));
        let rows = one(&truth, Some(told), Some(vec![0.9, 0.2, 0.0]), 3);
        let guesses: Vec<_> = rows.iter().map(|r| r.guess).collect();
        assert_eq!(guesses, [Some(2), Some(1), None]);
        let of = |name: &str| rows.iter().map(|r| r.scores[name]).collect::<Vec<_>>();
        assert_eq!(of("label_multiset"), [Some(0.0), Some(1.0), Some(0.0)]);
        assert_eq!(of("label_certainty"), [Some(0.2), Some(0.9), None]);
        assert_eq!(of("label_precision"), [Some(0.5); 3]);
    }

    #[test]
    fn nothing_told_is_nothing_right() {
        let rows = one(&Tensor::from_slice(&[3i64, 1]), None, None, 2);
        assert!(rows.iter().all(|r| r.scores["label_multiset"] == Some(0.0) && r.guess.is_none()));
        assert_eq!(rows[0].scores["label_count_error"], Some(1.0));
    }
}
