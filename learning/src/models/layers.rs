//! A network written down layer by layer, for people who write suites: `[[model.layers]]`.

use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};
use tch::Tensor;

use super::{Architecture, Model, Shape, check_rate, redraw};
use crate::params::{InitRule, Params};
use crate::tape::{self, Conv, Tape};

/// Registry entry.
pub static ENTRY: Entry<dyn Architecture> = Entry {
    name: "layers",
    summary: "a network of your own, layer by layer: `[[model.layers]]` with a `type` and sizes, \
        parameters named as those of torch.nn.Sequential (docs/own-model.md)",
    reference: "torch.nn.Sequential; He, Zhang, Ren, Sun: Deep Residual Learning, CVPR 2016 \
        (residual blocks)",
    build: |map| {
        let params: LayersParams = suites::params("layers", map)?;
        check_layers("model.layers", &params.layers)?;
        Ok(Box::new(params))
    },
};

/// Most values of the parameters, or of one example's activations: 4 GiB of f32.
const MOST: i64 = 1 << 30;

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LayersParams {
    /// The layers in order; a single fully connected one by itself.
    #[serde(default = "one_linear")]
    layers: Vec<Layer>,
}

fn one_linear() -> Vec<Layer> {
    vec![Layer::Flatten {}, Layer::Linear { out: None, bias: true }]
}

fn yes() -> bool {
    true
}

fn one() -> i64 {
    1
}

/// One layer; sizes of its input follow from the layers before it.
#[derive(Clone, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Layer {
    /// A square convolution.
    Conv {
        out: i64,
        kernel: i64,
        #[serde(default = "one")]
        stride: i64,
        #[serde(default)]
        padding: i64,
        #[serde(default = "one")]
        groups: i64,
        #[serde(default = "yes")]
        bias: bool,
    },
    /// Fully connected; without `out` it gives the task's classes.
    Linear {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        out: Option<i64>,
        #[serde(default = "yes")]
        bias: bool,
    },
    BatchNorm {},
    GroupNorm {
        groups: i64,
    },
    Relu {},
    Relu6 {},
    LeakyRelu {},
    Elu {},
    Gelu {},
    Silu {},
    Sigmoid {},
    Tanh {},
    Softplus {},
    MaxPool {
        kernel: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stride: Option<i64>,
        #[serde(default)]
        padding: i64,
    },
    /// With a stride of its kernel.
    AvgPool {
        kernel: i64,
    },
    /// The mean of each channel.
    GlobalAvgPool {},
    Flatten {},
    Dropout {
        p: f64,
    },
    /// The sum of what `layers` and `shortcut` give; without a shortcut the input itself.
    Residual {
        layers: Vec<Layer>,
        #[serde(default)]
        shortcut: Vec<Layer>,
    },
}

fn check_layers(path: &str, layers: &[Layer]) -> Result<(), SpecError> {
    for (at, layer) in layers.iter().enumerate() {
        let path = format!("{path}.{at}");
        match layer {
            Layer::Dropout { p } => check_rate(&format!("{path}.p"), *p)?,
            Layer::Residual { layers, shortcut } => {
                check_layers(&format!("{path}.layers"), layers)?;
                check_layers(&format!("{path}.shortcut"), shortcut)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// What a walk over the layers counts.
struct Walk {
    classes: i64,
    parameters: i64,
}

impl Walk {
    /// Shape behind the layers, of one example.
    fn through(
        &mut self,
        path: &str,
        layers: &[Layer],
        mut shape: Vec<i64>,
    ) -> Result<Vec<i64>, SpecError> {
        for (at, layer) in layers.iter().enumerate() {
            let path = format!("{path}.{at}");
            shape = self.behind(&path, layer, &shape)?;
            let values = shape.iter().try_fold(1i64, |n, &s| n.checked_mul(s));
            if values.is_none_or(|n| n > MOST) || self.parameters > MOST {
                let problem = format!("takes more than {MOST} values");
                return Err(SpecError::value(path, problem, "make the layer smaller"));
            }
        }
        Ok(shape)
    }

    fn behind(&mut self, path: &str, layer: &Layer, shape: &[i64]) -> Result<Vec<i64>, SpecError> {
        let refuse = |problem: String, remedy: &str| Err(SpecError::value(path, problem, remedy));
        let image = || match shape[..] {
            [c, h, w] => Ok([c, h, w]),
            _ => Err(SpecError::value(
                path,
                format!("needs images, and {shape:?} comes in"),
                "put it before `flatten`",
            )),
        };
        match *layer {
            Layer::Conv { out, kernel, stride, padding, groups, bias } => {
                let [c, h, w] = image()?;
                if out < 1 || groups < 1 || c % groups != 0 || out % groups != 0 {
                    let problem = format!("takes {c} channels to {out} in {groups} groups");
                    return refuse(problem, "give channels that the groups divide");
                }
                self.count([out, c / groups, kernel, kernel], bias.then_some(out));
                let [h, w] = windows(path, [h, w], kernel, stride, padding)?;
                Ok(vec![out, h, w])
            }
            Layer::Linear { out, bias } => {
                let [width] = shape[..] else {
                    let problem = format!("needs rows, and {shape:?} comes in");
                    return refuse(problem, "put `flatten` before it");
                };
                let out = out.unwrap_or(self.classes);
                if out < 1 {
                    return refuse(format!("gives {out} values"), "give at least 1");
                }
                self.count([out, width, 1, 1], bias.then_some(out));
                Ok(vec![out])
            }
            Layer::BatchNorm {} => {
                let [c, ..] = image()?;
                self.count([c, 4, 1, 1], None);
                Ok(shape.to_vec())
            }
            Layer::GroupNorm { groups } => {
                let [c, ..] = image()?;
                if groups < 1 || c % groups != 0 {
                    return refuse(format!("has {groups} groups of {c} channels"), "let it divide");
                }
                self.count([c, 2, 1, 1], None);
                Ok(shape.to_vec())
            }
            Layer::MaxPool { kernel, stride, padding } => {
                let [c, h, w] = image()?;
                if padding > kernel / 2 {
                    return refuse(format!("pads by {padding}"), "pad by half the kernel at most");
                }
                let [h, w] = windows(path, [h, w], kernel, stride.unwrap_or(kernel), padding)?;
                Ok(vec![c, h, w])
            }
            Layer::AvgPool { kernel } => {
                let [c, h, w] = image()?;
                let [h, w] = windows(path, [h, w], kernel, kernel, 0)?;
                Ok(vec![c, h, w])
            }
            Layer::GlobalAvgPool {} => Ok(vec![image()?[0]]),
            Layer::Flatten {} => Ok(vec![shape.iter().product()]),
            Layer::Residual { ref layers, ref shortcut } => {
                let body = self.through(&format!("{path}.layers"), layers, shape.to_vec())?;
                let side = self.through(&format!("{path}.shortcut"), shortcut, shape.to_vec())?;
                if body != side {
                    let problem = format!("adds {body:?} to {side:?}");
                    return refuse(problem, "give a `shortcut` of the same shape");
                }
                Ok(body)
            }
            _ => Ok(shape.to_vec()),
        }
    }

    fn count(&mut self, weight: [i64; 4], bias: Option<i64>) {
        let weight = weight.iter().try_fold(1i64, |n, &s| n.checked_mul(s));
        let all = weight.and_then(|n| n.checked_add(bias.unwrap_or(0)));
        self.parameters = all.map_or(i64::MAX, |n| self.parameters.saturating_add(n));
    }
}

/// Places of a window over the sides of an image.
fn windows(
    path: &str,
    sides: [i64; 2],
    kernel: i64,
    stride: i64,
    padding: i64,
) -> Result<[i64; 2], SpecError> {
    let fits = |side: i64| side + 2 * padding >= kernel;
    let sound = kernel >= 1 && stride >= 1 && (0..kernel.max(1)).contains(&padding);
    if !sound || !sides.into_iter().all(fits) {
        let problem = format!(
            "has kernel {kernel}, stride {stride} and padding {padding} on sides of {sides:?}"
        );
        let remedy = "let the kernel fit, the stride be at least 1, the padding below the kernel";
        return Err(SpecError::value(path, problem, remedy));
    }
    Ok(sides.map(|side| (side + 2 * padding - kernel) / stride + 1))
}

struct Layers {
    shape: Shape,
    layers: Vec<Layer>,
    random: bool,
}

fn is_random(layers: &[Layer]) -> bool {
    layers.iter().any(|layer| match layer {
        Layer::Dropout { p } => *p > 0.0,
        Layer::Residual { layers, shortcut } => is_random(layers) || is_random(shortcut),
        _ => false,
    })
}

impl Architecture for LayersParams {
    fn build(&self, shape: &Shape) -> Result<Box<dyn Model>, SpecError> {
        let values = shape.input.iter().try_fold(1i64, |n, &s| n.checked_mul(s));
        if values.is_none_or(|n| n > MOST) {
            let problem = format!("takes examples of {:?}", shape.input);
            return Err(SpecError::value("model.layers", problem, "take smaller examples"));
        }
        let mut walk = Walk { classes: shape.classes, parameters: 0 };
        let behind = walk.through("model.layers", &self.layers, shape.input.clone())?;
        if behind != [shape.classes] {
            let problem = format!("end in {behind:?}, and the task has {} classes", shape.classes);
            let remedy = "end in `flatten` and `linear`, without `out`";
            return Err(SpecError::value("model.layers", problem, remedy));
        }
        let (shape, layers) = (shape.clone(), self.layers.clone());
        let random = is_random(&layers);
        Ok(Box::new(Layers { shape, layers, random }))
    }
}

impl Model for Layers {
    fn input(&self) -> Vec<i64> {
        self.shape.input.clone()
    }

    fn classes(&self) -> i64 {
        self.shape.classes
    }

    fn unfrozen(&self) -> Option<String> {
        None
    }

    fn forward(&self, tape: &mut Tape, x: &Tensor) -> Tensor {
        self.run(tape, "", &self.layers, x)
    }

    fn refresh(&self, params: Params, rngs: &mut [ChaCha12Rng]) -> Params {
        if self.random { redraw(params, rngs) } else { params }
    }
}

impl Layers {
    fn run(&self, tape: &mut Tape, prefix: &str, layers: &[Layer], x: &Tensor) -> Tensor {
        let mut x = x.shallow_clone();
        for (at, layer) in layers.iter().enumerate() {
            x = self.apply(tape, &format!("{prefix}{at}"), layer, &x);
        }
        x
    }

    fn apply(&self, tape: &mut Tape, name: &str, layer: &Layer, x: &Tensor) -> Tensor {
        match *layer {
            Layer::Conv { out, kernel, stride, padding, groups, bias } => {
                let input = x.size()[2];
                let conv = Conv { input, output: out, kernel, stride, padding, bias, groups };
                tape.conv(name, x, conv)
            }
            Layer::Linear { out, bias } => {
                let out = out.unwrap_or(self.shape.classes);
                let bound = 1.0 / (x.size()[2] as f64).sqrt();
                let init = InitRule::Uniform { bound };
                tape.linear_rows(name, x, out, bias, [init.clone(), init])
            }
            Layer::BatchNorm {} => tape.batch_norm(name, x),
            Layer::GroupNorm { groups } => tape.group_norm(name, x, groups),
            Layer::Relu {} => tape.relu(x),
            Layer::Relu6 {} => {
                tape.kinks().between(x, || x.ge(0.0).logical_and(&x.le(6.0)), || x.clamp(0.0, 6.0))
            }
            Layer::LeakyRelu {} => tape.kinks().bent(x, || x.leaky_relu(), |x| x * 0.01),
            Layer::Elu {} => tape.kinks().bent(x, || x.elu(), |x| x.clamp_max(1.0).expm1()),
            Layer::Gelu {} => x.gelu("none"),
            Layer::Silu {} => x.silu(),
            Layer::Sigmoid {} => x.sigmoid(),
            Layer::Tanh {} => x.tanh(),
            Layer::Softplus {} => x.softplus(),
            Layer::MaxPool { kernel, stride, padding } => {
                tape.max_pool(x, kernel, stride.unwrap_or(kernel), padding)
            }
            Layer::AvgPool { kernel } => tape::avg_pool(x, kernel),
            Layer::GlobalAvgPool {} => tape::global_avg_pool(x),
            Layer::Flatten {} => x.flatten(2, -1),
            Layer::Dropout { p } => tape.dropout(x, p),
            Layer::Residual { ref layers, ref shortcut } => {
                let body = self.run(tape, &format!("{name}.layers."), layers, x);
                body + self.run(tape, &format!("{name}.shortcut."), shortcut, x)
            }
        }
    }
}
