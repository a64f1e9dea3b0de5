//! What a synthetic person looks like ([`Person`]) and how one picture of them is taken ([`Shot`]).

use rand::Rng;
use rand_chacha::ChaCha12Rng;
use suites::rng::stream;

use super::paint::{Rgb, mix, scale};

/// How hair is worn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Bald,
    Short,
    SidePart,
    Fringe,
    Long,
    Curly,
    Bun,
}

/// Hair on the lower face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beard {
    None,
    Stubble,
    Moustache,
    Full,
}

/// Everything that stays with an identity. Lengths are in units of half the head's height.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub half_width: f32,
    /// How much the face narrows towards the chin, and how square the jaw is.
    pub taper: f32,
    pub jaw: f32,
    pub skin: Rgb,
    pub hair: Rgb,
    pub style: Style,
    /// Thickness of the hair on the skull.
    pub volume: f32,
    pub hairline: f32,
    pub beard: Beard,
    pub iris: Rgb,
    pub eye_gap: f32,
    pub eye_size: f32,
    pub eye_open: f32,
    pub eye_tilt: f32,
    pub brow_height: f32,
    pub brow_weight: f32,
    pub brow_arch: f32,
    pub nose_width: f32,
    pub nose_length: f32,
    pub mouth_width: f32,
    pub lip: f32,
    pub lip_colour: Rgb,
    pub ear: f32,
    pub lines: f32,
    pub fair: bool,
    /// Chance that a picture shows glasses, and their shape.
    pub glasses_habit: f64,
    pub lens: (f32, f32, f32),
    pub frame: Rgb,
    pub sunglasses: bool,
}

/// Everything that differs between two pictures of the same person.
#[derive(Clone, Debug)]
pub(super) struct Shot {
    /// Centre in half image widths, scale, and the three angles in radians.
    pub shift: (f32, f32),
    pub zoom: f32,
    pub roll: f32,
    pub yaw: f32,
    pub pitch: f32,
    /// Unit vector towards the light (x right, y down, z to the viewer), its strength and the light
    /// from everywhere.
    pub light: [f32; 3],
    pub strength: f32,
    pub ambient: f32,
    pub tint: Rgb,
    /// 0 earnest to 1 laughing; whether teeth show; how far eyes are open; where they look.
    pub smile: f32,
    pub teeth: bool,
    pub lids: f32,
    pub gaze: (f32, f32),
    pub glasses: bool,
    pub hat: Option<Hat>,
    pub clothes: Rgb,
    pub collar: f32,
    pub back: [Rgb; 2],
    pub back_angle: f32,
    /// Blurred spots behind: x, y, radius, colour.
    pub spots: Vec<(f32, f32, f32, Rgb)>,
}

/// What is on the head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hat {
    /// A cap with a brim, or a knitted hat with a band.
    pub brim: bool,
    pub colour: Rgb,
}

const SKINS: [Rgb; 7] = [
    [0.97, 0.84, 0.76],
    [0.95, 0.78, 0.66],
    [0.90, 0.70, 0.55],
    [0.80, 0.58, 0.42],
    [0.64, 0.43, 0.29],
    [0.48, 0.31, 0.21],
    [0.35, 0.22, 0.15],
];
const DARK_HAIR: [Rgb; 3] = [[0.07, 0.06, 0.06], [0.16, 0.10, 0.07], [0.26, 0.16, 0.10]];
const FAIR_HAIR: [Rgb; 5] = [
    [0.50, 0.24, 0.12],
    [0.66, 0.48, 0.27],
    [0.83, 0.68, 0.42],
    [0.90, 0.80, 0.58],
    [0.66, 0.65, 0.64],
];
const IRISES: [Rgb; 5] = [
    [0.20, 0.12, 0.07],
    [0.33, 0.20, 0.10],
    [0.42, 0.36, 0.18],
    [0.30, 0.45, 0.33],
    [0.30, 0.48, 0.66],
];

fn between(rng: &mut ChaCha12Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * rng.random::<f32>()
}

/// Roughly normal in [-1, 1]: mostly near 0.
fn centred(rng: &mut ChaCha12Rng) -> f32 {
    (rng.random::<f32>() + rng.random::<f32>() + rng.random::<f32>()) / 1.5 - 1.0
}

fn pick<T: Copy>(rng: &mut ChaCha12Rng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())]
}

/// A colour of some brightness and at most `chroma` away from grey: rooms and clothes are seldom
/// vivid.
fn colour(rng: &mut ChaCha12Rng, low: f32, high: f32, chroma: f32) -> Rgb {
    let grey = between(rng, low, high);
    [0, 1, 2].map(|_| (grey + chroma * centred(rng)).clamp(0.02, 0.98))
}

impl Person {
    /// The person with this number under `seed`; the same wherever and whenever asked for.
    pub fn new(seed: u64, number: u64) -> Self {
        let rng = &mut stream(seed, "synthfaces", &format!("person {number}"));
        let beardy = rng.random_bool(0.5);
        let tone = between(rng, 0.0, (SKINS.len() - 1) as f32 - 0.001);
        let skin = mix(SKINS[tone as usize], SKINS[tone as usize + 1], tone.fract());
        let fair = rng.random_bool(if tone < 2.5 { 0.6 } else { 0.08 });
        let hair = if fair { pick(rng, &FAIR_HAIR) } else { pick(rng, &DARK_HAIR) };
        let style = style(rng, beardy);
        let lip_red = if beardy { between(rng, 0.15, 0.35) } else { between(rng, 0.35, 0.85) };
        Person {
            half_width: 0.74 + 0.06 * centred(rng) + if beardy { 0.02 } else { 0.0 },
            taper: between(rng, 0.10, 0.34),
            jaw: if beardy { between(rng, 0.15, 0.50) } else { between(rng, 0.0, 0.25) },
            skin,
            hair: scale(hair, between(rng, 0.85, 1.15)),
            style,
            volume: if style == Style::Curly {
                between(rng, 0.22, 0.36)
            } else {
                between(rng, 0.08, 0.18)
            },
            hairline: between(rng, -0.68, -0.50),
            beard: beard(rng, beardy),
            iris: if fair { pick(rng, &IRISES[1..]) } else { pick(rng, &IRISES[..3]) },
            eye_gap: 0.355 + 0.045 * centred(rng),
            eye_size: between(rng, 0.155, 0.20),
            eye_open: between(rng, 0.42, 0.66),
            eye_tilt: 0.16 * centred(rng),
            brow_height: between(rng, 0.22, 0.31),
            brow_weight: if beardy {
                between(rng, 0.045, 0.075)
            } else {
                between(rng, 0.028, 0.05)
            },
            brow_arch: between(rng, 0.01, 0.09),
            nose_width: between(rng, 0.75, 1.35),
            nose_length: between(rng, 0.36, 0.46),
            mouth_width: between(rng, 0.23, 0.32),
            lip: if beardy { between(rng, 0.05, 0.09) } else { between(rng, 0.07, 0.13) },
            lip_colour: mix(scale(skin, 0.82), [0.74, 0.22, 0.25], lip_red),
            ear: between(rng, 0.14, 0.21),
            lines: between(rng, 0.0, 1.0) * between(rng, 0.0, 1.0),
            fair,
            glasses_habit: if rng.random_bool(0.48) { 0.88 } else { 0.06 },
            lens: lens(rng),
            frame: if rng.random_bool(0.65) {
                colour(rng, 0.03, 0.10, 0.04)
            } else {
                colour(rng, 0.2, 0.6, 0.4)
            },
            sunglasses: rng.random_bool(0.2),
        }
    }
}

fn style(rng: &mut ChaCha12Rng, beardy: bool) -> Style {
    use Style::*;
    if beardy {
        pick(rng, &[Bald, Short, Short, Short, SidePart, SidePart, Curly, Fringe, Long])
    } else {
        pick(rng, &[Long, Long, Long, Fringe, Fringe, Bun, Bun, Curly, SidePart, Short])
    }
}

fn beard(rng: &mut ChaCha12Rng, beardy: bool) -> Beard {
    use Beard::*;
    if beardy { pick(rng, &[None, None, Stubble, Moustache, Full, Full, Full]) } else { None }
}

/// Half width, half height and corner radius of a lens.
fn lens(rng: &mut ChaCha12Rng) -> (f32, f32, f32) {
    let (width, height) = (between(rng, 0.215, 0.265), between(rng, 0.145, 0.22));
    (width, height, between(rng, 0.25, 1.0) * height)
}

impl Shot {
    /// Picture number `number` of a person under `seed`.
    pub fn new(seed: u64, number: u64, person: &Person) -> Self {
        let rng = &mut stream(seed, "synthfaces", &format!("shot {number}"));
        let smiling = rng.random_bool(0.5);
        let (azimuth, height) = (1.3 * centred(rng), between(rng, 0.1, 0.8));
        let glasses = rng.random_bool(person.glasses_habit);
        let hat = rng.random_bool(0.18);
        let warmth = 0.07 * centred(rng);
        let back = colour(rng, 0.10, 0.88, 0.22);
        Shot {
            shift: (0.08 * centred(rng), 0.02 + 0.06 * centred(rng)),
            zoom: 1.0 + 0.09 * centred(rng),
            roll: 0.20 * centred(rng),
            yaw: 0.60 * centred(rng),
            pitch: 0.22 * centred(rng),
            light: towards(azimuth, height),
            strength: between(rng, 0.35, 0.75),
            ambient: between(rng, 0.42, 0.62),
            tint: [1.0 + warmth, 1.0, 1.0 - warmth],
            smile: if smiling { between(rng, 0.65, 1.0) } else { between(rng, -0.25, 0.2) },
            teeth: smiling && rng.random_bool(0.65),
            lids: if smiling { between(rng, 0.7, 0.95) } else { between(rng, 0.85, 1.05) },
            gaze: (0.22 * centred(rng), 0.08 * centred(rng)),
            glasses,
            hat: hat
                .then(|| Hat { brim: rng.random_bool(0.5), colour: colour(rng, 0.08, 0.75, 0.40) }),
            clothes: colour(rng, 0.08, 0.85, 0.35),
            collar: between(rng, 0.0, 0.45),
            back: [back, mix(back, colour(rng, 0.05, 0.95, 0.3), between(rng, 0.2, 0.7))],
            back_angle: between(rng, 0.0, std::f32::consts::TAU),
            spots: (0..rng.random_range(0..6)).map(|_| spot(rng)).collect(),
        }
    }

    /// Whether this picture counts as smiling.
    pub fn smiling(&self) -> bool {
        self.smile > 0.5
    }
}

fn towards(azimuth: f32, height: f32) -> [f32; 3] {
    let (sin, cos) = (libm::sinf(azimuth), libm::cosf(azimuth));
    let (up, level) = (libm::sinf(height), libm::cosf(height));
    [sin * level, -up, cos * level]
}

fn spot(rng: &mut ChaCha12Rng) -> (f32, f32, f32, Rgb) {
    (
        between(rng, -1.0, 1.0),
        between(rng, -1.0, 1.0),
        between(rng, 0.15, 0.7),
        colour(rng, 0.05, 1.0, 0.35),
    )
}
