//! A metric that this program has never heard of: what `run.json` says of it is all that tables,
//! figures, success shares and comparisons need. One that it does not describe is shown, and judges
//! nothing.

mod common;

use common::papers::{paper, run_as};
use compare::{Comparison, Effect, Judgement, Pairing, Side, Subject};
use record::testing::{info, record};
use record::{CellRecord, MetricInfo, RunInfo};
use reports::write_report;
use std::path::Path;
use suites::Gate;

const NAME: &str = "edge-offset";

/// Less is better, in pixels, a success at 2.5 or less.
fn offset() -> MetricInfo {
    MetricInfo {
        unit: "px".into(),
        decimals: 1,
        thresholds: vec![2.5],
        ..MetricInfo::lower(NAME, "edge offset")
    }
}

/// Two cells of four images each, whose edges lie `shift` pixels further off than those of others.
fn records(shift: f64) -> Vec<CellRecord> {
    let mut records = vec![record("near", 0, &[20.0; 8]), record("far", 0, &[20.0; 8])];
    for (cell, record) in records.iter_mut().enumerate() {
        for (at, image) in record.images.iter_mut().enumerate() {
            let value = 1.95 + 0.1 * at as f64 + 4.0 * cell as f64;
            image.scores.insert(NAME.into(), Some(value + shift));
        }
        for scores in record.baselines.values_mut().flatten() {
            scores.insert(NAME.into(), Some(9.0));
        }
    }
    records
}

/// A run whose `run.json` lists these metrics.
fn write(dir: &Path, metrics: Vec<MetricInfo>) {
    run_as(dir, &records(0.0), |info| info.metrics = metrics);
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// What is folded away under a heading.
fn section<'a>(markdown: &'a str, heading: &str) -> &'a str {
    let below = markdown.split(&format!("<summary>{heading}</summary>\n")).nth(1).unwrap();
    below.split("</details>").next().unwrap()
}

/// The texts of the report and of its files.
fn report(dir: &Path) -> [String; 4] {
    let path = write_report(dir).unwrap();
    let beside = |name: &str| read(&path.with_file_name(name));
    [read(&path), beside("report.html"), beside("cells.csv"), beside("summary.json")]
}

#[test]
fn the_report_follows_what_the_run_says() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), vec![offset(), MetricInfo::higher("psnr", "PSNR")]);
    let [markdown, html, cells, summary] = report(dir.path());
    assert!(markdown.contains("| edge offset (px) ↓ | PSNR ↑ |"), "{markdown}");
    assert!(html.contains("edge offset (px) ↓"));
    // Six of the eight images of `near` lie within 2.5 pixels, none of `far`.
    let success = section(&markdown, "Success rates");
    assert!(success.contains("| edge offset ≤ 2.5 px |") && !success.contains("dB"), "{success}");
    assert!(success.contains("75 % (6/8)") && success.contains("0 % (0/8)"), "{success}");
    assert!(cells.lines().next().unwrap().contains("edge offset ≤ 2.5 px low"));
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["metrics"][0], serde_json::to_value(offset()).unwrap());
    let bars = read(&dir.path().join("report/figures/bars-edge-offset.svg"));
    assert!(bars.contains("edge offset (px)"), "the axis has no title");
    assert!(markdown.contains("Mean edge offset with 95 % bootstrap intervals; less is a better"));
}

#[test]
fn a_papers_figures_follow_it_too() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), vec![offset()]);
    let figures = format!(
        "[[figure]]\nname = \"montage\"\nkind = \"montage\"\ny = \"{NAME}\"\n\
         [[figure]]\nname = \"bars\"\nkind = \"bar\"\ny = \"{NAME}\"\n\
         [[table]]\nname = \"table\"\nrows = [\"attack\"]\nbold = \"best\"\n\
         columns = [\"{NAME}\", \"success.{NAME}-2.5\"]\n"
    );
    let (summary, out) = paper(dir.path(), &figures);
    assert!(summary.errors.is_empty(), "{:?}", summary.errors);
    let bars = read(&out.join("figures/bars.svg"));
    assert!(bars.contains("edge offset (px)"), "the axis has no title");
    // The best come first, and the best is the least.
    let ranked = read(&out.join("data/montage.csv"));
    assert!(
        ranked.lines().nth(1).unwrap().contains("near") && ranked.contains(",1.95,"),
        "{ranked}"
    );
    let table = read(&out.join("tables/table.tex"));
    assert!(table.contains("edge offset (px)") && table.contains("\\textbf{2.3}"), "{table}");
    assert!(table.contains("edge offset $\\leq$ 2.5 px") && table.contains("0.75"), "{table}");
}

/// The records against others whose edges lie a pixel further off.
fn compared(base: Vec<MetricInfo>, new: Vec<MetricInfo>) -> Result<Comparison, String> {
    let side = |name: &str, metrics, shift| {
        Side::of_records(name, RunInfo { metrics, ..info("") }, records(shift)).unwrap()
    };
    let (base, new) = (side("base", base, 0.0), side("new", new, 1.0));
    compare::compare(&base, &new, &Gate::default(), Pairing::SameSeed).map_err(|e| e.to_string())
}

fn of_near<'a>(comparison: &'a Comparison, metric: &str) -> Option<&'a Effect> {
    let subject = Subject::Attack("near".into());
    comparison.effects.iter().find(|e| e.subject == subject && e.metric == metric)
}

#[test]
fn a_comparison_knows_which_way_is_weaker() {
    let pixels = |metric| MetricInfo { unit: "px".into(), ..metric };
    let less = compared(vec![offset()], vec![offset()]).unwrap();
    let effect = of_near(&less, "edge offset (px)").unwrap();
    assert_eq!((effect.points_to, effect.shown.contains("+1.0")), (Judgement::AttackWeaker, true));
    assert!(of_near(&less, "success edge offset ≤ 2.5 px").is_some_and(|e| e.change < 0.0));
    let more = || vec![pixels(MetricInfo::higher(NAME, "edge offset"))];
    let more_is_better = compared(more(), more()).unwrap();
    let effect = of_near(&more_is_better, "edge offset (px)").unwrap();
    assert_eq!(effect.points_to, Judgement::AttackStronger);
    let refused = compared(vec![offset()], more()).unwrap_err();
    assert!(refused.starts_with("base and new: of edge-offset less is better in"), "{refused}");
    let capped = MetricInfo { cap: Some(3.0), ..offset() };
    let told = compared(vec![offset()], vec![capped]).unwrap().notes;
    assert!(told.iter().any(|n| n.contains("cap edge-offset at none and at 3;")), "{told:?}");
}

#[test]
fn what_the_run_does_not_describe_judges_nothing() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), vec![MetricInfo::higher("psnr", "PSNR")]);
    let [markdown, html, cells, _] = report(dir.path());
    let quality = section(&markdown, "Reconstruction");
    assert!(quality.contains("| edge-offset |") && html.contains("edge-offset"), "{quality}");
    assert!(!markdown.contains("edge-offset ↑") && !markdown.contains("edge-offset ≥"));
    assert!(!cells.contains("edge-offset ≤"));
    let notes = section(&markdown, "Notes");
    assert!(notes.contains("whether more or less of") && notes.contains(NAME), "{notes}");
    let figures = format!(
        "[[figure]]\nname = \"montage\"\nkind = \"montage\"\ny = \"{NAME}\"\n\
         [[figure]]\nname = \"bars\"\nkind = \"bar\"\ny = \"{NAME}\"\n"
    );
    let (summary, out) = paper(dir.path(), &figures);
    assert_eq!((summary.figures, summary.errors.len()), (1, 1), "{:?}", summary.errors);
    assert!(summary.errors[0].contains("whether more or less of edge-offset is better"));
    assert!(!read(&out.join("data/bars.csv")).contains("null"), "no baseline is the strongest");
    // Without a word on the PSNR none of its values is the strongest.
    let other = tempfile::tempdir().unwrap();
    write(other.path(), vec![offset()]);
    let [markdown, html, ..] = report(other.path());
    assert!(markdown.contains("The run does not say when a PSNR is a success"), "{markdown}");
    for absent in ["Worst case over attacks", "What each defense leaves"] {
        assert!(!markdown.contains(absent), "{absent} is there");
    }
    assert!(!html.contains("Strongest attack, undefended"));
    let plain = compared(vec![], vec![]).unwrap();
    assert_eq!(of_near(&plain, "edge-offset").unwrap().points_to, Judgement::Described);
    assert!(plain.notes.iter().any(|n| n.contains("neither run says")), "{:?}", plain.notes);
}
