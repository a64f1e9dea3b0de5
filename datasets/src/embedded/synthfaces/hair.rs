//! Hair: behind the head, on top of it, and on the lower face.

use super::face::{Face, Point};
use super::paint::{Rgb, bump, cover, ellipse, mix, scale, smooth};
use super::traits::{Beard, Style};

/// Hair colour at a point: light from the shot, strands along the fall of the hair, a sheen on the
/// crown.
fn tone(face: &Face, p: Point) -> Rgb {
    let who = face.person;
    let curl = if who.style == Style::Curly { 9.0 } else { 1.6 };
    let strand = libm::sinf(31.0 * p.u + curl * libm::sinf(5.0 * p.v + 9.0 * p.u));
    let fine = libm::sinf(67.0 * p.u + 13.0 * p.v);
    let sheen = bump(p.u + 0.5 * -face.shot.light[0], p.v + 0.85, 0.6, 0.30);
    let fall = 1.0 - 0.25 * smooth(0.0, 1.4, p.v);
    let light = 0.50 + 0.55 * p.lit.min(1.2);
    let base = scale(who.hair, light * fall * (1.0 + 0.13 * strand + 0.07 * fine));
    mix(base, [0.95, 0.92, 0.88], 0.13 * sheen)
}

/// Hair that hangs or stands behind the head.
pub(super) fn behind(face: &Face, p: Point, under: Rgb) -> Rgb {
    let who = face.person;
    let w = who.half_width;
    let d = match who.style {
        Style::Long if p.v < 0.0 => ellipse(p.u, p.v, w + who.volume + 0.02, 1.02 + who.volume),
        Style::Long => (p.u.abs() - long_side(face, p.v)).max(p.v - 1.55),
        Style::Curly => p.edge - who.volume - bumps(p) + 0.4 * smooth(0.1, 0.9, p.v),
        Style::Bun => ellipse(p.u - 0.1, p.v + 1.16, 0.34, 0.30),
        _ => return under,
    };
    let share = cover(d, p.px);
    if share == 0.0 { under } else { mix(under, scale(tone(face, p), 0.80), share) }
}

fn bumps(p: Point) -> f32 {
    0.045 * libm::sinf(11.0 * p.u + 5.0 * p.v) * libm::sinf(12.0 * p.v - 4.0 * p.u)
}

/// Hair over the skull and forehead.
pub(super) fn front(face: &Face, p: Point, under: Rgb) -> Rgb {
    let who = face.person;
    if who.style == Style::Bald || p.v > 1.5 {
        return under;
    }
    let c = if p.edge > who.volume + 0.1 { under } else { cap(face, p, under) };
    if who.style == Style::Long { curtains(face, p, c) } else { c }
}

/// Hair on the skull, with its shadow on the skin.
fn cap(face: &Face, p: Point, under: Rgb) -> Rgb {
    let who = face.person;
    let wild = if who.style == Style::Curly { bumps(p) } else { 0.0 };
    let (ends, hanging) = (side_end(who.style), p.v - side_end(who.style));
    // Thick on the crown, thinning out towards the ears.
    let skull = p.edge - who.volume * smooth(ends, ends - 0.7, p.v) - wild;
    let edge = (p.t - hairline(face, p)).min(temple(face, p)) - wild;
    let shadow = smooth(0.12, 0.0, edge) * cover(p.edge, p.px) * smooth(ends, ends - 0.15, p.v);
    let c = scale(under, 1.0 - 0.22 * shadow);
    over(face, p, c, skull.max(edge).max(hanging))
}

/// Hair where `d` is negative.
fn over(face: &Face, p: Point, under: Rgb, d: f32) -> Rgb {
    let share = cover(d, p.px);
    if share == 0.0 { under } else { mix(under, tone(face, p), share) }
}

/// How far down hair reaches beside the face.
fn side_end(style: Style) -> f32 {
    match style {
        Style::Short | Style::SidePart => 0.06,
        Style::Fringe => 0.60,
        Style::Curly => 0.25,
        Style::Bun => -0.02,
        _ => 1.1,
    }
}

/// Height of the hair's lower edge on the forehead, at `s`.
fn hairline(face: &Face, p: Point) -> f32 {
    let who = face.person;
    let x = p.s / who.half_width;
    let jag = 0.018 * libm::sinf(26.0 * p.s + 60.0 * who.lip);
    match who.style {
        Style::Fringe => -0.37 + 0.25 * x * x * x * x + 1.4 * jag,
        Style::SidePart => who.hairline - 0.03 + 0.25 * smooth(-0.35, 0.75, x) + jag,
        Style::Long => who.hairline - 0.06 + 0.50 * x * x,
        _ => who.hairline + 0.16 * x * x + jag,
    }
}

/// Signed distance to the hair beside the face, which narrows from the temples to the ears.
fn temple(face: &Face, p: Point) -> f32 {
    let inner = match face.person.style {
        Style::Fringe => 0.86 - 0.10 * smooth(0.0, 0.6, p.t),
        Style::Long => 0.80,
        _ => 0.80 + 0.16 * smooth(-0.55, 0.05, p.t),
    };
    inner * face.person.half_width - p.s.abs()
}

/// Long hair falling in front of the temples and cheeks.
fn curtains(face: &Face, p: Point, under: Rgb) -> Rgb {
    let who = face.person;
    let wave = 0.03 * libm::sinf(6.0 * p.v + 50.0 * who.eye_size);
    let inner = who.half_width * (0.84 + 0.14 * smooth(0.1, 0.9, p.v)) + wave;
    let outer = (long_side(face, p.v) - 0.02).min(who.half_width + who.volume + 0.08);
    let d = (inner - p.u.abs()).max(p.u.abs() - outer).max(-0.15 - p.v).max(p.v - 1.35);
    over(face, p, under, d)
}

/// Half the width of long hair at height `v`, below the crown.
fn long_side(face: &Face, v: f32) -> f32 {
    let wave = 0.03 * libm::sinf(7.0 * v + 40.0 * face.person.eye_gap);
    face.person.half_width + face.person.volume + 0.02 + (0.12 + wave) * smooth(-0.1, 1.2, v)
}

/// Stubble, moustache or beard on the face itself.
pub(super) fn beard(face: &Face, p: Point, under: Rgb) -> Rgb {
    let who = face.person;
    let x = p.s / who.half_width;
    let lip = who.nose_length + 0.12;
    let whiskers = smooth(-0.05, 0.06, p.t - (lip + 0.08 - 0.52 * x * x));
    let moustache = bump(p.s, p.t - lip - 0.01 - 0.35 * p.s * p.s, 0.36, 0.13);
    let share = match who.beard {
        Beard::None => return under,
        Beard::Stubble => 0.38 * whiskers,
        Beard::Moustache => (1.8 * moustache).min(0.93),
        Beard::Full => 0.93 * whiskers.max((1.6 * moustache).min(1.0)),
    };
    if share == 0.0 {
        return under;
    }
    let rough = 1.0 + 0.14 * libm::sinf(57.0 * p.s + 9.0 * libm::sinf(31.0 * p.t));
    let colour = scale(mix(who.hair, [0.1, 0.07, 0.05], 0.25), (0.45 + 0.5 * p.lit) * rough);
    mix(under, colour, share)
}

/// The part of a full beard that stands out beyond the chin.
pub(super) fn beard_edge(face: &Face, p: Point, under: Rgb) -> Rgb {
    let rough = 0.015 * libm::sinf(37.0 * p.u);
    let d = face.outline(p.u, p.v - 0.02) - 0.10 * smooth(0.15, 0.8, p.v) - rough;
    let colour = scale(mix(face.person.hair, [0.1, 0.07, 0.05], 0.25), 0.75);
    mix(under, colour, cover(d, p.px) * smooth(0.1, 0.3, p.v))
}
