//! A figure as SVG: shapes by plotters' backend; pictures and texts as elements of their own, so
//! that pictures stay pixel-exact and text stays text.

use super::canvas::{Align, Canvas, Colour, Picture, Text};
use super::{font, shapes};
use base64::Engine;
use image::ImageFormat;
use plotters::backend::SVGBackend;
use std::fmt::Write;
use std::io::Cursor;

/// Units per point, since plotters' shapes have whole coordinates.
const UNITS: f64 = 20.0;

/// The embedded face has the widths of Arial, which most readers have under one of these names.
const FAMILIES: &str = "Arial, 'Liberation Sans', Helvetica, sans-serif";

/// The figure, with or without the face in it.
///
/// Without, letters are those of whichever of the named faces the reader has; with, they are the
/// same everywhere.
pub(super) fn document(canvas: &Canvas, with_face: bool) -> Result<String, String> {
    let (width, height) =
        ((canvas.width * UNITS).round() as u32, (canvas.height * UNITS).round() as u32);
    let mut svg = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut svg, (width, height));
        shapes::draw(canvas, &mut backend, UNITS)?;
    }
    let sized = format!("width=\"{}\" height=\"{}\"", inches(canvas.width), inches(canvas.height));
    let svg = svg.replacen(&format!("width=\"{width}\" height=\"{height}\""), &sized, 1);
    let body = svg.trim_end().strip_suffix("</svg>").ok_or("the SVG backend left its file open")?;
    let head_end = body.find('>').ok_or("the SVG backend wrote no head")? + 1;
    let paper = "\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>";
    let (head, shapes) = body.split_at(head_end);
    let face = if with_face { face() } else { String::new() };
    let family = if with_face { "'Bench Sans', Arial, sans-serif" } else { FAMILIES };
    let texts: String = canvas.texts.iter().map(|text| element(text, family)).collect();
    Ok(format!("{head}{face}{paper}{shapes}{}{texts}</svg>\n", pictures(&canvas.pictures)?))
}

/// Inches with three decimals, or more where a length is none of these.
fn inches(points: f64) -> String {
    let inches = points / 72.0;
    let short = format!("{inches:.3}");
    let exact = short.parse::<f64>().is_ok_and(|v| (v - inches).abs() < 5e-6);
    if exact { format!("{short}in") } else { format!("{inches:.6}in") }
}

/// A style element that holds the embedded face.
fn face() -> String {
    let data = base64::engine::general_purpose::STANDARD.encode(font::FILE);
    format!(
        "\n<style>@font-face{{font-family:'Bench \
         Sans';src:url(data:font/ttf;base64,{data}) format('truetype')}}\
         text{{font-kerning:none}}</style>"
    )
}

/// The pictures as elements, their pixels kept as they are.
fn pictures(pictures: &[Picture]) -> Result<String, String> {
    let mut out = String::new();
    for picture in pictures {
        let mut png = Cursor::new(Vec::new());
        picture.pixels.write_to(&mut png, ImageFormat::Png).map_err(|e| e.to_string())?;
        let data = base64::engine::general_purpose::STANDARD.encode(png.into_inner());
        let ((x, y), (w, h)) = (picture.at, picture.size);
        let [x, y, w, h] = [x, y, w, h].map(|v| v * UNITS);
        let _ = writeln!(
            out,
            "<image x=\"{x:.0}\" y=\"{y:.0}\" width=\"{w:.0}\" height=\"{h:.0}\" \
             preserveAspectRatio=\"none\" \
             style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{data}\"/>"
        );
    }
    Ok(out)
}

fn element(text: &Text, family: &str) -> String {
    let (x, y) = (text.at.0 * UNITS, text.at.1 * UNITS);
    let size = text.size * UNITS;
    let anchor = match text.align {
        Align::Start => "start",
        Align::Middle => "middle",
        Align::End => "end",
    };
    let turn = if text.upwards {
        format!(" transform=\"rotate(-90 {x:.0} {y:.0})\"")
    } else {
        String::new()
    };
    let Colour(r, g, b, _) = text.colour;
    let raised = if text.raised.is_empty() {
        String::new()
    } else {
        format!(
            "<tspan dy=\"{:.0}\" font-size=\"{:.0}\">{}</tspan>",
            -size * font::RAISE,
            size * font::RAISED,
            escape(&text.raised)
        )
    };
    // Stating the length keeps another face from running out of its place.
    let length = if text.raised.is_empty() && text.text.chars().count() > 1 {
        let length = font::width(&text.text, text.size) * UNITS;
        format!(" textLength=\"{length:.0}\" lengthAdjust=\"spacingAndGlyphs\"")
    } else {
        String::new()
    };
    format!(
        "<text x=\"{x:.0}\" y=\"{y:.0}\" font-family=\"{family}\" font-size=\"{size:.0}\" \
         text-anchor=\"{anchor}\" \
         fill=\"#{r:02x}{g:02x}{b:02x}\"{length}{turn}>{}{raised}</text>\n",
        escape(&text.text)
    )
}

/// XML text; characters that XML forbids are left out.
fn escape(text: &str) -> String {
    let allowed = text.chars().filter(|c| !c.is_control());
    allowed.collect::<String>().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
