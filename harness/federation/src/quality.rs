//! How good a model is on examples it has not seen: accuracy, macro-F1, area under the ROC curve,
//! loss.

use std::collections::BTreeMap;

use datasets::{Batch, Dataset};
use learning::{Mode, Network, Params, loss};
use suites::Split;
use tch::{Device, Kind, Tensor};

use crate::FederationError;
use crate::workers::side_by_side;

/// Examples of one forward pass.
const CHUNK: usize = 256;

/// Scores of a model on the first `limit` examples of a split: `accuracy`, `macro_f1`, `loss`,
/// `examples`, `majority`, and `auc` where labels are two classes or several at once.
///
/// # Errors
/// Whatever the data say.
pub fn evaluate(
    net: &Network,
    weights: &Params,
    (data, split): (&dyn Dataset, Split),
    limit: Option<usize>,
    device: Device,
    jobs: usize,
) -> Result<BTreeMap<String, f64>, FederationError> {
    let count = data.len(split).min(limit.unwrap_or(usize::MAX));
    let ids: Vec<usize> = (0..count).collect();
    let one = |weights: &Params, chunk: &[usize]| -> Result<(Tensor, Tensor), FederationError> {
        let Batch { x, y, .. } = data.batch(split, chunk)?;
        let x = x.to_device(device).unsqueeze(0);
        let z = tch::no_grad(|| net.logits(weights, &x, Mode::Eval).squeeze_dim(0));
        Ok((z.to_device(Device::Cpu), y))
    };
    // Chunks are cut the same whatever the number of workers, so a score does not depend on it.
    let work = ids.chunks(CHUNK).collect();
    let done = side_by_side(work, jobs, weights, |weights, chunk| one(weights, chunk));
    let (logits, labels): (Vec<_>, Vec<_>) =
        done.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
    Ok(judge(&Tensor::cat(&logits, 0), &Tensor::cat(&labels, 0)))
}

/// Scores of logits `[N, K]` against labels: classes i64 `[N]`, or zeros and ones `[N, K]`.
///
/// Macro-F1 is the mean over classes that occur among truths or guesses (over labels, where there
/// are several at once; a label that is neither true nor guessed anywhere has F1 0, as in
/// scikit-learn); multi-label accuracy is the share of (example, label) pairs on the right side of
/// probability 1/2; AUC is the mean over labels that have both kinds of examples. `majority` is the
/// accuracy of always naming the most frequent class (of each label the more frequent answer).
pub fn judge(logits: &Tensor, labels: &Tensor) -> BTreeMap<String, f64> {
    let examples = logits.size()[0];
    let multi = labels.kind() != Kind::Int64;
    let task_loss = loss::task_loss(&logits.unsqueeze(0), &labels.unsqueeze(0)).double_value(&[0]);
    let (accuracy, f1) =
        if multi { multi_label(logits, labels) } else { multi_class(logits, labels) };
    let mut scores = BTreeMap::from([
        ("accuracy".to_string(), accuracy),
        ("macro_f1".to_string(), f1),
        ("loss".to_string(), task_loss),
        ("examples".to_string(), examples as f64),
        ("majority".to_string(), majority(labels, multi)),
    ]);
    let columns: Vec<(Tensor, Tensor)> = match (multi, logits.size()[1]) {
        (true, k) => (0..k).map(|c| (logits.select(1, c), labels.select(1, c).gt(0.5))).collect(),
        (false, 2) => vec![(logits.select(1, 1) - logits.select(1, 0), labels.eq(1))],
        _ => Vec::new(),
    };
    let areas: Vec<f64> = columns.iter().filter_map(|(score, truth)| auc(score, truth)).collect();
    if !areas.is_empty() {
        scores.insert("auc".into(), areas.iter().sum::<f64>() / areas.len() as f64);
    }
    scores
}

/// The accuracy that needs no model.
fn majority(labels: &Tensor, multi: bool) -> f64 {
    if multi {
        let ones = labels.gt(0.5).to_kind(Kind::Double).mean_dim([0i64].as_slice(), false, None);
        return ones.maximum(&(1.0 - &ones)).mean(Kind::Double).double_value(&[]);
    }
    let counts = labels.bincount::<Tensor>(None, 0);
    counts.max().int64_value(&[]) as f64 / labels.size()[0].max(1) as f64
}

fn numbers(t: &Tensor) -> Vec<i64> {
    Vec::try_from(t.to_kind(Kind::Int64).reshape([-1])).unwrap_or_default()
}

fn f1(hits: usize, truths: usize, guesses: usize) -> f64 {
    if truths + guesses == 0 { 0.0 } else { 2.0 * hits as f64 / (truths + guesses) as f64 }
}

fn multi_class(logits: &Tensor, labels: &Tensor) -> (f64, f64) {
    let (guess, truth) = (numbers(&logits.argmax(1, false)), numbers(labels));
    // Hits, truths and guesses of each class.
    let mut counts = vec![[0usize; 3]; logits.size()[1] as usize];
    for (&g, &t) in guess.iter().zip(&truth) {
        counts[t as usize][1] += 1;
        counts[g as usize][2] += 1;
        counts[t as usize][0] += usize::from(g == t);
    }
    let right: usize = counts.iter().map(|c| c[0]).sum();
    let present = counts.iter().filter(|c| c[1] + c[2] > 0);
    let scores: Vec<f64> =
        present.map(|&[hits, truths, guesses]| f1(hits, truths, guesses)).collect();
    (
        right as f64 / truth.len().max(1) as f64,
        scores.iter().sum::<f64>() / scores.len().max(1) as f64,
    )
}

fn multi_label(logits: &Tensor, labels: &Tensor) -> (f64, f64) {
    let (guess, truth) = (logits.gt(0.0), labels.gt(0.5));
    let accuracy =
        guess.eq_tensor(&truth).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
    let k = logits.size()[1];
    let one = |c: i64| {
        let (g, t) = (guess.select(1, c), truth.select(1, c));
        let sum = |t: &Tensor| t.sum(Kind::Int64).int64_value(&[]) as usize;
        f1(sum(&g.logical_and(&t)), sum(&t), sum(&g))
    };
    (accuracy, (0..k).map(one).sum::<f64>() / k.max(1) as f64)
}

/// Probability that a positive scores above a negative, ties counting half (Mann and Whitney);
/// `None` without both, or where a score is no number.
fn auc(score: &Tensor, truth: &Tensor) -> Option<f64> {
    let scores = Vec::<f64>::try_from(score.to_kind(Kind::Double)).ok()?;
    if scores.iter().any(|s| s.is_nan()) {
        return None;
    }
    let truth = numbers(truth);
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut rank_sum, mut from) = (0.0, 0);
    while from < order.len() {
        let same = order[from..].iter().take_while(|&&i| scores[i] == scores[order[from]]).count();
        let mean_rank = from as f64 + (same as f64 + 1.0) / 2.0;
        rank_sum +=
            mean_rank * order[from..from + same].iter().filter(|&&i| truth[i] == 1).count() as f64;
        from += same;
    }
    let positives = truth.iter().filter(|&&t| t == 1).count() as f64;
    let negatives = truth.len() as f64 - positives;
    let area = (rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives);
    (positives > 0.0 && negatives > 0.0).then_some(area)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values by scikit-learn 1.7: accuracy_score, f1_score(average="macro"), roc_auc_score.
    #[test]
    fn as_scikit_learn() {
        let logits = Tensor::from_slice2(&[
            [2.0, 1.0, 0.0],
            [0.0, 3.0, 1.0],
            [1.0, 0.0, 0.5],
            [0.1, 0.2, 0.3],
        ]);
        let labels = Tensor::from_slice(&[0i64, 1, 2, 2]);
        let scores = judge(&logits, &labels);
        assert_eq!(scores["accuracy"], 0.75);
        assert!((scores["macro_f1"] - 7.0 / 9.0).abs() < 1e-12, "{scores:?}");
        assert!(!scores.contains_key("auc"));

        let logits = Tensor::from_slice2(&[[1.0, -1.0], [-1.0, -1.0], [0.5, -1.0], [0.5, -2.0]]);
        let labels = Tensor::from_slice2(&[[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 0.0]]);
        let scores = judge(&logits, &labels);
        assert_eq!(scores["accuracy"], 7.0 / 8.0);
        assert!((scores["macro_f1"] - 0.4).abs() < 1e-12, "{scores:?}");
        assert_eq!(scores["auc"], 0.875);

        let scores = judge(
            &Tensor::from_slice2(&[[f64::NAN, 1.0], [0.0, 1.0]]),
            &Tensor::from_slice(&[0i64, 1]),
        );
        assert!(!scores.contains_key("auc") && scores["loss"].is_nan());
    }
}
