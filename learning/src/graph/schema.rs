//! `models/model.json` of a `.pt2` file, as far as it is read: the exported program of
//! `torch.export.save`, schema 8 (`torch/_export/serde/schema.py` of PyTorch 2.9 and later).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

#[derive(Deserialize)]
pub(super) struct Program {
    pub graph_module: Module,
    pub schema_version: Version,
    #[serde(default)]
    pub torch_version: String,
}

#[derive(Deserialize)]
pub(super) struct Version {
    pub major: i64,
    pub minor: i64,
}

#[derive(Deserialize)]
pub(super) struct Module {
    pub graph: Graph,
    pub signature: Signature,
}

#[derive(Deserialize)]
pub(super) struct Graph {
    pub nodes: Vec<Node>,
    pub tensor_values: BTreeMap<String, Meta>,
}

#[derive(Deserialize)]
pub(super) struct Node {
    pub target: String,
    pub inputs: Vec<Input>,
    pub outputs: Vec<Value>,
    #[serde(default)]
    pub metadata: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct Input {
    pub name: String,
    /// One key, such as `as_tensor`, that says what the value is.
    pub arg: Value,
}

/// Of one tensor: its element type and sizes, a number each or an expression of symbols.
#[derive(Clone, Deserialize)]
pub(super) struct Meta {
    pub dtype: i64,
    #[serde(default)]
    pub requires_grad: Option<bool>,
    pub sizes: Vec<Size>,
    #[serde(default)]
    pub strides: Vec<Size>,
    #[serde(default)]
    pub storage_offset: Option<Size>,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Size {
    AsInt(i64),
    AsExpr(IgnoredAny),
}

#[derive(Deserialize)]
pub(super) struct Signature {
    pub input_specs: Vec<Value>,
    pub output_specs: Vec<Value>,
}

/// `data/weights/model_weights_config.json`, and that of the constants.
#[derive(Deserialize)]
pub(super) struct Payloads {
    pub config: BTreeMap<String, Payload>,
}

/// Where the values of one tensor lie.
#[derive(Deserialize)]
pub(super) struct Payload {
    pub path_name: String,
    #[serde(default)]
    pub use_pickle: bool,
    pub tensor_meta: Option<Meta>,
}

impl Meta {
    /// The sizes, where all are numbers.
    pub fn fixed(&self) -> Option<Vec<i64>> {
        numbers(&self.sizes)
    }
}

/// Sizes that are all numbers.
pub(super) fn numbers(sizes: &[Size]) -> Option<Vec<i64>> {
    let number = |size: &Size| match size {
        Size::AsInt(n) => Some(*n),
        Size::AsExpr(_) => None,
    };
    sizes.iter().map(number).collect()
}
