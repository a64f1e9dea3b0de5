//! One page that tells a run: headline numbers, pictures, charts, the threat model in words, costs,
//! and how to run it again.

mod charts;
mod flow;
mod numbers;
mod words;

use super::style::{Style, StyleName};
use crate::ReportError;
use crate::ink::canvas::{Canvas, Stroke};
use crate::ink::palette;
use charts::Block;
use flow::{Flow, LEAD};
use record::RecordError;
use record::run::Run;
use record::store::write_whole;
use std::path::{Path, PathBuf};

/// Width and height of A4 in points: 210 mm by 297 mm.
const A4: (f64, f64) = (210.0 * 72.0 / 25.4, 297.0 * 72.0 / 25.4);
/// Width and height of A1 in points: 594 mm by 841 mm.
const A1: (f64, f64) = (594.0 * 72.0 / 25.4, 841.0 * 72.0 / 25.4);
/// The page at A4.
const PDF: &str = "poster.pdf";
/// Dots per inch of the picture.
const DPI: f64 = 200.0;
/// Margins and the gap between columns, in points.
const MARGIN: f64 = 30.0;
const GUTTER: f64 = 18.0;
/// Widths, against A4, that the page is set at until everything has room; wider means smaller when
/// printed. At 1.4 letters of 7 pt are 5 pt on A4, the least.
const WIDTHS: [f64; 9] = [0.82, 0.88, 0.94, 1.0, 1.06, 1.12, 1.2, 1.3, 1.4];

/// Writes `poster.pdf` (A4), `poster-a1.pdf` and `poster.png` of the run in folder `run` below
/// `out`, and returns the first.
///
/// Charts that the run has no data for are left out and named at the foot of the page. The same
/// records give the same bytes.
///
/// # Errors
/// [`ReportError`] where the run folder cannot be read or `out` cannot be written.
pub fn write_poster(run: &Path, out: &Path) -> Result<PathBuf, ReportError> {
    let failed = |message| RecordError::io("draw", &out.join(PDF))(std::io::Error::other(message));
    for (name, bytes) in files(&Run::load(run)?).map_err(failed)? {
        write_whole(&out.join(name), &bytes)?;
    }
    Ok(out.join(PDF))
}

/// The poster's files by their names, the PDF at A4 first.
///
/// # Errors
/// Why it cannot be drawn.
pub(super) fn files(run: &Run) -> Result<[(&'static str, Vec<u8>); 3], String> {
    let page = poster(run);
    let mut large = Canvas::sized(A1.0, A1.1);
    large.lay(&page, (0.0, 0.0), A1.0 / A4.0);
    Ok([(PDF, page.pdf()?), ("poster-a1.pdf", large.pdf()?), ("poster.png", page.png_at(DPI)?)])
}

/// The page at A4.
pub(crate) fn poster(run: &Run) -> Canvas {
    let (blocks, lacking) = charts::all(run);
    let sections = [words::threats(run), words::costs(run)].into_iter().flatten();
    let parts = blocks
        .into_iter()
        .map(Part::Chart)
        .chain(sections.map(|(title, told)| Part::Words(title, told)));
    fit(run, parts.collect(), lacking)
}

/// What stands in the two columns.
enum Part {
    Chart(Block),
    /// A heading with its paragraphs.
    Words(String, Vec<String>),
}

impl Part {
    fn title(&self) -> &str {
        match self {
            Part::Chart(block) => &block.title,
            Part::Words(title, _) => title,
        }
    }
}

/// The page with as many of `parts` as have room in letters that can be read; the others, charts
/// from the last on before words, are named at the foot.
fn fit(run: &Run, mut parts: Vec<Part>, mut lacking: Vec<String>) -> Canvas {
    let mut out = Canvas::sized(A4.0, A4.1);
    loop {
        for wider in WIDTHS {
            let page = set(run, (&parts[..], &lacking[..]), A4.0 * wider);
            if page.size().1 <= A4.1 * wider
                || (parts.is_empty() && wider == WIDTHS[WIDTHS.len() - 1])
            {
                let scale = (1.0 / wider).min(A4.1 / page.size().1);
                out.lay(&page, ((A4.0 - page.size().0 * scale) / 2.0, 0.0), scale);
                return out;
            }
        }
        let last =
            parts.iter().rposition(|p| matches!(p, Part::Chart(_))).unwrap_or(parts.len() - 1);
        lacking.push(format!("{} (no room)", parts.remove(last).title().to_lowercase()));
    }
}

/// The page at this width, as high as it needs to be.
fn set(run: &Run, (parts, lacking): (&[Part], &[String]), width: f64) -> Canvas {
    let style = Style::of(StyleName::Thesis);
    let mut canvas = Canvas::sized(width, 100.0);
    let inner = width - 2.0 * MARGIN;
    let mut head = Flow::new(MARGIN, MARGIN, inner);
    words::head(&mut canvas, &mut head, run);
    numbers::tiles(&mut canvas, &mut head, run);
    let column = (inner - GUTTER) / 2.0;
    let mut columns = [0.0, column + GUTTER].map(|x| Flow::new(MARGIN + x, head.y + 8.0, column));
    for part in parts {
        let flow =
            if columns[1].y < columns[0].y - 1.0 { &mut columns[1] } else { &mut columns[0] };
        match part {
            Part::Chart(block) => place(&mut canvas, flow, block, &style),
            Part::Words(title, told) => flow.section(&mut canvas, title, told),
        }
    }
    let mut foot = Flow::new(MARGIN, columns[0].y.max(columns[1].y) + 4.0, inner);
    let line = Stroke::solid(palette::GREY, 0.6);
    canvas.line(&[(MARGIN, foot.y), (width - MARGIN, foot.y)], line);
    foot.y += 4.0;
    foot.section(&mut canvas, "Reproducibility", &words::reproducibility(run));
    if !lacking.is_empty() {
        foot.text(&mut canvas, &format!("Not drawn: {}.", lacking.join("; ")), 7.0);
    }
    canvas.set_height(foot.y + MARGIN - LEAD);
    canvas
}

fn place(canvas: &mut Canvas, flow: &mut Flow, block: &Block, style: &Style) {
    flow.heading(canvas, &block.title);
    let chart = super::draw::draw_at(&block.body, style, flow.width);
    canvas.lay(&chart, (flow.x, flow.y), 1.0);
    flow.y += chart.size().1 + 3.0;
    flow.text(canvas, &block.caption, 7.0);
    flow.y += 9.0;
}

#[cfg(test)]
mod tests;
