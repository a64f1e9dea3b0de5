//! One round of a federation: who is in it works, several batches of clients at once; defenses,
//! protocol and server follow.

use std::sync::atomic::{AtomicBool, Ordering};

use learning::client::{LocalTraining, State};
use learning::server::ServerState;
use learning::{Mode, Params};
use protocols::{Exposure, Transcript};
use suites::Source;
use tch::{Device, Kind};

use crate::FederationError;
use crate::client_batch::{ClientBatch, Examples};
use crate::comm_cost::CommCost;
use crate::context::{self, DefenseState, DefenseStats, LocalResult, RoundContext, Uploads};
use crate::workers::side_by_side;
use crate::{Execution, Federation, RoundPlan, init, panics};

/// What a training has come to.
#[derive(Clone)]
pub struct TrainingState {
    /// Rounds done.
    pub round: usize,
    /// The weights, `[1, ...]`, on the device.
    pub weights: Params,
    /// The server's memory.
    pub server: ServerState,
    /// The optimiser of a party that trains by itself.
    pub local: State,
    /// What the defenses remember.
    pub memory: DefenseState,
}

/// What a round cost and how it went.
pub struct RoundOutcome {
    /// Clients invited.
    pub clients: usize,
    /// Clients in the mean.
    pub survivors: usize,
    /// Mean loss of the local steps.
    pub train_loss: Option<f64>,
    /// Bytes that all clients sent and received.
    pub bytes: (u64, u64),
    /// What went wrong without ending the training.
    pub failures: Vec<String>,
    /// What the defenses print of themselves.
    pub printed: DefenseStats,
}

/// Whom an adversary watches in a round, and whose secrets it holds.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// The watched client.
    pub client: usize,
    /// Clients that pool what they know with the adversary.
    pub colluders: Vec<usize>,
}

/// A round that was played: everything that anybody could have seen of it, and what it leaves
/// behind. Nothing has moved yet.
pub struct PlayedRound {
    /// What it cost and how it went.
    pub outcome: RoundOutcome,
    /// Who sent an update, ascending; others speak of them by their places here.
    pub clients: Vec<usize>,
    /// Flat updates as they were sent, in the order of `clients`.
    pub updates: Vec<Vec<f32>>,
    /// Their weights in the mean.
    pub shares: Vec<u64>,
    /// Who saw what on the way; `None` where nobody delivered or the protocol gave up.
    pub transcript: Option<Transcript>,
    /// The mean as it is released to all, `[1, ...]`; `None` where nothing is.
    pub released: Option<Params>,
    /// What the defenses remember.
    pub memory: DefenseState,
    /// The optimiser of a party that trains by itself.
    pub local: State,
    /// Why the protocol gave up, where it did.
    pub aborted: Option<protocols::ProtocolError>,
}

/// The state before the first round.
///
/// # Errors
/// A checkpoint that cannot be read or does not fit.
pub fn start(federation: &Federation, device: Device) -> Result<TrainingState, FederationError> {
    let spec = &federation.spec;
    let weights = init::weights(&federation.net, &spec.task, &spec.model, spec.seed)?;
    Ok(TrainingState {
        round: 0,
        weights: weights.to(device, Kind::Float),
        server: Default::default(),
        local: Default::default(),
        memory: vec![Default::default(); federation.defenses().len()],
    })
}

/// Takes the next round. `None` where the user stopped it: nothing of it is kept.
///
/// # Errors
/// A client's update or the new weights are not finite; a defense or the protocol refuses.
pub fn next(
    federation: &Federation,
    training: &mut TrainingState,
    examples: &mut Examples,
    execution: &Execution,
) -> Result<Option<RoundOutcome>, FederationError> {
    let plan = federation.plan(training.round);
    let Some(played) = play(federation, training, &plan, None, examples, execution)? else {
        return Ok(None);
    };
    let outcome = take(federation, training, played, execution.device)?;
    Ok(Some(outcome))
}

/// The server steps by what a round released.
fn take(
    federation: &Federation,
    training: &mut TrainingState,
    played: PlayedRound,
    device: Device,
) -> Result<RoundOutcome, FederationError> {
    let number = training.round;
    training.local = played.local;
    training.round += 1;
    let Some(released) = played.released else { return Ok(played.outcome) };
    let mean = released.to(device, Kind::Float);
    let next = tch::no_grad(|| {
        let change = federation.change(&training.weights, mean, number);
        federation.server().step(&training.weights, &change, &mut training.server)
    });
    if next.tensors.iter().any(|t| t.isfinite().all().int64_value(&[]) == 0) {
        return Err(FederationError::NotFinite(format!(
            "round {}: the mean of the updates made weights that are not finite; lower the \
             learning rates",
            number + 1
        )));
    }
    (training.weights, training.memory) = (next, played.memory);
    Ok(played.outcome)
}

/// Plays a round from a state, which stays as it is: a federation's next round, or a replay of it.
/// `None` where the user stopped it.
///
/// # Errors
/// A client's update is not finite; a defense or the protocol refuses.
pub fn play(
    federation: &Federation,
    training: &TrainingState,
    plan: &RoundPlan,
    watch: Option<&Watch>,
    examples: &mut Examples,
    execution: &Execution,
) -> Result<Option<PlayedRound>, FederationError> {
    let cohort = &plan.cohort;
    // Who drops out inside a protocol has worked; who does so before it need not be simulated.
    let mut batches = examples.batches(federation, plan, &cohort.delivered())?;
    if federation.protocol().survives_dropouts() {
        batches.extend(examples.batches(federation, plan, &cohort.dropped)?);
    }
    let (local, mode) = (federation.local(plan.number), federation.mode());
    let round = Round { federation, plan, local: &local, mode, watch, execution };
    let Some(worked) = round.work(training, batches)? else { return Ok(None) };
    let outcome = RoundOutcome {
        clients: cohort.invited.len(),
        survivors: 0,
        train_loss: None,
        bytes: (0, 0),
        failures: Vec::new(),
        printed: DefenseStats::new(federation.defenses().len()),
    };
    round.finish(training, worked, outcome).map(Some)
}

struct Round<'a> {
    federation: &'a Federation,
    plan: &'a RoundPlan,
    local: &'a LocalTraining,
    mode: Mode,
    watch: Option<&'a Watch>,
    execution: &'a Execution<'a>,
}

/// What the clients of a round sent, in their ascending order.
struct Gathered {
    uploads: Uploads,
    local: State,
}

/// The clients of a batch and their work.
type Done = (Vec<usize>, LocalResult);

impl Round<'_> {
    fn context<'b>(&'b self, weights: &'b Params) -> RoundContext<'b> {
        RoundContext {
            config: self.federation.config(),
            deployment: &self.federation.deployment,
            weights,
            local: (self.federation.spec.source != Source::Gradients).then_some(self.local),
            sample: self.plan.sample,
            mode: self.mode,
            number: self.plan.number,
            tag: &self.plan.tag,
        }
    }

    /// The local work of all batches of clients, `execution.jobs` at a time, in their order.
    fn work(
        &self,
        training: &TrainingState,
        batches: Vec<ClientBatch>,
    ) -> Result<Option<Vec<Done>>, FederationError> {
        let (failed, memory) = (AtomicBool::new(false), &training.memory);
        let stop =
            || failed.load(Ordering::Relaxed) || self.execution.cancel.load(Ordering::Relaxed);
        let states: Vec<(ClientBatch, State)> =
            batches.into_iter().map(|batch| (batch, training.local.clone())).collect();
        let (jobs, weights) = (self.execution.jobs, &training.weights);
        let done = side_by_side(states, jobs, weights, |weights, (batch, state)| {
            let done = (!stop()).then(|| self.client_batch(weights, memory, state, batch));
            failed.fetch_or(matches!(done, Some(Err(_))), Ordering::Relaxed);
            done
        });
        if self.execution.cancel.load(Ordering::Relaxed) {
            return Ok(None);
        }
        done.into_iter().flatten().collect::<Result<Vec<_>, _>>().map(Some)
    }

    fn client_batch(
        &self,
        weights: &Params,
        memory: &DefenseState,
        state: State,
        batch: ClientBatch,
    ) -> Result<Done, FederationError> {
        let device = self.execution.device;
        let (x, y) = batch.examples(self.federation, self.plan)?;
        let (x, y) = (x.to_device(device), y.to_device(device));
        let state = if self.federation.is_alone() { state } else { State::default() };
        let work = || self.context(weights).local_work(&batch.clients, x, y, memory, state);
        let worked = panics::guarded(work).unwrap_or_else(|said| {
            Err(FederationError::Training(format!("round {}: {said}", self.plan.number + 1)))
        });
        Ok((batch.clients, worked?))
    }

    /// Defenses on the updates, the protocol, the server's own defenses.
    fn finish(
        &self,
        training: &TrainingState,
        worked: Vec<Done>,
        mut outcome: RoundOutcome,
    ) -> Result<PlayedRound, FederationError> {
        let context = self.context(&training.weights);
        let mut memory = training.memory.clone();
        let sent = self.sent(&context, training, worked, &mut memory, &mut outcome)?;
        let dropped = self.plan.cohort.dropped.iter();
        outcome.failures.extend(dropped.map(|c| format!("client {c} fell silent")));
        let (carried, shares) = self.carry(&context, &sent, &mut outcome)?;
        let (mut transcript, mut aborted) = (None, None);
        let mean = match carried {
            Carried::Mean(carried) => {
                let mean = carried.mean.clone();
                transcript = Some(*carried);
                Some(mean)
            }
            // Under a trusted server's noise an empty round is still released: that it was empty is
            // private.
            Carried::Nobody if self.federation.deployment.client_rate < 1.0 => {
                Some(vec![0.0; self.federation.deployment.values])
            }
            Carried::Nobody => {
                outcome.failures.push("no client delivered: the weights stay".into());
                None
            }
            Carried::Aborted(error) => {
                aborted = Some(error);
                None
            }
        };
        let released = match mean {
            Some(mean) => Some(context.release(
                &mean,
                outcome.survivors,
                &mut memory,
                &mut outcome.printed,
            )?),
            None => None,
        };
        let Gathered { uploads, local } = sent;
        let Uploads { clients, updates, .. } = uploads;
        Ok(PlayedRound {
            outcome,
            clients,
            updates,
            shares,
            transcript,
            released,
            memory,
            local,
            aborted,
        })
    }

    /// What the clients send after the defenses on updates, by client, and the grid that it lies
    /// on.
    fn sent(
        &self,
        context: &RoundContext,
        training: &TrainingState,
        worked: Vec<Done>,
        memory: &mut DefenseState,
        outcome: &mut RoundOutcome,
    ) -> Result<Gathered, FederationError> {
        let (mut sent, mut grid, mut losses) = (Vec::new(), None, Vec::new());
        let mut models = Vec::new();
        let (number, bare) = (self.plan.number, self.federation.spec.federation.is_bare());
        let mut local = training.local.clone();
        for (clients, worked) in worked {
            // A bare release is attacked as it is: that it is not finite is a doubt of its record.
            if let Some(place) = worked.diverged().filter(|_| !bare) {
                return Err(diverged(clients[place], number));
            }
            // Who drops out is in no sum: neither counted by a defense nor in the loss.
            let dropped = clients.iter().any(|c| self.plan.cohort.dropped.contains(c));
            let defenses = self.federation.defenses().len();
            let mut aside = (memory.clone(), DefenseStats::new(defenses));
            let (memory, printed) = if dropped {
                (&mut aside.0, &mut aside.1)
            } else {
                (&mut *memory, &mut outcome.printed)
            };
            let part = context.send(&clients, worked, memory, printed)?;
            grid = part.grid.or(grid);
            if self.federation.is_alone() {
                local = part.state;
            }
            if !dropped {
                let held = clients.iter().map(|&c| self.federation.examples_of(c));
                losses.extend(part.losses.iter().copied().zip(held));
            }
            models.extend(clients.iter().copied().zip(part.models));
            sent.extend(clients.into_iter().zip(part.updates));
        }
        sent.sort_by_key(|(client, _)| *client);
        if !bare {
            finite(&sent, number)?;
        }
        outcome.train_loss = weighted(&losses);
        models.sort_by_key(|(client, _)| *client);
        let (clients, updates) = sent.into_iter().unzip();
        let models = models.into_iter().map(|(_, model)| model).collect();
        let uploads = Uploads { clients, updates, models, grid, ..Uploads::default() };
        Ok(Gathered { uploads, local })
    }

    /// The uploads to the server, and their weights in the mean.
    fn carry(
        &self,
        context: &RoundContext,
        sent: &Gathered,
        outcome: &mut RoundOutcome,
    ) -> Result<(Carried, Vec<u64>), FederationError> {
        // Everybody invited has received the model, whatever becomes of the round.
        let model = 4 * self.federation.net.layout().len() as u64;
        if !self.federation.is_alone() {
            outcome.bytes = (0, outcome.clients as u64 * model);
        }
        let uploads = &sent.uploads;
        let clients = &uploads.clients;
        if clients.is_empty() {
            return Ok((Carried::Nobody, Vec::new()));
        }
        let sizes: Vec<usize> = clients.iter().map(|&c| self.federation.examples_of(c)).collect();
        let shares = context::mean_weights(self.federation.defenses(), &sizes);
        let place = |c: &usize| clients.iter().position(|k| k == c);
        let dropped: Vec<usize> = self.plan.cohort.dropped.iter().filter_map(place).collect();
        let watched = self.watch.and_then(|w| place(&w.client)).unwrap_or(0);
        let colluders: Vec<usize> =
            self.watch.iter().flat_map(|w| w.colluders.iter().filter_map(place)).collect();
        let tell = |done: usize, total: usize| (self.execution.carried)(done, total);
        let carried = context.carry(uploads, &shares, watched, &colluders, &dropped, &tell);
        let transcript = match carried {
            Ok(transcript) => transcript,
            // A round that aborts by the protocol's own rules is a result: nothing is learnt from
            // it.
            Err(FederationError::Protocol(error @ protocols::ProtocolError::Aborted { .. })) => {
                outcome.failures.push(format!(
                    "{error}; the weights stay, and what was sent until then is not in the bytes"
                ));
                outcome.train_loss = None;
                return Ok((Carried::Aborted(error), shares));
            }
            Err(error) => return Err(error),
        };
        outcome.survivors = transcript.survivors.len();
        self.enough_noise(outcome)?;
        let known = |place: usize| clients.get(place).copied().unwrap_or(place);
        outcome.failures.extend(
            transcript
                .failures
                .iter()
                .filter(|f| !dropped.contains(&f.client))
                .map(|f| format!("client {} in phase `{}`: {}", known(f.client), f.phase, f.what)),
        );
        if !self.federation.is_alone() {
            let mut cost = CommCost::default();
            cost.add(&self.federation.config(), &transcript);
            let (up, down) = cost.of_round(clients.len());
            outcome.bytes = (up, down + (outcome.clients - clients.len()) as u64 * model);
        }
        Ok((Carried::Mean(Box::new(transcript)), shares))
    }

    /// Shares of noise that are missing from the sum would void the guarantee of all rounds.
    fn enough_noise(&self, outcome: &RoundOutcome) -> Result<(), FederationError> {
        let lost = outcome.clients - outcome.survivors;
        // Who decrypts the sum knows its own share of the noise, and counts as one more that is
        // missing.
        let holder = usize::from(self.federation.protocol().server_sees_sum() != Exposure::Clear);
        let bare = self.federation.spec.federation.is_bare();
        let mut defenses = self.federation.defenses().iter();
        match defenses.find(|d| !bare && d.needs_sum() && lost + holder > d.tolerates()) {
            None => Ok(()),
            Some(defense) => Err(FederationError::Training(format!(
                "round {}: {lost} client(s) took their shares of the noise with them{}, but the \
                 budget tolerates {}; raise `tolerate`, or let nobody drop out",
                self.plan.number + 1,
                if holder > 0 { " and whoever decrypts the sum knows its own" } else { "" },
                defense.tolerates()
            ))),
        }
    }
}

enum Carried {
    Mean(Box<Transcript>),
    Nobody,
    Aborted(protocols::ProtocolError),
}

fn diverged(client: usize, number: usize) -> FederationError {
    let round = number + 1;
    FederationError::NotFinite(format!(
        "round {round}, client {client}: training diverged (NaN or infinite weights); lower \
         federation.local.lr"
    ))
}

/// Refuses updates that would poison the mean, by the client's name: a defense may have made them
/// so.
fn finite(sent: &[(usize, Vec<f32>)], number: usize) -> Result<(), FederationError> {
    match sent.iter().find(|(_, update)| update.iter().any(|v| !v.is_finite())) {
        Some((client, _)) => Err(diverged(*client, number)),
        None => Ok(()),
    }
}

/// Mean of losses, each by the examples behind it.
fn weighted(losses: &[(f64, usize)]) -> Option<f64> {
    let count: usize = losses.iter().map(|(_, n)| n).sum();
    (count > 0).then(|| losses.iter().map(|(l, n)| l * *n as f64).sum::<f64>() / count as f64)
}
