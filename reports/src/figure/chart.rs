//! What a figure of a paper shows, chosen and reduced: drawing needs this and a style, nothing
//! else.
//!
//! `select` makes it from records, `draw` makes ink of it, `data` writes it as CSV.

use std::path::PathBuf;

/// A figure ready to be drawn.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// File name without its ending.
    pub name: String,
    /// In words below the figure; drawn nowhere, it goes into LaTeX and the manifest.
    pub caption: String,
    /// How wide it is.
    pub width: Width,
    pub body: Body,
    /// What a reader of the figure must be told: cells left out, missing pictures, intervals that
    /// could not be made.
    pub remarks: Vec<String>,
}

impl Chart {
    /// What it shows, for a reader who cannot see it.
    pub fn alt(&self) -> String {
        let axes = |x: &Scale, y: &Scale| format!("{} against {}", y.title, x.title);
        let what = match &self.body {
            Body::Grid(_) => "pictures".into(),
            Body::Hero(hero) => hero.alt(),
            Body::Lines(f) => f.first().map_or(String::new(), |f| axes(&f.plot.x, &f.plot.y)),
            Body::Bars(f) => f.first().map_or(String::new(), |f| f.plot.value.title.clone()),
            Body::Boxes(f) => f.first().map_or(String::new(), |f| f.plot.value.title.clone()),
            Body::Scatter(f) => f.first().map_or(String::new(), |f| axes(&f.plot.x, &f.plot.y)),
            Body::HeatMap(f) => f.first().map_or(String::new(), |f| f.plot.value.title.clone()),
        };
        format!("{}: {what}", self.name)
    }
}

/// The width of a figure on the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Width {
    /// One column of the text.
    #[default]
    Column,
    /// The whole width of the text.
    Page,
}

/// What is drawn. Facets stand side by side, each with its title.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Grid(Grid),
    Hero(Hero),
    Lines(Vec<Facet<Lines>>),
    Bars(Vec<Facet<Bars>>),
    Boxes(Vec<Facet<Boxes>>),
    Scatter(Vec<Facet<Scatter>>),
    HeatMap(Vec<Facet<HeatMap>>),
}

/// One plot among others; its title is empty where there is only one.
#[derive(Clone, Debug)]
pub(crate) struct Facet<T> {
    pub title: String,
    pub plot: T,
}

/// A scale with its title.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scale {
    /// With the unit.
    pub title: String,
    pub log: bool,
    /// Ends where they are fixed, such as 0 to 1 for rates.
    pub range: Option<(f64, f64)>,
    /// Names of the whole numbers 0, 1, ... where the scale counts words.
    pub words: Vec<String>,
}

/// A point with its intervals.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark {
    pub x: f64,
    pub y: f64,
    pub x_interval: Option<(f64, f64)>,
    pub y_interval: Option<(f64, f64)>,
    /// Values behind `x` where they are too few for an interval: dots beside it.
    pub x_values: Vec<f64>,
    /// The same of `y`.
    pub y_values: Vec<f64>,
}

impl Mark {
    /// A point without intervals.
    pub fn at(x: f64, y: f64) -> Self {
        Mark { x, y, ..Mark::default() }
    }

    /// What an axis across must cover.
    pub fn xs(&self) -> Vec<f64> {
        covered(self.x, self.x_interval, &self.x_values)
    }

    /// What an axis upwards must cover.
    pub fn ys(&self) -> Vec<f64> {
        covered(self.y, self.y_interval, &self.y_values)
    }
}

/// A value with its interval, or the values behind it.
pub(crate) fn covered(value: f64, interval: Option<(f64, f64)>, few: &[f64]) -> Vec<f64> {
    let ends = interval.map(|(low, high)| [low, high]);
    [value].into_iter().chain(ends.into_iter().flatten()).chain(few.iter().copied()).collect()
}

/// Curves: a metric against a parameter, a learning curve, success against budget, ROC.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    pub x: Scale,
    pub y: Scale,
    pub series: Vec<Series>,
    /// Null baselines and the like, dashed.
    pub rules: Vec<Rule>,
    /// The diagonal of a ROC plot.
    pub diagonal: bool,
    /// Whether a line joins the points: not where places on the axis are names, such as of images.
    pub joined: bool,
}

/// Lines across a plot that share a name.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub name: String,
    pub at: Vec<f64>,
    /// Whether they stand on the horizontal axis instead of the vertical one.
    pub upright: bool,
}

/// One curve or cloud.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    pub name: String,
    /// Ascending in x where they are joined; empty for a series that is a level alone.
    pub marks: Vec<Mark>,
    /// A horizontal line of the same colour, dashed: the value without the defense.
    pub level: Option<f64>,
    /// Drawn as a bare line without markers, such as a ROC curve: the marks are all of its corners,
    /// joined straight (a slope is a tie).
    pub steps: bool,
    /// Drawn small and grey: what attacks nothing.
    pub faint: bool,
    /// Of points that are named in the plot: a label for each mark; else empty.
    pub labels: Vec<String>,
}

impl Series {
    /// Marks with a name and nothing else.
    pub fn new(name: impl Into<String>, marks: Vec<Mark>) -> Self {
        Series { name: name.into(), marks, ..Series::default() }
    }
}

/// Groups of bars.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    pub value: Scale,
    pub categories: Vec<String>,
    pub series: Vec<BarSeries>,
    /// Null baselines and the like, dashed.
    pub references: Vec<Reference>,
}

/// What values are held against.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reference {
    pub name: String,
    pub level: Level,
}

/// Where a reference lies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Level {
    /// A line across all categories.
    Everywhere(f64),
    /// A tick across the bars of each category that has a value.
    Each(Vec<Option<f64>>),
}

impl Reference {
    /// Its values with the places of their categories; no place where it is the same for all.
    pub fn values(&self) -> Vec<(Option<usize>, f64)> {
        match &self.level {
            Level::Everywhere(value) => vec![(None, *value)],
            Level::Each(values) => {
                values.iter().enumerate().filter_map(|(at, v)| Some((Some(at), (*v)?))).collect()
            }
        }
    }
}

/// Bars of one colour, one per category; `None` where there is no cell.
#[derive(Clone, Debug)]
pub(crate) struct BarSeries {
    pub name: String,
    pub values: Vec<Option<Height>>,
}

/// The height of a bar.
#[derive(Clone, Debug)]
pub(crate) struct Height {
    pub value: f64,
    pub interval: Option<(f64, f64)>,
    /// Values behind it where they are too few for an interval: dots on the bar.
    pub values: Vec<f64>,
}

/// Groups of boxes: quartiles, whiskers to the last value within 1.5 interquartile ranges, values
/// beyond as dots.
#[derive(Clone, Debug)]
pub(crate) struct Boxes {
    pub value: Scale,
    pub categories: Vec<String>,
    /// Name and, per category, its values.
    pub series: Vec<(String, Vec<Vec<f64>>)>,
    pub references: Vec<Reference>,
}

/// A cloud of points, with the points that nothing beats joined where it is a frontier.
#[derive(Clone, Debug)]
pub(crate) struct Scatter {
    pub x: Scale,
    pub y: Scale,
    pub series: Vec<Series>,
    /// Points on the frontier, ascending in x; empty where none is drawn.
    pub frontier: Vec<(f64, f64)>,
}

/// A matrix of values with the value written in each field.
#[derive(Clone, Debug)]
pub(crate) struct HeatMap {
    pub rows: Vec<String>,
    pub columns: Vec<String>,
    /// By row, then column; `None` is drawn as an empty field.
    pub values: Vec<Vec<Option<f64>>>,
    pub value: Scale,
    pub notation: Notation,
    /// Whether a high value means that much leaked: dark is always much leaked.
    pub high_is_leak: bool,
}

/// How the numbers of a heat map are written, all of them alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notation {
    /// With so many decimals.
    Decimals(usize),
    /// With a power of ten, such as 1.2e-5.
    Powers,
}

/// Pictures in rows and columns.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub heads: Vec<String>,
    pub rows: Vec<GridRow>,
}

/// Where pixels come from; paths can be opened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Picture {
    File(PathBuf),
    /// The absolute difference of two pictures.
    Difference(PathBuf, PathBuf),
    /// A picture that should be there: a frame with a dash.
    Gone,
}

/// One row of pictures.
#[derive(Clone, Debug)]
pub(crate) struct GridRow {
    /// Left of the row; may be empty.
    pub label: String,
    /// One per head; `None` where there is none.
    pub cells: Vec<Option<GridCell>>,
}

/// A picture with its score below.
#[derive(Clone, Debug)]
pub(crate) struct GridCell {
    pub picture: Picture,
    /// Such as "21.3 dB"; may be empty.
    pub caption: String,
}

/// The same pictures, row by row: the truth, and what each defense leaves of it, with numbers.
#[derive(Clone, Debug)]
pub(crate) struct Hero {
    /// The truth, one a column.
    pub truths: Vec<HeroPicture>,
    pub rows: Vec<HeroRow>,
}

impl Hero {
    /// What it shows, for a reader who cannot see it.
    fn alt(&self) -> String {
        let names: Vec<&str> = self.rows.iter().map(|row| row.name.as_str()).collect();
        format!(
            "{} pictures and what the strongest attack makes of them, one row each: {}",
            self.truths.len(),
            names.join("; ")
        )
    }
}

/// One defense.
#[derive(Clone, Debug)]
pub(crate) struct HeroRow {
    /// Left of the row.
    pub name: String,
    /// Below the name, in grey: the attack, the claim.
    pub notes: Vec<String>,
    pub shown: HeroShown,
    /// Right of the row: each a number with its name, then in grey what it is held against.
    pub values: Vec<Vec<String>>,
}

/// What stands in the middle of a row.
#[derive(Clone, Debug)]
pub(crate) enum HeroShown {
    /// One per truth.
    Pictures(Vec<HeroPicture>),
    /// Why there is none.
    Words(String),
}

/// A picture, or the word that stands in a frame where none can be read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HeroPicture {
    pub picture: Picture,
    pub word: String,
}
