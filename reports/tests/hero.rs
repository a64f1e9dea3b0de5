//! The hero figure: which rows it has, whose pictures they show, and what stands in their place.

mod common;

use common::papers::{self, figure, made, paper, rows};
use image::{Rgb, RgbImage};
use record::testing::{from_spec, record};
use record::{CellRecord, Outcome};
use reports::write_report;
use std::path::Path;
use suites::{Named, Vantage};

/// A cell of `attack` on a defense that names pictures of the run folder.
fn cell(attack: &str, defense: Option<Named>, psnrs: &[f64]) -> CellRecord {
    let mut spec = record(attack, 0, psnrs).spec;
    spec.defenses = defense.into_iter().collect();
    pictured(from_spec(spec, psnrs))
}

fn pictured(mut record: CellRecord) -> CellRecord {
    for (at, image) in record.images.iter_mut().enumerate() {
        let path = |kind: &str| Some(format!("artifacts/{}/{at}-{kind}.png", record.id));
        (image.truth_png, image.guess_png) = (path("truth"), path("guess"));
    }
    record
}

/// A run folder with these records and the pictures that they name.
fn run(dir: &Path, records: &[CellRecord]) {
    papers::run(dir, records);
    for image in records.iter().flat_map(|r| &r.images) {
        for path in [&image.truth_png, &image.guess_png].into_iter().flatten() {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            RgbImage::from_pixel(8, 8, Rgb([20 * image.id as u8; 3])).save(path).unwrap();
        }
    }
}

fn prune(fraction: f64) -> Option<Named> {
    Some(Named::new("prune").with("fraction", fraction))
}

/// Two attacks without a defense and on pruning, and SecAgg, which leaves nothing to attack.
fn cells() -> Vec<CellRecord> {
    let mut named = cell("idlg", None, &[30.0, 32.0, 34.0]);
    named.images.iter_mut().enumerate().for_each(|(at, image)| {
        image.scores.insert("identified-top1".into(), Some(f64::from(u8::from(at > 0))));
        image.scores.insert("lpips-alex".into(), Some(0.25));
    });
    named.candidates = Some(50);
    let mut hidden = cell("dlg", Some(Named::new("secagg")), &[]);
    hidden.outcome = Outcome::NotApplicable { why: "the server sees only masked sums".into() };
    hidden.baselines.clear();
    hidden.task.clear();
    vec![
        hidden,
        cell("dlg", prune(0.9), &[8.0, 9.0, 10.0]),
        cell("idlg", prune(0.9), &[7.0, 7.5, 8.0]),
        cell("dlg", None, &[20.0, 21.0, 40.0]),
        named,
    ]
}

const HERO: &str = "kind = \"hero\"";

#[test]
fn each_defense_has_a_row_by_its_strongest_attack() {
    let dir = tempfile::tempdir().unwrap();
    let records = cells();
    run(dir.path(), &records);
    std::fs::remove_file(dir.path().join(records[1].images[2].guess_png.as_ref().unwrap()))
        .unwrap();
    let (summary, out) = paper(dir.path(), &figure("hero", HERO));
    assert_eq!(summary.errors, Vec::<String>::new());
    let rows = rows(&out.join("data/hero.csv"));
    let of = |name: &str| rows.iter().filter(|r| r["row"].starts_with(name)).collect::<Vec<_>>();
    let order: Vec<&str> = rows.iter().map(|r| r["row"].as_str()).collect();
    assert_eq!(rows.len(), 3 + 3 + 1);
    assert!(order[0].starts_with("No defense") && order[3].starts_with("SecAgg"), "{order:?}");
    let free = of("No defense");
    let told = ["attack", "mean_psnr", "mean_lpips", "identified", "of", "candidates", "accuracy"];
    assert_eq!(told.map(|c| free[0][c].as_str()), ["idlg", "32", "0.25", "2", "3", "50", "0.5"]);
    // The nearest picture of the split, at 13 dB, is an oracle and no floor.
    assert_eq!((free[0]["floor_psnr"].as_str(), free[2]["psnr"].as_str()), ("11.5", "34"));
    let pruned = of("Pruning");
    assert_eq!(
        (pruned[0]["attack"].as_str(), pruned[0]["claim"].as_str()),
        ("dlg", "no guarantee")
    );
    assert!(pruned[0]["picture"].ends_with("0-guess.png"), "{pruned:?}");
    assert_eq!(pruned[2]["picture"], "no file");
    assert_eq!(of("SecAgg")[0]["picture"], "Nothing to attack: the server sees only masked sums");
    let remarks = made(&out, "hero")["remarks"].to_string();
    assert!(remarks.contains("LPIPS is lpips-alex") && remarks.contains("missing: "), "{remarks}");
}

#[test]
fn images_and_filters_choose_what_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &cells());
    let two = format!("{HERO}\nimages = 2\nfilter = {{ defenses = [\"prune\", \"none\"] }}");
    let none = format!("{HERO}\nfilter = {{ defenses = \"secagg\" }}");
    let (summary, out) = paper(dir.path(), &(figure("two", &two) + &figure("none", &none)));
    assert_eq!(rows(&out.join("data/two.csv")).len(), 2 + 2);
    assert!(made(&out, "two")["remarks"].to_string().contains("2 of 3 images shown"));
    assert!(summary.errors[0].contains("nothing that this figure shows"), "{:?}", summary.errors);
}

#[test]
fn every_defense_has_a_row_before_any_has_two() {
    let dir = tempfile::tempdir().unwrap();
    let attack = |defense: Option<Named>, vantage: Vantage| {
        let mut spec = record("dlg", 0, &[20.0]).spec;
        (spec.defenses, spec.vantage) = (defense.into_iter().collect(), vantage);
        pictured(from_spec(spec, &[20.0]))
    };
    let wire = Vantage::Eavesdropper;
    let mut records = vec![attack(None, Vantage::Server), attack(None, wire)];
    let fractions: Vec<f64> = (1..=11).map(|n| f64::from(n) / 16.0).collect();
    records.extend(fractions.iter().map(|f| attack(prune(*f), Vantage::Server)));
    run(dir.path(), &records);
    let (_, out) = paper(dir.path(), &figure("hero", HERO));
    let rows = rows(&out.join("data/hero.csv"));
    assert_eq!(rows.len(), 12);
    let whole: Vec<&str> = rows.iter().map(|r| r["row"].as_str()).collect();
    assert_eq!(whole[0], "No defense (seen by the server)");
    // What differs from nothing else is not named.
    assert!(whole[1..].iter().all(|row| row.starts_with("Pruning") && !row.contains("seen")));
    assert!(made(&out, "hero")["remarks"].to_string().contains("12 of 13 rows shown"));
}

#[test]
fn a_run_with_pictures_and_defenses_begins_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let records = cells();
    run(dir.path(), &records);
    let first = |dir: &Path| {
        let text = std::fs::read_to_string(write_report(dir).unwrap()).unwrap();
        text.lines().find_map(|l| l.strip_prefix("![").map(str::to_owned)).unwrap_or_default()
    };
    assert!(first(dir.path()).starts_with("hero: 3 pictures"), "{}", first(dir.path()));
    let (plain, bare) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(plain.path(), &[cell("dlg", None, &[20.0])]);
    assert!(!first(plain.path()).starts_with("hero"), "one defense is no comparison");
    let unseen = |mut r: CellRecord| {
        r.images.iter_mut().for_each(|i| (i.truth_png, i.guess_png) = (None, None));
        r
    };
    run(bare.path(), &records.into_iter().map(unseen).collect::<Vec<_>>());
    assert!(!first(bare.path()).starts_with("hero"), "there is nothing to show");
}

#[test]
fn the_images_that_most_rows_have_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let free = cell("dlg", None, &[20.0, 21.0, 40.0]);
    let mut pruned = cell("dlg", prune(0.9), &[8.0, 9.0]);
    // The second and a fourth image of the split: only the second is in both rows.
    pruned.images.iter_mut().zip([1, 3]).for_each(|(image, id)| image.id = id);
    run(dir.path(), &[free.clone(), pruned.clone()]);
    let (_, out) = paper(dir.path(), &figure("hero", &format!("{HERO}\nimages = 1")));
    let rows = rows(&out.join("data/hero.csv"));
    let shown: Vec<(&str, &str)> =
        rows.iter().map(|r| (r["image"].as_str(), r["picture"].as_str())).collect();
    let file =
        |record: &CellRecord, place: usize| format!("artifacts/{}/{place}-guess.png", record.id);
    assert_eq!(shown, [("1", file(&free, 1).as_str()), ("1", file(&pruned, 0).as_str())]);
}

#[test]
fn of_several_seeds_the_first_reconstruction_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let seeded = |seed: u64, psnrs: &[f64]| {
        let mut spec = record("dlg", 0, psnrs).spec;
        spec.seed = seed;
        pictured(from_spec(spec, psnrs))
    };
    let (first, mut second) = (seeded(0, &[20.0, 21.0]), seeded(1, &[30.0, 31.0]));
    second.images[1].id = 2;
    run(dir.path(), &[first.clone(), second.clone()]);
    let (_, out) = paper(dir.path(), &figure("hero", HERO));
    let rows = rows(&out.join("data/hero.csv"));
    // The better one of another seed would be a choice by what it shows.
    let cells: Vec<&str> = rows.iter().map(|r| r["cell"].as_str()).collect();
    assert_eq!(cells, [first.id.as_str(), first.id.as_str(), second.id.as_str()]);
    assert_eq!((rows[0]["psnr"].as_str(), rows[0]["mean_psnr"].as_str()), ("20", "25.5"));
}

#[test]
fn the_row_of_a_defense_is_the_first_setting_that_was_attacked() {
    let dir = tempfile::tempdir().unwrap();
    let of_round = |round: usize, attacked: bool| {
        let mut spec = record("dlg", 0, &[8.0]).spec;
        (spec.defenses, spec.capture.round) = (prune(0.9).into_iter().collect(), round);
        let mut own = pictured(from_spec(spec, if attacked { &[9.0] } else { &[] }));
        if !attacked {
            own.outcome = Outcome::NotApplicable { why: "no".into() };
        }
        own
    };
    let (none, ten, twenty) = (of_round(0, false), of_round(10, true), of_round(20, true));
    run(dir.path(), &[cell("dlg", None, &[20.0]), none, ten.clone(), twenty]);
    let (_, out) = paper(dir.path(), &figure("hero", HERO));
    let rows = rows(&out.join("data/hero.csv"));
    assert_eq!((rows.len(), rows[1]["cell"].as_str()), (2, ten.id.as_str()));
    let told = "one setting of each defense, source and vantage is shown; the others differ in";
    assert!(made(&out, "hero")["remarks"].to_string().contains(told));
}
