//! Bare clients: no federation, a single release of clients that were just drawn, as most
//! publications attack them.

use defenses::{CapturedRound, Deployment};
use protocols::Exposure;
use suites::{Source, SpecError, TrainSpec};

use crate::components::Components;
use crate::{Federation, FederationError};

/// One release: what a mechanism of one round, and of no more, is calibrated for.
pub(crate) fn deployment(spec: &TrainSpec, components: &Components) -> Deployment {
    let (local, clients) = (&spec.federation.local, &spec.federation.clients);
    let protocol = components.pipeline.protocol.as_ref();
    let hidden = protocol.server_sees_update() != Exposure::Clear;
    let single = spec.source.is_single_step();
    let examples =
        if single { local.batch_size } else { clients.examples.unwrap_or(local.batch_size) };
    let local_steps = if single { 1 } else { local.epochs * examples.div_ceil(local.batch_size) };
    let summed = if spec.source == Source::AggUpdate { clients.total } else { 1 };
    Deployment {
        clients: if hidden { clients.total } else { summed },
        rounds: 1,
        local_steps,
        batch_size: local.batch_size,
        examples,
        client_rate: 1.0,
        captured: CapturedRound {
            batch: local.batch_size.min(examples),
            steps: local_steps,
            clients: summed,
            released: true,
        },
        values: components.net.layout().len() as usize,
        summed: hidden,
    }
}

/// Refuses a client that holds fewer examples than its releases take: attacking one image twice
/// would pass for two.
pub(crate) fn enough(federation: &Federation, captures: usize) -> Result<(), FederationError> {
    let (parts, mut turns) = (&federation.parts, vec![0usize; federation.parts.len()]);
    for n in 0..captures {
        let plan = federation.replay(0, n);
        plan.cohort.invited.iter().for_each(|&c| turns[c] = federation.turn(n) + 1);
    }
    let (local, clients) = (&federation.spec.federation.local, &federation.spec.federation.clients);
    let single = federation.spec.source.is_single_step();
    let count = if single { None } else { clients.examples }.unwrap_or(local.batch_size);
    let short = (0..parts.len()).find(|&c| turns[c] * count > parts[c].len());
    let Some(client) = short else { return Ok(()) };
    let (path, held) = (
        if turns[client] > 1 { "trials" } else { "federation.local.batch_size" },
        parts[client].len(),
    );
    let problem = match turns[client] {
        1 => format!("a round takes {count} examples, but client {client} holds {held}"),
        n => format!(
            "{n} rounds of {count} take {} examples, but client {client} holds {held}",
            n * count
        ),
    };
    let remedy = "use fewer trials or clients, a smaller batch, or more data";
    Err(SpecError::value(path, problem, remedy).into())
}
