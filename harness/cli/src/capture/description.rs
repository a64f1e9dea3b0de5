//! What is said of a captured update. Everything may be left out; a flag and `capture.json` must
//! not contradict each other.

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::file;

/// What the update file holds.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// The loss gradient of one batch
    Gradient,
    /// Weights after minus weights before
    Delta,
    /// The weights after local training; --weights holds those before
    Weights,
}

/// The optimizer of local training, as PyTorch defines it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// torch.optim.SGD
    Sgd,
    /// torch.optim.Adam
    Adam,
}

/// How much of the client's training the adversary knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Knowledge {
    /// All of it: epochs, minibatches, momentum, weight decay, every learning rate
    Exact,
    /// How many steps, at which learning rate on average
    Steps,
    /// Nothing: the update is a direction
    None,
}

/// The description; `None` where nothing is said.
#[derive(Args, Clone, Debug, Default)]
pub struct Description {
    /// Model name (see `bench list models`), or your own network as `torch.export.save` writes it
    /// (.pt2), as ONNX (.onnx), or layer by layer (.toml)
    #[arg(long, value_name = "NAME|FILE")]
    pub model: Option<String>,
    /// Parameters of the architecture as JSON, such as '{"stem":"cifar"}'
    #[arg(long, value_name = "JSON")]
    pub model_params: Option<String>,
    /// Parameters that are trained, where the file does not tell them from constants (.onnx); those
    /// that the update leaves out are frozen anyway
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub trainable: Option<Vec<String>>,
    /// Shape of one example: CxHxW, or F for a table row; a model's own file says it
    #[arg(long, value_name = "SHAPE")]
    pub input: Option<String>,
    /// Number of classes; a model's own file says it
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub classes: Option<i64>,
    /// Weights before the update: .safetensors, .npz, .pt or .pth; else those in the model's own
    /// file
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// The captured update, tensors named as the weights are; parameters that it leaves out are
    /// taken as frozen
    #[arg(long, value_name = "FILE")]
    pub update: Option<PathBuf>,
    /// Match the tensors of both files to the model's by position and shape, not by name
    #[arg(long)]
    pub by_position: bool,
    /// What the update file holds [default: gradient]
    #[arg(long, value_enum)]
    pub holds: Option<Holds>,
    /// Examples behind the update, of all clients together [default: 1]
    #[arg(long, visible_alias = "batch-size", value_parser = clap::value_parser!(i64).range(1..))]
    pub examples: Option<i64>,
    /// The client's learning rate (needed for delta and weights)
    #[arg(long)]
    pub lr: Option<f64>,
    /// Learning rate of every step in order, where it changed: 0.1,0.1,0.05
    #[arg(long, value_delimiter = ',')]
    pub lr_schedule: Option<Vec<f64>>,
    /// Passes of the client over its examples [default: 1]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// Examples of one step of the client [default: all of its examples]
    #[arg(long, visible_alias = "batches", value_parser = clap::value_parser!(i64).range(1..))]
    pub minibatch: Option<i64>,
    /// Steps between the weights before and after, in place of --epochs
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: Option<u32>,
    /// The client's optimizer [default: sgd]
    #[arg(long, value_enum)]
    pub optimizer: Option<Optimizer>,
    /// Momentum of the client's SGD [default: 0]
    #[arg(long)]
    pub momentum: Option<f64>,
    /// Weight decay in the client's gradient [default: 0]
    #[arg(long)]
    pub weight_decay: Option<f64>,
    /// Decay of Adam's two moments [default: 0.9,0.999]
    #[arg(long, value_delimiter = ',')]
    pub betas: Option<Vec<f64>>,
    /// Clients whose updates are averaged, with as many examples each [default: 1]
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..))]
    pub contributors: Option<i64>,
    /// Examples of each client, by which the mean weighs them: 12,20,4
    #[arg(long, value_delimiter = ',', value_name = "N1,N2,..")]
    pub weights_of: Option<Vec<i64>>,
    /// True labels, where they are known: comma-separated class indices; the attack then does not
    /// guess them
    #[arg(long, value_delimiter = ',')]
    pub labels: Option<Vec<i64>>,
    /// Mean subtracted from each channel of [0,1] pixels [default: 0.5]
    #[arg(long, value_delimiter = ',')]
    pub mean: Option<Vec<f64>>,
    /// Standard deviation each channel is divided by [default: 0.5]
    #[arg(long, value_delimiter = ',')]
    pub std: Option<Vec<f64>>,
    /// BatchNorm used running statistics on the client
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub batch_norm_eval: Option<bool>,
    /// A defense that the update went through, with its parameters, in order: prune:fraction=0.9
    #[arg(long = "defense", value_name = "NAME[:KEY=VALUE,..]")]
    pub defenses: Vec<String>,
}

/// What a flag and the file say together.
fn one<T: PartialEq + Debug>(what: &str, flag: Option<T>, file: Option<T>) -> Result<Option<T>> {
    match (flag, file) {
        (Some(flag), Some(file)) if flag != file => {
            bail!("{what}: the flag says {flag:?} and {} says {file:?}; leave one out", file::NAME)
        }
        (flag, file) => Ok(flag.or(file)),
    }
}

impl Description {
    /// With what the `capture.json` of a folder says.
    ///
    /// # Errors
    /// A folder without it, one that cannot be read, and contradictions, with both values.
    pub fn with_folder(self, folder: &Path) -> Result<Description> {
        let said = file::read(folder)?;
        let defenses = match (self.defenses.is_empty(), said.defenses.is_empty()) {
            (true, _) => said.defenses,
            (false, true) => self.defenses,
            (false, false) => {
                one("--defense", Some(self.defenses), Some(said.defenses))?.unwrap_or_default()
            }
        };
        Ok(Description {
            model: one("--model", self.model, said.model)?,
            model_params: one("--model-params", self.model_params, said.model_params)?,
            trainable: one("--trainable", self.trainable, said.trainable)?,
            input: one("--input", self.input, said.input)?,
            classes: one("--classes", self.classes, said.classes)?,
            weights: one("--weights", self.weights, said.weights)?,
            update: one("--update", self.update, said.update)?,
            by_position: self.by_position || said.by_position,
            holds: one("--holds", self.holds, said.holds)?,
            examples: one("--examples", self.examples, said.examples)?,
            lr: one("--lr", self.lr, said.lr)?,
            lr_schedule: one("--lr-schedule", self.lr_schedule, said.lr_schedule)?,
            epochs: one("--epochs", self.epochs, said.epochs)?,
            minibatch: one("--minibatch", self.minibatch, said.minibatch)?,
            steps: one("--steps", self.steps, said.steps)?,
            optimizer: one("--optimizer", self.optimizer, said.optimizer)?,
            momentum: one("--momentum", self.momentum, said.momentum)?,
            weight_decay: one("--weight-decay", self.weight_decay, said.weight_decay)?,
            betas: one("--betas", self.betas, said.betas)?,
            contributors: one("--contributors", self.contributors, said.contributors)?,
            weights_of: one("--weights-of", self.weights_of, said.weights_of)?,
            labels: one("--labels", self.labels, said.labels)?,
            mean: one("--mean", self.mean, said.mean)?,
            std: one("--std", self.std, said.std)?,
            batch_norm_eval: one("--batch-norm-eval", self.batch_norm_eval, said.batch_norm_eval)?,
            defenses,
        })
    }

    /// What the update file holds.
    pub fn holds(&self) -> Holds {
        self.holds.unwrap_or(Holds::Gradient)
    }
}
