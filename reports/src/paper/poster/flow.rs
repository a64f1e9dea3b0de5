//! Text that runs down a column.

use crate::ink::canvas::{Align, Canvas, Colour, Text};
use crate::ink::font;

/// Distance of base lines against the size of the letters.
pub(super) const LEAD: f64 = 1.25;
/// Headings.
pub(super) const ACCENT: Colour = Colour(0x00, 0x4c, 0x7a, 1.0);
/// Letters of headings and of running text, in points.
const HEADING: f64 = 11.0;
const TEXT: f64 = 7.6;

/// A column of the page; `y` is where the next thing goes.
pub(super) struct Flow {
    pub x: f64,
    pub y: f64,
    pub width: f64,
}

impl Flow {
    pub fn new(x: f64, y: f64, width: f64) -> Self {
        Flow { x, y, width }
    }

    /// A heading in the accent's colour.
    pub fn heading(&mut self, canvas: &mut Canvas, text: &str) {
        for line in font::wrap(text, HEADING, self.width, 2) {
            self.y += HEADING;
            canvas.write(Text {
                at: (self.x, self.y),
                size: HEADING,
                align: Align::Start,
                colour: ACCENT,
                upwards: false,
                text: line,
                raised: String::new(),
            });
            self.y += HEADING * (LEAD - 1.0);
        }
        self.y += 3.0;
    }

    /// A paragraph.
    pub fn text(&mut self, canvas: &mut Canvas, text: &str, size: f64) {
        // Words come from messages that mark names as code does.
        let text = text.replace('`', "");
        for line in font::wrap(&text, size, self.width, 40).into_iter().filter(|l| !l.is_empty()) {
            self.y += size;
            canvas.text((self.x, self.y), size, Align::Start, line);
            self.y += size * (LEAD - 1.0);
        }
    }

    /// A heading with its paragraphs.
    pub fn section(&mut self, canvas: &mut Canvas, title: &str, paragraphs: &[String]) {
        self.heading(canvas, title);
        for paragraph in paragraphs {
            self.text(canvas, paragraph, TEXT);
            self.y += 2.5;
        }
        self.y += 7.0;
    }
}
