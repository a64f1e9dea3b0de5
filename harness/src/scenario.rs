//! The federation of a cell up to the round that is attacked, and on to its end. A bare client has
//! nothing but its first weights. Cells that differ only in attack, vantage, facts or captured
//! round train once.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use attacks::AttackError;
use federation::{Examples, Execution, Federation, FederationError, TrainingState, init};
use record::SignalRecord;
use suites::Source;
use tch::{Device, Kind, Tensor};

use crate::HarnessError;
use crate::choices::Choices;
use crate::resolve::ResolvedCell;

/// The examples behind each signal. They go to the scores and nowhere else.
pub struct GroundTruth {
    /// `[N, B, ...]` in `[0, 1]`, CPU.
    pub pixels: Tensor,
    /// i64 `[N, B]`, or f32 `[N, B, K]`.
    pub labels: Tensor,
    /// Dataset ids, `N * B`.
    pub ids: Vec<usize>,
    /// Client of each example, `N * B`.
    pub clients: Vec<usize>,
}

impl GroundTruth {
    /// Who and what stands behind each signal, for the record.
    pub fn signals(&self) -> Vec<SignalRecord> {
        let count = self.pixels.size()[0].max(1) as usize;
        let each = self.ids.len() / count;
        let single = self.labels.kind() == Kind::Int64;
        let one = |n: usize| SignalRecord {
            ids: self.ids[n * each..(n + 1) * each].to_vec(),
            clients: self.clients[n * each..(n + 1) * each].to_vec(),
            labels: if single {
                Vec::try_from(self.labels.get(n as i64)).unwrap_or_default()
            } else {
                vec![-1; each]
            },
        };
        (0..count).map(one).collect()
    }
}

/// The state of a cell's federation before the captured round, and what became of it.
pub struct Scenario {
    /// The federation.
    pub federation: Federation,
    /// Weights and memories that the captured round begins with, on the CPU.
    pub state: TrainingState,
    /// Accuracy and loss of those weights and of the last ones; nothing of a bare client.
    pub task: Vec<(String, f64)>,
    /// Why something was not measured.
    pub notes: Vec<String>,
}

impl Scenario {
    /// The state on a device.
    pub fn state_on(&self, device: Device) -> TrainingState {
        on(&self.state, device)
    }
}

/// What cells share: trained federations by what they are, and decisions of attacks.
#[derive(Default)]
pub struct Cache {
    trajectories: Mutex<HashMap<String, Arc<Mutex<Trajectory>>>>,
    pub(crate) choices: Choices,
}

/// What is known of a federation's course.
#[derive(Default)]
struct Trajectory {
    /// States by the rounds before them, on the CPU.
    states: BTreeMap<usize, TrainingState>,
    /// Task metrics of those states.
    task: BTreeMap<usize, Vec<(String, f64)>>,
    /// What became of it in the end.
    end: Option<End>,
}

/// A federation's end.
#[derive(Clone)]
struct End {
    task: Vec<(String, f64)>,
    notes: Vec<String>,
}

impl Cache {
    fn trajectory(&self, key: String) -> Arc<Mutex<Trajectory>> {
        let mut all = self.trajectories.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(key).or_default().clone()
    }
}

/// Prepares the federation, trains it up to the captured round and on to its end, and measures both
/// models.
///
/// # Errors
/// Whatever data, partition or checkpoint say; training that fails before the captured round.
pub fn build(
    cell: &ResolvedCell,
    device: Device,
    cache: &Cache,
    cancel: &AtomicBool,
) -> Result<Scenario, HarnessError> {
    let federation = cell.federation()?;
    enough(cell, &federation)?;
    if cell.spec.federation.is_bare() {
        return first(federation);
    }
    let execution = Execution::quiet(device, cancel);
    let trajectory = cache.trajectory(federation.spec.digest());
    // Who needs the same federation waits for it.
    let mut known = trajectory.lock().unwrap_or_else(PoisonError::into_inner);
    let round = cell.spec.capture.round;
    let state = reach(&federation, &mut known, round, &execution)?;
    let end = match known.end.clone() {
        Some(end) => end,
        None => finish(&federation, &mut known, &state, &execution)?,
    };
    let mut task = known.task.get(&round).cloned().unwrap_or_default();
    task.extend(end.task);
    Ok(Scenario { federation, state, task, notes: end.notes })
}

/// The federation of a cell with its first weights, not trained and not measured.
///
/// # Errors
/// As [`build`].
pub fn before_training(cell: &ResolvedCell) -> Result<Scenario, HarnessError> {
    first(cell.federation()?)
}

fn first(federation: Federation) -> Result<Scenario, HarnessError> {
    let state = federation::start(&federation, Device::Cpu)?;
    Ok(Scenario { federation, state, task: Vec::new(), notes: Vec::new() })
}

/// The state before round `round`, from the nearest one that is known.
fn reach(
    federation: &Federation,
    known: &mut Trajectory,
    round: usize,
    execution: &Execution,
) -> Result<TrainingState, HarnessError> {
    if let Some(state) = known.states.get(&round) {
        return Ok(state.clone());
    }
    let nearest = known.states.range(..round).next_back();
    let mut state = match nearest {
        Some((_, state)) => on(state, execution.device),
        None => federation::start(federation, execution.device)?,
    };
    advance(federation, &mut state, round, execution)?;
    known.task.insert(round, evaluate(federation, &state, execution, "")?);
    let state = on(&state, Device::Cpu);
    known.states.insert(round, state.clone());
    Ok(state)
}

/// Goes on with the federation's own rounds to its last. That it diverges is a result: it is noted,
/// and no accuracy given.
fn finish(
    federation: &Federation,
    known: &mut Trajectory,
    state: &TrainingState,
    execution: &Execution,
) -> Result<End, HarnessError> {
    let rounds = federation.spec.federation.rounds;
    let mut state = on(state, execution.device);
    let mut end = End { task: vec![("trained_rounds".into(), rounds as f64)], notes: Vec::new() };
    match advance(federation, &mut state, rounds, execution) {
        Ok(()) => end.task.extend(evaluate(federation, &state, execution, "trained_")?),
        // A defense that makes training diverge, or a protocol that its values overflow, cost all
        // of the utility; the attack is another matter.
        Err(HarnessError::Federation(
            error @ (FederationError::NotFinite(_)
            | FederationError::Defense(_)
            | FederationError::Protocol(_)),
        )) => end.notes.push(format!("utility not measured: {error}")),
        Err(error) => return Err(error),
    }
    known.end = Some(end.clone());
    Ok(end)
}

fn advance(
    federation: &Federation,
    state: &mut TrainingState,
    round: usize,
    execution: &Execution,
) -> Result<(), HarnessError> {
    let mut examples = Examples::new(federation);
    while state.round < round {
        let taken = federation::next(federation, state, &mut examples, execution)?;
        taken.ok_or(AttackError::Cancelled)?;
    }
    Ok(())
}

/// Accuracy and loss on the split that measures utility; empty where there is none.
fn evaluate(
    federation: &Federation,
    state: &TrainingState,
    execution: &Execution,
    prefix: &str,
) -> Result<Vec<(String, f64)>, HarnessError> {
    let spec = &federation.spec;
    let Some(split) = init::test_split(federation.data.as_ref(), spec.task.split) else {
        return Ok(Vec::new());
    };
    let scores = federation::evaluate(
        &federation.net,
        &state.weights,
        (federation.data.as_ref(), split),
        spec.federation.evaluation.examples,
        execution.device,
        execution.jobs,
    )?;
    let loss = scores.get("loss").copied().unwrap_or(f64::NAN);
    if !loss.is_finite() {
        return Err(FederationError::NotFinite(format!(
            "training diverged by round {} (the model's loss on held-out examples is not finite); \
             lower the learning rate",
            state.round
        ))
        .into());
    }
    let mut task = vec![
        (format!("{prefix}accuracy"), scores.get("accuracy").copied().unwrap_or(f64::NAN)),
        (format!("{prefix}loss"), loss),
    ];
    if prefix.is_empty() {
        task.extend(scores.get("examples").map(|n| ("test_examples".to_string(), *n)));
        task.extend(scores.get("majority").map(|share| ("majority".to_string(), *share)));
    }
    Ok(task)
}

fn on(state: &TrainingState, device: Device) -> TrainingState {
    let moved = |p: &learning::Params| p.to(device, Kind::Float);
    let each = |p: &Option<learning::Params>| p.as_ref().map(moved);
    let mut on = state.clone();
    on.weights = moved(&state.weights);
    (on.server.first, on.server.second) = (each(&state.server.first), each(&state.server.second));
    on
}

/// Finds before a run what would stop [`build`]: a partition that does not exist, a client with too
/// few examples, unusable weights, a protocol or a defense that cannot work in this federation.
///
/// # Errors
/// Whatever partition, checkpoint, protocol or defense say.
pub fn check(cell: ResolvedCell) -> Result<(), HarnessError> {
    let cell = cell.assumed()?;
    enough(&cell, &cell.federation()?)?;
    match &cell.spec.model.weights {
        Some(path) => Ok(init::load(&cell.net, path).map(|_| ())?),
        None => Ok(()),
    }
}

/// Refuses captures that would not stand for images of their own, or not for equally many.
fn enough(cell: &ResolvedCell, federation: &Federation) -> Result<(), HarnessError> {
    let spec = &cell.spec;
    let refused = |path: &str, problem: String, remedy: &str| -> Result<(), HarnessError> {
        Err(suites::SpecError::value(path, problem, remedy).into())
    };
    if spec.federation.is_bare() {
        return Ok(federation.enough(spec.trials)?);
    }
    let (total, cohort) = (federation.parts.len(), spec.federation.cohort());
    if spec.source != Source::AggUpdate && spec.trials > total {
        let problem =
            format!("{} captures watch a client each, but there are {total}", spec.trials);
        let remedy = "use fewer trials, or more clients";
        return refused("trials", problem, remedy);
    }
    if spec.source == Source::AggUpdate && spec.trials > 1 && cohort == total {
        let problem = "every client takes part in every round: all captures would stand for the \
            same images";
        let remedy = "write trials = 1, or let `federation.clients.per_round` draw some of them";
        return refused("trials", problem.into(), remedy);
    }
    let sizes = (0..total).map(|c| federation.examples_of(c));
    let (least, most) = (sizes.clone().min().unwrap_or(0), sizes.max().unwrap_or(0));
    if least == most {
        return Ok(());
    }
    let problem = format!(
        "clients work on {least} to {most} examples a round, so that captures do not stand for \
         equally many images"
    );
    let (path, remedy) = if spec.source.is_single_step() {
        ("federation.local.batch_size", format!("write {least} or less"))
    } else {
        ("federation.clients.examples", format!("write {least}"))
    };
    refused(path, problem, &remedy)
}
