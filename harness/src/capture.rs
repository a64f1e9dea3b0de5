//! The captured round: clients compute, defences act, the adversary's observation is what is left.

use std::collections::BTreeMap;

use learning::client::{self, Rules};
use learning::{Known, Observation, Params, Signal};
use suites::{Fact, Source, rng::stream};
use tch::{Device, Kind, Tensor};

use crate::HarnessError;
use crate::plan::Trial;
use crate::world::{Truth, World, client_streams};

/// What the round left behind.
pub struct Captured {
    /// What the adversary holds.
    pub observation: Observation,
    /// What each defence printed, in order; means over the updates it saw.
    pub values: Vec<BTreeMap<String, f64>>,
    /// Bytes a client sends in this round.
    pub bytes_up: u64,
    /// Bytes a client receives.
    pub bytes_down: u64,
    /// Doubts about single signals.
    pub flags: Vec<Vec<String>>,
}

/// Runs the captured round of every signal. Signals are worked off one by one: an update of a large model weighs as much as the model.
///
/// # Errors
/// A defence that cannot act, or an update that is not finite.
pub fn run(trial: &Trial, world: &World, device: Device) -> Result<Captured, HarnessError> {
    let weights = world.weights.to(device, Kind::Float);
    let mut sums: Vec<BTreeMap<String, f64>> = trial.defenses.iter().map(|_| BTreeMap::new()).collect();
    let mut signals = Vec::new();
    for n in 0..trial.spec.trials {
        let updates = client_updates(trial, &weights, &world.truth, n, device);
        let released = defend(trial, updates, n, &mut sums)?;
        signals.push(released.map(|t| t.mean_dim(0, true, None::<Kind>)).to(Device::Cpu, Kind::Float));
    }
    for values in sums.iter_mut().flat_map(BTreeMap::values_mut) {
        *values /= trial.spec.trials as f64;
    }
    let mut flags: Vec<Vec<String>> = signals.iter().map(doubts).collect();
    if trial.spec.training.augment {
        flags.iter_mut().for_each(|f| f.push("augmented on the client, scored against the original".into()));
    }
    let signal = stack(&signals);
    let dense = 4 * trial.net.layout().trainable_len() as u64;
    let bits = trial.defenses.iter().rev().find_map(|d| d.bits_per_value()).unwrap_or(32.0);
    Ok(Captured {
        observation: observe(trial, world, signal),
        values: sums,
        bytes_up: (trial.net.layout().trainable_len() as f64 * bits / 8.0).ceil() as u64,
        bytes_down: dense,
        flags,
    })
}

/// What the clients behind signal `n` would send, `[clients, ...]`.
fn client_updates(trial: &Trial, weights: &Params, truth: &Truth, n: usize, device: Device) -> Params {
    let clients = if trial.spec.source == Source::AggUpdate { trial.spec.training.clients as i64 } else { 1 };
    let split = |t: &Tensor| {
        let own = t.get(n as i64);
        let mut size = own.size();
        let examples = size[0] / clients;
        size.splice(0..1, [clients, examples]);
        own.reshape(size).to_device(device)
    };
    let (x, y) = (split(&truth.pixels), split(&truth.labels));
    if trial.spec.source == Source::Gradients {
        return client::batch_gradient(&trial.net, weights, &x, &y, &Rules::default(), trial.mode(), &mut []);
    }
    let c = clients as usize;
    let mut rngs = client_streams(trial, n * c..(n + 1) * c, "client");
    let trained = client::train(
        &trial.net,
        weights,
        &x,
        &y,
        &trial.local(),
        &Rules::default(),
        trial.mode(),
        &mut rngs,
    );
    tch::no_grad(|| trained.sub(weights).map(Tensor::detach))
}

/// Passes updates `[clients, ...]` through the defences in order and notes what they print.
fn defend(
    trial: &Trial,
    mut update: Params,
    n: usize,
    sums: &mut [BTreeMap<String, f64>],
) -> Result<Params, HarnessError> {
    // The same noise meets every attack on this world (and, scaled, every epsilon): what differs is the attack, not its luck.
    let key = trial.spec.world_key();
    for (place, defense) in trial.defenses.iter().enumerate() {
        let clients = update.trials() as usize;
        let mut rngs: Vec<_> = (0..clients)
            .map(|c| stream(trial.spec.seed, &key, &format!("defence-{place}-{n}-{c}")))
            .collect();
        let released = tch::no_grad(|| defense.release(update, &mut rngs))?;
        for (name, value) in released.values {
            *sums[place].entry(name).or_default() += value;
        }
        update = released.update;
    }
    Ok(update)
}

fn stack(signals: &[Params]) -> Params {
    let first = &signals[0];
    let tensors = (0..first.tensors.len())
        .map(|i| Tensor::cat(&signals.iter().map(|s| &s.tensors[i]).collect::<Vec<_>>(), 0))
        .collect();
    Params::new(first.layout().clone(), tensors).expect("signals of one round share a layout")
}

fn doubts(signal: &Params) -> Vec<String> {
    let norm = signal.norm().double_value(&[0]);
    match norm {
        n if !n.is_finite() => vec!["captured signal is not finite".into()],
        0.0 => vec!["zero gradient".into()],
        _ => Vec::new(),
    }
}

/// Grants the facts of the spec, and nothing else of the truth.
fn observe(trial: &Trial, world: &World, signal: Params) -> Observation {
    let granted = |fact| trial.spec.facts.contains(&fact);
    let steps = granted(Fact::LocalSteps) && trial.spec.source != Source::Gradients;
    let known = Known {
        labels: granted(Fact::Labels).then(|| world.truth.labels.copy()),
        batch_size: granted(Fact::BatchSize).then_some(trial.examples_per_signal() as i64),
        local: steps.then(|| trial.local()),
        lr: granted(Fact::LearningRate).then_some(trial.spec.training.lr),
        local_examples: granted(Fact::BatchSize).then_some(trial.local_examples()),
        contributors: if trial.spec.source == Source::AggUpdate {
            trial.spec.training.clients as i64
        } else {
            1
        },
    };
    Observation {
        net: trial.net.clone(),
        weights: world.weights.clone(),
        signal: if trial.spec.source == Source::Gradients {
            Signal::Gradient(signal)
        } else {
            Signal::Update(signal)
        },
        mode: trial.mode(),
        known,
    }
}
