//! Values of a graph while it runs, and how an operation finds its arguments.
//!
//! A tensor of the graph's shape `[s0, s1, ...]` is held as `[L, s0, s1, ...]` with `L` the number
//! of lanes, or 1 where all lanes share it. So a dimension `d` of the graph is `d + 1` here, and
//! operations of one argument that name dimensions from the end run as they are.

use tch::{Kind, Tensor};

use crate::tape::kinks::Kinks;

/// What an operation of a graph gives.
#[derive(Debug)]
pub(super) enum Value {
    Tensor(Tensor),
    Number(Number),
}

/// A number that depends on sizes, or is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    pub fn float(self) -> f64 {
        match self {
            Number::Int(n) => n as f64,
            Number::Float(v) => v,
        }
    }
}

/// An integer of an argument: as written, or the result of a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Whole {
    Given(i64),
    Of(usize),
}

/// An argument of a node, as the file gives it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Arg {
    None,
    /// The result of a node, or a parameter.
    Slot(usize),
    Slots(Vec<Option<usize>>),
    Number(Number),
    Wholes(Vec<Whole>),
    Floats(Vec<f64>),
    Bool(bool),
    Text(String),
    /// An element type by PyTorch's number in exported programs.
    Type(i64),
}

impl Arg {
    /// The number 0.
    pub fn zero() -> Arg {
        Arg::Number(Number::Float(0.0))
    }
}

/// One node with the values before it.
pub(super) struct Call<'a> {
    pub args: &'a [(String, Arg)],
    pub values: &'a [Option<Value>],
    /// Precision of the pass.
    pub like: (Kind, tch::Device),
    /// The batch that the file was exported with, where it is fixed there, and the pass's own.
    pub batch: (Option<i64>, i64),
    /// The branches of the pass.
    pub kinks: Kinks,
}

impl Call<'_> {
    pub fn arg(&self, name: &str) -> Option<&Arg> {
        let found = self.args.iter().find(|(own, _)| own == name).map(|(_, arg)| arg);
        found.filter(|arg| **arg != Arg::None)
    }

    fn value(&self, slot: usize) -> &Value {
        self.values[slot].as_ref().expect("a graph's nodes are in order")
    }

    fn tensor_at(&self, slot: usize) -> Tensor {
        match self.value(slot) {
            Value::Tensor(t) => t.shallow_clone(),
            Value::Number(n) => self.full(&[], n.float()),
        }
    }

    /// A tensor of one lane.
    pub fn full(&self, shape: &[i64], value: f64) -> Tensor {
        let size: Vec<i64> = std::iter::once(1).chain(shape.iter().copied()).collect();
        afford(&size);
        Tensor::full(size, value, self.like)
    }

    /// A tensor argument, `[L, ...]`, if it is there.
    pub fn maybe(&self, name: &str) -> Option<Tensor> {
        match self.arg(name)? {
            Arg::Slot(slot) => Some(self.tensor_at(*slot)),
            Arg::Number(n) => Some(self.full(&[], n.float())),
            _ => None,
        }
    }

    /// A tensor argument that the operation cannot do without.
    pub fn tensor(&self, name: &str) -> Tensor {
        self.maybe(name).unwrap_or_else(|| panic!("the argument `{name}` is no tensor"))
    }

    /// A list of tensors.
    pub fn tensors(&self, name: &str) -> Vec<Tensor> {
        match self.arg(name) {
            Some(Arg::Slots(slots)) => slots.iter().flatten().map(|&s| self.tensor_at(s)).collect(),
            _ => panic!("the argument `{name}` is no list of tensors"),
        }
    }

    /// A list of which some may be missing.
    pub fn optional_tensors(&self, name: &str) -> Vec<Option<Tensor>> {
        match self.arg(name) {
            Some(Arg::Slots(slots)) => {
                slots.iter().map(|slot| slot.map(|s| self.tensor_at(s))).collect()
            }
            _ => panic!("the argument `{name}` is no list of tensors"),
        }
    }

    /// A number, if it is there; a tensor is none.
    pub fn number(&self, name: &str) -> Option<Number> {
        match self.arg(name)? {
            Arg::Number(n) => Some(*n),
            Arg::Bool(b) => Some(Number::Int(i64::from(*b))),
            Arg::Slot(slot) => match self.value(*slot) {
                Value::Number(n) => Some(*n),
                Value::Tensor(_) => None,
            },
            _ => None,
        }
    }

    pub fn float(&self, name: &str, default: f64) -> f64 {
        self.number(name).map_or(default, Number::float)
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.maybe_int(name).unwrap_or(default)
    }

    pub fn maybe_int(&self, name: &str) -> Option<i64> {
        self.number(name).map(|n| n.float() as i64)
    }

    pub fn flag(&self, name: &str, default: bool) -> bool {
        match self.arg(name) {
            Some(Arg::Bool(b)) => *b,
            _ => default,
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        match self.arg(name)? {
            Arg::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A list of integers as it is; empty where there is none.
    pub fn ints(&self, name: &str) -> Vec<i64> {
        match self.arg(name) {
            Some(Arg::Wholes(list)) => list.iter().map(|whole| self.whole(*whole)).collect(),
            Some(_) => self.maybe_int(name).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// A list of integers of `n` dimensions, of which one stands for all; `default` where none is
    /// given.
    pub fn each(&self, name: &str, n: usize, default: i64) -> Vec<i64> {
        match &self.ints(name)[..] {
            [] => vec![default; n],
            [one] => vec![*one; n],
            list => list.to_vec(),
        }
    }

    fn whole(&self, whole: Whole) -> i64 {
        match whole {
            Whole::Given(n) => n,
            Whole::Of(slot) => match self.value(slot) {
                Value::Number(n) => n.float() as i64,
                Value::Tensor(_) => panic!("a size is a tensor"),
            },
        }
    }

    /// A shape behind the lanes. Where the file was exported with a fixed batch, that number in
    /// the first place stands for the batch of the pass.
    pub fn shape(&self, name: &str) -> Vec<i64> {
        let mut shape = self.ints(name);
        if let (Some(first), (Some(exported), own)) = (shape.first_mut(), self.batch)
            && *first == exported
        {
            *first = own;
        }
        shape
    }

    /// Where a dimension of the graph lies here.
    pub fn dim(&self, name: &str, default: i64, x: &Tensor) -> i64 {
        place(self.int(name, default), x)
    }

    /// Dimensions of the graph, each where it lies here; all of them where none is named.
    pub fn dims(&self, name: &str, x: &Tensor) -> Vec<i64> {
        match &self.ints(name)[..] {
            [] => (1..x.dim() as i64).collect(),
            dims => dims.iter().map(|&d| place(d, x)).collect(),
        }
    }
}

/// Values of the largest tensor that an operation may make of nothing or of less.
const MOST: i64 = 1 << 28;

/// Refuses a size that a file asks for without having anything like it.
pub(super) fn afford(size: &[i64]) {
    let count = size.iter().try_fold(1i64, |n, &s| n.checked_mul(s.max(0)));
    assert!(count.is_some_and(|n| n <= MOST), "a tensor of {size:?}, more than {MOST} values");
}

/// Where dimension `d` of the graph lies in `[L, ...]`; from the end where it is negative.
pub(super) fn place(d: i64, x: &Tensor) -> i64 {
    if d < 0 { d + x.dim() as i64 } else { d + 1 }
}

/// Tensors of one rank, so that they broadcast behind their lanes: those of lower rank get
/// dimensions of 1 directly behind them.
pub(super) fn align(tensors: &[&Tensor]) -> Vec<Tensor> {
    let rank = tensors.iter().map(|t| t.dim()).max().unwrap_or(1);
    let raised = |t: &&Tensor| {
        let mut size = t.size();
        size.splice(1..1, std::iter::repeat_n(1, rank - t.dim()));
        t.reshape(size)
    };
    tensors.iter().map(raised).collect()
}
