//! Lines, areas and discs through a backend of plotters.

use super::canvas::{Canvas, Colour, Point, Shape};
use plotters::backend::DrawingBackend;
use plotters::style::{RGBAColor, ShapeStyle};

/// Draws the shapes of a figure, of which a point has `scale` units of the backend.
pub(super) fn draw<B: DrawingBackend>(
    canvas: &Canvas,
    backend: &mut B,
    scale: f64,
) -> Result<(), String> {
    let place = |(x, y): Point| ((x * scale).round() as i32, (y * scale).round() as i32);
    let style = |c: Colour, width: f64| ShapeStyle {
        color: RGBAColor(c.0, c.1, c.2, c.3),
        filled: true,
        stroke_width: (width * scale).round().max(1.0) as u32,
    };
    for shape in &canvas.shapes {
        let drawn = match shape {
            Shape::Fill(points, c) => {
                backend.fill_polygon(points.iter().map(|p| place(*p)), &style(*c, 0.0))
            }
            Shape::Disc(centre, r, c) => backend.draw_circle(
                place(*centre),
                (r * scale).round() as u32,
                &style(*c, 0.0),
                true,
            ),
            Shape::Line(points, stroke) => {
                dashes(points, stroke.dash).iter().try_for_each(|piece| {
                    backend.draw_path(
                        piece.iter().map(|p| place(*p)),
                        &style(stroke.colour, stroke.width),
                    )
                })
            }
        };
        drawn.map_err(|e| e.to_string())?;
    }
    backend.present().map_err(|e| e.to_string())
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
        let length = |p: &Vec<Point>| {
            p.windows(2).map(|w| (w[1].0 - w[0].0).hypot(w[1].1 - w[0].1)).sum::<f64>()
        };
        assert_eq!(pieces.len(), 10);
        assert!((pieces.iter().map(length).sum::<f64>() - 20.0).abs() < 1e-9);
    }
}
