//! The captured round: clients compute, defenses act, the protocol carries; the adversary's
//! observation is what its vantage leaves.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use attacks::{AttackError, Progress};
use datasets::{Batch, LabelKind};
use defenses::{CapturedRound, Deployment};
use federation::comm_cost::CommCost;
use federation::init::public_split;
use federation::{Examples, Execution, Federation, PlayedRound, RoundPlan};
use learning::{Known, Observation, Params, Published, Signal};
use suites::{Fact, Flag, FlagKind, Source};
use tch::{Device, Kind, Tensor};

use crate::HarnessError;
use crate::resolve::ResolvedCell;
use crate::scenario::{GroundTruth, Scenario};
use crate::vantage::{self, Sighting, View};

/// What the round left behind.
pub struct Captured {
    /// What the adversary holds.
    pub observation: Observation,
    /// The examples behind it, for the scores alone.
    pub truth: GroundTruth,
    /// What the vantage saw.
    pub view: View,
    /// What each defense printed, in order; means over the updates it saw.
    pub values: Vec<BTreeMap<String, f64>>,
    /// What the rounds cost.
    pub cost: CommCost,
    /// Clients whose update was carried in a round.
    pub cohort: usize,
    /// Doubts about single signals.
    pub flags: Vec<Vec<Flag>>,
    /// What went wrong in the rounds and was survived.
    pub notes: Vec<String>,
}

/// One captured round.
struct Caught {
    signal: Params,
    /// Ids of the examples behind the signal, by client.
    behind: Vec<(usize, Vec<usize>)>,
    round: PlayedRound,
}

/// Replays the captured round once a signal, each time from the same broadcast weights.
///
/// # Errors
/// A defense or protocol that cannot act, or an update that is not finite.
pub fn run(
    cell: &ResolvedCell,
    scenario: &Scenario,
    device: Device,
    cancel: &AtomicBool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Captured, HarnessError> {
    let rounds: Vec<_> = (0..cell.spec.trials).map(|n| (&scenario.federation, n)).collect();
    play(cell, scenario, &rounds, device, cancel, progress)
}

/// Plays replays of the captured round, each of a federation with the scenario's weights, and
/// gathers what the adversary sees. Signals are worked off one by one: an update of a large model
/// weighs as much as the model.
///
/// # Errors
/// As [`run`].
pub fn play(
    cell: &ResolvedCell,
    scenario: &Scenario,
    rounds: &[(&Federation, usize)],
    device: Device,
    cancel: &AtomicBool,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Captured, HarnessError> {
    let view = vantage::view(cell).map_err(AttackError::NotApplicable)?;
    let (mut all, mut notes, mut cost) = (Vec::new(), Vec::new(), CommCost::default());
    let state = scenario.state_on(device);
    let carried = |done: usize, total: usize| {
        progress(Progress { iteration: done, total, lanes: 1, objective: None });
    };
    let execution = Execution { carried: &carried, ..Execution::quiet(device, cancel) };
    let Some(&(first, _)) = rounds.first() else {
        return Err(AttackError::NotApplicable("no round was captured".into()).into());
    };
    let (mut last, mut examples) = (first, Examples::new(first));
    for &(federation, n) in rounds {
        if !std::ptr::eq(last, federation) {
            (last, examples) = (federation, Examples::new(federation));
        }
        let plan = federation.replay(cell.spec.capture.round, n);
        let watch = vantage::watch(cell, &plan, federation.watched(n));
        let played =
            federation::play(federation, &state, &plan, Some(&watch), &mut examples, &execution)?;
        let mut round = played.ok_or(AttackError::Cancelled)?;
        if let Some(error) = round.aborted.take() {
            return Err(error.into());
        }
        if let Some(transcript) = &round.transcript {
            cost.add(&federation.config(), transcript);
        }
        notes.extend(failures(&round).map(|what| format!("trial {n}: {what}")));
        all.push(catch(federation, &plan, &watch, view, round)?);
    }
    let truth = truth(first, &all)?;
    gather(cell, scenario, view, all, truth, cost, notes)
}

/// What the protocol survived.
fn failures(round: &PlayedRound) -> impl Iterator<Item = String> + '_ {
    let failures = round.transcript.iter().flat_map(|t| &t.failures);
    failures.map(|f| {
        let client = round.clients.get(f.client).copied().unwrap_or(f.client);
        format!("client {client} in phase `{}`: {}", f.phase, f.what)
    })
}

/// What the adversary makes of a round.
fn catch(
    federation: &Federation,
    plan: &RoundPlan,
    watch: &federation::Watch,
    view: View,
    round: PlayedRound,
) -> Result<Caught, HarnessError> {
    let nothing = |why: &str| AttackError::NotApplicable(why.into());
    let transcript = round.transcript.as_ref();
    let transcript = transcript.ok_or_else(|| nothing("no client delivered in the round"))?;
    let sighting = Sighting { view, watch, round: &round, transcript };
    let clients = sighting.contributing_clients();
    if clients.is_empty() {
        return Err(nothing("every client behind the signal dropped out or colludes").into());
    }
    let signal = match (view, &round.released) {
        (View::Released, Some(released)) => released.clone(),
        _ => {
            let flat = sighting.observe();
            let flat = flat.ok_or_else(|| nothing("the pooled secrets do not open the upload"))?;
            federation.undo(&flat)?
        }
    };
    let ids = |client: usize| (client, federation.ids(plan, client));
    let behind = clients.into_iter().map(ids).collect();
    Ok(Caught { signal: signal.to(Device::Cpu, Kind::Float), behind, round })
}

/// All signals as one observation, and the truth behind them.
fn gather(
    cell: &ResolvedCell,
    scenario: &Scenario,
    view: View,
    caught: Vec<Caught>,
    truth: GroundTruth,
    cost: CommCost,
    notes: Vec<String>,
) -> Result<Captured, HarnessError> {
    let count = |c: &Caught| c.behind.iter().map(|(_, ids)| ids.len()).sum::<usize>();
    let contributors = caught[0].behind.len();
    if caught.iter().any(|c| c.behind.len() != contributors || count(c) != count(&caught[0])) {
        let why = "rounds lost different numbers of clients, so that their signals do not stand \
            for equally many images; use trials = 1";
        return Err(AttackError::NotApplicable(why.into()).into());
    }
    let mut printed = caught[0].round.outcome.printed.clone();
    caught[1..].iter().for_each(|c| printed.merge(&c.round.outcome.printed));
    let signals: Vec<&Params> = caught.iter().map(|c| &c.signal).collect();
    Ok(Captured {
        flags: signals.iter().map(|s| doubts(cell, view, s)).collect(),
        observation: observe(cell, scenario, view, &truth, contributors, stack(&signals))?,
        view,
        truth,
        values: printed.means(),
        cohort: caught[0].round.clients.len(),
        cost,
        notes,
    })
}

/// The examples behind the signals, read anew: what clients worked on is never handed out.
fn truth(federation: &Federation, caught: &[Caught]) -> Result<GroundTruth, HarnessError> {
    let (mut ids, mut clients) = (Vec::new(), Vec::new());
    for (client, own) in caught.iter().flat_map(|c| &c.behind) {
        ids.extend(own);
        clients.extend(std::iter::repeat_n(*client, own.len()));
    }
    let Batch { x, y, .. } = federation.data.batch(federation.spec.task.split, &ids)?;
    let (pixels, labels) = (by_signal(&x, caught.len()), by_signal(&y, caught.len()));
    Ok(GroundTruth { pixels, labels, ids, clients })
}

/// `[N*B, ...]` to `[N, B, ...]`.
fn by_signal(t: &Tensor, n: usize) -> Tensor {
    let mut size = t.size();
    let batch = size[0] / n as i64;
    size.splice(0..1, [n as i64, batch]);
    t.reshape(size)
}

fn stack(signals: &[&Params]) -> Params {
    let first = signals[0];
    let tensors = (0..first.tensors.len())
        .map(|i| Tensor::cat(&signals.iter().map(|s| &s.tensors[i]).collect::<Vec<_>>(), 0))
        .collect();
    Params::new(first.layout().clone(), tensors).expect("signals of one round share a layout")
}

fn doubts(cell: &ResolvedCell, view: View, signal: &Params) -> Vec<Flag> {
    let mut flags = Vec::new();
    match signal.norm().double_value(&[0]) {
        n if !n.is_finite() => flags.push(FlagKind::NonFiniteSignal.into()),
        0.0 => flags.push(FlagKind::ZeroGradient.into()),
        _ => {}
    }
    if matches!(view, View::HiddenUpdate | View::HiddenSum) {
        flags.push(FlagKind::MaskedSignal.into());
    }
    if cell.spec.federation.local.augment {
        flags.push(FlagKind::Augmented.into());
    }
    flags
}

/// Grants the facts of the spec, and nothing else of the truth.
///
/// # Errors
/// What [`effects`] says.
fn observe(
    cell: &ResolvedCell,
    scenario: &Scenario,
    view: View,
    truth: &GroundTruth,
    contributors: usize,
    signal: Params,
) -> Result<Observation, HarnessError> {
    let granted = |fact| cell.spec.facts.contains(&fact);
    let update = cell.spec.source != Source::Gradients;
    let behind = truth.pixels.size()[1] as usize;
    let local = scenario.federation.local(cell.spec.capture.round);
    let lr = local.lr;
    let own = behind / contributors.max(1);
    let local = match (granted(Fact::LocalSteps), granted(Fact::StepCount)) {
        (true, _) => Some(local),
        (false, true) => Some(local.counted(own)),
        (false, false) => None,
    };
    let known = Known {
        labels: granted(Fact::Labels).then(|| truth.labels.copy()),
        batch_size: granted(Fact::BatchSize).then_some(behind as i64),
        lr: granted(Fact::LearningRate).then_some(lr),
        local: local.filter(|_| update),
        local_examples: granted(Fact::BatchSize).then_some(own),
        contributors: contributors as i64,
        shares: Vec::new(),
        class_shares: class_shares(cell)?,
        defenses: effects(cell, scenario, view, contributors)?,
    };
    Ok(Observation {
        net: cell.net.clone(),
        weights: scenario.state.weights.clone(),
        signal: match cell.spec.source {
            Source::Gradients => Signal::Gradient(signal),
            _ => Signal::Update(signal),
        },
        mode: scenario.federation.mode(),
        known,
    })
}

/// Shares of the classes in the public split, for an attack that asks for them; `None` where there
/// is no such split, or examples have several labels.
///
/// # Errors
/// Labels that cannot be read.
fn class_shares(cell: &ResolvedCell) -> Result<Option<Vec<f64>>, HarnessError> {
    let (data, several) = (cell.data.as_ref(), LabelKind::MultiLabel);
    let split = public_split(data, cell.spec.task.split);
    let asked = cell.attack.reads_class_shares() && data.card().labels != several;
    let Some(split) = split.filter(|_| asked) else { return Ok(None) };
    let (mut counts, total) = (vec![0.0; cell.net.classes() as usize], data.len(split));
    for id in 0..total {
        let class = usize::try_from(data.label(split, id)?).ok();
        if let Some(count) = class.and_then(|k| counts.get_mut(k)) {
            *count += 1.0 / total as f64;
        }
    }
    Ok(Some(counts))
}

/// What Kerckhoffs' adversary knows of the defenses.
///
/// # Errors
/// A defense whose noise cannot be calibrated.
fn effects(
    cell: &ResolvedCell,
    scenario: &Scenario,
    view: View,
    contributors: usize,
) -> Result<Vec<Published>, HarnessError> {
    let own = &scenario.federation.deployment;
    // What the server adds is not in what it, or who pools with it, has seen before.
    let released = view == View::Released;
    let captured = CapturedRound { clients: contributors, released, ..own.captured };
    let deployment = Deployment { captured, ..own.clone() };
    let mut all = Vec::new();
    for (index, defense) in cell.pipeline.defenses.iter().enumerate() {
        let by = &cell.spec.defenses[cell.pipeline.place(index)].name;
        let effects = defense.effects(&deployment)?;
        all.extend(effects.into_iter().map(|effect| Published { by: by.clone(), effect }));
    }
    Ok(all)
}
