//! Gradient matching by an adversary who knows the effects that defenses publish (Kerckhoffs'
//! principle), but no draw and nothing of an update.

mod params;
mod plan;
mod recipe;

use learning::Observation;
use suites::{Entry, Fact, Flag, FlagKind};

pub use params::{Adapting, AdaptiveMatching, Recipe, rough};
pub use plan::{plan, plan_of_examples};
pub use recipe::smooth;

use crate::analytic::Analytic;
use crate::attack::{Reconstruction, Run};
use crate::feature_inversion::FeatureInversion;
use crate::matching::{DefenseModel, Matching};
use crate::{Attack, AttackError, layers};

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "adaptive-matching",
    summary: "each candidate's gradient led through the known defenses (kept entries, cells, \
        signs, likelihood of noise, expectation over draws); L-BFGS on smooth networks, signed \
        Adam else",
    reference: "Balunović, Dimitrov, Staab, Vechev: Bayesian Framework for Gradient Leakage, ICLR \
        2022; as Tramèr et al., NeurIPS 2020, ask of every defense's evaluation",
    build: |map| Ok(Box::new(AdaptiveMatching::new(map)?)),
};

/// Evaluations at most of an inversion of features.
const FEATURE_ITERATIONS: usize = 300;

impl Attack for AdaptiveMatching {
    fn needs(&self) -> Vec<Fact> {
        Matching { config: self.config.clone() }.needs()
    }

    fn infers_labels(&self, granted: &[Fact]) -> bool {
        Matching { config: self.config.clone() }.infers_labels(granted)
    }

    fn adapts(&self) -> bool {
        true
    }

    fn reconstruct(&self, seen: &Observation, run: &Run) -> Result<Reconstruction, AttackError> {
        layers::refuse_tokens(seen)?;
        let planned = plan(seen, &self.adapting)?;
        if let Some(found) = self.before_bottleneck(seen, &planned, run)? {
            return Ok(found);
        }
        let config = self.recipe(seen, &planned, run)?;
        let defense_model = planned.for_objective(config.objective);
        let matching = Matching { config };
        let mut found = matching.reconstruct_through(seen, &defense_model, None, run)?;
        if !defense_model.notes.is_empty() {
            let adapted = Flag::with(FlagKind::Adapted, defense_model.notes.join("; "));
            found.flags.iter_mut().for_each(|flags| flags.push(adapted.clone()));
        }
        Ok(found)
    }
}

impl AdaptiveMatching {
    /// What a random bottleneck does not touch, where nothing else defends: the gradient of the
    /// first fully connected layer is `delta f^T` for one example, and while `delta` holds the
    /// draw, its input `f` does not (Balunović et al. 2022, section 6). `None` where that layer
    /// says nothing of the image; its expectation over draws is matched then.
    fn before_bottleneck(
        &self,
        seen: &Observation,
        defense_model: &DefenseModel,
        run: &Run,
    ) -> Result<Option<Reconstruction>, AttackError> {
        let [only] = &seen.known.defenses[..] else { return Ok(None) };
        if defense_model.draws == 0 {
            return Ok(None);
        }
        // Gradient matching would refine the image by a draw that is not the client's.
        let iterations = self.config.iterations.min(FEATURE_ITERATIONS);
        let features = FeatureInversion {
            feature_iterations: iterations,
            refine_iterations: 0,
            ..FeatureInversion::default()
        };
        for attack in [&Analytic {} as &dyn Attack, &features] {
            match attack.reconstruct(seen, run) {
                Err(AttackError::NotApplicable(_)) => {}
                Err(other) => return Err(other),
                Ok(mut found) => {
                    let words = format!("input of the layer before the draws of {}", only.by);
                    let note = Flag::with(FlagKind::Adapted, words);
                    found.flags.iter_mut().for_each(|flags| flags.push(note.clone()));
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }
}
