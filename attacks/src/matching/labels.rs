//! Labels from the last layer's gradient.

use learning::{Observation, Params};
use serde::{Deserialize, Serialize};
use suites::Fact;
use tch::{Kind, Tensor};

use crate::AttackError;

/// Where the labels come from.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Labels {
    /// Granted by the threat model.
    Known,
    /// Read off the sign of the last layer's bias gradient (Zhao et al. 2020); exact for one
    /// example a batch.
    #[default]
    Idlg,
    /// Optimised jointly with the images as soft labels (Zhu et al. 2019).
    Joint,
}

/// Class indices `[N, B]` inferred from gradients `[N, ...]` of a softmax classifier.
///
/// With cross-entropy the bias gradient of the last layer is `mean_b(p_b) - counts / B`, so the
/// only negative entry names the label when `B = 1` (Zhao et al. 2020). For larger batches labels
/// are taken greedily: the most negative class receives a label and `1/B` is added back, until `B`
/// are given (after Geng et al. 2021); repeated classes are then right wherever `p` is near
/// uniform.
///
/// # Panics
/// If the last trainable parameter is not a vector; [`read_off`] checks that.
pub fn infer(gradients: &Params, batch: i64) -> Tensor {
    let bias = last(gradients)
        .expect("a trainable parameter")
        .to_kind(Kind::Double)
        .to_device(tch::Device::Cpu);
    let (trials, classes) = bias.size2().expect("the classifier's bias, [N, K]");
    let mut labels = Vec::with_capacity((trials * batch) as usize);
    for n in 0..trials {
        let mut row: Vec<f64> = (0..classes).map(|k| bias.double_value(&[n, k])).collect();
        let mut given: Vec<i64> = (0..batch).map(|_| take_most_negative(&mut row, batch)).collect();
        given.sort_unstable();
        labels.extend(given);
    }
    Tensor::from_slice(&labels).reshape([trials, batch])
}

/// [`infer`], where the model ends in a bias for each of its `classes` outputs.
///
/// # Errors
/// `NotApplicable` where it does not.
pub fn read_off(gradients: &Params, classes: i64, batch: i64) -> Result<Tensor, AttackError> {
    if last(gradients).is_none_or(|t| t.size()[1..] != [classes]) {
        let why = "labels are read off the last layer's bias gradient, and this model has none; \
            use labels = \"known\" or \"joint\"";
        return Err(AttackError::NotApplicable(why.into()));
    }
    Ok(infer(gradients, batch))
}

/// [`read_off`] for one example a batch, from the whole gradient of the last layer: under noise the
/// bias's alone tells little.
///
/// `[dW | db] = (p - y) [f, 1]^T` is of rank one, and `|p - y|` is largest at the label, where it
/// is the sum of all others. Of the noisy matrix the left singular vector `[K]` is taken. A model
/// whose last bias follows no weight of its classes is read as ever.
///
/// # Errors
/// As [`read_off`].
pub fn read_through_noise(gradients: &Params, classes: i64) -> Result<Tensor, AttackError> {
    let only_bias = read_off(gradients, classes, 1)?;
    let [.., weight, bias] = &gradients.trainable().collect::<Vec<_>>()[..] else {
        return Ok(only_bias);
    };
    if weight.dim() != 3 || weight.size()[1] != classes {
        return Ok(only_bias);
    }
    let whole = Tensor::cat(&[(*weight).shallow_clone(), bias.unsqueeze(2)], 2);
    let whole = whole.to_device(tch::Device::Cpu).to_kind(Kind::Double);
    // Eigenvalues come in ascending order.
    let (_, vectors) = whole.bmm(&whole.transpose(1, 2)).linalg_eigh("L");
    Ok(vectors.select(2, -1).abs().argmax(1, true))
}

/// The labels that the threat model grants, checked against the batch.
///
/// # Errors
/// None granted, of another shape than `[N, B]` (`[N, B, K]` for several labels an example), or
/// class indices the model does not have.
pub fn granted(seen: &Observation, batch: i64) -> Result<Tensor, AttackError> {
    let labels =
        seen.known.labels.as_ref().ok_or_else(|| AttackError::Missing(Fact::Labels.to_string()))?;
    let (trials, classes) = (seen.trials(), seen.net.classes());
    let expected = if labels.kind() == Kind::Int64 {
        vec![trials, batch]
    } else {
        vec![trials, batch, classes]
    };
    if labels.size() != expected {
        let problem = format!(
            "comes with labels of shape {:?} where {expected:?} belong to it",
            labels.size()
        );
        return Err(AttackError::BadSignal(problem));
    }
    let outside = labels.lt(0).logical_or(&labels.ge(classes)).any();
    if labels.kind() == Kind::Int64 && outside.int64_value(&[]) != 0 {
        let problem =
            format!("comes with a label outside the model's classes 0 to {}", classes - 1);
        return Err(AttackError::BadSignal(problem));
    }
    Ok(labels.shallow_clone())
}

fn take_most_negative(row: &mut [f64], batch: i64) -> i64 {
    let k = (0..row.len()).min_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
    if let Some(value) = row.get_mut(k) {
        *value += 1.0 / batch as f64;
    }
    k as i64
}

fn last(gradients: &Params) -> Option<&Tensor> {
    gradients.trainable().last()
}
