//! Panels of labelled points with error bars in both directions.

use super::axis::Axis;
use super::canvas::{Align, COLUMN, Canvas, Point, Stroke};
use super::font;
use super::palette::{self, GREY, INK};
use super::panel::{FOOT, LABEL, Panel, TITLE_ROOM, title};

const PLOT: f64 = 128.0;
/// Room for a panel's name above it.
const NAME: f64 = 12.0;
/// Letters of the points' labels.
const LETTERS: f64 = 6.2;
const MARKER: f64 = 2.3;
/// Widest label, in points.
const WIDEST: f64 = 105.0;

/// A point with its label.
pub(super) struct Labelled {
    pub label: String,
    /// Series for colour and marker.
    pub series: usize,
    pub x: f64,
    pub y: f64,
    pub x_interval: Option<(f64, f64)>,
    pub y_interval: Option<(f64, f64)>,
    /// Drawn with a ring, and joined to the others that are.
    pub ringed: bool,
}

/// Points that share axes.
pub(super) struct Cloud {
    pub name: String,
    pub points: Vec<Labelled>,
    /// A value of x that is marked, with what it is.
    pub level: Option<(f64, String)>,
}

/// Draws the panels one below the other.
pub(super) fn draw(heading: &str, x: &str, y: &str, clouds: &[Cloud]) -> Canvas {
    let each = NAME + PLOT + FOOT + 4.0;
    let mut canvas = Canvas::new(TITLE_ROOM + each * clouds.len() as f64);
    title(&mut canvas, heading);
    // One left edge for all panels: the widest labels decide.
    let mut panels: Vec<Panel> = clouds.iter().map(|c| panel(x, y, c)).collect();
    let left = panels.iter().map(|p| p.left).fold(0.0, f64::max);
    for (at, (panel, cloud)) in panels.iter_mut().zip(clouds).enumerate() {
        let top = TITLE_ROOM + each * at as f64;
        (panel.width, panel.left, panel.top) = (panel.width + panel.left - left, left, top + NAME);
        canvas.text(
            (left, top + 6.0),
            LABEL,
            Align::Start,
            font::fit(&cloud.name, LABEL, COLUMN - left - 4.0),
        );
        one(&mut canvas, panel, cloud);
    }
    canvas
}

fn panel(x: &str, y: &str, cloud: &Cloud) -> Panel {
    let across = |p: &Labelled| [Some(p.x), p.x_interval.map(|i| i.0), p.x_interval.map(|i| i.1)];
    let up = |p: &Labelled| [Some(p.y), p.y_interval.map(|i| i.0), p.y_interval.map(|i| i.1)];
    let level = cloud.level.as_ref().map(|(v, _)| *v);
    let xs = cloud.points.iter().flat_map(across).flatten().chain(level);
    let (low, high) = ends(xs);
    // Points at the very edge would lie on the axis.
    let room = 0.03 * (high - low).max(1e-9);
    let mut across = Axis::linear(x, low, high, 5);
    (across.low, across.high) = (across.low.min(low - room), across.high.max(high + room));
    let (low, high) = ends(cloud.points.iter().flat_map(up).flatten());
    Panel::with_axes(across, Axis::linear(y, low, high, 5), 0.0, PLOT)
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high { (0.0, 1.0) } else { (low, high) }
}

fn one(canvas: &mut Canvas, panel: &Panel, cloud: &Cloud) {
    panel.grid(canvas);
    let mut taken: Vec<Rect> = Vec::new();
    if let Some((value, name)) = &cloud.level {
        taken.push(level(canvas, panel, *value, name));
    }
    staircase(canvas, panel, &cloud.points);
    for point in &cloud.points {
        bars(canvas, panel, point);
    }
    let places: Vec<Point> = cloud.points.iter().map(|p| panel.place(p.x, p.y)).collect();
    for (point, place) in cloud.points.iter().zip(&places) {
        palette::marker(canvas, point.series, *place, MARKER);
        if point.ringed {
            ring(canvas, *place, MARKER + 1.9);
        }
        taken.push(Rect::around(*place, MARKER + 1.0));
    }
    panel.frame(canvas);
    let crossed: Vec<Rect> = cloud.points.iter().flat_map(|p| crossed(panel, p)).collect();
    for (point, place) in cloud.points.iter().zip(&places) {
        label(canvas, panel, (&mut taken, &crossed), &point.label, *place);
    }
}

/// Where the error bars of a point are: letters there are hard to read, but better than far away.
fn crossed(panel: &Panel, point: &Labelled) -> Vec<Rect> {
    let (x, y) = panel.place(point.x, point.y);
    let across = point.x_interval.map(|(low, high)| (panel.across(low), y, panel.across(high), y));
    let up = point
        .y_interval
        .map(|(low, high)| (x, panel.place(point.x, high).1, x, panel.place(point.x, low).1));
    let rect = |(left, top, right, bottom): (f64, f64, f64, f64)| Rect {
        left: left - 0.5,
        top: top - 0.5,
        right: right + 0.5,
        bottom: bottom + 0.5,
    };
    across.into_iter().chain(up).map(rect).collect()
}

/// A dashed line up, named at its foot.
fn level(canvas: &mut Canvas, panel: &Panel, value: f64, name: &str) -> Rect {
    let (x, bottom) = (panel.across(value), panel.top + panel.height);
    let stroke = Stroke { colour: GREY, width: 0.8, dash: Some((2.6, 1.6)) };
    canvas.line(&[(x, panel.top), (x, bottom)], stroke);
    let wide = font::width(name, LETTERS);
    let from = if x + 3.0 + wide < panel.left + panel.width { x + 3.0 } else { x - 3.0 - wide };
    canvas.text((from, bottom - 3.5), LETTERS, Align::Start, name);
    Rect {
        left: from - 1.0,
        top: bottom - 3.5 - LETTERS,
        right: from + wide + 1.0,
        bottom: bottom - 1.0,
    }
}

/// Joins the ringed points: what is attainable lies right of and below the line.
fn staircase(canvas: &mut Canvas, panel: &Panel, points: &[Labelled]) {
    let mut corners: Vec<(f64, f64)> =
        points.iter().filter(|p| p.ringed).map(|p| (p.x, p.y)).collect();
    corners.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut line: Vec<Point> = Vec::new();
    for (x, y) in corners {
        let (across, up) = panel.place(x, y);
        line.extend(line.last().map(|before: &Point| (across, before.1)));
        line.push((across, up));
    }
    canvas.line(&line, Stroke { colour: GREY, width: 0.8, dash: Some((1.4, 1.4)) });
}

fn bars(canvas: &mut Canvas, panel: &Panel, point: &Labelled) {
    let stroke = Stroke::solid(palette::colour(point.series).fade(0.45), 0.7);
    let (x, y) = panel.place(point.x, point.y);
    if let Some((low, high)) = point.x_interval {
        let (from, to) = (panel.across(low), panel.across(high));
        canvas.line(&[(from, y), (to, y)], stroke);
        [from, to].iter().for_each(|end| canvas.line(&[(*end, y - 1.6), (*end, y + 1.6)], stroke));
    }
    if let Some((low, high)) = point.y_interval {
        let (from, to) = (panel.place(point.x, low).1, panel.place(point.x, high).1);
        canvas.line(&[(x, from), (x, to)], stroke);
        [from, to].iter().for_each(|end| canvas.line(&[(x - 1.6, *end), (x + 1.6, *end)], stroke));
    }
}

fn ring(canvas: &mut Canvas, (x, y): Point, r: f64) {
    let corner = |i: i32| {
        let (sin, cos) = (f64::from(i) * std::f64::consts::TAU / 24.0).sin_cos();
        (x + r * cos, y + r * sin)
    };
    canvas.line(&(0..=24).map(corner).collect::<Vec<_>>(), Stroke::solid(INK, 0.8));
}

#[derive(Clone, Copy)]
struct Rect {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Rect {
    fn around((x, y): Point, r: f64) -> Self {
        Rect { left: x - r, top: y - r, right: x + r, bottom: y + r }
    }

    /// Shared area.
    fn overlap(&self, other: &Rect) -> f64 {
        let wide = self.right.min(other.right) - self.left.max(other.left);
        let high = self.bottom.min(other.bottom) - self.top.max(other.top);
        wide.max(0.0) * high.max(0.0)
    }
}

/// Writes a label at the free place nearest to its point, with a line to the point where that is
/// not beside it.
fn label(
    canvas: &mut Canvas,
    panel: &Panel,
    (taken, crossed): (&mut Vec<Rect>, &[Rect]),
    text: &str,
    place: Point,
) {
    if !(place.0.is_finite() && place.1.is_finite()) {
        return;
    }
    let text = font::fit(text, LETTERS, WIDEST);
    let wide = font::width(&text, LETTERS);
    let inside = Rect {
        left: panel.left + 1.0,
        top: panel.top - 4.0,
        right: COLUMN - 2.0,
        bottom: panel.top + panel.height - 1.0,
    };
    let cost = |(at, rect): &(usize, Rect)| {
        let whole = (rect.right - rect.left) * (rect.bottom - rect.top);
        let outside = whole - rect.overlap(&inside);
        let clash: f64 = taken.iter().map(|t| t.overlap(rect)).sum();
        let crossed: f64 = crossed.iter().map(|c| c.overlap(rect)).sum();
        // Nearer places come first; hiding anything weighs more than any distance, lying on error
        // bars less.
        100.0 * (clash + outside) + 0.4 * crossed + *at as f64
    };
    let best =
        candidates(place, wide).into_iter().enumerate().min_by(|a, b| cost(a).total_cmp(&cost(b)));
    let Some((_, rect)) = best else { return };
    let near = (place.0.clamp(rect.left, rect.right), place.1.clamp(rect.top, rect.bottom));
    if (near.0 - place.0).hypot(near.1 - place.1) > MARKER + 4.0 {
        canvas.line(&[place, near], Stroke::solid(GREY, 0.4));
    }
    canvas.text((rect.left, rect.bottom - 1.4), LETTERS, Align::Start, text);
    taken.push(rect);
}

/// Places around a point, the nearest first: right, left, above, below, and the corners.
fn candidates((x, y): Point, wide: f64) -> Vec<Rect> {
    let high = LETTERS + 0.6;
    let mut out = Vec::new();
    for step in 0..14 {
        let gap = MARKER + 2.6 + 3.5 * f64::from(step);
        let (right, left, middle) = (x + gap, x - gap - wide, x - wide / 2.0);
        let (level, above, below) = (y - high / 2.0, y - gap - high, y + gap);
        let near = [(right, level), (left, level), (middle, above), (middle, below)];
        let beside = [
            (x + MARKER + 3.0, above),
            (x + MARKER + 3.0, below),
            (x - MARKER - 3.0 - wide, above),
            (x - MARKER - 3.0 - wide, below),
        ];
        let rect =
            |(left, top): (f64, f64)| Rect { left, top, right: left + wide, bottom: top + high };
        out.extend(near.into_iter().chain(beside).map(rect));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_a_crowd_do_not_touch() {
        let point = |at: usize| Labelled {
            label: format!("defence {at}"),
            series: at,
            x: 0.0,
            y: 0.8 + 0.002 * at as f64,
            x_interval: Some((0.0, 0.3)),
            y_interval: None,
            ringed: false,
        };
        let mut points: Vec<_> = (0..8).map(point).collect();
        points.push(Labelled { x: 1.0, y: 0.1, ..point(9) });
        let cloud = Cloud { name: String::new(), points, level: None };
        let mut panel = panel("x", "y", &cloud);
        panel.top = 20.0;
        let (mut canvas, mut taken) = (Canvas::new(200.0), Vec::new());
        for p in &cloud.points {
            label(&mut canvas, &panel, (&mut taken, &[]), &p.label, panel.place(p.x, p.y));
        }
        for (at, a) in taken.iter().enumerate() {
            assert!(taken[at + 1..].iter().all(|b| a.overlap(b) == 0.0), "label {at} is covered");
            assert!(
                a.left >= panel.left && a.right <= COLUMN && a.bottom <= panel.top + panel.height
            );
        }
    }
}
