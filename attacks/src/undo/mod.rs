//! What a client did to its examples before it trained on them, undone on what was matched: a
//! gradient tells of the transformed examples, and a defense that transforms them hides no more
//! than its transformation loses.
//!
//! Everything here knows the published effect and the match alone; which draw a client made is
//! estimated by stated criteria ([`policy`], [`demix`], [`signs`]).

pub mod demix;
mod hypotheses;
mod inverse;
mod linear;
pub mod partial;
pub mod policy;
pub mod signs;

use learning::{Network, Observation};
use suites::{Flag, FlagKind};
use tch::{Device, Kind, Tensor};

use crate::attack::Reconstruction;
use demix::Mixtures;
use partial::Partial;

/// Something that can be undone.
#[derive(Clone, Debug, PartialEq)]
pub enum Undo {
    /// Each example went through one of these policies of transformations.
    Policies {
        /// Who did it.
        by: String,
        /// Sequences of places in [`learning::transform::LIBRARY`].
        policies: Vec<Vec<usize>>,
    },
    /// Each example, and its label alike, is a convex combination of the client's own.
    Mixtures {
        /// Who did it.
        by: String,
        /// What is known of the combinations.
        of: Mixtures,
    },
}

/// What was matched, before it became pictures.
pub struct Matched {
    /// Normalised examples `[N, B, ...]`, in no box.
    pub examples: Tensor,
    /// Probabilities of their classes `[N, B, K]`, where they were optimised along.
    pub soft: Option<Tensor>,
}

impl Undo {
    /// Puts what it undoes in the place of what was matched, and says for each signal what that
    /// was.
    pub fn apply(&self, seen: &Observation, matched: &Matched, found: &mut Reconstruction) {
        match self {
            Undo::Policies { by, policies } => transform_back(by, policies, &seen.net, found),
            Undo::Mixtures { by, of } => demix::apply(by, of, seen, matched, found),
        }
    }
}

fn note(found: &mut Reconstruction, signal: usize, words: String) {
    if let Some(flags) = found.flags.get_mut(signal) {
        flags.push(Flag::with(FlagKind::Adapted, words));
    }
}

/// Standard deviation of the data's pixels in bytes, as the normalisation publishes it: the mean
/// over the channels.
fn contrast(net: &Network) -> f64 {
    let size = [vec![1, 1], net.input()].concat();
    let options = (Kind::Double, Device::Cpu);
    let at = |value: f64| net.to_pixels(&Tensor::full(&size, value, options));
    ((at(1.0) - at(0.0)).mean(Kind::Double).double_value(&[]) * 255.0).max(1.0)
}

fn transform_back(by: &str, policies: &[Vec<usize>], net: &Network, found: &mut Reconstruction) {
    let contrast = contrast(net);
    let size = found.pixels.size();
    let mut signals = Vec::new();
    for n in 0..size[0] {
        let (mut pictures, mut words) = (Vec::new(), Vec::new());
        for matched in found.pixels.get(n).unbind(0) {
            let undone = Partial::from_pixels(&matched)
                .and_then(|image| policy::undo(&image, policies, contrast));
            match undone {
                Some(undone) => {
                    let share = 100.0 * undone.missing;
                    words.push(format!("{} ({share:.0} % filled in)", undone.way));
                    pictures.push(undone.image.to_pixels());
                }
                None => {
                    words.push("as matched".into());
                    pictures.push(matched);
                }
            }
        }
        signals.push(Tensor::stack(&pictures, 0));
        note(found, n as usize, format!("policies of {by} undone: {}", words.join(", ")));
    }
    found.pixels = Tensor::stack(&signals, 0);
}
