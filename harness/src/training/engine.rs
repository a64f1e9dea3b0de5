//! From the first round to the last: go on where the folder stands, take rounds, judge, record,
//! keep.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use record::RoundRecord;
use tch::{Device, Kind};

use super::examples::Examples;
use super::folder::Folder;
use super::round::{self, Account, Standing};
use super::{Federation, quality, robustness, summary};
use crate::{HarnessError, start, world};

/// How a training is carried out; of it only threads and device change a result, in its last bits.
pub struct Execution<'a> {
    /// Where tensors live.
    pub device: Device,
    /// Lots of clients that work at the same time.
    pub jobs: usize,
    /// libtorch threads of each.
    pub threads: usize,
    /// Rounds whose model is kept for good.
    pub keep: Vec<usize>,
    /// Set by Ctrl-C.
    pub cancel: &'a AtomicBool,
    /// Told of every round.
    pub tell: &'a (dyn Fn(&RoundRecord) + Sync),
}

/// How a training ended.
pub struct Told {
    /// All rounds, the state before them first.
    pub rounds: Vec<RoundRecord>,
    /// The last good model.
    pub model: PathBuf,
    /// The report.
    pub report: PathBuf,
    /// Whether the user stopped it.
    pub stopped: bool,
}

/// Examples that tell whether a model's loss is a number.
const GLANCE: usize = 128;

/// Trains to the end, or until stopped.
///
/// # Errors
/// Whatever data, defences or protocol say; training that diverges (the last good model is kept and
/// named).
pub fn train(
    federation: &Federation,
    folder: &Folder,
    execution: &Execution,
) -> Result<Told, HarnessError> {
    let (mut standing, mut rounds) = match folder.stored(federation, execution.device)? {
        Some((standing, rounds)) => {
            // The process may have died between the two files.
            record::write_rounds(&folder.dir().join(record::rounds::ROUNDS), &rounds)?;
            (standing, rounds)
        }
        None => begin(federation, folder, execution)?,
    };
    let mut examples = Examples::new(federation);
    let mut stopped = false;
    while standing.round < federation.spec.rounds && !stopped {
        let started = Instant::now();
        match round::next(federation, &mut standing, &mut examples, execution) {
            Ok(Some(account)) => {
                let seconds = started.elapsed().as_secs_f64();
                match record(federation, &standing, account, seconds, execution) {
                    Ok(record) => {
                        finished(federation, folder, execution, &standing, &mut rounds, record)?
                    }
                    Err(HarnessError::NotFinite(problem)) => {
                        return Err(diverged(federation, folder, problem));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(None) => stopped = true,
            Err(HarnessError::NotFinite(problem)) => {
                return Err(diverged(federation, folder, problem));
            }
            Err(error) => return Err(error),
        }
    }
    let model = folder.model(federation, &standing)?;
    let robustness = match stopped {
        true => Vec::new(),
        false => robustness::measure(federation, &standing.weights, execution.device)?,
    };
    summary::describe(federation, folder, robustness)?;
    let report = summary::write(folder.dir())?;
    Ok(Told { rounds, model, report, stopped })
}

/// The state before the first round, judged as the others are.
fn begin(
    federation: &Federation,
    folder: &Folder,
    execution: &Execution,
) -> Result<(Standing, Vec<RoundRecord>), HarnessError> {
    let spec = &federation.spec;
    let weights = start::weights(&federation.net, &spec.task, &spec.model, spec.seed)?;
    let standing = Standing {
        round: 0,
        weights: weights.to(execution.device, Kind::Float),
        server: Default::default(),
        local: Default::default(),
        memory: vec![Default::default(); federation.defenses.len()],
    };
    summary::describe(federation, folder, Vec::new())?;
    let metrics = judged(federation, &standing, execution)?;
    let record = RoundRecord { metrics, lr: federation.local(0).lr, ..RoundRecord::default() };
    let mut rounds = Vec::new();
    finished(federation, folder, execution, &standing, &mut rounds, record)?;
    Ok((standing, rounds))
}

fn finished(
    federation: &Federation,
    folder: &Folder,
    execution: &Execution,
    standing: &Standing,
    rounds: &mut Vec<RoundRecord>,
    record: RoundRecord,
) -> Result<(), HarnessError> {
    if execution.keep.contains(&standing.round) {
        folder.keep(federation, standing)?;
    }
    rounds.push(record);
    folder.store(standing, rounds)?;
    rounds.iter().last().into_iter().for_each(|r| (execution.tell)(r));
    Ok(())
}

fn judged(
    federation: &Federation,
    standing: &Standing,
    execution: &Execution,
) -> Result<std::collections::BTreeMap<String, f64>, HarnessError> {
    let (spec, data) = (&federation.spec, federation.data.as_ref());
    let due = standing.round.is_multiple_of(spec.evaluation.every) || standing.round == spec.rounds;
    let Some(split) = world::test_split(data, spec.task.split) else {
        return Ok(Default::default());
    };
    // Between evaluations a few examples tell whether the model is still one.
    let limit = if due { spec.evaluation.examples } else { Some(GLANCE) };
    let (net, weights) = (&federation.net, &standing.weights);
    let scores =
        quality::evaluate(net, weights, (data, split), limit, execution.device, execution.jobs)?;
    match scores.get("loss").is_none_or(|loss| loss.is_finite()) {
        true if due => Ok(scores),
        true => Ok(Default::default()),
        false => Err(HarnessError::NotFinite(format!(
            "round {}: the model's loss on held-out examples is not finite; lower local.lr",
            standing.round
        ))),
    }
}

fn record(
    federation: &Federation,
    standing: &Standing,
    account: Account,
    seconds: f64,
    execution: &Execution,
) -> Result<RoundRecord, HarnessError> {
    let metrics = judged(federation, standing, execution)?;
    let mut spent = (None, None);
    if let Some((defense, budget)) = federation.accounted() {
        spent = (defense.spent(&federation.deployment, standing.round)?, Some(budget.delta));
    }
    let printed = account.printed.means();
    let dropped: f64 = printed.iter().filter_map(|values| values.get("dropped_examples")).sum();
    let mut failures = account.failures;
    if dropped > 0.0 {
        failures.push(format!(
            "{dropped:.1} example(s) a lot dropped: their gradients were not finite"
        ));
    }
    Ok(RoundRecord {
        round: standing.round,
        clients: account.clients,
        survivors: account.survivors,
        metrics,
        train_loss: account.train_loss,
        lr: federation.local(standing.round - 1).lr,
        bytes_up: account.bytes.0,
        bytes_down: account.bytes.1,
        seconds,
        epsilon: spent.0,
        delta: spent.1,
        failures,
    })
}

/// Divergence, with the model that is left.
fn diverged(federation: &Federation, folder: &Folder, problem: String) -> HarnessError {
    let kept = folder.stored(federation, Device::Cpu).ok().flatten().and_then(|(standing, _)| {
        let path = folder.model(federation, &standing).ok()?;
        let _ = summary::write(folder.dir());
        Some(format!("; the model of round {} is kept in {}", standing.round, path.display()))
    });
    HarnessError::NotFinite(problem + &kept.unwrap_or_default())
}
