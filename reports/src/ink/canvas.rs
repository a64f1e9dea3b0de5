//! A display list in points (1/72 inch), drawn by plotters' backends to PNG (300 dpi) and SVG.
//!
//! Shapes go through plotters; pictures and letters are laid on top, in PNG by sampling at three times the resolution, in SVG
//! as elements of their own, so that pictures stay pixel-exact and text stays text.

use super::{font, svg};
use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::{RGBAColor, ShapeStyle};
use std::io::Cursor;

/// Width of a paper's column in points: 3.3 inches.
pub(crate) const COLUMN: f64 = 3.3 * 72.0;
/// Dots per point of a PNG: 300 dpi.
const DOTS: f64 = 300.0 / 72.0;
/// Samples per dot and direction, against jagged edges.
const SAMPLES: usize = 3;
/// Units per point in an SVG, whose shapes have whole coordinates.
pub(crate) const UNITS: f64 = 20.0;

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

enum Shape {
    Line(Vec<Point>, Stroke),
    Fill(Vec<Point>, Colour),
    Disc(Point, f64, Colour),
}

/// A picture at a place.
pub(crate) struct Picture {
    pub at: Point,
    pub size: (f64, f64),
    pub pixels: RgbImage,
}

/// A figure under construction.
pub(crate) struct Canvas {
    width: f64,
    height: f64,
    shapes: Vec<Shape>,
    pictures: Vec<Picture>,
    texts: Vec<Text>,
}

impl Canvas {
    /// A white figure of one column's width.
    pub fn new(height: f64) -> Self {
        Canvas { width: COLUMN, height, shapes: Vec::new(), pictures: Vec::new(), texts: Vec::new() }
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
        self.texts.push(text);
    }

    /// The figure as PNG.
    pub fn png(&self) -> Result<Vec<u8>, String> {
        let scale = DOTS * SAMPLES as f64;
        let dots = |length: f64| (length * DOTS).round().max(1.0) as u32;
        let (width, height) = (dots(self.width) * SAMPLES as u32, dots(self.height) * SAMPLES as u32);
        let mut samples = vec![255u8; width as usize * height as usize * 3];
        {
            let mut backend = BitMapBackend::with_buffer(&mut samples, (width, height));
            self.draw(&mut backend, scale)?;
        }
        let mut samples = RgbImage::from_raw(width, height, samples).ok_or("buffer and size disagree")?;
        self.pictures.iter().for_each(|picture| paste(&mut samples, picture, scale));
        self.texts.iter().for_each(|text| font::draw(&mut samples, text, scale));
        let mut file = Cursor::new(Vec::new());
        let encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Default, FilterType::Adaptive);
        average(&samples).write_with_encoder(encoder).map_err(|e| e.to_string())?;
        Ok(file.into_inner())
    }

    /// The figure as SVG.
    pub fn svg(&self) -> Result<String, String> {
        let (width, height) = ((self.width * UNITS).round() as u32, (self.height * UNITS).round() as u32);
        let mut svg = String::new();
        {
            let mut backend = SVGBackend::with_string(&mut svg, (width, height));
            self.draw(&mut backend, UNITS)?;
        }
        let inches = |length: f64| format!("{:.3}in", length / 72.0);
        let sized = format!("width=\"{}\" height=\"{}\"", inches(self.width), inches(self.height));
        let svg = svg.replacen(&format!("width=\"{width}\" height=\"{height}\""), &sized, 1);
        let body = svg.trim_end().strip_suffix("</svg>").ok_or("the SVG backend left its file open")?;
        let head_end = body.find('>').ok_or("the SVG backend wrote no head")? + 1;
        let paper = "\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>";
        let (head, shapes) = body.split_at(head_end);
        Ok(format!(
            "{head}{paper}{shapes}{}{}</svg>\n",
            svg::pictures(&self.pictures)?,
            svg::texts(&self.texts)
        ))
    }

    fn draw<B: DrawingBackend>(&self, backend: &mut B, scale: f64) -> Result<(), String> {
        let place = |(x, y): Point| ((x * scale).round() as i32, (y * scale).round() as i32);
        let style = |c: Colour, width: f64| ShapeStyle {
            color: RGBAColor(c.0, c.1, c.2, c.3),
            filled: true,
            stroke_width: (width * scale).round().max(1.0) as u32,
        };
        for shape in &self.shapes {
            let drawn = match shape {
                Shape::Fill(points, c) => {
                    backend.fill_polygon(points.iter().map(|p| place(*p)), &style(*c, 0.0))
                }
                Shape::Disc(centre, r, c) => {
                    backend.draw_circle(place(*centre), (r * scale).round() as u32, &style(*c, 0.0), true)
                }
                Shape::Line(points, stroke) => dashes(points, stroke.dash).iter().try_for_each(|piece| {
                    backend.draw_path(piece.iter().map(|p| place(*p)), &style(stroke.colour, stroke.width))
                }),
            };
            drawn.map_err(|e| e.to_string())?;
        }
        backend.present().map_err(|e| e.to_string())
    }
}

/// Lays a picture on the samples, each sample taking the pixel it lies in.
fn paste(samples: &mut RgbImage, picture: &Picture, scale: f64) {
    let (w, h) = ((picture.size.0 * scale).round() as u32, (picture.size.1 * scale).round() as u32);
    let (left, top) = ((picture.at.0 * scale).round() as i64, (picture.at.1 * scale).round() as i64);
    let pixels = &picture.pixels;
    for y in 0..h {
        for x in 0..w {
            let (px, py) =
                (u64::from(x) * u64::from(pixels.width()), u64::from(y) * u64::from(pixels.height()));
            let colour = *pixels.get_pixel((px / u64::from(w)) as u32, (py / u64::from(h)) as u32);
            put(samples, left + i64::from(x), top + i64::from(y), |sample| *sample = colour.0);
        }
    }
}

/// Changes one sample, if it lies within the figure.
pub(crate) fn put(samples: &mut RgbImage, x: i64, y: i64, change: impl FnOnce(&mut [u8; 3])) {
    if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
        && let Some(pixel) = samples.get_pixel_mut_checked(x, y)
    {
        change(&mut pixel.0);
    }
}

/// Averages the samples of each dot.
fn average(samples: &RgbImage) -> RgbImage {
    let n = SAMPLES as u32;
    RgbImage::from_fn(samples.width() / n, samples.height() / n, |x, y| {
        let mut sum = [0u32; 3];
        for (dx, dy) in (0..n).flat_map(|dx| (0..n).map(move |dy| (dx, dy))) {
            let pixel = samples.get_pixel(x * n + dx, y * n + dy).0;
            sum.iter_mut().zip(pixel).for_each(|(s, v)| *s += u32::from(v));
        }
        image::Rgb(sum.map(|s| ((s + n * n / 2) / (n * n)) as u8))
    })
}

/// Cuts a line into its dashes; one piece where it is solid.
fn dashes(points: &[Point], dash: Option<(f64, f64)>) -> Vec<Vec<Point>> {
    let Some((ink, gap)) = dash else { return vec![points.to_vec()] };
    let (mut pieces, mut piece) = (Vec::new(), vec![points[0]]);
    let (mut inked, mut left) = (true, ink);
    for pair in points.windows(2) {
        let (mut from, to) = (pair[0], pair[1]);
        loop {
            let length = (to.0 - from.0).hypot(to.1 - from.1);
            if length <= left {
                left -= length;
                piece.push(to);
                break;
            }
            let share = left / length;
            from = (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1));
            piece.push(from);
            if inked {
                pieces.push(std::mem::take(&mut piece));
            }
            piece = vec![from];
            inked = !inked;
            left = if inked { ink } else { gap };
        }
    }
    if inked && piece.len() > 1 {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_cover_the_share_of_ink() {
        let pieces = dashes(&[(0.0, 0.0), (7.0, 0.0), (7.0, 23.0)], Some((2.0, 1.0)));
        let length =
            |p: &Vec<Point>| p.windows(2).map(|w| (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1)).sum::<f64>();
        assert_eq!(pieces.len(), 10);
        assert!((pieces.iter().map(length).sum::<f64>() - 20.0).abs() < 1e-9);
    }

    #[test]
    fn a_figure_has_its_size_and_its_text() {
        let mut canvas = Canvas::new(36.0);
        canvas.text((10.0, 20.0), 8.0, Align::Start, "a < b & ε");
        canvas.picture((50.0, 5.0), (20.0, 20.0), RgbImage::from_pixel(2, 2, image::Rgb([200, 10, 10])));
        let png = image::load_from_memory(&canvas.png().unwrap()).unwrap().to_rgb8();
        assert_eq!(png.dimensions(), (990, 150));
        assert_eq!(png.get_pixel(250, 62).0, [200, 10, 10]);
        let dark = png.pixels().filter(|p| p.0.iter().all(|v| *v < 90)).count();
        assert!(dark > 100, "no letters were drawn");
        let svg = canvas.svg().unwrap();
        assert!(svg.contains("width=\"3.300in\" height=\"0.500in\"") && svg.contains("a &lt; b &amp; ε"));
        assert!(svg.contains("data:image/png;base64,") && svg.ends_with("</svg>\n"));
    }
}
