//! What attacks get against the rounds trained before the capture, above the accuracy of the
//! attacked model.

use super::lines::{Curve, Mark};
use super::stacked::{self, Pane};
use super::{Figure, page, page_slug, palette, slug, unbroken};
use crate::leakage::{Course, Line, courses, rounds};
use record::metrics::Metric;
use record::run::Run;
use record::utility;

/// Attacks of one figure; the accuracy needs a colour, too.
const LINES: usize = palette::SERIES - 2;

/// One figure a course, on several pages where there are many attacks.
pub(super) fn all(run: &Run) -> Vec<Figure> {
    courses(run).iter().flat_map(|course| figures(run, course)).collect()
}

fn figures(run: &Run, course: &Course) -> Vec<Figure> {
    let metric = Metric::of("psnr");
    let psnr = |at: usize| {
        let summary = run.cells[at].metrics.get("psnr")?;
        Some((summary.mean?, summary.ci.map(|ci| (ci.low, ci.high))))
    };
    let accuracy = |at: usize| {
        let (share, ci) = utility::attacked(&run.records[at])?;
        Some((100.0 * share, ci.map(|ci| (100.0 * ci.low, 100.0 * ci.high))))
    };
    let count = course.lines.len().div_ceil(LINES);
    let draw = |(at, lines): (usize, &[Line])| {
        let leak: Vec<Curve> = lines.iter().filter_map(|l| curve(run, &l.name, l, &psnr)).collect();
        if leak.is_empty() {
            return None;
        }
        let null =
            lines.iter().flat_map(|l| &l.cells).find_map(|at| run.cells[*at].best_null_psnr());
        let panes = [
            Pane { axis: metric.label(), curves: leak, level: null },
            Pane {
                axis: "test accuracy (%)".into(),
                curves: worth(run, lines, &accuracy),
                level: None,
            },
        ];
        let heading = if course.name.is_empty() {
            "Leakage against training".into()
        } else {
            course.name.clone()
        };
        let canvas = stacked::against_rounds(&format!("{heading}{}", page(at, count)), &panes);
        let name = format!(
            "training-{}{}",
            slug(run.records[lines[0].cells[0]].id.as_str()),
            page_slug(at)
        );
        Some(Figure::new(name, caption(course), canvas))
    };
    course.lines.chunks(LINES).enumerate().filter_map(draw).collect()
}

fn caption(course: &Course) -> String {
    let whose = if course.name.is_empty() { String::new() } else { format!(", {}", course.name) };
    format!(
        "Leakage against training progress{whose}: mean PSNR of each attack (95 % bootstrap \
         intervals) on the model after so many rounds, and below the accuracy of \
         that model on the test split (95 % Wilson intervals). Dashed: the strongest null baseline."
    )
}

/// A value with the ends of its interval.
type Valued = Option<(f64, Option<(f64, f64)>)>;

fn curve(run: &Run, name: &str, line: &Line, value: &dyn Fn(usize) -> Valued) -> Option<Curve> {
    let mark = |at: &usize| {
        let (y, interval) = value(*at)?;
        y.is_finite().then_some(Mark { x: rounds(run, *at) as f64, y, interval })
    };
    let marks: Vec<Mark> = line.cells.iter().filter_map(mark).collect();
    (!marks.is_empty()).then(|| Curve { name: unbroken(name), marks, level: None })
}

/// The accuracy is the same for every attack; lines that agree in it are one curve.
fn worth(run: &Run, lines: &[Line], accuracy: &dyn Fn(usize) -> Valued) -> Vec<Curve> {
    let mut out: Vec<Curve> = Vec::new();
    for line in lines {
        let Some(own) = curve(run, &format!("accuracy · {}", line.name), line, accuracy) else {
            continue;
        };
        let places = |c: &Curve| c.marks.iter().map(|m| (m.x, m.y)).collect::<Vec<_>>();
        if !out.iter().any(|known| places(known) == places(&own)) {
            out.push(own);
        }
    }
    out.truncate(palette::SERIES - lines.len());
    if let [only] = out.as_mut_slice() {
        only.name = "test accuracy".into();
    }
    out
}
