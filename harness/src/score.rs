//! Scores of a reconstruction against the truth, and of the null baselines beside it.

use std::collections::BTreeMap;
use std::path::Path;

use attacks::Reconstruction;
use metrics::baselines::{self, Pool};
use metrics::{MetricError, Panel, label_match, pairing};
use record::{ImageScore, Scores};
use suites::{FlagKind, rng::stream};
use tch::{Kind, Tensor};

use crate::HarnessError;
use crate::artifacts;
use crate::resolve::ResolvedCell;
use crate::scenario::GroundTruth;
use federation::init::public_split;

/// All scores of a cell.
pub struct CellScores {
    /// One entry an image, in the order of the truth.
    pub images: Vec<ImageScore>,
    /// Baselines by name, one entry an image.
    pub baselines: BTreeMap<String, Vec<Scores>>,
    /// Why a metric is missing.
    pub notes: Vec<String>,
}

/// Examples of the public split used for the mean image and the nearest neighbour, at most.
const POOL: usize = 2000;

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
    let pool = pool(cell)?;
    let nulls = null_scores(cell, truth, &pool, panel)?;
    let mut out = CellScores { images: Vec::new(), baselines: nulls, notes: Vec::new() };
    if public_split(cell.data.as_ref(), cell.spec.task.split).is_none() {
        // Without public images these two would only repeat grey.
        out.baselines.retain(|name, _| name != "mean" && name != "nearest");
        out.notes
            .push("no public split: the null baselines mean and nearest are not measured".into());
    }
    let batch = truth.pixels.size()[1] as usize;
    for n in 0..cell.spec.trials {
        let (true_pixels, guess) = (truth.pixels.get(n as i64), found.pixels.get(n as i64));
        let (aligned, order) = pairing::align(&guess, &true_pixels)?;
        let scored = panel.score(&aligned, &true_pixels)?;
        out.notes.extend(scored.notes);
        let labels = labels(cell, truth, found, n, &order);
        let pictures = match run_dir {
            Some(dir) => artifacts::save(cell, dir, n, &aligned, &true_pixels)?,
            None => vec![(None, None); batch],
        };
        for (b, (image, (truth_png, guess_png))) in
            scored.images.into_iter().zip(pictures).enumerate()
        {
            let place = n * batch + b;
            let (label, guessed_label, matched) = labels[b];
            let mut scores = image.scores;
            scores.insert(label_match::NAME.into(), matched);
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

/// `(true label, guessed label, match)` of each image of signal `n`; `order[b]` is the guess paired
/// with truth `b`.
fn labels(
    cell: &ResolvedCell,
    truth: &GroundTruth,
    found: &Reconstruction,
    n: usize,
    order: &[usize],
) -> Vec<(i64, Option<i64>, Option<f64>)> {
    let own = truth.labels.get(n as i64);
    let single = own.kind() == Kind::Int64;
    let true_labels: Vec<i64> =
        if single { Vec::try_from(&own).unwrap_or_default() } else { vec![-1; order.len()] };
    let guesses: Option<Vec<i64>> =
        found.labels.as_ref().and_then(|l| Vec::try_from(l.get(n as i64)).ok());
    let guessed: Vec<Option<i64>> = order
        .iter()
        .map(|&g| guesses.as_ref().and_then(|l| l.get(g).copied()).filter(|&l| l >= 0))
        .collect();
    // An attack that was granted the labels, or recovers none, has told nothing: only guesses are
    // scored.
    let granted = !single
        || guesses.is_none()
        || cell.spec.attack.params.get("labels").is_some_and(|l| l == "known");
    let matches = label_match::label_match(&guessed, &true_labels, granted);
    true_labels.into_iter().zip(guessed).zip(matches).map(|((t, g), m)| (t, g, m)).collect()
}

fn pool(cell: &ResolvedCell) -> Result<Pool, HarnessError> {
    let data = cell.data.as_ref();
    let Some(split) = public_split(data, cell.spec.task.split) else {
        let shape: Vec<i64> = std::iter::once(0).chain(cell.net.input()).collect();
        return Ok(Pool::new(&Tensor::zeros(shape, (Kind::Float, tch::Device::Cpu)), Vec::new())?);
    };
    let ids: Vec<usize> = (0..data.len(split).min(POOL)).collect();
    Ok(Pool::new(&data.batch(split, &ids)?.x, ids)?)
}

fn null_scores(
    cell: &ResolvedCell,
    truth: &GroundTruth,
    pool: &Pool,
    panel: &Panel,
) -> Result<BTreeMap<String, Vec<Scores>>, MetricError> {
    let flat = truth.pixels.flatten(0, 1);
    let mut rng = stream(cell.spec.seed, &cell.spec.world_key(), "null-noise");
    let guesses = baselines::guesses(&flat, pool, None, &mut rng)?;
    guesses
        .into_iter()
        .map(|(name, guess)| {
            Ok((
                name.to_string(),
                panel.score(&guess, &flat)?.images.into_iter().map(|i| i.scores).collect(),
            ))
        })
        .collect()
}
