//! Exports read back: by the format's own reader here, and by pandas where that is installed.

mod common;

use common::gallery;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use record::store::read_records;
use record::testing::from_spec;
use record::{CellRecord, Outcome, RunStore};
use reports::{ExportFormat, export};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use suites::{CellSpec, FlagKind, Named};

/// A run with every outcome, what is not finite, nulls, numbers beyond 2^53 and text that needs
/// quoting.
fn run() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    gallery::write(dir.path());
    let mut store = RunStore::open(dir.path()).unwrap();
    store.append(&odd()).unwrap();
    // It broke in its attack before any image was scored.
    let mut broken = odd();
    broken.spec.seed = 7;
    broken.id = broken.spec.id();
    broken.images.clear();
    broken.baselines.clear();
    broken.outcome = Outcome::Failed {
        stage: "attack".into(),
        message: "a \"quoted\", thing\nin two lines".into(),
    };
    store.append(&broken).unwrap();
    dir
}

fn odd() -> CellRecord {
    let mut spec = CellSpec::new("photos", "simple-cnn", "odd");
    spec.seed = u64::MAX;
    spec.trials = 4;
    spec.defenses =
        vec![Named::new("prune").with("fraction", 0.1), Named::new("dp-local").with("epsilon", 8)];
    let mut record = from_spec(spec, &[f64::INFINITY, 1.0 / 3.0, 5e-324, -1.5e300]);
    record.images[1].scores.insert("psnr".into(), Some(f64::NAN));
    record.images[2].scores.insert("psnr".into(), Some(f64::NEG_INFINITY));
    record.images[0].label = -1;
    record.images[0].guessed_label = None;
    record.images[3].flags = vec![FlagKind::WorseThanNull.into(), "other".parse().unwrap()];
    record.task.insert("trained_loss".into(), f64::INFINITY);
    record.candidates = Some(1000);
    record.cost.bytes_up = (1 << 53) + 1;
    record.notes = vec!["größer, \"so\"".into(), "two\nlines".into()];
    record
}

fn exported(run: &Path, format: &str) -> (PathBuf, usize) {
    let out = run.join(format!("out/table.{format}"));
    let rows = export(run, format.parse().unwrap(), &out).unwrap();
    (out, rows)
}

fn parquet_rows(path: &Path) -> Vec<HashMap<String, Field>> {
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let columns = |row: Row| row.into_columns().into_iter().collect();
    reader.get_row_iter(None).unwrap().map(|row| columns(row.unwrap())).collect()
}

fn text<'a>(row: &'a HashMap<String, Field>, name: &str) -> &'a str {
    match &row[name] {
        Field::Str(text) => text,
        Field::Null => "",
        other => panic!("{name} is {other:?}"),
    }
}

fn natural(row: &HashMap<String, Field>, name: &str) -> u64 {
    match row[name] {
        Field::ULong(v) => v,
        ref other => panic!("{name} is {other:?}"),
    }
}

/// Bits, so that NaN equals NaN.
fn value(row: &HashMap<String, Field>) -> Option<u64> {
    match row["value"] {
        Field::Double(v) => Some(v.to_bits()),
        Field::Null => None,
        ref other => panic!("value is {other:?}"),
    }
}

/// Cell, scorer, image and metric of every score in the records.
type Scores = HashMap<(String, String, usize, usize, String), Option<u64>>;

fn scores(records: &[CellRecord]) -> Scores {
    let mut all = Scores::new();
    for record in records {
        for (place, image) in record.images.iter().enumerate() {
            let nulls =
                record.baselines.iter().map(|(name, rows)| (format!("null:{name}"), &rows[place]));
            for (by, scores) in nulls.chain([("attack".into(), &image.scores)]) {
                for (metric, value) in scores {
                    let key = (
                        record.id.to_string(),
                        by.clone(),
                        image.trial,
                        image.index,
                        metric.clone(),
                    );
                    all.insert(key, value.map(f64::to_bits));
                }
            }
        }
    }
    all
}

#[test]
fn parquet_reads_back_as_the_records() {
    let dir = run();
    let records = read_records(dir.path()).unwrap();
    let (path, written) = exported(dir.path(), "parquet");
    let rows = parquet_rows(&path);
    assert_eq!(rows.len(), written);
    let mut want = scores(&records);
    for row in rows.iter().filter(|r| r["trial"] != Field::Null) {
        let place = ["trial", "index"].map(|name| natural(row, name) as usize);
        let [cell, by, metric] = ["cell", "by", "metric"].map(|name| text(row, name).to_owned());
        let right = want.remove(&(cell, by, place[0], place[1], metric)).expect("a row too many");
        assert_eq!(value(row), right);
        assert_eq!(text(row, "status"), if right.is_some() { "measured" } else { "not-measured" });
    }
    assert!(want.is_empty(), "not exported: {want:?}");

    let odd =
        rows.iter().find(|r| text(r, "attack") == "odd" && r["label"] == Field::Long(-1)).unwrap();
    assert_eq!((natural(odd, "seed"), natural(odd, "bytes_up")), (u64::MAX, (1 << 53) + 1));
    assert_eq!(odd["trained_loss"], Field::Double(f64::INFINITY));
    assert_eq!((natural(odd, "candidates"), &odd["epsilon"]), (1000, &Field::Double(8.0)));
    assert_eq!(
        (text(odd, "defenses"), text(odd, "defense_params")),
        ("prune + dp-local", r#"[{"fraction":0.1},{"epsilon":8}]"#)
    );
}

#[test]
fn what_has_no_score_has_rows_that_say_why() {
    let dir = run();
    let records = read_records(dir.path()).unwrap();
    let (path, _) = exported(dir.path(), "parquet");
    let rows = parquet_rows(&path);
    let counted = |status: &str| rows.iter().filter(|r| text(r, "status") == status).count();
    let metrics: std::collections::BTreeSet<_> =
        records.iter().flat_map(CellRecord::metrics).collect();
    let lost: usize = records.iter().map(CellRecord::lost_images).sum();
    assert!(lost > 4 && counted("lost") == lost * metrics.len(), "{lost} x {}", metrics.len());
    assert_eq!((counted("not-applicable"), counted("not-run")), (1, 1));
    for row in
        rows.iter().filter(|r| ["lost", "not-applicable", "not-run"].contains(&text(r, "status")))
    {
        assert_eq!((value(row), &row["id"]), (None, &Field::Null));
        assert!(text(row, "status") == "not-run" || !text(row, "reason").is_empty());
    }
}

#[test]
fn the_same_records_give_the_same_bytes() {
    let (one, two) = (run(), run());
    for format in ["csv", "jsonl", "parquet"] {
        let bytes =
            |dir: &tempfile::TempDir| std::fs::read(exported(dir.path(), format).0).unwrap();
        assert!(bytes(&one) == bytes(&two) && bytes(&one) == bytes(&one), "{format}");
    }
}

#[test]
fn mistakes_are_one_line() {
    let error = "parqet".parse::<ExportFormat>().unwrap_err().to_string();
    assert_eq!(
        error,
        "unknown format `parqet` (did you mean `parquet`?); known: csv, jsonl, parquet"
    );
    let dir = run();
    let own = dir.path().join("cells.jsonl");
    let before = std::fs::read(&own).unwrap();
    let error = export(dir.path(), ExportFormat::Jsonl, &own).unwrap_err().to_string();
    assert!(error.contains("the run's own file") && !error.contains('\n'), "{error}");
    assert_eq!(std::fs::read(&own).unwrap(), before);
    let error =
        export(&dir.path().join("out"), ExportFormat::Csv, &dir.path().join("x")).unwrap_err();
    assert!(error.to_string().contains("not a run folder"), "{error}");
}

/// A run without a single record, such as one that has just begun.
#[test]
fn an_empty_run_has_a_header() {
    let dir = tempfile::tempdir().unwrap();
    drop(RunStore::create(dir.path(), record::testing::info("[suite]\n")).unwrap());
    let rows = ["csv", "jsonl", "parquet"].map(|format| exported(dir.path(), format).1);
    assert_eq!(rows, [0, 0, 0]);
    let header = std::fs::read_to_string(dir.path().join("out/table.csv")).unwrap();
    assert!(header.starts_with("suite,") && header.lines().count() == 1, "{header}");
    assert!(parquet_rows(&dir.path().join("out/table.parquet")).is_empty());
}

#[test]
fn the_documentation_names_every_column() {
    let dir = run();
    let header = std::fs::read_to_string(exported(dir.path(), "csv").0).unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/export.md");
    let page = std::fs::read_to_string(page).unwrap();
    for column in header.lines().next().unwrap().split(',') {
        assert!(page.contains(&format!("`{column}`")), "docs/export.md does not name `{column}`");
    }
}

/// `BENCH_PYTHON` names a Python with pandas and pyarrow; then it must be there. Without it
/// `python3` is tried.
#[test]
fn pandas_reads_the_same_values() {
    let dir = run();
    let tables = ["csv", "jsonl", "parquet"].map(|format| exported(dir.path(), format).0);
    let asked = std::env::var_os("BENCH_PYTHON");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/read_export.py");
    let python = asked.clone().unwrap_or_else(|| "python3".into());
    let answer = Command::new(python).arg(script).arg(dir.path()).args(tables).output();
    match answer {
        Ok(answer) if answer.status.success() => {
            print!("{}", String::from_utf8_lossy(&answer.stdout))
        }
        Ok(answer) if answer.status.code() == Some(77) && asked.is_none() => {
            println!("skipped: {}", String::from_utf8_lossy(&answer.stdout).trim());
        }
        Err(error) if asked.is_none() => println!("skipped: python3: {error}"),
        other => panic!("{other:#?}"),
    }
}
