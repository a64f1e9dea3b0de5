//! Examples from the mixtures that a client trained on.
//!
//! Matched mixtures `M = A X` come with mixed labels `S = A Y`. Where every example of the batch
//! has a class of its own, the columns of `S` that are not zero *are* those of `A`, and the
//! examples solve a linear system. Where classes repeat, who was mixed with whom and how much is a
//! hypothesis (`hypotheses.rs`). Behind random signs only `|M|` is known, and the signs are sought
//! with the examples ([`super::signs`]; after Carlini et al.: Is Private Learning Possible with
//! Instance Encoding?, IEEE S&P 2021).

use learning::effect::Coefficients;
use learning::{Network, Observation};
use tch::{Device, Kind, Tensor};

use super::hypotheses::{self, Mixing};
use super::linear::{self, Matrix};
use super::signs;
use super::{Matched, note};
use crate::attack::Reconstruction;

/// What is known of mixtures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixtures {
    /// Examples in a combination.
    pub parts: usize,
    /// Law of the coefficients.
    pub coefficients: Coefficients,
    /// Whether the sign of every normalised value was then drawn.
    pub flipped: bool,
}

/// Weights of the pull to the mean mixture, from the least; the first under which what is solved
/// for lies in the box is taken.
const RIDGES: [f64; 8] = [0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0];

/// Root mean square by which pixels may leave `[0, 1]`.
const OUTSIDE: f64 = 0.02;

/// Puts the examples in the place of their mixtures, signal by signal. A signal whose mixtures
/// cannot be told apart keeps them (behind random signs, their magnitudes), and says why.
pub fn apply(
    by: &str,
    of: &Mixtures,
    seen: &Observation,
    matched: &Matched,
    found: &mut Reconstruction,
) {
    let Some(soft) = &matched.soft else {
        let words = format!("mixtures of {by} as they are: no labels were optimised along");
        return (0..found.flags.len()).for_each(|n| note(found, n, words.clone()));
    };
    let mut pictures = found.pixels.unbind(0);
    let mut labels = found.labels.as_ref().map(|l| l.unbind(0));
    for n in 0..pictures.len() {
        let (at, size) = (n as i64, pictures[n].size());
        let examples = matched.examples.get(at);
        let rows = |t: &Tensor| -> Matrix {
            let rows = t.to_kind(Kind::Double).to_device(Device::Cpu).flatten(1, -1).unbind(0);
            rows.iter().map(|r| Vec::<f64>::try_from(r).unwrap_or_default()).collect()
        };
        let pixels = |t: &Tensor| seen.net.to_pixels(&t.unsqueeze(0)).squeeze_dim(0);
        let shares = rows(&soft.get(at));
        let told = if of.flipped {
            let bounds = |v: f64| bounds(&seen.net, &size[1..], v);
            let hidden = signs::Hidden {
                magnitudes: rows(&examples.abs()),
                least: bounds(0.0),
                greatest: bounds(1.0),
                size: size[1..].to_vec(),
            };
            magnitudes_told(&hidden, &shares)
        } else {
            told(of, &rows(&pixels(&examples)), &shares, &size[1..])
        };
        let tensor = |rows: &Matrix| Tensor::from_slice(&rows.concat()).reshape(&size);
        match told {
            Ok(told) => {
                let own = tensor(&told.examples);
                let own = if of.flipped { pixels(&own) } else { own };
                pictures[n] = own.clamp(0.0, 1.0).to_kind(Kind::Float);
                if let Some(labels) = &mut labels {
                    labels[n] = Tensor::from_slice(&told.classes);
                }
                note(found, n, format!("mixtures of {by} told apart: {}", told.words));
            }
            Err(why) => {
                if of.flipped {
                    let own = pixels(&examples.abs()).clamp(0.0, 1.0);
                    pictures[n] = own.to_kind(Kind::Float).to_device(Device::Cpu);
                }
                note(found, n, format!("mixtures of {by} not told apart: {why}"));
            }
        }
    }
    found.pixels = Tensor::stack(&pictures, 0);
    found.labels = labels.map(|l| Tensor::stack(&l, 0));
}

/// The normalised values of an example that is `pixel` everywhere.
fn bounds(net: &Network, size: &[i64], pixel: f64) -> Vec<f64> {
    let shape = [&[1, 1], size].concat();
    let like = Tensor::full(shape, pixel, (Kind::Double, Device::Cpu));
    Vec::try_from(net.normalise(&like).reshape([-1])).unwrap_or_default()
}

/// Examples told apart.
pub struct Told {
    /// One a row.
    pub examples: Matrix,
    /// Their classes.
    pub classes: Vec<i64>,
    /// How they were told apart.
    pub words: String,
}

/// Examples in pixels of mixtures in pixels.
fn told(of: &Mixtures, mixtures: &Matrix, soft: &Matrix, size: &[i64]) -> Result<Told, String> {
    let mixing = match hypotheses::distinct(soft) {
        Some(mixing) => mixing,
        None => hypotheses::best(of, mixtures, soft, size)?,
    };
    let words = format!("{}, condition {:.1}", mixing.words, condition(&mixing)?);
    Ok(Told { examples: solved(&mixing.matrix, mixtures)?, classes: mixing.classes, words })
}

fn magnitudes_told(hidden: &signs::Hidden, soft: &Matrix) -> Result<Told, String> {
    let mixing = hypotheses::distinct(soft).ok_or(
        "the batch has fewer classes than examples, so that labels do not tell who is in \
                which mixture",
    )?;
    let words = format!("{}, condition {:.1}", mixing.words, condition(&mixing)?);
    let examples = signs::solve(hidden, &mixing.matrix)?;
    Ok(Told { examples, classes: mixing.classes, words })
}

const SINGULAR: &str = "they all but are one mixture";

/// Largest row sum of the matrix times that of its inverse.
fn condition(mixing: &Mixing) -> Result<f64, String> {
    let norm = |m: &Matrix| {
        m.iter().map(|row| row.iter().map(|v| v.abs()).sum::<f64>()).fold(0.0, f64::max)
    };
    let (inverse, _) = linear::inverse(&mixing.matrix).ok_or(SINGULAR)?;
    Ok(norm(&mixing.matrix) * norm(&inverse))
}

/// `X` of `A X = M`, drawn to the mean mixture as little as the box `[0, 1]` allows: what was not
/// matched exactly is blown up by the system's condition.
fn solved(matrix: &Matrix, mixtures: &Matrix) -> Result<Matrix, String> {
    let (n, length) = (mixtures.len(), mixtures[0].len());
    let mean: Vec<f64> =
        (0..length).map(|v| mixtures.iter().map(|m| m[v]).sum::<f64>() / n as f64).collect();
    let away: Matrix =
        mixtures.iter().map(|m| m.iter().zip(&mean).map(|(v, mean)| v - mean).collect()).collect();
    let transposed: Matrix = (0..n).map(|j| (0..n).map(|i| matrix[i][j]).collect()).collect();
    let right = linear::times(&transposed, &away);
    let mut last = Err(SINGULAR.to_string());
    for ridge in RIDGES {
        let mut normal = linear::times(&transposed, matrix);
        (0..n).for_each(|i| normal[i][i] += ridge);
        let Some((inverse, _)) = linear::inverse(&normal) else { continue };
        let mut examples = linear::times(&inverse, &right);
        examples.iter_mut().for_each(|x| x.iter_mut().zip(&mean).for_each(|(v, m)| *v += m));
        let done = outside(&examples) <= OUTSIDE;
        last = Ok(examples);
        if done {
            break;
        }
    }
    last
}

/// Root mean square by which pixels leave `[0, 1]`.
pub(super) fn outside(examples: &Matrix) -> f64 {
    let excess = examples.iter().flatten().map(|v| (v - v.clamp(0.0, 1.0)).powi(2));
    (excess.sum::<f64>() / examples.iter().map(Vec::len).sum::<usize>().max(1) as f64).sqrt()
}
