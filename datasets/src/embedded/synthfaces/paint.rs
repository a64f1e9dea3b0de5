//! Colours, distances and coverage: the few primitives that the face is painted with.
//!
//! Anti-aliasing is analytic: a shape gives its signed distance at the pixel's centre (negative
//! inside), and the pixel takes the share of its width that the edge leaves covered.

/// Linear red, green, blue; 0 is black, 1 white.
pub(super) type Rgb = [f32; 3];

/// `a` where `t` is 0, `b` where it is 1.
pub(super) fn mix(a: Rgb, b: Rgb, t: f32) -> Rgb {
    [0, 1, 2].map(|c| a[c] + (b[c] - a[c]) * t)
}

/// Every channel times `by`.
pub(super) fn scale(a: Rgb, by: f32) -> Rgb {
    a.map(|v| v * by)
}

/// 0 below `from`, 1 above `to`, a smooth cubic between; `from` may be the larger.
pub(super) fn smooth(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A bump of height 1 at the centre that vanishes on the ellipse with half axes `rx`, `ry`.
pub(super) fn bump(x: f32, y: f32, rx: f32, ry: f32) -> f32 {
    let inside = (1.0 - (x / rx) * (x / rx) - (y / ry) * (y / ry)).max(0.0);
    inside * inside
}

/// Share of a pixel of width `px` that lies inside an edge at signed distance `d`.
pub(super) fn cover(d: f32, px: f32) -> f32 {
    (0.5 - d / px).clamp(0.0, 1.0)
}

/// Signed distance to an axis-parallel ellipse, to first order (exact on its edge).
pub(super) fn ellipse(x: f32, y: f32, rx: f32, ry: f32) -> f32 {
    let (nx, ny) = (x / rx, y / ry);
    let f = nx * nx + ny * ny - 1.0;
    let slope = 2.0 * ((nx / rx) * (nx / rx) + (ny / ry) * (ny / ry)).sqrt();
    f / slope.max(1e-3)
}

/// Signed distance to a rectangle of half sizes `hx`, `hy` with corners rounded by `r`.
pub(super) fn rounded(x: f32, y: f32, hx: f32, hy: f32, r: f32) -> f32 {
    let (qx, qy) = (x.abs() - hx + r, y.abs() - hy + r);
    let (ox, oy) = (qx.max(0.0), qy.max(0.0));
    (ox * ox + oy * oy).sqrt() + qx.max(qy).min(0.0) - r
}

/// Distance to the segment from `a` to `b`.
pub(super) fn segment(x: f32, y: f32, a: (f32, f32), b: (f32, f32)) -> f32 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (px, py) = (x - a.0, y - a.1);
    let t = ((px * dx + py * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
    let (rx, ry) = (px - t * dx, py - t * dy);
    (rx * rx + ry * ry).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_negative_inside_and_zero_on_the_edge() {
        assert!(ellipse(0.1, 0.0, 2.0, 1.0) < 0.0 && ellipse(2.0, 0.0, 2.0, 1.0).abs() < 1e-6);
        assert!((rounded(3.0, 0.0, 2.0, 1.0, 0.2) - 1.0).abs() < 1e-6);
        assert!((segment(0.0, 2.0, (-1.0, 0.0), (1.0, 0.0)) - 2.0).abs() < 1e-6);
    }

    #[test]
    fn an_edge_through_the_pixel_covers_half() {
        assert_eq!(cover(0.0, 0.1), 0.5);
        assert_eq!((cover(-1.0, 0.1), cover(1.0, 0.1)), (1.0, 0.0));
    }
}
