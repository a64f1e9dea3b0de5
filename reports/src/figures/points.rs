//! Scatter of one metric against another, one point an image.

use super::axis::Axis;
use super::canvas::Canvas;
use super::palette::{self, GREY};
use super::panel::{FOOT, Legend, Panel, TITLE_ROOM, title};

/// One series.
pub(super) struct Cloud {
    pub name: String,
    /// `None` draws small grey dots: null baselines.
    pub series: Option<usize>,
    pub points: Vec<(f64, f64)>,
}

/// Draws the clouds; null baselines should come first, to lie below.
pub(super) fn draw(heading: &str, x: &str, y: &str, clouds: &[Cloud]) -> Canvas {
    let legend = Legend::of(&clouds.iter().map(|c| c.name.clone()).collect::<Vec<_>>());
    let plot = 140.0;
    let mut canvas = Canvas::new(TITLE_ROOM + plot + FOOT + legend.height());
    let axis = |name: &str, pick: fn(&(f64, f64)) -> f64, most| {
        let values = clouds.iter().flat_map(|c| c.points.iter().map(pick));
        let (low, high) =
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let room = 0.03 * (high - low);
        Axis::linear(
            name,
            if low >= 0.0 { (low - room).max(0.0) } else { low - room },
            high + room,
            most,
        )
    };
    let panel = Panel::with_axes(axis(x, |p| p.0, 6), axis(y, |p| p.1, 6), TITLE_ROOM, plot);
    title(&mut canvas, heading);
    panel.grid(&mut canvas);
    for cloud in clouds {
        for (a, b) in &cloud.points {
            sign(&mut canvas, cloud.series, panel.place(*a, *b), 1.9);
        }
    }
    panel.frame(&mut canvas);
    legend.draw(&mut canvas, TITLE_ROOM + plot + FOOT, |canvas, at, place| {
        sign(canvas, clouds[at].series, place, 2.4)
    });
    canvas
}

fn sign(canvas: &mut Canvas, series: Option<usize>, place: (f64, f64), r: f64) {
    match series {
        Some(at) => palette::marker(canvas, at, place, r),
        None => canvas.disc(place, r * 0.6, GREY),
    }
}
