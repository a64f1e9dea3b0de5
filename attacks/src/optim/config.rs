//! Which optimiser, with which settings; ranges are checked when a configuration is read.

use super::{Stepper, first_order::FirstOrder, gradient::Conditioning, lbfgs::Lbfgs};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::{Value, json};
use tch::Tensor;

/// An optimiser and its settings, named and defaulted as in `torch.optim` (except for the learning
/// rates).
///
/// Written as a name (`"adam"`) or a table (`{ name = "adam", lr = 0.1, signed = true }`).
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "name", remote = "Self")]
pub enum Optimizer {
    /// Adam (Kingma and Ba, 2015); weight decay is added to the gradient.
    #[serde(rename = "adam")]
    Adam(AdamConfig),
    /// AdamW (Loshchilov and Hutter, 2019); weight decay shrinks the variables, by 0.01 unless
    /// given.
    #[serde(rename = "adamw")]
    AdamW(AdamConfig),
    /// Stochastic gradient descent with momentum.
    #[serde(rename = "sgd")]
    Sgd(SgdConfig),
    /// Limited-memory BFGS (Liu and Nocedal, 1989).
    #[serde(rename = "lbfgs")]
    Lbfgs(LbfgsConfig),
}

/// Settings of Adam and AdamW.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct AdamConfig {
    /// Learning rate, above 0.
    pub lr: f64,
    /// Decay of the running mean and of the running mean square, each in [0, 1).
    pub betas: [f64; 2],
    /// Added to the root mean square, above 0.
    pub eps: f64,
    /// Weight decay, at least 0.
    pub weight_decay: f64,
    /// Replace the gradient by its signs (Geiping et al., 2020).
    pub signed: bool,
    /// Replace the gradient `g` of step `i`, from 0, of so many by `tanh(c g) / c` with `c = 1 - i
    /// / n`: bounded at first, itself at the end.
    pub soft_over: Option<usize>,
    /// Clip each lane's gradient to this L2 norm, above 0, before anything else.
    pub clip: Option<f64>,
}

/// Settings of SGD.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct SgdConfig {
    /// Learning rate, above 0.
    pub lr: f64,
    /// Momentum in [0, 1).
    pub momentum: f64,
    /// Nesterov's look-ahead; needs momentum.
    pub nesterov: bool,
    /// Weight decay, at least 0, added to the gradient.
    pub weight_decay: f64,
    /// Replace the gradient by its signs.
    pub signed: bool,
    /// Clip each lane's gradient to this L2 norm, above 0, before anything else.
    pub clip: Option<f64>,
}

/// Settings of L-BFGS.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LbfgsConfig {
    /// Step length: the first a line search tries, or the fixed one without. The very first step is
    /// shortened by 1 / |g|_1.
    pub lr: f64,
    /// Iterations (directions) in one step, at least 1.
    pub max_iter: usize,
    /// Evaluations after which a step ends, at least 1; `max_iter * 5 / 4` where not given.
    pub max_eval: Option<usize>,
    /// A lane is converged when no component of its gradient is above this, at least 0.
    pub tolerance_grad: f64,
    /// A step ends when the objective or every variable changes by less than this, at least 0.
    pub tolerance_change: f64,
    /// Measure against each lane's start, so that scaling an objective changes nothing: the
    /// gradient's tolerance is a share of the largest component there, the objective's a share of
    /// the value there (that of the variables stays absolute), and the very first step has an L1
    /// norm of `lr`. `signed` gradients have no scale and are never measured so.
    pub relative: bool,
    /// Pairs of changes remembered, 1 to 1,000.
    pub history: usize,
    /// How far to go along a direction.
    pub line_search: LineSearch,
    /// Replace the gradient by its signs.
    pub signed: bool,
    /// Clip each lane's gradient to this L2 norm, above 0, before anything else.
    pub clip: Option<f64>,
}

/// How far L-BFGS goes along a direction.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum LineSearch {
    /// To a point that satisfies the strong Wolfe conditions (Nocedal and Wright, 2006, algorithms
    /// 3.5 and 3.6).
    StrongWolfe,
    /// By the learning rate.
    None,
}

impl Default for AdamConfig {
    fn default() -> Self {
        AdamConfig {
            lr: 0.1,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            signed: false,
            soft_over: None,
            clip: None,
        }
    }
}

impl Default for SgdConfig {
    fn default() -> Self {
        SgdConfig {
            lr: 0.1,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
            signed: false,
            clip: None,
        }
    }
}

impl Default for LbfgsConfig {
    fn default() -> Self {
        LbfgsConfig {
            lr: 1.0,
            max_iter: 20,
            max_eval: None,
            tolerance_grad: 1e-7,
            tolerance_change: 1e-9,
            relative: false,
            history: 100,
            line_search: LineSearch::StrongWolfe,
            signed: false,
            clip: None,
        }
    }
}

impl LbfgsConfig {
    /// Evaluations after which a step ends.
    pub(super) fn max_eval(&self) -> usize {
        self.max_eval.unwrap_or(self.max_iter.saturating_mul(5) / 4)
    }
}

impl Optimizer {
    /// The optimiser of this name ("adam", "adamw", "sgd", "lbfgs") with its default settings.
    ///
    /// # Errors
    /// An unknown name; the message lists the known ones.
    pub fn named(name: &str) -> Result<Optimizer, String> {
        serde_json::from_value(json!(name)).map_err(|e| e.to_string())
    }

    /// Names the setting that is out of range.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Optimizer::Adam(c) => c.check("adam"),
            Optimizer::AdamW(c) => c.check("adamw"),
            Optimizer::Sgd(c) => c.check(),
            Optimizer::Lbfgs(c) => c.check(),
        }
    }

    /// The optimiser for the lanes `x [T, N]` (f32 or f64, T and N at least 1, any device).
    /// Settings are taken as checked.
    ///
    /// # Panics
    /// If `x` is not such a matrix.
    pub fn start(&self, x: &Tensor) -> Box<dyn Stepper> {
        match self {
            Optimizer::Adam(c) => Box::new(FirstOrder::adam(x, c, false)),
            Optimizer::AdamW(c) => Box::new(FirstOrder::adam(x, c, true)),
            Optimizer::Sgd(c) => Box::new(FirstOrder::sgd(x, c)),
            Optimizer::Lbfgs(c) => Box::new(Lbfgs::new(x, c)),
        }
    }
}

impl AdamConfig {
    pub(super) fn conditioning(&self) -> Conditioning {
        Conditioning { signed: self.signed, clip: self.clip }
    }

    fn check(&self, name: &str) -> Result<(), String> {
        above_zero(name, "lr", self.lr)?;
        for beta in self.betas {
            within(name, "betas", beta, (0.0..1.0).contains(&beta), "in [0, 1)")?;
        }
        above_zero(name, "eps", self.eps)?;
        not_negative(name, "weight_decay", self.weight_decay)?;
        self.clip.map_or(Ok(()), |clip| above_zero(name, "clip", clip))
    }
}

impl SgdConfig {
    pub(super) fn conditioning(&self) -> Conditioning {
        Conditioning { signed: self.signed, clip: self.clip }
    }

    fn check(&self) -> Result<(), String> {
        above_zero("sgd", "lr", self.lr)?;
        within("sgd", "momentum", self.momentum, (0.0..1.0).contains(&self.momentum), "in [0, 1)")?;
        if self.nesterov && self.momentum == 0.0 {
            return Err("optimizer sgd: nesterov = true needs a momentum above 0".into());
        }
        not_negative("sgd", "weight_decay", self.weight_decay)?;
        self.clip.map_or(Ok(()), |clip| above_zero("sgd", "clip", clip))
    }
}

impl LbfgsConfig {
    pub(super) fn conditioning(&self) -> Conditioning {
        Conditioning { signed: self.signed, clip: self.clip }
    }

    fn check(&self) -> Result<(), String> {
        above_zero("lbfgs", "lr", self.lr)?;
        not_negative("lbfgs", "tolerance_grad", self.tolerance_grad)?;
        not_negative("lbfgs", "tolerance_change", self.tolerance_change)?;
        within(
            "lbfgs",
            "history",
            self.history as f64,
            (1..=1000).contains(&self.history),
            "from 1 to 1000",
        )?;
        within("lbfgs", "max_iter", self.max_iter as f64, self.max_iter >= 1, "at least 1")?;
        within("lbfgs", "max_eval", self.max_eval() as f64, self.max_eval() >= 1, "at least 1")?;
        self.clip.map_or(Ok(()), |clip| above_zero("lbfgs", "clip", clip))
    }
}

fn within(optimizer: &str, field: &str, value: f64, ok: bool, range: &str) -> Result<(), String> {
    if ok {
        Ok(())
    } else {
        Err(format!("optimizer {optimizer}: {field} = {value} must be {range}"))
    }
}

fn above_zero(optimizer: &str, field: &str, value: f64) -> Result<(), String> {
    within(optimizer, field, value, value.is_finite() && value > 0.0, "a finite number above 0")
}

fn not_negative(optimizer: &str, field: &str, value: f64) -> Result<(), String> {
    within(
        optimizer,
        field,
        value,
        value.is_finite() && value >= 0.0,
        "a finite number of at least 0",
    )
}

/// A bare name as the table that holds nothing else.
pub(super) fn table(value: Value) -> Value {
    if value.is_string() { json!({ "name": value }) } else { value }
}

impl Serialize for Optimizer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Optimizer::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Optimizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = table(Value::deserialize(deserializer)?);
        if table["name"] == "adamw" && table.get("weight_decay").is_none() {
            table["weight_decay"] = json!(0.01);
        }
        let optimizer = Optimizer::deserialize(table)
            .map_err(|e| D::Error::custom(format!("optimizer: {e}")))?;
        optimizer.check().map_err(D::Error::custom)?;
        Ok(optimizer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<Optimizer, String> {
        serde_json::from_value(value).map_err(|e| e.to_string())
    }

    #[test]
    fn a_name_stands_for_the_defaults() {
        for name in ["adam", "adamw", "sgd", "lbfgs"] {
            let optimizer = Optimizer::named(name).unwrap();
            let spelled_out = serde_json::to_value(&optimizer).unwrap();
            assert_eq!(spelled_out["name"], name);
            assert_eq!(read(spelled_out).unwrap(), optimizer);
        }
        assert_eq!(Optimizer::named("adam").unwrap(), Optimizer::Adam(AdamConfig::default()));
        let decay = AdamConfig { weight_decay: 0.01, ..Default::default() };
        assert_eq!(Optimizer::named("adamw").unwrap(), Optimizer::AdamW(decay));
    }

    #[test]
    fn a_table_overrides_single_settings() {
        let read =
            read(json!({ "name": "lbfgs", "history": 10, "line_search": "none", "clip": 1 }))
                .unwrap();
        let expected = LbfgsConfig {
            history: 10,
            line_search: LineSearch::None,
            clip: Some(1.0),
            ..Default::default()
        };
        assert_eq!(read, Optimizer::Lbfgs(expected));
    }

    #[test]
    fn mistakes_are_named() {
        for (bad, says) in [
            (
                json!("adma"),
                "unknown variant `adma`, expected one of `adam`, `adamw`, `sgd`, `lbfgs`",
            ),
            (
                json!({ "name": "adam", "momentum": 0.9 }),
                "unknown field `momentum`, expected one of `lr`",
            ),
            (json!({ "lr": 0.1 }), "missing field `name`"),
            (json!({ "name": "adam", "lr": -0.1 }), "optimizer adam: lr = -0.1 must be"),
            (json!({ "name": "adam", "lr": "big" }), "invalid type"),
            (
                json!({ "name": "adamw", "betas": [0.9, 1.0] }),
                "optimizer adamw: betas = 1 must be in [0, 1)",
            ),
            (json!({ "name": "adam", "eps": 0 }), "eps = 0"),
            (json!({ "name": "sgd", "nesterov": true }), "nesterov"),
            (json!({ "name": "sgd", "momentum": 1 }), "momentum = 1"),
            (json!({ "name": "sgd", "clip": 0 }), "clip = 0"),
            (json!({ "name": "lbfgs", "history": 0 }), "history = 0 must be from 1 to 1000"),
            (json!({ "name": "lbfgs", "max_iter": 0 }), "max_iter = 0"),
            (json!({ "name": "lbfgs", "max_eval": 0 }), "max_eval = 0"),
            (json!({ "name": "lbfgs", "tolerance_grad": -1 }), "tolerance_grad = -1"),
            (json!([1, 2]), "optimizer: "),
            (json!(null), "optimizer: "),
        ] {
            let message = read(bad.clone()).unwrap_err();
            assert!(message.contains(says), "{bad}: {message}");
        }
    }
}
