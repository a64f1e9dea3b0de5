//! What the attack cost, what the round sent, and what the attacked model is worth.

use super::{key, keyed, mean_ci};
use crate::markdown::{NONE, bytes, count, significant};
use crate::metrics::Metric;
use crate::run::Run;
use std::collections::BTreeSet;

pub(super) fn cost(run: &Run) -> String {
    let measures: BTreeSet<&String> = run.records.iter().flat_map(|r| r.task.keys()).collect();
    let columns = ["PSNR (dB)", "best null (dB)"].map(String::from).into_iter();
    let task = measures.iter().map(|m| format!("task {}", m.replace('_', " ")));
    let rest = [
        "seconds",
        "attack seconds a trial",
        "gradient evaluations",
        "iterations",
        "restarts",
        "bytes up",
        "bytes down",
    ];
    let mut table = keyed(run, columns.chain(task).chain(rest.map(String::from)));
    for at in run.attacked() {
        let task =
            measures.iter().map(|m| run.records[at].task.get(*m).map_or(NONE.into(), |v| significant(*v)));
        table.row(key(run, at).into_iter().chain(gain(run, at)).chain(task).chain(price(run, at)));
    }
    let lead = "Gradient evaluations, iterations and bytes are those of one trial; seconds are of the whole cell. The task's scores are \
                those of the attacked model on the test split.\n\n";
    format!(
        "## Cost and utility\n\n{lead}{}",
        table.without_empty_columns().render("No cell has been attacked yet.")
    )
}

fn gain(run: &Run, at: usize) -> [String; 2] {
    let psnr = Metric::of("psnr");
    let null = run.cells[at].best_null_psnr().map_or(NONE.into(), |v| psnr.show(v));
    [mean_ci(&psnr, run.cells[at].metrics.get("psnr")), null]
}

fn price(run: &Run, at: usize) -> [String; 7] {
    let record = &run.records[at];
    let (cost, wall) = (&record.cost, &record.wall);
    let each = wall.attack_seconds / record.spec.trials.max(1) as f64;
    [
        format!("{:.1}", wall.seconds),
        significant(each),
        count(cost.gradient_evaluations),
        count(cost.iterations),
        cost.restarts.to_string(),
        bytes(cost.bytes_up),
        bytes(cost.bytes_down),
    ]
}
