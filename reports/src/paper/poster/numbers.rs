//! The headline numbers in a row of tiles.

use super::flow::{ACCENT, Flow, LEAD};
use crate::frontier::success_label;
use crate::ink::canvas::{Align, Canvas, Stroke, Text};
use crate::ink::{font, palette};
use record::Outcome;
use record::metrics::Metric;
use record::run::Run;

/// Letters of numbers and of what they mean, in points.
const NUMBER: f64 = 17.0;
const MEANING: f64 = 7.0;
const LINES: usize = 3;
const GAP: f64 = 10.0;

/// A number and what it means.
struct Tile {
    number: String,
    meaning: String,
}

/// Draws the tiles in one row.
pub(super) fn tiles(canvas: &mut Canvas, flow: &mut Flow, run: &Run) {
    let tiles = [
        Some(cells(run)),
        Some(images(run)),
        strongest(run),
        success(run),
        null(run),
        Some(hours(run)),
    ];
    let tiles: Vec<Tile> = tiles.into_iter().flatten().collect();
    let wide = (flow.width - GAP * (tiles.len() as f64 - 1.0)) / tiles.len() as f64;
    let mut deepest = flow.y;
    for (at, tile) in tiles.iter().enumerate() {
        let x = flow.x + at as f64 * (wide + GAP);
        canvas.line(&[(x, flow.y), (x + wide, flow.y)], Stroke::solid(palette::colour(0), 1.2));
        let size = NUMBER.min(NUMBER * wide / font::width(&tile.number, NUMBER).max(1.0));
        canvas.write(Text {
            at: (x, flow.y + NUMBER + 3.0),
            size,
            align: Align::Start,
            colour: ACCENT,
            upwards: false,
            text: tile.number.clone(),
            raised: String::new(),
        });
        let mut y = flow.y + NUMBER + 6.0;
        for line in font::wrap(&tile.meaning, MEANING, wide, LINES) {
            y += MEANING * LEAD;
            canvas.text((x, y), MEANING, Align::Start, line);
        }
        deepest = deepest.max(y);
    }
    flow.y = deepest + 8.0;
}

fn cells(run: &Run) -> Tile {
    let count =
        |wanted: fn(&Outcome) -> bool| run.records.iter().filter(|r| wanted(&r.outcome)).count();
    let done = count(|o| matches!(o, Outcome::Done));
    let failed = count(|o| matches!(o, Outcome::Failed { .. }));
    let vain = count(|o| matches!(o, Outcome::NotApplicable { .. }));
    let total = run.info.suite.cells.len().max(run.records.len());
    let mut rest = vec![format!("of {total} cells done")];
    rest.extend((failed > 0).then(|| format!("{failed} failed")));
    rest.extend((vain > 0).then(|| format!("{vain} not applicable")));
    let open = total.saturating_sub(run.records.len());
    rest.extend((open > 0).then(|| format!("{open} still to run")));
    Tile { number: done.to_string(), meaning: rest.join(", ") }
}

fn images(run: &Run) -> Tile {
    let (scored, lost) =
        run.records.iter().fold((0, 0), |(s, l), r| (s + r.images.len(), l + r.lost_images()));
    let lost =
        if lost > 0 { format!(", {lost} more lost to failed attacks") } else { String::new() };
    Tile { number: scored.to_string(), meaning: format!("reconstructions scored{lost}") }
}

/// What tells a cell from the others, in one line.
fn label(run: &Run, at: usize) -> String {
    let label = run.axes.label(at, &run.distinguishing, &[]);
    if label.is_empty() { run.axes.attacks[at].clone() } else { label }
}

fn strongest(run: &Run) -> Option<Tile> {
    let means = run.attacked().into_iter().filter_map(|at| Some((at, run.cells[at].mean("psnr")?)));
    let (at, mean) =
        means.filter(|(_, m)| m.is_finite()).reduce(|a, b| if b.1 > a.1 { b } else { a })?;
    let shown = format!("{mean:.1} {}", Metric::of("psnr").unit);
    Some(Tile { number: shown, meaning: format!("highest mean PSNR: {}", label(run, at)) })
}

fn success(run: &Run) -> Option<Tile> {
    let name = success_label();
    let rates =
        run.attacked().into_iter().filter_map(|at| Some((at, *run.cells[at].success.get(&name)?)));
    let (at, rate) = rates.reduce(|a, b| if b.1.rate > a.1.rate { b } else { a })?;
    let range = format!("{:.0}–{:.0} %", 100.0 * rate.ci.low, 100.0 * rate.ci.high);
    let whose =
        if rate.successes > 0 { format!(": {}", label(run, at)) } else { ", of any cell".into() };
    Some(Tile {
        number: format!("{:.0} %", 100.0 * rate.rate),
        meaning: format!("highest share with {name} ({range}){whose}"),
    })
}

fn null(run: &Run) -> Option<Tile> {
    let best = run.cells.iter().filter_map(|c| c.best_null_psnr()).max_by(f64::total_cmp)?;
    let shown = format!("{best:.1} {}", Metric::of("psnr").unit);
    Some(Tile {
        number: shown,
        meaning: "the strongest null baseline, which attacks nothing".into(),
    })
}

fn hours(run: &Run) -> Tile {
    let seconds: f64 = run.records.iter().map(|r| r.wall.seconds).sum();
    let number = match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    };
    Tile { number, meaning: format!("of computing on {}", run.info.device) }
}
