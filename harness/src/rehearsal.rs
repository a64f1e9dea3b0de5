//! The adversary's own round: the captured one, played on public pictures, so that an attack can
//! find out which of its recipes works against these weights and defenses.

use attacks::{AttackError, Calibration};
use federation::init::public_split;
use federation::{Federation, FederationError};

use crate::HarnessError;
use crate::capture;
use crate::cell::Context;
use crate::resolve::ResolvedCell;
use crate::scenario::Scenario;

/// Plays `count` rounds on public pictures with the scenario's weights; each is a federation of
/// its own, whose clients hold other pictures as long as the split has enough of them. `Err` in
/// words where the data have none to spare, or a round cannot be played.
///
/// # Errors
/// Rounds that a disk or the device ends, and the user's request to stop.
pub fn play(
    cell: &ResolvedCell,
    scenario: &Scenario,
    count: usize,
    context: &Context,
) -> Result<Result<Calibration, String>, HarnessError> {
    let data = cell.data.as_ref();
    let Some(split) = public_split(data, cell.spec.task.split) else {
        return Ok(Err("the data have no public split".into()));
    };
    let own = &scenario.federation;
    let federations: Result<Vec<Federation>, _> =
        (0..count).map(|n| own.rehearsal(split, n)).collect();
    let federations = match federations {
        Ok(federations) => federations,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let rounds: Vec<(&Federation, usize)> = federations.iter().map(|f| (f, 0)).collect();
    let played =
        capture::play(cell, scenario, &rounds, context.device, context.cancel, context.progress);
    match played {
        Ok(captured) => {
            Ok(Ok(Calibration { seen: captured.observation, truth: captured.truth.pixels }))
        }
        Err(HarnessError::Attack(AttackError::NotApplicable(why))) => Ok(Err(why)),
        // That a public batch diverges, or does not fit the protocol, says nothing of the attack.
        Err(HarnessError::Federation(
            error @ (FederationError::NotFinite(_)
            | FederationError::Defense(_)
            | FederationError::Protocol(_)),
        )) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}
