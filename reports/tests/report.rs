//! The report of a synthetic run, against its snapshots, and of runs in a bad state.

mod common;

use common::{gallery, tasks};
use record::store::{CELLS, RUN};
use record::testing::{info, record};
use record::{RecordError, RunInfo, RunStore, merge};
use reports::{ReportError, write_report};
use std::path::Path;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_whole_report() {
    let dir = tempfile::tempdir().unwrap();
    gallery::write(dir.path());
    let report = write_report(dir.path()).unwrap();
    let (text, folder) = (read(&report), report.parent().unwrap());
    insta::assert_snapshot!("whole", text);
    let cells = read(&folder.join("cells.csv"));
    insta::assert_snapshot!("cells", cells);
    every_figure_is_there(folder, &text);
    in_reading_order(&text);
    tidy(&read(&folder.join("records.csv")));
    let summary: serde_json::Value =
        serde_json::from_str(&read(&folder.join("summary.json"))).unwrap();
    assert_eq!(summary["cells"].as_array().unwrap().len(), 18);
    assert_eq!(summary["suite"]["planned_cells"], 19);
    assert_eq!(summary["cells"][15]["summary"]["metrics"]["psnr"]["failed"], 8);
}

/// Both files of each figure that the text shows or links, of the right kind and width, and no
/// others; the hero first, and no more than eight shown.
fn every_figure_is_there(folder: &Path, text: &str) {
    let shown: Vec<&str> =
        text.lines().filter_map(|l| l.strip_prefix("![")?.split(':').next()).collect();
    assert_eq!((shown[0], shown.len()), ("hero", 8));
    let mut names: Vec<&str> = text
        .split("(figures/")
        .skip(1)
        .filter_map(|l| l.split_once(".svg)").map(|p| p.0))
        .collect();
    names.retain(|name| !name.contains(".png"));
    assert!(shown.iter().all(|name| names.contains(name)));
    for kind in
        ["bars-psnr", "boxes-client", "scatter", "epsilon-psnr", "objective-", "compare-", "grid-"]
    {
        assert!(names.iter().any(|n| n.starts_with(kind)), "no figure {kind}");
    }
    for name in &names {
        let png = image::open(folder.join(format!("figures/{name}.png"))).unwrap();
        // The hero has the width of the page, all others that of a column.
        let (dots, inches) = if *name == "hero" { (2100, "7.000in") } else { (990, "3.300in") };
        assert_eq!(png.width(), dots, "{name}");
        let svg = read(&folder.join(format!("figures/{name}.svg")));
        assert!(svg.contains(&format!("width=\"{inches}\"")), "{name}");
        assert!(svg.ends_with("</svg>\n"), "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.join("figures")).unwrap().count(), 2 * names.len());
}

/// One row per image, origin and metric: 15 cells of 8 images and one of 20, each by the attack and
/// four baselines.
fn tidy(csv: &str) {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let of = |metric: &str| rows.iter().filter(|r| &r[8] == metric).count();
    assert_eq!(of("psnr"), (15 * 8 + 20) * 5);
    assert_eq!(rows.iter().filter(|r| &r[8] == "psnr" && &r[9] == "inf").count(), 1);
}

/// What a report folds away under `heading`.
fn section<'a>(text: &'a str, heading: &str) -> &'a str {
    let from = text
        .find(&format!("<summary>{heading}</summary>\n"))
        .unwrap_or_else(|| panic!("no section {heading}"));
    let length = text[from..].find("</details>").expect("a fold ends");
    &text[from..from + length]
}

/// A reader meets the verdict, the hero, one table, the setting and the figures, in this order, and
/// below them the details folded away, none of them empty.
fn in_reading_order(text: &str) {
    let marks = [
        "# Suite demo\n\nUndefended, the strongest attack (",
        "\n![hero: ",
        "\n## What each defense leaves\n",
        "\n| No defense | feature-inversion",
        "\n## What was attacked, and how\n",
        "\n## Figures\n",
        "\n## Details\n",
        "<summary>Cells</summary>",
    ];
    let places: Vec<usize> =
        marks.iter().map(|m| text.find(m).unwrap_or_else(|| panic!("no {m}"))).collect();
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    for fold in text.split("<details>").skip(1) {
        let fold = fold.split("</details>").next().unwrap();
        assert!(fold.contains("\n| ") || fold.contains("\n- "), "{fold} says nothing");
    }
}

#[test]
fn tasks_have_a_frontier_and_a_course() {
    let dir = tempfile::tempdir().unwrap();
    tasks::write(dir.path());
    let text = read(&write_report(dir.path()).unwrap());
    let frontier = section(&text, "Privacy against utility");
    insta::assert_snapshot!("frontier", frontier);
    insta::assert_snapshot!("course", section(&text, "Leakage against training progress"));
    for name in ["frontier", "frontier-psnr", "training-"] {
        let (shown, linked) = (format!("![{name}"), format!("- [{name}"));
        assert!(text.contains(&shown) || text.contains(&linked), "no figure {name}");
    }
    // A diverged training and a defense without a scored attack are named below the figure and
    // never drawn.
    assert!(text.contains(": no point for prune: task accuracy after training was not measured"));
    assert!(frontier.contains("not measured: training diverged in round 3"));
    assert!(text.contains(": no point for ckks: no attack on it was scored"));
    let crashed = frontier.lines().find(|l| l.contains("| digits | ckks |")).unwrap();
    let why = "inverting-gradients (#8) in capture: out of memory; adaptive-matching (#16) in \
        attack: out of memory";
    assert!(
        crashed.contains(&format!("| 1 | {why} | – | – |")) && crashed.ends_with("| – |"),
        "{crashed}"
    );
    assert!(crashed.contains("adaptive-matching, tried, **failed**"));
    // Two attacks tried: each interval at 97.5 %.
    assert!(frontier.contains("25 % (2/8) [6, 63]"));
}

#[test]
fn a_second_report_is_the_same_and_leaves_nothing_stale() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = RunStore::create(dir.path(), info("a")).unwrap();
    store.append(&record("dlg", 0, &[20.0, 25.0, 30.0])).unwrap();
    let first = read(&write_report(dir.path()).unwrap());
    let stale = dir.path().join("report/figures/bars-old.png");
    std::fs::write(&stale, "x").unwrap();
    // The store is still open for writing: a report can be read off a run in progress.
    assert_eq!(read(&write_report(dir.path()).unwrap()), first);
    assert!(!stale.exists());
    assert!(first.contains("SSIM stands in its place"), "LPIPS is absent and nothing says so");
    assert!(first.contains("lpips-squeeze: weights absent"));
}

#[test]
fn an_empty_run_has_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let mut info = info("a");
    info.suite.cells = vec![record("dlg", 0, &[1.0]).id];
    drop(RunStore::create(dir.path(), info).unwrap());
    let text = read(&write_report(dir.path()).unwrap());
    assert!(
        text.contains("| cells | 1: 1 not run yet |")
            && text.contains("No cell has been attacked yet.")
    );
}

#[test]
fn a_torn_record_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = RunStore::create(dir.path(), info("a")).unwrap();
    store.append(&record("dlg", 0, &[20.0])).unwrap();
    store.append(&record("idlg", 0, &[21.0])).unwrap();
    drop(store);
    let path = dir.path().join(CELLS);
    let text = read(&path);
    std::fs::write(&path, &text[..text.len() - 40]).unwrap();
    let report = read(&write_report(dir.path()).unwrap());
    assert!(report.contains("| cells | 1: 1 done |"));
    // Reporting does not change what a resume will mend.
    assert_eq!(read(&path).len(), text.len() - 40);
}

#[test]
fn pictures_outside_the_run_are_not_opened() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("run");
    let secret = root.path().join("secret.png");
    image::RgbImage::new(4, 4).save(&secret).unwrap();
    let mut hostile = record("dlg", 0, &[20.0]);
    hostile.images[0].truth_png = Some("../secret.png".into());
    hostile.images[0].guess_png = Some(secret.to_str().unwrap().into());
    hostile.threat = "<script>alert(1)</script> | x\n# heading".into();
    RunStore::create(&dir, info("a")).unwrap().append(&hostile).unwrap();
    let text = read(&write_report(&dir).unwrap());
    assert!(!text.contains("![grid-"));
    assert!(!text.contains("<script>") && !text.contains("\n# heading"));
}

#[test]
fn figures_survive_odd_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = RunStore::create(dir.path(), info("a")).unwrap();
    for (seed, value) in
        [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -3.0, 0.0, 1e300].into_iter().enumerate()
    {
        let mut odd = record("dlg", seed as u64, &[value; 4]);
        odd.trace.iter_mut().for_each(|p| p.objective = vec![Some(value), None]);
        odd.task.insert("accuracy".into(), value);
        for scores in odd.baselines.values_mut().flatten() {
            scores.insert("psnr".into(), Some(value));
        }
        store.append(&odd).unwrap();
    }
    let text = read(&write_report(dir.path()).unwrap());
    assert!(text.contains("(4 capped)") && text.contains("(4 failed)"));
}

#[test]
fn what_is_no_run_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(write_report(dir.path()), Err(ReportError::Record(RecordError::NotARun(_)))));
    std::fs::write(dir.path().join(RUN), "{\"schema\": \"9.1\"}").unwrap();
    assert!(matches!(
        write_report(dir.path()),
        Err(ReportError::Record(RecordError::Schema { newer: true, .. }))
    ));
    assert!(!dir.path().join("report").exists());
}

/// A run that another kind of machine goes on with, and one merged from two, say so in `run.json`
/// and in the report; another machine of the same kind is no such mixture.
#[test]
fn kinds_of_machine_are_never_mixed_silently() {
    let root = tempfile::tempdir().unwrap();
    let on = |machine: &str, processor: &str| RunInfo {
        machine: machine.into(),
        processor: processor.into(),
        ..info("a")
    };
    let report = |dir: &Path| {
        let path = write_report(dir).unwrap();
        read(&path.with_file_name("report.md"))
    };
    let (a, b) = (root.path().join("a"), root.path().join("b"));
    drop(RunStore::create(&a, on("one", "family 25, AVX512")).unwrap());
    let store = RunStore::resume(&a, on("two", "family 25, AVX512")).unwrap();
    assert!(!store.info().is_mixed() && store.info().mixed().is_none());
    drop(store);
    assert!(report(&a).contains("made elsewhere**, on the same kind of machine"));
    drop(RunStore::create(&b, on("three", "family 6, AVX2")).unwrap());
    let merged = root.path().join("merged");
    merge(&[a.clone(), b], &merged).unwrap();
    drop(RunStore::resume(&a, on("three", "family 6, AVX2")).unwrap());
    for dir in [a, merged] {
        let info = RunInfo::read(&dir).unwrap();
        assert_eq!((info.processor.as_str(), info.elsewhere.len()), ("family 25, AVX512", 2));
        let note = info.mixed().unwrap();
        assert!(note.contains("2 kinds of machine") && note.contains("AVX2"), "{note}");
        assert!(!note.contains('\n'));
        let text = report(&dir);
        assert!(text.contains("made on other kinds of machine") && text.contains("family 6, AVX2"));
    }
}
