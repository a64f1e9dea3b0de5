//! Nodes with parameters of their own, and pools.

use rten_onnx::onnx::NodeProto;

use super::super::GraphError;
use super::super::value::Arg;
use super::nodes::{float, int, ints, number, place, text, unread, whole, wholes};
use super::{EXPORT, Reader};

impl Reader {
    /// Names the parameters of a layer as a module would: `x.weight`, `x.bias`, ...
    fn as_layer(&mut self, node: &NodeProto, parts: &[(usize, &str)]) {
        let own = |low: &super::Lowering, name: &str| {
            let held = low.held.get(low.slots.get(name)?)?;
            Some(held.spec)
        };
        let names: Vec<String> = node.input.iter().map(|n| self.named(n).to_owned()).collect();
        let Some(first) = names.get(1).and_then(|n| own(&self.low, n)) else { return };
        let weight = self.low.specs[first].name.clone();
        let base = weight.strip_suffix(".weight").unwrap_or(&weight).to_owned();
        for (at, part) in parts {
            let spec = names.get(*at).filter(|n| !n.is_empty()).and_then(|n| own(&self.low, n));
            let name = format!("{base}.{part}");
            let free = self.low.specs.iter().all(|s| s.name != name);
            let slot = names.get(*at).and_then(|name| self.low.slots.get(name));
            let once = slot.is_some_and(|slot| self.low.uses.get(slot) == Some(&1));
            if let Some(spec) = spec.filter(|_| free && once) {
                self.low.specs[spec].name = name;
            }
        }
    }

    pub fn conv(&mut self, node: &NodeProto) -> Result<(), GraphError> {
        self.as_layer(node, &[(1, "weight"), (2, "bias")]);
        let n = self.held_rank(&node.input[1]).unwrap_or(4).saturating_sub(2);
        let operation = match n {
            1 => "conv1d",
            2 => "conv2d",
            n => return Err(unread(format!("a convolution of {n} dimensions"))),
        };
        let (x, padding) = self.padded(node, n, 0.0)?;
        let each = |name: &str| match &ints(node, name)[..] {
            [] => vec![1; n],
            list => list.to_vec(),
        };
        // An exporter may write zeros for a bias that the model does not have.
        let none = node.input.get(2).is_none_or(|name| self.zeros.contains(name));
        let bias = if none { Arg::None } else { self.input(node, 2)? };
        let args = vec![
            ("input", x),
            ("weight", self.input(node, 1)?),
            ("bias", bias),
            ("stride", wholes(&each("strides"))),
            ("padding", padding),
            ("dilation", wholes(&each("dilations"))),
            ("groups", whole(int(node, "group").unwrap_or(1))),
        ];
        self.one(node, operation, args)
    }

    fn held_rank(&self, name: &str) -> Option<usize> {
        let value = self.tensors.get(self.named(name)).ok();
        value.map(|v| v.dim()).or_else(|| self.rank(name))
    }

    /// The first input, padded by a step of its own where a side needs more than the other, and the
    /// padding that is left.
    fn padded(&mut self, node: &NodeProto, n: usize, fill: f64) -> Result<(Arg, Arg), GraphError> {
        let pads = ints(node, "pads");
        let x = self.input(node, 0)?;
        match text(node, "auto_pad").unwrap_or("NOTSET") {
            "NOTSET" | "VALID" => {}
            "SAME_UPPER" if ints(node, "strides").iter().all(|s| *s == 1) && fill == 0.0 => {
                return Ok((x, Arg::Text("same".into())));
            }
            other => return Err(unread(format!("auto_pad {other}"))),
        }
        if pads.is_empty() {
            return Ok((x, wholes(&vec![0; n])));
        }
        if pads.len() != 2 * n {
            return Err(GraphError::new(format!("pads {pads:?}"), EXPORT));
        }
        if pads[..n] == pads[n..] {
            return Ok((x, wholes(&pads[..n])));
        }
        let by: Vec<i64> = (0..n).rev().flat_map(|d| [pads[d], pads[n + d]]).collect();
        let own = self.between();
        let args = vec![("self", x), ("pad", wholes(&by)), ("value", number(fill))];
        self.push("constant_pad_nd", args, &[&own], &place(node))?;
        Ok((self.arg(&own)?, wholes(&vec![0; n])))
    }

    pub fn gemm(&mut self, node: &NodeProto) -> Result<(), GraphError> {
        let plain = float(node, "alpha", 1.0) == 1.0 && float(node, "beta", 1.0) == 1.0;
        if int(node, "transA").unwrap_or(0) != 0 {
            return Err(unread("a product whose first factor is transposed"));
        }
        let size = |at: usize| {
            let name = node.input.get(at).filter(|n| !n.is_empty())?;
            self.tensors.get(self.named(name)).ok().map(|t| t.size())
        };
        let layer = match (size(1), size(2)) {
            (Some(weight), Some(bias)) => bias == weight[..1],
            (_, None) => !Self::has_input(node, 2),
            (None, _) => false,
        };
        if plain && layer && int(node, "transB").unwrap_or(0) == 1 {
            self.as_layer(node, &[(1, "weight"), (2, "bias")]);
            let input = self.named(&node.input[0]).to_owned();
            let slot = self.low.slot(&input);
            self.low.ranks.insert(slot, 2);
            let args = vec![
                ("input", self.input(node, 0)?),
                ("weight", self.input(node, 1)?),
                ("bias", self.input(node, 2)?),
            ];
            return self.one(node, "linear", args);
        }
        let mut second = self.input(node, 1)?;
        if int(node, "transB").unwrap_or(0) == 1 {
            let own = self.between();
            self.push("t", vec![("self", second)], &[&own], &place(node))?;
            second = self.arg(&own)?;
        }
        let zero = if Self::has_input(node, 2) { self.input(node, 2)? } else { Arg::zero() };
        let args = vec![
            ("self", zero),
            ("mat1", self.input(node, 0)?),
            ("mat2", second),
            ("alpha", number(float(node, "alpha", 1.0))),
            ("beta", number(float(node, "beta", 1.0))),
        ];
        self.one(node, "addmm", args)
    }

    /// A product with a transposed weight is a fully connected layer.
    pub fn product(&mut self, node: &NodeProto) -> Result<(), GraphError> {
        let second = node.input.get(1).map(|n| self.named(n).to_owned()).unwrap_or_default();
        if let Some(weight) = self.turned.get(&second).cloned() {
            let args = vec![("input", self.input(node, 0)?), ("weight", self.arg(&weight)?)];
            return self.one(node, "linear", args);
        }
        let args = vec![("self", self.input(node, 0)?), ("other", self.input(node, 1)?)];
        self.one(node, "matmul", args)
    }

    pub fn batch_norm(&mut self, node: &NodeProto) -> Result<(), GraphError> {
        let parts = [(1, "weight"), (2, "bias"), (3, "running_mean"), (4, "running_var")];
        self.as_layer(node, &parts);
        // The share that a running statistic keeps, where PyTorch says what it takes.
        let momentum = 1.0 - float(node, "momentum", 0.9);
        let momentum = if (momentum - 0.1).abs() < 1e-6 { 0.1 } else { momentum };
        let mut args = vec![("input", self.input(node, 0)?)];
        for (at, part) in parts {
            args.push((part, self.input(node, at)?));
        }
        args.extend([
            ("momentum", number(momentum)),
            ("eps", number(float(node, "epsilon", 1e-5))),
        ]);
        self.one(node, "batch_norm", args)
    }

    pub fn normalisation(&mut self, node: &NodeProto, op: &str) -> Result<(), GraphError> {
        let shape = self.tensors.get(self.named(node.input.get(1).map_or("", String::as_str)));
        let shape = shape.map(|t| t.size()).unwrap_or_default();
        let rank = self.rank(&node.input[0]);
        let axis = int(node, "axis").unwrap_or(-1);
        let from = if axis < 0 {
            shape.len() as i64 == -axis
        } else {
            rank.is_some_and(|rank| rank as i64 - axis == shape.len() as i64)
        };
        if matches!(op, "LayerNormalization" | "RMSNormalization") && !from {
            return Err(unread(format!("a scale of {shape:?} from dimension {axis} on")));
        }
        let mut args = vec![
            ("input", self.input(node, 0)?),
            ("weight", self.input(node, 1)?),
            ("bias", self.input(node, 2)?),
            ("eps", number(float(node, "epsilon", 1e-5))),
        ];
        match op {
            "InstanceNormalization" => self.one(node, "instance_norm", args),
            "GroupNormalization" => {
                args.push(("num_groups", whole(int(node, "num_groups").unwrap_or(1))));
                self.one(node, "group_norm", args)
            }
            _ => {
                args.push(("normalized_shape", wholes(&shape)));
                let name = if op == "LayerNormalization" { "layer_norm" } else { "rms_norm" };
                self.one(node, name, args)
            }
        }
    }

    pub fn pool(&mut self, node: &NodeProto, op: &str) -> Result<(), GraphError> {
        let kernel = ints(node, "kernel_shape");
        let n = kernel.len();
        let (name, fill) = match (op, n) {
            ("MaxPool", 1) => ("max_pool1d", f64::NEG_INFINITY),
            ("MaxPool", 2) => ("max_pool2d", f64::NEG_INFINITY),
            (_, 1) => ("avg_pool1d", 0.0),
            (_, 2) => ("avg_pool2d", 0.0),
            _ => return Err(unread(format!("a pool of {n} dimensions"))),
        };
        let counted = int(node, "count_include_pad").unwrap_or(0) == 1;
        let pads = ints(node, "pads");
        if op == "AveragePool" && !counted && pads.len() == 2 * n && pads[..n] != pads[n..] {
            return Err(unread("an average pool of uneven padding that is not counted"));
        }
        let ceil = int(node, "ceil_mode").unwrap_or(0) == 1;
        if ceil && pads.len() == 2 * n && pads[..n] != pads[n..] {
            return Err(unread("a pool of uneven padding with ceil_mode"));
        }
        if op == "AveragePool" && ints(node, "dilations").iter().any(|d| *d != 1) {
            return Err(unread("an average pool with dilation"));
        }
        if text(node, "auto_pad").is_some_and(|pad| !matches!(pad, "NOTSET" | "VALID")) {
            return Err(unread("a pool with auto_pad"));
        }
        let (x, padding) = self.padded(node, n, fill)?;
        let strides = ints(node, "strides");
        let strides = if strides.is_empty() { vec![1; n] } else { strides };
        let dilations = ints(node, "dilations");
        let mut args = vec![
            ("self", x),
            ("kernel_size", wholes(&kernel)),
            ("stride", wholes(&strides)),
            ("padding", padding),
            ("ceil_mode", Arg::Bool(int(node, "ceil_mode").unwrap_or(0) == 1)),
        ];
        if op == "AveragePool" {
            args.push(("count_include_pad", Arg::Bool(counted)));
        } else if !dilations.is_empty() {
            args.push(("dilation", wholes(&dilations)));
        }
        self.one(node, name, args)
    }
}
