//! From the first round to the last: go on where the folder stands, take rounds, judge, record,
//! keep.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use record::RoundRecord;
use tch::Device;

use crate::client_batch::Examples;
use crate::folder::Folder;
use crate::randomness::Randomness;
use crate::round::{self, RoundOutcome, TrainingState};
use crate::{Federation, quality, robustness, summary};
use crate::{FederationError, init};

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
    /// Told how far a protocol has carried the updates of a round: done, of how many.
    pub carried: &'a (dyn Fn(usize, usize) + Sync),
}

impl<'a> Execution<'a> {
    /// One batch of clients after the other, telling nobody.
    pub fn quiet(device: Device, cancel: &'a AtomicBool) -> Execution<'a> {
        Execution {
            device,
            jobs: 1,
            threads: 1,
            keep: Vec::new(),
            cancel,
            tell: &|_| {},
            carried: &|_, _| {},
        }
    }
}

/// How a training ended.
pub struct TrainingResult {
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
/// Whatever data, defenses or protocol say; training that diverges (the last good model is kept and
/// named).
pub fn train(
    federation: &Federation,
    folder: &Folder,
    execution: &Execution,
) -> Result<TrainingResult, FederationError> {
    let (mut training, mut rounds) = match folder.stored(federation, execution.device)? {
        Some((training, rounds)) => {
            // The process may have died between the two files.
            record::write_rounds(&folder.dir().join(record::rounds::ROUNDS), &rounds)?;
            (training, rounds)
        }
        None => begin(federation, folder, execution)?,
    };
    let mut examples = Examples::new(federation);
    let mut stopped = false;
    while training.round < federation.spec.federation.rounds && !stopped {
        let started = Instant::now();
        match round::next(federation, &mut training, &mut examples, execution) {
            Ok(Some(outcome)) => {
                let seconds = started.elapsed().as_secs_f64();
                match record(federation, &training, outcome, seconds, execution) {
                    Ok(record) => {
                        finished(federation, folder, execution, &training, &mut rounds, record)?
                    }
                    Err(FederationError::NotFinite(problem)) => {
                        return Err(diverged(federation, folder, problem));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(None) => stopped = true,
            Err(FederationError::NotFinite(problem)) => {
                return Err(diverged(federation, folder, problem));
            }
            Err(error) => return Err(error),
        }
    }
    let model = folder.model(federation, &training)?;
    if !stopped {
        Randomness::forget(folder.dir())?;
    }
    let robustness = if stopped {
        Vec::new()
    } else {
        robustness::measure(federation, &training.weights, execution.device)?
    };
    summary::describe(federation, folder, robustness)?;
    let report = summary::write(folder.dir())?;
    Ok(TrainingResult { rounds, model, report, stopped })
}

/// The state before the first round, judged as the others are.
fn begin(
    federation: &Federation,
    folder: &Folder,
    execution: &Execution,
) -> Result<(TrainingState, Vec<RoundRecord>), FederationError> {
    let training = round::start(federation, execution.device)?;
    summary::describe(federation, folder, Vec::new())?;
    let metrics = judged(federation, &training, execution)?;
    let record = RoundRecord { metrics, lr: federation.local(0).lr, ..RoundRecord::default() };
    let mut rounds = Vec::new();
    finished(federation, folder, execution, &training, &mut rounds, record)?;
    Ok((training, rounds))
}

fn finished(
    federation: &Federation,
    folder: &Folder,
    execution: &Execution,
    training: &TrainingState,
    rounds: &mut Vec<RoundRecord>,
    record: RoundRecord,
) -> Result<(), FederationError> {
    if execution.keep.contains(&training.round) {
        folder.keep(federation, training)?;
    }
    rounds.push(record);
    folder.store(training, rounds)?;
    rounds.iter().last().into_iter().for_each(|r| (execution.tell)(r));
    Ok(())
}

fn judged(
    federation: &Federation,
    training: &TrainingState,
    execution: &Execution,
) -> Result<std::collections::BTreeMap<String, f64>, FederationError> {
    let (spec, data) = (&federation.spec, federation.data.as_ref());
    let due = training.round.is_multiple_of(spec.federation.evaluation.every)
        || training.round == spec.federation.rounds;
    let Some(split) = init::test_split(data, spec.task.split) else {
        return Ok(Default::default());
    };
    // Between evaluations a few examples tell whether the model is still one.
    let limit = if due { spec.federation.evaluation.examples } else { Some(GLANCE) };
    let (net, weights) = (&federation.net, &training.weights);
    let scores =
        quality::evaluate(net, weights, (data, split), limit, execution.device, execution.jobs)?;
    match scores.get("loss").is_none_or(|loss| loss.is_finite()) {
        true if due => Ok(scores),
        true => Ok(Default::default()),
        false => Err(FederationError::NotFinite(format!(
            "round {}: the model's loss on held-out examples is not finite; lower \
             federation.local.lr",
            training.round
        ))),
    }
}

fn record(
    federation: &Federation,
    training: &TrainingState,
    outcome: RoundOutcome,
    seconds: f64,
    execution: &Execution,
) -> Result<RoundRecord, FederationError> {
    let metrics = judged(federation, training, execution)?;
    let mut spent = (None, None);
    if let Some((defense, budget)) = federation.accounted() {
        spent = (defense.spent(&federation.deployment, training.round)?, Some(budget.delta));
    }
    let printed = outcome.printed.means();
    let dropped: f64 = printed.iter().filter_map(|values| values.get("dropped_examples")).sum();
    let mut failures = outcome.failures;
    if dropped > 0.0 {
        failures.push(format!(
            "{dropped:.1} example(s) a lot dropped: their gradients were not finite"
        ));
    }
    Ok(RoundRecord {
        round: training.round,
        clients: outcome.clients,
        survivors: outcome.survivors,
        metrics,
        train_loss: outcome.train_loss,
        lr: federation.local(training.round - 1).lr,
        bytes_up: outcome.bytes.0,
        bytes_down: outcome.bytes.1,
        seconds,
        epsilon: spent.0,
        delta: spent.1,
        failures,
    })
}

/// Divergence, with the model that is left.
fn diverged(federation: &Federation, folder: &Folder, problem: String) -> FederationError {
    let kept = folder.stored(federation, Device::Cpu).ok().flatten().and_then(|(training, _)| {
        let path = folder.model(federation, &training).ok()?;
        let _ = summary::write(folder.dir());
        Some(format!("; the model of round {} is kept in {}", training.round, path.display()))
    });
    FederationError::NotFinite(problem + &kept.unwrap_or_default())
}
