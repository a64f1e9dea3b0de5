//! What the attack cost, what the round sent, and what the attacked model is worth.

use super::{NOTHING, cell_identified, identified_read, key, keyed, mean_ci};
use crate::identified;
use crate::report::model::{Cell, Section};
use crate::words::FLOOR;
use record::CellRecord;
use record::markdown::{bytes, count, significant};
use record::run::Run;
use record::utility;
use std::collections::BTreeSet;

pub(super) fn cost(run: &Run) -> Section {
    let measures: BTreeSet<&String> = run.records.iter().flat_map(|r| r.task.keys()).collect();
    let columns = ["PSNR (dB)", "floor (dB)", identified::TITLE].map(String::from).into_iter();
    let task = measures.iter().map(|m| format!("task {}", m.replace('_', " ")));
    let rest = [
        "accuracy lost",
        "seconds",
        "attack seconds a trial",
        "gradient evaluations",
        "iterations",
        "restarts",
        "bytes up a client",
        "bytes down a client",
        "bytes up in all",
        "bytes down in all",
        "protocol seconds a round",
    ];
    let mut table = keyed(run, columns.chain(task).chain(rest.map(String::from)));
    for at in run.attacked() {
        let task = |m: &&String| run.records[at].task.get(*m).map(|v| significant(*v));
        let task = measures.iter().map(|m| Cell::number(task(m)));
        table.push(key(run, at).into_iter().chain(gain(run, at)).chain(task).chain(price(run, at)));
    }
    let lead = "Gradient evaluations, iterations and bytes are those of one trial and its round; \
        seconds are of the whole cell, those of the protocol a client's own work (mean) and the \
        server's. The task's scores are on the test split: of the attacked model, and `trained` \
        after the utility rounds with the defense in the loop. Accuracy lost is against the same \
        cell without defense. The floor is";
    let lead = format!("{lead} {FLOOR}.{}", identified_read(run));
    Section::new("Cost and utility").paragraph(lead).table(table.without_empty_columns(), NOTHING)
}

fn gain(run: &Run, at: usize) -> [Cell; 3] {
    let psnr = run.metric("psnr");
    let null = run.best_null_psnr(at).map(|v| psnr.show(v));
    let mean = mean_ci(&psnr, run.cells[at].metrics.get("psnr"));
    [mean, Cell::number(null), cell_identified(run, at)]
}

fn price(run: &Run, at: usize) -> [Cell; 11] {
    let record = &run.records[at];
    let (cost, wall) = (&record.cost, &record.wall);
    let each = wall.attack_seconds / record.spec.trials.max(1) as f64;
    [
        lost(run, at),
        Cell::Number(format!("{:.1}", wall.seconds)),
        Cell::Number(significant(each)),
        Cell::Number(count(cost.gradient_evaluations)),
        Cell::Number(count(cost.iterations)),
        cost.restarts.into(),
        Cell::Number(bytes(cost.bytes_up)),
        Cell::Number(bytes(cost.bytes_down)),
        all(cost.bytes_up_all),
        all(cost.bytes_down_all),
        protocol(record),
    ]
}

/// Accuracy without the defense less accuracy with it, in percentage points.
fn lost(run: &Run, at: usize) -> Cell {
    if !run.defended(at) || utility::rounds(&run.records[at]).is_none() {
        return Cell::None;
    }
    let accuracy = |at: usize| utility::accuracy(&run.records[at]).map(|(share, _)| 100.0 * share);
    let twin = run.undefended(at).and_then(accuracy);
    match (twin, accuracy(at)) {
        (Some(without), Some(with)) => Cell::Number(format!("{:+.1} points", without - with)),
        (Some(_), None) => "all: training diverged".into(),
        _ => Cell::None,
    }
}

/// Records of older versions did not count all clients.
fn all(count: u64) -> Cell {
    Cell::number((count > 0).then(|| bytes(count)))
}

fn protocol(record: &CellRecord) -> Cell {
    let timed = !record.wall.rounds.is_empty();
    Cell::number(timed.then(|| significant(utility::round_seconds(record))))
}
