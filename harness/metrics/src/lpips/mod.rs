//! Learned perceptual image patch similarity, version 0.1 (Zhang, Isola, Efros, Shechtman and Wang
//! 2018).
//!
//! Features of both images at several depths of an ImageNet network are normalised across channels;
//! their squared differences, weighted by a learned head, are averaged over positions and added
//! over depths. The heads ship with this crate (`assets/lpips`, BSD); the networks are
//! torchvision's and are looked for under `<data root>/lpips/`, then in the folder that the set-up
//! filled ([`Setup::new`]).

mod import;
mod nets;
mod weights;

use crate::images::{clean, prepare};
use crate::{Metric, MetricEntry, MetricError, Setup};
pub use import::import;
use nets::Net;
use record::MetricInfo;
use std::sync::Mutex;
use tch::{Device, Kind, Tensor};
use weights::Weights;

/// LPIPS over SqueezeNet 1.1.
pub static SQUEEZE: MetricEntry = MetricEntry {
    name: nets::SQUEEZE.metric,
    summary: "perceptual distance, SqueezeNet 1.1, heads v0.1",
    info: || info(&nets::SQUEEZE),
    build: |setup| build(&nets::SQUEEZE, setup),
};

/// LPIPS over AlexNet.
pub static ALEX: MetricEntry = MetricEntry {
    name: nets::ALEX.metric,
    summary: "perceptual distance, AlexNet, heads v0.1",
    info: || info(&nets::ALEX),
    build: |setup| build(&nets::ALEX, setup),
};

/// LPIPS over VGG-16.
pub static VGG: MetricEntry = MetricEntry {
    name: nets::VGG.metric,
    summary: "perceptual distance, VGG-16, heads v0.1",
    info: || info(&nets::VGG),
    build: |setup| build(&nets::VGG, setup),
};

/// Per-channel shift and scale that turn `[-1, 1]` into the networks' own range.
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];

/// Images run through a network at a time.
const CHUNK: i64 = 16;

fn info(net: &Net) -> MetricInfo {
    MetricInfo {
        range: [Some(0.0), None],
        thresholds: vec![0.1],
        reference: "Zhang et al. 2018, The unreasonable effectiveness of deep features, v0.1"
            .into(),
        ..MetricInfo::lower(net.metric, &format!("LPIPS ({})", net.heads))
    }
}

fn build(net: &'static Net, setup: &Setup) -> Result<Box<dyn Metric>, MetricError> {
    let backbone = weights::backbone(net, setup)?;
    Ok(Box::new(Lpips::new(net, backbone, setup.device)?))
}

/// A network with its heads.
struct Lpips {
    net: &'static Net,
    /// A tensor may move between threads but not be shared by them.
    state: Mutex<State>,
    device: Device,
}

struct State {
    backbone: Weights,
    /// One `[1, C, 1, 1]` a depth.
    heads: Vec<Tensor>,
}

impl Lpips {
    fn new(net: &'static Net, backbone: Weights, device: Device) -> Result<Self, MetricError> {
        let backbone = backbone.into_iter().map(|(name, t)| (name, t.to_device(device))).collect();
        let heads = weights::heads(net)?.into_iter().map(|t| t.to_device(device)).collect();
        Ok(Lpips { net, state: Mutex::new(State { backbone, heads }), device })
    }

    fn suited(&self, size: &[i64]) -> Result<(), MetricError> {
        let (channels, height, width) = (size[1], size[2], size[3]);
        let why = if channels != 1 && channels != 3 {
            "it needs one channel (grey) or three (RGB)".to_string()
        } else if height.min(width) < self.net.min_size {
            format!("this network needs {0}x{0} pixels", self.net.min_size)
        } else {
            return Ok(());
        };
        Err(MetricError::Unsuited { metric: self.net.metric, channels, height, width, why })
    }
}

impl Metric for Lpips {
    fn score(&self, guess: &Tensor, truth: &Tensor) -> Result<Vec<f64>, MetricError> {
        let ready = prepare(guess, truth)?;
        self.suited(&ready.truth.size())?;
        let state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let n = ready.truth.size()[0];
        let mut scores = Vec::with_capacity(n as usize);
        for start in (0..n).step_by(CHUNK as usize) {
            let rows = CHUNK.min(n - start);
            let part = |t: &Tensor| input(&t.narrow(0, start, rows), self.device);
            let distance = tch::no_grad(|| {
                distance(self.net, &state, &part(&ready.guess), &part(&ready.truth))
            });
            scores.extend(Vec::<f64>::try_from(
                distance.to_device(Device::Cpu).to_kind(Kind::Double),
            )?);
        }
        Ok(scores)
    }

    fn embed(&self, pixels: &Tensor) -> Result<Option<Tensor>, MetricError> {
        let (pixels, _) = clean(pixels)?;
        if self.suited(&pixels.size()).is_err() {
            return Ok(None);
        }
        let state = self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let n = pixels.size()[0];
        let part = |start| input(&pixels.narrow(0, start, CHUNK.min(n - start)), self.device);
        let parts = (0..n).step_by(CHUNK as usize);
        let parts: Vec<Tensor> =
            tch::no_grad(|| parts.map(|start| embedding(self.net, &state, &part(start))).collect());
        Ok((n > 0).then(|| Tensor::cat(&parts, 0)))
    }
}

/// Pixels `[n, 1 or 3, H, W]` in `[0, 1]` as the networks take them: grey repeated, then `(2x - 1 -
/// shift) / scale`.
fn input(pixels: &Tensor, device: Device) -> Tensor {
    let pixels = pixels.to_device(device).to_kind(Kind::Float);
    let rgb = if pixels.size()[1] == 1 { pixels.repeat([1, 3, 1, 1]) } else { pixels };
    let channel = |v: &[f32; 3]| Tensor::from_slice(v).to_device(device).view([1, 3, 1, 1]);
    (rgb * 2.0 - 1.0 - channel(&SHIFT)) / channel(&SCALE)
}

/// Distances `[n]`.
fn distance(net: &Net, state: &State, guess: &Tensor, truth: &Tensor) -> Tensor {
    let features = |x| (net.features)(&state.backbone, x);
    let depths = features(guess).into_iter().zip(features(truth)).zip(&state.heads);
    depths
        .map(|((g, t), head)| {
            let difference = (unit(&g) - unit(&t)).square();
            (difference * head).sum_dim_intlist([1].as_slice(), false, Kind::Float).mean_dim(
                [1, 2].as_slice(),
                false,
                Kind::Float,
            )
        })
        .sum()
}

/// Vectors `[n, D]` whose mean squared differences are [`distance`] over `D`: heads are weights of
/// at least 0, and go into the features by their roots.
fn embedding(net: &Net, state: &State, x: &Tensor) -> Tensor {
    let depths = (net.features)(&state.backbone, x).into_iter().zip(&state.heads);
    let parts: Vec<Tensor> = depths
        .map(|(features, head)| {
            let positions = features.size()[2..].iter().product::<i64>() as f64;
            (unit(&features) * (head.clamp_min(0.0) / positions).sqrt()).flatten(1, -1)
        })
        .collect();
    Tensor::cat(&parts, 1).to_device(Device::Cpu)
}

/// Each position's channels at unit length; the small number is the reference's.
fn unit(features: &Tensor) -> Tensor {
    let length = features.square().sum_dim_intlist([1].as_slice(), true, Kind::Float).sqrt();
    features / (length + 1e-10)
}

#[cfg(test)]
mod tests;
