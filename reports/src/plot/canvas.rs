//! A display list in points (1/72 inch): shapes, then pictures on them, then letters; written as
//! PNG (300 dpi), SVG or PDF.

use super::{pdf, raster, svg};
use image::RgbImage;

/// Width of a paper's column in points: 3.3 inches.
pub(crate) const COLUMN: f64 = 3.3 * 72.0;

/// A place in points, from the top left.
pub(crate) type Point = (f64, f64);

/// Red, green, blue and opacity in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Colour(pub u8, pub u8, pub u8, pub f64);

impl Colour {
    /// The same with this opacity.
    pub fn fade(self, opacity: f64) -> Self {
        Colour(self.0, self.1, self.2, opacity)
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stroke {
    pub colour: Colour,
    /// In points.
    pub width: f64,
    /// Ink and gap in points.
    pub dash: Option<(f64, f64)>,
}

impl Stroke {
    pub fn solid(colour: Colour, width: f64) -> Self {
        Stroke { colour, width, dash: None }
    }
}

/// Where a text's anchor lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Align {
    Start,
    Middle,
    End,
}

/// One line of text; `y` is its base line.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub at: Point,
    pub size: f64,
    pub align: Align,
    pub colour: Colour,
    /// Reads upwards instead of to the right.
    pub upwards: bool,
    pub text: String,
    /// An exponent after the text.
    pub raised: String,
}

/// What lies below pictures and letters.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Line(Vec<Point>, Stroke),
    Fill(Vec<Point>, Colour),
    Disc(Point, f64, Colour),
}

/// A picture at a place.
#[derive(Clone)]
pub(crate) struct Picture {
    pub at: Point,
    pub size: (f64, f64),
    pub pixels: RgbImage,
}

/// A figure under construction.
#[derive(Clone)]
pub(crate) struct Canvas {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) shapes: Vec<Shape>,
    pub(super) pictures: Vec<Picture>,
    pub(super) texts: Vec<Text>,
    /// Whether an SVG holds the face.
    faced: bool,
}

impl Canvas {
    /// A white figure of this size in points, whose SVG holds its face.
    pub fn sized(width: f64, height: f64) -> Self {
        let (shapes, pictures, texts) = (Vec::new(), Vec::new(), Vec::new());
        Canvas { width, height, shapes, pictures, texts, faced: true }
    }

    /// The same with an SVG that takes whichever such face the reader has.
    pub fn without_face(self) -> Self {
        Canvas { faced: false, ..self }
    }

    /// Width and height in points.
    pub fn size(&self) -> (f64, f64) {
        (self.width, self.height)
    }

    /// The lines of text drawn so far.
    #[cfg(test)]
    pub fn letters(&self) -> &[Text] {
        &self.texts
    }

    /// Cuts or extends the figure at its foot.
    pub fn set_height(&mut self, height: f64) {
        self.height = height;
    }

    /// An open line through `points`; points that are not finite are left out.
    pub fn line(&mut self, points: &[Point], stroke: Stroke) {
        let points: Vec<Point> =
            points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
        if points.len() > 1 {
            self.shapes.push(Shape::Line(points, stroke));
        }
    }

    /// A filled polygon.
    pub fn fill(&mut self, points: &[Point], colour: Colour) {
        if points.len() > 2 && points.iter().all(|(x, y)| x.is_finite() && y.is_finite()) {
            self.shapes.push(Shape::Fill(points.to_vec(), colour));
        }
    }

    /// A filled circle.
    pub fn disc(&mut self, centre: Point, radius: f64, colour: Colour) {
        self.shapes.push(Shape::Disc(centre, radius, colour));
    }

    /// A picture, its pixels as squares.
    pub fn picture(&mut self, at: Point, size: (f64, f64), pixels: RgbImage) {
        self.pictures.push(Picture { at, size, pixels });
    }

    /// Plain dark text.
    pub fn text(&mut self, at: Point, size: f64, align: Align, text: impl Into<String>) {
        let colour = super::palette::INK;
        self.write(Text {
            at,
            size,
            align,
            colour,
            upwards: false,
            text: text.into(),
            raised: String::new(),
        });
    }

    /// Any text.
    pub fn write(&mut self, text: Text) {
        if !text.text.is_empty() || !text.raised.is_empty() {
            self.texts.push(text);
        }
    }

    /// The figure as PNG of 300 dpi.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        raster::png(self)
    }

    /// The figure as SVG.
    pub fn svg(&self) -> Result<String, String> {
        svg::document(self, self.faced)
    }

    /// The figure as PDF of one page of its size, with its face inside.
    pub fn pdf(&self) -> Result<Vec<u8>, String> {
        pdf::document(self)
    }

    /// Lays another figure below this one, its top at `top`.
    pub fn append(&mut self, other: Canvas, top: f64) {
        let to = |(x, y): Point| (x, y + top);
        self.shapes.extend(other.shapes.into_iter().map(|shape| shape.moved(to)));
        self.pictures.extend(other.pictures.into_iter().map(|p| Picture { at: to(p.at), ..p }));
        self.texts.extend(other.texts.into_iter().map(|t| Text { at: to(t.at), ..t }));
    }
}

impl Shape {
    fn moved(self, to: impl Fn(Point) -> Point) -> Self {
        let all = |points: Vec<Point>| points.into_iter().map(&to).collect();
        match self {
            Shape::Line(points, stroke) => Shape::Line(all(points), stroke),
            Shape::Fill(points, colour) => Shape::Fill(all(points), colour),
            Shape::Disc(centre, radius, colour) => Shape::Disc(to(centre), radius, colour),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_its_size_and_its_text() {
        let mut canvas = Canvas::sized(COLUMN, 36.0);
        canvas.text((10.0, 20.0), 8.0, Align::Start, "a < b & ε");
        canvas.picture(
            (50.0, 5.0),
            (20.0, 20.0),
            RgbImage::from_pixel(2, 2, image::Rgb([200, 10, 10])),
        );
        let png = image::load_from_memory(&canvas.png().unwrap()).unwrap().to_rgb8();
        assert_eq!(png.dimensions(), (990, 150));
        assert_eq!(png.get_pixel(250, 62).0, [200, 10, 10]);
        let dark = png.pixels().filter(|p| p.0.iter().all(|v| *v < 90)).count();
        assert!(dark > 100, "no letters were drawn");
        let svg = canvas.svg().unwrap();
        assert!(
            svg.contains("width=\"3.300in\" height=\"0.500in\"")
                && svg.contains("a &lt; b &amp; ε")
        );
        assert!(svg.contains("data:image/png;base64,") && svg.ends_with("</svg>\n"));
    }
}
