//! Scores of a reconstruction against the truth, and of the null baselines beside it.

use std::collections::BTreeMap;
use std::path::Path;

use attacks::Reconstruction;
use defenses::Stage;
use metrics::{MetricError, Panel, baselines, identification, label_match, pairing, registered};
use record::{ImageScore, Scores};
use suites::FlagKind;
use tch::{Kind, Tensor};

use crate::HarnessError;
use crate::artifacts;
use crate::nulls::Public;
use crate::resolve::ResolvedCell;
use crate::scenario::GroundTruth;
use crate::score_labels;

/// All scores of a cell.
pub struct CellScores {
    /// One entry an image, in the order of the truth.
    pub images: Vec<ImageScore>,
    /// Baselines by name, one entry an image.
    pub baselines: BTreeMap<String, Vec<Scores>>,
    /// Candidates among which an original was looked for, itself among them.
    pub candidates: usize,
    /// Why a metric is missing.
    pub notes: Vec<String>,
}

/// Pairs, scores and saves every reconstructed image; `folder` (below `run_dir`) receives pictures
/// and tensors.
///
/// # Errors
/// Metrics, data or files.
pub fn score(
    cell: &ResolvedCell,
    truth: &GroundTruth,
    found: &Reconstruction,
    panel: &Panel,
    run_dir: Option<&Path>,
) -> Result<CellScores, HarnessError> {
    if !found.has_pictures() {
        return score_labels::score(cell, truth, found, panel);
    }
    let public = Public::open(cell)?;
    let mut out = CellScores {
        images: Vec::new(),
        baselines: public.null_scores(cell, truth, found, panel)?,
        candidates: public.crowd().candidates(),
        notes: Vec::new(),
    };
    if public.is_empty() {
        let missing = "no public split: null baselines that need one are not measured, nor is \
            identification, which takes at least two candidates";
        out.notes.push(missing.into());
    }
    let batch = truth.pixels.size()[1] as usize;
    let (assigned, orders) = assign(truth, found)?;
    let told = identified(truth, &assigned, &public, panel)?;
    for (n, order) in orders.iter().enumerate() {
        let (true_pixels, aligned) = (truth.pixels.get(n as i64), assigned.get(n as i64));
        let scored = panel.score(&aligned, &true_pixels)?;
        out.notes.extend(scored.notes);
        let registered = registered_scores(cell, &aligned, &true_pixels)?;
        let labels = labels(cell, truth, found, n, order);
        let pictures = match run_dir {
            Some(dir) => artifacts::save(cell, dir, n, &aligned, &true_pixels)?,
            None => vec![(None, None); batch],
        };
        for (b, (image, (truth_png, guess_png))) in
            scored.images.into_iter().zip(pictures).enumerate()
        {
            let place = n * batch + b;
            let (label, guessed_label) = (labels.truth[b], labels.guessed[b]);
            let mut scores = image.scores;
            scores.extend(told[place].clone());
            scores.extend(registered[b].clone());
            scores.extend(labels.scores[b].clone());
            let mut flags = image.flags;
            flags.extend(found.flags.get(n).cloned().unwrap_or_default());
            let here = out.baselines.iter().map(|(k, v)| (k.clone(), v[place].clone())).collect();
            if baselines::worse_than_null(&scores, &here) {
                flags.push(FlagKind::WorseThanNull.into());
            }
            let (id, client) = (truth.ids[place], truth.clients[place]);
            out.images.push(ImageScore {
                trial: n,
                index: b,
                id,
                client,
                label,
                guessed_label,
                scores,
                flags,
                truth_png,
                guess_png,
            });
        }
    }
    out.notes.sort();
    out.notes.dedup();
    Ok(out)
}

/// Every signal's guesses in the order of its truths, `[N, B, ...]`, and for each truth the place
/// of its guess.
fn assign(
    truth: &GroundTruth,
    found: &Reconstruction,
) -> Result<(Tensor, Vec<Vec<usize>>), MetricError> {
    let (mut all, mut orders) = (Vec::new(), Vec::new());
    for n in 0..truth.pixels.size()[0] {
        let (aligned, order) = pairing::align(&found.pixels.get(n), &truth.pixels.get(n))?;
        all.push(aligned);
        orders.push(order);
    }
    Ok((Tensor::stack(&all, 0), orders))
}

/// Whether each of the guesses `[N, B, ...]` finds its original; one with NaN or infinity does not.
fn identified(
    truth: &GroundTruth,
    assigned: &Tensor,
    public: &Public,
    panel: &Panel,
) -> Result<Vec<Scores>, MetricError> {
    let (guess, truth) = (assigned.flatten(0, 1), truth.pixels.flatten(0, 1));
    let finite = Vec::<bool>::try_from(guess.isfinite().flatten(1, -1).all_dim(1, false))?;
    identification::scores(panel, &guess, &truth, &finite, &public.crowd())
}

/// Scores against the best transform, where the client transforms its examples; none elsewhere.
///
/// # Errors
/// As [`registered::scores`].
pub(crate) fn registered_scores(
    cell: &ResolvedCell,
    guess: &Tensor,
    truth: &Tensor,
) -> Result<Vec<Scores>, MetricError> {
    let transforms = cell.pipeline.defenses.iter().any(|d| d.stage() == Stage::Data);
    if cell.spec.federation.local.augment || transforms {
        return registered::scores(guess, truth);
    }
    Ok(vec![Scores::new(); truth.size()[0] as usize])
}

/// The labels of a signal, in the order of its truths.
struct Labels {
    truth: Vec<i64>,
    guessed: Vec<Option<i64>>,
    scores: Vec<Scores>,
}

/// The labels of signal `n`; `order[b]` is the guess paired with truth `b`.
fn labels(
    cell: &ResolvedCell,
    truth: &GroundTruth,
    found: &Reconstruction,
    n: usize,
    order: &[usize],
) -> Labels {
    let own = truth.labels.get(n as i64);
    let single = own.kind() == Kind::Int64;
    let truth: Vec<i64> =
        if single { Vec::try_from(&own).unwrap_or_default() } else { vec![-1; order.len()] };
    let guesses: Option<Vec<i64>> =
        found.labels.as_ref().and_then(|l| Vec::try_from(l.get(n as i64)).ok());
    let guess = |g: &usize| guesses.as_ref()?.get(*g).copied().filter(|&l| l >= 0);
    let guessed: Vec<Option<i64>> = order.iter().map(guess).collect();
    // An attack that was granted the labels, or recovers none, has told nothing: only guesses are
    // scored.
    let granted = !single
        || guesses.is_none()
        || cell.spec.attack.params.get("labels").is_some_and(|l| l == "known");
    let scores = label_match::scores(&guessed, &truth, granted);
    Labels { truth, guessed, scores }
}
