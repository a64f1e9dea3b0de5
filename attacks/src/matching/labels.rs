//! Labels from the last layer's gradient.

use learning::client::{LocalTraining, StepRule};
use learning::{Observation, Params, Signal};
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use suites::Fact;
use tch::{Kind, Tensor};

use super::config::MatchingConfig;
use super::defense_model::{DefenseModel, Noise};
use super::label_evidence::{Evidence, Ranked};
use super::signal;
use crate::AttackError;
use crate::attack::Run;
use crate::labels::{Method, PICTURES, filled, recover};

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
    /// Read off the signs of the last layer, for one example with several labels.
    Signs,
    /// Every class with a negative entry of the bias; the rest is drawn from these.
    Analytic,
    /// LLG (Wainakh et al. 2022).
    Llg,
    /// LLG* (Wainakh et al. 2022).
    LlgStar,
    /// breaching's correction of the bias.
    BiasCorrected,
    /// The least entry of each row (Yin et al. 2021); the rest is drawn from these.
    Yin,
    /// breaching's `wainakh-simple`.
    WainakhSimple,
    /// breaching's `wainakh-whitebox`.
    WainakhWhitebox,
    /// Counted by batch embeddings (Geng et al. 2021).
    Geng,
    /// Counted by instance-wise restoration (Ma et al. 2023).
    Ilrg,
    /// Counted along local training (Dimitrov et al. 2022).
    Dimitrov,
}

impl Labels {
    /// The method of [`crate::labels`] that reads them; none of the ways that are matching's own.
    pub fn method(self) -> Option<Method> {
        Some(match self {
            Labels::Known | Labels::Idlg | Labels::Joint | Labels::Signs => return None,
            Labels::Analytic => Method::Analytic,
            Labels::Llg => Method::Llg,
            Labels::LlgStar => Method::LlgStar,
            Labels::BiasCorrected => Method::BiasCorrected,
            Labels::Yin => Method::Yin,
            Labels::WainakhSimple => Method::WainakhSimple,
            Labels::WainakhWhitebox => Method::WainakhWhitebox,
            Labels::Geng => Method::Geng,
            Labels::Ilrg => Method::Ilrg,
            Labels::Dimitrov => Method::Dimitrov,
        })
    }
}

/// What the method tells of every signal, `[N, B]`; labels that it does not tell are drawn.
///
/// # Errors
/// As [`recover`].
pub fn by_method(method: Method, seen: &Observation, run: &Run) -> Result<Tensor, AttackError> {
    let told = recover(method, seen, PICTURES, run)?;
    Ok(filled(&told, seen.net.classes(), &mut run.stream("labels-drawn")))
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
    let (lanes, classes) = bias.size2().expect("the classifier's bias, [N, K]");
    let mut labels = Vec::with_capacity((lanes * batch) as usize);
    for n in 0..lanes {
        let mut row: Vec<f64> = (0..classes).map(|k| bias.double_value(&[n, k])).collect();
        let mut given: Vec<i64> = (0..batch).map(|_| take_most_negative(&mut row, batch)).collect();
        given.sort_unstable();
        labels.extend(given);
    }
    Tensor::from_slice(&labels).reshape([lanes, batch])
}

/// [`infer`], where the model ends in a bias for each of its `classes` outputs.
///
/// # Errors
/// `NotApplicable` where it does not.
pub fn read_off(gradients: &Params, classes: i64, batch: i64) -> Result<Tensor, AttackError> {
    let ends = !gradients.layout().ends_frozen();
    if !ends || last(gradients).is_none_or(|t| t.size()[1..] != [classes]) {
        let has = if ends { "this model has none" } else { "the update does not hold it" };
        return Err(AttackError::NotApplicable(format!(
            "labels are read off the last layer's bias gradient, and {has}; use labels = \
             \"known\" or \"joint\""
        )));
    }
    Ok(infer(gradients, batch))
}

/// [`read_off`], of several examples only where the gradient's size is known.
///
/// # Errors
/// As [`read_off`].
pub fn read_batch(
    seen: &Observation,
    gradients: &Params,
    batch: i64,
) -> Result<Tensor, AttackError> {
    let adam = |local: &LocalTraining| local.rule != StepRule::Sgd;
    if batch > 1
        && matches!(seen.signal, Signal::Update(_))
        && seen.known.local.as_ref().is_some_and(adam)
    {
        let why = "labels of several examples are read off the size of a gradient, and Adam's \
            steps keep signs; use labels = \"known\" or \"joint\"";
        return Err(AttackError::NotApplicable(why.into()));
    }
    if batch > 1 && !signal::has_scale(seen) {
        let why = "labels of several examples are read off the size of a gradient, which an \
            update without its learning rate does not tell; use labels = \"known\" or \"joint\"";
        return Err(AttackError::NotApplicable(why.into()));
    }
    read_off(gradients, seen.net.classes(), batch)
}

/// Share of a signal's likelihood that makes a class worth a restart.
const PLAUSIBLE: f64 = 1e-2;

/// The classes that may be the label of each signal of one example, the likeliest first, from the
/// whole gradient of the last layer: under noise the bias's alone tells little. `std` is the
/// noise's standard deviation on an entry of the gradient. At least one class each; all `K` where
/// noise has drowned the signs. A model that does not end in a linear layer of its classes is read
/// as ever.
///
/// # Errors
/// As [`read_off`].
pub fn read_through_noise(
    seen: &Observation,
    gradients: &Params,
    std: f64,
    rng: &mut ChaCha12Rng,
) -> Result<Vec<Vec<i64>>, AttackError> {
    let only_bias = read_off(gradients, seen.net.classes(), 1)?;
    match Evidence::from_gradient(seen, gradients, rng) {
        Some(evidence) => Ok(evidence.ranked(std).iter().map(|r| plausible(r)).collect()),
        None => {
            let labels: Vec<i64> = Vec::try_from(only_bias.reshape([-1])).unwrap_or_default();
            Ok(labels.into_iter().map(|label| vec![label]).collect())
        }
    }
}

fn plausible(ranked: &[Ranked]) -> Vec<i64> {
    let best = ranked.first().map_or(0.0, |r| r.1);
    let total: f64 = ranked.iter().map(|r| (r.1 - best).exp()).sum();
    let worth = ranked.iter().enumerate();
    worth
        .filter(|(i, r)| *i == 0 || (r.1 - best).exp() > PLAUSIBLE * total)
        .map(|(_, r)| r.0)
        .collect()
}

/// Labels `[N, 1, K]` of a task with several labels an example, one example a signal: a class is
/// present where its entry of the last layer's gradient, `sigmoid(z) - y`, is negative. The
/// weights' rows tell it beside the bias (Zhao et al. 2020, each class for itself).
///
/// # Errors
/// `NotApplicable` for several examples a signal, for a model that does not end in a linear layer
/// with a bias for each class, and for the gradient of a softmax, whose entries sum to zero.
pub fn read_signs(
    seen: &Observation,
    gradients: &Params,
    batch: i64,
    rng: &mut ChaCha12Rng,
) -> Result<Tensor, AttackError> {
    let refuse = |why: &str| Err(AttackError::NotApplicable(why.into()));
    if batch != 1 {
        return refuse("signs name the labels of one example a signal; use labels = \"known\"");
    }
    let Some(evidence) = Evidence::from_gradient(seen, gradients, rng) else {
        return refuse("the model ends in no linear layer of its classes; use labels = \"known\"");
    };
    let deltas = evidence.deltas();
    let softmax = |d: &Vec<f64>| {
        let size: f64 = d.iter().map(|v| v.abs()).sum();
        d.iter().sum::<f64>().abs() <= 1e-4 * size
    };
    if deltas.iter().all(softmax) {
        return refuse("one class an example is what this gradient is of; use labels = \"idlg\"");
    }
    let present: Vec<f32> = deltas.iter().flatten().map(|d| f32::from(*d < 0.0)).collect();
    Ok(Tensor::from_slice(&present).reshape([deltas.len() as i64, 1, -1]))
}

/// The labels that the threat model grants, checked against the batch.
///
/// # Errors
/// None granted, of another shape than `[N, B]` (`[N, B, K]` for several labels an example), or
/// class indices the model does not have.
pub fn granted(seen: &Observation, batch: i64) -> Result<Tensor, AttackError> {
    let labels =
        seen.known.labels.as_ref().ok_or_else(|| AttackError::Missing(Fact::Labels.to_string()))?;
    let (lanes, classes) = (seen.lanes(), seen.net.classes());
    let expected =
        if labels.kind() == Kind::Int64 { vec![lanes, batch] } else { vec![lanes, batch, classes] };
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
/// How many labels the restarts of `config` try at most for one signal: 1 where none is open.
///
/// # Errors
/// What [`signal::gradient`] and [`read_off`] say.
pub fn hypotheses(
    seen: &Observation,
    defense_model: &DefenseModel,
    config: &MatchingConfig,
    run: &Run,
) -> Result<usize, AttackError> {
    let open = config.labels == Labels::Idlg && seen.known.batch_size == Some(1);
    let Some(noise) = defense_model.noise.filter(|_| open && config.label_hypotheses > 1) else {
        return Ok(1);
    };
    let open = left_open(seen, &signal::gradient(seen)?, noise, run)?;
    let most = open.iter().map(Vec::len).max().unwrap_or(1);
    Ok(most.min(config.label_hypotheses))
}

/// The labels that noise leaves open, for each signal of one example.
pub(super) fn left_open(
    seen: &Observation,
    gradient: &Params,
    noise: Noise,
    run: &Run,
) -> Result<Vec<Vec<i64>>, AttackError> {
    let mut rng = run.stream("label-evidence");
    read_through_noise(seen, gradient, noise.standard_deviation(), &mut rng)
}
