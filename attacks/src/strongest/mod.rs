//! A portfolio: the recipe of gradient matching that is best on public pictures, then its best
//! start by its own objective. The truth decides neither.
//!
//! 1. With a [`Calibration`] every member attacks the public signals: `analytic`,
//!    `feature-inversion` and `adaptive-matching` where they apply, and the recipes of matching, of
//!    which successive halving keeps the best third by mean PSNR there until few are left for a
//!    final at full length (`choose.rs`). Without one a short fixed list takes its place.
//! 2. The best member attacks the captured signals; matching from several starts, each with one of
//!    the labels that noise leaves open. Beside a member that inverts layers attacks the best
//!    recipe of matching. Of several results the most likely one is kept, judged by one objective
//!    in f64 for all of them (`judge.rs`).

mod choose;
mod judge;
mod params;
mod recipes;

use learning::Observation;
use suites::{Entry, Fact, Flag, FlagKind};

pub use choose::{Chosen, choose};
pub use params::Strongest;
pub use recipes::{Distance, Member, Method, Recipe};

use crate::attack::{Calibration, Choice, Reconstruction, Run};
use crate::{Attack, AttackError, layers};

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "strongest",
    summary: "the attack that is best on public pictures: layers inverted in closed form, or a \
        recipe of gradient matching (distances times optimisers times weights of total \
        variation); without such pictures the likeliest result of a short list",
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
        self.reconstruct_chosen(seen, None, run)
    }

    fn calibrates_on(&self) -> Option<usize> {
        Some(self.public)
    }

    fn choose(&self, calibration: &Calibration, run: &Run) -> Result<Choice, AttackError> {
        let chosen = choose(self, calibration, run)?;
        let evaluations = chosen.evaluations * chosen.public as u64;
        let decision = serde_json::to_value(chosen)
            .map_err(|e| AttackError::BadSignal(format!("of public pictures: {e}")))?;
        Ok(Choice { decision, evaluations })
    }

    fn reconstruct_chosen(
        &self,
        seen: &Observation,
        choice: Option<&Choice>,
        run: &Run,
    ) -> Result<Reconstruction, AttackError> {
        layers::refuse_tokens(seen)?;
        let chosen: Option<Chosen> = choice
            .map(|c| serde_json::from_value(c.decision.clone()))
            .transpose()
            .map_err(|e| AttackError::BadSignal(format!("comes with a foreign choice: {e}")))?;
        let (members, words) = match &chosen {
            Some(chosen) => (chosen.members(), chosen.to_string()),
            None => {
                let words = "no public pictures to choose on: the likeliest of a fixed list";
                (recipes::fixed(), words.to_string())
            }
        };
        let mut found = self.likeliest(seen, &members, run)?;
        let note = Flag::with(FlagKind::Adapted, words);
        found.flags.iter_mut().for_each(|flags| flags.push(note.clone()));
        // What choosing cost belongs to the attack: spread over the signals that it was spent for.
        found.evaluations += choice.map_or(0, |c| c.evaluations / seen.lanes().max(1) as u64);
        Ok(found)
    }
}

impl Chosen {
    /// The best, and beside one that matches nothing the best that does.
    fn members(&self) -> Vec<Member> {
        let beside = match self.best {
            Member::Matching(_) | Member::Polished(_) | Member::Adaptive => None,
            _ => self.matching.clone(),
        };
        [self.best.clone()].into_iter().chain(beside).collect()
    }
}

impl Strongest {
    /// Each member's result, recipes of matching with an equal part of the evaluations; for each
    /// signal the likeliest.
    fn likeliest(
        &self,
        seen: &Observation,
        members: &[Member],
        run: &Run,
    ) -> Result<Reconstruction, AttackError> {
        let matching = members.iter().filter(|m| m.recipe().is_some()).count();
        let mut results = Vec::new();
        let mut refused = None;
        for member in members {
            match member.attack(self, self.iterations / matching.max(1), seen, run) {
                Ok(found) => results.push(found),
                Err(error @ (AttackError::Cancelled | AttackError::Spec(_))) => return Err(error),
                Err(error) => refused = Some(error),
            }
        }
        match (results.len(), refused) {
            (0, Some(error)) => Err(error),
            (0, None) => Err(AttackError::NotApplicable("no member was asked for".into())),
            (1, _) => Ok(results.swap_remove(0)),
            _ => judge::likeliest(self, seen, results, run),
        }
    }
}
