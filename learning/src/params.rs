//! Named parameters as plain tensors with a leading lane dimension.

use std::collections::HashMap;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use crate::LearningError;

/// How a parameter is drawn before training.
#[derive(Clone, Debug, PartialEq)]
pub enum InitRule {
    /// Uniform on `[-bound, bound]`; PyTorch's default for linear and convolution layers has `bound
    /// = 1/sqrt(fan_in)`.
    Uniform {
        /// Half the width of the interval.
        bound: f64,
    },
    /// Normal with mean 0; torchvision's ResNets use `std = sqrt(2 / fan_out)` (He et al. 2015).
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// The same value everywhere (normalisation layers).
    Constant(f64),
    /// The values that a model's own file gives.
    Stored(Stored),
}

/// Values of a parameter, f32 in the order of memory; clones share them.
#[derive(Clone, PartialEq)]
pub struct Stored(Arc<Vec<f32>>);

impl Stored {
    /// The values of a tensor.
    pub fn new(value: &Tensor) -> Stored {
        let flat = value.to_kind(Kind::Float).to_device(Device::Cpu).reshape([-1]);
        Stored(Arc::new(Vec::try_from(flat).unwrap_or_default()))
    }

    /// They in that shape, on the CPU.
    pub fn tensor(&self, shape: &[i64]) -> Tensor {
        Tensor::from_slice(&self.0).reshape(shape)
    }
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stored({} values)", self.0.len())
    }
}

/// What one parameter or buffer is.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// torchvision-style dotted name, e.g. `layer1.0.conv1.weight`.
    pub name: String,
    /// Shape without the lane dimension.
    pub shape: Vec<i64>,
    /// How fresh values are drawn.
    pub init: InitRule,
    /// False for buffers such as BatchNorm's running statistics: they have no gradient.
    pub trainable: bool,
}

/// The parameters of a model, and whether a name is among them.
#[derive(Debug)]
pub struct Layout {
    specs: Vec<ParamSpec>,
    index: HashMap<String, usize>,
}

impl Layout {
    /// Indexes the specs by name.
    pub fn new(specs: Vec<ParamSpec>) -> Layout {
        let index = specs.iter().enumerate().map(|(i, s)| (s.name.clone(), i)).collect();
        Layout { specs, index }
    }

    /// The same with other names for some of its parameters: `(other, name)`.
    pub fn tied(mut self, ties: &[(String, String)]) -> Layout {
        for (other, name) in ties {
            if let Some(&at) = self.index.get(name) {
                self.index.entry(other.clone()).or_insert(at);
            }
        }
        self
    }

    /// All specs in the model's order.
    pub fn specs(&self) -> &[ParamSpec] {
        &self.specs
    }

    /// Position of a named parameter, by any of its names.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.index.get(name).copied()
    }

    /// Positions of the trainable parameters, in order.
    pub fn trainable(&self) -> Vec<usize> {
        (0..self.specs.len()).filter(|&i| self.specs[i].trainable).collect()
    }

    /// The same with these parameters held fixed as well: no gradient is taken of them, and none is
    /// expected.
    pub fn freezing(&self, positions: &[usize]) -> Layout {
        let mut specs = self.specs.clone();
        positions.iter().for_each(|&i| specs[i].trainable = false);
        Layout { specs, index: self.index.clone() }
    }

    /// Whether a frozen parameter stands behind the last trainable one, so that the latter is
    /// not the end of the model.
    pub fn ends_frozen(&self) -> bool {
        let mut behind = self.specs.iter().rev().take_while(|s| !s.trainable);
        let moves = [".running_mean", ".running_var"];
        behind.any(|s| !moves.iter().any(|buffer| s.name.ends_with(buffer)))
    }

    /// Number of scalars, buffers included.
    pub fn len(&self) -> i64 {
        self.specs.iter().map(|s| s.shape.iter().product::<i64>()).sum()
    }

    /// Whether there is no parameter at all.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// Number of trainable scalars.
    pub fn trainable_len(&self) -> i64 {
        self.specs.iter().filter(|s| s.trainable).map(|s| s.shape.iter().product::<i64>()).sum()
    }
}

/// An ordered list of named tensors, each `[T, ...shape]`; a leading 1 means "shared by all
/// lanes".
#[derive(Debug)]
pub struct Params {
    layout: Arc<Layout>,
    /// The values, in the layout's order.
    pub tensors: Vec<Tensor>,
    draw: Option<Tensor>,
}

impl Clone for Params {
    /// A shallow clone: both share storage. No operation here works in place.
    fn clone(&self) -> Params {
        Params {
            layout: self.layout.clone(),
            tensors: self.tensors.iter().map(Tensor::shallow_clone).collect(),
            draw: self.draw.as_ref().map(Tensor::shallow_clone),
        }
    }
}

impl Params {
    /// Wraps tensors that fit the layout (`[T, ...shape]` each).
    ///
    /// # Errors
    /// `LearningError::Shape` names the first tensor that does not fit.
    pub fn new(layout: Arc<Layout>, tensors: Vec<Tensor>) -> Result<Params, LearningError> {
        if tensors.len() != layout.specs().len() {
            return Err(LearningError::Count {
                expected: layout.specs().len(),
                found: tensors.len(),
            });
        }
        for (spec, tensor) in layout.specs().iter().zip(&tensors) {
            if tensor.size().get(1..) != Some(&spec.shape[..]) {
                return Err(LearningError::Shape {
                    name: spec.name.clone(),
                    expected: spec.shape.clone(),
                    found: tensor.size().get(1..).unwrap_or(&[]).to_vec(),
                });
            }
        }
        Ok(Params { layout, tensors, draw: None })
    }

    /// Fits named tensors (no lane dimension) from a checkpoint to a layout; names not in the
    /// layout are refused, except those of whole numbers (BatchNorm's `num_batches_tracked`,
    /// positions), which nothing here reads. A parameter of several names may come under each of
    /// them with the same values.
    ///
    /// # Errors
    /// Names the missing, unknown or misshapen tensor, or two names of one parameter whose values
    /// differ.
    pub fn from_named(
        layout: Arc<Layout>,
        named: Vec<(String, Tensor)>,
    ) -> Result<Params, LearningError> {
        let mut slots: Vec<Option<Tensor>> = layout.specs().iter().map(|_| None).collect();
        for (name, tensor) in named {
            if name.ends_with("num_batches_tracked") {
                continue;
            }
            match layout.position(&name) {
                // Of another shape: refused below, before it costs anything.
                Some(i) if tensor.size() != layout.specs()[i].shape => {
                    slots[i] = Some(tensor.unsqueeze(0));
                }
                Some(i) => {
                    let value = tensor.to_kind(Kind::Float).unsqueeze(0);
                    if slots[i].as_ref().is_some_and(|other| *other != value) {
                        let own = layout.specs()[i].name.clone();
                        return Err(LearningError::Tied { name, own });
                    }
                    slots[i] = Some(value);
                }
                // Positions and counts are no parameters: a network from a file has them itself.
                None if !tensor.is_floating_point() => {}
                None => return Err(LearningError::UnknownParameter { name }),
            }
        }
        let mut tensors = Vec::with_capacity(slots.len());
        for (slot, spec) in slots.into_iter().zip(layout.specs()) {
            tensors.push(
                slot.ok_or_else(|| LearningError::MissingParameter { name: spec.name.clone() })?,
            );
        }
        Params::new(layout, tensors)
    }

    /// These values with one seed a lane (i64 `[T or 1]`, not negative) for what is random in a
    /// pass: dropout, stochastic depth. It is no parameter: it is never sent, stored or part of
    /// [`Params::flat`], and what is computed from two sets has none.
    pub fn with_draw(self, draw: Option<Tensor>) -> Params {
        Params { draw, ..self }
    }

    /// The seeds of what is random in a pass; without them a pass is not random.
    pub fn draw(&self) -> Option<&Tensor> {
        self.draw.as_ref()
    }

    /// The layout these values follow.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// Number of lanes (1 when shared).
    pub fn lanes(&self) -> i64 {
        self.tensors.first().map_or(1, |t| t.size()[0])
    }

    /// The tensor of that name, `[T, ...shape]`.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.layout.position(name).map(|i| &self.tensors[i])
    }

    /// Applies `f` to every tensor; the draw stays.
    pub fn map(&self, f: impl FnMut(&Tensor) -> Tensor) -> Params {
        let tensors = self.tensors.iter().map(f).collect();
        Params {
            layout: self.layout.clone(),
            tensors,
            draw: self.draw.as_ref().map(Tensor::shallow_clone),
        }
    }

    /// Combines two sets of the same layout tensor by tensor.
    pub fn zip(&self, other: &Params, mut f: impl FnMut(&Tensor, &Tensor) -> Tensor) -> Params {
        let tensors = self.tensors.iter().zip(&other.tensors).map(|(a, b)| f(a, b)).collect();
        Params { layout: self.layout.clone(), tensors, draw: None }
    }

    /// `self - other`.
    pub fn sub(&self, other: &Params) -> Params {
        self.zip(other, |a, b| a - b)
    }

    /// `factor * self`.
    pub fn scale(&self, factor: f64) -> Params {
        self.map(|t| t * factor)
    }

    /// Moves to a device and element type.
    pub fn to(&self, device: Device, kind: Kind) -> Params {
        let draw = self.draw.as_ref().map(|d| d.to_device(device));
        self.map(|t| t.to_device(device).to_kind(kind)).with_draw(draw)
    }

    /// The lanes `from..from + len` as a view.
    pub fn narrow(&self, from: i64, len: i64) -> Params {
        let draw = self.draw.as_ref().map(|d| match d.size()[0] {
            1 => d.shallow_clone(),
            _ => d.narrow(0, from, len),
        });
        self.map(|t| t.narrow(0, from, len)).with_draw(draw)
    }

    /// Every lane gets its own copy of shared values.
    pub fn expand(&self, lanes: i64) -> Params {
        self.map(|t| {
            let mut size = t.size();
            size[0] = lanes;
            t.expand(size, true)
        })
    }

    /// L2 norm over the trainable parameters of each lane, `[T]`.
    pub fn norm(&self) -> Tensor {
        let squares: Vec<Tensor> = self
            .trainable()
            .map(|t| t.square().flatten(1, -1).sum_dim_intlist(1, false, None))
            .collect();
        Tensor::stack(&squares, 0).sum_dim_intlist(0, false, None).sqrt()
    }

    /// The trainable tensors in order.
    pub fn trainable(&self) -> impl Iterator<Item = &Tensor> {
        self.layout.specs().iter().zip(&self.tensors).filter(|(s, _)| s.trainable).map(|(_, t)| t)
    }

    /// All values of lane `t`, parameters and buffers, in the layout's order.
    pub fn flat(&self, t: i64) -> Vec<f32> {
        let parts: Vec<Tensor> =
            self.tensors.iter().map(|v| v.get(t.min(v.size()[0] - 1)).reshape([-1])).collect();
        let all = Tensor::cat(&parts, 0).to_kind(Kind::Float).to_device(Device::Cpu);
        Vec::try_from(all).unwrap_or_default()
    }

    /// The inverse of [`Params::flat`]: one lane, on the CPU.
    ///
    /// # Errors
    /// `LearningError::Count` where the number of values is not the layout's.
    pub fn from_flat(layout: Arc<Layout>, values: &[f32]) -> Result<Params, LearningError> {
        let expected = layout.len() as usize;
        if values.len() != expected {
            return Err(LearningError::Count { expected, found: values.len() });
        }
        let (all, mut from) = (Tensor::from_slice(values), 0);
        let tensors = layout.specs().iter().map(|spec| {
            let n = spec.shape.iter().product::<i64>();
            let size: Vec<i64> = std::iter::once(1).chain(spec.shape.iter().copied()).collect();
            from += n;
            all.narrow(0, from - n, n).reshape(size)
        });
        let tensors = tensors.collect();
        Params::new(layout, tensors)
    }

    /// The tensors with their names, without the lane dimension (lane `t`).
    pub fn named(&self, t: i64) -> Vec<(String, Tensor)> {
        self.layout
            .specs()
            .iter()
            .zip(&self.tensors)
            .map(|(s, v)| (s.name.clone(), v.get(t.min(v.size()[0] - 1))))
            .collect()
    }
}
