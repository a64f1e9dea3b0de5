//! A paper's figures and tables from synthetic records: the numbers, the files, and what a bad
//! suite or run is told.

mod common;

use common::gallery;
use common::papers::{figure, made, paper, rows, run, said};
use record::testing::{from_spec, info, record};
use record::{CellRecord, CellSummary, Metrics, Outcome, stats};
use reports::{StyleName, write_paper};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use suites::federation::{ClientsSpec, LocalSpec};
use suites::{CellSpec, FederationSpec, Named, Regime, Source, Vantage};

fn number(row: &BTreeMap<String, String>, key: &str) -> f64 {
    row[key].parse().unwrap_or_else(|_| panic!("{key} of {row:?}"))
}

fn noised(attack: &str, epsilon: Option<f64>, seed: u64) -> CellSpec {
    let mut spec = CellSpec::new("photos", "simple-cnn", attack);
    spec.trials = 4;
    spec.seed = seed;
    spec.defenses =
        epsilon.map(|e| Named::new("dp-local").with("epsilon", e)).into_iter().collect();
    spec
}

#[test]
fn a_single_cell_has_the_numbers_of_its_report() {
    let dir = tempfile::tempdir().unwrap();
    let records = [
        record("a", 0, &[12.0, 31.0, 22.5, 19.0, 18.0, 26.0, 24.0, 14.0, f64::INFINITY]),
        record("b", 0, &[8.0, 9.0, 7.0, 8.5, 7.5, 6.0, 9.5, 8.2]),
    ];
    run(dir.path(), &records);
    let figures = figure("bars", "kind = \"bar\"\nnull = \"none\"")
        + &figure("rates", "kind = \"bar\"\ny = \"success.psnr-20\"\nnull = \"all\"");
    let (summary, out) = paper(dir.path(), &figures);
    assert_eq!((summary.figures, summary.errors), (2, Vec::<String>::new()));
    let (bars, rates) = (rows(&out.join("data/bars.csv")), rows(&out.join("data/rates.csv")));
    for (at, record) in records.iter().enumerate() {
        let cell = CellSummary::from_record(record, &Metrics::from_run(&info("")));
        let own = &cell.metrics["psnr"];
        assert_eq!(number(&bars[at], "value"), own.mean.unwrap());
        let ci = own.ci.unwrap();
        assert_eq!((number(&bars[at], "low"), number(&bars[at], "high")), (ci.low, ci.high));
        assert_eq!(number(&bars[at], "n") as usize, own.n);
        assert_eq!(number(&bars[at], "capped") as usize, own.capped);
        let rate = &cell.success["PSNR ≥ 20 dB"];
        assert_eq!(
            (number(&rates[at], "value"), number(&rates[at], "low")),
            (rate.rate, rate.ci.unwrap().low)
        );
        assert_eq!(number(&rates[at], "successes") as usize, rate.successes);
    }
    assert!(said(&out, "bars").contains("1 value above the metric's cap"));
    // Every null baseline has no image of 20 dB; cells of nine and of eight images have baselines
    // of their own.
    assert_eq!(rates.len(), 2 + 2 * 4);
    let of_null = |name: &str| name.starts_with("null: ") || name == "oracle: nearest";
    assert!(rates[2..].iter().all(|r| of_null(&r["series"]) && number(r, "value") == 0.0));
}

#[test]
fn seeds_are_pooled_and_images_resampled_as_clusters() {
    let dir = tempfile::tempdir().unwrap();
    // The same eight images under two seeds, and an undefended cell of other values.
    let cells = [(Some(1.0), 0), (Some(1.0), 1), (Some(1000.0), 0), (Some(1000.0), 1), (None, 0)];
    let records: Vec<CellRecord> = cells
        .iter()
        .map(|(epsilon, seed)| {
            let base = epsilon.map_or(30.0, |e: f64| 10.0 + e.log10());
            let psnrs: Vec<f64> = (0..8).map(|i| base + f64::from(i) + *seed as f64).collect();
            from_spec(noised("a", *epsilon, *seed), &psnrs)
        })
        .collect();
    run(dir.path(), &records);
    let (summary, out) = paper(
        dir.path(),
        &figure(
            "eps",
            "kind = \"metric-vs-parameter\"\nx = \"defenses.epsilon\"\ny = \"psnr\"\ncolour = \
             \"attack.name\"",
        ),
    );
    assert_eq!(summary.errors, Vec::<String>::new());
    let data = rows(&out.join("data/eps.csv"));
    let x: Vec<&str> = data.iter().map(|r| r["x"].as_str()).collect();
    assert_eq!(x, ["1", "1000", ""]);
    assert_eq!((number(&data[0], "value"), number(&data[0], "n")), (14.0, 16.0));
    assert_eq!((number(&data[0], "units"), data[0]["values"].as_str()), (8.0, ""));
    assert_eq!(number(&data[1], "value"), 17.0);
    assert_eq!((data[2]["what"].as_str(), number(&data[2], "value")), ("undefended", 33.5));
    let remark = said(&out, "eps");
    assert!(
        remark.contains("pools up to 2 cells, which differ in seed; intervals resample units"),
        "{remark}"
    );
    assert_eq!(made(&out, "eps")["cells"].as_array().unwrap().len(), 5);
}

#[test]
fn lost_images_are_failures_and_never_vanish() {
    let dir = tempfile::tempdir().unwrap();
    let mut broken = from_spec(noised("b", None, 0), &[]);
    broken.outcome = Outcome::Failed { stage: "attack".into(), message: "out of memory".into() };
    broken.baselines.clear();
    let mut early = from_spec(noised("c", None, 0), &[]);
    early.outcome = Outcome::Failed { stage: "capture".into(), message: "no data".into() };
    let mut never = from_spec(noised("d", None, 0), &[]);
    never.outcome = Outcome::NotApplicable { why: "needs labels".into() };
    let mut part = from_spec(noised("a", None, 0), &[25.0, 30.0, 10.0, 28.0]);
    part.images[3].flags.push(suites::FlagKind::NonFinite.into());
    run(dir.path(), &[part, broken, early, never]);
    let figures = figure(
        "budget",
        "kind = \"success-vs-budget\"\nthreshold = 20.0\ncolour = \"attack\"",
    ) + &figure(
        "roc",
        "kind = \"roc\"\nnull = \"nearest\"\ncolour = \"attack\"\nfilter = { attack = \"a\" }",
    ) + &figure("bars", "kind = \"bar\"")
        + &figure("rates", "kind = \"bar\"\ny = \"success.psnr-20\"\nnull = \"none\"");
    let (summary, out) = paper(dir.path(), &figures);
    assert_eq!(summary.errors, Vec::<String>::new());
    let data = rows(&out.join("data/budget.csv"));
    let of = |name: &str| data.iter().find(|r| r["series"] == name).unwrap();
    // Of a's four one diverged; all four of b were lost.
    assert_eq!(
        (number(of("a"), "successes"), number(of("a"), "n"), number(of("a"), "failed")),
        (2.0, 4.0, 1.0)
    );
    // What b had cost is not known, so that it has no place along the budget; its lost images are
    // in the rates below.
    assert!(data.iter().all(|r| r["series"] != "b"));
    let rates = rows(&out.join("data/rates.csv"));
    let b = rates.iter().find(|r| r.values().any(|v| v == "b")).unwrap();
    assert_eq!((number(b, "value"), number(b, "n")), (0.0, 4.0));
    // Four images have no interval.
    assert_eq!((of("a")["low"].as_str(), of("a")["high"].as_str()), ("", ""));
    let remarks = said(&out, "budget");
    for told in [
        "1 cell not applicable",
        "1 cell left out that failed before the attack began",
        "1 image of failed or diverged",
        "1 cell left out: no gradient evaluations",
    ] {
        assert!(remarks.contains(told), "{told}: {remarks}");
    }
    assert!(
        said(&out, "bars")
            .contains("4 images without a usable value (failed attacks among them) are in no mean")
    );
    // Null at 13 dB: two images above all of them, one below, one lost: 2 / 4 of the area.
    let roc = rows(&out.join("data/roc.csv"));
    assert_eq!((number(&roc[0], "auc"), number(&roc[0], "positives")), (0.5, 4.0));
}

#[test]
fn one_bad_figure_leaves_the_others() {
    let dir = tempfile::tempdir().unwrap();
    run(
        dir.path(),
        &(0..9)
            .map(|s| record(&format!("attack-{s}"), 0, &[10.0 + s as f64, 11.0]))
            .collect::<Vec<_>>(),
    );
    let bad = [
        ("column", "kind = \"bar\"\ny = \"pnsr\"", "unknown column `pnsr` (did you mean `psnr`?)"),
        ("setting", "kind = \"bar\"\ny = \"seed\"", "seed: is a setting and not measured"),
        (
            "nothing",
            "kind = \"bar\"\nfilter = { source = \"gradients\", attack.name = \"atack-3\" }",
            "filter.attack.name: none of the 9 cells left has \"atack-3\" (did you mean \
             `attack-3`?); the values there are: attack-0, attack-1",
        ),
        (
            "many",
            "kind = \"scatter\"\nx = \"psnr\"\ny = \"ssim\"\ncolour = \"attack\"",
            "`attack` has 9 values here, more than the 7 series",
        ),
        ("kind", "kind = \"pie\"", "unknown kind of figure `pie`"),
        (
            "unmeasured",
            "kind = \"bar\"\ny = \"lpips-squeeze\"",
            "nothing that this figure shows was measured in its 9 cells",
        ),
        (
            "null",
            "kind = \"bar\"\nnull = \"gray\"",
            "unknown null baseline `gray` (did you mean `grey`?)",
        ),
        ("file", "kind = \"roc\"\nfrom = \"roc.csv\"", "roc.csv: cannot be read"),
    ];
    let mut text: String = bad.iter().map(|(name, rest, _)| figure(name, rest)).collect();
    text += &figure("good", "kind = \"bar\"");
    let (summary, out) = paper(dir.path(), &text);
    assert_eq!((summary.figures, summary.errors.len()), (1, bad.len()), "{:#?}", summary.errors);
    for ((name, _, wanted), error) in bad.iter().zip(&summary.errors) {
        assert!(
            error.contains(wanted) && error.contains("figures.toml:") && !error.contains('\n'),
            "{name}: {error}"
        );
        assert_eq!(made(&out, name)["error"].as_str().unwrap(), error);
    }
    for ending in ["pdf", "svg", "png"] {
        assert!(out.join(format!("figures/good.{ending}")).metadata().unwrap().len() > 500);
    }
}

/// Every file below a folder with its bytes.
fn tree(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path)
            } else {
                out.insert(path.strip_prefix(dir).unwrap().into(), std::fs::read(&path).unwrap());
            }
        }
    }
    out
}

const ALL_KINDS: &str = r#"
[[figure]]
name = "bars"
kind = "bar"
x = "defenses"
colour = "attack"
filter = { "federation.clients.total" = 1 }
[[figure]]
name = "box"
kind = "box"
x = "attack"
[[figure]]
name = "scatter"
kind = "scatter"
x = "psnr"
y = "lpips-squeeze"
colour = "attack.name"
[[figure]]
name = "cells"
kind = "scatter"
x = "measured.noise_to_signal"
y = "psnr"
per = "cell"
[[figure]]
name = "frontier"
kind = "frontier"
colour = "defenses.name"
[[figure]]
name = "heat"
kind = "heat-map"
[[figure]]
name = "roc"
kind = "roc"
colour = "attack.name"
[[figure]]
name = "epsilon"
kind = "metric-vs-parameter"
x = "defenses.epsilon"
y = "psnr"
colour = "attack.name"
columns = "federation.clients.total"
[[figure]]
name = "budget"
kind = "success-vs-budget"
colour = "attack.name"
[[figure]]
name = "learning"
kind = "learning-curve"
[[figure]]
name = "grid"
kind = "grid"
rows = "defenses"
filter = { attack.name = "fl-attack" }
[[figure]]
name = "across"
kind = "grid"
rows = "defenses"
transpose = true
images = 3
filter = { attack.name = "feature-inversion", "federation.clients.total" = 1 }
[[figure]]
name = "montage"
kind = "montage"
top = 10
width = "page"
[[table]]
name = "clients"
rows = ["attack", "client"]
columns = ["psnr", "success.psnr-20"]
spread = "sd"
summary = true
bold = "best"
filter = { "federation.clients.total" = 5 }
"#;

#[test]
fn the_same_records_give_the_same_bytes() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    dirs.iter().for_each(|d| gallery::write(d.path()));
    // The second folder holds its records in another order.
    let cells = dirs[1].path().join("cells.jsonl");
    let text = std::fs::read_to_string(&cells).unwrap();
    let shuffled: Vec<&str> = text.lines().rev().collect();
    std::fs::write(&cells, shuffled.join("\n") + "\n").unwrap();
    for figures in [None, Some(ALL_KINDS)] {
        let written = dirs.iter().map(|dir| {
            let summary = match figures {
                Some(text) => paper(dir.path(), text).0,
                None => {
                    write_paper(dir.path(), &dir.path().join("out"), StyleName::Ieee, None).unwrap()
                }
            };
            assert_eq!(summary.errors, Vec::<String>::new());
            assert_eq!(
                summary.remarks,
                ["1 of 19 cells have no record yet; this is of the others"]
            );
            let tree = tree(&dir.path().join("out"));
            assert!(summary.files.iter().all(|f| tree.contains_key(f)));
            std::fs::remove_dir_all(dir.path().join("out")).unwrap();
            tree
        });
        let trees: Vec<_> = written.collect();
        assert!(trees[0].len() > 25);
        for ((path, a), (other, b)) in trees[0].iter().zip(&trees[1]) {
            assert!(path == other && a == b, "{}", path.display());
        }
        assert_eq!(trees[0].len(), trees[1].len());
        hashes(&trees[0]);
        if figures.is_some() {
            numbers(&trees[0]);
        }
    }
}

/// The manifest has the hash of every other file.
fn hashes(tree: &BTreeMap<PathBuf, Vec<u8>>) {
    let manifest: serde_json::Value =
        serde_json::from_slice(&tree[Path::new("manifest.json")]).unwrap();
    let files = manifest["files"].as_array().unwrap();
    assert_eq!(files.len() + 1, tree.len());
    for file in files {
        let bytes = &tree[Path::new(file["path"].as_str().unwrap())];
        assert_eq!(file["bytes"], bytes.len());
        assert_eq!(file["blake3"], blake3::hash(bytes).to_hex().as_str());
    }
}

/// A few of the numbers, taken from the records by other means.
fn numbers(tree: &BTreeMap<PathBuf, Vec<u8>>) {
    let text = |name: &str| String::from_utf8(tree[Path::new(name)].clone()).unwrap();
    let montage = text("data/montage.csv");
    let scores: Vec<f64> =
        montage.lines().skip(1).map(|l| l.rsplit(',').nth(2).unwrap().parse().unwrap()).collect();
    assert!(
        scores.len() == 10 && scores.windows(2).all(|w| w[0] >= w[1]) && scores[0] == f64::INFINITY
    );
    // One picture of the gallery was deleted; nothing else is blank.
    let clients = text("tables/clients.tex");
    assert!(
        clients.contains("\\toprule")
            && clients.contains("\\caption{clients}")
            && clients.contains("\\label{tab:clients}")
    );
    assert_eq!(clients.matches("\\textbf{").count(), 2 + 1, "{clients}");
    assert!(clients.contains(" & mean & ") && clients.contains(" & sd & "), "{clients}");
    assert!(text("figures.tex").contains("\\includegraphics{figures/montage.pdf}"));
    let paragraph = text("reproducibility.md");
    for fact in [
        "bench 0.1.0",
        "libtorch 2.11.0 (cpu)",
        "seed 0",
        "16 are done, 1 failed, 1 are not applicable and 1 have no record",
        "`bench suite demo`",
    ] {
        assert!(paragraph.contains(fact), "{fact}: {paragraph}");
    }
    let hours = 18.0 * 12.5 / 3600.0;
    assert!(paragraph.contains(&format!("took {hours:.2} hours")));
}

#[test]
fn trainings_and_verifications_are_read_from_their_files() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &[record("a", 0, &[10.0, 20.0])]);
    for (name, ceiling) in [("plain", 0.95), ("private", 0.8)] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        common::trainings::write(
            &dir.path().join(name),
            &common::trainings::rounds(ceiling, name == "private"),
        );
    }
    std::fs::write(
        dir.path().join("roc.csv"),
        "threshold,far,tar\ninf,0,0\n0.5,0,0.5\n0.2,0.5,1\n-1,1,1\n",
    )
    .unwrap();
    let figures = figure(
        "accuracy",
        "kind = \"learning-curve\"\nfrom = [\"plain\", \"private\"]\ny = \"accuracy\"",
    ) + &figure("roc", "kind = \"roc\"\nfrom = \"roc.csv\"")
        + &figure("wrong", "kind = \"learning-curve\"\nfrom = \"plain\"\ny = \"acuracy\"");
    let (summary, out) = paper(dir.path(), &figures);
    assert_eq!(summary.errors.len(), 1);
    assert!(summary.errors[0].contains("did you mean `accuracy`"), "{}", summary.errors[0]);
    let curve = rows(&out.join("data/accuracy.csv"));
    // Twelve rounds and the start, every second one evaluated.
    assert_eq!(curve.len(), 2 * 7);
    assert!((number(&curve[0], "value") - 0.1).abs() < 1e-12 && curve[7]["series"] == "private");
    let roc = rows(&out.join("data/roc.csv"));
    assert_eq!(number(&roc[0], "auc"), 0.875);
}

#[test]
fn a_run_still_being_written_has_its_paper() {
    let dir = tempfile::tempdir().unwrap();
    let records = [record("a", 0, &[10.0, 20.0]), record("b", 0, &[12.0, 14.0])];
    run(dir.path(), &records);
    let cells = dir.path().join("cells.jsonl");
    let text = std::fs::read_to_string(&cells).unwrap();
    std::fs::write(&cells, &text[..text.len() - 40]).unwrap();
    let (summary, out) =
        paper(dir.path(), &figure("bars", "kind = \"bar\"\ncaption = \"100 % of a_b & c\""));
    assert_eq!(summary.remarks.len(), 2);
    assert!(
        summary.remarks[0].contains("1 of 2 cells have no record yet")
            && summary.remarks[1].contains("torn")
    );
    // The bar, the floor and the oracle.
    assert_eq!(rows(&out.join("data/bars.csv")).len(), 1 + 2);
    assert!(
        std::fs::read_to_string(out.join("figures.tex"))
            .unwrap()
            .contains("\\caption{100 \\% of a\\_b \\& c}")
    );
    std::fs::write(&cells, "").unwrap();
    let (summary, _) = paper(dir.path(), &figure("bars", "kind = \"bar\""));
    assert!(summary.errors[0].contains("no finished cell yet"), "{:?}", summary.errors);
    let nothing = write_paper(dir.path(), &dir.path().join("none"), StyleName::Acm, None).unwrap();
    assert!(nothing.files.iter().any(|f| f.ends_with("manifest.json")));
    let text = "figure = 3";
    std::fs::write(dir.path().join("figures.toml"), text).unwrap();
    let error =
        write_paper(dir.path(), &out, StyleName::Acm, Some(&dir.path().join("figures.toml")))
            .unwrap_err();
    assert!(error.to_string().contains("figures.toml:1: figure: must be tables"), "{error}");
    let (summary, _) = paper(dir.path(), "");
    assert!(summary.errors[0].contains("declares no [[figure]]"));
}

/// A cell whose task was trained under its defense and tested with 100 examples.
fn trained(mut spec: CellSpec, psnrs: &[f64], accuracy: f64) -> CellRecord {
    spec.federation = FederationSpec {
        rounds: 10,
        clients: ClientsSpec { total: 1, ..ClientsSpec::default() },
        local: LocalSpec { batch_size: 1, ..LocalSpec::default() },
        ..FederationSpec::new(Regime::Federated)
    };
    let mut record = from_spec(spec, psnrs);
    let task = [("trained_rounds", 8.0), ("trained_accuracy", accuracy), ("test_examples", 100.0)];
    record.task.extend(task.map(|(key, value)| (key.to_owned(), value)));
    record
}

/// As whoever sees the released sum alone.
fn of_sum(mut spec: CellSpec) -> CellSpec {
    (spec.source, spec.vantage) = (Source::AggUpdate, Vantage::Aggregate);
    spec
}

/// The same round, watched by another.
fn on_the_wire(mut spec: CellSpec) -> CellSpec {
    spec.vantage = Vantage::Eavesdropper;
    spec
}

fn ends(row: &BTreeMap<String, String>) -> (f64, f64) {
    (number(row, "low"), number(row, "high"))
}

fn wilson(successes: usize, tries: usize) -> (f64, f64) {
    let ci = stats::wilson(successes, tries).unwrap().ci.unwrap();
    (ci.low, ci.high)
}

#[test]
fn a_frontier_has_the_worst_of_its_adversaries_and_no_mean() {
    let dir = tempfile::tempdir().unwrap();
    let noisy = Some(10.0);
    let records = [
        trained(noised("a", None, 0), &[34.0, 36.0, 38.0, 40.0], 0.9),
        trained(of_sum(noised("a", None, 0)), &[14.0, 15.0, 16.0, 17.0], 0.9),
        trained(noised("a", noisy, 0), &[30.0, 32.0, 28.0, 30.0], 0.8),
        trained(noised("b", noisy, 0), &[20.0, 21.0, 22.0, 23.0], 0.8),
        trained(of_sum(noised("a", noisy, 0)), &[10.0, 11.0, 9.0, 10.0], 0.8),
        // Another seed is no other adversary.
        trained(noised("a", noisy, 1), &[31.0, 33.0, 29.0, 31.0], 0.7),
    ];
    run(dir.path(), &records);
    let (summary, out) = paper(dir.path(), &figure("front", "kind = \"frontier\""));
    assert_eq!(summary.errors, Vec::<String>::new());
    let data = rows(&out.join("data/front.csv"));
    assert_eq!(data.len(), 2);
    let point = data.iter().find(|r| r["defense"] != "no defense").unwrap();
    assert_eq!((number(point, "x"), point["strongest attack"].as_str()), (30.5, "a"));
    assert!(point["adversary"].contains("gradients"), "{point:?}");
    assert!((number(point, "y") - 0.75).abs() < 1e-12);
    // Two trainings have no interval, and that of one of them is not theirs.
    assert_eq!((point["y_low"].as_str(), point["y_values"].as_str()), ("", "0.7 0.8"));
    let remarks = said(&out, "front");
    for told in [
        "worst case over adversaries or settings that differ in source, vantage, no mean over them",
        "pools up to 2 cells, which differ in seed",
        "a mean accuracy of 2 to 7 trainings",
        "mean of up to 2, which differ in seed",
    ] {
        assert!(remarks.contains(told), "{told}: {remarks}");
    }
}

#[test]
fn crashed_attacks_are_no_privacy() {
    let dir = tempfile::tempdir().unwrap();
    let crash = |spec: CellSpec| {
        let mut record = trained(spec, &[], 0.8);
        record.outcome =
            Outcome::Failed { stage: "attack".into(), message: "out of memory".into() };
        record
    };
    let records = [
        trained(noised("a", None, 0), &[34.0, 36.0, 18.0, 40.0], 0.9),
        crash(noised("b", None, 0)),
        crash(noised("a", Some(10.0), 0)),
        crash(noised("b", Some(10.0), 0)),
    ];
    run(dir.path(), &records);
    let figures = figure("front", "kind = \"frontier\"\nx = \"success.psnr-20\"");
    let (summary, out) = paper(dir.path(), &figures);
    assert_eq!(summary.errors, Vec::<String>::new());
    let data = rows(&out.join("data/front.csv"));
    let places: Vec<&str> = data.iter().map(|r| r["x"].as_str()).collect();
    assert_eq!(places, ["0.75", ""]);
    assert_eq!((data[0]["optimal"].as_str(), data[1]["optimal"].as_str()), ("too few", ""));
    let remarks = said(&out, "front");
    for told in ["b on no defense has no image with a score", ": no attack on it was scored"] {
        assert!(remarks.contains(told), "{told}: {remarks}");
    }
    assert!(!remarks.contains("count as tries"), "{remarks}");
    assert_eq!(made(&out, "front")["cells"].as_array().unwrap().len(), 4);
}

#[test]
fn a_training_counts_once_whoever_watches_it() {
    let dir = tempfile::tempdir().unwrap();
    let psnrs = [20.0, 21.0, 22.0, 23.0];
    let mut records = Vec::new();
    for attack in ["a", "b"] {
        records.push(trained(noised(attack, None, 0), &psnrs, 0.9));
        records.push(trained(on_the_wire(noised(attack, None, 0)), &psnrs, 0.9));
        for seed in 0..8 {
            let accuracy = [0.3, 0.9, 0.5, 0.7, 0.6, 0.55, 0.65, 0.6][seed as usize];
            records.push(trained(noised(attack, Some(1.0), seed), &psnrs, accuracy));
            records
                .extend((seed < 5).then(|| trained(noised(attack, Some(2.0), seed), &psnrs, 0.6)));
        }
    }
    run(dir.path(), &records);
    let figures =
        figure("worth", "kind = \"bar\"\nx = \"defenses\"\ny = \"task.trained_accuracy\"")
            + &figure("fresh", "kind = \"bar\"\nx = \"task.dataset\"\ny = \"task.accuracy\"")
            + &figure("sent", "kind = \"bar\"\nx = \"task.dataset\"\ny = \"cost.bytes_up\"")
            + &figure("boxes", "kind = \"box\"\nx = \"defenses\"\ny = \"task.trained_accuracy\"");
    let (summary, out) = paper(dir.path(), &figures);
    assert_eq!(summary.errors, Vec::<String>::new());
    let data = rows(&out.join("data/worth.csv"));
    let n: Vec<f64> = data.iter().map(|r| number(r, "n")).collect();
    assert_eq!(n, [1.0, 8.0, 5.0]);
    // One training, and five that came out alike: too few to say how much trainings differ.
    assert_eq!((ends(&data[0]), data[2]["low"].as_str()), (wilson(90, 100), ""));
    assert_eq!(data[2]["values"], "0.6 0.6 0.6 0.6 0.6");
    let (low, high) = ends(&data[1]);
    let tested = wilson(60, 100);
    assert!(low < tested.0 && high > tested.1 && low > 0.3 && high < 0.9, "{low} {high}");
    let remarks = said(&out, "worth");
    assert!(remarks.contains("an accuracy of one training has its Wilson interval"), "{remarks}");
    assert!(remarks.contains("8 trainings or more has a bootstrap interval"), "{remarks}");
    // Fresh weights are those of their seed, behind any defense.
    assert_eq!(number(&rows(&out.join("data/fresh.csv"))[0], "n"), 8.0);
    assert!(said(&out, "fresh").contains("mean of up to 8, which differ in"));
    // Bytes are a matter of the round, whoever watches it.
    let remarks = said(&out, "sent");
    assert!(remarks.contains("mean of up to 14, which differ in defenses, seed"), "{remarks}");
    let boxes = rows(&out.join("data/boxes.csv"));
    assert_eq!(boxes.iter().filter(|r| !r["cell"].is_empty()).count(), 1 + 8 + 5);
}

#[test]
fn an_image_tried_again_is_no_other_image() {
    let dir = tempfile::tempdir().unwrap();
    // Six of eight images fall in each of five cells, the other two in the last as well.
    let records: Vec<CellRecord> = (0..5)
        .map(|seed| {
            from_spec(
                noised("a", None, seed),
                &[[30.0; 6].as_slice(), &[if seed == 4 { 30.0 } else { 9.0 }; 2]].concat(),
            )
        })
        .chain([from_spec(noised("b", None, 0), &[[30.0; 6].as_slice(), &[9.0; 2]].concat())])
        .collect();
    run(dir.path(), &records);
    let (_, out) = paper(dir.path(), &figure("rates", "kind = \"bar\"\ny = \"success.psnr-20\""));
    let data = rows(&out.join("data/rates.csv"));
    assert_eq!((number(&data[0], "value"), number(&data[0], "n")), (0.8, 40.0));
    // 6.4 of eight images: between the intervals of 6 and of 7.
    assert_eq!(ends(&data[0]), (wilson(6, 8).0, wilson(7, 8).1));
    assert_eq!(ends(&data[1]), wilson(6, 8));
    let remarks = said(&out, "rates");
    assert!(remarks.contains("differ in seed; intervals take every unit"), "{remarks}");
    assert!(remarks.contains("tried more than once, count once"), "{remarks}");
}

#[test]
fn diverged_images_in_a_mean_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut record = from_spec(noised("a", None, 0), &[25.0, 30.0, 10.0, 9.0]);
    record.images[2].flags.push(suites::FlagKind::NonFinite.into());
    record.images[3].flags.push(suites::FlagKind::NonFinite.into());
    run(dir.path(), &[record, from_spec(noised("b", None, 0), &[9.0; 4])]);
    let figures = figure("bars", "kind = \"bar\"")
        + &figure("boxes", "kind = \"box\"")
        + &figure("cloud", "kind = \"scatter\"\nx = \"psnr\"\ny = \"ssim\"")
        + &figure("rates", "kind = \"bar\"\ny = \"success.psnr-20\"")
        + "[[table]]\nname = \"table\"\nrows = [\"attack\"]\ncolumns = [\"psnr\"]\n";
    let (_, out) = paper(dir.path(), &figures);
    for name in ["bars", "boxes", "cloud", "table"] {
        let remarks = said(&out, name);
        assert!(remarks.contains("2 diverged images enter as grey"), "{name}: {remarks}");
    }
    assert!(!said(&out, "rates").contains("grey"));
}
