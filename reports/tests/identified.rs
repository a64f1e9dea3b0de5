//! How many images are identified, with the chance of it, stands in every table that shows what
//! attacks get, and in every export; where no cell has it, no table speaks of it.

mod common;

use common::papers::{rows, run, text};
use common::tasks;
use record::CellRecord;
use record::store::read_records;
use reports::{ExportFormat, StyleName, export, write_paper, write_report};
use std::path::Path;

const CANDIDATES: usize = 500;

/// The records of the tasks, in which every third image was found among [`CANDIDATES`].
fn judged(dir: &Path) -> Vec<CellRecord> {
    tasks::write(&dir.join("plain"));
    let mut records = read_records(&dir.join("plain")).unwrap();
    for record in records.iter_mut().filter(|r| !r.images.is_empty()) {
        record.candidates = Some(CANDIDATES);
        let found = |at: usize| Some(f64::from(u8::from(at.is_multiple_of(3))));
        let images = record.images.iter_mut().enumerate();
        images.for_each(|(at, i)| {
            i.scores.insert("identified-top1".into(), found(at));
        });
    }
    records
}

/// The head and the rows of the first table under `heading`.
fn table<'a>(report: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let from = report.find(heading).unwrap_or_else(|| panic!("no {heading}"));
    let lines = report[from..].lines().skip_while(|l| !l.starts_with("| "));
    let rows = lines.take_while(|l| l.starts_with('|')).filter(|l| !l.starts_with("| ---"));
    rows.map(|l| l.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Heading, the column that tells it, and what it says of the first row.
const TABLES: [(&str, &str, &str); 8] = [
    ("## What each defense leaves", "identified", "38 % (3/8) [12, 73], chance 1/500"),
    ("<summary>Reconstruction<", "chance, top 1", "1/500"),
    ("<summary>Success rates<", "identified", "38 % (3/8) [14, 69], chance 1/500"),
    ("<summary>Defenses<", "identified", "38 % (3/8) [14, 69], chance 1/500"),
    ("<summary>Worst case over attacks<", "identified", "38 % (3/8) [12, 73], chance 1/500"),
    ("<summary>Privacy against utility<", "most identified", "38 % (3/8) [12, 73], chance 1/500"),
    ("<summary>Leakage against", "identified", "38 % (3/8) [14, 69], chance 1/500"),
    ("<summary>Cost and utility<", "identified", "38 % (3/8) [14, 69], chance 1/500"),
];

#[test]
fn every_table_of_attacks_has_it_with_its_chance() {
    let dir = tempfile::tempdir().unwrap();
    run(&dir.path().join("judged"), &judged(dir.path()));
    let report = |name: &str| {
        std::fs::read_to_string(write_report(&dir.path().join(name)).unwrap()).unwrap()
    };
    let (with, without) = (report("judged"), report("plain"));
    for (heading, title, value) in TABLES {
        let found = table(&with, heading);
        let at = found[0].iter().position(|t| *t == title);
        let at = at.unwrap_or_else(|| panic!("no {title} under {heading}: {:?}", found[0]));
        assert_eq!(found[1][at], value, "{heading}");
        assert!(!table(&without, heading)[0].contains(&title), "{heading}");
    }
    assert!(with.contains("3 of 8 name their picture among 500 candidates."), "no verdict");
    assert!(!without.contains("dentified is the share"), "what is not shown is explained");
    let page = std::fs::read_to_string(dir.path().join("judged/report/report.html")).unwrap();
    assert!(page.contains("\"chance, top 1\""), "the page has no chance");
}

#[test]
fn the_largest_share_is_that_of_any_attack() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = judged(dir.path());
    // The weaker attack by PSNR finds all, among fewer candidates.
    let weaker = records.iter_mut().find(|r| r.spec.attack.name == "inverting-gradients").unwrap();
    weaker.candidates = Some(400);
    let all = weaker.images.iter_mut();
    all.for_each(|i| {
        i.scores.insert("identified-top1".into(), Some(1.0));
    });
    run(&dir.path().join("judged"), &records);
    let path = write_report(&dir.path().join("judged")).unwrap();
    let report = std::fs::read_to_string(path).unwrap();
    let first = |heading: &str, title: &str| {
        let found = table(&report, heading);
        let at = found[0].iter().position(|t| *t == title).unwrap();
        found[1][at].to_owned()
    };
    let worst = first("<summary>Worst case over attacks<", "identified");
    assert!(worst.starts_with("100 % (8/8) [") && worst.ends_with("chance 1/400"), "{worst}");
    // So it is in the main table and in the verdict: the hero alone shows one attack's pictures.
    assert!(first("## What each defense leaves", "identified").starts_with("100 % (8/8) "));
    assert!(report.contains("8 of 8 name their picture among 400 candidates."));
}

#[test]
fn exports_say_how_many_candidates_there_were() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("judged");
    run(&own, &judged(dir.path()));
    write_report(&own).unwrap();
    let csv = own.join("out.csv");
    export(&own, ExportFormat::Csv, &csv).unwrap();
    for path in [csv, own.join("report/records.csv"), own.join("report/cells.csv")] {
        let rows = rows(&path);
        let with = rows.iter().filter(|r| r["candidates"] == "500").count();
        let without = rows.iter().filter(|r| r["candidates"].is_empty()).count();
        assert!(with > 0 && with + without == rows.len(), "{}", path.display());
        assert!(
            rows.iter()
                .filter(|r| r["cell"] == rows[0]["cell"])
                .all(|r| r == &rows[0] || { r["candidates"] == rows[0]["candidates"] })
        );
    }
    let lines = own.join("out.jsonl");
    export(&own, ExportFormat::Jsonl, &lines).unwrap();
    let first = std::fs::read_to_string(lines).unwrap();
    assert!(first.lines().next().unwrap().contains("\"candidates\":500"));
    write_paper(&own, &dir.path().join("paper"), StyleName::Acm, None).unwrap();
    let overview = text(&dir.path().join("paper"), "tables/overview.csv");
    assert!(overview.contains("identified-top1"), "{overview}");
}
