//! Hats and glasses.

use super::face::{Face, Point};
use super::features::EYES;
use super::paint::{Rgb, bump, cover, ellipse, mix, rounded, scale, segment, smooth};
use super::traits::Hat;

/// Paints what the shot wears over the finished head.
pub(super) fn paint(face: &Face, p: Point, under: Rgb) -> Rgb {
    let c = if face.shot.glasses { glasses(face, p, under) } else { under };
    match face.shot.hat {
        Some(hat) => wear(face, p, c, hat),
        None => c,
    }
}

fn glasses(face: &Face, p: Point, under: Rgb) -> Rgb {
    let who = face.person;
    if (p.t - EYES).abs() > 0.35 || p.edge > 0.3 {
        return under;
    }
    let (hx, hy, radius) = who.lens;
    // Frames thinner than a pixel would vanish in small pictures.
    let half = (0.55 * p.px).max(0.026);
    let centre = (who.eye_gap * 1.02).max(hx + 0.05);
    let a = p.s.abs();
    let rim = rounded(a - centre, p.t - EYES - 0.03, hx, hy, radius);
    let bridge = segment(a, p.t, (0.0, EYES - 0.035), (centre - hx, EYES - 0.01)) - 0.8 * half;
    let arm = segment(a, p.t, (centre + hx, EYES - 0.02), (1.1, EYES - 0.04)) - half;
    let arm = arm.max(p.edge - 0.02);
    let mut c = mix(under, glass(face, p, under), cover(rim, p.px));
    c = scale(c, 1.0 - 0.12 * smooth(0.10, 0.02, rim.abs()));
    let frame = (rim.abs() - half).min(bridge).min(arm);
    let shine = 1.0 + 1.2 * bump(a - centre - 0.1, p.t - EYES + hy, 0.1, 0.1);
    c = mix(c, scale(who.frame, (0.5 + 0.6 * p.lit) * shine), cover(frame, p.px));
    c
}

/// What is seen through a lens.
fn glass(face: &Face, p: Point, under: Rgb) -> Rgb {
    let streak = smooth(0.06, 0.0, (p.s.abs() * 0.8 + p.t - 0.16).abs());
    if face.person.sunglasses {
        let dark =
            mix([0.05, 0.05, 0.06], [0.24, 0.22, 0.22], smooth(EYES - 0.2, EYES + 0.25, p.t));
        return mix(mix(under, dark, 0.90), [0.8, 0.85, 0.9], 0.22 * streak);
    }
    mix(under, [0.92, 0.96, 1.0], 0.05 + 0.16 * streak)
}

fn wear(face: &Face, p: Point, under: Rgb, hat: Hat) -> Rgb {
    let who = face.person;
    if p.edge > 0.3 {
        return under;
    }
    let rim = -0.42 + 0.10 * (p.s / who.half_width).powi(2);
    // It sits close at the rim and stands off at the crown.
    let dome = p.edge - 0.06 - who.volume.min(0.16) * smooth(-0.2, -0.8, p.v);
    let shade = smooth(0.20, 0.0, p.t - rim) * cover(p.edge, p.px);
    let c = scale(under, 1.0 - 0.35 * shade);
    if p.t - rim > 0.2 || dome > 0.2 {
        return c;
    }
    let knit = if hat.brim { 1.0 } else { 1.0 + 0.10 * libm::sinf(38.0 * p.u) };
    let light = (0.35 + 0.65 * p.lit) * knit;
    let c = mix(c, scale(hat.colour, light), cover(dome.max(p.t - rim), p.px));
    if hat.brim {
        let brim = ellipse(p.s, p.t - rim - 0.02, who.half_width * 0.98, 0.13);
        mix(c, scale(hat.colour, 0.62 * light), cover(brim, p.px))
    } else {
        let band = (p.t - rim + 0.09).abs() - 0.09;
        mix(c, scale(hat.colour, 1.22 * light), cover(band.max(dome - 0.02), p.px))
    }
}
