//! The input of the first fully connected layer, read exactly from that layer's gradient.
//!
//! For one example the layer `z = W f + b` has `dW = g f^T` and `db = g`, where `g = dL/dz`. Every
//! neuron with `g_j != 0` names the input, `f = dW_j / g_j`; least squares over all of them is `f =
//! sum_j g_j dW_j / sum_j g_j^2`. A vision transformer's patch embedding gives its input likewise.

use learning::tape::{TapKind, Tape};
use learning::{Form, Network, Observation, Params, Signal};
use serde::{Deserialize, Serialize};
use suites::{Entry, Fact, Flag, FlagKind};
use tch::{Kind, Tensor};

use crate::attack::{Progress, Reconstruction, Run};
use crate::matching::{labels, signal};
use crate::patches::{self, Patches};
use crate::{Attack, AttackError, layers};

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "analytic",
    summary: "the input of the first fully connected layer, or of a transformer's patch embedding, \
        in closed form (batch 1)",
    reference: "Phong et al.: Privacy-Preserving Deep Learning via Additively Homomorphic \
        Encryption, IEEE TIFS 2018",
    build: |map| Ok(Box::new(suites::params::<Analytic>("analytic", map)?)),
};

/// The closed-form attack on models whose first layer is fully connected. It has no parameters.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Analytic {}

/// Largest share of `dW` that may lie outside its best rank-one fit before the result is doubted.
pub(crate) const DOUBTFUL: f64 = 0.1;

impl Attack for Analytic {
    fn needs(&self) -> Vec<Fact> {
        vec![Fact::BatchSize]
    }

    fn reads_directions(&self) -> bool {
        true
    }

    fn reconstruct(&self, seen: &Observation, run: &Run) -> Result<Reconstruction, AttackError> {
        layers::refuse_tokens(seen)?;
        let gradient = one_example(seen)?;
        let layer = first_linear(seen);
        if !matches!(layer, Ok(FirstLinear { sees_image: true, .. }))
            && let Some(patches) = patches::find(seen)
        {
            return of_patches(seen, run, &gradient, patches);
        }
        let layer = layer?;
        if !layer.sees_image {
            return Err(AttackError::NotApplicable(
                "the first fully connected layer of this model is not fed by the image; \
                 `feature-inversion` inverts what feeds it"
                    .into(),
            ));
        }
        let mut inputs = Vec::new();
        for n in 0..seen.lanes() {
            run.check()?;
            inputs.push(layer.input(&gradient, n, run.device));
            let (iteration, total) = (n as usize + 1, seen.lanes() as usize);
            (run.progress)(Progress { iteration, total, lanes: 1, objective: None });
        }
        Ok(result(seen, &gradient, &inputs))
    }
}

/// From the projection of patches that a vision transformer begins with.
fn of_patches(
    seen: &Observation,
    run: &Run,
    gradient: &Params,
    patches: Patches,
) -> Result<Reconstruction, AttackError> {
    let mut found = Vec::new();
    for n in 0..seen.lanes() {
        run.check()?;
        found.push(patches.image(gradient, n, run.device));
    }
    let images: Vec<&Tensor> = found.iter().map(|f| &f.image).collect();
    let pixels = Tensor::stack(&images, 0).unsqueeze(1);
    let residuals: Vec<f64> = found.iter().map(|f| f.residual).collect();
    let flags = found.iter().map(|f| f.flags.clone()).collect();
    Ok(reconstruction(seen, gradient, &pixels, residuals, flags))
}

fn result(seen: &Observation, gradient: &Params, inputs: &[LayerInput]) -> Reconstruction {
    let rows: Vec<Tensor> = inputs.iter().map(|i| i.features.shallow_clone()).collect();
    let size = [vec![rows.len() as i64, 1], seen.net.input()].concat();
    let objective: Vec<f64> = inputs.iter().map(|i| i.residual).collect();
    let flags = inputs.iter().map(LayerInput::flags).collect();
    reconstruction(seen, gradient, &Tensor::stack(&rows, 0).reshape(size), objective, flags)
}

/// From normalised inputs `[N, 1, ...]`.
fn reconstruction(
    seen: &Observation,
    gradient: &Params,
    inputs: &Tensor,
    objective: Vec<f64>,
    flags: Vec<Vec<Flag>>,
) -> Reconstruction {
    Reconstruction {
        pixels: seen
            .net
            .to_pixels(inputs)
            .clamp(0.0, 1.0)
            .to_kind(Kind::Float)
            .to_device(tch::Device::Cpu),
        labels: labels::read_off(gradient, seen.net.classes(), 1).ok(),
        certainty: None,
        trace: vec![(0, objective.clone())],
        objective,
        evaluations: 0,
        iterations: 0,
        restarts: 1,
        flags,
    }
}

/// The gradient of the one example behind each signal, `[N, ...]`.
///
/// # Errors
/// `NotApplicable` where several examples are mixed, and what [`signal::direction`] says.
pub(crate) fn one_example(seen: &Observation) -> Result<Params, AttackError> {
    let known = &seen.known;
    let batch =
        known.batch_size.ok_or_else(|| AttackError::Missing(Fact::BatchSize.to_string()))?;
    let local = if matches!(seen.signal, Signal::Update(_)) {
        known.local_examples.unwrap_or(1)
    } else {
        1
    };
    let examples = batch.max(local as i64).max(known.contributors);
    if examples != 1 {
        return Err(AttackError::NotApplicable(format!(
            "dW of the first fully connected layer has rank 1 for one example only, and \
             {examples} are mixed in this signal"
        )));
    }
    signal::direction(seen)
}

/// Where a network's first fully connected layer is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstLinear {
    /// Position of its tap in a recording pass.
    pub tap: usize,
    /// Positions of its weight and bias in the layout.
    pub weight: usize,
    pub bias: usize,
    /// Whether it is fed by the (normalised, flattened) image itself.
    pub sees_image: bool,
}

/// Finds it by one pass over a probe, so that any architecture is understood.
pub(crate) fn first_linear(seen: &Observation) -> Result<FirstLinear, AttackError> {
    layers::refuse_single_values(seen, 1)?;
    tch::no_grad(|| {
        let probe =
            probe(&seen.net, seen.weights.tensors.first().map_or(tch::Device::Cpu, Tensor::device));
        let mut tape = Tape::recording(&seen.weights, seen.mode, Form::Factored);
        let _ = seen.net.forward_normalised(&mut tape, &probe);
        let mut taps = tape.taps.iter().enumerate();
        let found = taps.find_map(|(i, t)| {
            let flat = t.input.reshape([-1]);
            let sees_image =
                flat.size() == probe.reshape([-1]).size() && flat.equal(&probe.reshape([-1]));
            let at = |bias| FirstLinear { tap: i, weight: t.weight, bias, sees_image };
            // On several places of an example its gradient is a sum of as many products.
            let alone = t.kind == TapKind::Linear && t.input.size()[1] == 1;
            alone.then_some(t.bias).flatten().map(at)
        });
        let found = found.ok_or_else(|| {
            AttackError::NotApplicable("this model has no fully connected layer with a bias".into())
        })?;
        let specs = seen.net.layout().specs();
        match [found.weight, found.bias].iter().find(|&&at| !specs[at].trainable) {
            None => Ok(found),
            Some(&at) => Err(AttackError::NotApplicable(format!(
                "the update does not hold `{}`, of the first fully connected layer",
                specs[at].name
            ))),
        }
    })
}

/// A fixed smooth input `[1, 1, ...]` without repeated values.
pub(crate) fn probe(net: &Network, device: tch::Device) -> Tensor {
    let size = [vec![1, 1], net.input()].concat();
    let n: i64 = size.iter().product();
    (Tensor::arange(n, (Kind::Float, device)) * 0.37).sin().reshape(size)
}

/// What the layer's gradient tells about one example.
#[derive(Debug)]
pub(crate) struct LayerInput {
    /// The layer's input `f`, `[I]` f64.
    pub features: Tensor,
    /// The loss gradient at its outputs `g`, `[O]` f64.
    pub delta: Tensor,
    /// Standard deviation of each feature's error, `[I]` f64, from the columns' misfit.
    pub spread: Tensor,
    /// Root mean square of `dW - g f^T`: the noise of one entry of the signal.
    pub noise: f64,
    /// `|dW - g f^T| / |dW|`.
    pub residual: f64,
    /// Whether there was anything to divide by.
    pub dead: bool,
}

impl FirstLinear {
    /// Fits `[dW | db] = g [f, 1]^T` to signal `n`, in f64: exact where the signal is, least
    /// squares where it is noisy.
    pub fn input(&self, gradient: &Params, n: i64, device: tch::Device) -> LayerInput {
        let device = double_device(device);
        let get = |i: usize| gradient.tensors[i].get(n).to_device(device).to_kind(Kind::Double);
        tch::no_grad(|| fit(&get(self.weight), &get(self.bias)))
    }
}

/// Where f64 work can run: MPS has no f64.
pub(crate) fn double_device(device: tch::Device) -> tch::Device {
    if device == tch::Device::Mps { tch::Device::Cpu } else { device }
}

/// Alternations of the rank-one fit; the signal's own rank-one part dominates, so they converge in
/// a few.
const ALTERNATIONS: usize = 4;

fn fit(dw: &Tensor, db: &Tensor) -> LayerInput {
    let (o, i) = dw.size2().unwrap_or((1, 1));
    let norm2 = |t: &Tensor| t.square().sum(Kind::Double).double_value(&[]);
    let (mut g, mut f) = (db.shallow_clone(), dw.transpose(0, 1).mv(db) / norm2(db));
    let dead = !is_finite(&f) || norm2(&f) == 0.0;
    if dead {
        f = Tensor::zeros([i], (Kind::Double, dw.device()));
    }
    for _ in 0..if dead { 0 } else { ALTERNATIONS } {
        let row = (dw.mv(&f) + db) / (norm2(&f) + 1.0);
        let one = (db * &row).sum(Kind::Double).double_value(&[]) / norm2(&row);
        let next = dw.transpose(0, 1).mv(&row) / (norm2(&row) * one);
        if !is_finite(&next) || one < 0.5 {
            break;
        }
        (f, g) = (next, row * one);
    }
    let misfit = (dw - g.outer(&f)).square();
    let columns = misfit.sum_dim_intlist(0, false, None) / (o - 1).max(1) as f64;
    LayerInput {
        noise: (columns.mean(Kind::Double)).sqrt().double_value(&[]),
        residual: (misfit.sum(Kind::Double).double_value(&[]) / norm2(dw).max(f64::MIN_POSITIVE))
            .sqrt(),
        spread: columns.sqrt() / norm2(&g).sqrt().max(f64::MIN_POSITIVE),
        features: f,
        delta: g,
        dead,
    }
}

impl LayerInput {
    /// Doubts about this signal.
    pub fn flags(&self) -> Vec<Flag> {
        let mut flags = Vec::new();
        if self.dead {
            flags.push(Flag::with(FlagKind::ZeroGradient, "first fully connected layer"));
        } else if self.residual > DOUBTFUL {
            let words = format!("first fully connected layer, residual {:.2}", self.residual);
            flags.push(Flag::with(FlagKind::NotRankOne, words));
        }
        flags
    }
}

pub(crate) fn is_finite(t: &Tensor) -> bool {
    t.isfinite().all().int64_value(&[]) != 0
}
