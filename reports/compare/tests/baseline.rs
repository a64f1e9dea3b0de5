//! The baseline file: nothing that a comparison needs is lost in it, and no foreign file passes for
//! one.

mod common;

use compare::{Pairing, Side, Verdict, compare, write_baseline};
use record::CellRecord;
use record::testing::nights::{Night, rescore, write};
use std::path::{Path, PathBuf};
use suites::Gate;

fn exported(dir: &Path, records: &[CellRecord]) -> (PathBuf, PathBuf) {
    let (run, file) = (dir.join("run"), dir.join("baseline.json"));
    write(&run, records);
    let summary = write_baseline(&run, &file).unwrap();
    assert_eq!(
        (summary.cells, summary.images),
        (records.len(), records.iter().map(|r| r.images.len()).sum())
    );
    assert_eq!(summary.bytes as u64, std::fs::metadata(&file).unwrap().len());
    (run, file)
}

#[test]
fn a_baseline_stands_for_its_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = Night { noise: 0.4, ..Night::default() }.records(0);
    records[0].images[0].scores.insert("psnr".into(), Some(f64::INFINITY));
    records[0].images[1].scores.insert("psnr".into(), Some(f64::NAN));
    records[0].images[2].flags.push(suites::FlagKind::NonFinite.into());
    records[1].images[0].scores.insert("ssim".into(), Some(0.1 + 0.2));
    let (run, file) = exported(dir.path(), &records);
    let (from_run, from_file) = (Side::open(&run).unwrap(), Side::open(&file).unwrap());
    let same = compare(&from_file, &from_run, &Gate::default(), Pairing::SameSeed).unwrap();
    assert_eq!((same.counts.identical, same.verdict()), (records.len(), Verdict::Passed));
    // Against a third run both give the same numbers, to the bit.
    let mut third = records.clone();
    third.iter_mut().skip(2).for_each(|r| rescore(r, |psnr| psnr - 0.3));
    let third = common::side("third", third);
    let effects = |base: &Side| {
        let found = compare(base, &third, &Gate::default(), Pairing::SameSeed).unwrap();
        (found.json()["effects"].clone(), found.findings)
    };
    assert_eq!(effects(&from_run), effects(&from_file));
    assert_eq!(from_file.suite_text(), "");
}

#[test]
fn a_hundred_cells_are_small_enough_to_commit() {
    let dir = tempfile::tempdir().unwrap();
    let night = Night { images: 8, seeds: (0..11).collect(), noise: 0.4, ..Night::default() };
    let (_, file) = exported(dir.path(), &night.records(0));
    let bytes = std::fs::metadata(file).unwrap().len();
    assert!(bytes < 150_000, "{bytes} bytes for 99 cells of 8 images");
}

#[test]
fn foreign_files_are_one_clear_line() {
    let dir = tempfile::tempdir().unwrap();
    let (_, file) = exported(dir.path(), &Night::default().records(0));
    let text = std::fs::read_to_string(&file).unwrap();
    let said = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let error = Side::open(&file).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    assert!(said(&text[..text.len() / 2]).contains("not a baseline: EOF"));
    assert!(said("{}").contains("not a baseline: missing field `baseline`"));
    assert!(said("PNG").contains("give a run folder, or a file that `bench baseline` wrote"));
    let newer = text.replacen("\"baseline\": \"1.2\"", "\"baseline\": \"2.0\"", 1);
    assert!(
        said(&newer).contains(
            "schema 2.0 cannot be read by this program (it knows 1.2); use a newer bench"
        )
    );
    // A minor version adds what this program need not know.
    let minor = text.replacen(
        "\"baseline\": \"1.2\"",
        "\"baseline\": \"1.7\",\n  \"weather\": \"fair\"",
        1,
    );
    std::fs::write(&file, minor).unwrap();
    assert!(Side::open(&file).is_ok());
    let edited = text.replacen("\"iterations\": 300", "\"iterations\": 301", 1);
    assert!(said(&edited).contains("its spec is not the one its id stands for"));
    assert!(
        said(&text.replacen("\"trial\":[0,", "\"trial\":[0,0,", 1))
            .contains("its columns differ in length")
    );
    let absent = Side::open(&dir.path().join("nothing")).unwrap_err().to_string();
    assert!(absent.contains("is not a run folder"), "{absent}");
}
