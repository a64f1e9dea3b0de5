//! Every kind of figure and table, and files that are read and written with them.

use crate::cells::number;
use crate::common::papers::{figure, made, paper, rows, run};
use crate::common::{gallery, trainings};
use record::testing::record;
use reports::{StyleName, write_paper};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
        trainings::write(&dir.path().join(name), &trainings::rounds(ceiling, name == "private"));
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
