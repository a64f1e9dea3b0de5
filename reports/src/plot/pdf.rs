//! A figure as PDF: one page of its size; shapes as paths, letters as text in the embedded face,
//! pictures as images.
//!
//! The file holds no date and no random id, so the same figure gives the same bytes.

use super::canvas::{Canvas, Colour, Picture, Point, Shape, Text};
use super::font::{self, RAISE, RAISED};
use image::ImageFormat;
use krilla::color::rgb;
use krilla::configure::{ConfigurationBuilder, PdfVersion};
use krilla::geom::{Path, PathBuilder, Point as Place, Size, Transform};
use krilla::image::Image;
use krilla::num::NormalizedF32;
use krilla::page::PageSettings;
use krilla::paint::{Fill, FillRule, LineCap, LineJoin, Stroke as Line, StrokeDash};
use krilla::surface::Surface;
use krilla::text::{Font, GlyphId, KrillaGlyph};
use krilla::{Document, SerializeSettings};
use std::io::Cursor;

/// Control points of a cubic Bezier curve closest to a quarter of a circle, against its radius.
const ROUND: f64 = 0.552_284_75;

/// The figure as PDF 1.5, which every TeX engine can include.
pub(super) fn document(canvas: &Canvas) -> Result<Vec<u8>, String> {
    let configuration = ConfigurationBuilder::new()
        .with_version(PdfVersion::Pdf15)
        .finish()
        .map_err(|e| format!("{e:?}"))?;
    let settings = SerializeSettings { configuration, ..SerializeSettings::default() };
    let mut document = Document::new_with(settings);
    let size = PageSettings::from_wh(canvas.width as f32, canvas.height as f32)
        .ok_or("a figure without area")?;
    let face = Font::new(font::FILE.into(), 0).ok_or("the embedded face is unreadable")?;
    let mut page = document.start_page_with(size);
    let mut surface = page.surface();
    canvas.shapes.iter().for_each(|shape| draw_shape(&mut surface, shape));
    for picture in &canvas.pictures {
        draw_picture(&mut surface, picture)?;
    }
    canvas.texts.iter().for_each(|text| draw_text(&mut surface, &face, text));
    surface.finish();
    page.finish();
    document.finish().map_err(|e| format!("{e:?}"))
}

fn draw_shape(surface: &mut Surface, shape: &Shape) {
    let (path, fill, stroke) = match shape {
        Shape::Line(points, stroke) => (path(points, false), None, Some(line(stroke))),
        Shape::Fill(points, colour) => (path(points, true), Some(fill(*colour)), None),
        Shape::Disc(centre, radius, colour) => {
            (circle(*centre, *radius), Some(fill(*colour)), None)
        }
    };
    let Some(path) = path else { return };
    surface.set_fill(fill);
    surface.set_stroke(stroke);
    surface.draw_path(&path);
}

fn ink(colour: Colour) -> rgb::Color {
    rgb::Color::new(colour.0, colour.1, colour.2)
}

fn opacity(colour: Colour) -> NormalizedF32 {
    NormalizedF32::new(colour.3 as f32).unwrap_or(NormalizedF32::ONE)
}

fn fill(colour: Colour) -> Fill {
    Fill { paint: ink(colour).into(), opacity: opacity(colour), rule: FillRule::NonZero }
}

fn line(stroke: &super::canvas::Stroke) -> Line {
    let dash =
        |(ink, gap): (f64, f64)| StrokeDash { array: vec![ink as f32, gap as f32], offset: 0.0 };
    Line {
        paint: ink(stroke.colour).into(),
        width: stroke.width as f32,
        miter_limit: 10.0,
        line_cap: LineCap::Butt,
        line_join: LineJoin::Round,
        opacity: opacity(stroke.colour),
        dash: stroke.dash.map(dash),
    }
}

fn path(points: &[Point], closed: bool) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (at, (x, y)) in points.iter().enumerate() {
        if at == 0 {
            path.move_to(*x as f32, *y as f32)
        } else {
            path.line_to(*x as f32, *y as f32)
        }
    }
    if closed {
        path.close();
    }
    path.finish()
}

fn circle((x, y): Point, r: f64) -> Option<Path> {
    let mut path = PathBuilder::new();
    let at = |dx: f64, dy: f64| ((x + r * dx) as f32, (y + r * dy) as f32);
    let start = at(1.0, 0.0);
    path.move_to(start.0, start.1);
    // A quarter turn takes (dx, dy) to (-dy, dx).
    let mut corner = (1.0, 0.0);
    for _ in 0..4 {
        let (dx, dy): (f64, f64) = corner;
        let next = (-dy, dx);
        let (a, b) = (
            at(dx + ROUND * next.0, dy + ROUND * next.1),
            at(next.0 + ROUND * dx, next.1 + ROUND * dy),
        );
        let end = at(next.0, next.1);
        path.cubic_to(a.0, a.1, b.0, b.1, end.0, end.1);
        corner = next;
    }
    path.close();
    path.finish()
}

fn draw_picture(surface: &mut Surface, picture: &Picture) -> Result<(), String> {
    let mut png = Cursor::new(Vec::new());
    picture.pixels.write_to(&mut png, ImageFormat::Png).map_err(|e| e.to_string())?;
    let image = Image::from_png(png.into_inner().into(), false)?;
    let size = Size::from_wh(picture.size.0 as f32, picture.size.1 as f32)
        .ok_or("a picture without area")?;
    surface.push_transform(&Transform::from_translate(picture.at.0 as f32, picture.at.1 as f32));
    surface.draw_image(image, size);
    surface.pop();
    Ok(())
}

fn draw_text(surface: &mut Surface, face: &Font, text: &Text) {
    let turn = if text.upwards { -90.0 } else { 0.0 };
    let (x, y) = (text.at.0 as f32, text.at.1 as f32);
    surface.push_transform(&Transform::from_row(1.0, 0.0, 0.0, 1.0, x, y));
    surface.push_transform(&Transform::from_rotate(turn));
    surface.set_stroke(None);
    surface.set_fill(Some(fill(text.colour)));
    let start = font::start(text);
    run(surface, face, (start, 0.0), &text.text, text.size);
    let after = start + font::width(&text.text, text.size);
    run(surface, face, (after, -text.size * RAISE), &text.raised, text.size * RAISED);
    surface.pop();
    surface.pop();
}

fn run(surface: &mut Surface, face: &Font, (x, y): Point, letters: &str, size: f64) {
    if letters.is_empty() {
        return;
    }
    let ranges = letters.char_indices().map(|(at, c)| at..at + c.len_utf8());
    let glyph = |((id, wide), range): ((u16, f64), std::ops::Range<usize>)| {
        KrillaGlyph::new(GlyphId::new(u32::from(id)), wide as f32, 0.0, 0.0, 0.0, range, None)
    };
    let glyphs: Vec<KrillaGlyph> =
        font::glyphs(letters).into_iter().zip(ranges).map(glyph).collect();
    surface.draw_glyphs(
        Place::from_xy(x as f32, y as f32),
        &glyphs,
        face.clone(),
        letters,
        size as f32,
        false,
    );
}
