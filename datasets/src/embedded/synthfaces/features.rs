//! What is on the face: eyes, brows, nose, mouth, cheeks, lines and stubble. All in the face's own
//! coordinates `(s, t)`.

use super::face::{Face, Point};
use super::hair;
use super::paint::{Rgb, bump, cover, ellipse, mix, scale, segment, smooth};
use super::traits::Person;

/// Height of the eyes' centres.
pub(super) const EYES: f32 = -0.06;

/// Paints the face over its bare `skin`.
pub(super) fn paint(face: &Face, p: Point, skin: Rgb) -> Rgb {
    let mut c = modelling(face, p, skin);
    c = nose(face, p, c);
    c = hair::beard(face, p, c);
    c = mouth(face, p, c);
    for side in [-1.0, 1.0] {
        c = eye(face, p, c, side);
        c = brow(face, p, c, side);
    }
    c
}

fn darken(c: Rgb, by: f32) -> Rgb {
    // Skin in shade loses blue and green first.
    [c[0] * (1.0 - 0.8 * by), c[1] * (1.0 - by), c[2] * (1.0 - by)]
}

/// Cheeks, sockets, temples, chin and age.
fn modelling(face: &Face, p: Point, skin: Rgb) -> Rgb {
    let (who, a) = (face.person, p.s.abs());
    let mouth = mouth_height(who);
    let blush = bump(a - 0.42, p.t - 0.36, 0.30, 0.26);
    let mut c = mix(skin, [skin[0] * 1.05, skin[1] * 0.90, skin[2] * 0.90], 0.6 * blush);
    c = darken(c, 0.20 * bump(a - who.eye_gap * 0.92, p.t - EYES + 0.05, 0.30, 0.20));
    c = darken(c, 0.14 * bump(p.s, p.t - mouth - 0.19, 0.26, 0.08));
    c = darken(c, 0.16 * smooth(0.86, 1.04, p.v));
    c = scale(
        c,
        1.0 + 0.10 * bump(p.s, p.t + 0.45, 0.40, 0.26) + 0.05 * bump(p.s, p.t - 0.88, 0.2, 0.14),
    );
    let fold =
        segment(a, p.t, (0.16 * who.nose_width, who.nose_length), (who.mouth_width + 0.05, mouth));
    let depth = (0.30 * who.lines + 0.14 * face.shot.smile.max(0.0)).min(0.4);
    c = darken(c, depth * smooth(0.07, 0.0, fold));
    let brow = bump(p.s, p.t + 0.47, 0.45, 0.16);
    let wrinkle = if brow > 0.0 {
        brow * smooth(0.8, 1.0, libm::sinf(42.0 * p.t + 2.0 * p.s * p.s))
    } else {
        0.0
    };
    let bag = bump(a - who.eye_gap, p.t - EYES - 0.16, 0.16, 0.07);
    darken(c, who.lines * (0.35 * wrinkle + 0.3 * bag))
}

fn nose(face: &Face, p: Point, skin: Rgb) -> Rgb {
    let who = face.person;
    let (w, tip) = (who.nose_width, who.nose_length);
    let away = -face.shot.light[0];
    let along = smooth(-0.12, 0.12, p.t) * smooth(tip + 0.04, tip - 0.1, p.t);
    let flank = bump(p.s - 0.115 * w * away.signum(), 0.0, 0.10 * w, 1.0) * along;
    let mut c = darken(skin, (0.12 + 0.22 * away.abs()) * flank);
    c = scale(c, 1.0 + 0.13 * bump(p.s, 0.0, 0.06, 1.0) * along);
    c = scale(c, 1.0 + 0.14 * bump(p.s, p.t - tip + 0.05, 0.10 * w, 0.09));
    c = darken(c, 0.22 * bump(p.s, p.t - tip - 0.07, 0.20 * w, 0.06));
    let a = p.s.abs();
    c = darken(c, 0.22 * bump(a - 0.155 * w, p.t - tip + 0.01, 0.045, 0.09));
    let nostril = ellipse(a - 0.078 * w, p.t - tip - 0.035, 0.048 * w, 0.026);
    mix(c, darken(scale(skin, 0.42), 0.2), 0.75 * cover(nostril, p.px))
}

fn mouth_height(who: &Person) -> f32 {
    who.nose_length + 0.235
}

fn mouth(face: &Face, p: Point, under: Rgb) -> Rgb {
    let (who, shot) = (face.person, face.shot);
    let width = who.mouth_width * (1.0 + 0.22 * shot.smile.max(0.0));
    let x = p.s / width;
    if x.abs() > 1.15 {
        return under;
    }
    let arch = (1.0 - x * x).max(0.0);
    let line = mouth_height(who) + 0.085 * shot.smile * (0.45 - x * x);
    let gap = if shot.teeth { 0.115 * arch.sqrt() * shot.smile } else { 0.0 };
    let bow = 0.75 + 0.25 * smooth(0.0, 0.28, x.abs());
    let top = line - 0.35 * gap - who.lip * 0.72 * bow * arch;
    let bottom = line + 0.65 * gap + who.lip * arch.sqrt() * arch.sqrt();
    let lips = (top - p.t).max(p.t - bottom);
    let round = 1.0 - 0.18 * smooth(line, top, p.t)
        + 0.12 * bump(x, p.t - bottom + 0.4 * who.lip, 0.5, 0.05);
    let lip = scale(who.lip_colour, p.lit.min(1.15) * round);
    let mut c = mix(under, lip, 0.9 * cover(lips, p.px));
    let inside = (line - 0.35 * gap - p.t).max(p.t - line - 0.65 * gap);
    if gap > 0.0 {
        let teeth = smooth(line + 0.60 * gap, line + 0.40 * gap, p.t) * smooth(1.0, 0.75, x.abs());
        let white = scale([0.95, 0.93, 0.88], p.lit.min(1.05));
        c = mix(c, mix([0.28, 0.08, 0.08], white, teeth), cover(inside, p.px));
    } else {
        let seam = (p.t - line).abs() - 0.012;
        c = mix(
            c,
            scale(who.lip_colour, 0.38),
            0.8 * cover(seam, p.px) * smooth(1.06, 0.9, x.abs()),
        );
    }
    let corner = bump(p.s.abs() - width, p.t - line + 0.01, 0.05, 0.045);
    darken(c, 0.30 * corner)
}

fn eye(face: &Face, p: Point, under: Rgb, side: f32) -> Rgb {
    let (who, shot) = (face.person, face.shot);
    let x = (side * p.s - who.eye_gap) / who.eye_size;
    let y = (p.t - EYES) / who.eye_size + who.eye_tilt * x;
    if x.abs() > 1.4 || y.abs() > 1.2 {
        return under;
    }
    let arch = (1.0 - x * x).max(0.0);
    let open = who.eye_open * shot.lids;
    let (upper, lower) = (-open * arch, 0.55 * open * arch * (1.0 - 0.25 * shot.smile.max(0.0)));
    let px = p.px / who.eye_size;
    let slit = (upper - y).max(y - lower).max((x.abs() - 1.0) * 0.8);
    let crease = (y - upper + 0.26).abs() - 0.03;
    let mut c = darken(under, 0.30 * cover(crease, px * 1.5) * arch);
    c = mix(c, ball(face, p, x, y, upper, side, px), cover(slit, px));
    let lash = (y - upper + 0.02).abs() - 0.07;
    let reach = smooth(1.12, 0.95, x.abs());
    c = mix(c, [0.10, 0.07, 0.06], 0.85 * cover(lash, px) * reach);
    let rim = (y - lower - 0.03).abs() - 0.03;
    darken(c, 0.30 * cover(rim, px) * reach)
}

/// The eyeball seen between the lids.
fn ball(face: &Face, p: Point, x: f32, y: f32, upper: f32, side: f32, px: f32) -> Rgb {
    let (gx, gy) = face.shot.gaze;
    let (dx, dy) = (x - side * gx, y + 0.06 - gy);
    let r = (dx * dx + dy * dy).sqrt();
    let white = scale(
        [0.93, 0.91, 0.89],
        p.lit.clamp(0.55, 1.05) * (1.0 - 0.25 * bump(0.0, y - upper, 1.0, 0.3)),
    );
    let ring =
        mix(scale(face.person.iris, 1.35), scale(face.person.iris, 0.55), smooth(0.15, 0.46, r));
    let mut c = mix(white, ring, cover(r - 0.45, px));
    c = mix(c, [0.02, 0.02, 0.02], cover(r - 0.20, px));
    let spark = ((dx * side + 0.16).powi(2) + (dy + 0.17).powi(2)).sqrt() - 0.10;
    mix(c, [1.0; 3], 0.9 * cover(spark, px))
}

fn brow(face: &Face, p: Point, under: Rgb, side: f32) -> Rgb {
    let who = face.person;
    let x = (side * p.s - who.eye_gap) / (1.25 * who.eye_size);
    if x.abs() > 1.1 {
        return under;
    }
    let raise = 0.02 * face.shot.smile.max(0.0);
    let line =
        EYES - who.brow_height - raise - who.brow_arch * (1.0 - (x - 0.3) * (x - 0.3)) + 0.02 * x;
    let half = who.brow_weight * (0.55 + 0.45 * smooth(1.1, -0.6, x)) * smooth(1.08, 0.8, x.abs());
    let d = (p.t - line).abs() - half;
    let tone = mix(scale(who.hair, 0.62), [0.12, 0.08, 0.06], 0.35);
    mix(under, scale(tone, p.lit.min(1.0)), 0.88 * cover(d, 1.3 * p.px))
}
