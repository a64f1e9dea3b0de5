//! The privacy-utility frontier in numbers, with the cost of a round beside it.

use super::defenses::{adaptive_by, share_of};
use super::{FEW, doubted, identified_of, identified_read, mean_of, rate_of, words};
use crate::figure::estimate::Estimate;
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use crate::frontier::{JOINT, Judge, ONE_TRAINING, Panel, Pareto, Point, RULE, Try, panels};
use crate::identified::Identified;
use crate::report::model::{Cell, Section, Span, Table, row};
use crate::words::FLOOR;
use record::axes::defense_label;
use record::markdown::{NONE, bytes, significant};
use record::run::Run;
use record::{CellRecord, Outcome, utility};

pub(super) fn frontier(run: &Run) -> Option<Section> {
    let panels = panels(run);
    if panels.is_empty() {
        return None;
    }
    let (psnr, bound, label) = run.headline()?;
    let success = Measure::Success(psnr.clone(), bound);
    let measures = [&success, &Measure::Metric(psnr)];
    let head_of_success = format!("worst {label}");
    let head = [
        "setting",
        "defense",
        "attacks tried",
        "failed",
        &head_of_success,
        "worst PSNR (dB)",
        "most identified",
        "strongest attack",
        "adaptive attack",
        "accuracy",
        "accuracy lost",
        "ε",
        "ε of a round, known to take part",
        "bytes up a client",
        "bytes down a client",
        "bytes up in all",
        "protocol seconds a round",
        "Pareto-optimal",
    ];
    let mut table = Table::new(head);
    for panel in &panels {
        rows(run, measures, panel, &mut table);
    }
    let lead = format!(
        "Per defense: the most that any attack tried got, and the test accuracy after training \
         with the defense in the loop. Pareto-optimal, within the setting, by {label} and in \
         brackets by mean PSNR, where less than the floor counts as that."
    );
    let read = format!(
        "Intervals of the worst case are Wilson's for success and bootstrapped for PSNR, {JOINT}. \
         {FEW}, of the strongest attack. The accuracy has the {ONE_TRAINING}. The floor is \
         {FLOOR}; a defense is on the frontier only where an attack beats it undefended.{}",
        identified_read(run)
    );
    let counts = "An attack that failed counts as tried, its lost images as tries without \
        success; a cell that failed before its attack is no try; a defense on which no attack was \
        scored has no worst case. Bytes and seconds are those of one round.";
    let section = Section::new("Privacy against utility").paragraph(lead);
    let section = section.table(table.without_empty_columns(), "");
    Some(section.paragraph(format!("Pareto-optimal: {RULE}.")).paragraph(read).paragraph(counts))
}

/// One defense in numbers.
struct Row {
    /// Cells that differ in the attack alone.
    rivals: Vec<usize>,
    success: Point,
    psnr: Point,
    worth: Estimate,
    /// Why it is on no frontier; of all rivals the same.
    doubt: Option<String>,
}

impl Row {
    fn new(run: &Run, [success, psnr]: [&Measure; 2], rivals: &[usize]) -> Self {
        let cells: Vec<Picked> = rivals.iter().map(|at| Picked::whole(run, *at)).collect();
        let psnr = Point::new(run, psnr, &cells);
        let worth = psnr.worth(run, &worth_measure(), &cells);
        let (success, rivals) = (Point::new(run, success, &cells), rivals.to_vec());
        Row { doubt: run.doubt(rivals[0]), rivals, success, psnr, worth }
    }

    fn place<'a>(&'a self, of: &'a Point) -> Option<(&'a Point, &'a Estimate)> {
        of.leak.value.and(self.worth.value)?;
        Some((of, &self.worth)).filter(|_| self.doubt.is_none())
    }
}

fn worth_measure() -> Measure {
    Measure::Task("trained_accuracy".into())
}

fn rows(run: &Run, measures: [&Measure; 2], panel: &Panel, table: &mut Table) {
    let rows: Vec<Row> = panel.defenses.iter().map(|d| Row::new(run, measures, d)).collect();
    let marks = |leak: &Measure, floor: Option<f64>, of: fn(&Row) -> &Point| {
        let places: Vec<_> = rows.iter().map(|r| r.place(of(r))).collect();
        Judge { run, leak, worth: &worth_measure(), floor }.marks(&places)
    };
    let by_success = marks(measures[0], None, |r| &r.success);
    let by_psnr = marks(measures[1], panel.null, |r| &r.psnr);
    let baseline = rows.iter().find(|r| !run.defended(r.rivals[0])).and_then(|r| r.worth.value);
    for (at, row) in rows.iter().enumerate() {
        let word = |marks: &[Option<Pareto>]| marks[at].map_or(NONE, Pareto::word);
        let own = match (word(&by_success), word(&by_psnr)) {
            (NONE, NONE) => Cell::None,
            (success, psnr) => format!("{success} ({psnr})").into(),
        };
        let first = row.rivals[0];
        let defended = run.defended(first);
        let label = if defended { defense_label(run, first) } else { "no defense".into() };
        let worth = worth(run, row, baseline.filter(|_| defended));
        let cells = leak(run, row).into_iter().chain(worth).chain(cost(run, row));
        table.push(row![panel.name.as_str(), label].into_iter().chain(cells).chain([own]));
    }
}

fn leak(run: &Run, row: &Row) -> Vec<Cell> {
    let (success, psnr) = (&row.success, &row.psnr);
    let shown = |at: usize| format!("{} (#{})", run.axes.attacks[at], at + 1);
    // Where no attack succeeded at all, none is the strongest by success.
    let by_success = success.cell().filter(|_| success.leak.successes != Some(0));
    let cells: Vec<Picked> = row.rivals.iter().map(|at| Picked::whole(run, *at)).collect();
    let mut attacks: Vec<String> =
        [by_success, psnr.cell()].into_iter().flatten().map(shown).collect();
    attacks.dedup();
    let failed = row
        .rivals
        .iter()
        .filter_map(|at| Some(format!("{} {}", shown(*at), failure(&run.records[*at])?)));
    let failed: Vec<String> = failed.collect();
    let listed = |list: Vec<String>, between: &str| {
        if list.is_empty() { Cell::None } else { list.join(between).into() }
    };
    row![
        psnr.tries.iter().filter(|t| t.loose).count(),
        listed(failed, "; "),
        rate_of(&success.leak),
        doubted(mean_of(&run.metric("psnr"), &psnr.leak), row.doubt.as_deref()),
        identified_of(Identified::worst(run, &cells).as_ref()),
        listed(attacks, "; by PSNR "),
        adaptive(run, row),
    ]
}

/// Why a cell says nothing, where it does not.
fn failure(record: &CellRecord) -> Option<String> {
    let scored = || record.scores("psnr").iter().any(Option::is_some);
    match &record.outcome {
        Outcome::Done if !scored() => Some("no image has a PSNR".into()),
        other => other.failure().map(|failure| format!("in {failure}")),
    }
}

/// Whether the registered adaptive attack of each defense was tried, and came back.
fn adaptive(run: &Run, row: &Row) -> Cell {
    adaptive_by(run, row.rivals[0], |name| {
        let named = |t: &&Try| run.records[t.cells[0].at].spec.attack.name == name;
        let mut own = row.psnr.tries.iter().filter(|t| t.loose).filter(named).peekable();
        let tried = own.peek().is_some();
        match (tried, own.all(|t| failure(&run.records[t.cells[0].at]).is_some())) {
            (false, _) => vec![Span::Strong("not tried".into())],
            (true, true) => vec![words("tried, "), Span::Strong("failed".into())],
            (true, false) => vec![words("tried")],
        }
    })
}

/// The accuracy, or why there is none, and what it lost against `baseline`.
fn worth(run: &Run, row: &Row, baseline: Option<f64>) -> [Cell; 2] {
    let Some(own) = row.worth.value else {
        return [format!("not measured: {}", unmeasured(run, &row.rivals)).into(), Cell::None];
    };
    let lost = baseline.map(|b| format!("{:+.1} points", 100.0 * (b - own)));
    let shown = share_of(own, row.worth.ci(), &row.worth.values);
    [Cell::Number(shown), Cell::number(lost)]
}

/// Why no federation of these cells has an accuracy.
fn unmeasured(run: &Run, rivals: &[usize]) -> String {
    let mut notes = rivals.iter().flat_map(|at| &run.records[*at].notes);
    let told = notes.find_map(|n| n.strip_prefix("utility not measured: ")).map(str::to_owned);
    let failed = || rivals.iter().find_map(|at| run.records[*at].outcome.failure());
    told.or_else(failed).unwrap_or("training diverged".into())
}

/// Of the first attack whose round was carried out; the round is the same for all.
fn cost(run: &Run, row: &Row) -> [Cell; 6] {
    let carried = |record: &&CellRecord| record.cost.bytes_up > 0;
    let records = || row.rivals.iter().map(|at| &run.records[*at]);
    let Some(record) = records().find(carried).or_else(|| records().next()) else {
        return std::array::from_fn(|_| Cell::None);
    };
    let some = |v: u64| Cell::number((v > 0).then(|| bytes(v)));
    let seconds = utility::round_seconds(record);
    [
        Cell::number(utility::epsilon(record).map(significant)),
        Cell::number(utility::certain_epsilon(record).map(significant)),
        some(record.cost.bytes_up),
        some(record.cost.bytes_down),
        some(record.cost.bytes_up_all),
        Cell::number((seconds > 0.0).then(|| significant(seconds))),
    ]
}
