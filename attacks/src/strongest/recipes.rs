//! The members of the portfolio: recipes of matching (a distance, an optimiser and a weight of
//! total variation), and the attacks that invert layers exactly where they can.

use std::fmt;

use learning::Observation;
use serde::{Deserialize, Serialize};

use super::Strongest;
use crate::adaptive::{Adapting, AdaptiveMatching, plan, plan_of_examples, rough};
use crate::analytic::Analytic;
use crate::attack::{Reconstruction, Run};
use crate::feature_inversion::FeatureInversion;
use crate::matching::labels::{self, Labels};
use crate::matching::objective::Objective;
use crate::matching::statistics;
use crate::matching::{DefenseModel, Matching, MatchingConfig};
use crate::optim::Decay;
use crate::{Attack, AttackError};

/// One way to attack.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Member {
    /// Gradient matching.
    Matching(Recipe),
    /// The same with half of the evaluations; from where it ends the likelihood alone, by second
    /// order: a prior finds the way to the neighbourhood, and keeps from what is exact there.
    Polished(Recipe),
    /// The first fully connected layer's input in closed form: `analytic`.
    Analytic,
    /// `adaptive-matching` with the recipe that it takes for the network and its defenses.
    Adaptive,
    /// The layers before it inverted from there: `feature-inversion` with its defaults.
    FeatureInversion,
}

/// What a candidate's gradient is compared by.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distance {
    /// One minus the cosine, whatever was done to the gradient; what was done to the examples is
    /// undone.
    Cosine,
    /// Squared distance over the captured gradient's, likewise.
    L2,
    /// The same led through the known defenses, weighed by what they leave: the likelihood.
    Likelihood,
}

/// How it is minimised.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Adam on the gradient's signs, in the pixel box, with step decay.
    SignedAdam,
    /// Second order, in f64.
    Lbfgs,
    /// Adam with a cosine schedule.
    Adam,
}

/// One way to match gradients.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Recipe {
    /// The distance.
    pub distance: Distance,
    /// The optimiser.
    pub method: Method,
    /// Weight of total variation.
    pub tv_weight: f64,
}

/// Labels that restarts try at most.
const HYPOTHESES: usize = 10;

/// Weight of BatchNorm's statistics, where the signal tells those of its batch.
const STATISTICS: f64 = 0.1;

/// Evaluations of a step of L-BFGS at most.
const STEP: usize = 26;

/// Evaluations below which a further start is not worth its share.
const LEAST: usize = 200;

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let distance = match self.distance {
            Distance::Cosine => "cosine",
            Distance::L2 => "l2",
            Distance::Likelihood => "likelihood",
        };
        let method = match self.method {
            Method::SignedAdam => "signed adam",
            Method::Lbfgs => "lbfgs",
            Method::Adam => "adam",
        };
        write!(f, "{distance}, {method}, tv {}", self.tv_weight)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Member::Matching(recipe) => recipe.fmt(f),
            Member::Polished(recipe) => write!(f, "{recipe}, then lbfgs without a prior"),
            Member::Analytic => f.write_str("analytic"),
            Member::Adaptive => f.write_str("adaptive matching"),
            Member::FeatureInversion => f.write_str("feature inversion"),
        }
    }
}

/// The members beside the grid; the first two match no gradients.
pub const OTHERS: [Member; 3] = [Member::Analytic, Member::FeatureInversion, Member::Adaptive];

/// Every distance with every optimiser and each of the weights; without a defense the likelihood is
/// the squared distance, and left out.
pub fn grid(tv_weights: &[f64], defended: bool) -> Vec<Recipe> {
    let mut distances = vec![Distance::Cosine, Distance::L2];
    distances.extend(defended.then_some(Distance::Likelihood));
    let methods = [Method::SignedAdam, Method::Lbfgs, Method::Adam];
    let pairs = distances.into_iter().flat_map(|d| methods.into_iter().map(move |m| (d, m)));
    pairs
        .flat_map(|(distance, method)| {
            tv_weights.iter().map(move |&tv_weight| Recipe { distance, method, tv_weight })
        })
        .collect()
}

/// The recipe of second order with the least variation, by the likelihood where there is one:
/// without noise it alone can be exact, but only in the long run.
pub fn without_variation(grid: &[Recipe]) -> Option<Recipe> {
    let matching = grid.iter().filter(|r| r.method == Method::Lbfgs);
    let by = |r: &&Recipe| (r.tv_weight, r.distance != Distance::Likelihood);
    let least = |a: &&Recipe, b: &&Recipe| by(a).partial_cmp(&by(b)).expect("weights are numbers");
    matching.filter(|r| r.distance != Distance::Cosine).min_by(least).cloned()
}

/// What is tried where nothing can be chosen on public pictures.
pub fn fixed() -> Vec<Member> {
    let recipe =
        |distance, method, tv_weight| Member::Matching(Recipe { distance, method, tv_weight });
    let mut all = vec![
        recipe(Distance::Likelihood, Method::Lbfgs, 1e-4),
        recipe(Distance::Likelihood, Method::SignedAdam, 1e-4),
        recipe(Distance::Cosine, Method::SignedAdam, 1e-4),
    ];
    all.extend([Member::Analytic, Member::FeatureInversion]);
    all
}

impl Member {
    /// The recipe of one that matches gradients.
    pub fn recipe(&self) -> Option<&Recipe> {
        match self {
            Member::Matching(recipe) | Member::Polished(recipe) => Some(recipe),
            Member::Analytic | Member::Adaptive | Member::FeatureInversion => None,
        }
    }

    /// The same polished; `None` for one that has no prior to lose, or matches nothing.
    pub fn polished(&self) -> Option<Member> {
        match self {
            Member::Matching(recipe) if *recipe != last(recipe.distance) => {
                Some(Member::Polished(recipe.clone()))
            }
            _ => None,
        }
    }

    /// Attacks; matching with at most so many evaluations a signal.
    ///
    /// # Errors
    /// As [`Matching::reconstruct_through`], `analytic` and `feature-inversion`.
    pub fn attack(
        &self,
        of: &Strongest,
        evaluations: usize,
        seen: &Observation,
        run: &Run,
    ) -> Result<Reconstruction, AttackError> {
        match self {
            Member::Matching(recipe) => recipe.attack(of, evaluations, seen, run),
            Member::Polished(recipe) => recipe.polished(of, evaluations, seen, run),
            Member::Analytic => Analytic {}.reconstruct(seen, run),
            Member::FeatureInversion => FeatureInversion::default().reconstruct(seen, run),
            Member::Adaptive => adaptive(evaluations, seen).reconstruct(seen, run),
        }
    }
}

impl Recipe {
    /// The defenses as this recipe allows for them.
    ///
    /// # Errors
    /// As [`plan`].
    pub fn defense_model(&self, seen: &Observation) -> Result<DefenseModel, AttackError> {
        match self.distance {
            Distance::Likelihood => {
                Ok(plan(seen, &Adapting::default())?.for_objective(Objective::Relative))
            }
            // What was matched is of the altered examples, by whatever distance.
            Distance::Cosine | Distance::L2 => match plan(seen, &Adapting::default()) {
                Ok(all) => Ok(all.of_examples()),
                // Without the rate the update is a direction, of the altered examples all the same.
                Err(AttackError::Missing(_)) => Ok(plan_of_examples(seen, &Adapting::default())),
                Err(_) => Ok(DefenseModel::default()),
            },
        }
    }

    /// Attacks with at most so many evaluations a signal.
    ///
    /// # Errors
    /// As [`Matching::reconstruct_through`].
    pub fn attack(
        &self,
        of: &Strongest,
        evaluations: usize,
        seen: &Observation,
        run: &Run,
    ) -> Result<Reconstruction, AttackError> {
        self.attack_through(&self.defense_model(seen)?, of, evaluations, seen, run)
    }

    fn attack_through(
        &self,
        defense_model: &DefenseModel,
        of: &Strongest,
        evaluations: usize,
        seen: &Observation,
        run: &Run,
    ) -> Result<Reconstruction, AttackError> {
        let mut config = self.config(seen);
        let open = labels::hypotheses(seen, defense_model, &config, run)?;
        let wanted = of.restarts.max(open);
        config.restarts = wanted.min(evaluations / LEAST).max(1);
        let step = if self.method == Method::Lbfgs { STEP } else { 1 };
        config.iterations = (evaluations / (step * config.restarts)).max(1);
        Matching { config }.reconstruct_through(seen, defense_model, None, run)
    }

    /// Attacks with half of the evaluations, and goes on from there by the likelihood alone.
    fn polished(
        &self,
        of: &Strongest,
        evaluations: usize,
        seen: &Observation,
        run: &Run,
    ) -> Result<Reconstruction, AttackError> {
        let last = last(Distance::Likelihood);
        let defense_model = last.defense_model(seen)?;
        if last.config(seen).labels == Labels::Joint {
            let why = "labels that are optimised along cannot be taken over from another result";
            return Err(AttackError::NotApplicable(why.into()));
        }
        let half = (evaluations / 2).max(1);
        // What was matched is gone on from; it is undone at the end.
        let own = self.defense_model(seen)?.without_undo();
        let found = self.attack_through(&own, of, half, seen, run)?;
        let config = MatchingConfig {
            restarts: 1,
            label_hypotheses: 1,
            iterations: (half / STEP).max(1),
            ..last.config(seen)
        };
        Matching { config }.resume(seen, &defense_model, &found, run)
    }

    /// Its settings; labels that are granted are not guessed.
    pub fn config(&self, seen: &Observation) -> MatchingConfig {
        let cosine = self.distance == Distance::Cosine;
        let base = MatchingConfig {
            objective: if cosine { Objective::Cosine } else { Objective::Relative },
            tv_weight: self.tv_weight,
            labels: labels(seen),
            label_hypotheses: HYPOTHESES,
            // They are zero at the truth, whatever their weight.
            bn_weight: if statistics::are_exact(seen) { STATISTICS } else { 0.0 },
            ..MatchingConfig::default()
        };
        // Random signs leave the box of pixels.
        let boxed = !plan(seen, &Adapting::default()).is_ok_and(|known| known.flips());
        match self.method {
            Method::SignedAdam => {
                MatchingConfig { signed: true, schedule: Decay::Step, boxed, ..base }
            }
            Method::Lbfgs => MatchingConfig { optimizer: "lbfgs".into(), lr: 1.0, ..base },
            Method::Adam => MatchingConfig { schedule: Decay::Cosine, ..base },
        }
    }
}

/// Second order without a prior.
pub fn last(distance: Distance) -> Recipe {
    Recipe { distance, method: Method::Lbfgs, tv_weight: 0.0 }
}

/// `adaptive-matching` with so many evaluations; labels that are granted are not guessed.
fn adaptive(evaluations: usize, seen: &Observation) -> AdaptiveMatching {
    let labels = if seen.known.labels.is_some() { Labels::Known } else { Labels::Idlg };
    let config = MatchingConfig { iterations: evaluations.max(1), labels, ..rough() };
    AdaptiveMatching { config, adapting: Adapting::default() }
}

/// Granted labels, or what an attack makes of none: where labels were mixed none is a class, and
/// every distance optimises them along.
fn labels(seen: &Observation) -> Labels {
    let mixed = plan(seen, &Adapting::default()).is_ok_and(|known| known.mixed);
    match (mixed, &seen.known.labels) {
        (true, _) => Labels::Joint,
        (_, Some(_)) => Labels::Known,
        (_, None) => Labels::Idlg,
    }
}
