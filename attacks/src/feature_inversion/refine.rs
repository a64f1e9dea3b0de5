//! Stages 2 to 4 for one capture: layers recovered from the last convolution down.

use suites::{Flag, FlagKind};
use tch::{Kind, Tensor};

use super::attack::Prepared;
use super::budget::Budget;
use super::chain::{Chain, ConvLayer, up2};
use super::features::Inversion;
use super::gauss_newton::Smooth;
use super::params::FeatureInversion;
use super::recursive_layer::{Layer, RecoveredLayer, Tuning, norm};
use crate::AttackError;
use crate::analytic::LayerInput;

/// Largest relative residual of the last convolution's gradient at which its recovery is believed
/// (beyond the signal's own noise).
const BELIEVED: f64 = 3e-2;

/// Relative misfit of the first convolution's gradient below which nothing more can be gained in
/// f32.
const DONE: f64 = 1e-6;

/// f32 arithmetic's share of noise in a gradient.
const ARITHMETIC: f64 = 3e-7;

/// One capture's image with the doubts about it.
pub struct Candidate {
    /// Normalised, `[1, C, H, W]`.
    pub image: Tensor,
    /// Misfit of the first convolution's gradient after stage 1 and at the end.
    pub first: f64,
    pub objective: f64,
    pub flags: Vec<Flag>,
}

impl Candidate {
    /// The flags, with one more where the image is not finite.
    pub fn doubts(mut self) -> Vec<Flag> {
        if self.image.isfinite().all().int64_value(&[]) == 0 {
            self.flags.push(FlagKind::NonFinite.into());
        }
        self.flags
    }

    pub fn new(image: &Tensor, objective: f64) -> Candidate {
        Candidate { image: image.shallow_clone(), first: objective, objective, flags: Vec::new() }
    }

    /// Takes the candidate where its objective is lower.
    fn offer(&mut self, image: Tensor, objective: f64) -> bool {
        let better = objective < self.objective;
        if better {
            (self.image, self.objective) = (image, objective);
        }
        better
    }
}

/// Steps onwards from an image, each tried where the one before it led nowhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Bits and input of the last convolution but one, and the image with that input.
    Below,
    /// Gauss-Newton to the last convolution's input.
    Smooth,
    /// L-BFGS to the same.
    Descent,
}

/// One signal of a network that can be recovered.
pub struct Refinement<'a> {
    params: &'a FeatureInversion,
    budget: &'a Budget<'a>,
    single: &'a Chain,
    double: Chain,
    /// `D_l` of every convolution, f64, and its noise.
    gradients: Vec<Tensor>,
    noise: Vec<f64>,
    /// `a_L` and its loss gradient `g_L`, `[1, C, H, W]` f64.
    top: Tensor,
    top_delta: Tensor,
    /// Where `a_L` is not zero.
    alive: Tensor,
}

impl<'a> Refinement<'a> {
    /// Evaluations planned beyond stage 1.
    pub fn planned(params: &FeatureInversion) -> usize {
        10 + 100 + 6 * 30 + params.rounds * 8 * 30
    }

    /// Reads signal `n`.
    pub fn new(
        params: &'a FeatureInversion,
        prepared: &Prepared,
        single: &'a Chain,
        input: &LayerInput,
        n: i64,
        budget: &'a Budget<'a>,
    ) -> Refinement<'a> {
        let double = single.to_kind(Kind::Double);
        let read = |i: usize| {
            prepared.gradient.tensors[i].get(n).to_device(prepared.device).to_kind(Kind::Double)
        };
        let gradients: Vec<Tensor> = double.layers.iter().map(|l| read(l.position)).collect();
        let linear = prepared.weights.tensors[prepared.first.weight].get(0).to_kind(Kind::Double);
        let excess = excess(input, &read(prepared.first.weight), &linear, prepared.scale);
        let noise = double.layers.iter().zip(&gradients);
        let noise =
            noise.map(|(l, g)| rounding(&l.weight, g, prepared.scale).hypot(excess)).collect();
        let shape = {
            let size = prepared.seen.net.input();
            let depth = double.layers.len() as u32;
            [1, -1, size[1] / 2i64.pow(depth), size[2] / 2i64.pow(depth)]
        };
        Refinement {
            params,
            budget,
            single,
            gradients,
            noise,
            top: input.features.reshape(shape),
            top_delta: linear.transpose(0, 1).mv(&input.delta).reshape(shape),
            alive: alive(input).reshape(shape),
            double,
        }
    }

    /// From the image of the features `[1, C, H, W]` to the best found.
    ///
    /// # Errors
    /// When the user asked to stop.
    pub fn refine(&self, image: &Tensor) -> Result<Candidate, AttackError> {
        let mut found = Candidate::new(image, self.misfit(image)?);
        let top = self.double.layers.len();
        let Some((image, recovered)) = self.recover_top(&mut found)? else {
            found.flags.push(FlagKind::FeaturesOnly.into());
            return Ok(found);
        };
        if top == 1 {
            let image = recovered.input.unsqueeze(0);
            let misfit = self.misfit(&image)?;
            found.offer(image, misfit);
            return Ok(found);
        }
        let input = recovered.input.clamp_min(0.0).unsqueeze(0);
        let near = self.invert(&image, &input, top - 1, 0.5, 30)?;
        let near = self.invert(&near, &input, top - 1, -1.0, 70)?;
        let misfit = self.misfit(&near)?;
        found.offer(near, misfit);
        self.descend(&mut found, &recovered, &input)?;
        if found.objective >= found.first {
            found.flags.push(FlagKind::FeaturesOnly.into());
        }
        Ok(found)
    }

    /// Stage 2, with the inversion of stage 1 continued until the last convolution's gradient
    /// confirms it.
    fn recover_top(
        &self,
        found: &mut Candidate,
    ) -> Result<Option<(Tensor, RecoveredLayer)>, AttackError> {
        let top = self.double.layers.len();
        let mut image = found.image.shallow_clone();
        let delta = up2(&self.top_delta).get(0) / 4.0;
        let Some(layer) = self.layer(top, delta, up2(&self.alive).get(0)) else { return Ok(None) };
        let floor =
            1.5 * layer.noise * (layer.gradient.numel() as f64).sqrt() / norm(layer.gradient);
        let tuning =
            Tuning { error: 0.06, steps: 10, decay: 0.5, loose: 1.0, tolerance: 1e-6, most: 96 };
        for attempt in 0..=self.params.retries {
            if attempt > 0 {
                image =
                    self.invert(&image, &self.top, top, 1.0, 2 * self.params.feature_iterations)?;
                let misfit = self.misfit(&image)?;
                found.offer(image.shallow_clone(), misfit);
            }
            let estimate = self.double.encode(&image.to_kind(Kind::Double), top - 1).get(0);
            let recovered = layer.recover(&estimate, &tuning, self.budget)?;
            if let Some(recovered) = recovered.filter(|p| p.residual < BELIEVED.max(floor)) {
                return Ok(Some((image, recovered)));
            }
        }
        Ok(None)
    }

    /// Stage 4: each round tries one step onwards; candidates are judged by [`Refinement::misfit`].
    fn descend(
        &self,
        found: &mut Candidate,
        recovered: &RecoveredLayer,
        input: &Tensor,
    ) -> Result<(), AttackError> {
        let top = self.double.layers.len();
        let passed = &recovered.on * up2(&self.top_delta).get(0) / 4.0;
        let delta = up2(&self.double.layers[top - 1].adjoint(&passed.unsqueeze(0))).get(0) / 4.0;
        let threshold = 1e-5 * input.abs().mean(Kind::Double).double_value(&[]);
        let layer =
            self.layer(top - 1, delta, up2(&input.gt(threshold).to_kind(Kind::Double)).get(0));
        let (mut error, mut step) = (2e-3, Step::Below);
        for round in 0..self.params.rounds {
            if found.objective < DONE {
                break;
            }
            let last = round + 1 == self.params.rounds;
            let candidate = match (step, &layer) {
                (Step::Below, Some(layer)) => self.below(layer, found, error, last)?,
                (Step::Below, None) => None,
                (Step::Smooth, _) => Some(self.smooth(input, &found.image)?),
                (Step::Descent, _) => Some(self.invert(&found.image, input, top - 1, -1.0, 100)?),
            };
            let better = match candidate {
                Some(image) => {
                    let misfit = self.misfit(&image)?;
                    found.offer(image, misfit)
                }
                None => false,
            };
            if better && step == Step::Below {
                error = (error / 2.0).max(2e-5);
            }
            step = match (better, step) {
                (true, _) => Step::Below,
                (false, Step::Below) => Step::Smooth,
                (false, Step::Smooth) => Step::Descent,
                (false, Step::Descent) => break,
            };
        }
        Ok(())
    }

    /// The image with the last convolution's input, by Gauss-Newton.
    fn smooth(&self, input: &Tensor, image: &Tensor) -> Result<Tensor, AttackError> {
        let (depth, kind) = (self.double.layers.len() - 1, Kind::Float);
        Smooth { depth, outer: 6, inner: 30, width: 100.0, power: -1.0, floor: 0.0, kind }.solve(
            self.single,
            input,
            image,
            self.budget,
        )
    }

    /// The image with the input that the given layer's gradient tells, starting from the best so
    /// far.
    fn below(
        &self,
        layer: &Layer,
        found: &Candidate,
        error: f64,
        last: bool,
    ) -> Result<Option<Tensor>, AttackError> {
        let depth = self.double.layers.len() - 2;
        let tuning = Tuning { error, steps: 1, decay: 1.0, loose: 30.0, tolerance: 0.0, most: 64 };
        let estimate = self.double.encode(&found.image.to_kind(Kind::Double), depth).get(0);
        let Some(recovered) = layer.recover(&estimate, &tuning, self.budget)? else {
            return Ok(None);
        };
        let target = recovered.input.unsqueeze(0);
        let image =
            if depth == 0 {
                target
            } else {
                let outer = if last { 16 } else { 8 };
                let kind = Kind::Double;
                Smooth { depth, outer, inner: 30, width: 48.0, power: -0.5, floor: 3e-6, kind }
                    .solve(&self.double, &target, &found.image, self.budget)?
            };
        Ok(Some(image))
    }

    /// Convolution `l` (1-based), if its gradient has at least as many equations a channel as its
    /// input has positions.
    fn layer(&self, l: usize, delta: Tensor, on: Tensor) -> Option<Layer<'_>> {
        let conv: &ConvLayer = &self.double.layers[l - 1];
        let size = delta.size();
        (9 * size[0] >= size[1] * size[2]).then(|| Layer {
            conv,
            gradient: &self.gradients[l - 1],
            noise: self.noise[l - 1],
            delta,
            on: on.gt(0.0),
        })
    }

    fn invert(
        &self,
        start: &Tensor,
        target: &Tensor,
        depth: usize,
        power: f64,
        evaluations: usize,
    ) -> Result<Tensor, AttackError> {
        let encode = |u: &Tensor| self.single.encode(u, depth).flatten(1, -1);
        let target = target.flatten(1, -1);
        Inversion { encode: &encode, target: &target, power, evaluations, tv: None }
            .run(start, self.budget)
    }

    /// `|dW_1(u) - D_1| / |D_1|` of the first convolution, with everything above it recomputed from
    /// `u` and the known `g_L`. It sees every bit and, linearly, the image; no label and no truth
    /// enters. Not finite counts as infinite.
    fn misfit(&self, image: &Tensor) -> Result<f64, AttackError> {
        self.budget.tick(None)?;
        let u = image.to_kind(Kind::Float);
        let layers = &self.single.layers;
        let z = tch::no_grad(|| layers[0].apply(&u)).set_requires_grad(true);
        let a = layers[1..]
            .iter()
            .fold(super::chain::pool2(&z.relu()), |a, l| super::chain::pool2(&l.apply(&a).relu()));
        let value = (a * self.top_delta.to_kind(Kind::Float)).sum(Kind::Float);
        let d = Tensor::run_backward(&[value], &[&z], false, false).remove(0);
        let patches = u.im2col([3, 3], [1, 1], [1, 1], [1, 1]).get(0);
        let gradient =
            d.get(0).flatten(1, -1).matmul(&patches.transpose(0, 1)).to_kind(Kind::Double);
        let target = self.gradients[0].flatten(1, -1);
        let misfit = norm(&(gradient - &target)) / norm(&target).max(f64::MIN_POSITIVE);
        Ok(if misfit.is_finite() { misfit } else { f64::INFINITY })
    }
}

/// Where the features are not zero: columns of `dW` that vanish exactly tell it; under additive
/// noise none does, and two standard deviations must.
fn alive(input: &LayerInput) -> Tensor {
    let silent = input.spread.eq(0.0).logical_and(&input.features.eq(0.0));
    let exact = silent.any().int64_value(&[]) != 0;
    let alive =
        if exact { silent.logical_not() } else { input.features.gt_tensor(&(&input.spread * 2.0)) };
    alive.to_kind(Kind::Double)
}

/// Standard deviation of rounding in a gradient: f32 arithmetic, and for `(w - w') / scale` the
/// rounding of the stored weights.
fn rounding(weight: &Tensor, gradient: &Tensor, scale: Option<f64>) -> f64 {
    let rms = |t: &Tensor| t.square().mean(Kind::Double).sqrt().double_value(&[]);
    let arithmetic = ARITHMETIC * rms(gradient);
    let Some(scale) = scale else { return arithmetic };
    let exponent = weight.abs().clamp_min(1e-12).log2().floor() - 23.0;
    arithmetic.hypot(rms(&exponent.exp2()) / 12f64.sqrt() / scale)
}

/// Noise of the fully connected layer's gradient beyond rounding: a defense's, taken to be the same
/// in every layer.
fn excess(input: &LayerInput, gradient: &Tensor, weight: &Tensor, scale: Option<f64>) -> f64 {
    let expected = rounding(weight, gradient, scale);
    if input.noise > 3.0 * expected { input.noise } else { 0.0 }
}
