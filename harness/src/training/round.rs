//! One round of a training: who is in it works, several lots at once; defences, protocol and server
//! follow.

use std::sync::atomic::{AtomicBool, Ordering};

use learning::client::{LocalTraining, State};
use learning::server::ServerState;
use learning::{Mode, Params};
use protocols::Transcript;
use tch::Kind;

use super::cohort::Cohort;
use super::examples::{Examples, Lot};
use super::workers::side_by_side;
use super::{Execution, Federation};
use crate::HarnessError;
use crate::price::Price;
use crate::round::{self, Memory, Printed, Sent, Setting, Worked};

/// What a training has come to.
pub struct Standing {
    /// Rounds done.
    pub round: usize,
    /// The weights, `[1, ...]`, on the device.
    pub weights: Params,
    /// The server's memory.
    pub server: ServerState,
    /// The optimiser of a party that trains by itself.
    pub local: State,
    /// What the defences remember.
    pub memory: Memory,
}

/// What a round cost and how it went.
pub struct Account {
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
    /// What the defences print of themselves.
    pub printed: Printed,
}

/// Takes the next round. `None` where the user stopped it: nothing of it is kept.
///
/// # Errors
/// A client's update or the new weights are not finite; a defence or the protocol refuses.
pub fn next(
    federation: &Federation,
    standing: &mut Standing,
    examples: &mut Examples,
    execution: &Execution,
) -> Result<Option<Account>, HarnessError> {
    let number = standing.round;
    let cohort = Cohort::draw(federation, number);
    let whispers = federation.protocol.survives_dropouts();
    // Who falls silent inside a protocol has worked; who does so before it need not be simulated.
    let mut lots = examples.lots(federation, &cohort.heard())?;
    if whispers {
        lots.extend(examples.lots(federation, &cohort.silent)?);
    }
    let (local, mode) = (federation.local(number), federation.mode());
    let one = Round { federation, number, local: &local, mode, execution };
    let Some(worked) = one.work(&standing.weights, &standing.memory, &standing.local, lots)? else {
        return Ok(None);
    };
    let mut account = Account {
        clients: cohort.invited.len(),
        survivors: 0,
        train_loss: None,
        bytes: (0, 0),
        failures: Vec::new(),
        printed: Printed::new(federation.defenses.len()),
    };
    one.finish(standing, &cohort, worked, &mut account)?;
    standing.round += 1;
    Ok(Some(account))
}

struct Round<'a> {
    federation: &'a Federation,
    number: usize,
    local: &'a LocalTraining,
    mode: Mode,
    execution: &'a Execution<'a>,
}

/// Updates by client, and the grid that they lie on.
type Gathered = (Vec<(usize, Vec<f32>)>, Option<f64>);

/// A lot's clients and their work.
type Done = (Vec<usize>, Worked);

impl Round<'_> {
    fn tag(&self) -> String {
        format!("training {}", self.number)
    }

    fn setting<'b>(&'b self, weights: &'b Params, tag: &'b str) -> Setting<'b> {
        Setting {
            terms: self.federation.terms(),
            deployment: &self.federation.deployment,
            weights,
            local: Some(self.local),
            mode: self.mode,
            number: self.number,
            tag,
        }
    }

    /// The local work of all lots, `execution.jobs` of them at a time, in the order of the lots.
    fn work(
        &self,
        weights: &Params,
        memory: &Memory,
        state: &State,
        lots: Vec<Lot>,
    ) -> Result<Option<Vec<Done>>, HarnessError> {
        let failed = AtomicBool::new(false);
        let stop =
            || failed.load(Ordering::Relaxed) || self.execution.cancel.load(Ordering::Relaxed);
        let states: Vec<(Lot, State)> = lots.into_iter().map(|lot| (lot, state.clone())).collect();
        let done = side_by_side(states, self.execution.jobs, weights, |weights, (lot, state)| {
            let done = (!stop()).then(|| self.lot(weights, memory, state, lot));
            failed.fetch_or(matches!(done, Some(Err(_))), Ordering::Relaxed);
            done
        });
        if self.execution.cancel.load(Ordering::Relaxed) {
            return Ok(None);
        }
        done.into_iter().flatten().collect::<Result<Vec<_>, _>>().map(Some)
    }

    fn lot(
        &self,
        weights: &Params,
        memory: &Memory,
        state: State,
        lot: Lot,
    ) -> Result<Done, HarnessError> {
        let (tag, device) = (self.tag(), self.execution.device);
        let (x, y) = lot.examples(self.federation)?;
        let (x, y) = (x.to_device(device), y.to_device(device));
        let state = if self.federation.is_alone() { state } else { State::default() };
        let work = || self.setting(weights, &tag).local_work(&lot.clients, x, y, memory, state);
        let worked = crate::cell::guarded(work).unwrap_or_else(|said| {
            Err(HarnessError::Training(format!("round {}: {said}", self.number + 1)))
        });
        Ok((lot.clients, worked?))
    }

    /// Defences on the updates, the protocol, the server.
    fn finish(
        &self,
        standing: &mut Standing,
        cohort: &Cohort,
        worked: Vec<Done>,
        account: &mut Account,
    ) -> Result<(), HarnessError> {
        let (tag, weights, number) = (self.tag(), standing.weights.clone(), self.number);
        let setting = self.setting(&weights, &tag);
        // Kept only if the round does not end here.
        let mut memory = standing.memory.clone();
        let (sent, grid) = self.sent(&setting, standing, cohort, worked, &mut memory, account)?;
        account.failures.extend(cohort.silent.iter().map(|c| format!("client {c} fell silent")));
        let mean = match self.carry(&setting, cohort, &sent, grid, account)? {
            Carried::Mean(transcript) => transcript.mean,
            // Under a trusted server's noise an empty round is still released: that it was empty is
            // private.
            Carried::Nobody if self.federation.deployment.client_rate < 1.0 => {
                vec![0.0; self.federation.deployment.values]
            }
            Carried::Nobody => {
                account.failures.push("no client delivered: the weights stay".into());
                return Ok(());
            }
            Carried::Aborted => return Ok(()),
        };
        let released =
            setting.release(&mean, account.survivors, &mut memory, &mut account.printed)?;
        let mean = released.to(self.execution.device, Kind::Float);
        let next =
            tch::no_grad(|| self.federation.server().step(&weights, &mean, &mut standing.server));
        if next.tensors.iter().any(|t| t.isfinite().all().int64_value(&[]) == 0) {
            return Err(HarnessError::NotFinite(format!(
                "round {}: the mean of the updates made weights that are not finite; lower the \
                 learning rates",
                number + 1
            )));
        }
        (standing.weights, standing.memory) = (next, memory);
        Ok(())
    }

    /// What the clients send after the defences on updates, by client, and the grid that it lies
    /// on.
    fn sent(
        &self,
        setting: &Setting,
        standing: &mut Standing,
        cohort: &Cohort,
        worked: Vec<Done>,
        memory: &mut Memory,
        account: &mut Account,
    ) -> Result<Gathered, HarnessError> {
        let (mut sent, mut grid, mut losses) = (Vec::new(), None, Vec::new());
        for (clients, worked) in worked {
            if let Some(place) = worked.diverged() {
                return Err(diverged(clients[place], self.number));
            }
            // Who falls silent is in no sum: neither counted by a defence nor in the loss.
            let silent = clients.iter().any(|c| cohort.silent.contains(c));
            let mut aside = (memory.clone(), Printed::new(self.federation.defenses.len()));
            let (memory, printed) = match silent {
                true => (&mut aside.0, &mut aside.1),
                false => (&mut *memory, &mut account.printed),
            };
            let part = setting.send(&clients, worked, memory, printed)?;
            grid = part.grid.or(grid);
            if self.federation.is_alone() {
                standing.local = part.state;
            }
            if !silent {
                let held = clients.iter().map(|&c| self.federation.parts[c].len());
                losses.extend(part.losses.iter().copied().zip(held));
            }
            sent.extend(clients.into_iter().zip(part.updates));
        }
        sent.sort_by_key(|(client, _)| *client);
        finite(&sent, self.number)?;
        account.train_loss = weighted(&losses);
        Ok((sent, grid))
    }

    fn carry(
        &self,
        setting: &Setting,
        cohort: &Cohort,
        sent: &[(usize, Vec<f32>)],
        grid: Option<f64>,
        account: &mut Account,
    ) -> Result<Carried, HarnessError> {
        // Everybody invited has received the model, whatever becomes of the round.
        let model = 4 * self.federation.net.layout().len() as u64;
        if !self.federation.is_alone() {
            account.bytes = (0, account.clients as u64 * model);
        }
        if sent.is_empty() {
            return Ok(Carried::Nobody);
        }
        let clients: Vec<usize> = sent.iter().map(|(c, _)| *c).collect();
        let sizes: Vec<usize> = clients.iter().map(|&c| self.federation.parts[c].len()).collect();
        let shares = round::weights(&self.federation.defenses, &sizes);
        let silent = |c: &usize| clients.iter().position(|k| k == c);
        let dropped: Vec<usize> = cohort.silent.iter().filter_map(silent).collect();
        let updates = sent.iter().map(|(_, u)| u.clone()).collect();
        let sent = Sent { updates, grid, ..Sent::default() };
        let transcript = match setting.carry(&sent, &shares, 0, &[], &dropped, &|_| {}) {
            Ok(transcript) => transcript,
            // A round that aborts by the protocol's own rules is a result: nothing is learnt from
            // it.
            Err(HarnessError::Protocol(error @ protocols::ProtocolError::Aborted { .. })) => {
                account.failures.push(format!(
                    "{error}; the weights stay, and what was sent until then is not in the bytes"
                ));
                account.train_loss = None;
                return Ok(Carried::Aborted);
            }
            Err(error) => return Err(error),
        };
        account.survivors = transcript.survivors.len();
        self.enough_noise(account)?;
        let known = |place: usize| clients.get(place).copied().unwrap_or(place);
        account.failures.extend(
            transcript
                .failures
                .iter()
                .filter(|f| !dropped.contains(&f.client))
                .map(|f| format!("client {} in phase `{}`: {}", known(f.client), f.phase, f.what)),
        );
        if !self.federation.is_alone() {
            let mut price = Price::default();
            price.add(&self.federation.terms(), &transcript);
            let (up, down) = price.of_round(clients.len());
            account.bytes = (up, down + (account.clients - clients.len()) as u64 * model);
        }
        Ok(Carried::Mean(Box::new(transcript)))
    }
}

impl Round<'_> {
    /// Shares of noise that are missing from the sum would void the guarantee of all rounds.
    fn enough_noise(&self, account: &Account) -> Result<(), HarnessError> {
        let lost = account.clients - account.survivors;
        match self.federation.defenses.iter().find(|d| d.needs_sum() && lost > d.tolerates()) {
            None => Ok(()),
            Some(defense) => Err(HarnessError::Training(format!(
                "round {}: {lost} client(s) took their shares of the noise with them, but the \
                 budget tolerates {}; raise `tolerate`, or let nobody drop out",
                self.number + 1,
                defense.tolerates()
            ))),
        }
    }
}

enum Carried {
    Mean(Box<Transcript>),
    Nobody,
    Aborted,
}

fn diverged(client: usize, number: usize) -> HarnessError {
    let round = number + 1;
    HarnessError::NotFinite(format!(
        "round {round}, client {client}: training diverged (NaN or infinite weights); lower \
         local.lr"
    ))
}

/// Refuses updates that would poison the mean, by the client's name: a defence may have made them
/// so.
fn finite(sent: &[(usize, Vec<f32>)], number: usize) -> Result<(), HarnessError> {
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
