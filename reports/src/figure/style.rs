//! The widths and letters of the venues that a figure is drawn for.

use crate::plot::canvas::COLUMN;
use std::str::FromStr;
use suites::SpecError;

/// TeX points in an inch (Knuth, The TeXbook, chapter 10); one point here is 1/72 inch.
const TEX_POINTS: f64 = 72.27;

/// Width of a report's text, in points: 7 inches, 2,100 dots of a PNG.
const PAGE: f64 = 504.0;

/// A venue's style by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StyleName {
    /// One column of 5.5 in (`\textwidth` of `neurips_2024.sty`), which is the page as well.
    Neurips,
    /// Two columns of 21 pc, 43 pc in all (`\textwidth` of `IEEEtran.cls`), which IEEE's guide
    /// rounds to 3.5 in and 7.16 in.
    Ieee,
    /// Two columns of 241.14749 pt, 506.295 pt in all (`\columnwidth` and `\textwidth` of
    /// `acmart.cls` with `sigconf`).
    Acm,
    /// One column of 150 mm (5.906 in): A4 with margins of 30 mm on both sides.
    Thesis,
}

impl std::fmt::Display for StyleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl StyleName {
    /// Every style.
    pub const ALL: [StyleName; 4] =
        [StyleName::Neurips, StyleName::Ieee, StyleName::Acm, StyleName::Thesis];

    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            StyleName::Neurips => "neurips",
            StyleName::Ieee => "ieee",
            StyleName::Acm => "acm",
            StyleName::Thesis => "thesis",
        }
    }
}

impl FromStr for StyleName {
    type Err = SpecError;

    fn from_str(name: &str) -> Result<Self, SpecError> {
        let found = Self::ALL.into_iter().find(|style| style.name() == name);
        found.ok_or_else(|| SpecError::unknown_name("style", name, Self::ALL.map(Self::name)))
    }
}

/// Widths, letters and lines of a style, in points (1/72 inch).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Width of one column of text.
    pub column: f64,
    /// Width of the whole text.
    pub page: f64,
    /// Letters of tick labels, legends and captions of pictures.
    pub tick: f64,
    /// Letters of axis titles.
    pub label: f64,
    /// Letters of the titles of facets.
    pub title: f64,
    /// Width of curves.
    pub line: f64,
    /// Width of axes and error bars.
    pub thin: f64,
    /// Radius of markers.
    pub marker: f64,
}

impl Style {
    /// That of reports: a column of 3.3 inches, a page of 7.
    pub fn report() -> Self {
        Style { column: COLUMN, page: PAGE, ..Style::named(StyleName::Acm) }
    }

    /// The style of a venue.
    pub fn named(name: StyleName) -> Self {
        let inches = |inches: f64| 72.0 * inches;
        let tex = |points: f64| 72.0 * points / TEX_POINTS;
        let (column, page) = match name {
            StyleName::Neurips => (inches(5.5), inches(5.5)),
            StyleName::Ieee => (tex(21.0 * 12.0), tex(43.0 * 12.0)),
            StyleName::Acm => (tex(241.14749), tex(506.295)),
            StyleName::Thesis => (inches(150.0 / 25.4), inches(150.0 / 25.4)),
        };
        Style { column, page, tick: 7.0, label: 8.0, title: 8.5, line: 1.0, thin: 0.6, marker: 2.2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_have_their_widths_and_letters() {
        let wide = |name| Style::named(name).column / 72.0;
        assert!((wide(StyleName::Neurips) - 5.5).abs() < 1e-9);
        assert!((wide(StyleName::Ieee) - 3.487).abs() < 1e-3);
        assert!((wide(StyleName::Acm) - 3.337).abs() < 1e-3);
        for style in StyleName::ALL.map(Style::named) {
            assert!(style.column <= style.page);
            // Seven to nine points, whichever point is meant.
            for size in [style.tick, style.label, style.title] {
                assert!(size >= 7.0 && size * TEX_POINTS / 72.0 <= 9.0);
            }
        }
    }

    #[test]
    fn a_misspelt_style_is_named() {
        assert_eq!("acm".parse::<StyleName>().unwrap(), StyleName::Acm);
        let message = "neurip".parse::<StyleName>().unwrap_err().to_string();
        assert!(message.contains("did you mean `neurips`?"), "{message}");
    }
}
