//! The columns of an exported row. A part that is not known, such as the spec of a cell that has
//! not been run, is null throughout.

use super::field::{Field, count, integer, natural, real, text};
use record::axes::{acting, defenses};
use record::validity::Validity;
use record::{CellRecord, ImageScore, Outcome, RunInfo};
use serde::Serialize;
use serde_json::{Value, json};
use suites::{CellSpec, Named, flag_words};

/// Columns that are the same for the whole run: for telling runs apart once several are put
/// together.
pub(super) fn run(info: &RunInfo) -> Vec<Field<'_>> {
    let suite = &info.suite;
    vec![
        text("suite", Some(suite.name.as_str())),
        text("suite_version", Some(suite.version.as_str())),
        text("profile", suite.profile.as_deref()),
        text("bench_version", Some(info.bench_version.as_str())),
        text("libtorch", Some(info.libtorch.as_str())),
        text("device", Some(info.device.as_str())),
        text("machine", Some(info.machine.as_str())),
    ]
}

/// Columns of the cell `id`; `None` where it has not been run.
///
/// `validity` is that of an attacked cell.
pub(super) fn cell<'a>(
    id: &'a str,
    record: Option<&'a CellRecord>,
    validity: Option<&Validity>,
) -> Vec<Field<'a>> {
    let (outcome, reason) = record.map_or(("not-run", None), |r| outcome(&r.outcome));
    let mut fields =
        vec![text("cell", Some(id)), text("outcome", Some(outcome)), text("reason", reason)];
    let spec = record.map(|r| &r.spec);
    fields.extend(task(spec));
    fields.extend(training(spec));
    fields.extend(adversary(spec));
    fields.push(text("measurable", validity.map(Validity::column)));
    fields.extend(measured(record));
    fields.extend(costs(record));
    fields
}

fn outcome(outcome: &Outcome) -> (&'static str, Option<String>) {
    match outcome {
        Outcome::Done => ("done", None),
        Outcome::NotApplicable { why } => ("not-applicable", Some(why.clone())),
        Outcome::Failed { .. } => ("failed", outcome.failure()),
    }
}

fn task(spec: Option<&CellSpec>) -> [Field<'_>; 10] {
    let (task, model) = (spec.map(|s| &s.task), spec.map(|s| &s.model));
    [
        text("dataset", task.map(|t| t.dataset.as_str())),
        text("split", task.map(|t| t.split.to_string())),
        text("task_label", task.and_then(|t| t.label.as_deref())),
        count("size", task.and_then(|t| t.size)),
        count("limit", task.and_then(|t| t.limit)),
        text("model", model.map(|m| m.name.as_str())),
        text("model_params", model.map(|m| written(&m.params))),
        text("init", model.map(|m| m.init.to_string())),
        text("weights", model.and_then(|m| m.weights.as_deref()).map(|w| w.to_string_lossy())),
        text("batch_norm", model.map(|m| m.batch_norm.to_string())),
    ]
}

fn training(spec: Option<&CellSpec>) -> [Field<'_>; 11] {
    let federation = spec.map(|s| &s.federation);
    let (clients, local) = (federation.map(|f| &f.clients), federation.map(|f| &f.local));
    [
        count("clients", clients.map(|c| c.total)),
        count("batch_size", local.map(|l| l.batch_size)),
        count("local_epochs", local.map(|l| l.epochs)),
        count("local_examples", clients.and_then(|c| c.examples)),
        real("lr", local.map(|l| l.lr)),
        real("momentum", local.map(|l| l.momentum)),
        real("weight_decay", local.map(|l| l.weight_decay)),
        natural("augment", local.map(|l| u64::from(l.augment))),
        count("capture_round", spec.map(|s| s.capture.round)),
        text("partition", clients.map(|c| written(&c.partition))),
        text("federation", federation.filter(|f| !f.is_bare()).map(written)),
    ]
}

fn adversary(spec: Option<&CellSpec>) -> [Field<'_>; 11] {
    let facts =
        |s: &CellSpec| s.facts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    [
        text("source", spec.map(|s| s.source.to_string())),
        text("vantage", spec.map(|s| s.vantage.to_string())),
        text("facts", spec.map(facts)),
        text("defenses", spec.map(|s| defenses(s, |d| d.name.clone()))),
        text("defense_params", spec.map(defense_params)),
        real("epsilon", spec.and_then(|s| acting(s).find_map(epsilon))),
        text("attack", spec.map(|s| s.attack.name.as_str())),
        text("attack_params", spec.map(|s| written(&s.attack.params))),
        count("trials", spec.map(|s| s.trials)),
        natural("seed", spec.map(|s| s.seed)),
        text("attack_key", spec.map(CellSpec::attack_key)),
    ]
}

/// The parameters of each acting defense, in their order.
fn defense_params(spec: &CellSpec) -> String {
    written(&acting(spec).map(|d| &d.params).collect::<Vec<_>>())
}

fn epsilon(defense: &Named) -> Option<f64> {
    defense.params.get("epsilon").and_then(Value::as_f64)
}

fn measured(record: Option<&CellRecord>) -> [Field<'_>; 8] {
    let task = |name: &str| record.and_then(|r| r.task.get(name).copied());
    let notes = |r: &CellRecord| json!(r.defenses).to_string();
    [
        real("accuracy", task("accuracy")),
        real("loss", task("loss")),
        real("trained_accuracy", task("trained_accuracy")),
        real("trained_loss", task("trained_loss")),
        count("candidates", record.and_then(|r| r.candidates)),
        text("defense_notes", record.map(notes)),
        text("cell_flags", record.map(|r| flag_words(&r.flags))),
        text("notes", record.map(|r| r.notes.join("; "))),
    ]
}

fn costs(record: Option<&CellRecord>) -> [Field<'_>; 10] {
    let (cost, wall) = (record.map(|r| &r.cost), record.map(|r| &r.wall));
    [
        natural("bytes_up", cost.map(|c| c.bytes_up)),
        natural("bytes_down", cost.map(|c| c.bytes_down)),
        natural("bytes_up_all", cost.map(|c| c.bytes_up_all)),
        natural("bytes_down_all", cost.map(|c| c.bytes_down_all)),
        natural("gradient_evaluations", cost.map(|c| c.gradient_evaluations)),
        count("restarts", cost.map(|c| c.restarts)),
        natural("iterations", cost.map(|c| c.iterations)),
        real("seconds", wall.map(|w| w.seconds)),
        real("attack_seconds", wall.map(|w| w.attack_seconds)),
        natural("finished_unix", wall.map(|w| w.finished_unix)),
    ]
}

/// What one row says of an image, or of the lack of one.
#[derive(Default)]
pub(super) struct Cause<'a> {
    /// `attack`, or a null baseline.
    pub by: Option<&'a str>,
    pub image: Option<&'a ImageScore>,
    pub metric: Option<&'a str>,
    pub value: Option<f64>,
    pub status: &'static str,
}

/// Columns of an image's score.
pub(super) fn score<'a>(cause: &Cause<'a>) -> [Field<'a>; 11] {
    let image = cause.image;
    // A baseline guesses no label, and doubts about a reconstruction say nothing of it.
    let attacked = image.filter(|_| cause.by == Some("attack"));
    [
        text("by", cause.by),
        count("trial", image.map(|i| i.trial)),
        count("index", image.map(|i| i.index)),
        count("id", image.map(|i| i.id)),
        count("client", image.map(|i| i.client)),
        integer("label", image.map(|i| i.label)),
        integer("guessed_label", attacked.and_then(|i| i.guessed_label)),
        text("flags", attacked.map(|i| flag_words(&i.flags))),
        text("status", Some(cause.status)),
        text("metric", cause.metric),
        real("value", cause.value),
    ]
}

/// As JSON on one line.
fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
