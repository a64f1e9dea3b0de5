//! Networks from files: a graph of operations as a [`Model`].
//!
//! The commonest layers become the tape's own, so that lanes, taps, factored gradients and
//! BatchNorm's modes work as in a built-in architecture. Every other operation runs as torch's own
//! on `[L, ...]`; the parameters that it uses are free: each lane has its own copy while a gradient
//! is recorded, and autograd forms the gradient densely.

mod alias;
mod arguments;
mod file;
mod layers;
mod lower;
mod onnx;
mod ops;
mod pt2;
mod schema;
mod signature;
mod value;

use std::cell::RefCell;

use rand_chacha::ChaCha12Rng;
use tch::{Kind, Tensor};

use crate::models::{Model, redraw};
use crate::params::{InitRule, ParamSpec, Params, Stored};
use crate::tape::{Conv, Tape};
use ops::Op;
use value::{Arg, Call, Value};

pub use file::{FileModel, from_bytes, onnx_from_bytes, read};

thread_local! {
    /// The line of Python behind the operation that runs, for the message of one that cannot.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Where the last pass of this thread stopped, if it did not reach its end: file and line of the
/// model's own code.
pub fn stopped_at() -> Option<String> {
    PLACE.with_borrow(|place| (!place.is_empty()).then(|| place.clone()))
}

/// Why a file gives no model: one line, and what to do.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{problem}; {remedy}")]
pub struct GraphError {
    /// What is wrong.
    pub problem: String,
    /// What mends it.
    pub remedy: String,
}

impl GraphError {
    fn new(problem: impl Into<String>, remedy: impl Into<String>) -> GraphError {
        GraphError { problem: problem.into(), remedy: remedy.into() }
    }
}

/// One step of a pass.
enum Step {
    /// An operation on values.
    Call { op: Op, name: String, args: Vec<(String, Arg)>, outputs: Vec<usize>, place: String },
    /// A fully connected layer on the last dimension; `rows`: on several places of an example.
    Linear {
        name: String,
        input: usize,
        out: i64,
        bias: bool,
        rows: bool,
        init: [InitRule; 2],
        output: usize,
    },
    /// A convolution of images with a square kernel.
    Conv { name: String, input: usize, conv: Conv, output: usize },
    /// Normalisation by the batch's or the running statistics.
    BatchNorm { name: String, input: usize, eps: f64, momentum: f64, output: usize },
    /// Normalisation in groups of channels.
    GroupNorm { name: String, input: usize, groups: i64, eps: f64, output: usize },
}

impl Step {
    /// Whether this step's result is in that slot.
    fn gives(&self, slot: usize) -> bool {
        match self {
            Step::Call { outputs, .. } => outputs.contains(&slot),
            Step::Linear { output, .. }
            | Step::Conv { output, .. }
            | Step::BatchNorm { output, .. }
            | Step::GroupNorm { output, .. } => *output == slot,
        }
    }
}

/// What a slot holds before the first step.
enum Given {
    /// A parameter that is used as a value, by its place in the specs.
    Free(usize),
    /// A buffer that is used as a value, likewise.
    Buffer(usize),
    /// Reals of that shape.
    Reals(Stored, Vec<i64>),
    /// Whole numbers, or bits where marked.
    Whole { values: Vec<i64>, shape: Vec<i64>, bits: bool },
}

/// A network as a list of steps.
pub(crate) struct Graph {
    specs: Vec<ParamSpec>,
    given: Vec<(usize, Given)>,
    steps: Vec<Step>,
    slots: usize,
    input: usize,
    output: usize,
    /// The batch that the file was exported with, where it is fixed there.
    batch: Option<i64>,
    /// The input is of tokens, not of reals.
    tokens: bool,
    shape: Vec<i64>,
    classes: i64,
    /// Specs before the head, which declares its own where the pass reaches it: behind a layer that
    /// a defense puts before it.
    body: usize,
    /// Places of the specs in the order of `state_dict()`; that of a parameter of several names
    /// stands there as often.
    order: Vec<usize>,
    /// Other names of parameters, each with the parameter's own.
    ties: Vec<(String, String)>,
}

impl Given {
    fn constant(value: &Tensor) -> Given {
        let shape = value.size();
        if value.is_floating_point() {
            return Given::Reals(Stored::new(value), shape);
        }
        let flat = value.to_kind(Kind::Int64).reshape([-1]);
        let values = Vec::try_from(flat).unwrap_or_default();
        Given::Whole { values, shape, bits: value.kind() == Kind::Bool }
    }
}

impl Model for Graph {
    fn input(&self) -> Vec<i64> {
        self.shape.clone()
    }

    fn classes(&self) -> i64 {
        self.classes
    }

    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
        tape.declare(&self.specs[..self.body]);
        let lanes = x.size()[0].max(tape.lanes());
        let mut values: Vec<Option<Value>> = (0..self.slots).map(|_| None).collect();
        for (slot, given) in &self.given {
            values[*slot] = Some(Value::Tensor(self.given(given, tape, x, lanes)));
        }
        let own = if self.tokens { x.round().to_kind(Kind::Int64) } else { x.shallow_clone() };
        values[self.input] = Some(Value::Tensor(own));
        for step in &self.steps {
            self.step(step, tape, x, &mut values);
        }
        PLACE.with_borrow_mut(String::clear);
        match values[self.output].take() {
            Some(Value::Tensor(logits)) => {
                let width = logits.size().last().copied();
                assert!(width == Some(self.classes), "the output is not as wide as the file says");
                logits
            }
            _ => panic!("the graph's output is no tensor"),
        }
    }

    fn unfrozen(&self) -> Option<String> {
        self.steps.iter().find_map(|step| match step {
            Step::Call { name, args, place, .. } if ops::has_corners(name, args) => {
                Some(format!("`{name}` ({place})"))
            }
            _ => None,
        })
    }

    fn refresh(&self, params: Params, rngs: &mut [ChaCha12Rng]) -> Params {
        let random = |step: &Step| match step {
            Step::Call { op: Op::Random(_), args, .. } => args.iter().any(|(name, arg)| {
                ["p", "dropout_p"].contains(&name.as_str()) && *arg != Arg::zero()
            }),
            _ => false,
        };
        if self.steps.iter().any(random) { redraw(params, rngs) } else { params }
    }

    fn state_dict_order(&self) -> Option<Vec<usize>> {
        Some(self.order.clone())
    }

    fn tied(&self) -> Vec<(String, String)> {
        self.ties.clone()
    }

    fn reads_tokens(&self) -> bool {
        self.tokens
    }

    fn running_momentum(&self, running_mean: &str) -> f64 {
        let own = |step: &Step| match step {
            Step::BatchNorm { name, momentum, .. } => {
                (running_mean.strip_suffix(".running_mean") == Some(name)).then_some(*momentum)
            }
            _ => None,
        };
        self.steps.iter().find_map(own).unwrap_or(0.1)
    }

    fn examples_by_lane(&self) -> bool {
        let free = self.given.iter().any(|(_, given)| matches!(given, Given::Free(_)));
        free || self.steps.iter().any(|step| matches!(step, Step::Linear { rows: true, .. }))
    }
}

impl Graph {
    /// Holds every parameter fixed but these.
    fn train_only(&mut self, names: &[String]) {
        for spec in &mut self.specs {
            spec.trainable = names.contains(&spec.name);
        }
        for (_, given) in &mut self.given {
            if let Given::Free(at) | Given::Buffer(at) = given {
                let at = *at;
                let trains = self.specs[at].trainable;
                *given = if trains { Given::Free(at) } else { Given::Buffer(at) };
            }
        }
        // A frozen head is declared with the rest.
        if self.specs[self.body..].iter().any(|spec| !spec.trainable) {
            self.body = self.specs.len();
        }
    }

    fn given(&self, given: &Given, tape: &mut Tape, x: &Tensor, lanes: i64) -> Tensor {
        let spec = |at: usize| (&self.specs[at].name, &self.specs[at].shape);
        match given {
            Given::Free(at) => tape.free(spec(*at).0, spec(*at).1, lanes),
            Given::Buffer(at) => tape.buffer(spec(*at).0, spec(*at).1),
            Given::Reals(values, shape) => {
                values.tensor(shape).unsqueeze(0).to_device(x.device()).to_kind(x.kind())
            }
            Given::Whole { values, shape, bits } => {
                let t = Tensor::from_slice(values).reshape(&shape[..]).unsqueeze(0);
                let t = t.to_device(x.device());
                if *bits { t.to_kind(Kind::Bool) } else { t }
            }
        }
    }

    fn step(&self, step: &Step, tape: &mut Tape, x: &Tensor, values: &mut [Option<Value>]) {
        let tensor = |values: &[Option<Value>], slot: usize| match &values[slot] {
            Some(Value::Tensor(t)) => t.shallow_clone(),
            _ => panic!("a layer's input is no tensor"),
        };
        let (output, value) = match step {
            Step::Call { op, args, outputs, place, .. } => {
                PLACE.with_borrow_mut(|now| now.clone_from(place));
                let like = (x.kind(), x.device());
                let batch = (self.batch, x.size()[1]);
                let found = call(
                    *op,
                    &Call { args, values, like, batch, kinks: tape.kinks().clone() },
                    tape,
                );
                assert!(found.len() >= outputs.len(), "fewer results than are used ({place})");
                for (slot, value) in outputs.iter().zip(found) {
                    values[*slot] = Some(value);
                }
                return;
            }
            Step::Linear { name, input, out, bias, init, output, .. } => {
                let x = tensor(values, *input);
                (output, tape.linear_rows(name, &x, *out, *bias, init.clone()))
            }
            Step::Conv { name, input, conv, output } => {
                (output, tape.conv(name, &tensor(values, *input), *conv))
            }
            Step::BatchNorm { name, input, eps, output, .. } => {
                let x = tensor(values, *input);
                (output, as_images(&x, |x| tape.batch_norm_eps(name, x, *eps)))
            }
            Step::GroupNorm { name, input, groups, eps, output } => {
                let x = tensor(values, *input);
                (output, as_images(&x, |x| tape.group_norm_eps(name, x, *groups, *eps)))
            }
        };
        values[*output] = Some(Value::Tensor(value));
    }
}

fn call(op: Op, call: &Call, tape: &mut Tape) -> Vec<Value> {
    match op {
        Op::One(f) => vec![Value::Tensor(f(call))],
        Op::Many(f) => f(call).into_iter().map(Value::Tensor).collect(),
        Op::Number(f) => vec![Value::Number(f(call))],
        Op::Random(f) => vec![Value::Tensor(f(call, tape))],
        Op::Nothing => Vec::new(),
    }
}

/// A layer for `[L, B, C, H, W]` on `[L, B, C]` or `[L, B, C, H]`.
fn as_images(x: &Tensor, f: impl FnOnce(&Tensor) -> Tensor) -> Tensor {
    let size = x.size();
    let mut image = size.clone();
    image.resize(5, 1);
    f(&x.reshape(image)).reshape(size)
}
