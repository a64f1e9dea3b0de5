//! What marks beside the values of a figure stand for: null baselines by category, levels without
//! defense, frames of lost pictures, legends.

mod common;

use common::papers::{self, run};
use record::CellRecord;
use record::testing::{from_spec, scores};
use reports::PaperSummary;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use suites::{CellSpec, Named};

/// Writes the paper with one figure `f` of these lines.
fn paper(dir: &Path, lines: &str) -> (PaperSummary, PathBuf) {
    papers::paper(dir, &papers::figure("f", lines))
}

fn rows(out: &Path) -> Vec<BTreeMap<String, String>> {
    papers::rows(&out.join("data/f.csv"))
}

fn said(out: &Path) -> String {
    papers::said(out, "f")
}

fn drawn(out: &Path) -> String {
    std::fs::read_to_string(out.join("figures/f.svg")).unwrap()
}

fn spec(attack: &str) -> CellSpec {
    let mut spec = CellSpec::new("photos", "simple-cnn", attack);
    spec.trials = 4;
    spec
}

fn noised(attack: &str, epsilon: f64, seed: u64) -> CellSpec {
    CellSpec {
        defenses: vec![Named::new("dp-local").with("epsilon", epsilon)],
        seed,
        ..spec(attack)
    }
}

/// Cells of batches of 1 and 4, whose null baseline `mean` gets 10 and 14 dB.
fn batches() -> Vec<CellRecord> {
    let cell = |batch: usize, null: f64| {
        let mut own = spec("a");
        (own.federation.local.batch_size, own.trials) = (batch, 4 / batch);
        let mut record = from_spec(own, &[20.0, 21.0, 22.0, 23.0]);
        let all = (0..4).map(|_| scores(null)).collect();
        record.baselines = BTreeMap::from([("mean".to_owned(), all)]);
        record
    };
    vec![cell(1, 10.0), cell(4, 14.0)]
}

#[test]
fn categories_of_different_worlds_have_null_baselines_of_their_own() {
    for kind in ["bar", "box"] {
        let dir = tempfile::tempdir().unwrap();
        run(dir.path(), &batches());
        let (summary, out) =
            paper(dir.path(), &format!("kind = \"{kind}\"\nx = \"federation.local.batch_size\""));
        assert_eq!(summary.errors, Vec::<String>::new());
        let nulls: Vec<_> =
            rows(&out).into_iter().filter(|r| r["series"] == "floor: mean").collect();
        let told: Vec<_> =
            nulls.iter().map(|r| (r["category"].as_str(), r["value"].as_str())).collect();
        assert_eq!(told, [("1", "10"), ("4", "14")], "{kind}");
        assert!(!said(&out).contains("a null baseline is the mean over"), "{}", said(&out));
    }
}

#[test]
fn what_a_null_baseline_pools_is_said() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &batches());
    let (_, out) = paper(dir.path(), "kind = \"bar\"\nx = \"attack\"");
    let nulls: Vec<_> = rows(&out).into_iter().filter(|r| r["series"] == "floor: mean").collect();
    assert_eq!(
        (nulls.len(), nulls[0]["value"].as_str(), nulls[0]["category"].as_str()),
        (1, "12", "")
    );
    let remark =
        "a null baseline is the mean over up to 2 sets of images attacked, which differ in";
    assert!(
        said(&out).contains(remark) && said(&out).contains("federation.local.batch_size"),
        "{}",
        said(&out)
    );
}

#[test]
fn boxes_speak_of_no_intervals() {
    let dir = tempfile::tempdir().unwrap();
    run(
        dir.path(),
        &[0, 1].map(|seed| from_spec(noised("a", 1.0, seed), &[20.0, 21.0, 22.0, 23.0])),
    );
    let (_, out) = paper(dir.path(), "kind = \"box\"\nnull = \"none\"");
    assert!(
        said(&out).contains("one box pools up to 2 cells, which differ in seed"),
        "{}",
        said(&out)
    );
    assert!(!said(&out).contains("intervals"), "{}", said(&out));
}

#[test]
fn a_null_baseline_of_one_world_is_one_value() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &[spec("a"), spec("b")].map(|s| from_spec(s, &[20.0, 21.0, 22.0, 23.0])));
    let (_, out) =
        paper(dir.path(), "kind = \"bar\"\nx = \"task.dataset\"\ny = \"null.mean.psnr\"");
    assert!(!said(&out).contains("pools"), "{}", said(&out));
}

#[test]
fn a_level_is_that_of_its_series_images_and_twins() {
    let dir = tempfile::tempdir().unwrap();
    let two = |mut spec: CellSpec| {
        spec.federation.clients.total = 2;
        spec
    };
    let mut records: Vec<CellRecord> = [1.0, 1000.0]
        .map(|e| from_spec(two(noised("a", e, 0)), &[10.0, 20.0, 10.0, 20.0]))
        .into_iter()
        .collect();
    records.push(from_spec(two(spec("a")), &[30.0, 40.0, 30.0, 40.0]));
    // An attack that no point shows.
    records.push(from_spec(two(spec("b")), &[90.0, 90.0, 90.0, 90.0]));
    run(dir.path(), &records);
    let lines = "kind = \"metric-vs-parameter\"\nx = \"defenses.epsilon\"\ny = \"psnr\"\ncolour = \
        \"client\"";
    let (summary, out) = paper(dir.path(), lines);
    assert_eq!(summary.errors, Vec::<String>::new());
    let data = rows(&out);
    let levels: Vec<_> = data.iter().filter(|r| r["what"] == "undefended").collect();
    let told: Vec<_> = levels.iter().map(|r| (r["series"].as_str(), r["value"].as_str())).collect();
    assert_eq!(told, [("client 0", "30"), ("client 1", "40")]);
    assert!(said(&out).contains("1 cell without defense left out"), "{}", said(&out));
}

#[test]
fn a_curve_says_how_many_images_and_cells_it_is_made_of() {
    let dir = tempfile::tempdir().unwrap();
    run(
        dir.path(),
        &[0, 1].map(|seed| from_spec(noised("a", 1.0, seed), &[12.0, 25.0, 30.0, 31.0])),
    );
    let (summary, out) =
        paper(dir.path(), "kind = \"roc\"\nnull = \"nearest\"\ncolour = \"attack\"");
    assert_eq!(summary.errors, Vec::<String>::new());
    assert!(drawn(&out).contains("a (AUC 0.75, n = 4)"), "{}", rows(&out)[0]["auc"]);
    assert!(
        said(&out).contains("one curve pools up to 2 cells, which differ in seed"),
        "{}",
        said(&out)
    );
}

#[test]
fn a_roc_against_nothing_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &[from_spec(spec("a"), &[12.0, 25.0, 30.0, 31.0])]);
    let (summary, _) = paper(dir.path(), "kind = \"roc\"\nnull = \"none\"");
    assert_eq!(summary.errors.len(), 1);
    assert!(summary.errors[0].contains("`none` leaves nothing to tell"), "{}", summary.errors[0]);
    assert!(!summary.errors[0].contains('\n'));
}

#[test]
fn fields_show_small_values_and_say_what_rows_are() {
    let dir = tempfile::tempdir().unwrap();
    let mut records = batches();
    for (record, at) in records.iter_mut().zip([30.0, 31.0]) {
        record.images.iter_mut().for_each(|image| image.scores = scores(at));
    }
    run(dir.path(), &records);
    let (_, out) = paper(
        dir.path(),
        "kind = \"heat-map\"\nrows = \"federation.local.batch_size\"\ny = \"mse\"",
    );
    let svg = drawn(&out);
    assert!(svg.contains(">0.00100<") && svg.contains(">0.00079<") && !svg.contains(">0.00<"));
    assert!(svg.contains("batch size 4") && svg.contains("no defense"));
}

#[test]
fn a_picture_that_is_gone_keeps_its_place_and_score() {
    let dir = tempfile::tempdir().unwrap();
    let mut record = from_spec(spec("a"), &[12.3, 25.6, 30.0, 31.0]);
    for (at, image) in record.images.iter_mut().enumerate() {
        let name = format!("{at}.png");
        (image.truth_png, image.guess_png) = (Some(name.clone()), Some(name));
    }
    run(dir.path(), &[record]);
    for at in [0, 2, 3] {
        image::RgbImage::new(8, 8).save(dir.path().join(format!("{at}.png"))).unwrap();
    }
    let (summary, out) = paper(dir.path(), "kind = \"grid\"\nrows = \"attack\"");
    assert_eq!(summary.errors, Vec::<String>::new());
    assert!(drawn(&out).contains("12.3 dB") && drawn(&out).contains("25.6 dB"));
    assert!(said(&out).contains("missing: 1.png"), "{}", said(&out));
}
