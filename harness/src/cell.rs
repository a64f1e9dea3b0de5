//! One cell from its spec to its record: the whole line, top to bottom.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use attacks::{AttackError, Choice, Progress, Reconstruction, Run};
use federation::panics;
use metrics::Panel;
use record::{CellRecord, Cost, Outcome, TracePoint, Wall};
use suites::CellSpec;
use suites::rng::AttackSeed;
use tch::Device;

use crate::capture::{self, Captured};
use crate::resolve::{self, ResolvedCell};
use crate::scenario::{self, Cache, Scenario};
use crate::score::{self, CellScores};
use crate::{HarnessError, Registries, artifacts, choices, guarantees, threat};

/// What a cell needs from its run.
pub struct Context<'a> {
    /// What names stand for.
    pub registries: &'a Registries,
    /// Root of the data sets.
    pub data_root: Option<&'a Path>,
    /// Run folder for artifacts, where there is one.
    pub run_dir: Option<&'a Path>,
    /// Where tensors live.
    pub device: Device,
    /// The metrics.
    pub panel: &'a Panel,
    /// Weights and accuracies that cells share.
    pub cache: &'a Cache,
    /// Set by Ctrl-C.
    pub cancel: &'a AtomicBool,
    /// Receives the attack's progress.
    pub progress: &'a (dyn Fn(Progress) + Sync),
    /// Receives what the user should know before it happens.
    pub say: &'a (dyn Fn(&str) + Sync),
}

/// The stage that also writes a cell's files.
const SCORING: &str = "scoring";

/// Runs a cell. `None` where the user stopped it: nothing is recorded then.
///
/// # Errors
/// A run folder that takes no more files, such as on a full disk: that is no fault of the cell, and
/// the next would fail likewise.
pub fn run(spec: &CellSpec, context: &Context) -> Result<Option<CellRecord>, HarnessError> {
    let start = Instant::now();
    if let Some(dir) = context.run_dir {
        artifacts::clear(spec, dir)?;
    }
    let mut wall = Wall::default();
    let mut record = blank(spec);
    let outcome = panics::guarded(|| stages(spec, context, &mut record, &mut wall));
    record.outcome = match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err((_, error))) if error.is_cancelled() => return Ok(None),
        Ok(Err((SCORING, error))) if error.is_io() => return Err(error),
        Ok(Err((_, HarnessError::Attack(AttackError::NotApplicable(why))))) => {
            Outcome::NotApplicable { why }
        }
        Ok(Err((stage, error))) => {
            Outcome::Failed { stage: stage.into(), message: panics::one_line(&error.to_string()) }
        }
        Err(message) => Outcome::Failed { stage: "panic".into(), message },
    };
    wall.seconds = start.elapsed().as_secs_f64();
    wall.finished_unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    record.wall = wall;
    Ok(Some(record))
}

fn stages(
    spec: &CellSpec,
    context: &Context,
    record: &mut CellRecord,
    wall: &mut Wall,
) -> Result<Outcome, (&'static str, HarnessError)> {
    let mut clock = Instant::now();
    let mut lap = |wall: &mut Wall, phase: &str| {
        wall.phases.insert(phase.into(), clock.elapsed().as_secs_f64());
        clock = Instant::now();
    };
    let cell =
        resolve::resolve(context.registries, spec, context.data_root).map_err(|e| ("plan", e))?;
    record.threat = threat::describe(&cell);
    if let Some(why) = cell.not_applicable() {
        return Ok(Outcome::NotApplicable { why });
    }
    let cell = cell.measured(context.cancel).map_err(|e| ("plan", e))?;
    if let Some(text) = guarantees::estimate(&cell) {
        (context.say)(&text);
    }
    let scenario = scenario::build(&cell, context.device, context.cache, context.cancel)
        .map_err(|e| ("training", e))?;
    record.task = scenario.task.iter().cloned().collect();
    record.notes.extend(scenario.notes.iter().cloned());
    lap(wall, "training");
    let captured = capture::run(&cell, &scenario, context.device, context.cancel, context.progress)
        .map_err(|e| ("capture", e))?;
    record.signals = captured.truth.signals();
    guarantees::note(record, &cell, &scenario, &captured).map_err(|e| ("capture", e))?;
    wall.rounds = captured.cost.seconds();
    lap(wall, "capture");
    let choice = choice(&cell, &scenario, record, context).map_err(|e| ("attack", e))?;
    if choice.is_some() {
        lap(wall, "calibration");
    }
    let found = attack(&cell, &captured, choice.as_ref(), context).map_err(|e| ("attack", e))?;
    note_attack(record, &found);
    lap(wall, "attack");
    wall.attack_seconds = wall.phases["attack"];
    let scores = scores(&cell, &captured, &found, context).map_err(|e| (SCORING, e))?;
    note_scores(record, scores);
    lap(wall, SCORING);
    Ok(Outcome::Done)
}

/// What the attack decided on rounds of its own with public pictures, for one that does; a note
/// where there are none.
fn choice(
    cell: &ResolvedCell,
    scenario: &Scenario,
    record: &mut CellRecord,
    context: &Context,
) -> Result<Option<Choice>, HarnessError> {
    match choices::choose(cell, scenario, context)? {
        None => Ok(None),
        Some(Ok(choice)) => Ok(Some(choice)),
        Some(Err(why)) => {
            record.notes.push(format!("the attack was not calibrated on public pictures: {why}"));
            Ok(None)
        }
    }
}

fn attack(
    cell: &ResolvedCell,
    captured: &Captured,
    choice: Option<&Choice>,
    context: &Context,
) -> Result<Reconstruction, HarnessError> {
    let key = cell.spec.attack_key();
    let run = Run {
        seed: AttackSeed::new(cell.spec.seed),
        key: &key,
        device: context.device,
        cancel: context.cancel,
        progress: context.progress,
    };
    Ok(cell.attack.reconstruct_chosen(&captured.observation, choice, &run)?)
}

fn scores(
    cell: &ResolvedCell,
    captured: &Captured,
    found: &Reconstruction,
    context: &Context,
) -> Result<CellScores, HarnessError> {
    score::score(cell, &captured.truth, found, context.panel, context.run_dir)
}

fn blank(spec: &CellSpec) -> CellRecord {
    CellRecord {
        id: spec.id(),
        spec: spec.clone(),
        outcome: Outcome::Done,
        threat: String::new(),
        signals: Vec::new(),
        images: Vec::new(),
        baselines: BTreeMap::new(),
        candidates: None,
        task: BTreeMap::new(),
        defenses: Vec::new(),
        cost: Cost::default(),
        trace: Vec::new(),
        flags: Vec::new(),
        notes: Vec::new(),
        wall: Wall::default(),
    }
}

fn note_attack(record: &mut CellRecord, found: &Reconstruction) {
    record.cost.gradient_evaluations = found.evaluations;
    record.cost.iterations = found.iterations;
    record.cost.restarts = found.restarts;
    let finite = |v: &f64| v.is_finite().then_some(*v);
    record.trace = found
        .trace
        .iter()
        .map(|(iteration, objective)| TracePoint {
            iteration: *iteration,
            objective: objective.iter().map(finite).collect(),
        })
        .collect();
}

fn note_scores(record: &mut CellRecord, scores: CellScores) {
    record.images = scores.images;
    record.baselines = scores.baselines;
    record.candidates = Some(scores.candidates).filter(|n| *n > 1);
    record.notes.extend(scores.notes);
}
