//! One picture, pixel by pixel: from image to head to face coordinates, then layer upon layer.

use rand::Rng;
use suites::rng::stream;

use super::paint::{Rgb, bump, cover, ellipse, mix, scale, smooth};
use super::traits::{Beard, Person, Shot, Style};
use super::{accessories, features, hair};

/// Half the head's height in half image widths.
const HEAD: f32 = 0.66;

/// A point of the picture in all the coordinates that painting needs.
#[derive(Clone, Copy)]
pub(super) struct Point {
    /// On the picture plane, seen from the head: x right, y down, the head reaching from -1 to 1 in
    /// y.
    pub u: f32,
    pub v: f32,
    /// On the face, as if it looked straight at the viewer.
    pub s: f32,
    pub t: f32,
    /// Signed distance to the outline of the head.
    pub edge: f32,
    /// Width of a pixel.
    pub px: f32,
    /// Light that falls on a surface curved like the head, here.
    pub lit: f32,
}

/// A person and a shot, ready to be painted.
pub(super) struct Face<'a> {
    pub person: &'a Person,
    pub shot: &'a Shot,
    turn: [f32; 2],
    yaw: [f32; 2],
    pitch: [f32; 2],
    /// Direction in which the background changes.
    slope: [f32; 2],
}

impl<'a> Face<'a> {
    pub fn new(person: &'a Person, shot: &'a Shot) -> Self {
        let pair = |angle: f32| [libm::sinf(angle), libm::cosf(angle)];
        Face {
            person,
            shot,
            turn: pair(shot.roll),
            yaw: pair(shot.yaw),
            pitch: pair(shot.pitch),
            slope: pair(shot.back_angle),
        }
    }

    /// `[3, side, side]` in `[0, 1]`, each value a multiple of 1/255.
    pub fn paint(&self, side: usize, seed: u64, number: u64) -> Vec<f32> {
        let grain = &mut stream(seed, "synthfaces", &format!("grain {number}"));
        let mut image = vec![0.0; 3 * side * side];
        let at = |i: usize| (2 * i + 1) as f32 / side as f32 - 1.0;
        for index in 0..side * side {
            let (x, y) = (at(index % side), at(index / side));
            let colour = self.exposed(x, y, side);
            let noise = 0.018 * (grain.random::<f32>() + grain.random::<f32>() - 1.0);
            for (channel, value) in colour.into_iter().enumerate() {
                image[channel * side * side + index] = quantise(value + noise);
            }
        }
        image
    }

    /// Colour at a point of the picture, with the shot's tint and the lens's fall-off.
    fn exposed(&self, x: f32, y: f32, side: usize) -> Rgb {
        let colour = self.colour(x, y, side);
        let fall = 1.0 - 0.10 * (x * x + y * y) * 0.5;
        [0, 1, 2].map(|c| colour[c] * self.shot.tint[c] * fall)
    }

    fn colour(&self, x: f32, y: f32, side: usize) -> Rgb {
        let p = self.point(x, y, side);
        let mut c = [0.0; 3];
        // Deep inside the head nothing behind it shows.
        if p.edge > -p.px {
            c = self.background(x, y);
            c = hair::behind(self, p, c);
            c = self.body(p, c);
        }
        c = self.ears(p, c);
        if self.person.beard == Beard::Full {
            c = hair::beard_edge(self, p, c);
        }
        let inside = cover(p.edge, p.px);
        if inside > 0.0 {
            c = mix(c, features::paint(self, p, self.skin(p)), inside);
        }
        c = hair::front(self, p, c);
        accessories::paint(self, p, c)
    }

    fn point(&self, x: f32, y: f32, side: usize) -> Point {
        let size = HEAD * self.shot.zoom;
        let (x, y) = ((x - self.shot.shift.0) / size, (y - self.shot.shift.1) / size);
        let [sin, cos] = self.turn;
        let (u, v) = (x * cos + y * sin, y * cos - x * sin);
        let width = self.width(v);
        let n = [u / width, v];
        let depth = (1.0 - n[0] * n[0] - n[1] * n[1]).max(0.0).sqrt();
        let s = u * self.yaw[1] - 0.62 * depth * self.yaw[0];
        let t = v * self.pitch[1] - 0.62 * depth * self.pitch[0];
        Point {
            u,
            v,
            s,
            t,
            edge: self.outline(u, v),
            px: 2.0 / (side as f32 * size),
            lit: self.lit(n, depth),
        }
    }

    /// Half the head's width at height `v`.
    fn width(&self, v: f32) -> f32 {
        let p = self.person;
        let low = v.clamp(0.0, 1.0);
        p.half_width * (1.0 - p.taper * low * low + p.jaw * low * (1.0 - low)).max(0.2)
    }

    /// Signed distance to the head's outline: an ellipse that narrows to the chin.
    pub fn outline(&self, u: f32, v: f32) -> f32 {
        ellipse(u, v, self.width(v), 1.0)
    }

    /// Ambient light and Lambert's law on the ellipsoid with normal `(n, depth)`.
    fn lit(&self, n: [f32; 2], depth: f32) -> f32 {
        let norm = (n[0] * n[0] + n[1] * n[1] + depth * depth).sqrt().max(1e-6);
        let [lx, ly, lz] = self.shot.light;
        let cosine = (n[0] * lx + n[1] * ly + depth * lz) / norm;
        self.shot.ambient + self.shot.strength * cosine.max(0.0)
    }

    /// Skin under the shot's light; shadows keep more red than blue.
    pub fn skin(&self, p: Point) -> Rgb {
        let dark = (1.0 - p.lit).clamp(0.0, 1.0);
        let s = self.person.skin;
        [s[0] * (p.lit + 0.06 * dark), s[1] * p.lit, s[2] * (p.lit - 0.03 * dark)]
    }

    fn background(&self, x: f32, y: f32) -> Rgb {
        let [dy, dx] = self.slope;
        let mut c = mix(self.shot.back[0], self.shot.back[1], smooth(-1.2, 1.2, x * dx + y * dy));
        for &(sx, sy, radius, colour) in &self.shot.spots {
            c = mix(c, colour, 0.45 * bump(x - sx, y - sy, radius, radius));
        }
        c
    }

    /// Neck, then shoulders in clothes with a neckline.
    fn body(&self, p: Point, under: Rgb) -> Rgb {
        if p.v < 0.4 {
            return under;
        }
        self.clothes(p, self.neck(p, under))
    }

    fn neck(&self, p: Point, under: Rgb) -> Rgb {
        let w = self.person.half_width;
        let d = p.u.abs() - 0.50 * w - 0.25 * smooth(1.1, 1.7, p.v);
        // The chin's shadow falls on it.
        let shade = mix([1.0; 3], [0.62, 0.56, 0.54], smooth(1.55, 0.9, p.v));
        let side = 1.0 + 0.25 * p.u / (0.6 * w) * self.shot.light[0].signum();
        let light = (self.shot.ambient + 0.5 * self.shot.strength) * side.clamp(0.7, 1.1);
        let skin = [0, 1, 2].map(|i| self.person.skin[i] * light * shade[i]);
        mix(under, skin, cover(d, p.px))
    }

    fn clothes(&self, p: Point, under: Rgb) -> Rgb {
        let w = self.person.half_width;
        let a = (p.u.abs() - 0.42 * w).max(0.0);
        let shoulder = 1.16 + 0.30 * a * a + 0.18 * a - p.v;
        let collar = 1.22 + self.shot.collar - 1.05 * p.u.abs() - p.v;
        let round = -ellipse(p.u, p.v - 1.05, 0.50 * w + 0.06, 0.24);
        let open = shoulder.max(collar).max(round);
        if open > 0.1 {
            return under;
        }
        let folds = 1.0 + 0.05 * libm::sinf(9.0 * p.u + 4.0 * p.v);
        let light = (0.75 + 0.25 * self.shot.strength) * folds * (1.0 - 0.25 * a);
        let cloth = scale(self.shot.clothes, light);
        let c = mix(under, scale(cloth, 0.7), cover(open - 0.02, p.px));
        mix(c, cloth, cover(open + 0.05, p.px))
    }

    fn ears(&self, p: Point, under: Rgb) -> Rgb {
        if self.person.style == Style::Long {
            return under;
        }
        let r = self.person.ear;
        let far = p.u.signum() * self.yaw[0];
        // The ear on the side that turns away hides behind the head.
        let x = p.u.abs() - self.person.half_width * (0.99 - 0.10 * far.max(0.0));
        let d = ellipse(x, p.v - 0.08, 0.62 * r, r);
        if d > p.px {
            return under;
        }
        let tone = scale(self.skin(p), 0.92 + 0.10 * smooth(0.05, -0.05, d));
        let inner = mix(tone, scale(tone, 0.68), bump(x - 0.02, p.v - 0.07, 0.4 * r, 0.7 * r));
        mix(under, inner, cover(d, p.px))
    }
}

fn quantise(value: f32) -> f32 {
    (value.clamp(0.0, 1.0) * 255.0).round() / 255.0
}
