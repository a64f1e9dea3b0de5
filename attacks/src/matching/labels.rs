//! Labels from the last layer's gradient.

use learning::Params;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// Where the labels come from.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Labels {
    /// Granted by the threat model.
    Known,
    /// Read off the sign of the last layer's bias gradient (Zhao et al. 2020); exact for one example a batch.
    #[default]
    Idlg,
    /// Optimised jointly with the images as soft labels (Zhu et al. 2019).
    Joint,
}

/// Class indices `[N, B]` inferred from gradients `[N, ...]` of a softmax classifier.
///
/// With cross-entropy the bias gradient of the last layer is `mean_b(p_b) - counts / B`, so the only negative entry names the label
/// when `B = 1` (Zhao et al. 2020). For larger batches labels are taken greedily: the most negative class receives a label and
/// `1/B` is added back, until `B` are given (after Geng et al. 2021); repeated classes are then right wherever `p` is near uniform.
pub fn infer(gradients: &Params, batch: i64) -> Tensor {
    let bias = last_bias(gradients).to_kind(Kind::Double).to_device(tch::Device::Cpu);
    let (trials, classes) = bias.size2().unwrap_or((0, 0));
    let mut labels = Vec::with_capacity((trials * batch) as usize);
    for n in 0..trials {
        let mut row: Vec<f64> = (0..classes).map(|k| bias.double_value(&[n, k])).collect();
        let mut given: Vec<i64> = (0..batch).map(|_| take_most_negative(&mut row, batch)).collect();
        given.sort_unstable();
        labels.extend(given);
    }
    Tensor::from_slice(&labels).reshape([trials, batch])
}

fn take_most_negative(row: &mut [f64], batch: i64) -> i64 {
    let k = (0..row.len()).min_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
    if let Some(value) = row.get_mut(k) {
        *value += 1.0 / batch as f64;
    }
    k as i64
}

/// The last one-dimensional trainable parameter: the classifier's bias, `[N, K]`.
fn last_bias(gradients: &Params) -> Tensor {
    let all: Vec<&Tensor> = gradients.trainable().collect();
    all.iter()
        .rev()
        .find(|t| t.dim() == 2)
        .map_or_else(|| Tensor::zeros([0, 0], (Kind::Float, tch::Device::Cpu)), |t| t.shallow_clone())
}
