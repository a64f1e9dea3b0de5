//! The image that has the activations `a_L`, by Gauss-Newton with a smoothed Jacobian.

use tch::{Kind, Tensor};

use super::budget::Budget;
use super::chain::{Chain, pool2, up2};
use super::precondition::Precondition;
use super::recursive_layer::norm;
use crate::AttackError;

/// How the iteration goes.
pub struct Smooth {
    /// Convolutions between image and activations.
    pub depth: usize,
    /// Gauss-Newton steps, and steps of conjugate gradients within each.
    pub outer: usize,
    pub inner: usize,
    /// Width of the smoothing in units of the local residual.
    pub width: f64,
    /// Power of the preconditioner.
    pub power: f64,
    /// Relative residual that is good enough.
    pub floor: f64,
    /// Element type of the iteration.
    pub kind: Kind,
}

impl Smooth {
    /// Solves `a_depth(u) = target` (`[1, C', H', W']`) from `start` (`[1, C, H, W]`), f64 out.
    ///
    /// Each ReLU's derivative `[z > 0]` is replaced by `Phi(z / (width s))`, with `s` the
    /// residual's local root mean square scaled to `z`. The residual itself stays exact, so the
    /// solution is a fixed point whatever the width, while the plain Jacobian gets stuck at kinks
    /// far from it. The best point by that residual is returned.
    ///
    /// # Errors
    /// When the user asked to stop.
    pub fn solve(
        &self,
        chain: &Chain,
        target: &Tensor,
        start: &Tensor,
        budget: &Budget,
    ) -> Result<Tensor, AttackError> {
        let (target, mut u) = (target.to_kind(self.kind), start.to_kind(self.kind));
        let size = u.size();
        let filter = Precondition::new(size[2], size[3], self.kind, u.device());
        let scale = norm(&target).max(f64::MIN_POSITIVE);
        let (mut best, mut kept, mut idle) = (f64::INFINITY, u.shallow_clone(), 0);
        for step in 0..=self.outer {
            let z = self.outputs(chain, &u);
            let residual = &target - pool2(&z[self.depth - 1].relu());
            let now = norm(&residual) / scale;
            idle = if now < 0.99 * best { 0 } else { idle + 1 };
            if now < best {
                (best, kept) = (now, u.shallow_clone());
            }
            if now < self.floor || idle == 2 || step == self.outer || !now.is_finite() {
                break;
            }
            let jacobian = Jacobian {
                chain,
                slopes: self.slopes(&z, &residual),
                filter: &filter,
                power: self.power,
            };
            u = &u + jacobian.least_squares(residual, self.inner, budget)?;
        }
        Ok(kept.to_kind(Kind::Double))
    }

    /// `z_1 .. z_depth`.
    fn outputs(&self, chain: &Chain, u: &Tensor) -> Vec<Tensor> {
        let mut z: Vec<Tensor> = Vec::new();
        for layer in &chain.layers[..self.depth] {
            let input = z.last().map_or_else(|| u.shallow_clone(), |z| pool2(&z.relu()));
            z.push(layer.apply(&input));
        }
        z
    }

    /// Smoothed derivatives of the ReLUs. The residual's size is taken over 3x3 cells and all
    /// channels.
    fn slopes(&self, z: &[Tensor], residual: &Tensor) -> Vec<Tensor> {
        let rms = |t: &Tensor| t.square().mean(self.kind).sqrt();
        let local = residual.square().mean_dim(&[1i64][..], true, self.kind);
        let local = local.avg_pool2d([3, 3], [1, 1], [1, 1], false, false, None).sqrt();
        let mut size = local / rms(&z[self.depth - 1]).clamp_min(1e-30);
        let mut slopes: Vec<Tensor> = Vec::new();
        for z in z.iter().rev() {
            size = up2(&size);
            slopes.push((z / (&size * rms(z) * self.width + 1e-9)).special_ndtr());
        }
        slopes.reverse();
        slopes
    }
}

struct Jacobian<'a> {
    chain: &'a Chain,
    slopes: Vec<Tensor>,
    filter: &'a Precondition,
    power: f64,
}

impl Jacobian<'_> {
    fn forward(&self, v: &Tensor) -> Tensor {
        let layers = self.chain.layers.iter().zip(&self.slopes);
        layers.fold(self.filter.apply(v, self.power), |v, (layer, slope)| {
            pool2(&(slope * layer.linear(&v)))
        })
    }

    fn adjoint(&self, r: &Tensor) -> Tensor {
        let layers = self.chain.layers.iter().zip(&self.slopes).rev();
        let v = layers
            .fold(r.shallow_clone(), |v, (layer, slope)| layer.adjoint(&(slope * up2(&v) / 4.0)));
        self.filter.apply(&v, self.power)
    }

    /// `C y` with `y` from conjugate gradients on the normal equations of `J y = r` (Hestenes and
    /// Stiefel 1952).
    fn least_squares(
        &self,
        mut r: Tensor,
        steps: usize,
        budget: &Budget,
    ) -> Result<Tensor, AttackError> {
        let square = |t: &Tensor| t.square().sum(Kind::Double).double_value(&[]);
        let q = self.adjoint(&r);
        let (mut y, mut p, mut gamma) = (q.zeros_like(), q.shallow_clone(), square(&q));
        let first = gamma;
        for _ in 0..steps {
            budget.tick(None)?;
            let jp = self.forward(&p);
            let curvature = square(&jp);
            if !(gamma > 1e-12 * first && curvature > 0.0 && curvature.is_finite()) {
                break;
            }
            let alpha = gamma / curvature;
            y = &y + &p * alpha;
            r = &r - jp * alpha;
            let q = self.adjoint(&r);
            let next = square(&q);
            p = q + p * (next / gamma);
            gamma = next;
        }
        Ok(self.filter.apply(&y, self.power))
    }
}
