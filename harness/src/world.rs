//! The federation of a cell: whose examples, which weights, how many rounds. Everything here is drawn from streams that do not depend on
//! the attack, the defence or the source, so that cells that differ only there attack the same images and weights.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use datasets::{Batch, Dataset};
use learning::client::{self, LocalTraining, Rules};
use learning::{Mode, Params, checkpoint, init};
use rand_chacha::ChaCha12Rng;
use suites::{Partition, Split, rng::stream};
use tch::{Device, Kind, Tensor};

use crate::HarnessError;
use crate::plan::Trial;

/// The true batch behind each captured signal. It goes to the scores and nowhere else.
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

/// The state of the federation before the captured round.
pub struct World {
    /// Global weights, `[1, ...]`, CPU.
    pub weights: Params,
    /// What the captured clients hold.
    pub truth: Truth,
    /// Task metrics of the weights on the test split.
    pub task: Vec<(String, f64)>,
}

/// Examples used to measure the attacked model's accuracy, at most.
const TEST_EXAMPLES: usize = 1000;

/// Weights and their task metrics by federation: cells that differ only in source, attack or defence train and measure once.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<String, Trained>>);

/// Weights, and what they score on the test split.
type Trained = (Params, Vec<(String, f64)>);

impl Cache {
    fn get(&self, key: &str) -> Option<Trained> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: String, value: Trained) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, value);
    }
}

/// Draws clients and weights, trains the rounds before the capture, measures the model.
///
/// # Errors
/// Whatever data, partition or checkpoint say.
pub fn build(trial: &Trial, device: Device, cache: &Cache) -> Result<World, HarnessError> {
    let parts = partition(trial)?;
    let truth = captured(trial, &parts)?;
    let spec = &trial.spec;
    let key = format!("{:?} {:?} {:?} {}", spec.task, spec.model, spec.training, spec.seed);
    let (weights, task) = match cache.get(&key) {
        Some(known) => known,
        None => {
            let trained = train(trial, &parts, device)?;
            cache.put(key, trained.clone());
            trained
        }
    };
    Ok(World { weights, truth, task })
}

/// Finds before a run what would stop [`build`]: a partition that does not exist, a client with too few examples, unusable weights.
///
/// # Errors
/// Whatever partition or checkpoint say.
pub fn check(trial: &Trial) -> Result<(), HarnessError> {
    enough(trial, &partition(trial)?)?;
    match &trial.spec.model.weights {
        Some(path) => load(trial, path).map(|_| ()),
        None => Ok(()),
    }
}

fn train(trial: &Trial, parts: &[Vec<usize>], device: Device) -> Result<Trained, HarnessError> {
    let mut weights = initial(trial)?.to(device, Kind::Float);
    for round in 0..trial.spec.training.rounds_before {
        weights = fedavg_round(trial, parts, &weights, round, device)?;
    }
    let weights = weights.to(Device::Cpu, Kind::Float);
    let task = evaluate(trial, &weights, device)?;
    Ok((weights, task))
}

/// Key of the streams that pick images: task and federation, not source, attack or defence.
fn images_key(trial: &Trial) -> String {
    let (task, t) = (&trial.spec.task, &trial.spec.training);
    format!("images {task:?} {} {:?} {}", t.clients, t.partition, t.batch_size)
}

/// Key of the streams that draw weights.
fn weights_key(trial: &Trial) -> String {
    let (task, model) = (&trial.spec.task, &trial.spec.model);
    format!("weights {} {:?} {} {:?} {:?}", task.dataset, task.label, model.name, model.params, model.init)
}

fn partition(trial: &Trial) -> Result<Vec<Vec<usize>>, HarnessError> {
    let (data, split, training) = (trial.data.as_ref(), trial.spec.task.split, &trial.spec.training);
    let labels = (0..data.len(split)).map(|id| data.label(split, id)).collect::<Result<Vec<_>, _>>()?;
    let identities: Option<Vec<u64>> = match training.partition {
        Partition::ByIdentity => (0..data.len(split)).map(|id| data.identity(split, id)).collect(),
        _ => None,
    };
    let mut rng = stream(trial.spec.seed, &images_key(trial), "partition");
    Ok(datasets::partition::split(
        &training.partition,
        &labels,
        identities.as_deref(),
        training.clients,
        &mut rng,
    )?)
}

/// Which clients each signal comes from: one, or all of them for an aggregate.
pub fn contributors(trial: &Trial, signal: usize) -> Vec<usize> {
    let clients = trial.spec.training.clients;
    match trial.spec.source {
        suites::Source::AggUpdate => (0..clients).collect(),
        _ => vec![signal % clients],
    }
}

/// The `turn`-th lot of `count` examples of a client; [`enough`] has seen that it holds them.
fn lot(part: &[usize], turn: usize, count: usize) -> &[usize] {
    &part[turn * count..(turn + 1) * count]
}

/// Refuses a client that holds fewer examples than its captured rounds take: attacking one image twice would pass for two.
fn enough(trial: &Trial, parts: &[Vec<usize>]) -> Result<(), HarnessError> {
    let count = trial.local_examples();
    let mut turns = vec![0usize; parts.len()];
    for n in 0..trial.spec.trials {
        contributors(trial, n).into_iter().for_each(|c| turns[c] += 1);
    }
    let short = (0..parts.len()).find(|&c| turns[c] * count > parts[c].len());
    let Some(client) = short else { return Ok(()) };
    let (path, held) =
        (if turns[client] > 1 { "trials" } else { "training.batch_size" }, parts[client].len());
    let problem = match turns[client] {
        1 => format!("a round takes {count} examples, but client {client} holds {held}"),
        n => format!("{n} rounds of {count} take {} examples, but client {client} holds {held}", n * count),
    };
    Err(suites::SpecError::value(path, problem, "use fewer trials or clients, a smaller batch, or more data")
        .into())
}

fn captured(trial: &Trial, parts: &[Vec<usize>]) -> Result<Truth, HarnessError> {
    enough(trial, parts)?;
    let (n, count) = (trial.spec.trials, trial.local_examples());
    let (mut ids, mut clients) = (Vec::new(), Vec::new());
    for signal in 0..n {
        let all = contributors(trial, signal);
        let turn = if all.len() > 1 { signal } else { signal / trial.spec.training.clients };
        for client in all {
            ids.extend(lot(&parts[client], turn, count));
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
    let layout = trial.net.layout();
    match &trial.spec.model.weights {
        Some(path) => load(trial, path),
        None => {
            let mut rng = stream(trial.spec.seed, &weights_key(trial), "weights");
            Ok(init::fresh(layout, trial.spec.model.init, &mut rng))
        }
    }
}

fn load(trial: &Trial, path: &Path) -> Result<Params, HarnessError> {
    let named = checkpoint::load(path)?;
    let wrong = |e: &dyn std::fmt::Display| HarnessError::Weights(format!("{}: {e}", path.display()));
    if let Some((name, _)) =
        named.iter().find(|(_, t)| t.is_floating_point() && t.isfinite().all().int64_value(&[]) == 0)
    {
        return Err(wrong(&format!(
            "tensor `{name}` holds NaN or infinite values; save the weights of a training that did not diverge"
        )));
    }
    Params::from_named(trial.net.layout().clone(), named).map_err(|e| wrong(&e))
}

/// One round of FedAvg (McMahan et al. 2017) over all clients and all they hold, weighted by their number of examples.
fn fedavg_round(
    trial: &Trial,
    parts: &[Vec<usize>],
    weights: &Params,
    round: usize,
    device: Device,
) -> Result<Params, HarnessError> {
    let total: usize = parts.iter().map(Vec::len).sum();
    let setting = LocalTraining { epochs: trial.spec.training.local_epochs, ..trial.local() };
    let mut next: Option<Params> = None;
    for (client, part) in parts.iter().enumerate() {
        let Batch { x, y, .. } = trial.data.batch(trial.spec.task.split, part)?;
        let (x, y) = (x.unsqueeze(0).to_device(device), y.unsqueeze(0).to_device(device));
        let mut rngs =
            [stream(trial.spec.seed, &images_key(trial), &format!("round-{round}-client-{client}"))];
        let trained =
            client::train(&trial.net, weights, &x, &y, &setting, &Rules::default(), Mode::Train, &mut rngs);
        let share = trained.scale(part.len() as f64 / total as f64);
        next = Some(match next {
            Some(sum) => sum.zip(&share, |a, b| a + b),
            None => share,
        });
    }
    let next = next.unwrap_or_else(|| weights.clone());
    match next.norm().isfinite().all().int64_value(&[]) != 0 {
        true => Ok(next),
        false => Err(HarnessError::NotFinite(format!(
            "training diverged in round {round} (NaN or infinite weights); lower training.lr"
        ))),
    }
}

/// The streams of the clients behind `N` captured signals, for batch order and augmentation.
pub fn client_streams(trial: &Trial, signals: std::ops::Range<usize>, purpose: &str) -> Vec<ChaCha12Rng> {
    signals.map(|n| stream(trial.spec.seed, &images_key(trial), &format!("{purpose}-{n}"))).collect()
}

/// The split that measures utility: test, else validation, else train, but never the one that the clients hold.
pub fn test_split(data: &dyn Dataset, held: Split) -> Option<Split> {
    [Split::Test, Split::Val, Split::Train].into_iter().find(|&s| s != held && data.len(s) > 0)
}

/// The split an adversary may know: not the attacked one.
pub fn public_split(data: &dyn Dataset, attacked: Split) -> Option<Split> {
    [Split::Train, Split::Val, Split::Test].into_iter().find(|&s| s != attacked && data.len(s) > 0)
}

fn evaluate(trial: &Trial, weights: &Params, device: Device) -> Result<Vec<(String, f64)>, HarnessError> {
    let data = trial.data.as_ref();
    let Some(split) = test_split(data, trial.spec.task.split) else { return Ok(Vec::new()) };
    let ids: Vec<usize> = (0..data.len(split).min(TEST_EXAMPLES)).collect();
    let Batch { x, y, .. } = data.batch(split, &ids)?;
    let weights = weights.to(device, Kind::Float);
    let (accuracy, loss) = client::evaluate(&trial.net, &weights, &x.to_device(device), &y.to_device(device));
    Ok(vec![("accuracy".into(), accuracy), ("loss".into(), loss), ("test_examples".into(), ids.len() as f64)])
}
