//! Accuracy on spoilt inputs, absolute and relative to that on clean ones: Gaussian noise, Gaussian
//! blur, FGSM and PGD.

use datasets::Batch;
use learning::{Mode, Network, Params, loss, noise};
use rand_chacha::ChaCha12Rng;
use suites::rng::stream;
use tch::{Device, Kind, Tensor};

use crate::Federation;
use crate::quality::judge;
use crate::{FederationError, init};

/// Examples of one pass.
const CHUNK: i64 = 128;

/// `(corruption, strength, accuracy, accuracy relative to clean)`, in the order of the spec; empty
/// where none is asked for.
///
/// # Errors
/// Whatever the data say.
pub fn measure(
    federation: &Federation,
    weights: &Params,
    device: Device,
) -> Result<Vec<(String, f64, f64, f64)>, FederationError> {
    let spec = &federation.spec.robustness;
    let lists =
        [("noise", &spec.noise), ("blur", &spec.blur), ("fgsm", &spec.fgsm), ("pgd", &spec.pgd)];
    if lists.iter().all(|(_, strengths)| strengths.is_empty()) {
        return Ok(Vec::new());
    }
    let data = federation.data.as_ref();
    let Some(split) = init::test_split(data, federation.spec.task.split) else {
        return Ok(Vec::new());
    };
    let ids: Vec<usize> = (0..data.len(split).min(spec.examples)).collect();
    let Batch { x, y, .. } = data.batch(split, &ids)?;
    let (x, y) = (x.to_device(device), y.to_device(device));
    let target = Target { net: &federation.net, weights, steps: spec.pgd_steps };
    let clean = target.accuracy(&x, &y);
    // Relative to nothing, nothing can be said.
    if clean == 0.0 {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    for (name, strengths) in lists {
        for &strength in strengths {
            if name == "blur" && x.dim() != 4 {
                continue;
            }
            let purpose = format!("robustness {name} {strength}");
            let mut rng = stream(federation.spec.seed, &federation.key, &purpose);
            let accuracy = target.accuracy(&target.spoilt(name, strength, &x, &y, &mut rng), &y);
            rows.push((name.to_string(), strength, accuracy, accuracy / clean));
        }
    }
    Ok(rows)
}

struct Target<'a> {
    net: &'a Network,
    weights: &'a Params,
    steps: usize,
}

impl Target<'_> {
    fn accuracy(&self, x: &Tensor, y: &Tensor) -> f64 {
        let logits: Vec<Tensor> = chunks(x)
            .map(|(from, len)| {
                let x = x.narrow(0, from, len).unsqueeze(0);
                tch::no_grad(|| self.net.logits(self.weights, &x, Mode::Eval).squeeze_dim(0))
            })
            .collect();
        let logits = Tensor::cat(&logits, 0).to_device(Device::Cpu);
        judge(&logits, &y.to_device(Device::Cpu))["accuracy"]
    }

    fn spoilt(
        &self,
        name: &str,
        strength: f64,
        x: &Tensor,
        y: &Tensor,
        rng: &mut ChaCha12Rng,
    ) -> Tensor {
        match name {
            "noise" => {
                (x + noise::normal(rng, &x.size()).to_device(x.device()) * strength).clamp(0.0, 1.0)
            }
            "blur" => blur(x, strength),
            // One step of the whole radius from the image itself (Goodfellow et al. 2015).
            "fgsm" => self.ascend(x, x, y, strength, strength),
            _ => {
                let start =
                    noise::uniform(rng, &x.size(), -1.0, 1.0).to_device(x.device()) * strength;
                let step = 2.5 * strength / self.steps as f64;
                let begin = (x + start).clamp(0.0, 1.0);
                (0..self.steps).fold(begin, |at, _| self.ascend(&at, x, y, step, strength))
            }
        }
    }

    /// One step up the sign of the loss gradient, back into the L-infinity ball around `x` and into
    /// [0, 1].
    fn ascend(&self, at: &Tensor, x: &Tensor, y: &Tensor, step: f64, radius: f64) -> Tensor {
        let moved: Vec<Tensor> = chunks(x)
            .map(|(from, len)| {
                let part = |t: &Tensor| t.narrow(0, from, len);
                let at = part(at).detach().set_requires_grad(true);
                let logits = self.net.logits(self.weights, &at.unsqueeze(0), Mode::Eval);
                let loss = loss::task_loss(&logits, &part(y).unsqueeze(0)).sum(Kind::Float);
                let gradient = Tensor::run_backward(&[loss], &[&at], false, false).remove(0);
                tch::no_grad(|| {
                    let x = part(x);
                    let delta = (&at + gradient.sign() * step - &x).clamp(-radius, radius);
                    (x + delta).clamp(0.0, 1.0)
                })
            })
            .collect();
        Tensor::cat(&moved, 0)
    }
}

fn chunks(x: &Tensor) -> impl Iterator<Item = (i64, i64)> + use<> {
    let n = x.size()[0];
    (0..n).step_by(CHUNK as usize).map(move |from| (from, CHUNK.min(n - from)))
}

/// Gaussian blur of images `[N, C, H, W]`, kernel cut at three standard deviations, edges
/// reflected.
fn blur(x: &Tensor, sigma: f64) -> Tensor {
    let size = x.size();
    let reach = ((3.0 * sigma).ceil() as i64).clamp(1, size[2].min(size[3]) - 1);
    let line = (Tensor::arange(2 * reach + 1, (Kind::Float, x.device())) - reach).square()
        / (-2.0 * sigma * sigma);
    let kernel = line.softmax(0, None);
    let pass = |t: Tensor, shape: [i64; 4]| {
        t.conv2d(&kernel.reshape(shape), None::<Tensor>, [1, 1], [0, 0], [1, 1], 1)
    };
    let flat = x.reshape([-1, 1, size[2], size[3]]).reflection_pad2d([reach; 4]);
    let k = 2 * reach + 1;
    pass(pass(flat, [1, 1, k, 1]), [1, 1, 1, k]).reshape(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blur_keeps_the_mean_and_spreads_a_point() {
        let flat = Tensor::full([1, 3, 9, 9], 0.3, (Kind::Float, Device::Cpu));
        assert!((blur(&flat, 1.0) - &flat).abs().max().double_value(&[]) < 1e-6);
        let point = Tensor::zeros([1, 1, 9, 9], (Kind::Float, Device::Cpu));
        let _ = point.get(0).get(0).get(4).get(4).fill_(1.0);
        let out = blur(&point, 1.0);
        // A separable Gaussian of sigma 1 over 7 taps: centre weight (0.39905)^2.
        assert!((out.double_value(&[0, 0, 4, 4]) - 0.399_05_f64.powi(2)).abs() < 1e-4);
        assert!((out.sum(Kind::Double).double_value(&[]) - 1.0).abs() < 1e-5);
    }
}
