//! Recovering one convolution: its bits and its exact input from its weight gradient.
//!
//! Backwards, `d_l = m_l G_l` with `G_l = up2(g_l)/4` and `g_l = dL/da_l`; `g_{l-1} = conv^T(W_l,
//! d_l)`. The weight gradient is `D_l[o,c,k] = sum_p d_l[o,p] a_{l-1}[c,p+k]`: linear in the input
//! `a_{l-1}` once the bits `m_l` are known.

use tch::{Kind, Tensor};

use super::budget::Budget;
use super::chain::ConvLayer;
use super::posterior::{Bits, Evidence, bits};
use crate::AttackError;

/// A convolution with what is known of its gradient; all f64.
pub struct Layer<'a> {
    pub conv: &'a ConvLayer,
    /// `D`, `[O, C, 3, 3]`.
    pub gradient: &'a Tensor,
    /// Standard deviation of `D`'s noise.
    pub noise: f64,
    /// `G`, `[O, H, W]`.
    pub delta: Tensor,
    /// False where the pooled output is zero, so that the unit is surely off, `[O, H, W]`.
    pub on: Tensor,
}

/// How a recovery goes.
pub struct Tuning {
    /// Relative error of the first estimate.
    pub error: f64,
    /// Steps, and the factor by which each shrinks the expected error.
    pub steps: usize,
    pub decay: f64,
    /// Width of the input's prior in units of the expected error.
    pub loose: f64,
    /// Relative change of the input that counts as none.
    pub tolerance: f64,
    /// Most bits a channel that are treated as unknown.
    pub most: i64,
}

/// The outcome of a recovery.
pub struct RecoveredLayer {
    /// The layer's input, `[C, H, W]`.
    pub input: Tensor,
    /// Its bits, `[O, H, W]`.
    pub on: Tensor,
    /// `|D - D(input, bits)| / |D|`.
    pub residual: f64,
}

/// The least a gradient's noise can be, relative to its root mean square: f64 sums of f32 values.
const LEAST_NOISE: f64 = 1e-9;

impl Layer<'_> {
    /// Alternates between bits and input, from the estimate `[C, H, W]`. `None` where nothing
    /// finite came out.
    ///
    /// # Errors
    /// When the user asked to stop.
    pub fn recover(
        &self,
        estimate: &Tensor,
        tuning: &Tuning,
        budget: &Budget,
    ) -> Result<Option<RecoveredLayer>, AttackError> {
        let (mut input, mut error, mut last) = (estimate.shallow_clone(), tuning.error, None);
        for _ in 0..tuning.steps {
            budget.tick(None)?;
            let Some(next) = self.step(&input, error, tuning) else { return Ok(None) };
            let moved = norm(&(&next.input - &input)) / norm(&next.input).max(f64::MIN_POSITIVE);
            input = next.input.shallow_clone();
            last = Some(next);
            error = (error * tuning.decay).max(1e-7);
            if moved < tuning.tolerance {
                break;
            }
        }
        Ok(last)
    }

    fn step(&self, input: &Tensor, error: f64, tuning: &Tuning) -> Option<RecoveredLayer> {
        let (o, n) = (self.delta.size()[0], self.delta.size()[1] * self.delta.size()[2]);
        let flat = |t: &Tensor| t.reshape([o, n]);
        let (delta, on) = (flat(&self.delta), flat(&self.on));
        let rms = |t: &Tensor| t.square().mean(Kind::Double).sqrt().double_value(&[]);
        let floor = (LEAST_NOISE * rms(self.gradient)).max(1e-150);
        let input_error = (error * rms(input)).max(1e-150);
        let evidence = Evidence {
            z: &flat(&self.conv.apply(&input.unsqueeze(0))),
            on: &on,
            delta: &delta,
            patches: &input
                .unsqueeze(0)
                .im2col([3, 3], [1, 1], [1, 1], [1, 1])
                .get(0)
                .transpose(0, 1),
            gradient: &self.gradient.reshape([o, -1]),
            error,
            input_error,
            noise: self.noise.max(floor).powi(2),
            most: tuning.most,
        };
        let bits = bits(&evidence)?;
        self.solve(input, &bits, &evidence, tuning.loose * input_error)
    }

    /// The input by ridge least squares around the estimate, `width` the prior's; one matrix serves
    /// all input channels.
    fn solve(
        &self,
        input: &Tensor,
        bits: &Bits,
        e: &Evidence,
        width: f64,
    ) -> Option<RecoveredLayer> {
        let size = self.delta.size();
        let (o, n) = (size[0], size[1] * size[2]);
        let (estimate, target) =
            (input.reshape([-1, n]), self.gradient.permute([0, 2, 3, 1]).reshape([o * 9, -1]));
        let d = &bits.on * e.delta;
        let shifts = d.reshape([o, 1, size[1], size[2]]).im2col([3, 3], [1, 1], [1, 1], [1, 1]);
        // Row (o, k) holds d_o shifted by k, so that its product with channel c of the input is
        // D[o, c, k].
        let matrix = shifts.reshape([o, 9, n]).flip([1]).reshape([o * 9, n]);
        let doubt = (&bits.variance * e.delta.square()).sum_dim_intlist(1, false, Kind::Double);
        let variance = doubt * (input.square().mean(Kind::Double)) + e.noise;
        let residual = &target - matrix.matmul(&estimate.transpose(0, 1));
        let change = reweighted(&matrix, &residual, &variance, width)?;
        let found = estimate + change.transpose(0, 1);
        let misfit = norm(&(&target - matrix.matmul(&found.transpose(0, 1))));
        let relative = misfit / norm(&target).max(f64::MIN_POSITIVE);
        (relative.is_finite() && crate::analytic::is_finite(&found)).then(|| RecoveredLayer {
            input: found.reshape(input.size()),
            on: bits.on.reshape(&size[..]),
            residual: relative,
        })
    }
}

/// Weighted ridge least squares `[N, C]` of `matrix x = residual`. A channel with doubtful bits
/// weighs little; one whose residual stands out has a wrong bit, and is given less weight in the
/// next of three rounds.
fn reweighted(matrix: &Tensor, residual: &Tensor, variance: &Tensor, width: f64) -> Option<Tensor> {
    let (channels, mut extra, mut found) = (variance.size()[0], variance.zeros_like(), None);
    for _ in 0..3 {
        let weight =
            (variance + &extra).reciprocal().repeat_interleave_self_int(9, 0, None).unsqueeze(1);
        let weighted = matrix * weight;
        let normal = weighted.transpose(0, 1).matmul(matrix);
        let _ = normal.diagonal(0, 0, 1).g_add_scalar_(width.powi(-2));
        let (lower, info) = normal.linalg_cholesky_ex(false, false);
        if info.int64_value(&[]) != 0 {
            break;
        }
        let change = weighted.transpose(0, 1).matmul(residual).cholesky_solve(&lower, false);
        let left = (residual - matrix.matmul(&change)).square().reshape([channels, -1]);
        found = Some(change);
        let left = left.mean_dim(1, false, Kind::Double);
        let bad = left.gt_tensor(&(left.median().maximum(variance) * 9.0));
        if bad.any().int64_value(&[]) == 0 {
            break;
        }
        extra = (left * 10.0).where_scalarother(&bad, 0.0);
    }
    found
}

/// L2 norm.
pub fn norm(t: &Tensor) -> f64 {
    t.square().sum(Kind::Double).sqrt().double_value(&[])
}
