//! The main table: what each defense leaves to the strongest attack, a row a defense.

use super::{defenses::share_of, mean_of, rate_of};
use crate::figure::measure::Measure;
use crate::frontier::{JOINT, Point};
use crate::identified::{self, Identified};
use crate::report::model::{Cell, Section, Table, row};
use crate::standing::{Stand, fitting, lpips};
use crate::words::FLOOR;
use record::run::Run;

/// Rows that are read at a glance.
const ROWS: usize = 12;
const TITLE: &str = "What each defense leaves";

pub(super) fn leaves(run: &Run, stands: Vec<Stand>) -> Section {
    if run.metric("psnr").higher_is_better != Some(true) {
        return Section::new(TITLE);
    }
    let found = stands.len();
    let (psnr, lpips, headline) = (run.metric("psnr"), lpips(run), run.headline());
    let success = headline.as_ref().map_or(String::new(), |(.., label)| label.clone());
    let head = [
        "defense",
        "strongest attack",
        &psnr.label(),
        &format!("floor{}", unit(&psnr.unit)),
        &lpips.as_ref().map_or(String::new(), |m| m.label()),
        identified::TITLE,
        &success,
        "accuracy",
        "validity",
        "claim",
    ];
    let mut table = Table::new(head);
    for stand in fitting(run, stands, ROWS) {
        let mean = lpips.as_ref().and_then(|m| stand.mean(run, m).map(|v| m.show(v)));
        let success = headline.clone().filter(|_| stand.point.cell().is_some());
        let success = success
            .map(|(m, bound, _)| Point::new(run, &Measure::Success(m, bound), &stand.cells).leak);
        let fails = run.not_measurable(stand.at());
        // What an attack gets that fails without the defense, too, is no result.
        let counts = |cell: Cell| if fails { Cell::None } else { cell };
        table.push(row![
            stand.name.as_str(),
            counts(attack(run, &stand)),
            counts(mean_of(&psnr, &stand.point.leak)),
            Cell::number(stand.floor(run).map(|v| psnr.show(v))),
            counts(Cell::number(mean)),
            counts(super::identified_of(Identified::worst(run, &stand.cells).as_ref())),
            counts(success.as_ref().map_or(Cell::None, rate_of)),
            accuracy(run, &stand),
            run.doubt(stand.at()).map_or(Cell::None, Cell::from),
            stand.claim(run).map_or(Cell::None, Cell::from),
        ]);
    }
    let more = if found > ROWS {
        format!(" {ROWS} of {found} rows; all are under Worst case over attacks.")
    } else {
        String::new()
    };
    let lead = format!(
        "A defense is worth what it leaves to the strongest attack tried on it, by mean PSNR over \
         the same images; success is the largest share of any attack; intervals are {JOINT}. The \
         floor is {FLOOR}: less than that is nothing gained.{}{more}",
        super::identified_read(run)
    );
    let section = Section::new(TITLE).paragraph(lead);
    section.table(table.without_empty_columns(), "")
}

fn unit(unit: &str) -> String {
    if unit.is_empty() { String::new() } else { format!(" ({unit})") }
}

/// The strongest attack with its cell, or why there is none.
fn attack(run: &Run, stand: &Stand) -> Cell {
    match (stand.point.cell(), stand.silence(run)) {
        (Some(at), _) => format!("{} (#{})", run.axes.attacks[at], at + 1).into(),
        (None, why) => why.map_or(Cell::None, Cell::from),
    }
}

/// The accuracy of the only training with its interval over test examples, else over trainings.
fn accuracy(run: &Run, stand: &Stand) -> Cell {
    let found = stand.accuracy(run);
    Cell::number(found.value.map(|share| share_of(share, found.ci(), &found.values)))
}

#[cfg(test)]
mod tests;
