//! The cosine classifier of face recognition: both sides normalised, no bias.

use tch::Tensor;

use super::{Tap, TapKind, Tape, broadcast_lanes};
use crate::params::InitRule;

/// Below this a norm counts as this much, so that a zero vector has the cosine 0 with everything.
const LEAST: f64 = 1e-12;

impl Tape<'_> {
    /// `scale * cos(x, w_k)` for each of `out` weight vectors, `x` `[T, B, E]` to `[T, B, out]`
    /// (Wang et al. 2017: NormFace). The weights begin as Glorot and Bengio's uniform.
    pub fn cosine(&mut self, name: &str, x: &Tensor, out: i64, scale: f64) -> Tensor {
        let x = self.before_linear(name, x);
        let features = x.size()[2];
        let init = InitRule::Uniform { bound: (6.0 / (out + features) as f64).sqrt() };
        let (wi, w) = self.param(format!("{name}.weight"), &[out, features], init, true);
        let inverse = norms(&w).reciprocal();
        let unit = &w * &inverse;
        let input = &x * (norms(&x).reciprocal() * scale);
        let lanes = w.size()[0].max(x.size()[0]);
        let output =
            broadcast_lanes(&input, lanes).matmul(&broadcast_lanes(&unit, lanes).transpose(1, 2));
        self.keep(Tap {
            kind: TapKind::Cosine,
            weight: wi,
            bias: None,
            input,
            output,
            kernels: Vec::new(),
            fixed: Some([unit, inverse.squeeze_dim(2)]),
            conv: None,
        })
    }
}

/// Lengths of the rows, `[.., n]` to `[.., 1]`.
fn norms(x: &Tensor) -> Tensor {
    x.norm_scalaropt_dim(2, &[-1i64][..], true).clamp_min(LEAST)
}
