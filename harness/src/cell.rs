//! One cell from its spec to its record: the whole line, top to bottom.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use attacks::{AttackError, Progress, Reconstruction, Run};
use metrics::Panel;
use record::{CellRecord, Cost, Outcome, TracePoint, Wall};
use suites::CellSpec;
use tch::Device;

use crate::capture::{self, Captured};
use crate::plan::{self, Trial};
use crate::score::{self, CellScores};
use crate::world::{self, Cache};
use crate::{HarnessError, artifacts, claims, deploy, threat};

/// What a cell needs from its run.
pub struct Context<'a> {
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

thread_local! {
    /// Whether this thread is inside a cell, whose panics become its record.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Keeps the panics of cells off the screen (they are in the records) and says the others in one
/// line.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|info| {
        if let Some(reason) =
            info.payload_as_str().and_then(|m| m.strip_prefix("failed printing to stdout: "))
        {
            no_output(reason);
        }
        if !INSIDE.get() {
            eprintln!(
                "bench: internal error, please report it: {}",
                one_line(&info.to_string().replace('\n', " "))
            );
        }
    }));
}

/// `println!` knows no other way to say that standard output takes nothing more. A reader that has
/// gone has seen enough.
fn no_output(reason: &str) -> ! {
    if reason.contains("Broken pipe") {
        std::process::exit(141);
    }
    eprintln!("bench: cannot write to standard output: {reason}");
    std::process::exit(3)
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
    let outcome = guarded(|| stages(spec, context, &mut record, &mut wall));
    record.outcome = match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err((_, HarnessError::Attack(AttackError::Cancelled)))) => return Ok(None),
        Ok(Err((SCORING, error))) if error.is_io() => return Err(error),
        Ok(Err((_, HarnessError::Attack(AttackError::NotApplicable(why))))) => {
            Outcome::NotApplicable { why }
        }
        Ok(Err((stage, error))) => {
            Outcome::Failed { stage: stage.into(), message: one_line(&error.to_string()) }
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
    let trial = plan::build(spec, context.data_root).map_err(|e| ("plan", e))?;
    record.threat = threat::describe(&trial);
    if let Some(why) = trial.not_applicable() {
        return Ok(Outcome::NotApplicable { why });
    }
    if let Some(text) = deploy::estimate(&trial) {
        (context.say)(&text);
    }
    let world = world::build(&trial, context.device, context.cache).map_err(|e| ("training", e))?;
    record.task = world.task.iter().cloned().collect();
    record.notes.extend(world.notes.iter().cloned());
    lap(wall, "training");
    let captured = capture::run(&trial, &world, context.device, context.progress)
        .map_err(|e| ("capture", e))?;
    claims::note(record, &trial, &world, &captured).map_err(|e| ("capture", e))?;
    wall.rounds = captured.price.seconds();
    lap(wall, "capture");
    let found = attack(&trial, &captured, context).map_err(|e| ("attack", e))?;
    note_attack(record, &found);
    lap(wall, "attack");
    wall.attack_seconds = wall.phases["attack"];
    let scores = scores(&trial, &captured, &found, context).map_err(|e| (SCORING, e))?;
    note_scores(record, scores);
    lap(wall, SCORING);
    Ok(Outcome::Done)
}

fn attack(
    trial: &Trial,
    captured: &Captured,
    context: &Context,
) -> Result<Reconstruction, HarnessError> {
    let key = trial.spec.attack_key();
    let run = Run {
        seed: trial.spec.seed,
        key: &key,
        device: context.device,
        cancel: context.cancel,
        progress: context.progress,
    };
    Ok(trial.attack.reconstruct(&captured.observation, &run)?)
}

fn scores(
    trial: &Trial,
    captured: &Captured,
    found: &Reconstruction,
    context: &Context,
) -> Result<CellScores, HarnessError> {
    score::score(trial, &captured.truth, found, context.panel, context.run_dir)
}

fn blank(spec: &CellSpec) -> CellRecord {
    CellRecord {
        id: spec.id(),
        spec: spec.clone(),
        outcome: Outcome::Done,
        threat: String::new(),
        images: Vec::new(),
        baselines: BTreeMap::new(),
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
    record.notes.extend(scores.notes);
}

/// `work`, or what its panic said: libtorch's operators know no other way to refuse.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    INSIDE.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(false);
    outcome.map_err(|panic| panic_message(panic.as_ref()))
}

/// What a panic said, on one line.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
    one_line(&text.unwrap_or_else(|| "a panic without a message".into()))
}

/// What a message says first. libtorch's errors carry a stack trace, whose addresses differ from
/// process to process and must not enter a record; in a panic they are quoted as `Torch("...")`,
/// line ends escaped.
fn one_line(text: &str) -> String {
    let quoted = text.split_once("value: Torch(\"").map(|(_, inner)| inner);
    let mut lines = quoted.unwrap_or(text).split("\\n").flat_map(str::lines).map(str::trim);
    let line = lines.find(|l| !l.is_empty()).unwrap_or("no message");
    quoted.map_or(line, |_| line.trim_end_matches("\")")).to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_stack_trace_stays_out() {
        let quoted = "called `Result::unwrap()` on an `Err` value: Torch(\"no memory\\nframe #0: \
            f (0x7f15d8173d6a in libc10.so)\\n\")";
        assert_eq!(super::one_line(quoted), "no memory");
        assert_eq!(super::one_line("\n no memory\nframe #0: f (0x7f15d8173d6a)"), "no memory");
        assert_eq!(super::one_line("value: Torch(\"short\")"), "short");
        assert_eq!(super::one_line(""), "no message");
        assert_eq!(super::one_line("write (x = \"clip\")"), "write (x = \"clip\")");
    }
}
