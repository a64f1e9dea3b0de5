//! The rows of the main table.

use super::*;
use crate::figure::filter::Picked;
use crate::report::model::Block;
use crate::standing::stands;
use record::testing::{from_spec, info, record};
use record::{CellRecord, Outcome};
use suites::Named;

fn cell(attack: &str, defense: Option<Named>, psnrs: &[f64]) -> CellRecord {
    let mut spec = record(attack, 0, psnrs).spec;
    spec.defenses = defense.into_iter().collect();
    from_spec(spec, psnrs)
}

fn prune(fraction: f64) -> Option<Named> {
    Some(Named::new("prune").with("fraction", fraction))
}

/// The paragraph and the table of a run of these cells: rows by their titles.
fn table(records: Vec<CellRecord>) -> (String, Vec<Vec<(String, String)>>) {
    let mut info = info("a");
    info.suite.cells = records.iter().map(|r| r.id.clone()).collect();
    let run = Run::new("".into(), info, records);
    let all: Vec<Picked> = (0..run.records.len()).map(|at| Picked::whole(&run, at)).collect();
    let section = leaves(&run, stands(&run, &all).0);
    let (mut lead, mut rows) = (String::new(), Vec::new());
    for block in section.blocks {
        match block {
            Block::Paragraph(text) => lead = text.marked(),
            Block::Table(table) => {
                let told = |row: &Vec<Cell>| -> Vec<(String, String)> {
                    let cells = row.iter().map(|c| c.marked().replace('\u{a0}', " "));
                    table.head.iter().cloned().zip(cells).collect()
                };
                rows = table.rows.iter().map(told).collect();
            }
            _ => panic!("neither paragraph nor table"),
        }
    }
    (lead, rows)
}

/// What a row says below a title; nothing where the column is left out.
fn of<'a>(row: &'a [(String, String)], title: &str) -> &'a str {
    row.iter().find(|(head, _)| head == title).map_or("", |(_, cell)| cell)
}

#[test]
fn a_row_is_that_of_the_strongest_attack_against_the_floor() {
    let cells = vec![
        cell("dlg", None, &[30.0, 20.0]),
        cell("idlg", None, &[22.0, 24.0]),
        cell("dlg", prune(0.9), &[12.0, 13.0]),
        cell("idlg", prune(0.9), &[26.0, 14.0]),
    ];
    let (_, rows) = table(cells);
    let told: Vec<[&str; 5]> = rows
        .iter()
        .map(|row| {
            ["defense", "strongest attack", "PSNR (dB)", "floor (dB)", "PSNR ≥ 25 dB"]
                .map(|title| of(row, title))
        })
        .collect();
    let wanted = [
        ["No defense", "dlg (#1)", "25.00 {20.00, 30.00}", "11.50", "50 % (1/2)"],
        ["Pruning (fraction = 0.9)", "idlg (#4)", "20.00 {14.00, 26.00}", "11.50", "50 % (1/2)"],
    ];
    assert_eq!(told, wanted);
    // Nobody measured LPIPS or asked for identities, and every row counts.
    assert!(rows[0].iter().all(|(title, _)| {
        !["LPIPS", "identified", "validity"].iter().any(|gone| title.contains(gone))
    }));
}

#[test]
fn success_is_the_largest_share_of_any_attack() {
    let cells =
        vec![cell("dlg", None, &[60.0, 10.0, 10.0]), cell("idlg", None, &[26.0, 26.0, 26.0])];
    let (_, rows) = table(cells);
    assert_eq!(of(&rows[0], "strongest attack"), "dlg (#1)");
    assert_eq!(of(&rows[0], "PSNR ≥ 25 dB"), "100 % (3/3)");
}

#[test]
fn what_is_not_measurable_shows_no_number_of_an_attack() {
    let (_, rows) = table(vec![cell("dlg", None, &[9.0; 3]), cell("dlg", prune(0.9), &[8.0; 3])]);
    let pruned = &rows[1];
    assert!(of(pruned, "validity").starts_with("not measurable: "), "{pruned:?}");
    for title in ["strongest attack", "PSNR (dB)", "PSNR ≥ 25 dB"] {
        assert_eq!(of(pruned, title), "–", "{title}");
    }
    assert_eq!(
        (of(&rows[0], "PSNR (dB)"), of(&rows[0], "validity")),
        ("9.00 {9.00, 9.00, 9.00}", "–")
    );
}

#[test]
fn why_there_is_no_picture_stands_in_the_place_of_the_attack() {
    let mut hidden = cell("dlg", Some(Named::new("secagg")), &[]);
    hidden.outcome = Outcome::NotApplicable { why: "masked".into() };
    hidden.baselines.clear();
    let (_, rows) = table(vec![cell("dlg", None, &[30.0]), hidden]);
    assert_eq!(of(&rows[1], "strongest attack"), "Nothing to attack: masked");
    assert_eq!((of(&rows[1], "PSNR (dB)"), of(&rows[1], "PSNR ≥ 25 dB")), ("–", "–"));
}

#[test]
fn twelve_rows_are_shown_and_the_others_counted() {
    let cells = |most: usize| {
        let pruned = (1..most).map(|n| cell("dlg", prune(n as f64 / 16.0), &[9.0]));
        std::iter::once(cell("dlg", None, &[30.0])).chain(pruned).collect::<Vec<_>>()
    };
    let (lead, rows) = table(cells(12));
    assert!(rows.len() == 12 && !lead.contains("rows;"), "{lead}");
    let (lead, rows) = table(cells(14));
    assert_eq!(rows.len(), 12);
    assert!(lead.ends_with(" 12 of 14 rows; all are under Worst case over attacks."), "{lead}");
}
