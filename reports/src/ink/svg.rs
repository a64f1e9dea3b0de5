//! Pictures and texts of an SVG, which plotters' backend does not write as they are wanted.

use super::canvas::{Align, Colour, Picture, Text, UNITS};
use super::font;
use base64::Engine;
use image::ImageFormat;
use std::fmt::Write;
use std::io::Cursor;

/// The pictures as elements, their pixels kept as they are.
pub(super) fn pictures(pictures: &[Picture]) -> Result<String, String> {
    let mut out = String::new();
    for picture in pictures {
        let mut png = Cursor::new(Vec::new());
        picture.pixels.write_to(&mut png, ImageFormat::Png).map_err(|e| e.to_string())?;
        let data = base64::engine::general_purpose::STANDARD.encode(png.into_inner());
        let ((x, y), (w, h)) = (picture.at, picture.size);
        let [x, y, w, h] = [x, y, w, h].map(|v| v * UNITS);
        let _ = writeln!(
            out,
            "<image x=\"{x:.0}\" y=\"{y:.0}\" width=\"{w:.0}\" height=\"{h:.0}\" preserveAspectRatio=\"none\" \
             style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{data}\"/>"
        );
    }
    Ok(out)
}

/// The texts as elements.
pub(super) fn texts(texts: &[Text]) -> String {
    texts.iter().map(element).collect()
}

fn element(text: &Text) -> String {
    let (x, y) = (text.at.0 * UNITS, text.at.1 * UNITS);
    let size = text.size * UNITS;
    let anchor = match text.align {
        Align::Start => "start",
        Align::Middle => "middle",
        Align::End => "end",
    };
    let turn = if text.upwards { format!(" transform=\"rotate(-90 {x:.0} {y:.0})\"") } else { String::new() };
    let Colour(r, g, b, _) = text.colour;
    let raised = match text.raised.is_empty() {
        true => String::new(),
        false => format!(
            "<tspan dy=\"{:.0}\" font-size=\"{:.0}\">{}</tspan>",
            -size * font::RAISE,
            size * font::RAISED,
            escape(&text.raised)
        ),
    };
    // The embedded face has the widths of Arial, which most readers have under one of these names. Stating the length keeps
    // another face from running out of its place.
    let length = match text.raised.is_empty() && text.text.chars().count() > 1 {
        true => {
            let length = font::width(&text.text, text.size) * UNITS;
            format!(" textLength=\"{length:.0}\" lengthAdjust=\"spacingAndGlyphs\"")
        }
        false => String::new(),
    };
    format!(
        "<text x=\"{x:.0}\" y=\"{y:.0}\" font-family=\"Arial, 'Liberation Sans', Helvetica, sans-serif\" font-size=\"{size:.0}\" \
         text-anchor=\"{anchor}\" fill=\"#{r:02x}{g:02x}{b:02x}\"{length}{turn}>{}{raised}</text>\n",
        escape(&text.text)
    )
}

/// XML text; characters that XML forbids are left out.
fn escape(text: &str) -> String {
    let allowed = text.chars().filter(|c| !c.is_control());
    allowed.collect::<String>().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
