//! The captured round: clients compute, defences act, the protocol carries; the adversary's
//! observation is what its vantage leaves.

use std::collections::BTreeMap;

use attacks::Progress;
use defenses::{CapturedRound, Deployment};
use learning::client::LocalTraining;
use learning::{Known, Observation, Params, Published, Signal};
use protocols::Transcript;
use suites::{Fact, Source};
use tch::{Device, Kind, Tensor};

use crate::plan::Trial;
use crate::round::{self, Printed, Setting};
use crate::vantage::{self, Sight};
use crate::world::{Truth, World, images_key};
use crate::{HarnessError, price};

/// What the round left behind.
pub struct Captured {
    /// What the adversary holds.
    pub observation: Observation,
    /// The examples behind it, for the scores alone.
    pub truth: Truth,
    /// What the vantage saw.
    pub sight: Sight,
    /// What each defence printed, in order; means over the updates it saw.
    pub values: Vec<BTreeMap<String, f64>>,
    /// What the rounds cost.
    pub price: price::Price,
    /// Doubts about single signals.
    pub flags: Vec<Vec<String>>,
    /// What went wrong in the rounds and was survived.
    pub notes: Vec<String>,
}

/// One captured round.
struct Caught {
    signal: Params,
    behind: Vec<usize>,
    transcript: Transcript,
}

/// Runs the captured round of every signal. Signals are worked off one by one: an update of a large
/// model weighs as much as the model.
///
/// # Errors
/// A defence or protocol that cannot act, or an update that is not finite.
pub fn run(
    trial: &Trial,
    world: &World,
    device: Device,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Captured, HarnessError> {
    let weights = world.weights.to(device, Kind::Float);
    let sight = vantage::sight(trial).map_err(attacks::AttackError::NotApplicable)?;
    let mut printed = Printed::new(trial.defenses.len());
    let (mut signals, mut behind, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut price = price::Price::default();
    for n in 0..trial.spec.trials {
        let caught = catch(trial, world, &weights, sight, n, device, &mut printed, progress)?;
        price.add(&trial.terms("", ""), &caught.transcript);
        notes.extend(
            caught.transcript.failures.iter().map(|f| {
                format!("trial {n}: client {} in phase `{}`: {}", f.client, f.phase, f.what)
            }),
        );
        signals.push(caught.signal);
        behind.push(caught.behind);
    }
    if behind.iter().any(|b| b.len() != behind[0].len()) {
        let why = "rounds lost different numbers of clients, so that their signals do not stand \
            for equally many images; use trials = 1";
        return Err(attacks::AttackError::NotApplicable(why.into()).into());
    }
    let truth = world.truth.behind(&behind, vantage::cohort(trial, 0).len());
    let signal = stack(&signals);
    Ok(Captured {
        flags: signals.iter().map(|s| doubts(trial, sight, s)).collect(),
        observation: observe(trial, world, sight, &truth, behind[0].len(), signal)?,
        sight,
        truth,
        values: printed.means(),
        price,
        notes,
    })
}

#[allow(clippy::too_many_arguments)] // the round, its place, and where its results go
fn catch(
    trial: &Trial,
    world: &World,
    weights: &Params,
    sight: Sight,
    n: usize,
    device: Device,
    printed: &mut Printed,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Caught, HarnessError> {
    let (local, key, tag) = (local(trial), images_key(trial), format!("capture {n}"));
    let secrets = trial.secrets(&key);
    let setting = Setting {
        terms: trial.terms(&key, &secrets),
        deployment: &world.deployment,
        weights,
        local: local.as_ref(),
        mode: trial.mode(),
        number: trial.spec.training.rounds_before + n,
        tag: &tag,
    };
    let (clients, mut memory) = (vantage::cohort(trial, n), world.memory.clone());
    let split = |t: &Tensor| {
        let own = t.get(n as i64);
        let (mut size, count) = (own.size(), clients.len() as i64);
        size.splice(0..1, [count, size[0] / count]);
        // A copy: the truth's own memory is never handed out.
        own.reshape(size).copy().to_device(device)
    };
    let (x, y) = (split(&world.truth.pixels), split(&world.truth.labels));
    let sent = setting.work(&clients, x, y, &mut memory, printed)?;
    let weights_in_mean =
        round::weights(&trial.defenses, &vec![trial.local_examples(); clients.len()]);
    let (watched, colluders) = (vantage::watched(trial, n), vantage::colluders(trial, n));
    let transcript = setting.carry(&sent, &weights_in_mean, watched, &colluders, &[], progress)?;
    let released =
        setting.release(&transcript.mean, transcript.survivors.len(), &mut memory, printed)?;
    let behind = vantage::behind(trial, sight, n, &transcript);
    if behind.is_empty() {
        let why = "every client behind the signal dropped out or colludes".to_string();
        return Err(attacks::AttackError::NotApplicable(why).into());
    }
    let signal = match sight {
        Sight::Released => released,
        _ => {
            let flat = vantage::seen(trial, sight, n, &transcript, &sent.updates, &weights_in_mean);
            let flat = flat.ok_or_else(|| {
                attacks::AttackError::NotApplicable(
                    "the pooled secrets do not open the upload".into(),
                )
            })?;
            setting.undo(&flat)?
        }
    };
    Ok(Caught { signal: signal.to(Device::Cpu, Kind::Float), behind, transcript })
}

/// Local training of the captured round; `None` where a client sends one batch's gradient.
fn local(trial: &Trial) -> Option<LocalTraining> {
    (trial.spec.source != Source::Gradients).then(|| trial.local())
}

fn stack(signals: &[Params]) -> Params {
    let first = &signals[0];
    let tensors = (0..first.tensors.len())
        .map(|i| Tensor::cat(&signals.iter().map(|s| &s.tensors[i]).collect::<Vec<_>>(), 0))
        .collect();
    Params::new(first.layout().clone(), tensors).expect("signals of one round share a layout")
}

fn doubts(trial: &Trial, sight: Sight, signal: &Params) -> Vec<String> {
    let mut flags = Vec::new();
    match signal.norm().double_value(&[0]) {
        n if !n.is_finite() => flags.push("captured signal is not finite".into()),
        0.0 => flags.push("zero gradient".into()),
        _ => {}
    }
    if matches!(sight, Sight::HiddenUpdate | Sight::HiddenSum) {
        flags.push("masked words or ciphertext, read as fixed point".into());
    }
    if trial.spec.training.augment {
        flags.push("augmented on the client, scored against the original".into());
    }
    flags
}

/// Grants the facts of the spec, and nothing else of the truth.
///
/// # Errors
/// What [`effects`] says.
fn observe(
    trial: &Trial,
    world: &World,
    sight: Sight,
    truth: &Truth,
    contributors: usize,
    signal: Params,
) -> Result<Observation, HarnessError> {
    let granted = |fact| trial.spec.facts.contains(&fact);
    let steps = granted(Fact::LocalSteps) && trial.spec.source != Source::Gradients;
    let behind = trial.local_examples() * contributors;
    let known = Known {
        labels: granted(Fact::Labels).then(|| truth.labels.copy()),
        batch_size: granted(Fact::BatchSize).then_some(behind as i64),
        local: steps.then(|| trial.local()),
        lr: granted(Fact::LearningRate).then_some(trial.spec.training.lr),
        local_examples: granted(Fact::BatchSize).then_some(trial.local_examples()),
        contributors: contributors as i64,
        defenses: effects(trial, world, sight, contributors)?,
    };
    Ok(Observation {
        net: trial.net.clone(),
        weights: world.weights.clone(),
        signal: match trial.spec.source {
            Source::Gradients => Signal::Gradient(signal),
            _ => Signal::Update(signal),
        },
        mode: trial.mode(),
        known,
    })
}

/// What Kerckhoffs' adversary knows of the defenses.
///
/// # Errors
/// A defense whose noise cannot be calibrated.
fn effects(
    trial: &Trial,
    world: &World,
    sight: Sight,
    contributors: usize,
) -> Result<Vec<Published>, HarnessError> {
    // What the server adds is not in what it, or who pools with it, has seen before.
    let released = sight == Sight::Released;
    let captured = CapturedRound { clients: contributors, released, ..world.deployment.captured };
    let deployment = Deployment { captured, ..world.deployment.clone() };
    let named =
        trial.spec.defenses.iter().filter(|d| defenses::ENTRIES.iter().any(|e| e.name == d.name));
    let mut all = Vec::new();
    for (named, defense) in named.zip(&trial.defenses) {
        let effects = defense.effects(&deployment)?;
        all.extend(effects.into_iter().map(|effect| Published { by: named.name.clone(), effect }));
    }
    Ok(all)
}
