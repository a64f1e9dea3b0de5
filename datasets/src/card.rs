//! What is known about a data set before any of it is read.

use serde::{Deserialize, Serialize};

/// Mean per channel of colour photographs (ImageNet's).
pub(crate) const IMAGENET_MEAN: [f64; 3] = [0.485, 0.456, 0.406];
/// Standard deviation per channel of colour photographs (ImageNet's).
pub(crate) const IMAGENET_STD: [f64; 3] = [0.229, 0.224, 0.225];

/// Pictures or rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `x` is `[B, C, H, W]`.
    Image,
    /// `x` is `[B, F]`.
    Table,
}

/// How labels are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelKind {
    /// One class per example: `y` is `i64 [B]` in `0..classes`. Binary and ordinal labels are of
    /// this kind.
    MultiClass,
    /// Any number of classes per example: `y` is `f32 [B, classes]` of zeros and ones.
    MultiLabel,
}

/// A column of a table, scaled linearly: `low` became 0 and `high` 1, what lies outside is clamped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// The raw value that becomes 0. No row of the data sets it: it stands beside released models.
    pub low: f64,
    /// The raw value that becomes 1, likewise.
    pub high: f64,
}

impl Column {
    /// The scaled value; a column without a span becomes 0.
    pub fn scale(&self, value: f64) -> f32 {
        if self.high > self.low {
            ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0) as f32
        } else {
            0.0
        }
    }
}

/// A data set's description: shape, classes, customary normalisation, origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// The name it is asked for by.
    pub name: String,
    /// Its full title.
    pub title: String,
    /// Pictures or a table.
    pub kind: Kind,
    /// Colour channels; for a table the number of features.
    pub channels: usize,
    /// Height in pixels; 1 for a table.
    pub height: usize,
    /// Width in pixels; 1 for a table.
    pub width: usize,
    /// Number of classes (of labels, where these are multi-label).
    pub classes: usize,
    /// One class per example or several.
    pub labels: LabelKind,
    /// Customary mean per channel, of values in `[0, 1]`; a model's first layer subtracts it.
    pub mean: Vec<f64>,
    /// Customary standard deviation per channel, of values in `[0, 1]`; a model's first layer
    /// divides by it.
    pub std: Vec<f64>,
    /// Licence or terms of use.
    pub licence: String,
    /// Where it comes from (paper, address).
    pub source: String,
    /// Names of the classes, in the order of their numbers.
    pub class_names: Vec<String>,
    /// Of a table: its columns, and what scaled each; empty otherwise.
    #[serde(default)]
    pub columns: Vec<Column>,
    /// What is special about the copy that was opened, for instance images that are listed but
    /// absent.
    pub notes: Vec<String>,
}

impl Card {
    /// A card of colour images with one label each, all values centred on 0.5. The loader adds
    /// shape and classes.
    pub fn new(
        name: &str,
        title: impl Into<String>,
        licence: &str,
        source: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            title: title.into(),
            kind: Kind::Image,
            channels: 3,
            height: 0,
            width: 0,
            classes: 0,
            labels: LabelKind::MultiClass,
            mean: vec![0.5; 3],
            std: vec![0.5; 3],
            licence: licence.into(),
            source: source.into(),
            class_names: Vec::new(),
            columns: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The same card for square images of `side` pixels.
    pub fn square(self, side: usize) -> Self {
        Self { height: side, width: side, ..self }
    }

    /// The same card with these classes, in the order of their numbers.
    pub fn with_classes(self, names: impl IntoIterator<Item: Into<String>>) -> Self {
        let class_names: Vec<String> = names.into_iter().map(Into::into).collect();
        Self { classes: class_names.len(), class_names, ..self }
    }
}
