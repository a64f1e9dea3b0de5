//! A portfolio: the recipe of gradient matching that is best on public pictures, then its best
//! start by its own objective. The truth decides neither.
//!
//! 1. With a [`Calibration`] every recipe of the grid attacks the public signals; successive
//!    halving keeps the better half by mean PSNR there until one is left (`choose.rs`). Without one
//!    a short fixed list takes its place.
//! 2. The recipe attacks the captured signals from several starts, each with one of the labels that
//!    noise leaves open. Of a list's results the most likely one is kept, judged by one
//!    objective in f64 for all of them (`judge.rs`).

mod choose;
mod judge;
mod params;
mod recipes;

use learning::Observation;
use suites::{Entry, Fact, Flag, FlagKind};

pub use choose::{Chosen, choose};
pub use params::Strongest;
pub use recipes::{Distance, Method, Recipe};

use crate::attack::{Calibration, Reconstruction, Run};
use crate::{Attack, AttackError};

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "strongest",
    summary: "the recipe of gradient matching that is best on public pictures, of distances times \
        optimisers times weights of total variation; without such pictures the likeliest result \
        of a short list",
    reference: "Jamieson, Talwalkar: Non-stochastic Best Arm Identification and Hyperparameter \
        Optimization, AISTATS 2016; adaptive evaluation as Tramèr et al., NeurIPS 2020",
    build: |map| Ok(Box::new(suites::params::<Strongest>("strongest", map)?)),
};

impl Attack for Strongest {
    fn needs(&self) -> Vec<Fact> {
        vec![Fact::BatchSize]
    }

    fn infers_labels(&self, granted: &[Fact]) -> bool {
        !granted.contains(&Fact::Labels)
    }

    fn reconstruct(&self, seen: &Observation, run: &Run) -> Result<Reconstruction, AttackError> {
        self.reconstruct_calibrated(seen, None, run)
    }

    fn calibrates_on(&self) -> Option<usize> {
        Some(self.public)
    }

    fn reconstruct_calibrated(
        &self,
        seen: &Observation,
        calibration: Option<&Calibration>,
        run: &Run,
    ) -> Result<Reconstruction, AttackError> {
        let chosen = calibration.map(|c| choose(self, c, run)).transpose()?;
        let (recipes, words) = match &chosen {
            Some(chosen) => (vec![chosen.recipe.clone()], chosen.to_string()),
            None => {
                let words = "no public pictures to choose on: the likeliest of a fixed list";
                (recipes::fixed(), words.to_string())
            }
        };
        let mut found = self.likeliest(seen, &recipes, run)?;
        let note = Flag::with(FlagKind::Adapted, words);
        found.flags.iter_mut().for_each(|flags| flags.push(note.clone()));
        // What choosing cost belongs to the attack: spread over the signals that it was spent for.
        if let Some(chosen) = &chosen {
            found.evaluations += chosen.evaluations * chosen.public as u64 / seen.lanes() as u64;
        }
        Ok(found)
    }
}

impl Strongest {
    /// Each recipe's result with an equal part of the evaluations; for each signal the likeliest.
    fn likeliest(
        &self,
        seen: &Observation,
        recipes: &[Recipe],
        run: &Run,
    ) -> Result<Reconstruction, AttackError> {
        let mut results = Vec::new();
        let mut refused = None;
        for recipe in recipes {
            match recipe.attack(self, self.iterations / recipes.len(), seen, run) {
                Ok(found) => results.push((recipe, found)),
                Err(AttackError::NotApplicable(why)) => refused = Some(why),
                Err(other) => return Err(other),
            }
        }
        match (results.len(), refused) {
            (0, why) => Err(AttackError::NotApplicable(why.unwrap_or_default())),
            (1, _) => Ok(results.swap_remove(0).1),
            _ => judge::likeliest(self, seen, results, run),
        }
    }
}
