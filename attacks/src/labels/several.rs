//! Several labels an example: every output is a question of its own.
//!
//! With the mean binary cross-entropy over `B` examples and `K` outputs the bias's gradient is
//! `(sum_b sigmoid(z_bk) - n_k) / (B K)`: its sign names the label of one example, and its size
//! counts those of several, as far as the outputs for pictures of noise stand for the client's.

use learning::Observation;
use suites::Fact;
use tch::{Kind, Tensor};

use super::method::applies;
use super::{Dummies, LastLayer, Method};
use crate::matching::{labels, signal};
use crate::{AttackError, Run, layers};

/// Said where a method is asked what it does not answer.
pub const ONLY: &str = "the method is not of this task or model; use `bias-corrected` for one \
    class an example, `signs` for several labels";

/// Share of a gradient's size below which its sum is that of a softmax: zero.
const SOFTMAX: f64 = 1e-4;

/// What is told of each signal: labels `[N, B, K]` of zeros and ones, f32, of which each output's
/// first `n_k` examples have it (a gradient holds no order), and how sure each of these is, `[N,
/// K]`, where sizes were counted.
///
/// # Errors
/// As [`super::recover`]; `NotApplicable` for the gradient of a softmax.
pub fn told(
    seen: &Observation,
    pictures: usize,
    run: &Run,
) -> Result<(Tensor, Option<Tensor>), AttackError> {
    let missing = || AttackError::Missing(Fact::BatchSize.to_string());
    let batch = seen.known.batch_size.filter(|b| *b > 0).ok_or_else(missing)?;
    applies(Method::Signs, seen)?;
    let gradient = signal::direction(seen)?;
    for layer in LastLayer::of(seen, &gradient)? {
        refuse_softmax(layer.bias()?)?;
    }
    if batch == 1 {
        let mut rng = run.stream("label-evidence");
        return Ok((labels::read_signs(seen, &gradient, 1, &mut rng)?, None));
    }
    if !signal::has_scale(seen) {
        let why = "labels of several examples are read off the size of a gradient, which an \
            update without its learning rate does not tell";
        return Err(AttackError::NotApplicable(why.into()));
    }
    layers::refuse_single_values(seen, batch)?;
    let mut rng = run.stream("label-pictures");
    let expected = Dummies::drawn(seen, &seen.weights, pictures, &mut rng)?.presences();
    let (mut rows, mut sure) = (Vec::new(), Vec::new());
    for layer in LastLayer::of(seen, &gradient)? {
        run.check()?;
        let bias = layer.bias()?;
        let counts = presences(bias, &expected, batch as f64);
        let whole: Vec<f64> = counts.iter().map(|c| c.round().clamp(0.0, batch as f64)).collect();
        let off = counts.iter().zip(&whole).map(|(c, w)| (1.0 - 2.0 * (c - w).abs()).max(0.0));
        sure.push(Tensor::from_slice(&off.collect::<Vec<_>>()).to_kind(Kind::Float));
        let places = Tensor::arange(batch, (Kind::Double, tch::Device::Cpu)).unsqueeze(1);
        rows.push(places.lt_tensor(&Tensor::from_slice(&whole).unsqueeze(0)).to_kind(Kind::Float));
    }
    Ok((Tensor::stack(&rows, 0), Some(Tensor::stack(&sure, 0))))
}

/// Examples that have each label, `[K]`, before rounding.
fn presences(bias: &[f64], expected: &[f64], batch: f64) -> Vec<f64> {
    let outputs = bias.len() as f64;
    bias.iter().zip(expected).map(|(g, p)| batch * (p - outputs * g)).collect()
}

fn refuse_softmax(bias: &[f64]) -> Result<(), AttackError> {
    let size: f64 = bias.iter().map(|v| v.abs()).sum();
    if bias.iter().sum::<f64>().abs() > SOFTMAX * size {
        return Ok(());
    }
    let why = "one class an example is what this gradient is of; use method = \"bias-corrected\"";
    Err(AttackError::NotApplicable(why.into()))
}
