//! What attacks decided on public pictures, once for all cells that the decision is the same for:
//! those of one model, federation, source, adversary, defenses and attack. Of fresh weights it is
//! taken on those of seed 0, whatever seed is attacked, so that no cell depends on another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use attacks::{AttackError, Choice, Run};
use suites::CellSpec;
use suites::rng::AttackSeed;

use crate::cell::Context;
use crate::resolve::{self, ResolvedCell};
use crate::scenario::{self, Scenario};
use crate::{HarnessError, rehearsal};

/// A decision, or why there is none.
type Decided = Result<Choice, String>;

/// Decisions by what they were taken on.
#[derive(Default)]
pub struct Choices(Mutex<HashMap<String, Arc<Mutex<Option<Decided>>>>>);

/// What the attack of a cell decides on public pictures; `None` for one that decides nothing, and
/// `Err` in words where there are no such pictures.
///
/// # Errors
/// Rounds that a disk or the device ends, and the user's request to stop.
pub fn choose(
    cell: &ResolvedCell,
    scenario: &Scenario,
    context: &Context,
) -> Result<Option<Decided>, HarnessError> {
    let Some(count) = cell.attack.calibrates_on() else { return Ok(None) };
    let spec = shared(&cell.spec);
    let slot = context.cache.choices.slot(spec.id().as_str());
    // Who needs the same decision waits for it.
    let mut known = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if known.is_none() {
        *known = Some(decide(cell, scenario, &spec, count, context)?);
    }
    Ok(known.clone())
}

/// What a decision depends on: a cell's captures are not part of it, nor is the seed of weights
/// that nobody trained.
fn shared(spec: &CellSpec) -> CellSpec {
    let seed = if spec.capture.round == 0 { 0 } else { spec.seed };
    CellSpec { trials: 1, seed, ..spec.clone() }
}

fn decide(
    cell: &ResolvedCell,
    scenario: &Scenario,
    spec: &CellSpec,
    count: usize,
    context: &Context,
) -> Result<Decided, HarnessError> {
    let own = if spec.seed == cell.spec.seed {
        None
    } else {
        let cell = resolve::resolve(context.registries, spec, context.data_root)?;
        let cell = cell.measured(context.cancel)?;
        let scenario = scenario::before_training(&cell)?;
        Some((cell, scenario))
    };
    let (cell, scenario) = own.as_ref().map_or((cell, scenario), |(c, s)| (c, s));
    let calibration = match rehearsal::play(cell, scenario, count, context)? {
        Ok(calibration) => calibration,
        Err(why) => return Ok(Err(why)),
    };
    let key = spec.attack_key();
    let run = Run {
        seed: AttackSeed::new(spec.seed),
        key: &key,
        device: context.device,
        cancel: context.cancel,
        progress: context.progress,
    };
    match cell.attack.choose(&calibration, &run) {
        Ok(choice) => Ok(Ok(choice)),
        Err(AttackError::NotApplicable(why)) => Ok(Err(why)),
        Err(error) => Err(error.into()),
    }
}

impl Choices {
    fn slot(&self, key: &str) -> Arc<Mutex<Option<Decided>>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_and_the_seed_of_fresh_weights_are_no_part_of_a_decision() {
        let spec = CellSpec::new("digits", "mlp", "strongest");
        let other = CellSpec { trials: 9, seed: 4, ..spec.clone() };
        assert_eq!(shared(&spec).id(), shared(&other).id());
        let trained = |seed| {
            let mut spec = CellSpec { seed, ..spec.clone() };
            spec.capture.round = 3;
            shared(&spec).id()
        };
        assert_ne!(trained(0), trained(1));
        let defended = CellSpec { defenses: vec![suites::Named::new("prune")], ..spec.clone() };
        assert_ne!(shared(&spec).id(), shared(&defended).id());
    }
}
