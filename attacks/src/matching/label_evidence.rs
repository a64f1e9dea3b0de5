//! What the whole gradient of the last layer tells of one example's label behind noise.
//!
//! For one example `[dW | db] = delta a^T` with `a = [f, 1]` the layer's input. Of a softmax
//! cross-entropy `delta` is `p - y` up to what a clip scaled it by: one negative entry, at the
//! label, and a sum of zero. Each class is a hypothesis about these signs, and its likelihood
//! is that of the captured matrix at the best `delta` and `a` that agree with it. What `f` may be
//! is learnt from the model: from the layer's inputs for pictures of noise. The bias's own input is
//! 1, which fixes the sign that a matrix of rank one leaves open.

use learning::tape::{Mode, Tape};
use learning::{Observation, Params};
use rand_chacha::ChaCha12Rng;
use tch::{Device, Kind, Tensor};

use super::init::{self, Start};

/// Pictures of noise that the layer's input is learnt from.
const PICTURES: i64 = 32;

/// Classes whose likelihood is maximised in full: those with the most negative estimates. The
/// others follow in the order of these.
const CLASSES: usize = 32;

/// Rounds of maximising over `delta` and `a` in turn.
const ROUNDS: usize = 12;

/// The last layer's gradient `[N, K, F + 1]` with its bias as the last column, and what its input
/// `a` may be.
pub struct Evidence {
    captured: Vec<Vec<Vec<f64>>>,
    input: Vec<f64>,
    spread: Vec<f64>,
}

/// A class with the logarithm of its likelihood, up to a constant of the signal.
pub type Ranked = (i64, f64);

impl Evidence {
    /// `None` where the model does not end in a linear layer with a bias for its `K` classes.
    pub fn from_gradient(
        seen: &Observation,
        gradient: &Params,
        rng: &mut ChaCha12Rng,
    ) -> Option<Evidence> {
        let classes = seen.net.classes();
        let [.., weight, bias] = &gradient.trainable().collect::<Vec<_>>()[..] else {
            return None;
        };
        let fits = weight.dim() == 3 && weight.size()[1] == classes;
        if gradient.layout().ends_frozen() || bias.size()[1..] != [classes] || !fits {
            return None;
        }
        let features = features(seen, rng)?;
        if features.size()[1] != weight.size()[2] {
            return None;
        }
        let (input, spread) = prior(&features);
        let whole = Tensor::cat(&[(*weight).shallow_clone(), bias.unsqueeze(2)], 2);
        let whole = whole.to_device(Device::Cpu).to_kind(Kind::Double);
        let captured = whole.unbind(0).iter().map(rows).collect();
        Some(Evidence { captured, input, spread })
    }

    /// For each signal all classes, the likeliest first, under noise of that standard deviation on
    /// an entry.
    pub fn ranked(&self, std: f64) -> Vec<Vec<Ranked>> {
        self.captured.iter().map(|g| self.rank(g, std)).collect()
    }

    /// Estimates of `delta` `[N][K]`, by the input that is expected.
    pub fn deltas(&self) -> Vec<Vec<f64>> {
        self.captured.iter().map(|g| estimate(g, &self.input)).collect()
    }

    fn rank(&self, g: &[Vec<f64>], std: f64) -> Vec<Ranked> {
        let rough = estimate(g, &self.input);
        let mut order: Vec<usize> = (0..g.len()).collect();
        order.sort_by(|&a, &b| rough[a].total_cmp(&rough[b]));
        // Rounding is noise too.
        let size = g.iter().flatten().map(|v| v * v).sum::<f64>().sqrt();
        let std = std.max(1e-7 * size).max(1e-30);
        let (first, rest) = order.split_at(order.len().min(CLASSES));
        let mut ranked: Vec<Ranked> =
            first.iter().map(|&k| (k as i64, self.likelihood(g, k, std))).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked.extend(rest.iter().map(|&k| (k as i64, f64::NEG_INFINITY)));
        ranked
    }

    /// Largest logarithm of the density of `g [K][F + 1]` where class `k` is the label.
    fn likelihood(&self, g: &[Vec<f64>], k: usize, std: f64) -> f64 {
        let noise = std * std;
        let mut a = self.input.clone();
        let mut delta = signed_for(k, &estimate(g, &a));
        for _ in 0..ROUNDS {
            let size: f64 = delta.iter().map(|d| d * d).sum();
            for (j, a) in a.iter_mut().enumerate() {
                let seen: f64 = g.iter().zip(&delta).map(|(row, d)| row[j] * d).sum();
                let (mean, variance) = (self.input[j], self.spread[j]);
                // The mean of normal knowledge before and after.
                *a = (mean * noise + seen * variance) / (noise + size * variance);
            }
            delta = signed_for(k, &estimate(g, &a));
        }
        let misfit = |(row, d): (&Vec<f64>, &f64)| -> f64 {
            row.iter().zip(&a).map(|(g, a)| (g - d * a).powi(2)).sum()
        };
        let misfit: f64 = g.iter().zip(&delta).map(misfit).sum();
        let surprise = |j: usize| (a[j] - self.input[j]).powi(2) / self.spread[j];
        let surprise: f64 = (0..a.len()).filter(|&j| self.spread[j] > 0.0).map(surprise).sum();
        -0.5 * (misfit / noise + surprise)
    }
}

/// Inputs `[M, F]` of the last linear layer for pictures of noise.
fn features(seen: &Observation, rng: &mut ChaCha12Rng) -> Option<Tensor> {
    let shape = [vec![PICTURES], seen.net.input()].concat();
    let half = [vec![PICTURES / 2], seen.net.input()].concat();
    let pictures = [init::draw(Start::Fft, &half, rng), init::draw(Start::Normal, &half, rng)];
    let x = Tensor::cat(&pictures, 0).reshape([&[1], &shape[..]].concat());
    let weights = seen.weights.narrow(0, 1).to(Device::Cpu, Kind::Double);
    tch::no_grad(|| {
        let mut tape = Tape::new(&weights, Mode::Eval);
        let _ = seen.net.forward_normalised(&mut tape, &x.to_kind(Kind::Double));
        tape.embedding.map(|e| e.reshape([PICTURES, -1]))
    })
}

/// Mean of each input and its variance, `[F + 1]`; the bias's is known. Pictures vary more than
/// noise does: the spread is taken twice as wide, and nothing counts as fixed.
fn prior(features: &Tensor) -> (Vec<f64>, Vec<f64>) {
    let mean = features.mean_dim(&[0i64][..], false, None::<Kind>);
    let least = features.square().mean(Kind::Double).double_value(&[]) * 1e-2;
    let variance = features.var_dim(&[0i64][..], true, false) * 4.0 + least.max(1e-12);
    let host = |t: &Tensor| -> Vec<f64> { Vec::try_from(t).unwrap_or_default() };
    let (mut mean, mut variance) = (host(&mean), host(&variance));
    mean.push(1.0);
    variance.push(0.0);
    (mean, variance)
}

/// The least-squares `delta` of `g = delta a^T`.
fn estimate(g: &[Vec<f64>], a: &[f64]) -> Vec<f64> {
    let size = a.iter().map(|a| a * a).sum::<f64>().max(1e-30);
    g.iter().map(|row| row.iter().zip(a).map(|(g, a)| g * a).sum::<f64>() / size).collect()
}

/// The nearest vector with a sum of zero whose only negative entry is at `k`.
///
/// With `s` the sum of the others, each of these is `max(0, v_j - v_k - s)`; `s` is found by
/// bisection.
fn signed_for(k: usize, v: &[f64]) -> Vec<f64> {
    let others = || v.iter().enumerate().filter(move |(j, _)| *j != k);
    let sum = |s: f64| others().map(|(_, &v_j)| (v_j - v[k] - s).max(0.0)).sum::<f64>();
    let (mut low, mut high) = (0.0, sum(0.0));
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if sum(middle) > middle { low = middle } else { high = middle }
    }
    let mut out: Vec<f64> = v.iter().map(|&v_j| (v_j - v[k] - low).max(0.0)).collect();
    out[k] = 0.0;
    out[k] = -out.iter().sum::<f64>();
    out
}

fn rows(matrix: &Tensor) -> Vec<Vec<f64>> {
    let host = |row: &Tensor| Vec::try_from(row.contiguous()).unwrap_or_default();
    matrix.unbind(0).iter().map(host).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_signed_vector_is_found() {
        for v in [vec![0.3, -0.8, 0.5], vec![-0.2, 0.1], vec![0.4, 0.2, -0.1, 0.9]] {
            for k in 0..v.len() {
                let near = signed_for(k, &v);
                assert!(near.iter().sum::<f64>().abs() < 1e-12, "{near:?}");
                assert!(near.iter().enumerate().all(|(j, n)| j == k || *n >= 0.0), "{near:?}");
                let off =
                    |w: &[f64]| -> f64 { v.iter().zip(w).map(|(v, w)| (v - w).powi(2)).sum() };
                // No admissible neighbour is nearer.
                for j in (0..v.len()).filter(|&j| j != k) {
                    for step in [1e-3, -1e-3] {
                        let mut other = near.clone();
                        other[j] += step;
                        other[k] -= step;
                        assert!(other[j] < 0.0 || off(&other) >= off(&near) - 1e-9, "{v:?} {k}");
                    }
                }
            }
        }
    }
}
