//! Rounds of federated training with the defences in the loop: those before a capture, and those
//! that measure utility.

use datasets::{Batch, Dataset};
use learning::client::{self, LocalTraining};
use learning::{Mode, Params};
use tch::{Device, Kind, Tensor};

use defenses::Deployment;

use crate::HarnessError;
use crate::plan::Trial;
use crate::round::{self, Memory, Printed, Sent, Setting};
use crate::world::{images_key, test_split};

/// A federation to train: who holds what, and how.
pub struct Federation<'a> {
    /// Examples of each client, as ids of the task's split.
    pub parts: Vec<Vec<usize>>,
    /// Local training.
    pub local: LocalTraining,
    /// Rounds, all clients taking part in each.
    pub rounds: usize,
    /// Name of its streams.
    pub name: &'a str,
    /// What guarantees are about.
    pub deployment: &'a Deployment,
}

/// Examples used to measure a model's accuracy, at most.
const TEST_EXAMPLES: usize = 1000;

/// Parameters that train side by side, at most: small models gain from it, large ones only take
/// memory.
const SIDE_BY_SIDE: i64 = 2_000_000;

/// Trains from `weights` (`[1, ...]`, any device); gives the weights after the last round on the
/// CPU.
///
/// # Errors
/// Whatever data, defences or protocol say; weights that are no longer finite.
pub fn run(
    trial: &Trial,
    weights: &Params,
    federation: &Federation,
    memory: &mut Memory,
    device: Device,
) -> Result<Params, HarnessError> {
    let held = load(trial, federation)?;
    let mut weights = weights.to(device, Kind::Float);
    for number in 0..federation.rounds {
        weights = one(trial, &weights, federation, &held, number, memory, device)?;
        if weights.norm().isfinite().all().int64_value(&[]) == 0 {
            return Err(HarnessError::NotFinite(format!(
                "training diverged in round {number} (NaN or infinite weights); lower the \
                 learning rate"
            )));
        }
    }
    Ok(weights.to(Device::Cpu, Kind::Float))
}

/// Clients that hold equally many examples, and their examples `[C, E, ...]`.
struct Lot {
    clients: Vec<usize>,
    pixels: Tensor,
    labels: Tensor,
}

fn load(trial: &Trial, federation: &Federation) -> Result<Vec<Lot>, HarnessError> {
    let width = (SIDE_BY_SIDE / trial.net.layout().len().max(1)).max(1) as usize;
    let mut lots: Vec<Vec<usize>> = Vec::new();
    for (client, part) in federation.parts.iter().enumerate() {
        match lots.last_mut() {
            Some(lot) if lot.len() < width && federation.parts[lot[0]].len() == part.len() => {
                lot.push(client)
            }
            _ => lots.push(vec![client]),
        }
    }
    let one = |clients: Vec<usize>| {
        let ids: Vec<usize> =
            clients.iter().flat_map(|&c| federation.parts[c].iter().copied()).collect();
        let Batch { x, y, .. } = trial.data.batch(trial.spec.task.split, &ids)?;
        let split = |t: &Tensor| {
            let mut size = t.size();
            let count = clients.len() as i64;
            size.splice(0..1, [count, size[0] / count]);
            t.reshape(size)
        };
        Ok(Lot { pixels: split(&x), labels: split(&y), clients })
    };
    lots.into_iter().map(one).collect()
}

fn one(
    trial: &Trial,
    weights: &Params,
    federation: &Federation,
    held: &[Lot],
    number: usize,
    memory: &mut Memory,
    device: Device,
) -> Result<Params, HarnessError> {
    let (key, tag) = (images_key(trial), format!("{} {number}", federation.name));
    let secrets = trial.secrets(&key);
    let setting = Setting {
        terms: trial.terms(&key, &secrets),
        deployment: federation.deployment,
        weights,
        local: Some(&federation.local),
        mode: mode(trial, federation.deployment)?,
        number,
        tag: &tag,
    };
    let mut printed = Printed::new(trial.defenses.len());
    let mut sent = Sent::default();
    for lot in held {
        let (x, y) = (lot.pixels.to_device(device), lot.labels.to_device(device));
        let part = setting.work(&lot.clients, x, y, memory, &mut printed)?;
        sent.updates.extend(part.updates);
        sent.grid = part.grid.or(sent.grid);
    }
    let sizes: Vec<usize> = federation.parts.iter().map(Vec::len).collect();
    let shares = round::weights(&trial.defenses, &sizes);
    let transcript = setting.carry(&sent, &shares, 0, &[], &[], &|_| {})?;
    let mean = setting
        .release(&transcript.mean, transcript.survivors.len(), memory, &mut printed)?
        .to(device, Kind::Float);
    Ok(tch::no_grad(|| weights.zip(&mean, |w, u| w + u)))
}

/// Clients train with batch statistics, unless per-example clipping forbids that: then in the mode
/// the spec gives.
fn mode(trial: &Trial, deployment: &Deployment) -> Result<Mode, HarnessError> {
    for defense in &trial.defenses {
        if defense.gradient_rule(deployment)?.is_some() {
            return Ok(trial.mode());
        }
    }
    Ok(Mode::Train)
}

/// Accuracy and loss on the split that measures utility; empty where there is none.
///
/// # Errors
/// Whatever the data say.
pub fn evaluate(
    trial: &Trial,
    weights: &Params,
    device: Device,
) -> Result<Vec<(String, f64)>, HarnessError> {
    let data: &dyn Dataset = trial.data.as_ref();
    let Some(split) = test_split(data, trial.spec.task.split) else { return Ok(Vec::new()) };
    let ids: Vec<usize> = (0..data.len(split).min(TEST_EXAMPLES)).collect();
    let Batch { x, y, .. } = data.batch(split, &ids)?;
    let weights = weights.to(device, Kind::Float);
    let (accuracy, loss) =
        client::evaluate(&trial.net, &weights, &x.to_device(device), &y.to_device(device));
    Ok(vec![
        ("accuracy".into(), accuracy),
        ("loss".into(), loss),
        ("test_examples".into(), ids.len() as f64),
    ])
}
