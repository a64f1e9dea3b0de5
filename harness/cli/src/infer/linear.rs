//! Models that are one linear layer, scored under encryption.

use std::path::Path;

use federation::model_file::ModelFile;
use harness::HarnessError;
use protocols::ckks::inference::Shape;
use serde::Serialize;
use tch::{Kind, Tensor};

use super::scoring::{Exchange, Keys, Rows, exchange};
use super::unfit;

/// The weights and biases of such a model, and the bound on the norm of what goes into them.
pub struct Linear {
    weights: Vec<f32>,
    biases: Vec<f32>,
    inputs: usize,
    norm: f64,
}

/// One row's probabilities.
#[derive(Clone, Debug, Serialize)]
pub struct Scored {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// From the decrypted scores.
    pub encrypted: Vec<f64>,
    /// From the model as it is.
    pub plain: Vec<f64>,
    /// Largest difference between the two.
    pub probability_error: f64,
    /// The most probable class by either: encrypted, plain.
    pub decisions: [String; 2],
    /// Phases, bytes, errors of the scores.
    pub exchange: Exchange,
}

impl Linear {
    /// Takes the layer out of a model that is nothing else.
    ///
    /// # Errors
    /// A model with other layers, named with `path`.
    pub fn from_model(path: &Path, saved: &ModelFile) -> Result<Linear, HarnessError> {
        let specs = saved.net.layout().specs();
        let inputs: i64 = saved.net.input().iter().product();
        let shapes: Vec<Vec<i64>> = specs.iter().map(|s| s.shape.clone()).collect();
        if shapes != [vec![saved.net.classes(), inputs], vec![saved.net.classes()]] {
            let problem = format!(
                "{} has more than one linear layer, and products of encrypted values are not \
                 offered; give a `logistic` model, \
                 or a picture and a gallery",
                super::describe(saved)
            );
            return Err(unfit(path, problem));
        }
        let values =
            |index: usize| Vec::<f32>::try_from(saved.params.named(0)[index].1.reshape([-1]));
        let read = |index| values(index).map_err(|e| unfit(path, e));
        // What pixels in [0, 1] become at most.
        let ends = [0.0, 1.0].map(|v| {
            saved.net.normalise(&Tensor::full(
                &batch(saved)[..],
                v,
                (Kind::Double, tch::Device::Cpu),
            ))
        });
        let norm = ends[0].abs().maximum(&ends[1].abs()).norm().double_value(&[]);
        Ok(Linear {
            weights: read(0)?,
            biases: read(1)?,
            inputs: inputs as usize,
            norm: norm.max(1e-6),
        })
    }

    /// Scores one example (`[F]` or `[C, H, W]`, in `[0, 1]`) under encryption and in the clear.
    ///
    /// # Errors
    /// Parameters without room.
    pub fn score(
        &self,
        saved: &ModelFile,
        keys: &Keys,
        x: &Tensor,
    ) -> Result<Scored, HarnessError> {
        let x = x.reshape(&batch(saved)[..]);
        let input = saved.net.normalise(&x).to_kind(Kind::Float).reshape([-1]);
        let input =
            Vec::<f32>::try_from(input).map_err(|e| HarnessError::NotFinite(e.to_string()))?;
        let shape = Shape::linear(&self.weights, self.inputs, &self.biases, self.norm);
        let rows = Rows { shape, values: &self.weights, offsets: &self.biases };
        let exchange = exchange(keys, &rows, &input)?;
        let logits = tch::no_grad(|| saved.net.logits(&saved.params, &x, learning::Mode::Eval));
        let plain = probabilities(saved, &logits.reshape([1, -1]))[0].clone();
        let encrypted =
            probabilities(saved, &Tensor::from_slice(&exchange.scores).reshape([1, -1]))[0].clone();
        let classes = saved.classes();
        let best = |p: &[f64]| classes.get(top(p)).cloned().unwrap_or_default();
        Ok(Scored {
            probability_error: encrypted
                .iter()
                .zip(&plain)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max),
            decisions: [best(&encrypted), best(&plain)],
            encrypted,
            plain,
            exchange,
            classes,
        })
    }
}

/// Shape of one trial of one example.
fn batch(saved: &ModelFile) -> Vec<i64> {
    [1, 1].into_iter().chain(saved.net.input()).collect()
}

/// Position of the largest.
pub(crate) fn top(p: &[f64]) -> usize {
    (0..p.len()).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap_or(0)
}

/// Probabilities `[B][K]` of logits `[B, K]`: softmax, or a sigmoid each where there are several
/// labels at once.
pub fn probabilities(saved: &ModelFile, logits: &Tensor) -> Vec<Vec<f64>> {
    let logits = logits.to_kind(Kind::Double).to_device(tch::Device::Cpu);
    let p = match saved.card.labels {
        datasets::LabelKind::MultiClass => logits.softmax(-1, Kind::Double),
        datasets::LabelKind::MultiLabel => logits.sigmoid(),
    };
    let classes = p.size()[1] as usize;
    let flat = Vec::<f64>::try_from(p.contiguous().reshape([-1])).unwrap_or_default();
    flat.chunks_exact(classes.max(1)).map(<[f64]>::to_vec).collect()
}
