//! Panels side by side, sharing sides where they mean the same, with one legend below.

use super::legend::{Key, Legend};
use super::panel::{Panel, plain};
use super::side::{LEADING, Side, Want};
use crate::figure::chart::Facet;
use crate::figure::style::Style;
use crate::plot::canvas::{Align, Canvas, Text};
use crate::plot::font;

/// Between panels.
const BETWEEN: f64 = 9.0;
/// Room at the edges of the figure.
const EDGE: f64 = 1.0;

/// The order of the series of all facets: a name has one colour everywhere.
pub(super) struct Names(Vec<String>);

impl Names {
    /// Place of the series `name`.
    pub fn at(&self, name: &str) -> usize {
        self.0.iter().position(|n| n == name).unwrap_or(0)
    }
}

/// A kind of plot that has two sides.
pub(super) trait Plot {
    /// What the sides below and beside it must show.
    fn sides(&self) -> (Want, Want);
    /// Names of its series.
    fn series(&self) -> Vec<String>;
    /// Entries of the legend.
    fn keys(&self, names: &Names) -> Vec<Key>;
    /// Height of a panel of this width, both in points.
    fn height(&self, width: f64) -> f64;
    /// Least width of a panel, in points.
    fn least(&self) -> f64 {
        96.0
    }
    /// Greatest width of a panel, in points.
    fn most(&self) -> f64 {
        f64::INFINITY
    }
    /// Draws the data, and its axes with [`Panel::lattice`] and [`Panel::frame`].
    fn paint(&self, canvas: &mut Canvas, panel: &Panel, names: &Names, style: &Style);
}

/// Sizes that all panels have in common.
struct Sheet {
    columns: usize,
    /// Sides below and beside each panel, and whether all have the same.
    below: Vec<Want>,
    beside: Vec<Want>,
    same: (bool, bool),
    /// Lines of titles beside the panels.
    title_lines: usize,
    panel: (f64, f64),
    /// Left margin of each column of panels, and what lies between two of them beside it.
    margins: Vec<f64>,
    gap: f64,
    /// Left of all panels where they do not fill the width.
    indent: f64,
    head: f64,
    foot: f64,
}

/// Draws the facets in a figure of this width.
pub(super) fn draw<T: Plot>(facets: &[Facet<T>], style: &Style, width: f64) -> Canvas {
    let mut names: Vec<String> = Vec::new();
    for name in facets.iter().flat_map(|f| f.plot.series()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let names = Names(names);
    let mut keys: Vec<Key> = Vec::new();
    for key in facets.iter().flat_map(|f| f.plot.keys(&names)) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let legend = Legend::new(keys, style, width);
    let sheet = Sheet::new(facets, style, width);
    let rows = facets.len().div_ceil(sheet.columns);
    let each = sheet.head + sheet.panel.1 + sheet.foot;
    let plots = rows as f64 * each + (rows.max(1) as f64 - 1.0) * BETWEEN;
    let mut canvas = Canvas::sized(width, (plots + legend.height() + EDGE).max(20.0));
    for (at, facet) in facets.iter().enumerate() {
        let (row, column) = (at / sheet.columns, at % sheet.columns);
        sheet.place(&mut canvas, style, facet, &names, at, (row as f64 * (each + BETWEEN), column));
    }
    legend.draw(&mut canvas, style, (0.0, plots), width);
    canvas
}

impl Sheet {
    fn new<T: Plot>(facets: &[Facet<T>], style: &Style, width: f64) -> Self {
        let (below, beside): (Vec<Want>, Vec<Want>) = facets.iter().map(|f| f.plot.sides()).unzip();
        let (below, same_below) = common(below);
        let (beside, same_beside) = common(beside);
        let least = facets.iter().map(|f| f.plot.least()).fold(1.0, f64::max);
        let room = (width - 30.0) / (least + if same_beside { BETWEEN } else { BETWEEN + 25.0 });
        let most = (room.floor() as usize).clamp(1, facets.len().max(1));
        let columns = facets.len().max(1).div_ceil(facets.len().max(1).div_ceil(most));
        let mut sheet = Sheet {
            columns,
            below,
            beside,
            same: (same_below, same_beside),
            title_lines: 1,
            panel: (width * 0.8 / columns as f64, 100.0),
            margins: Vec::new(),
            gap: BETWEEN,
            indent: 0.0,
            head: 0.0,
            foot: 0.0,
        };
        // Labels depend on the panels' size and that on the labels' room: twice is enough for both
        // to settle.
        for _ in 0..2 {
            sheet.settle(facets, style, width);
        }
        sheet
    }

    fn settle<T: Plot>(&mut self, facets: &[Facet<T>], style: &Style, width: f64) {
        let title = |want: &Want| font::wrap(&want.title, style.label, self.panel.1 + 8.0, 2).len();
        self.title_lines = self.beside.iter().map(title).max().unwrap_or(1);
        let titled = self.beside.iter().any(|w| !w.title.is_empty());
        let title_room =
            if titled { self.title_lines as f64 * LEADING * style.label + 3.0 } else { EDGE };
        let reach = |column: usize| {
            let own = (0..facets.len()).filter(|at| at % self.columns == column);
            own.map(|at| self.beside(at, style, width).reach(style, false)).fold(0.0, f64::max)
                + title_room
        };
        self.margins = (0..self.columns)
            .map(|c| if c == 0 || !self.same.1 { reach(c) } else { 0.0 })
            .collect();
        let overhang = (0..facets.len())
            .map(|at| Side::below(&self.below[at], style, self.panel.0).overhang(self.panel.0))
            .fold(0.0, f64::max);
        self.gap = BETWEEN + overhang;
        let between = (self.columns as f64 - 1.0) * self.gap;
        let free = width - self.margins.iter().sum::<f64>() - between - overhang.max(2.0) - EDGE;
        let most = facets.iter().map(|f| f.plot.most()).fold(f64::INFINITY, f64::min);
        self.panel.0 = (free / self.columns as f64).min(most).max(20.0);
        self.indent = ((free - self.panel.0 * self.columns as f64) / 2.0).max(0.0);
        self.panel.1 = facets.iter().map(|f| f.plot.height(self.panel.0)).fold(40.0, f64::max);
        self.head = self.heads(facets, style);
        self.foot = self.feet(facets.len(), style);
    }

    fn heads<T>(&self, facets: &[Facet<T>], style: &Style) -> f64 {
        let lines = |f: &Facet<T>| {
            if f.title.is_empty() {
                0
            } else {
                font::wrap(&f.title, style.title, self.panel.0, 2).len()
            }
        };
        let most = facets.iter().map(lines).max().unwrap_or(0) as f64;
        if most > 0.0 { most * LEADING * style.title + 4.0 } else { 4.0 }
    }

    fn feet(&self, facets: usize, style: &Style) -> f64 {
        let reach = |at: usize| {
            let want = &self.below[at];
            let labels = Side::below(want, style, self.panel.0).reach(style, true);
            let lines = if want.title.is_empty() { 0 } else { self.x_title(want, style).len() };
            labels + lines as f64 * LEADING * style.label + if lines > 0 { 2.0 } else { 0.0 } + 2.0
        };
        (0..facets).map(reach).fold(0.0, f64::max)
    }

    fn x_title(&self, want: &Want, style: &Style) -> Vec<String> {
        font::wrap(&want.title, style.label, self.panel.0 + 6.0, 3)
    }

    fn beside(&self, at: usize, style: &Style, width: f64) -> Side {
        Side::beside(
            &self.beside[at],
            style,
            self.panel.1,
            width * 0.34 / if self.same.1 { 1.0 } else { self.columns as f64 },
        )
    }

    fn place<T: Plot>(
        &self,
        canvas: &mut Canvas,
        style: &Style,
        facet: &Facet<T>,
        names: &Names,
        at: usize,
        (top, column): (f64, usize),
    ) {
        let width = canvas.size().0;
        let before: f64 = self.margins[..=column].iter().sum();
        let left = self.indent + before + column as f64 * (self.panel.0 + self.gap);
        let panel = Panel {
            left,
            top: top + self.head,
            width: self.panel.0,
            height: self.panel.1,
            x: Side::below(&self.below[at], style, self.panel.0),
            y: self.beside(at, style, width),
            labelled: column == 0 || !self.same.1,
        };
        self.titles(canvas, style, &facet.title, &panel, at);
        facet.plot.paint(canvas, &panel, names, style);
    }

    fn titles(&self, canvas: &mut Canvas, style: &Style, title: &str, panel: &Panel, at: usize) {
        let middle = panel.left + panel.width / 2.0;
        let heads = if title.is_empty() {
            Vec::new()
        } else {
            font::wrap(title, style.title, panel.width, 2)
        };
        for (row, line) in heads.iter().rev().enumerate() {
            let base = panel.top - 5.0 - row as f64 * LEADING * style.title;
            canvas.text((middle, base), style.title, Align::Middle, line.clone());
        }
        let labels = panel.x.reach(style, true);
        for (row, line) in self.x_title(&self.below[at], style).iter().enumerate() {
            let base = panel.bottom() + labels + 1.0 + style.label * (1.0 + LEADING * row as f64);
            canvas.text((middle, base), style.label, Align::Middle, line.clone());
        }
        if panel.labelled {
            self.side_title(canvas, style, panel, at);
        }
    }

    fn side_title(&self, canvas: &mut Canvas, style: &Style, panel: &Panel, at: usize) {
        let lines = font::wrap(&self.beside[at].title, style.label, panel.height + 8.0, 2);
        let labels = panel.y.reach(style, false);
        for (row, line) in lines.iter().rev().enumerate() {
            let x = panel.left - labels - 3.5 - row as f64 * LEADING * style.label;
            let middle = (x, panel.top + panel.height / 2.0);
            canvas.write(Text { upwards: true, ..plain(middle, style.label, Align::Middle, line) });
        }
    }
}

/// The same side for all where they mean the same.
fn common(wants: Vec<Want>) -> (Vec<Want>, bool) {
    match Want::shared(&wants) {
        Some(shared) => (vec![shared; wants.len()], true),
        None => (wants, false),
    }
}
