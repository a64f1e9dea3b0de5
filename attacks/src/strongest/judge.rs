//! One objective in f64 for results of different recipes: that of the likelihood.

use learning::Observation;
use tch::Tensor;

use super::Strongest;
use super::recipes::{Distance, last};
use crate::AttackError;
use crate::attack::{Reconstruction, Run};
use crate::matching::{DefenseModel, Matching, MatchingConfig};

/// For each signal the result with the lowest objective of the likelihood, total variation only as
/// far as noise asks for it. Where the defenses cannot be allowed for, that is the plain squared
/// distance; where labels are mixed or examples
/// transformed the list's first result is kept. Evaluations and iterations are
/// the sums.
///
/// # Errors
/// As [`Matching::misfit`].
pub fn likeliest(
    of: &Strongest,
    seen: &Observation,
    mut results: Vec<Reconstruction>,
    run: &Run,
) -> Result<Reconstruction, AttackError> {
    let judge = last(Distance::Likelihood);
    let defense_model = match judge.defense_model(seen) {
        Err(AttackError::NotApplicable(_)) => DefenseModel::default(),
        other => other?,
    };
    // No result names the mixtures of labels that it ended with, and what was undone on one is no
    // longer what was matched.
    if defense_model.mixed || !defense_model.undo.is_empty() {
        return Ok(results.swap_remove(0));
    }
    let config = MatchingConfig {
        double: (run.device != tch::Device::Mps).then_some(true),
        label_hypotheses: 1,
        ..judge.config(seen)
    };
    let matching = Matching { config };
    let mut misfits = Vec::new();
    for found in &results {
        misfits.push(matching.misfit(seen, &defense_model, found, run)?);
    }
    let better = |n: usize| {
        // What is no number fits nothing.
        let misfit =
            |r: usize| Some(misfits[r][n]).filter(|v| !v.is_nan()).unwrap_or(f64::INFINITY);
        let by = |&a: &usize, &b: &usize| misfit(a).total_cmp(&misfit(b));
        (0..results.len()).min_by(by).unwrap_or(0)
    };
    let winners: Vec<usize> = (0..seen.lanes() as usize).map(better).collect();
    let objective = winners.iter().enumerate().map(|(n, &r)| misfits[r][n]).collect();
    Ok(merged(of, results, &winners, objective))
}

fn merged(
    of: &Strongest,
    results: Vec<Reconstruction>,
    winners: &[usize],
    objective: Vec<f64>,
) -> Reconstruction {
    let pick = |of: &dyn Fn(&Reconstruction) -> Option<Tensor>| -> Option<Tensor> {
        let rows: Option<Vec<Tensor>> = winners
            .iter()
            .enumerate()
            .map(|(n, &r)| of(&results[r]).map(|t| t.get(n as i64)))
            .collect();
        rows.map(|rows| Tensor::stack(&rows, 0))
    };
    let pixels = pick(&|found| Some(found.pixels.shallow_clone()));
    let flags = |(n, &r): (usize, &usize)| results[r].flags[n].clone();
    Reconstruction {
        pixels: pixels.expect("every result has pixels"),
        labels: pick(&|found| found.labels.as_ref().map(Tensor::shallow_clone)),
        certainty: None,
        trace: vec![(0, objective.clone())],
        objective,
        evaluations: results.iter().map(|found| found.evaluations + 1).sum(),
        iterations: results.iter().map(|found| found.iterations).sum(),
        restarts: of.restarts,
        flags: winners.iter().enumerate().map(flags).collect(),
    }
}
