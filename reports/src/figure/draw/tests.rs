//! Every kind in every style: nothing overlaps, nothing is cut off, and files are the same each
//! time.

use super::{draw, sample};
use crate::figure::chart::{
    Body, Chart, Facet, HeroRow, HeroShown, Lines, Mark, Scale, Scatter, Series, Width,
};
use crate::figure::style::{Style, StyleName};
use crate::plot::canvas::{Canvas, Text};
use crate::plot::font;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes what is drawn below the folder named by BENCH_DRAWN, to be looked at.
fn keep(style: StyleName, chart: &Chart, canvas: &Canvas) {
    let Some(dir) = std::env::var_os("BENCH_DRAWN").map(PathBuf::from) else { return };
    let dir = dir.join(style.name());
    std::fs::create_dir_all(&dir).expect("the folder can be made");
    let file = |ending: &str| dir.join(format!("{}.{ending}", chart.name));
    std::fs::write(file("png"), canvas.png().unwrap()).unwrap();
    std::fs::write(file("pdf"), canvas.pdf().unwrap()).unwrap();
    std::fs::write(file("svg"), canvas.svg().unwrap()).unwrap();
}

fn overlap(a: &Text, b: &Text) -> bool {
    let ((l, t, r, d), (l2, t2, r2, d2)) = (font::bounds(a), font::bounds(b));
    // Letters seldom fill their boxes to the rim.
    l + 0.3 < r2 && l2 + 0.3 < r && t + 0.3 < d2 && t2 + 0.3 < d
}

#[test]
fn nothing_overlaps_or_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for name in StyleName::ALL {
        let style = Style::named(name);
        for chart in sample::all(dir.path()) {
            let canvas = draw(&chart, &style);
            keep(name, &chart, &canvas);
            let (width, height) = canvas.size();
            let whole = if chart.width == Width::Page { style.page } else { style.column };
            assert_eq!(width, whole);
            let letters = canvas.letters();
            for (at, text) in letters.iter().enumerate() {
                let (l, t, r, d) = font::bounds(text);
                let place = format!("{} {} {:?}", name.name(), chart.name, text.text);
                assert!((7.0..=9.0).contains(&text.size), "{place}: {} pt", text.size);
                if l < -0.01 || t < -0.01 || r > width + 0.01 || d > height + 0.01 {
                    wrong.push(format!(
                        "{place} leaves the page: {l:.1} {t:.1} {r:.1} {d:.1} of {width:.1} x \
                         {height:.1}"
                    ));
                }
                let others = letters[..at].iter().filter(|other| overlap(other, text));
                wrong.extend(others.map(|other| format!("{place} overlaps {:?}", other.text)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every word of a hero stands in every style, however narrow, and the picture that cannot be read
/// has its word.
#[test]
fn a_hero_keeps_every_word() {
    let dir = tempfile::tempdir().unwrap();
    let chart = sample::all(dir.path()).pop().unwrap();
    let Body::Hero(hero) = &chart.body else { panic!("the last sample is the hero") };
    let shown = |row: &HeroRow| match &row.shown {
        HeroShown::Words(text) => text.clone(),
        HeroShown::Pictures(_) => String::new(),
    };
    let texts = hero.rows.iter().flat_map(|row| {
        [vec![row.name.clone(), shown(row)], row.notes.clone(), row.values.concat()].concat()
    });
    let squeezed = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let wanted: Vec<String> = texts.chain(["Truth".into(), "nottried".into()]).collect();
    for name in StyleName::ALL {
        let canvas = draw(&chart, &Style::named(name));
        keep(name, &chart, &canvas);
        let drawn: String = canvas.letters().iter().map(|t| squeezed(&t.text)).collect();
        for text in &wanted {
            assert!(drawn.contains(&squeezed(text)), "{}: {text} is not in {drawn}", name.name());
        }
        assert!(!drawn.contains('…'), "{}: {drawn}", name.name());
    }
}

#[test]
fn the_same_figure_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let style = Style::named(StyleName::Acm);
    let first = sample::all(dir.path());
    for (a, b) in
        first.iter().zip(&sample::all(dir.path())).filter(|(a, _)| a.width == Width::Column)
    {
        let (a, b) = (draw(a, &style), draw(b, &style));
        assert_eq!(a.pdf().unwrap(), b.pdf().unwrap());
        assert_eq!(a.svg().unwrap(), b.svg().unwrap());
        assert_eq!(a.png().unwrap(), b.png().unwrap());
    }
}

#[test]
fn a_pdf_has_the_page_the_face_and_no_date() {
    let dir = tempfile::tempdir().unwrap();
    let style = Style::named(StyleName::Ieee);
    let canvas = draw(&sample::all(dir.path())[0], &style);
    let pdf = canvas.pdf().unwrap();
    let text = String::from_utf8_lossy(&pdf);
    assert!(text.starts_with("%PDF-1.5"));
    let (width, height) = canvas.size();
    let page = text
        .split("/MediaBox")
        .nth(1)
        .and_then(|t| t.split(['[', ']']).nth(1))
        .expect("a page box");
    let page: Vec<f64> = page.split_whitespace().map(|v| v.parse().unwrap()).collect();
    assert!((page[2] - width).abs() < 1e-3 && (page[3] - height).abs() < 1e-3, "{page:?}");
    assert!(
        text.contains("BenchSans") && text.contains("/FontFile") && text.contains("/ToUnicode")
    );
    assert!(
        canvas
            .svg()
            .unwrap()
            .contains("@font-face{font-family:'Bench Sans';src:url(data:font/ttf;base64,")
    );
    assert!(!text.contains("CreationDate") && !text.contains("ModDate"));
}

/// Where poppler is installed, its picture of the PDF must be that of the PNG.
#[test]
fn pdf_and_png_show_the_same() {
    if Command::new("pdftoppm").arg("-v").output().is_err() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let style = Style::named(StyleName::Acm);
    for chart in sample::all(dir.path()).iter().filter(|c| c.width == Width::Column) {
        let canvas = draw(chart, &style);
        let ours = image::load_from_memory(&canvas.png().unwrap()).unwrap().to_luma8();
        let theirs = poppler(dir.path(), &canvas.pdf().unwrap());
        assert!(
            ours.width().abs_diff(theirs.width()) <= 1
                && ours.height().abs_diff(theirs.height()) <= 1
        );
        let (a, b) = (blurred(&ours), blurred(&theirs));
        let far = a.iter().zip(&b).filter(|(a, b)| (**a - **b).abs() > 60.0).count() as f64
            / a.len() as f64;
        assert!(far < 0.01, "{}: {far} of the figure differ", chart.name);
    }
}

fn poppler(dir: &Path, pdf: &[u8]) -> image::GrayImage {
    let (from, to) = (dir.join("one.pdf"), dir.join("one"));
    std::fs::write(&from, pdf).unwrap();
    let done = Command::new("pdftoppm")
        .args(["-r", "300", "-png", "-singlefile"])
        .arg(&from)
        .arg(&to)
        .status();
    assert!(done.unwrap().success());
    image::open(dir.join("one.png")).unwrap().to_luma8()
}

/// Means over squares of eight dots, so that a dot more or less of an edge does not count.
fn blurred(picture: &image::GrayImage) -> Vec<f64> {
    let (w, h) = (picture.width() / 8 - 1, picture.height() / 8 - 1);
    let cells = (0..h).flat_map(|y| (0..w).map(move |x| (x * 8, y * 8)));
    let mean = |(x, y): (u32, u32)| {
        let dots = (0..64u32).map(|i| f64::from(picture.get_pixel(x + i % 8, y + i / 8).0[0]));
        dots.sum::<f64>() / 64.0
    };
    cells.map(mean).collect()
}

#[test]
fn odd_values_do_not_stop_the_drawing() {
    let mark = |x: f64, y: f64| Mark {
        x,
        y,
        x_interval: Some((f64::NAN, x)),
        y_interval: Some((y, f64::INFINITY)),
        x_values: vec![f64::NAN, x],
        y_values: vec![f64::INFINITY, y],
    };
    let marks =
        vec![mark(f64::NAN, 1.0), mark(1.0, f64::INFINITY), mark(-1.0, 0.0), mark(0.0, -5.0)];
    let series = vec![Series { level: Some(f64::NAN), steps: true, ..Series::new("odd", marks) }];
    let log = Scale { log: true, ..Scale::default() };
    let lines = |series: Vec<Series>| Lines {
        x: log.clone(),
        y: log.clone(),
        series,
        joined: true,
        ..Lines::default()
    };
    for facets in [vec![lines(series)], vec![lines(Vec::new())], Vec::new()] {
        let facets = facets.into_iter().map(|plot| Facet { title: String::new(), plot }).collect();
        let chart = Chart {
            name: "odd".into(),
            caption: String::new(),
            width: Width::Column,
            body: Body::Lines(facets),
            remarks: Vec::new(),
        };
        for style in StyleName::ALL.map(Style::named) {
            let canvas = draw(&chart, &style);
            assert!(canvas.png().is_ok() && canvas.pdf().is_ok() && canvas.svg().is_ok());
        }
    }
}

/// A figure of one plot in the style of the ACM.
fn alone(body: Body) -> Canvas {
    super::draw_at(&body, &Style::named(StyleName::Acm), 240.0)
}

fn marks(points: &[(f64, f64)]) -> Vec<Mark> {
    points.iter().map(|(x, y)| Mark::at(*x, *y)).collect()
}

#[test]
fn ties_of_a_roc_curve_are_slopes() {
    let curve = |points: &[(f64, f64)]| {
        let series = vec![Series { steps: true, ..Series::new("a", marks(points)) }];
        let rate = || Scale { range: Some((0.0, 1.0)), ..Scale::default() };
        let plot = Lines { x: rate(), y: rate(), series, joined: true, ..Lines::default() };
        alone(Body::Lines(vec![Facet { title: String::new(), plot }])).png().unwrap()
    };
    let pixels = |png: Vec<u8>| image::load_from_memory(&png).unwrap().to_luma8();
    let (tie, slope) = (
        pixels(curve(&[(0.0, 0.0), (1.0, 1.0)])),
        pixels(curve(&[(0.0, 0.0), (0.5, 0.5), (1.0, 1.0)])),
    );
    let apart =
        tie.pixels().zip(slope.pixels()).filter(|(a, b)| a.0[0].abs_diff(b.0[0]) > 64).count();
    assert!(apart < 40, "{apart} dots differ");
}

#[test]
fn scatter_plots_end_near_their_points() {
    let series = |points: &[(f64, f64)]| vec![Series::new("a", marks(points))];
    let plot = |points: &[(f64, f64)]| {
        let (x, y) = (Scale::default(), Scale { range: Some((0.0, 1.0)), ..Scale::default() });
        let plot = Scatter { x, y, series: series(points), frontier: Vec::new() };
        let canvas = alone(Body::Scatter(vec![Facet { title: String::new(), plot }]));
        canvas.letters().iter().map(|t| t.text.clone()).collect::<Vec<String>>()
    };
    let ticks = plot(&[(10.0, 0.93), (20.0, 0.95)]);
    assert!(ticks.contains(&"0.940".to_owned()) && !ticks.contains(&"0.5".to_owned()), "{ticks:?}");
    // A constant number of bytes does not count in halves.
    let ticks = plot(&[(35_000_000.0, 0.93), (35_000_000.0, 0.95)]);
    let far = |t: &&String| t.parse::<f64>().is_ok_and(|v| v > 1e7 && (v % 1e6 == 0.0));
    assert!(
        ticks.iter().filter(far).count() >= 2 && !ticks.contains(&"35000001".to_owned()),
        "{ticks:?}"
    );
}

#[test]
fn places_that_are_names_are_not_joined() {
    let dots = |joined: bool| {
        let series = vec![Series::new("a", marks(&[(0.0, 0.0), (1.0, 1.0), (2.0, 0.0)]))];
        let (x, y) = (Scale::default(), Scale::default());
        let plot = Lines { x, y, series, joined, ..Lines::default() };
        let png = alone(Body::Lines(vec![Facet { title: String::new(), plot }])).png().unwrap();
        image::load_from_memory(&png).unwrap().to_luma8().pixels().filter(|p| p.0[0] < 200).count()
    };
    assert!(dots(true) > dots(false) + 500, "{} {}", dots(true), dots(false));
}
