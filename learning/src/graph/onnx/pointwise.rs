//! Nodes on each value, and on pairs of values that broadcast.

use rten_onnx::onnx::NodeProto;

use super::super::GraphError;
use super::super::value::{Arg, Whole};
use super::Reader;
use super::nodes::{BINARY, UNARY, constant_of, float, int, number, place, text, unread, whole};

/// PyTorch's name of an operation, and its arguments beside the first.
type Operation = (&'static str, Vec<(&'static str, Arg)>);

impl Reader {
    pub fn pointwise(&mut self, node: &NodeProto, op: &str) -> Result<(), GraphError> {
        let x = self.input(node, 0)?;
        if let Some((_, name)) = BINARY.iter().find(|(own, _)| *own == op) {
            let second = self.input(node, 1)?;
            return self.one(node, name, vec![("self", x), ("other", second)]);
        }
        self.plain(node, op)?;
        if let Some((_, name)) = UNARY.iter().find(|(own, _)| *own == op) {
            return self.one(node, name, vec![("self", x)]);
        }
        let axis = |default: i64| whole(int(node, "axis").unwrap_or(default));
        let (name, args) = match op {
            "Softmax" => ("softmax", vec![("dim", axis(-1))]),
            "LogSoftmax" => ("log_softmax", vec![("dim", axis(-1))]),
            "Elu" => ("elu", vec![("alpha", number(float(node, "alpha", 1.0)))]),
            "Celu" => ("celu", vec![("alpha", number(float(node, "alpha", 1.0)))]),
            "LeakyRelu" => {
                ("leaky_relu", vec![("negative_slope", number(float(node, "alpha", 0.01)))])
            }
            "Gelu" => {
                let kind = text(node, "approximate").unwrap_or("none");
                ("gelu", vec![("approximate", Arg::Text(kind.into()))])
            }
            "HardSigmoid" => {
                let (a, b) = (float(node, "alpha", 0.2), float(node, "beta", 0.5));
                if (a - 1.0 / 6.0).abs() > 1e-4 || (b - 0.5).abs() > 1e-4 {
                    return Err(unread(format!("a hard sigmoid of slope {a}")));
                }
                ("hardsigmoid", Vec::new())
            }
            "PRelu" => ("prelu", vec![("weight", self.slopes(node)?)]),
            "Clip" => self.clip(node)?,
            "Pow" => match self.scalar(node, 1) {
                Some(2.0) => ("square", Vec::new()),
                Some(n) => ("pow", vec![("exponent", number(n))]),
                None => ("pow", vec![("exponent", self.input(node, 1)?)]),
            },
            "Cast" => ("to", vec![("dtype", Arg::Type(kind(int(node, "to").unwrap_or(1))))]),
            "Dropout" => {
                // In ONNX nothing is dropped but where the node says so.
                if self.scalar(node, 2).is_none_or(|training| training == 0.0) {
                    self.alias(&node.output[0], &node.input[0]);
                    return Ok(());
                }
                ("dropout", vec![("p", number(self.scalar(node, 1).unwrap_or(0.5)))])
            }
            "Trilu" => {
                let k = self.scalar(node, 1).unwrap_or(0.0) as i64;
                let upper = int(node, "upper").unwrap_or(1) == 1;
                (if upper { "triu" } else { "tril" }, vec![("diagonal", whole(k))])
            }
            "CumSum" => {
                ("cumsum", vec![("dim", whole(self.scalar(node, 1).unwrap_or(0.0) as i64))])
            }
            "CastLike" => {
                if self.scalar(node, 0) == Some(0.0) {
                    self.zeros.insert(node.output[0].clone());
                }
                let like = self.input(node, 1)?;
                return self.one(node, "type_as", vec![("self", x), ("other", like)]);
            }
            "Where" => {
                let (a, b) = (self.input(node, 1)?, self.input(node, 2)?);
                let args = vec![("condition", x), ("self", a), ("other", b)];
                return self.one(node, "where", args);
            }
            "ConstantOfShape" => {
                let value = constant_of(node);
                let value = value.map_or(0.0, |v| v.reshape([-1]).double_value(&[0]));
                let size = Arg::Wholes(self.list(node, 0)?);
                return self.one(node, "full", vec![("size", size), ("fill_value", number(value))]);
            }
            "Range" => return self.range(node),
            "Max" | "Min" | "Sum" => return self.one_by_one(node, op),
            _ => return Err(unread("an operation of no known kind")),
        };
        self.one(node, name, [vec![("self", x)], args].concat())
    }

    /// Refuses attributes that change what an operation does and are not read.
    fn plain(&self, node: &NodeProto, op: &str) -> Result<(), GraphError> {
        let near = |name: &str, value: f64| (float(node, name, value) - value).abs() < 1e-5;
        let flag = |name: &str| int(node, name).unwrap_or(0) != 0;
        let known = match op {
            "Selu" => near("alpha", 1.673_263_2) && near("gamma", 1.050_701),
            "Swish" => near("alpha", 1.0),
            "CumSum" => !flag("exclusive") && !flag("reverse"),
            _ => true,
        };
        if known { Ok(()) } else { Err(unread("with attributes that are not read")) }
    }

    fn clip(&mut self, node: &NodeProto) -> Result<Operation, GraphError> {
        let (least, most) = (self.scalar(node, 1), self.scalar(node, 2));
        if let (Some(least), Some(most)) = (least, most) {
            return Ok(("hardtanh", vec![("min_val", number(least)), ("max_val", number(most))]));
        }
        let mut args = Vec::new();
        for (at, name, value) in [(1, "min", least), (2, "max", most)] {
            if let Some(value) = value {
                args.push((name, number(value)));
            } else if Self::has_input(node, at) {
                args.push((name, self.input(node, at)?));
            }
        }
        Ok(("clamp", args))
    }

    /// PReLU's slopes `[1]` or `[C, 1, 1]` as `[C]`.
    fn slopes(&mut self, node: &NodeProto) -> Result<Arg, GraphError> {
        let name = self.named(&node.input[1]).to_owned();
        let size = self.tensors.get(&name).map(|t| t.size()).unwrap_or_default();
        let rank = self.rank(&node.input[0]);
        let behind = size.iter().skip(1).all(|n| *n == 1);
        let channels = rank.is_some_and(|rank| rank > 2 && size.len() == rank - 1) && behind;
        if !channels && size.iter().product::<i64>() != 1 && rank != Some(2) {
            return Err(unread(format!("slopes of {size:?}")));
        }
        let (of, own) = (self.input(node, 1)?, self.between());
        self.push("flatten", vec![("self", of), ("start_dim", whole(0))], &[&own], &place(node))?;
        self.arg(&own)
    }

    fn range(&mut self, node: &NodeProto) -> Result<(), GraphError> {
        let mut args = Vec::new();
        for (at, name) in ["start", "end", "step"].into_iter().enumerate() {
            let size = self.list(node, at)?.first().copied();
            args.push((
                name,
                match size {
                    Some(Whole::Given(n)) => whole(n),
                    Some(Whole::Of(slot)) => Arg::Slot(slot),
                    None => return Err(unread("a range of what is no size")),
                },
            ));
        }
        self.one(node, "arange", args)
    }

    fn one_by_one(&mut self, node: &NodeProto, op: &str) -> Result<(), GraphError> {
        let name = match op {
            "Max" => "maximum",
            "Min" => "minimum",
            _ => "add",
        };
        let [first, rest @ ..] = &node.input[..] else { return Err(unread("nothing to take")) };
        if rest.is_empty() {
            self.alias(&node.output[0], first);
            return Ok(());
        }
        let mut so_far = first.clone();
        for (i, next) in rest.iter().enumerate() {
            let out = if i + 1 == rest.len() { node.output[0].clone() } else { self.between() };
            let args = vec![("self", self.arg(&so_far)?), ("other", self.arg(next)?)];
            self.push(name, args, &[&out], &place(node))?;
            so_far = out;
        }
        Ok(())
    }
}

/// ONNX's number of an element type as exported programs number it.
fn kind(onnx: i64) -> i64 {
    match onnx {
        1 | 10 | 11 | 16 => 7,
        9 => 12,
        _ => 5,
    }
}
