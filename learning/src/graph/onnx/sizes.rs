//! Shapes that a graph computes: lists of whole numbers, some of which a pass alone knows.

use rten_onnx::onnx::NodeProto;
use tch::Tensor;

use super::super::Given;
use super::super::GraphError;
use super::super::lower::WRAP;
use super::super::value::{Arg, Number, Whole};
use super::nodes::{constant_of, int, ints, place};
use super::{EXPORT, Reader};

/// Longest range that is a list of sizes.
const SHORT: usize = 64;

/// Longest list of sizes.
const LONG: usize = 4096;

impl Reader {
    /// Whether a value is a list of whole numbers.
    pub fn is_sizes(&self, name: &str) -> bool {
        self.sizes.contains_key(self.named(name))
    }

    /// The whole numbers of a value; empty for an input that is left out.
    ///
    /// # Errors
    /// A value that is no list of them.
    pub fn list(&self, node: &NodeProto, at: usize) -> Result<Vec<Whole>, GraphError> {
        let Some(name) = node.input.get(at).filter(|n| !n.is_empty()) else {
            return Ok(Vec::new());
        };
        self.sizes.get(self.named(name)).cloned().ok_or_else(|| {
            GraphError::new(format!("its input `{name}` depends on the example"), WRAP)
        })
    }

    /// Such a list whose numbers all stand in the file.
    ///
    /// # Errors
    /// One that a pass alone knows.
    pub fn given(&self, node: &NodeProto, at: usize) -> Result<Vec<i64>, GraphError> {
        let given = |whole: Whole| match whole {
            Whole::Given(n) => Ok(n),
            Whole::Of(_) => Err(GraphError::new("a size depends on the batch", WRAP)),
        };
        self.list(node, at)?.into_iter().map(given).collect()
    }

    /// Nodes on lists of whole numbers; `false` where this is another.
    ///
    /// # Errors
    /// Lists that the node cannot take.
    pub fn on_sizes(&mut self, node: &NodeProto) -> Result<bool, GraphError> {
        let op = node.op_type.as_deref().unwrap_or_default();
        let output = node.output.first().cloned().unwrap_or_default();
        if op == "Shape" {
            let all = self.shape(node)?;
            self.sizes.insert(output, all);
            return Ok(true);
        }
        if op == "CastLike" && self.is_sizes(&node.input[1]) {
            // A constant beside a size, in its type.
            if let Some(value) = self.scalar(node, 0).filter(|_| !self.is_sizes(&node.input[0])) {
                self.sizes.insert(output.clone(), vec![Whole::Given(value as i64)]);
                self.scalars.insert(output);
                return Ok(true);
            }
        }
        let real = op == "Cast" && matches!(int(node, "to"), Some(1 | 10 | 11 | 16));
        let floats = op == "CastLike" && !self.is_sizes(&node.input[1]);
        if real || floats {
            return Ok(false);
        }
        // A table of whole numbers is a value.
        if op == "Reshape" && self.given(node, 1).is_ok_and(|shape| shape.len() > 1) {
            return Ok(false);
        }
        // So is a column or a row of them.
        let first = node.input.first().map(|name| self.named(name).to_owned()).unwrap_or_default();
        let table = match op {
            "Unsqueeze" => !self.scalars.contains(&first),
            "Expand" => self.given(node, 1).is_ok_and(|shape| shape.len() > 1),
            _ => false,
        };
        if table {
            return Ok(false);
        }
        let known = node.input.iter().filter(|n| !n.is_empty()).all(|name| self.is_sizes(name));
        if node.input.is_empty() || !known {
            return Ok(false);
        }
        let all = match op {
            "Gather" => {
                let (of, at) = (self.list(node, 0)?, self.given(node, 1)?);
                at.iter().map(|&i| pick(&of, i)).collect::<Option<Vec<Whole>>>()
            }
            "Concat" => {
                let parts = (0..node.input.len()).map(|at| self.list(node, at));
                Some(parts.collect::<Result<Vec<_>, _>>()?.concat())
            }
            "Slice" => self.part(node)?,
            "Unsqueeze" | "Squeeze" | "Cast" | "CastLike" | "Identity" | "Reshape" => {
                Some(self.list(node, 0)?)
            }
            "Add" | "Sub" | "Mul" | "Div" | "Mod" => Some(self.computed(node, op)?),
            "Equal" => Some(self.equal(node)?),
            "Where" => Some(self.chosen(node)?),
            "ConstantOfShape" => self.repeated(node),
            "Range" => match self.counted(node) {
                Some(all) => Some(all),
                None => return Ok(false),
            },
            "Expand" => match (&self.list(node, 0)?[..], &self.given(node, 1)?[..]) {
                ([one], [count]) => Some(vec![*one; few(*count)?]),
                (all, _) => Some(all.to_vec()),
            },
            "ReduceProd" => Some(vec![self.product_of(node)?]),
            _ => return Ok(false),
        };
        let all = all.ok_or_else(|| GraphError::new("an index out of its list", EXPORT))?;
        if all.len() > LONG {
            return Err(GraphError::new(format!("a list of {} sizes", all.len()), EXPORT));
        }
        if self.gives_a_number(node, op, all.len()) {
            self.scalars.insert(output.clone());
        }
        self.sizes.insert(output, all);
        Ok(true)
    }

    /// Whether the node gives a number, not a list of one.
    fn gives_a_number(&self, node: &NodeProto, op: &str, count: usize) -> bool {
        let number = |at: usize| {
            node.input.get(at).is_some_and(|name| self.scalars.contains(self.named(name)))
        };
        count == 1
            && match op {
                "Gather" => number(1),
                "Squeeze" | "ReduceProd" => true,
                "Unsqueeze" | "Reshape" | "Concat" | "Slice" | "Expand" => false,
                "ConstantOfShape" | "Range" => false,
                _ => (0..node.input.len()).all(number),
            }
    }

    /// A size is never negative: it equals no number below zero.
    fn equal(&self, node: &NodeProto) -> Result<Vec<Whole>, GraphError> {
        let (a, b) = (self.list(node, 0)?, self.list(node, 1)?);
        let same = |(a, b): (&Whole, &Whole)| match (a, b) {
            (Whole::Given(a), Whole::Given(b)) => Ok(Whole::Given(i64::from(a == b))),
            (Whole::Of(a), Whole::Of(b)) if a == b => Ok(Whole::Given(1)),
            (Whole::Given(n), Whole::Of(_)) | (Whole::Of(_), Whole::Given(n)) if *n < 0 => {
                Ok(Whole::Given(0))
            }
            _ => Err(GraphError::new("a comparison that a pass alone decides", WRAP)),
        };
        a.iter().zip(&b).map(same).collect()
    }

    fn chosen(&self, node: &NodeProto) -> Result<Vec<Whole>, GraphError> {
        let (which, a, b) = (self.given(node, 0)?, self.list(node, 1)?, self.list(node, 2)?);
        let both = a.iter().zip(&b).zip(which);
        Ok(both.map(|((a, b), which)| if which == 0 { *b } else { *a }).collect())
    }

    /// A list of so many equal whole numbers.
    fn repeated(&self, node: &NodeProto) -> Option<Vec<Whole>> {
        let [count] = self.given(node, 0).ok()?[..] else { return None };
        let value = constant_of(node).filter(|value| !value.is_floating_point())?;
        let one = Whole::Given(value.reshape([-1]).int64_value(&[0]));
        Some(vec![one; few(count).ok()?])
    }

    /// A short range that stands in the file.
    fn counted(&self, node: &NodeProto) -> Option<Vec<Whole>> {
        let at = |i: usize| self.given(node, i).ok()?.first().copied();
        let (from, to, step) = (at(0)?, at(1)?, at(2)?);
        let step = usize::try_from(step).ok().filter(|step| *step > 0)?;
        let all: Vec<Whole> = (from..to).step_by(step).take(SHORT + 1).map(Whole::Given).collect();
        (all.len() <= SHORT).then_some(all)
    }

    /// Whole numbers as a value: a number, or a list of them.
    ///
    /// # Errors
    /// As [`Reader::push`].
    pub fn size_value(&mut self, name: &str) -> Result<(), GraphError> {
        let all = self.sizes[name].clone();
        let given = |whole: &Whole| match whole {
            Whole::Given(n) => Some(*n),
            Whole::Of(_) => None,
        };
        let scalar = self.scalars.contains(name);
        let known: Option<Vec<i64>> = all.iter().map(given).collect();
        if let Some(known) = known {
            let value = Tensor::from_slice(&known);
            let value = if scalar { value.reshape([0i64; 0]) } else { value };
            let slot = self.low.slot(name);
            self.low.ranks.insert(slot, value.dim());
            self.low.given.push((slot, Given::constant(&value)));
            return Ok(());
        }
        let mut parts = Vec::new();
        for whole in all {
            let own = if scalar { name.to_owned() } else { self.between() };
            self.push("scalar_tensor", vec![("s", arg(whole))], &[&own], name)?;
            if scalar {
                return Ok(());
            }
            let row = self.between();
            let args = vec![("self", self.arg(&own)?), ("dim", Arg::Number(Number::Int(0)))];
            self.push("unsqueeze", args, &[&row], name)?;
            parts.push(Some(self.slot(&row)?));
        }
        let args = vec![("tensors", Arg::Slots(parts)), ("dim", Arg::Number(Number::Int(0)))];
        self.push("cat", args, &[name], name)
    }

    /// The size of every dimension, each as a number that a pass gives.
    fn shape(&mut self, node: &NodeProto) -> Result<Vec<Whole>, GraphError> {
        let name = node.input.first().cloned().unwrap_or_default();
        if self.is_sizes(&name) {
            let list = &self.sizes[self.named(&name)];
            let scalar = self.scalars.contains(self.named(&name));
            return Ok(if scalar { Vec::new() } else { vec![Whole::Given(list.len() as i64)] });
        }
        let fixed = self.tensors.get(self.named(&name)).ok();
        let slot = self.slot(&name)?;
        let Some(&rank) = self.low.ranks.get(&slot) else {
            return Err(GraphError::new(
                format!("the file does not say how many dimensions `{name}` has"),
                "run onnx.shape_inference.infer_shapes on it and save it again",
            ));
        };
        let (from, to) = (int(node, "start").unwrap_or(0), int(node, "end").unwrap_or(rank as i64));
        let from = (if from < 0 { from + rank as i64 } else { from }).max(0);
        let to = if to < 0 { to + rank as i64 } else { to.min(rank as i64) };
        if let Some(fixed) = fixed {
            return Ok((from..to).map(|dim| Whole::Given(fixed.size()[dim as usize])).collect());
        }
        (from..to).map(|dim| self.size(&name, dim, &place(node))).collect()
    }

    /// The size of one dimension.
    ///
    /// # Errors
    /// A value that is not made.
    pub fn size(&mut self, name: &str, dim: i64, place: &str) -> Result<Whole, GraphError> {
        let (own, of) = (self.between(), self.arg(name)?);
        let args = vec![("self", of), ("dim", Arg::Number(Number::Int(dim)))];
        self.push("sym_size", args, &[&own], place)?;
        Ok(Whole::Of(self.low.slot(&own)))
    }

    fn part(&self, node: &NodeProto) -> Result<Option<Vec<Whole>>, GraphError> {
        let (of, from, to) = (self.list(node, 0)?, self.given(node, 1)?, self.given(node, 2)?);
        let step = self.given(node, 4)?.first().copied().unwrap_or(1);
        let count = of.len() as i64;
        let within = |at: &i64| (if *at < 0 { at + count } else { *at }).clamp(0, count);
        let (Some(from), Some(to)) = (from.first().map(within), to.first().map(within)) else {
            return Ok(None);
        };
        let picks = (from..to).step_by(usize::try_from(step).ok().filter(|s| *s > 0).unwrap_or(1));
        Ok(picks.map(|at| pick(&of, at)).collect())
    }

    fn computed(&mut self, node: &NodeProto, op: &str) -> Result<Vec<Whole>, GraphError> {
        let (a, b) = (self.list(node, 0)?, self.list(node, 1)?);
        let count = a.len().max(b.len());
        let at = |list: &[Whole], i: usize| list[if list.len() == 1 { 0 } else { i }];
        if a.is_empty() || b.is_empty() || ![1, count].contains(&a.len().min(b.len())) {
            return Err(GraphError::new("lists of several lengths", EXPORT));
        }
        (0..count).map(|i| self.pair(op, at(&a, i), at(&b, i), &place(node))).collect()
    }

    fn product_of(&mut self, node: &NodeProto) -> Result<Whole, GraphError> {
        let factors = self.list(node, 0)?;
        let one = Whole::Given(1);
        factors.into_iter().try_fold(one, |a, b| self.pair("Mul", a, b, &place(node)))
    }

    fn pair(&mut self, op: &str, a: Whole, b: Whole, place: &str) -> Result<Whole, GraphError> {
        if let (Whole::Given(a), Whole::Given(b)) = (a, b) {
            let found = match op {
                "Add" => a.checked_add(b),
                "Sub" => a.checked_sub(b),
                "Mul" => a.checked_mul(b),
                // The sign of the divisor, or with `fmod` that of the dividend.
                "Mod" if b > 0 && a >= 0 => a.checked_rem(b),
                "Div" if b != 0 => a.checked_div(b),
                _ => None,
            };
            return found
                .map(Whole::Given)
                .ok_or_else(|| GraphError::new("a size below zero or beyond 64 bits", EXPORT));
        }
        let name = match op {
            "Add" => "operator.add",
            "Sub" => "operator.sub",
            "Mul" => "operator.mul",
            "Mod" => "operator.mod",
            _ => "operator.floordiv",
        };
        let own = self.between();
        self.push(name, vec![("a", arg(a)), ("b", arg(b))], &[&own], place)?;
        Ok(Whole::Of(self.low.slot(&own)))
    }

    /// The shape that `Reshape` asks for: 0 stands for the size at that place.
    ///
    /// # Errors
    /// As [`Reader::list`].
    pub fn target(&mut self, node: &NodeProto) -> Result<Vec<Whole>, GraphError> {
        let mut shape = self.list(node, 1)?;
        let kept = int(node, "allowzero").unwrap_or(0) == 0;
        for (dim, size) in shape.iter_mut().enumerate() {
            if kept && *size == Whole::Given(0) {
                *size = self.size(&node.input[0], dim as i64, &place(node))?;
            }
        }
        Ok(shape)
    }

    /// Axes as an attribute, or from opset 13 on as an input.
    ///
    /// # Errors
    /// As [`Reader::given`].
    pub fn axes(&self, node: &NodeProto, at: usize) -> Result<Vec<i64>, GraphError> {
        let own = ints(node, "axes");
        if own.is_empty() { self.given(node, at) } else { Ok(own) }
    }
}

/// A length of a list.
fn few(count: i64) -> Result<usize, GraphError> {
    let count = usize::try_from(count).ok().filter(|count| *count <= LONG);
    count.ok_or_else(|| GraphError::new("a list of sizes that is too long", EXPORT))
}

/// A size as an argument.
fn arg(whole: Whole) -> Arg {
    match whole {
        Whole::Given(n) => Arg::Number(Number::Int(n)),
        Whole::Of(slot) => Arg::Slot(slot),
    }
}

fn pick(of: &[Whole], at: i64) -> Option<Whole> {
    let at = if at < 0 { at + of.len() as i64 } else { at };
    of.get(usize::try_from(at).ok()?).copied()
}
