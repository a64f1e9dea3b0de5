//! One forward pass: a model asks its tape for layers, the tape finds the parameters and remembers
//! what gradients need.
//!
//! Activations are `[T, B, ...]`: `T` independent lanes of a batch of `B` examples. Where all
//! lanes share the weights (leading dimension 1) a layer runs as one ordinary batch of `T*B`;
//! where each lane has its own weights a linear layer runs as `baddbmm`, a convolution as one
//! grouped convolution. `conv.rs` says how convolutions run while recording.

use std::sync::Arc;

use suites::foreign::Budget;
use tch::{Kind, Tensor};

use crate::conv::{self, Way};
use crate::gradients::Form;
use crate::models::Bottleneck;
use crate::params::{InitRule, ParamSpec, Params};

mod cosine;
mod dropout;
pub(crate) mod kinks;
mod lanes;
mod norm;
mod shift;

pub use crate::conv::Conv;
use kinks::Kinks;
pub(crate) use lanes::broadcast_lanes;
pub use lanes::{avg_pool, global_avg_pool, images, max_pool, unfold_lanes};
pub(crate) use shift::{Shift, Shifts};

/// How BatchNorm, dropout and stochastic depth behave in a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Normalise by the batch's own statistics (per lane); drop what the parameters' draw says.
    Train,
    /// Normalise by the running statistics; drop nothing.
    Eval,
}

/// Which operation a tap belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TapKind {
    /// `z = a W^T + b`.
    Linear,
    /// `z = conv(a, W) + b`.
    Conv,
    /// `z = gamma * a + beta`, with `a` the normalised activation, per channel; PReLU: `z = max(x,
    /// 0) + gamma * a` with `a = min(x, 0)`.
    Scale,
    /// A parameter that operations use as a value: `output` is each lane's own copy of it, and its
    /// gradient dL/d`output`.
    Free,
    /// `z = a w^T` with `a` the normalised input times the scale and `w = W / ||W||` by rows.
    Cosine,
}

/// What is kept of one parametrised layer: dL/dW is a function of `input` and of dL/d`output`.
#[derive(Debug)]
pub struct Tap {
    /// The operation.
    pub kind: TapKind,
    /// Position of the weight in the layout.
    pub weight: usize,
    /// Position of the bias in the layout.
    pub bias: Option<usize>,
    /// The layer's input, `[T or 1, B, ...]`; of a convolution its columns `[T or 1, in*k*k, B*L]`,
    /// where `kernels` is empty.
    pub input: Tensor,
    /// The layer's output before any activation, `[T, B, ...]`.
    pub output: Tensor,
    /// A convolution's own kernel for each lane, `[out, in, k, k]`, where autograd itself forms
    /// dL/dW; else empty.
    pub kernels: Vec<Tensor>,
    /// Of a normalisation with running statistics: `a = scale * input + shift`, each `[T or 1, C]`.
    /// Of a cosine layer: `w` `[T or 1, K, E]` and `1 / ||W||` `[T or 1, K]`.
    pub fixed: Option<[Tensor; 2]>,
    /// Of a convolution: its geometry.
    pub conv: Option<Conv>,
}

/// Batch statistics that a BatchNorm layer saw in [`Mode::Train`].
#[derive(Debug)]
pub struct BatchStat {
    /// Position of `running_mean` in the layout (`running_var` follows it).
    pub running_mean: usize,
    /// Mean of each channel, `[T, C]`; with the pass's graph, where there is one.
    pub mean: Tensor,
    /// Unbiased variance of each channel, `[T, C]`, likewise.
    pub var: Tensor,
}

/// What a recording pass keeps of a convolution.
#[derive(Clone, Copy)]
enum Record {
    /// What the batch's weight gradient needs in that form.
    Batch(Form),
    /// Its input as it is, from which gradients of single examples are formed.
    Examples,
    /// Nothing: the parameters are leaves, and autograd forms what a step of training needs.
    Leaves,
}

enum Source<'a> {
    /// What a file describes has a budget.
    Declare {
        specs: Vec<ParamSpec>,
        budget: Option<Budget>,
    },
    Run(&'a Params),
}

/// The state of one forward pass.
pub struct Tape<'a> {
    source: Source<'a>,
    mode: Mode,
    record: Option<Record>,
    /// Parametrised layers in the order they ran (empty unless recording).
    pub taps: Vec<Tap>,
    /// Statistics of the BatchNorm layers in train mode.
    pub stats: Vec<BatchStat>,
    /// What the model itself adds to the loss, `[T]` (mean over the batch), where it adds
    /// something.
    pub penalty: Option<Tensor>,
    /// Input of the last fully connected layer so far, `[T or 1, B, E]`.
    pub embedding: Option<Tensor>,
    inserted: Option<Arc<Bottleneck>>,
    /// Random layers that the pass has met.
    random: i64,
    /// Branches of piecewise operations, where another pass repeats them.
    kinks: Kinks,
    /// What a second pass adds at the taps.
    shifts: Option<Shifts>,
}

impl<'a> Tape<'a> {
    /// A pass that only collects the layout, and panics with one line where that costs more than
    /// the budget.
    pub(crate) fn declaring(budget: Option<Budget>) -> Tape<'static> {
        Tape {
            source: Source::Declare { specs: Vec::new(), budget },
            mode: Mode::Eval,
            record: None,
            taps: Vec::new(),
            stats: Vec::new(),
            penalty: None,
            embedding: None,
            inserted: None,
            random: 0,
            kinks: Kinks::default(),
            shifts: None,
        }
    }

    /// A pass with these parameters.
    pub fn new(params: &'a Params, mode: Mode) -> Tape<'a> {
        let source = Source::Run(params);
        Tape {
            source,
            mode,
            record: None,
            taps: Vec::new(),
            stats: Vec::new(),
            penalty: None,
            embedding: None,
            inserted: None,
            random: 0,
            kinks: Kinks::default(),
            shifts: None,
        }
    }

    /// A pass that records taps for [`crate::gradients`], whose weight gradients will have that
    /// form.
    pub fn recording(params: &'a Params, mode: Mode, form: Form) -> Tape<'a> {
        Tape { record: Some(Record::Batch(form)), ..Tape::new(params, mode) }
    }

    /// A pass that records taps for [`crate::per_example`]: the input of every layer as it is, `[T
    /// or 1, B, ...]`.
    pub fn per_example(params: &'a Params, mode: Mode) -> Tape<'a> {
        Tape { record: Some(Record::Examples), ..Tape::new(params, mode) }
    }

    /// A pass whose parameters require gradients themselves and whose layers take torch's fused
    /// kernels, lane by lane.
    pub(crate) fn training(params: &'a Params, mode: Mode) -> Tape<'a> {
        Tape { record: Some(Record::Leaves), ..Tape::new(params, mode) }
    }

    /// A recording pass whose piecewise operations are recorded, too.
    pub(crate) fn first(params: &'a Params, mode: Mode, form: Form) -> Tape<'a> {
        Tape { kinks: Kinks::recording(), ..Tape::recording(params, mode, form) }
    }

    /// A pass that repeats the branches of a first one, shifted at its taps.
    pub(crate) fn second(
        params: &'a Params,
        mode: Mode,
        form: Form,
        branches: &[Tensor],
        shifts: Shifts,
    ) -> Tape<'a> {
        let (kinks, shifts) = (Kinks::repeating(branches), Some(shifts));
        Tape { kinks, shifts, ..Tape::recording(params, mode, form) }
    }

    /// What the pass adds to the loss, `[T]`: the model's penalty and that of the shifts.
    pub(crate) fn added(&mut self) -> Option<Tensor> {
        let shifted = self.shifts.as_mut().and_then(|s| s.loss.take());
        match (self.penalty.take(), shifted) {
            (Some(a), Some(b)) => Some(a + b),
            (one, other) => one.or(other),
        }
    }

    fn on_leaves(&self) -> bool {
        matches!(self.record, Some(Record::Leaves))
    }

    pub(crate) fn into_specs(self) -> Vec<ParamSpec> {
        match self.source {
            Source::Declare { specs, .. } => specs,
            Source::Run(params) => params.layout().specs().to_vec(),
        }
    }

    /// Pays for values of f32 that a declaring pass is about to make; those that stay are elements.
    pub(crate) fn afford(&mut self, what: &str, shape: &[i64], stays: bool) {
        let Source::Declare { budget: Some(budget), .. } = &mut self.source else { return };
        let count = shape.iter().try_fold(4u64, |n, &s| n.checked_mul(u64::try_from(s).ok()?));
        let bytes = count.unwrap_or(u64::MAX);
        let paid = budget.hold(bytes).and_then(|()| budget.build(usize::from(stays), 0));
        if let Err(exceeded) = paid {
            // Models know no errors of a pass; whoever reads a file catches this one.
            std::panic::resume_unwind(Box::new(format!("`{what}` {shape:?}: {exceeded}")));
        }
        if !stays {
            budget.release(bytes);
        }
    }

    /// Finds (or, when declaring, creates) a parameter: its position and its value `[T or 1,
    /// ...shape]`.
    fn param(
        &mut self,
        name: String,
        shape: &[i64],
        init: InitRule,
        trainable: bool,
    ) -> (usize, Tensor) {
        if let Some(known) = self.declared(&name) {
            let (own, size) = (known.1.size(), shape);
            assert!(
                own[1..] == *size,
                "`{name}` is {:?}, and its input asks for {size:?}",
                &own[1..]
            );
            return known;
        }
        self.afford(&name, shape, true);
        match &mut self.source {
            Source::Declare { specs, .. } => {
                specs.push(ParamSpec { name, shape: shape.to_vec(), init, trainable });
                let size: Vec<i64> = std::iter::once(1).chain(shape.iter().copied()).collect();
                (specs.len() - 1, Tensor::zeros(size, (Kind::Float, tch::Device::Cpu)))
            }
            Source::Run(params) => {
                let i = params
                    .layout()
                    .position(&name)
                    .unwrap_or_else(|| panic!("the layout lacks `{name}`"));
                (i, params.tensors[i].shallow_clone())
            }
        }
    }

    /// What a declaring pass knows already.
    fn declared(&self, name: &str) -> Option<(usize, Tensor)> {
        let Source::Declare { specs, .. } = &self.source else { return None };
        let at = specs.iter().position(|spec| spec.name == name)?;
        let size: Vec<i64> = std::iter::once(1).chain(specs[at].shape.iter().copied()).collect();
        Some((at, Tensor::zeros(size, (Kind::Float, tch::Device::Cpu))))
    }

    /// Declares parameters in this order, whatever the pass asks for first.
    pub(crate) fn declare(&mut self, all: &[ParamSpec]) {
        for spec in all {
            self.afford(&spec.name, &spec.shape, true);
            if let Source::Declare { specs, .. } = &mut self.source {
                specs.push(spec.clone());
            }
        }
    }

    /// Lanes of the parameters.
    pub(crate) fn lanes(&self) -> i64 {
        match &self.source {
            Source::Declare { .. } => 1,
            Source::Run(params) => params.lanes(),
        }
    }

    /// A parameter as a value, `[T or 1, ...shape]`; with a copy of its own for each of `lanes`
    /// where a gradient is recorded.
    pub(crate) fn free(&mut self, name: &str, shape: &[i64], lanes: i64) -> Tensor {
        let (weight, value) = self.param(name.to_string(), shape, InitRule::Constant(0.0), true);
        if self.record.is_none() || self.on_leaves() {
            return value;
        }
        let own = broadcast_lanes(&value, lanes);
        if let Some(shifts) = &mut self.shifts {
            return shifts.pass(&own, own.shallow_clone());
        }
        let own = if own.requires_grad() { own } else { own.detach().set_requires_grad(true) };
        self.taps.push(Tap {
            kind: TapKind::Free,
            weight,
            bias: None,
            input: Tensor::zeros([0], (value.kind(), value.device())),
            output: own.shallow_clone(),
            kernels: Vec::new(),
            fixed: None,
            conv: None,
        });
        own
    }

    fn keep(&mut self, tap: Tap) -> Tensor {
        if self.record.is_none() || self.on_leaves() {
            return tap.output;
        }
        if let Some(shifts) = &mut self.shifts {
            return shifts.pass(&tap.input, tap.output);
        }
        // The first layer's output depends on nothing that is differentiated when only parameters
        // are: make it a leaf.
        let output = if tap.output.requires_grad() {
            tap.output
        } else {
            tap.output.set_requires_grad(true)
        };
        self.taps.push(Tap { output: output.shallow_clone(), ..tap });
        output
    }

    /// Puts a bottleneck before the linear layer it names, which the pass has yet to reach.
    pub(crate) fn insert(&mut self, bottleneck: Arc<Bottleneck>) {
        self.inserted = Some(bottleneck);
    }

    /// Adds to what the model adds to the loss, `[T]`.
    pub(crate) fn penalise(&mut self, loss: Tensor) {
        self.penalty = Some(match self.penalty.take() {
            Some(sum) => sum + loss,
            None => loss,
        });
    }

    /// A buffer without gradient, `[T or 1, ...shape]`, zero before training.
    pub(crate) fn buffer(&mut self, name: &str, shape: &[i64]) -> Tensor {
        self.param(name.to_string(), shape, InitRule::Constant(0.0), false).1
    }

    /// What a fully connected layer works on, behind the bottleneck that belongs before it.
    fn before_linear(&mut self, name: &str, x: &Tensor) -> Tensor {
        let bottleneck = self.inserted.take_if(|b| b.before == name);
        let x = bottleneck.map_or_else(|| x.shallow_clone(), |b| b.layer(self, x));
        self.embedding = Some(x.shallow_clone());
        x
    }

    /// Fully connected layer, `x` `[T, B, in]` to `[T, B, out]`; PyTorch's default initialisation.
    pub fn linear(&mut self, name: &str, x: &Tensor, out: i64) -> Tensor {
        let init = |fan_in: i64| InitRule::Uniform { bound: 1.0 / (fan_in as f64).sqrt() };
        let x = &self.before_linear(name, x);
        self.linear_layer(name, x, out, [init(x.size()[2]), init(x.size()[2])], true)
    }

    /// [`Tape::linear`] on the last dimension of `[T, B, ..., in]`, with a bias or without: every
    /// place of an example is a row of its own.
    pub(crate) fn linear_rows(
        &mut self,
        name: &str,
        x: &Tensor,
        out: i64,
        bias: bool,
        init: [InitRule; 2],
    ) -> Tensor {
        let mut size = x.size();
        let plain = size.len() == 3;
        let x = if plain { self.before_linear(name, x) } else { x.flatten(1, -2) };
        let z = self.linear_layer(name, &x, out, init, bias);
        size[0] = z.size()[0];
        size.pop();
        size.push(out);
        z.reshape(size)
    }

    /// [`Tape::linear`] with stated initialisations of weight and bias.
    pub fn linear_init(&mut self, name: &str, x: &Tensor, out: i64, init: [InitRule; 2]) -> Tensor {
        let x = self.before_linear(name, x);
        self.linear_layer(name, &x, out, init, true)
    }

    fn linear_layer(
        &mut self,
        name: &str,
        x: &Tensor,
        out: i64,
        [weight, bias]: [InitRule; 2],
        biased: bool,
    ) -> Tensor {
        let size = x.size();
        let fan_in = size[2];
        let (wi, w) = self.param(format!("{name}.weight"), &[out, fan_in], weight, true);
        let bias = biased.then(|| self.param(format!("{name}.bias"), &[out], bias, true));
        let b = bias.as_ref().map(|(_, b)| b);
        self.afford(name, &[size[0], size[1], out], false);
        let shared = b.is_none_or(|b| b.size()[0] == 1);
        let z = if w.size()[0] == 1 && shared {
            x.reshape([-1, fan_in])
                .linear(&w.squeeze_dim(0), b.map(|b| b.squeeze_dim(0)).as_ref())
                .reshape([size[0], size[1], out])
        } else if w.size()[0] == 1 {
            let z = x.reshape([-1, fan_in]).linear(&w.squeeze_dim(0), None::<&Tensor>);
            let z = z.reshape([size[0], size[1], out]);
            b.map_or_else(|| z.shallow_clone(), |b| &z + b.unsqueeze(1))
        } else {
            let (x, w) = (broadcast_lanes(x, w.size()[0]), w.transpose(1, 2));
            match b {
                Some(b) => b.unsqueeze(1).baddbmm(&x, &w, 1.0, 1.0),
                None => x.bmm(&w),
            }
        };
        self.keep(Tap {
            kind: TapKind::Linear,
            weight: wi,
            bias: bias.map(|(i, _)| i),
            input: x.shallow_clone(),
            output: z,
            kernels: Vec::new(),
            fixed: None,
            conv: None,
        })
    }

    /// Convolution, `x` `[T, B, in, H, W]` to `[T, B, out, H', W']`.
    pub fn conv(&mut self, name: &str, x: &Tensor, conv: Conv) -> Tensor {
        let init = InitRule::Uniform { bound: 1.0 / (conv.fan_in() as f64).sqrt() };
        self.conv_init(name, x, conv, [init.clone(), init])
    }

    /// [`Tape::conv`] with stated initialisations of kernel and bias.
    pub fn conv_init(
        &mut self,
        name: &str,
        x: &Tensor,
        conv: Conv,
        [kernel, bias]: [InitRule; 2],
    ) -> Tensor {
        let (wi, w) = self.param(format!("{name}.weight"), &conv.shape(), kernel, true);
        let bias =
            conv.bias.then(|| self.param(format!("{name}.bias"), &[conv.output], bias, true));
        let value = bias.as_ref().map(|(_, b)| b);
        let [height, width] = conv.output_size(x);
        self.afford(name, &[x.size()[0], x.size()[1], conv.output, height, width], false);
        let (mut input, mut kernels) = (x.shallow_clone(), Vec::new());
        let output = match self.record {
            None => conv::grouped(x, &w, value, conv),
            Some(Record::Leaves) => conv::side_by_side(x, &w, value, conv),
            Some(Record::Examples) => conv::channels_last_out(x, &w, value, conv),
            Some(Record::Batch(form)) => match conv.way(x, form) {
                Way::Autograd if self.shifts.is_some() => conv::one_by_one(x, &w, value, conv),
                Way::Autograd => {
                    kernels = conv::own_kernels(&w, x.size()[0].max(w.size()[0]));
                    conv::apart(x, &kernels, value, conv)
                }
                way => {
                    input = conv::columns(x, conv);
                    conv::product(&input, &w, value, way, conv.output_size(x))
                }
            },
        };
        self.keep(Tap {
            kind: TapKind::Conv,
            weight: wi,
            bias: bias.map(|(i, _)| i),
            input,
            output,
            kernels,
            fixed: None,
            conv: Some(conv),
        })
    }
}
