//! The run store: resume, torn lines, refusals, merging.

use proptest::prelude::*;
use record::RecordError;
use record::store::{CELLS, RUN, read_records};
use record::testing::{info, record};
use record::{CellRecord, Outcome, RunInfo, RunStore, fingerprint, merge, write_whole};
use std::path::Path;

fn three() -> Vec<CellRecord> {
    vec![
        record("dlg", 0, &[20.0, 30.5]),
        record("idlg", 0, &[f64::INFINITY]),
        record("dlg", 1, &[0.1 + 0.2]),
    ]
}

fn stored(dir: &Path, records: &[CellRecord]) -> RunStore {
    let mut store = RunStore::create(dir, info("a")).unwrap();
    records.iter().for_each(|r| store.append(r).unwrap());
    store
}

#[test]
fn what_is_appended_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = stored(dir.path(), &three());
    assert_eq!(store.records().unwrap(), three());
    assert_eq!(store.done().len(), 3);
    drop(store);
    let again = RunStore::open(dir.path()).unwrap();
    assert_eq!(again.records().unwrap(), three());
    assert_eq!(again.info(), &info("a"));
}

#[test]
fn failed_cells_run_again_and_the_latest_record_counts() {
    let dir = tempfile::tempdir().unwrap();
    let mut failed = record("dlg", 0, &[]);
    failed.outcome = Outcome::Failed { stage: "attack".into(), message: "out of memory".into() };
    let mut store = stored(dir.path(), &[failed.clone(), record("idlg", 0, &[1.0])]);
    assert!(!store.done().contains(&failed.id));
    let good = CellRecord { outcome: Outcome::Done, ..failed };
    store.append(&good).unwrap();
    assert!(store.done().contains(&good.id));
    assert_eq!(store.records().unwrap(), vec![record("idlg", 0, &[1.0]), good]);
}

#[test]
fn torn_at_every_byte_yields_a_prefix() {
    let dir = tempfile::tempdir().unwrap();
    drop(stored(dir.path(), &three()));
    let path = dir.path().join(CELLS);
    let whole = std::fs::read(&path).unwrap();
    let ends: Vec<_> =
        whole.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1).collect();
    for cut in 0..=whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let complete = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(read_records(dir.path()).unwrap(), three()[..complete], "cut at byte {cut}");
    }
    // Opening for writing drops the torn part, so that the next record starts a line of its own.
    std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let mut store = RunStore::open(dir.path()).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len() as usize, ends[1]);
    store.append(&three()[2]).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), whole);
}

#[test]
fn a_damaged_line_before_the_last_is_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(stored(dir.path(), &three()));
    let path = dir.path().join(CELLS);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"trials\":1", "\"trials\":-1", 1)).unwrap();
    let message = RunStore::open(dir.path()).unwrap_err().to_string();
    assert!(
        message.contains("cells.jsonl:2:") && message.contains("delete that line"),
        "{message}"
    );
    assert!(!message.contains('\n'));
}

#[test]
fn folders_that_are_not_ours_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(RunStore::open(dir.path()), Err(RecordError::NotARun(_))));
    std::fs::write(dir.path().join("thesis.tex"), "x").unwrap();
    assert!(matches!(RunStore::create(dir.path(), info("a")), Err(RecordError::NotEmpty(_))));
    let file = dir.path().join("thesis.tex");
    let message = RunStore::create(&file.join("run"), info("a")).unwrap_err().to_string();
    assert!(message.contains("choose another folder"), "{message}");
}

#[test]
fn another_suite_or_profile_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(stored(dir.path(), &[]));
    assert!(matches!(RunStore::create(dir.path(), info("a")), Err(RecordError::Exists(_))));
    assert!(matches!(RunStore::resume(dir.path(), info("b")), Err(RecordError::OtherSuite { .. })));
    let mut other = info("a");
    other.suite.profile = Some("full".into());
    let message = RunStore::resume(dir.path(), other).unwrap_err().to_string();
    assert!(message.contains("the profile differs"), "{message}");
    let mut elsewhere = info("a");
    elsewhere.device = "cuda:0".into();
    let store = RunStore::resume(dir.path(), elsewhere).unwrap();
    assert_eq!(store.info().elsewhere.len(), 1);
    assert_eq!(store.info().device, "cpu");
}

/// Runs of programs that did not record the processor are read, and count as another kind.
#[test]
fn an_unknown_processor_is_another_kind() {
    let mut old = serde_json::to_value(info("a")).unwrap();
    old.as_object_mut().unwrap().remove("processor");
    let mut old: RunInfo = serde_json::from_value(old).unwrap();
    old.elsewhere.push(RunInfo { processor: "family 25, AVX512".into(), ..info("a") }.host());
    assert!(old.mixed().unwrap().contains("unknown processor"));
}

#[test]
fn newer_schemas_are_refused_before_they_are_parsed() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(RUN), r#"{"schema": "3.0", "strange": []}"#).unwrap();
    let message = RunStore::open(dir.path()).unwrap_err().to_string();
    assert!(message.contains("schema 3.0") && message.contains("use a newer bench"), "{message}");
    std::fs::write(dir.path().join(RUN), "{\"schema\": \"1.0\",\n \"suite\": 3}").unwrap();
    let message = RunStore::open(dir.path()).unwrap_err().to_string();
    assert!(message.contains("run.json:2:"), "{message}");
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = stored(dir.path(), &[]);
    assert!(matches!(RunStore::open(dir.path()), Err(RecordError::Busy(_))));
    drop(first);
    assert!(RunStore::open(dir.path()).is_ok());
}

#[test]
fn a_killed_writer_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let store = stored(dir.path(), &three());
    let id = three()[0].id.clone();
    let artifacts = store.artifacts_dir(&id).unwrap();
    write_whole(&artifacts.join("truth.png"), b"png").unwrap();
    for left in [dir.path().join(".bench-x1.tmp"), artifacts.join(".bench-x2.tmp")] {
        std::fs::write(left, b"half").unwrap();
    }
    drop(store);
    let store = RunStore::open(dir.path()).unwrap();
    store.artifacts_dir(&id).unwrap();
    let names = |d: &Path| {
        std::fs::read_dir(d).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>()
    };
    assert_eq!(names(&artifacts), ["truth.png"]);
    assert!(!names(dir.path()).iter().any(|n| n.to_string_lossy().starts_with(".bench-")));
}

#[test]
fn fingerprints_forget_time_and_order() {
    let mut shuffled = three();
    shuffled.reverse();
    shuffled[0].wall.seconds = 1e9;
    assert_eq!(fingerprint(&three()).unwrap(), fingerprint(&shuffled).unwrap());
    shuffled[0].images[0].scores.insert("psnr".into(), Some(1.0));
    assert_ne!(fingerprint(&three()).unwrap(), fingerprint(&shuffled).unwrap());
}

#[test]
fn shards_merge_by_cell() {
    let root = tempfile::tempdir().unwrap();
    let (a, b, into) = (root.path().join("a"), root.path().join("b"), root.path().join("all"));
    let mut failed = three()[1].clone();
    failed.outcome = Outcome::Failed { stage: "attack".into(), message: "x".into() };
    let store = stored(&a, &[three()[0].clone(), failed]);
    write_whole(&store.artifacts_dir(&three()[0].id).unwrap().join("t.png"), b"p").unwrap();
    drop(store);
    drop(stored(&b, &[three()[1].clone(), three()[2].clone()]));
    assert_eq!(merge(&[a.clone(), b.clone()], &into).unwrap(), 3);
    assert_eq!(fingerprint(&read_records(&into).unwrap()).unwrap(), fingerprint(&three()).unwrap());
    assert!(into.join("artifacts").join(three()[0].id.as_str()).join("t.png").exists());
    assert!(matches!(merge(&[a], &into), Err(RecordError::Exists(_))));
    assert!(matches!(merge(&[], &into), Err(RecordError::NothingToMerge)));
    let other = root.path().join("c");
    drop(RunStore::create(&other, info("other suite")).unwrap());
    assert!(matches!(
        merge(&[b, other], &root.path().join("x")),
        Err(RecordError::OtherSuite { .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_number_survives(
        values in prop::collection::vec(prop::option::of(prop::num::f64::ANY), 1..5),
    ) {
        let mut before = record("dlg", 0, &[1.0]);
        before.images[0].scores =
            values.iter().enumerate().map(|(i, v)| (format!("m{i}"), *v)).collect();
        before.task.insert("loss".into(), values[0].unwrap_or(f64::NEG_INFINITY));
        before.trace[0].objective = values.clone();
        let text = serde_json::to_string(&before).unwrap();
        let after: CellRecord = serde_json::from_str(&text).unwrap();
        // NaN is not equal to itself, but is written as itself.
        prop_assert_eq!(serde_json::to_string(&after).unwrap(), text);
        for (a, b) in before.trace[0].objective.iter().zip(&after.trace[0].objective) {
            prop_assert!(a == b || (a.unwrap().is_nan() && b.unwrap().is_nan()));
        }
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CELLS), &bytes).unwrap();
        std::fs::write(dir.path().join(RUN), &bytes).unwrap();
        let _ = read_records(dir.path());
        let _ = RunStore::open(dir.path());
    }
}

/// A spec of 1.x is read in a run of 1.x alone: elsewhere it would be a way round the id.
#[test]
fn an_edited_spec_is_refused_in_either_language() {
    let dir = tempfile::tempdir().unwrap();
    let own = record("fl-attack", 0, &[20.0]);
    let write = |schema: &str, line: &serde_json::Value| {
        let run = serde_json::to_value(info("a")).unwrap();
        let text = run.to_string().replacen("\"schema\":\"2.0\"", schema, 1);
        std::fs::write(dir.path().join(RUN), text).unwrap();
        std::fs::write(dir.path().join(CELLS), format!("{line}\n{line}\n")).unwrap();
        read_records(dir.path()).map(|r| r.len()).map_err(|e| e.to_string())
    };
    let (today, old) = ("\"schema\":\"2.0\"", "\"schema\":\"1.0\"");
    let mut line = serde_json::to_value(&own).unwrap();
    assert_eq!(write(today, &line), Ok(1));
    line["spec"]["federation"]["local"]["lr"] = 0.5.into();
    let said = write(today, &line).unwrap_err();
    assert!(said.contains("says another spec") && !said.contains('\n'), "{said}");
    let spec = line["spec"].as_object_mut().unwrap();
    spec.retain(|key, _| key != "federation" && key != "capture");
    spec.insert("training".into(), serde_json::json!({ "clients": 1, "lr": 0.5 }));
    assert!(write(today, &line).unwrap_err().contains("says another spec"));
    assert_eq!(write(old, &line), Ok(1), "ids of 1.x are kept");
}
