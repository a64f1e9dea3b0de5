//! The federation of a cell: whose examples, which weights, how many rounds. Everything here is
//! drawn from streams that do not depend on the attack, the defence or the source, so that cells
//! that differ only there attack the same images and weights.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use datasets::{Batch, Dataset};
use defenses::Deployment;
use learning::Params;
use learning::client::LocalTraining;
use suites::{Split, UtilitySpec, rng::stream};
use tch::{Device, Tensor};

use crate::plan::Trial;
use crate::round::Memory;
use crate::train::{self, Federation};
use crate::{HarnessError, deploy, start, vantage};

/// What the clients of each captured round hold. What is behind the signal goes to the scores and
/// nowhere else.
pub struct Truth {
    /// `[N, B, ...]` in `[0, 1]`, CPU.
    pub pixels: Tensor,
    /// i64 `[N, B]`, or f32 `[N, B, K]`.
    pub labels: Tensor,
    /// Dataset ids, `N * B`.
    pub ids: Vec<usize>,
    /// Client of each example, `N * B`.
    pub clients: Vec<usize>,
}

impl Truth {
    /// The examples of the clients at these places of each round's cohort of `cohort` clients.
    pub fn behind(&self, places: &[Vec<usize>], cohort: usize) -> Truth {
        let each = self.ids.len() / places.len().max(1) / cohort.max(1);
        let rows = |n: usize| places[n].iter().flat_map(move |&c| c * each..(c + 1) * each);
        let pick = |t: &Tensor| {
            let one = |n: usize| {
                let rows: Vec<i64> = rows(n).map(|r| r as i64).collect();
                t.get(n as i64).index_select(0, &Tensor::from_slice(&rows).to_device(t.device()))
            };
            Tensor::stack(&(0..places.len()).map(one).collect::<Vec<_>>(), 0)
        };
        let list = |all: &[usize]| {
            (0..places.len())
                .flat_map(|n| rows(n).map(move |r| all[n * cohort * each + r]))
                .collect()
        };
        Truth {
            pixels: pick(&self.pixels),
            labels: pick(&self.labels),
            ids: list(&self.ids),
            clients: list(&self.clients),
        }
    }
}

/// The state of the federation before the captured round.
pub struct World {
    /// Global weights, `[1, ...]`, CPU.
    pub weights: Params,
    /// What the clients of the captured rounds hold.
    pub truth: Truth,
    /// Task metrics of the weights on the test split, and of those that the utility federation
    /// trained.
    pub task: Vec<(String, f64)>,
    /// The federation that guarantees are about.
    pub deployment: Deployment,
    /// What defences remember of the rounds before.
    pub memory: Memory,
    /// Why something was not measured.
    pub notes: Vec<String>,
}

/// Weights and their task metrics by federation: cells that differ only in source or attack train
/// and measure once.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<String, Trained>>);

/// A trained federation.
#[derive(Clone)]
struct Trained {
    weights: Params,
    task: Vec<(String, f64)>,
    memory: Memory,
    notes: Vec<String>,
}

impl Cache {
    fn get(&self, key: &str) -> Option<Trained> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: String, value: Trained) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, value);
    }

    /// Looks up, or makes and keeps.
    fn of(
        &self,
        key: String,
        make: impl FnOnce() -> Result<Trained, HarnessError>,
    ) -> Result<Trained, HarnessError> {
        if let Some(known) = self.get(&key) {
            return Ok(known);
        }
        let made = make()?;
        self.put(key, made.clone());
        Ok(made)
    }
}

/// Draws clients and weights, trains the rounds before the capture, measures the model and the
/// utility federation.
///
/// # Errors
/// Whatever data, partition or checkpoint say.
pub fn build(trial: &Trial, device: Device, cache: &Cache) -> Result<World, HarnessError> {
    deploy::federations(trial)?;
    let parts = partition(trial, trial.spec.training.clients)?;
    let truth = captured(trial, &parts)?;
    let others = utility_parts(trial)?;
    let deployment = deploy::deployment(trial, others.as_deref().unwrap_or(&parts));
    let spec = &trial.spec;
    let mut key = format!("{:?} {:?} {:?} {}", spec.task, spec.model, spec.training, spec.seed);
    // Fresh weights know nothing of a defence, unless it changes the model.
    if spec.training.rounds_before > 0
        || trial.defenses.iter().any(|d| d.stage() == defenses::Stage::Model)
    {
        key += &format!(" {:?} {:?}", spec.defenses, deployment);
    }
    let before = cache.of(key, || train_before(trial, &parts, &deployment, device))?;
    let mut world = World {
        weights: before.weights.clone(),
        truth,
        task: before.task.clone(),
        // Weights that no defence has touched may come from another cell's; what its defences
        // remember may not.
        memory: match spec.training.rounds_before {
            0 => vec![Default::default(); trial.defenses.len()],
            _ => before.memory.clone(),
        },
        notes: before.notes.clone(),
        deployment,
    };
    if let (Some(utility), Some(parts)) = (&spec.utility, others) {
        let (task, model, training) = (&spec.task, &spec.model, &spec.training);
        let key = format!(
            "utility {task:?} {model:?} {training:?} {} {:?} {utility:?}",
            spec.seed, spec.defenses
        );
        let after = cache.of(key, || train_utility(trial, utility, &world, parts, device))?;
        world.task.extend(after.task);
        world.notes.extend(after.notes);
    }
    Ok(world)
}

/// Finds before a run what would stop [`build`]: a partition that does not exist, a client with too
/// few examples, unusable weights, a protocol or a defence that cannot work in this federation.
///
/// # Errors
/// Whatever partition, checkpoint, protocol or defence say.
pub fn check(trial: &Trial) -> Result<(), HarnessError> {
    let parts = partition(trial, trial.spec.training.clients)?;
    enough(trial, &parts)?;
    let others = utility_parts(trial)?;
    let deployment = deploy::deployment(trial, others.as_deref().unwrap_or(&parts));
    let cohort = vantage::cohort(trial, 0).len();
    deploy::check(trial, &deployment, &vec![trial.local_examples(); cohort])?;
    if others.is_some() || trial.spec.training.rounds_before > 0 {
        // The rounds of both train by the batches' statistics.
        deploy::private_statistics(&trial.net, &trial.defenses, learning::Mode::Train)?;
    }
    if trial.spec.training.rounds_before > 0 {
        deploy::check(trial, &deployment, &parts.iter().map(Vec::len).collect::<Vec<_>>())?;
    }
    if let (Some(utility), Some(parts)) = (&trial.spec.utility, &others) {
        deploy::check(trial, &deployment, &deploy::utility_sizes(utility, parts))?;
    }
    match &trial.spec.model.weights {
        Some(path) => start::load(&trial.net, path).map(|_| ()),
        None => Ok(()),
    }
}

fn train_before(
    trial: &Trial,
    parts: &[Vec<usize>],
    deployment: &Deployment,
    device: Device,
) -> Result<Trained, HarnessError> {
    let training = &trial.spec.training;
    let federation = Federation {
        parts: parts.to_vec(),
        local: LocalTraining { epochs: training.local_epochs, ..trial.local() },
        rounds: training.rounds_before,
        name: "before",
        deployment,
    };
    let mut memory = vec![Default::default(); trial.defenses.len()];
    let weights = train::run(trial, &initial(trial)?, &federation, &mut memory, device)?;
    let task = train::evaluate(trial, &weights, device)?;
    Ok(Trained { weights, task, memory, notes: Vec::new() })
}

/// Trains the utility federation. That it diverges is a result: it is noted, and no accuracy given.
fn train_utility(
    trial: &Trial,
    utility: &UtilitySpec,
    world: &World,
    parts: Vec<Vec<usize>>,
    device: Device,
) -> Result<Trained, HarnessError> {
    let local = LocalTraining {
        epochs: utility.local_epochs,
        batch_size: utility.batch_size,
        lr: utility.lr,
        momentum: utility.momentum,
        ..LocalTraining::default()
    };
    let (rounds, deployment) = (utility.rounds, &world.deployment);
    let federation = Federation { parts, local, rounds, name: "utility", deployment };
    let mut memory = world.memory.clone();
    let (mut task, mut notes) = (vec![("trained_rounds".to_string(), rounds as f64)], Vec::new());
    let weights = match train::run(trial, &world.weights, &federation, &mut memory, device) {
        Ok(weights) => weights,
        // A defence that makes training diverge, or a protocol that its values overflow, cost all
        // of the utility; the attack is another matter.
        Err(
            error @ (HarnessError::NotFinite(_)
            | HarnessError::Defense(_)
            | HarnessError::Protocol(_)),
        ) => {
            notes.push(format!("utility not measured: {error}"));
            return Ok(Trained { weights: world.weights.clone(), task, memory, notes });
        }
        Err(error) => return Err(error),
    };
    let measured = train::evaluate(trial, &weights, device)?;
    task.extend(
        measured
            .into_iter()
            .filter(|(n, _)| n != "test_examples")
            .map(|(n, v)| (format!("trained_{n}"), v)),
    );
    Ok(Trained { weights, task, memory, notes })
}

/// Examples of the clients of the utility federation, where there is one.
fn utility_parts(trial: &Trial) -> Result<Option<Vec<Vec<usize>>>, HarnessError> {
    let Some(utility) = &trial.spec.utility else { return Ok(None) };
    let mut parts = partition(trial, utility.clients)?;
    let sizes = deploy::utility_sizes(utility, &parts);
    parts.iter_mut().zip(sizes).for_each(|(part, size)| part.truncate(size));
    match parts.iter().position(Vec::is_empty) {
        Some(client) => {
            let problem = format!("client {client} of {} would hold no example", utility.clients);
            Err(suites::SpecError::value(
                "utility.clients",
                problem,
                "use fewer clients, or more data",
            )
            .into())
        }
        None => Ok(Some(parts)),
    }
}

/// Key of the streams that pick images: task and federation, not source, attack or defence.
pub fn images_key(trial: &Trial) -> String {
    let (task, t) = (&trial.spec.task, &trial.spec.training);
    format!("images {task:?} {} {:?} {}", t.clients, t.partition, t.batch_size)
}

fn partition(trial: &Trial, clients: usize) -> Result<Vec<Vec<usize>>, HarnessError> {
    let (task, training) = (&trial.spec.task, &trial.spec.training);
    let mut rng = stream(trial.spec.seed, &images_key(trial), "partition");
    start::partition(trial.data.as_ref(), task.split, &training.partition, clients, &mut rng)
}

/// Which of its lots a client works on in the round of signal `n`: a client is watched once in as
/// many rounds as there are clients.
fn turn(trial: &Trial, n: usize) -> usize {
    match trial.spec.source {
        suites::Source::AggUpdate => n,
        _ => n / trial.spec.training.clients,
    }
}

/// The `turn`-th lot of `count` examples of a client; [`enough`] has seen that it holds them.
fn lot(part: &[usize], turn: usize, count: usize) -> &[usize] {
    &part[turn * count..(turn + 1) * count]
}

/// Refuses a client that holds fewer examples than its captured rounds take: attacking one image
/// twice would pass for two.
fn enough(trial: &Trial, parts: &[Vec<usize>]) -> Result<(), HarnessError> {
    let count = trial.local_examples();
    let mut turns = vec![0usize; parts.len()];
    for n in 0..trial.spec.trials {
        vantage::cohort(trial, n).into_iter().for_each(|c| turns[c] = turn(trial, n) + 1);
    }
    let short = (0..parts.len()).find(|&c| turns[c] * count > parts[c].len());
    let Some(client) = short else { return Ok(()) };
    let (path, held) =
        (if turns[client] > 1 { "trials" } else { "training.batch_size" }, parts[client].len());
    let problem = match turns[client] {
        1 => format!("a round takes {count} examples, but client {client} holds {held}"),
        n => format!(
            "{n} rounds of {count} take {} examples, but client {client} holds {held}",
            n * count
        ),
    };
    Err(suites::SpecError::value(
        path,
        problem,
        "use fewer trials or clients, a smaller batch, or more data",
    )
    .into())
}

fn captured(trial: &Trial, parts: &[Vec<usize>]) -> Result<Truth, HarnessError> {
    enough(trial, parts)?;
    let (n, count) = (trial.spec.trials, trial.local_examples());
    let (mut ids, mut clients) = (Vec::new(), Vec::new());
    for signal in 0..n {
        for client in vantage::cohort(trial, signal) {
            ids.extend(lot(&parts[client], turn(trial, signal), count));
            clients.extend(std::iter::repeat_n(client, count));
        }
    }
    let Batch { x, y, .. } = trial.data.batch(trial.spec.task.split, &ids)?;
    let (pixels, labels) = (by_signal(&x, n), by_signal(&y, n));
    Ok(Truth { pixels, labels, ids, clients })
}

/// `[N*B, ...]` to `[N, B, ...]`.
fn by_signal(t: &Tensor, n: usize) -> Tensor {
    let mut size = t.size();
    let batch = size[0] / n as i64;
    size.splice(0..1, [n as i64, batch]);
    t.reshape(size)
}

fn initial(trial: &Trial) -> Result<Params, HarnessError> {
    let spec = &trial.spec;
    start::weights(&trial.net, &spec.task, &spec.model, spec.seed)
}

/// The split that measures utility: test, else validation, else train, but never the one that the
/// clients hold.
pub fn test_split(data: &dyn Dataset, held: Split) -> Option<Split> {
    [Split::Test, Split::Val, Split::Train].into_iter().find(|&s| s != held && data.len(s) > 0)
}

/// The split an adversary may know: not the attacked one.
pub fn public_split(data: &dyn Dataset, attacked: Split) -> Option<Split> {
    [Split::Train, Split::Val, Split::Test].into_iter().find(|&s| s != attacked && data.len(s) > 0)
}
