//! Which parameters are matched and how much each counts.

use learning::Layout;
use serde::de::{Error as _, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tch::{Kind, Tensor};

use crate::AttackError;

/// A parameter by its position among the trainable ones, or by name (a prefix such as `fc` selects
/// all of a module).
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(untagged, expecting = "expected a position such as 0 or -1, or a name such as \"conv1\"")]
pub enum Pick {
    /// Position; negative counts from the end.
    Index(i64),
    /// Full name or dotted prefix.
    Name(String),
}

impl std::fmt::Display for Pick {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Pick::Index(i) => write!(f, "{i}"),
            Pick::Name(name) => write!(f, "`{name}`"),
        }
    }
}

/// Weight of each matched parameter.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", remote = "Self")]
pub enum LayerWeights {
    /// All one.
    #[default]
    Uniform,
    /// Inverse of the captured gradient's norm; 0 where that is below a millionth of the largest (a
    /// bias before BatchNorm, a parameter pruned away: its gradient is nothing but rounding).
    InverseNorm,
    /// `exp(-4 i / P)` for the i-th of `P` parameters.
    EarlyExponential,
    /// `(P - i) / P`.
    EarlyLinear,
    /// 10 for the first quarter, 1 for the rest.
    EarlyStrong,
    /// 10 for convolution kernels, 1 for the rest.
    ConvFirst,
    /// One number for each matched parameter.
    #[serde(skip)]
    Explicit(Vec<f64>),
}

impl Serialize for LayerWeights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            LayerWeights::Explicit(list) => list.serialize(serializer),
            named => LayerWeights::serialize(named, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for LayerWeights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LayerWeights, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(name) => LayerWeights::deserialize(name.into_deserializer()),
            list => serde_json::from_value(list).map(LayerWeights::Explicit).map_err(|_| {
                D::Error::custom(
                    "expected a name such as `uniform`, or a list with a number for each matched \
                     parameter",
                )
            }),
        }
    }
}

/// Positions among the trainable parameters that the picks select (all when there are none).
///
/// # Errors
/// A pick that matches nothing, with the names there are.
pub fn select(layout: &Layout, picks: &[Pick]) -> Result<Vec<usize>, AttackError> {
    let names: Vec<&str> =
        layout.trainable().iter().map(|&i| layout.specs()[i].name.as_str()).collect();
    if picks.is_empty() {
        return Ok((0..names.len()).collect());
    }
    let mut selected = Vec::new();
    for pick in picks {
        let found: Vec<usize> = (0..names.len()).filter(|&i| matches(pick, i, &names)).collect();
        if found.is_empty() {
            let problem =
                format!("selects {pick}, which none of the model's {} parameters is", names.len());
            return Err(suites::SpecError::value(
                "attack.layers",
                problem,
                format!("choose from: {}", names.join(", ")),
            )
            .into());
        }
        selected.extend(found);
    }
    selected.sort_unstable();
    selected.dedup();
    Ok(selected)
}

fn matches(pick: &Pick, i: usize, names: &[&str]) -> bool {
    match pick {
        Pick::Index(k) if *k < 0 => i as i64 == names.len() as i64 + k,
        Pick::Index(k) => i as i64 == *k,
        Pick::Name(name) => {
            names[i] == name
                || names[i].strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'))
        }
    }
}

impl LayerWeights {
    /// Weights `[N]` of the matched parameters, whose captured gradients are `tensors` (`[N,
    /// ...]`). Their mean is 1 for each signal.
    ///
    /// # Errors
    /// An explicit list of another length than the matched parameters.
    pub fn resolve(&self, tensors: &[Tensor]) -> Result<Vec<Tensor>, AttackError> {
        let p = tensors.len();
        let constant =
            |i: usize, value: f64| tensors[i].flatten(1, -1).select(1, 0).zeros_like() + value;
        let each = |f: &dyn Fn(usize) -> f64| (0..p).map(|i| constant(i, f(i))).collect::<Vec<_>>();
        let place = |i: usize| i as f64 / p as f64;
        let raw = match self {
            LayerWeights::Uniform => return Ok(each(&|_| 1.0)),
            LayerWeights::InverseNorm => inverse_norms(tensors),
            LayerWeights::EarlyExponential => each(&|i| (-4.0 * place(i)).exp()),
            LayerWeights::EarlyLinear => each(&|i| 1.0 - place(i)),
            LayerWeights::EarlyStrong => each(&|i| if place(i) < 0.25 { 10.0 } else { 1.0 }),
            LayerWeights::ConvFirst => each(&|i| if tensors[i].dim() == 5 { 10.0 } else { 1.0 }),
            LayerWeights::Explicit(list) if list.len() == p => return Ok(each(&|i| list[i])),
            LayerWeights::Explicit(list) => {
                let problem =
                    format!("lists {} weights where {p} parameters are matched", list.len());
                return Err(suites::SpecError::value(
                    "attack.layer_weights",
                    problem,
                    "give one weight for each",
                )
                .into());
            }
        };
        let mean = Tensor::stack(&raw, 0).mean_dim(0, false, None::<Kind>);
        // A signal that is zero everywhere keeps its zero weights.
        let mean = mean.where_self(&mean.gt(0.0), &mean.ones_like());
        Ok(raw.into_iter().map(|w| w / &mean).collect())
    }
}

fn inverse_norms(tensors: &[Tensor]) -> Vec<Tensor> {
    let norm = |g: &Tensor| g.flatten(1, -1).square().sum_dim_intlist(1, false, None).sqrt();
    let norms = Tensor::stack(&tensors.iter().map(norm).collect::<Vec<_>>(), 0);
    let least = norms.amax([0], true) * 1e-6;
    norms.reciprocal().where_self(&norms.gt_tensor(&least), &norms.zeros_like()).unbind(0)
}
