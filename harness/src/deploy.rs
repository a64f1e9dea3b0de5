//! The federation that a cell's guarantees are about, and what can be refused before it runs.

use defenses::{Budget, CapturedRound, Defense, Deployment, Stage};
use learning::{Mode, Network, client};
use protocols::{Exposure, Federation};
use suites::{Source, SpecError, UtilitySpec};

use crate::HarnessError;
use crate::plan::Trial;
use crate::{round, vantage};

/// Deployment of a cell whose clients hold `parts`: the utility federation where the spec has one,
/// else the attacked one with the rounds before the capture.
pub fn deployment(trial: &Trial, parts: &[Vec<usize>]) -> Deployment {
    let (spec, summed) = (&trial.spec, trial.protocol.server_sees_update() != Exposure::Clear);
    // Every client takes part in every round.
    let (captured, values, client_rate) = (captured(trial), trial.net.layout().len() as usize, 1.0);
    if let Some(utility) = &spec.utility {
        let sizes: Vec<usize> = utility_sizes(utility, parts);
        let (least, most) = extremes(&sizes);
        let local_steps = utility.local_epochs * most.div_ceil(utility.batch_size);
        let (rounds, batch_size) = (utility.rounds, utility.batch_size);
        let (clients, examples) = (sizes.len(), least);
        return Deployment {
            clients,
            rounds,
            local_steps,
            batch_size,
            examples,
            client_rate,
            captured,
            values,
            summed,
        };
    }
    let t = &spec.training;
    let clients = vantage::cohort(trial, 0).len();
    let (least, most) = match t.rounds_before {
        0 => (trial.local_examples(), trial.local_examples()),
        // The rounds before train on all that clients hold.
        _ => extremes(&parts.iter().map(Vec::len).collect::<Vec<_>>()),
    };
    let local_steps = match spec.source {
        Source::Gradients | Source::OneStepUpdate if t.rounds_before == 0 => 1,
        _ => t.local_epochs * most.div_ceil(t.batch_size),
    };
    let rounds = t.rounds_before + 1;
    let (batch_size, examples) = (t.batch_size, least);
    Deployment {
        clients,
        rounds,
        local_steps,
        batch_size,
        examples,
        client_rate,
        captured,
        values,
        summed,
    }
}

/// The size of the captured round of one client; [`crate::capture`] says how many are averaged.
fn captured(trial: &Trial) -> CapturedRound {
    let held = trial.local_examples();
    let steps = match trial.spec.source {
        Source::Gradients | Source::OneStepUpdate => 1,
        _ => trial.local().steps(held),
    };
    let clients =
        if trial.spec.source == Source::AggUpdate { trial.spec.training.clients } else { 1 };
    let batch = trial.spec.training.batch_size.min(held);
    CapturedRound { batch, steps, clients, released: true }
}

/// Examples of each client of the utility federation.
pub fn utility_sizes(utility: &UtilitySpec, parts: &[Vec<usize>]) -> Vec<usize> {
    parts.iter().map(|p| p.len().min(utility.examples.unwrap_or(usize::MAX))).collect()
}

fn extremes(sizes: &[usize]) -> (usize, usize) {
    (
        sizes.iter().copied().min().unwrap_or(0).max(1),
        sizes.iter().copied().max().unwrap_or(0).max(1),
    )
}

/// Refuses what its protocol or defences could not do with clients of these sizes.
///
/// # Errors
/// The protocol's or a defence's own line.
pub fn check(trial: &Trial, deployment: &Deployment, sizes: &[usize]) -> Result<(), HarnessError> {
    let values = trial.net.layout().len() as usize;
    let max_weight = round::weights(&trial.defenses, sizes).into_iter().max().unwrap_or(1);
    trial.protocol.check(&Federation { clients: sizes.len(), values, max_weight })?;
    federations(trial)?;
    for defense in &trial.defenses {
        if defense.gradient_rule(deployment)?.is_some() {
            client::check_private(&trial.net, trial.mode())?;
        }
    }
    budgets(trial, deployment).map(|_| ())
}

/// Whether a model keeps running statistics of batches.
pub fn has_statistics(net: &Network) -> bool {
    net.layout().specs().iter().any(|s| s.name.ends_with("running_mean"))
}

/// Refuses to train BatchNorm's statistics under a mechanism on updates: it must not release them
/// as they are, and a model that was trained by its batches' statistics is nothing with others.
///
/// # Errors
/// Says what to write instead.
pub fn private_statistics(
    net: &Network,
    defenses: &[Box<dyn Defense>],
    mode: Mode,
) -> Result<(), SpecError> {
    if mode == Mode::Eval
        || !has_statistics(net)
        || !defenses.iter().any(|d| d.private() && d.stage() != Stage::Training)
    {
        return Ok(());
    }
    Err(SpecError::value(
        "model.params.norm",
        "is BatchNorm, whose running statistics a private mechanism cannot release: the model \
         would be judged by those it began with",
        "write norm = \"group\", or batch_norm = \"eval\"",
    ))
}

/// One budget is about one federation: refuses guarantees that would have to cover two of different
/// sizes.
///
/// # Errors
/// Names the field to change.
pub fn federations(trial: &Trial) -> Result<(), SpecError> {
    let (spec, private) = (&trial.spec, trial.defenses.iter().any(|d| d.private()));
    let Some(utility) = spec.utility.as_ref().filter(|_| private) else { return Ok(()) };
    if spec.training.rounds_before > 0 {
        return Err(SpecError::value(
            "utility",
            "beside training.rounds_before, it would train on the same data a second time, which \
             the guarantee does not cover",
            "leave one of them out",
        ));
    }
    let shares = trial.defenses.iter().any(|d| d.needs_sum());
    if shares && utility.clients != spec.training.clients {
        let problem = format!(
            "is {}, but the attacked federation has {}",
            utility.clients, spec.training.clients
        );
        return Err(SpecError::value(
            "utility.clients",
            problem,
            "shares of noise are calibrated for one number of clients: write the same for both",
        ));
    }
    Ok(())
}

/// The guarantee of each defence, in order.
///
/// # Errors
/// Parameters for which no guarantee can be computed.
pub fn budgets(
    trial: &Trial,
    deployment: &Deployment,
) -> Result<Vec<Option<Budget>>, HarnessError> {
    Ok(trial.defenses.iter().map(|d| d.privacy(deployment)).collect::<Result<_, _>>()?)
}

/// Seconds of a protocol that are worth a word before they pass.
const LONG: f64 = 5.0;

/// How long the protocol will take, where that is long: a line for the user.
pub fn estimate(trial: &Trial) -> Option<String> {
    let spec = &trial.spec;
    let values = trial.net.layout().len() as usize;
    // Too short for the protocol to say counts as nothing.
    let round = |clients: usize, max_weight: u64| {
        trial
            .protocol
            .estimate(&Federation { clients, values, max_weight })
            .filter(|s| s.is_finite())
            .unwrap_or(0.0)
    };
    let captured = round(vantage::cohort(trial, 0).len(), 1);
    let others = spec.utility.as_ref().map_or(0.0, |utility| {
        let most =
            utility.examples.unwrap_or(trial.data.len(spec.task.split) / utility.clients.max(1));
        utility.rounds as f64 * round(utility.clients, most.max(1) as u64)
    });
    let rounds = (spec.trials + spec.training.rounds_before) as f64;
    let seconds = rounds * captured + others;
    let name =
        spec.defenses.iter().find(|d| protocols::PROTOCOLS.iter().any(|e| e.name == d.name))?;
    (seconds > LONG).then(|| {
        format!(
            "{}: {values} values a client, about {captured:.0} s a round and {seconds:.0} s for \
             all rounds of this cell",
            name.name
        )
    })
}
