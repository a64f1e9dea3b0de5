//! Which of the known policies an image went through, and the image before it.
//!
//! Every policy in every combination of its directions is undone (at most [`MOST`] of them). The
//! one is believed whose image, transformed anew, is nearest to what was matched: a shift has to
//! bring in its black, a contrast the brightness of that black, and what is undone has to lie
//! between black and white. What that leaves open the prior decides: black that a shift explains is
//! likelier than a picture with a black edge, neighbours are alike, and contrast is that of the
//! data, whose standard deviation the model's normalisation publishes.

use learning::transform::{Image, LIBRARY, Operation, Transformation};

use super::inverse::inverse;
use super::partial::Partial;

/// Ways through the policies that are tried at most.
const MOST: usize = 4096;

/// Ways whose contrasts are tried about other mean brightnesses than the image's.
const REFINED: usize = 3;

/// Steps of a mean brightness, in bytes.
const STEPS: [f64; 5] = [16.0, 8.0, 4.0, 2.0, 1.0];

/// Weights of the prior beside the mean squared error of pixels in `[0, 1]`: of the share of pixels
/// that the image has to explain, of roughness, and of the squared logarithm of the contrast over
/// the data's. All are far below what a wrong direction of a shift costs.
const OWN: f64 = 1e-2;
const ROUGHNESS: f64 = 1e-3;
const CONTRAST: f64 = 1e-3;

/// An image before its transformation.
#[derive(Clone, Debug)]
pub struct Undone {
    /// The image; what is not known is filled in.
    pub image: Partial,
    /// Share of the pixels that was filled in.
    pub missing: f64,
    /// The transformations and their directions in words, e.g. `3- 1+ 7+`.
    pub way: String,
    /// The criterion, the lower the better.
    pub cost: f64,
}

/// One way through a policy: a direction and an offset of the mean brightness each transformation.
#[derive(Clone)]
struct Way<'a> {
    policy: &'a [usize],
    signs: Vec<f64>,
    offsets: Vec<f64>,
}

/// The places of the policies in the library, checked.
///
/// # Errors
/// Words, where a policy names a transformation that the library does not have, or there are too
/// many ways to try.
pub fn check(policies: &[Vec<usize>]) -> Result<(), String> {
    if policies.iter().flatten().any(|&place| place >= LIBRARY.len()) {
        return Err(" whose library is another".into());
    }
    let ways: usize = policies
        .iter()
        .map(|policy| {
            let signed = policy.iter().filter(|&&place| LIBRARY[place].has_sign()).count();
            1usize.checked_shl(signed as u32).unwrap_or(usize::MAX)
        })
        .fold(0, usize::saturating_add);
    if ways > MOST { Err(format!(" of {ways} ways, {MOST} at most are tried")) } else { Ok(()) }
}

/// The image before one of the policies, where `matched` is the image after it, and `contrast` the
/// standard deviation of the data's pixels in bytes. `None` where there is no policy.
pub fn undo(matched: &Partial, policies: &[Vec<usize>], contrast: f64) -> Option<Undone> {
    let judge = |way: &Way| way.undone(matched, contrast);
    let mut all: Vec<(Undone, Way)> =
        policies.iter().flat_map(|policy| ways(policy)).map(|way| (judge(&way), way)).collect();
    all.sort_by(|a, b| a.0.cost.total_cmp(&b.0.cost));
    all.truncate(REFINED);
    let refined = all.into_iter().map(|(undone, way)| refine(undone, way, &judge));
    refined.min_by(|a, b| a.cost.total_cmp(&b.cost))
}

/// Every combination of directions.
fn ways<'a>(policy: &'a [usize]) -> Vec<Way<'a>> {
    let none = Way { policy, signs: Vec::new(), offsets: vec![0.0; policy.len()] };
    policy.iter().fold(vec![none], |ways, &place| {
        let signs: &[f64] = if LIBRARY[place].has_sign() { &[1.0, -1.0] } else { &[1.0] };
        let longer = |way: Way<'a>| {
            signs
                .iter()
                .map(|&sign| {
                    let mut way = way.clone();
                    way.signs.push(sign);
                    way
                })
                .collect::<Vec<_>>()
        };
        ways.into_iter().flat_map(longer).collect()
    })
}

/// Coordinate descent over the mean brightnesses that contrasts are about.
fn refine<'a>(mut best: Undone, mut way: Way<'a>, judge: &dyn Fn(&Way) -> Undone) -> Undone {
    let contrasts: Vec<usize> = (0..way.policy.len())
        .filter(|&i| LIBRARY[way.policy[i]].operation == Operation::Contrast)
        .collect();
    for (step, &at) in STEPS.iter().flat_map(|s| contrasts.iter().map(move |at| (s, at))) {
        for direction in [-1.0, 1.0] {
            loop {
                let mut other = way.clone();
                other.offsets[at] += direction * step;
                let undone = judge(&other);
                if undone.cost >= best.cost || other.offsets[at].abs() > 255.0 {
                    break;
                }
                (best, way) = (undone, other);
            }
        }
    }
    best
}

impl Way<'_> {
    fn steps(&self) -> impl DoubleEndedIterator<Item = (Transformation, f64, f64)> + '_ {
        let each = self.policy.iter().zip(&self.signs).zip(&self.offsets);
        let all: Vec<_> =
            each.map(|((&place, &sign), &offset)| (LIBRARY[place], sign, offset)).collect();
        all.into_iter()
    }

    fn undone(&self, matched: &Partial, contrast: f64) -> Undone {
        let before = |image: Partial, (what, sign, offset): (Transformation, f64, f64)| {
            inverse(what, sign, offset, &image)
        };
        let known = self.steps().rev().fold(matched.clone(), before);
        let missing = known.missing();
        let image = known.filled();
        let again =
            self.steps().fold(bytes(&image), |image, (what, sign, _)| what.apply(&image, sign));
        let error = again.data.iter().zip(&matched.values);
        let error: f64 = error.map(|(&a, b)| ((f64::from(a) - b) / 255.0).powi(2)).sum();
        let inside = Partial { known: known.known.clone(), ..image.clone() };
        let (rough, deviation) = inside.roughness();
        let cost = error / matched.values.len() as f64
            + OWN * (1.0 - missing)
            + ROUGHNESS * rough
            + CONTRAST * (deviation / contrast).ln().powi(2);
        Undone { image, missing, way: self.words(), cost }
    }

    fn words(&self) -> String {
        let word = |(&place, &sign): (&usize, &f64)| {
            let direction = if sign < 0.0 { "-" } else { "+" };
            format!("{place}{}", if LIBRARY[place].has_sign() { direction } else { "" })
        };
        self.policy.iter().zip(&self.signs).map(word).collect::<Vec<_>>().join(" ")
    }
}

fn bytes(image: &Partial) -> Image {
    let data = image.values.iter().map(|v| v.round().clamp(0.0, 255.0) as u8).collect();
    Image { channels: image.channels, height: image.height, width: image.width, data }
}
