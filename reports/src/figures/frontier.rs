//! The privacy-utility frontier: accuracy against what the strongest attack got, one point a
//! defence, one panel a task.

use super::labelled::{self, Cloud, Labelled};
use super::{Figure, page, page_slug, palette, short};
use crate::frontier::{
    Accuracy, JOINT, Leak, ONE_TRAINING, Panel, Point, UNSCORED, panels, success_label,
};
use record::run::Run;
use record::stats::Interval;

/// Panels of one figure.
const PANELS: usize = 3;

/// The frontier by success rate and by mean PSNR; none where no federation was trained with a
/// defence.
pub(super) fn all(run: &Run) -> Vec<Figure> {
    let panels = panels(run);
    let families = families(&panels);
    let mut out = figures(&panels, &families, Leak::Success);
    out.extend(figures(&panels, &families, Leak::Psnr));
    out
}

/// Defences by name, each with a colour in all panels; the undefended twin has the last one for
/// itself.
fn families(panels: &[Panel]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for point in panels.iter().flat_map(|p| &p.points).filter(|p| !p.undefended) {
        if !names.contains(&point.family) {
            names.push(point.family.clone());
        }
    }
    names
}

fn series(families: &[String], point: &Point) -> usize {
    match families.iter().position(|f| *f == point.family) {
        Some(at) => at % (palette::SERIES - 1),
        None => palette::SERIES - 1,
    }
}

fn figures(panels: &[Panel], families: &[String], leak: Leak) -> Vec<Figure> {
    let drawn =
        |panel: &&Panel| panel.points.iter().filter(|p| p.place(leak).is_some()).count() > 1;
    let panels: Vec<&Panel> = panels.iter().filter(drawn).collect();
    let count = panels.len().div_ceil(PANELS);
    let (axis, slug) = match leak {
        Leak::Success => {
            (format!("images that the strongest attack got: {} (%)", success_label()), "")
        }
        Leak::Psnr => ("mean PSNR of the strongest attack (dB)".to_owned(), "-psnr"),
    };
    let draw = |(at, shown): (usize, &[&Panel])| {
        let clouds: Vec<Cloud> = shown.iter().map(|p| cloud(p, families, leak)).collect();
        let heading = format!("Privacy against utility{}", page(at, count));
        let canvas = labelled::draw(&heading, &axis, "test accuracy (%)", &clouds);
        Figure::new(format!("frontier{slug}{}", page_slug(at)), caption(shown, leak), canvas)
    };
    panels.chunks(PANELS).enumerate().map(draw).collect()
}

fn percent(interval: Interval) -> (f64, f64) {
    (100.0 * interval.low, 100.0 * interval.high)
}

fn cloud(panel: &Panel, families: &[String], leak: Leak) -> Cloud {
    let places: Vec<_> = panel.points.iter().map(|p| p.place(leak)).collect();
    let optimal = panel.optimal(leak);
    let point = |at: usize| {
        let (point, (x, y)) = (&panel.points[at], places[at]?);
        let accuracy = match &point.accuracy {
            Accuracy::Measured((_, interval)) => interval.map(percent),
            Accuracy::Lost(_) => None,
        };
        let (x, x_interval) = match leak {
            Leak::Success => (100.0 * x, point.worst.success.map(|(rate, _)| percent(rate.ci))),
            Leak::Psnr => {
                (x, point.worst.psnr.and_then(|(_, ci, _)| ci).map(|ci| (ci.low, ci.high)))
            }
        };
        Some(Labelled {
            label: short(&point.label),
            series: series(families, point),
            x,
            y: 100.0 * y,
            x_interval,
            y_interval: accuracy,
            ringed: optimal[at],
        })
    };
    let points = (0..panel.points.len()).filter_map(point).collect();
    let level = match leak {
        Leak::Success => None,
        Leak::Psnr => panel.null.map(|v| (v, "best null".to_owned())),
    };
    Cloud { name: panel.name.clone(), points, level }
}

fn caption(panels: &[&Panel], leak: Leak) -> String {
    let x = match leak {
        Leak::Success => {
            format!(
                "the largest share of images with {} that any attack tried got (Wilson intervals \
                 {JOINT})",
                success_label()
            )
        }
        Leak::Psnr => {
            format!(
                "the largest mean PSNR that any attack tried got (bootstrap intervals {JOINT}); \
                 dashed: the strongest null baseline, which attacks nothing"
            )
        }
    };
    let mut missing = Vec::new();
    for panel in panels {
        for point in &panel.points {
            let why = match (&point.accuracy, point.place(leak)) {
                (Accuracy::Lost(why), _) => why.clone(),
                (_, None) => UNSCORED.into(),
                _ => continue,
            };
            let whose =
                if panel.name.is_empty() { String::new() } else { format!(" ({})", panel.name) };
            missing.push(format!("{}{whose}: {why}", short(&point.label)));
        }
    }
    let floor =
        if leak == Leak::Psnr { "; less than the null baseline counts as that" } else { "" };
    let missing = match missing.is_empty() {
        true => String::new(),
        false => format!(" Not drawn: {}.", missing.join("; ")),
    };
    format!(
        "Test accuracy after training with each defence ({ONE_TRAINING}) against {x}. Up and to \
         the left is better; ringed: Pareto-optimal, no other \
         defence leaks less without costing accuracy{floor}.{missing}"
    )
}
