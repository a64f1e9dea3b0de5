//! The privacy-utility frontier in numbers, with the cost of a round beside it.

use super::defenses::adaptive_by;
use super::{interval, rate, words};
use crate::frontier::{Accuracy, JOINT, Leak, ONE_TRAINING, Panel, Point, panels};
use crate::report::model::{Cell, Section, Span, Table, row};
use record::markdown::{NONE, bytes, significant};
use record::run::Run;
use record::{CellRecord, utility};

pub(super) fn frontier(run: &Run) -> Option<Section> {
    let panels = panels(run);
    if panels.is_empty() {
        return None;
    }
    let (_, _, label) = run.headline()?;
    let success = format!("worst {label}");
    let head = [
        "setting",
        "defense",
        "attacks tried",
        "failed",
        &success,
        "worst PSNR (dB)",
        "strongest attack",
        "adaptive attack",
        "accuracy",
        "accuracy lost",
        "ε",
        "bytes up a client",
        "bytes down a client",
        "bytes up in all",
        "protocol seconds a round",
        "Pareto-optimal",
    ];
    let mut table = Table::new(head);
    for panel in &panels {
        rows(run, panel, &mut table);
    }
    let lead = format!(
        "Per defense: the most that any attack tried got, and the test accuracy after training \
         with the defense in the loop. Pareto-optimal: no other defense of \
         the setting leaks less (by {label}; in brackets by mean PSNR, where less than the \
         strongest null baseline counts as that) without costing accuracy, by the point estimates; \
         overlapping intervals may turn the order. \
         Intervals of the worst case are Wilson's for success and bootstrapped for PSNR, {JOINT}. \
         Those of the accuracy are {ONE_TRAINING}. \
         An attack that failed counts as tried, its lost images as tries without success; a cell \
         that failed before its attack is no try; a defense on which no \
         attack was scored has no worst case. Bytes and seconds are those of one round."
    );
    let table = table.without_empty_columns();
    Some(Section::new("Privacy against utility").paragraph(lead).table(table, ""))
}

fn rows(run: &Run, panel: &Panel, table: &mut Table) {
    let (by_success, by_psnr) = (panel.optimal(Leak::Success), panel.optimal(Leak::Psnr));
    let baseline = panel.points.iter().find(|p| p.undefended).and_then(share);
    for (at, point) in panel.points.iter().enumerate() {
        let word = |leak, optimal: &[bool]| match (point.place(leak), optimal[at]) {
            (None, _) => NONE,
            (_, true) => "yes",
            (_, false) => "no",
        };
        let own = match (word(Leak::Success, &by_success), word(Leak::Psnr, &by_psnr)) {
            (NONE, NONE) => Cell::None,
            (success, psnr) => format!("{success} ({psnr})").into(),
        };
        let cells =
            leak(run, point).into_iter().chain(worth(point, baseline)).chain(cost(run, point));
        let names = row![panel.name.as_str(), point.label.as_str()].into_iter();
        table.push(names.chain(cells).chain([own]));
    }
}

fn share(point: &Point) -> Option<f64> {
    match &point.accuracy {
        Accuracy::Measured((share, _)) => Some(*share),
        Accuracy::Lost(_) => None,
    }
}

fn leak(run: &Run, point: &Point) -> Vec<Cell> {
    let (worst, psnr) = (&point.worst, run.metric("psnr"));
    let strongest = worst.psnr.map(|(.., at)| at);
    let names: Vec<usize> =
        [worst.success.map(|(_, at)| at), strongest].into_iter().flatten().collect();
    let shown = |at: &usize| format!("{} (#{})", run.axes.attacks[*at], at + 1);
    let mut attacks: Vec<String> = names.iter().map(shown).collect();
    attacks.dedup();
    // Where no attack succeeded at all, none is the strongest by success.
    if worst.success.is_some_and(|(rate, _)| rate.successes == 0) {
        attacks = strongest.iter().map(shown).collect();
    }
    let failed: Vec<String> =
        worst.failed.iter().map(|(at, why)| format!("{} {why}", shown(at))).collect();
    let listed = |list: Vec<String>, between: &str| {
        if list.is_empty() { Cell::None } else { list.join(between).into() }
    };
    let shown =
        worst.psnr.map(|(mean, ci, _)| format!("{}{}", psnr.show(mean), interval(&psnr, ci)));
    row![
        worst.tried.len(),
        listed(failed, "; "),
        rate(worst.success.map(|(rate, _)| rate).as_ref()),
        Cell::number(shown),
        listed(attacks, "; by PSNR "),
        adaptive(run, point),
    ]
}

/// Whether the registered adaptive attack of each defense was tried, and came back.
fn adaptive(run: &Run, point: &Point) -> Cell {
    let worst = &point.worst;
    adaptive_by(run, point.rivals[0], |name| {
        let mut own =
            worst.tried.iter().filter(|at| run.records[**at].spec.attack.name == name).peekable();
        let (tried, failed) =
            (own.peek().is_some(), |at| worst.failed.iter().any(|(f, _)| f == at));
        match (tried, own.all(failed)) {
            (false, _) => vec![Span::Strong("not tried".into())],
            (true, true) => vec![words("tried, "), Span::Strong("failed".into())],
            (true, false) => vec![words("tried")],
        }
    })
}

fn worth(point: &Point, baseline: Option<f64>) -> [Cell; 2] {
    match &point.accuracy {
        Accuracy::Lost(why) => [format!("not measured: {why}").into(), Cell::None],
        Accuracy::Measured(own) => {
            let lost = baseline.filter(|_| !point.undefended);
            let lost = lost.map(|b| format!("{:+.1} points", 100.0 * (b - own.0)));
            [super::share(Some(*own)), Cell::number(lost)]
        }
    }
}

/// Of the first attack whose round was carried out; the round is the same for all.
fn cost(run: &Run, point: &Point) -> [Cell; 5] {
    let carried = |record: &&CellRecord| record.cost.bytes_up > 0;
    let records = || point.rivals.iter().map(|at| &run.records[*at]);
    let Some(record) = records().find(carried).or_else(|| records().next()) else {
        return std::array::from_fn(|_| Cell::None);
    };
    let some = |v: u64| Cell::number((v > 0).then(|| bytes(v)));
    let seconds = utility::round_seconds(record);
    [
        Cell::number(utility::epsilon(record).map(significant)),
        some(record.cost.bytes_up),
        some(record.cost.bytes_down),
        some(record.cost.bytes_up_all),
        Cell::number((seconds > 0.0).then(|| significant(seconds))),
    ]
}
