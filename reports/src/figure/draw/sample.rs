//! Charts of every kind with names as long and values as odd as they come.

use crate::figure::chart::*;
use std::path::Path;

pub(super) const ATTACKS: [&str; 5] = [
    "dlg",
    "inverting-gradients (tv_weight = 0.0001)",
    "gradinversion",
    "robbing-the-fed",
    "label-counts",
];
pub(super) const DEFENSES: [&str; 6] = [
    "none",
    "dp-gaussian (ε\u{a0}=\u{a0}1)",
    "prune (ratio\u{a0}=\u{a0}0.9)",
    "quantise (bits\u{a0}=\u{a0}4)",
    "secagg-plus",
    "precode",
];

fn scale(title: &str) -> Scale {
    Scale { title: title.into(), ..Scale::default() }
}

fn rates(title: &str) -> Scale {
    Scale { range: Some((0.0, 1.0)), ..scale(title) }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

fn mark(x: f64, y: f64, half: f64) -> Mark {
    Mark { y_interval: Some((y - half, y + half)), ..Mark::at(x, y) }
}

fn series(name: &str, marks: Vec<Mark>) -> Series {
    Series::new(name, marks)
}

fn reference(name: &str, level: Level) -> Reference {
    Reference { name: name.into(), level }
}

fn one<T>(plot: T) -> Vec<Facet<T>> {
    vec![Facet { title: String::new(), plot }]
}

/// A metric against a parameter on a logarithmic scale that has to show 0.
fn sweep() -> Body {
    let curve = |at: usize| {
        let y = |i: usize| 8.0 + 3.1 * at as f64 + 2.2 * i as f64 - 0.3 * (i * i) as f64;
        let xs = [0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1];
        let marks = xs.iter().enumerate().map(|(i, x)| mark(*x, y(i), 0.8)).collect();
        Series { level: (at == 0).then_some(21.0), ..series(ATTACKS[at], marks) }
    };
    Body::Lines(one(Lines {
        x: Scale { log: true, ..scale("standard deviation of the noise") },
        y: scale("PSNR (dB)"),
        series: (0..4).map(curve).collect(),
        rules: vec![Rule { name: "floor: mean".into(), at: vec![9.5], upright: false }],
        joined: true,
        ..Lines::default()
    }))
}

/// A learning curve of many rounds with bands, in facets that share their sides.
fn learning() -> Body {
    let curve = |name: &str, fast: f64| {
        let y = |t: f64| 0.93 * (1.0 - (-t / fast).exp()) + 0.05;
        let marks = (1..=50).map(f64::from).map(|t| mark(t, y(t), 0.03)).collect();
        series(name, marks)
    };
    let lines = |slow: f64| Lines {
        x: scale("round"),
        y: rates("test accuracy"),
        series: vec![
            curve("none", 6.0),
            curve("dp-gaussian (ε = 1)", 15.0 * slow),
            curve("prune (ratio = 0.9)", 9.0),
        ],
        joined: true,
        ..Lines::default()
    };
    let facet = |title: &str, slow| Facet { title: title.into(), plot: lines(slow) };
    Body::Lines(vec![facet("mnist", 1.0), facet("cifar10, Dirichlet split α = 0.1", 2.2)])
}

/// ROC curves.
fn roc() -> Body {
    let curve = |name: &str, power: f64| {
        let point = |i: u32| {
            let x = f64::from(i) / 24.0;
            Mark::at(x, (x.powf(power) * 24.0).floor() / 24.0)
        };
        Series { steps: true, ..series(name, (0..=24).map(point).collect()) }
    };
    Body::Lines(one(Lines {
        x: rates("false positive rate"),
        y: rates("true positive rate"),
        series: vec![
            curve("loss threshold", 0.4),
            curve("gradient norm", 0.6),
            curve("shadow models", 0.25),
        ],
        diagonal: true,
        joined: true,
        ..Lines::default()
    }))
}

/// A scale of words.
fn words() -> Body {
    let x = Scale {
        words: strings(&["1 local step", "2 local steps", "5 local steps"]),
        ..scale("client's training")
    };
    let marks =
        |up: f64| (0..3).map(|i| mark(f64::from(i), up - 3.0 * f64::from(i), 1.0)).collect();
    let series = vec![series("dlg", marks(20.0)), series("gradinversion", marks(24.0))];
    Body::Lines(one(Lines { x, y: scale("PSNR (dB)"), series, ..Lines::default() }))
}

fn bars(categories: &[&str], names: &[&str]) -> Bars {
    let height = |at: usize, s: usize| {
        let value = 24.0 - 2.3 * at as f64 - 3.0 * s as f64;
        let interval = Some((value - 1.3, value + 1.1));
        (at * 5 + s != 7).then_some(Height { value, interval, values: Vec::new() })
    };
    let one = |(s, name): (usize, &&str)| BarSeries {
        name: (*name).into(),
        values: (0..categories.len()).map(|at| height(at, s)).collect(),
    };
    Bars {
        value: scale("PSNR (dB)"),
        categories: strings(categories),
        series: names.iter().enumerate().map(one).collect(),
        references: vec![reference("floor: mean", Level::Everywhere(11.2))],
    }
}

fn boxes(categories: &[&str], names: &[&str]) -> Body {
    let values = |at: usize, s: usize| -> Vec<f64> {
        let n = if at == 1 { 3 } else { 24 };
        (0..n)
            .map(|i| {
                18.0 - 2.0 * at as f64 - s as f64
                    + ((i * 7919 % 23) as f64 - 11.0) * 0.4
                    + if i == 5 { 9.0 } else { 0.0 }
            })
            .collect()
    };
    let group = |(s, name): (usize, &&str)| {
        ((*name).to_owned(), (0..categories.len()).map(|at| values(at, s)).collect())
    };
    Body::Boxes(one(Boxes {
        value: scale("PSNR (dB)"),
        categories: strings(categories),
        series: names.iter().enumerate().map(group).collect(),
        references: vec![
            reference(
                "floor: mean",
                Level::Each(
                    (0..categories.len()).map(|at| (at != 1).then_some(9.0 + at as f64)).collect(),
                ),
            ),
            reference(
                "null: nearest",
                Level::Each((0..categories.len()).map(|at| (at == 1).then_some(11.2)).collect()),
            ),
        ],
    }))
}

fn frontier() -> Body {
    let point = |x: f64, y: f64| Mark {
        x,
        y,
        x_interval: Some((x - 1.2, x + 1.5)),
        y_interval: Some((y - 0.02, y + 0.015)),
        ..Mark::default()
    };
    let names = [
        "none",
        "dp-gaussian",
        "prune",
        "quantise",
        "precode",
        "soteria",
        "mixup",
        "instahide",
        "ats",
    ];
    let one = |(i, name): (usize, &&str)| {
        let at = i as f64;
        series(
            name,
            vec![
                point(24.0 - 2.1 * at, 0.95 - 0.006 * at * at),
                point(21.0 - 1.3 * at, 0.90 - 0.008 * at * at),
            ],
        )
    };
    Body::Scatter(one_scatter(
        names.iter().enumerate().map(one).collect(),
        vec![(8.0, 0.57), (12.0, 0.78), (17.7, 0.9), (24.0, 0.95)],
    ))
}

fn one_scatter(series: Vec<Series>, frontier: Vec<(f64, f64)>) -> Vec<Facet<Scatter>> {
    one(Scatter { x: scale("PSNR (dB)"), y: scale("test accuracy"), series, frontier })
}

/// Hundreds of points in two facets.
fn cloud() -> Body {
    let marks = |seed: usize| {
        let point = |i: usize| {
            let a = ((i * 7919 + seed * 104_729) % 1000) as f64 / 1000.0;
            let b = ((i * 6101 + seed * 15_485) % 997) as f64 / 997.0;
            Mark::at(8.0 + 20.0 * a, 0.8 - 0.6 * a + 0.15 * b)
        };
        (0..90).map(point).collect::<Vec<Mark>>()
    };
    let plot = |seed: usize| Scatter {
        x: scale("PSNR (dB)"),
        y: scale("LPIPS (squeeze)"),
        series: vec![series("dlg", marks(seed)), series("gradinversion", marks(seed + 9))],
        frontier: Vec::new(),
    };
    let facet = |title: &str, seed| Facet { title: title.into(), plot: plot(seed) };
    Body::Scatter(vec![facet("mnist", 1), facet("cifar10", 2)])
}

fn heat(columns: usize, facets: usize) -> Body {
    let names: Vec<String> = DEFENSES.iter().cycle().take(columns).map(|n| (*n).into()).collect();
    let value = |r: usize, c: usize| match (r * 7 + c * 3) % 11 {
        5 => None,
        v => Some(6.4 + 2.17 * v as f64),
    };
    let map = |_| HeatMap {
        rows: strings(&ATTACKS),
        columns: names.clone(),
        values: (0..ATTACKS.len()).map(|r| (0..columns).map(|c| value(r, c)).collect()).collect(),
        value: scale("mean PSNR (dB)"),
        notation: Notation::Decimals(1),
        high_is_leak: true,
    };
    let facet = |i: usize| Facet {
        title: if facets > 1 { format!("task {i}") } else { String::new() },
        plot: map(i),
    };
    Body::HeatMap((0..facets).map(facet).collect())
}

/// Pictures made below `dir`, one of them missing.
fn grid(dir: &Path, heads: usize) -> Body {
    let picture = |row: usize, column: usize| {
        let file = dir.join(format!("{row}-{column}.png"));
        let pixels = image::RgbImage::from_fn(28, 28, |x, y| {
            let v = (x * 9) ^ (y * 7) ^ (row as u32 * 31) ^ (column as u32 * 57);
            image::Rgb([(v % 256) as u8, (v * 3 % 256) as u8, 90])
        });
        if (row, column) != (1, 2) {
            pixels.save(&file).expect("a picture can be written");
        }
        (!(row == 2 && column == 1)).then(|| GridCell {
            picture: Picture::File(file),
            caption: if column == 0 { String::new() } else { format!("{}.{column} dB", 20 + row) },
        })
    };
    let row = |r: usize| GridRow {
        label: ATTACKS[r % 5].into(),
        cells: (0..heads).map(|c| picture(r, c)).collect(),
    };
    let names =
        (0..heads).map(|c| if c == 0 { "truth".into() } else { DEFENSES[(c - 1) % 6].to_owned() });
    Body::Grid(Grid { heads: names.collect(), rows: (0..3).map(row).collect() })
}

/// A row of words between rows of pictures, one of which cannot be read, with names and claims as
/// long as they come.
fn hero(dir: &Path) -> Body {
    let picture = |name: &str, column: usize| {
        let file = dir.join(format!("hero-{name}-{column}.png"));
        let pixels = image::RgbImage::from_fn(64, 64, |x, y| {
            image::Rgb([(x * 4) as u8, (y * 4) as u8, (20 * column) as u8])
        });
        if (name, column) != ("b", 3) {
            pixels.save(&file).expect("a picture can be written");
        }
        HeroPicture { picture: Picture::File(file), word: "not tried".into() }
    };
    let pictures = |name: &str| (0..8).map(|column| picture(name, column)).collect::<Vec<_>>();
    let row = |name: &str, notes: &[&str], shown: HeroShown, values: [&[&str]; 4]| HeroRow {
        name: name.into(),
        notes: strings(notes),
        shown,
        values: values.map(strings).to_vec(),
    };
    let chance = "chance 1/100000";
    Body::Hero(Hero {
        truths: pictures("truth"),
        rows: vec![
            row(
                "No defense",
                &["by strongest"],
                HeroShown::Pictures(pictures("a")),
                [
                    &["PSNR 100.00 dB", "floor 12.31"],
                    &["LPIPS 0.001"],
                    &["8/8 identified", chance],
                    &["accuracy 0.975"],
                ],
            ),
            row(
                "Local DP, ε\u{a0}=\u{a0}1000 + Distributed DP, ε\u{a0}=\u{a0}0.1, \
                 mechanism\u{a0}=\u{a0}skellam",
                &[
                    "by inverting-gradients-cli (iterations = 4500)",
                    "(1000, 1e-5)-DP; no guarantee here",
                ],
                HeroShown::Pictures(pictures("b")),
                [
                    &["PSNR -3.20 dB", "below floor 12.31"],
                    &["LPIPS 1.213"],
                    &["0/8 identified", chance],
                    &[],
                ],
            ),
            row(
                "SecAgg (seen by the server)",
                &["each update hidden from the server and any group of clients"],
                HeroShown::Words(
                    "Nothing to attack: the server and 3 of 64 clients do not hold enough secrets \
                     to open a single update; use source = \"agg_update\" to attack what is left \
                     of the sum"
                        .into(),
                ),
                [&[], &[], &[], &["accuracy 0.975"]],
            ),
        ],
    })
}

/// Every kind, by name, at both widths where it has room in both.
pub(super) fn all(dir: &Path) -> Vec<Chart> {
    let named =
        |name: &str| Facet { title: name.into(), plot: bars(&DEFENSES, &["dlg", "gradinversion"]) };
    let bodies = [
        ("sweep", sweep()),
        ("learning", learning()),
        ("roc", roc()),
        ("words", words()),
        ("bars-long", Body::Bars(one(bars(&DEFENSES, &ATTACKS)))),
        ("bars-short", Body::Bars(one(bars(&["none", "clip", "prune"], &["dlg", "label-counts"])))),
        ("bars-single", Body::Bars(one(bars(&["none", "clip", "prune", "noise"], &["dlg"])))),
        ("bars-facets", Body::Bars(vec![named("mnist"), named("cifar10")])),
        ("boxes-long", boxes(&DEFENSES, &["dlg"])),
        ("boxes-short", boxes(&["none", "clip", "prune"], &["dlg", "label-counts"])),
        ("frontier", frontier()),
        ("cloud", cloud()),
        ("heat", heat(6, 1)),
        ("heat-wide", heat(12, 1)),
        ("heat-facets", heat(4, 2)),
        ("grid", grid(dir, 6)),
        ("grid-many", grid(dir, 11)),
    ];
    let chart = |width, ending: &str, (name, body): &(&str, Body)| Chart {
        name: format!("{name}{ending}"),
        caption: String::new(),
        width,
        body: body.clone(),
        remarks: Vec::new(),
    };
    let column = bodies.iter().map(|b| chart(Width::Column, "", b));
    let page = bodies.iter().map(|b| chart(Width::Page, "-page", b));
    column.chain(page).chain([chart(Width::Page, "", &("hero", hero(dir)))]).collect()
}
