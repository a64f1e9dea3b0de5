//! Nodes of an ONNX graph as PyTorch's operations.

use std::collections::{BTreeMap, HashSet};

use rten_onnx::onnx::{AttributeProto, NodeProto};
use tch::Tensor;

use super::super::GraphError;
use super::super::value::{Arg, Number, Whole};
use super::tensors;
use super::{EXPORT, Reader};

/// Operations of one value that have PyTorch's meaning as they are.
pub const UNARY: [(&str, &str); 27] = [
    ("Relu", "relu"),
    ("Sigmoid", "sigmoid"),
    ("Tanh", "tanh"),
    ("Softplus", "softplus"),
    ("HardSwish", "hardswish"),
    ("Mish", "mish"),
    ("Selu", "selu"),
    ("Exp", "exp"),
    ("Log", "log"),
    ("Sqrt", "sqrt"),
    ("Abs", "abs"),
    ("Neg", "neg"),
    ("Sign", "sign"),
    ("Floor", "floor"),
    ("Erf", "erf"),
    ("Sin", "sin"),
    ("Cos", "cos"),
    ("Reciprocal", "reciprocal"),
    ("Not", "logical_not"),
    ("Swish", "silu"),
    ("GlobalAveragePool", "mean"),
    ("GlobalMaxPool", "amax"),
    ("ReduceMean", "mean"),
    ("ReduceSum", "sum"),
    ("ReduceMax", "amax"),
    ("ReduceMin", "amin"),
    ("ReduceL2", "linalg_vector_norm"),
];

/// Operations of two values that broadcast.
pub const BINARY: [(&str, &str); 12] = [
    ("Add", "add"),
    ("Sub", "sub"),
    ("Mul", "mul"),
    ("Div", "onnx.div"),
    ("Equal", "eq"),
    ("Less", "lt"),
    ("LessOrEqual", "le"),
    ("Greater", "gt"),
    ("GreaterOrEqual", "ge"),
    ("And", "logical_and"),
    ("Or", "logical_or"),
    ("MatMul", "matmul"),
];

/// Operations with a reading of their own in [`Reader::node`].
const OTHERS: [&str; 49] = [
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "CastLike",
    "Celu",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "CumSum",
    "Dropout",
    "Elu",
    "Expand",
    "Flatten",
    "Gather",
    "Gelu",
    "Gemm",
    "GroupNormalization",
    "HardSigmoid",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "LogSoftmax",
    "Max",
    "MaxPool",
    "Min",
    "Mod",
    "PRelu",
    "Pad",
    "Pow",
    "RMSNormalization",
    "Range",
    "ReduceProd",
    "Reshape",
    "Resize",
    "SequenceAt",
    "Shape",
    "Slice",
    "Softmax",
    "Split",
    "SplitToSequence",
    "Squeeze",
    "Sum",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
];

/// Names every operation that is not known, with a node that has it.
///
/// # Errors
/// Where there is one.
pub fn refuse_unknown(nodes: &[NodeProto]) -> Result<(), GraphError> {
    let mut said = BTreeMap::new();
    for node in nodes {
        let op = node.op_type.as_deref().unwrap_or_default();
        let domain = node.domain.as_deref().unwrap_or_default();
        let own = domain.is_empty() || domain == "ai.onnx";
        let find = |table: &[(&str, &str)]| table.iter().any(|(name, _)| *name == op);
        let known = find(&UNARY) || find(&BINARY) || OTHERS.contains(&op) || op == "Where";
        if !own || !known {
            let name = if own { op.to_owned() } else { format!("{domain}::{op}") };
            said.entry(name).or_insert_with(|| place(node));
        }
    }
    if said.is_empty() {
        return Ok(());
    }
    let listed: Vec<String> = said.iter().map(|(op, at)| format!("{op} ({at})")).collect();
    Err(GraphError::new(
        format!("unknown operation(s): {}", listed.join(", ")),
        "replace what they stand for; control flow and other domains are not read",
    ))
}

/// Values that are the second factor of products and nothing else.
pub fn only_factors(nodes: &[NodeProto]) -> HashSet<String> {
    let is = |node: &NodeProto| node.op_type.as_deref() == Some("MatMul");
    let second = |(at, name): (usize, &String)| (at == 1).then(|| name.clone());
    let factors = |node: &NodeProto| {
        node.input.iter().enumerate().filter_map(second).collect::<Vec<String>>()
    };
    let mut found: HashSet<String> = nodes.iter().filter(|n| is(n)).flat_map(factors).collect();
    for node in nodes {
        for (at, name) in node.input.iter().enumerate() {
            if !(is(node) && at == 1) {
                found.remove(name);
            }
        }
    }
    found
}

pub fn attribute<'n>(node: &'n NodeProto, name: &str) -> Option<&'n AttributeProto> {
    node.attribute.iter().find(|a| a.name.as_deref() == Some(name))
}

pub fn int(node: &NodeProto, name: &str) -> Option<i64> {
    attribute(node, name)?.i
}

pub fn ints(node: &NodeProto, name: &str) -> Vec<i64> {
    attribute(node, name).map(|a| a.ints.clone()).unwrap_or_default()
}

pub fn float(node: &NodeProto, name: &str, default: f64) -> f64 {
    let value = attribute(node, name).and_then(|a| a.f);
    // A decimal number of the file, not the nearest of 32 bits.
    value.map_or(default, |v| v.to_string().parse().unwrap_or(f64::from(v)))
}

pub fn text<'n>(node: &'n NodeProto, name: &str) -> Option<&'n str> {
    attribute(node, name)?.s.as_deref()
}

/// The tensor of `ConstantOfShape`: a zero where none is given.
pub fn constant_of(node: &NodeProto) -> Option<Tensor> {
    match attribute(node, "value").and_then(|a| a.t.as_ref()) {
        Some(proto) => tensors::own(proto).ok(),
        None => Some(Tensor::from(0.0f32)),
    }
}

/// What a message calls a node.
pub fn place(node: &NodeProto) -> String {
    node.name.clone().unwrap_or_default()
}

pub fn number(value: f64) -> Arg {
    Arg::Number(Number::Float(value))
}

pub fn whole(value: i64) -> Arg {
    Arg::Number(Number::Int(value))
}

pub fn wholes(values: &[i64]) -> Arg {
    Arg::Wholes(values.iter().map(|&n| Whole::Given(n)).collect())
}

pub fn unread(what: impl Into<String>) -> GraphError {
    GraphError::new(what, "export the model without it")
}

impl Reader {
    /// Adds what a node does.
    ///
    /// # Errors
    /// Attributes that are not read, and inputs that are not made.
    pub fn node(&mut self, node: &NodeProto) -> Result<(), GraphError> {
        let op = node.op_type.as_deref().unwrap_or_default();
        if op == "Constant" {
            return self.constant_node(node);
        }
        let least = match op {
            _ if BINARY.iter().any(|(own, _)| *own == op) => 2,
            "Conv" | "Gemm" | "Gather" | "Reshape" | "Expand" | "Tile" | "Pow" | "PRelu" => 2,
            "SequenceAt" | "SplitToSequence" | "CastLike" | "Pad" | "CumSum" => 2,
            "Where" | "Slice" | "Range" => 3,
            "BatchNormalization" => 5,
            _ => 1,
        };
        if node.input.len() < least || node.output.is_empty() {
            return Err(GraphError::new("it takes or gives too little", EXPORT));
        }
        let copied = node.output.first().is_some_and(|name| self.tensors.has(name));
        if op == "Identity" && (copied || !self.is_sizes(&node.input[0])) {
            if !copied {
                self.alias(&node.output[0], &node.input[0]);
            }
            return Ok(());
        }
        if self.on_sizes(node)? {
            return Ok(());
        }
        match op {
            "Conv" => self.conv(node),
            "Gemm" => self.gemm(node),
            "MatMul" => self.product(node),
            "BatchNormalization" => self.batch_norm(node),
            "InstanceNormalization"
            | "LayerNormalization"
            | "GroupNormalization"
            | "RMSNormalization" => self.normalisation(node, op),
            "MaxPool" | "AveragePool" => self.pool(node, op),
            "GlobalAveragePool" | "GlobalMaxPool" => {
                let spatial =
                    if self.rank(&node.input[0]) == Some(3) { vec![-1] } else { vec![-2, -1] };
                self.reduce(node, op, &spatial, true)
            }
            "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceL2" => {
                let axes = self.axes(node, 1)?;
                self.reduce(node, op, &axes, int(node, "keepdims").unwrap_or(1) == 1)
            }
            "Reshape" | "Flatten" | "Transpose" | "Squeeze" | "Unsqueeze" | "Expand" | "Tile" => {
                self.move_values(node, op)
            }
            "Concat" | "Split" | "Slice" | "Gather" | "Pad" | "Resize" => self.cut(node, op),
            "SplitToSequence" | "SequenceAt" => self.sequence(node, op),
            _ => self.pointwise(node, op),
        }
    }

    pub fn rank(&self, name: &str) -> Option<usize> {
        let slot = self.low.slots.get(self.named(name))?;
        self.low.ranks.get(slot).copied()
    }

    fn constant_node(&mut self, node: &NodeProto) -> Result<(), GraphError> {
        let name = node.output.first().cloned().unwrap_or_default();
        let of = |key: &str| attribute(node, key);
        let value = if let Some(proto) = of("value").and_then(|a| a.t.as_ref()) {
            tensors::own(proto).map_err(|e| GraphError::new(e, EXPORT))?
        } else if let Some(f) = of("value_float").and_then(|a| a.f) {
            Tensor::from(f)
        } else if let Some(i) = of("value_int").and_then(|a| a.i) {
            Tensor::from(i)
        } else if let Some(list) = of("value_ints") {
            Tensor::from_slice(&list.ints)
        } else if let Some(list) = of("value_floats") {
            Tensor::from_slice(&list.floats)
        } else {
            return Err(unread("a constant that is no tensor"));
        };
        if !value.is_floating_point() && value.dim() <= 1 {
            self.know(&name, &value);
        }
        self.tensors.insert(&name, value);
        Ok(())
    }

    /// A number that stands in the file.
    pub fn scalar(&self, node: &NodeProto, at: usize) -> Option<f64> {
        let name = self.named(node.input.get(at).filter(|n| !n.is_empty())?);
        if self.low.slots.get(name).is_some_and(|slot| self.low.held.contains_key(slot)) {
            return None;
        }
        let value = self.tensors.get(name).ok().filter(|v| v.numel() == 1)?;
        if value.is_floating_point() {
            let v = value.reshape([-1]).double_value(&[0]) as f32;
            return v.to_string().parse().ok();
        }
        Some(value.reshape([-1]).double_value(&[0]))
    }

    pub fn has_input(node: &NodeProto, at: usize) -> bool {
        node.input.get(at).is_some_and(|name| !name.is_empty())
    }

    pub fn input(&mut self, node: &NodeProto, at: usize) -> Result<Arg, GraphError> {
        match node.input.get(at).filter(|name| !name.is_empty()) {
            Some(name) => self.arg(&name.clone()),
            None => Ok(Arg::None),
        }
    }

    pub fn one(
        &mut self,
        node: &NodeProto,
        name: &str,
        args: Vec<(&str, Arg)>,
    ) -> Result<(), GraphError> {
        self.push(name, args, &[&node.output[0]], &place(node))
    }
}
