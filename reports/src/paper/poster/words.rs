//! What the page says in words.

use super::flow::{ACCENT, Flow};
use crate::ink::canvas::{Align, Canvas, Text};
use crate::ink::font;
use record::markdown::{bytes, count};
use record::run::{Run, group};
use record::{CellRecord, Outcome};

/// Threat models that are spelled out.
const THREATS: usize = 4;
/// Attacks whose costs are told.
const COSTS: usize = 6;
/// Letters of the title, in points.
const TITLE: f64 = 21.0;

/// A heading with its paragraphs.
type Section = (String, Vec<String>);

/// Title and description.
pub(super) fn head(canvas: &mut Canvas, flow: &mut Flow, run: &Run) {
    let suite = &run.info.suite;
    flow.y += TITLE * 0.8;
    let version = format!("version {}{}", suite.version, profile(run));
    let room = flow.width - font::width(&version, 8.0) - 12.0;
    canvas.write(Text {
        at: (flow.x, flow.y),
        size: TITLE,
        align: Align::Start,
        colour: ACCENT,
        upwards: false,
        text: font::fit(&suite.name, TITLE, room),
        raised: String::new(),
    });
    canvas.text((flow.x + flow.width, flow.y), 8.0, Align::End, version);
    flow.y += 6.0;
    flow.text(canvas, &suite.description, 9.5);
    flow.y += 8.0;
}

fn profile(run: &Run) -> String {
    run.info.suite.profile.as_ref().map_or(String::new(), |p| format!(", profile {p}"))
}

/// A threat without the clause on defences, which the charts tell.
fn adversary(threat: &str) -> String {
    let clause = [", undefended", ", defended by"].iter().find_map(|start| threat.find(start));
    let Some(from) = clause else { return threat.into() };
    let to = threat[from..].find([';', '.']).map_or(threat.len(), |at| from + at);
    format!("{}{}", &threat[..from], &threat[to..])
}

/// Who attacked, what was seen and what was known: each threat model with its number of cells,
/// commonest first.
pub(super) fn threats(run: &Run) -> Option<Section> {
    let mut groups = group(run.attacked(), |at| adversary(&run.records[at].threat));
    groups.sort_by_key(|cells| std::cmp::Reverse(cells.len()));
    let told = groups.iter().take(THREATS).map(|cells| {
        let cell = if cells.len() == 1 { "cell" } else { "cells" };
        format!("{} ({} {cell})", adversary(&run.records[cells[0]].threat), cells.len())
    });
    let mut told: Vec<String> = told.collect();
    let left = groups.len().saturating_sub(THREATS);
    if left > 0 {
        told.push(format!("{left} more threat models: see the report."));
    }
    (!groups.is_empty()).then_some(("Threat model".into(), told))
}

/// What each attack cost, mean over its cells.
pub(super) fn costs(run: &Run) -> Option<Section> {
    let groups = group(run.attacked(), |at| run.records[at].spec.attack.name.clone());
    let mut told: Vec<String> = groups.iter().take(COSTS).map(|cells| cost(run, cells)).collect();
    let left = groups.len().saturating_sub(COSTS);
    if left > 0 {
        told.push(format!("{left} more attacks: see the report."));
    }
    (!groups.is_empty()).then_some(("Costs".into(), told))
}

fn cost(run: &Run, cells: &[usize]) -> String {
    let (name, of) = (&run.records[cells[0]].spec.attack.name, cells.len());
    // What a failed attack had cost by then is not recorded: its zeros are no costs.
    let done: Vec<_> =
        cells.iter().map(|at| &run.records[*at]).filter(|r| r.outcome == Outcome::Done).collect();
    let n = done.len();
    if n == 0 {
        return format!("{name}: failed in all {of} of its cells");
    }
    let mean =
        |value: &dyn Fn(&CellRecord) -> f64| done.iter().map(|r| value(r)).sum::<f64>() / n as f64;
    let seconds = mean(&|r| r.wall.attack_seconds / r.spec.trials.max(1) as f64);
    let gradients = mean(&|r| r.cost.gradient_evaluations as f64).round() as u64;
    let up = mean(&|r| r.cost.bytes_up as f64).round() as u64;
    let failed = if n < of { format!("; {} failed", of - n) } else { String::new() };
    format!(
        "{name}: {seconds:.1} s and {} gradient evaluations a trial; a client sends {} a round \
         (means over {n} {}{failed})",
        count(gradients),
        bytes(up),
        if n == 1 { "cell" } else { "cells" }
    )
}

/// How to run it again, and on what it ran.
pub(super) fn reproducibility(run: &Run) -> Vec<String> {
    let info = &run.info;
    let shard = info.shard.as_ref().map_or(String::new(), |s| format!(", shard {s}"));
    let elsewhere = match info.elsewhere.len() {
        0 => String::new(),
        n => format!("; parts on {n} other machine{}", if n == 1 { "" } else { "s" }),
    };
    vec![format!(
        "{}  ·  bench {}, libtorch {}, {}, {}{shard}{elsewhere}. Every random number derives from \
         the seeds in the suite; every figure \
         is drawn from the run's records.",
        info.command, info.bench_version, info.libtorch, info.device, info.machine
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::RunInfo;
    use std::path::Path;

    #[test]
    fn failed_attacks_cost_no_zeros() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gallery");
        let mut records = record::store::read_records(&dir).unwrap();
        records.retain(|r| r.spec.attack.name == "fl-attack");
        let info = RunInfo::read(&dir).unwrap();
        let told = |records: &[CellRecord]| {
            costs(&Run::new(dir.clone(), info.clone(), records.to_vec())).unwrap().1.remove(0)
        };
        assert!(told(&records).contains(" 1,001 gradient evaluations"), "{}", told(&records));
        for record in &mut records[1..] {
            record.outcome = Outcome::Failed { stage: "attack".into(), message: "broke".into() };
            record.cost.gradient_evaluations = 0;
        }
        let some = told(&records);
        assert!(
            some.contains(" 1,001 gradient evaluations") && some.contains("; 6 failed)"),
            "{some}"
        );
        records[0].outcome = records[1].outcome.clone();
        assert!(told(&records).contains("failed in all 7"));
    }
}
