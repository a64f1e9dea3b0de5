//! The words of figures and tables, and the keys that each kind of figure understands.

use crate::string_enum::string_enum;

/// What a figure shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FigureKind {
    /// `"grid"`: truths above reconstructions.
    Grid,
    /// `"metric-vs-parameter"`: a measure against a setting.
    MetricVsParameter,
    /// `"bar"`: means with intervals.
    Bar,
    /// `"box"`: the spread over images.
    Box,
    /// `"scatter"`: one measure against another.
    Scatter,
    /// `"frontier"`: what the task is worth against what leaks.
    Frontier,
    /// `"heat-map"`: means of a measure over two settings.
    HeatMap,
    /// `"roc"`: reconstructions against a null baseline, or a verification.
    Roc,
    /// `"learning-curve"`: a measure against the rounds trained before.
    LearningCurve,
    /// `"success-vs-budget"`: the success rate against what the attack cost.
    SuccessVsBudget,
    /// `"montage"`: the best reconstructions of the run.
    Montage,
    /// `"hero"`: what the strongest attack on each defense makes of the same pictures.
    Hero,
}
string_enum!(
    FigureKind,
    "kind of figure",
    Grid = "grid",
    MetricVsParameter = "metric-vs-parameter",
    Bar = "bar",
    Box = "box",
    Scatter = "scatter",
    Frontier = "frontier",
    HeatMap = "heat-map",
    Roc = "roc",
    LearningCurve = "learning-curve",
    SuccessVsBudget = "success-vs-budget",
    Montage = "montage",
    Hero = "hero",
);

/// Keys that every figure has.
pub(super) const COMMON: [&str; 5] = ["name", "kind", "filter", "caption", "width"];

impl FigureKind {
    /// The keys that it understands beside those of every figure.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            FigureKind::Grid => &["rows", "y", "images", "transpose"],
            FigureKind::MetricVsParameter => {
                &["x", "y", "rows", "columns", "colour", "null", "log", "log_y"]
            }
            FigureKind::Bar => &["x", "y", "rows", "columns", "colour", "null"],
            FigureKind::Box => &["x", "y", "rows", "columns", "colour", "null", "log_y"],
            FigureKind::Scatter => {
                &["x", "y", "rows", "columns", "colour", "null", "per", "log", "log_y"]
            }
            FigureKind::Frontier => &["x", "y", "rows", "columns", "colour", "labels"],
            FigureKind::HeatMap => &["rows", "columns", "y"],
            FigureKind::Roc => &["y", "rows", "columns", "colour", "null", "from"],
            FigureKind::LearningCurve => {
                &["x", "y", "rows", "columns", "colour", "null", "from", "log", "log_y"]
            }
            FigureKind::SuccessVsBudget => {
                &["x", "y", "rows", "columns", "colour", "threshold", "log"]
            }
            FigureKind::Montage => &["y", "top", "per_row"],
            FigureKind::Hero => &["images"],
        }
    }

    /// The width that it has where none is given.
    pub(super) fn width(self) -> FigureWidth {
        if self == FigureKind::Hero { FigureWidth::Page } else { FigureWidth::Column }
    }

    /// The keys without which it means nothing.
    pub(super) fn needs(self) -> &'static [&'static str] {
        match self {
            FigureKind::MetricVsParameter | FigureKind::Scatter => &["x", "y"],
            _ => &[],
        }
    }
}

/// The width of a figure on the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FigureWidth {
    /// `"column"`: one column of the text.
    #[default]
    Column,
    /// `"page"`: the whole width of the text.
    Page,
}
string_enum!(FigureWidth, "width", Column = "column", Page = "page");

/// What a point of a scatter plot stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// `"image"`
    Image,
    /// `"cell"`: means of one cell.
    Cell,
}
string_enum!(Per, "kind of point", Image = "image", Cell = "cell");

/// Which value of a table's column is set in bold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bold {
    /// `"none"`
    #[default]
    None,
    /// `"best"`: where the attack got most; of accuracies the highest, of costs the lowest.
    Best,
    /// `"least"`: where the attack got least; of accuracies the highest, of costs the lowest.
    Least,
}
string_enum!(Bold, "choice of bold", None = "none", Best = "best", Least = "least");

/// What stands beside a mean in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// `"interval"`: the 95 % interval.
    #[default]
    Interval,
    /// `"sd"`: the sample standard deviation.
    Sd,
    /// `"none"`
    None,
}
string_enum!(Spread, "spread", Interval = "interval", Sd = "sd", None = "none");
