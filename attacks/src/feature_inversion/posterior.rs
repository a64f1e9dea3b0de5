//! Which units of a convolution are on: a Gaussian posterior of the least certain bits given the
//! layer's weight gradient.

use tch::{Kind, Tensor};

/// Below this variance a bit counts as certain.
const CERTAIN: f64 = 1e-5;

/// Floor of a bit's prior variance: keeps its reciprocal finite.
const LEAST_VARIANCE: f64 = 1e-14;

/// A unit under a pooled output that is zero is on with this fraction of its prior.
const SURELY_OFF: f64 = 1e-3;

/// What is known before a layer's bits are estimated; `N` positions, `O` channels.
pub struct Evidence<'a> {
    /// `z` at the estimated input, `[O, N]`.
    pub z: &'a Tensor,
    /// False where the unit is surely off, `[O, N]`.
    pub on: &'a Tensor,
    /// `G = up2(g)/4`: the loss gradient at a unit that is on, `[O, N]`.
    pub delta: &'a Tensor,
    /// Patches of the estimated input, `[N, C*9]`.
    pub patches: &'a Tensor,
    /// The weight gradient `D`, `[O, C*9]`.
    pub gradient: &'a Tensor,
    /// Relative error of `z`.
    pub error: f64,
    /// Root mean square of the input times `error`: its absolute error.
    pub input_error: f64,
    /// Variance of the gradient's noise.
    pub noise: f64,
    /// Most bits a channel that are treated as unknown.
    pub most: i64,
}

/// Bits with what is left of their doubt.
pub struct Bits {
    /// 0 or 1, `[O, N]`.
    pub on: Tensor,
    /// Variance of each, `[O, N]`.
    pub variance: Tensor,
}

/// Priors `m ~ Bernoulli(Phi(z / error))`, then for each channel `o` the Gaussian posterior of its
/// `k` least certain bits under `D_o = sum_p m_p G_p patch_p + noise`.
///
/// `None` where the linear algebra gave nothing finite.
pub fn bits(e: &Evidence) -> Option<Bits> {
    let rms = e.z.square().mean(Kind::Double).sqrt().clamp_min(f64::MIN_POSITIVE);
    let prior = (e.z / (rms * e.error)).special_ndtr();
    let prior = prior.where_self(e.on, &(&prior * SURELY_OFF));
    let variance = &prior * (prior.neg() + 1.0);
    let unsure = variance.gt(CERTAIN).sum_dim_intlist(1, false, Kind::Int64).max().int64_value(&[]);
    let k = unsure.clamp(8.min(e.most), e.most).min(e.z.size()[1]);
    let (_, index) = variance.topk(k, 1, true, false);
    let take = |t: &Tensor| t.gather(1, &index, false);
    let (expected, delta) = (take(&prior), take(e.delta));
    let mean = prior.gt(0.5).to_kind(Kind::Double).scatter(1, &index, &expected);
    let (shift, covariance) =
        update(e, &index, &mean, &delta, &take(&variance).clamp_min(LEAST_VARIANCE))?;
    let posterior = (expected + shift).clamp(0.0, 1.0);
    let hard = posterior.gt(0.5).to_kind(Kind::Double);
    let doubt = ((posterior - &hard).square() + covariance).clamp_max(0.25);
    let doubt = doubt.where_scalarother(&doubt.ge(1e-4), 0.0);
    let variance = mean.zeros_like().scatter(1, &index, &doubt);
    Some(Bits { on: mean.scatter(1, &index, &hard), variance })
}

/// How far the posterior mean lies from the prior's, and the posterior variances, `[O, k]` each.
fn update(
    e: &Evidence,
    index: &Tensor,
    mean: &Tensor,
    delta: &Tensor,
    prior_variance: &Tensor,
) -> Option<(Tensor, Tensor)> {
    let (channels, k) = index.size2().ok()?;
    let weighted = mean * e.delta;
    let residual = e.gradient - weighted.matmul(e.patches);
    // Noise of the residual: the input's error seen through the channel, and that of the gradient.
    let noise =
        weighted.square().sum_dim_intlist(1, true, Kind::Double) * e.input_error.powi(2) + e.noise;
    let rows = e.patches.index_select(0, &index.reshape([-1])).reshape([channels, k, -1])
        * delta.unsqueeze(2);
    let precision = rows.bmm(&rows.transpose(1, 2)) / noise.unsqueeze(2)
        + prior_variance.reciprocal().diag_embed(0, 1, 2);
    let seen = rows.bmm(&residual.unsqueeze(2)).squeeze_dim(2) / noise;
    let (inverse, _) = Tensor::linalg_inv_ex(&precision, false);
    let shift = inverse.bmm(&seen.unsqueeze(2)).squeeze_dim(2);
    let variances = inverse.diagonal(0, 1, 2).clamp_min(0.0);
    (crate::analytic::is_finite(&shift) && crate::analytic::is_finite(&variances))
        .then_some((shift, variances))
}
