//! What an adversary holds: the only thing that crosses from the federation to `attacks`.

use std::sync::Arc;

use suites::Fact;
use tch::Tensor;

use crate::client::LocalTraining;
use crate::effect::Published;
use crate::network::Network;
use crate::params::Params;
use crate::tape::Mode;

/// The signals of `N` independent captures, `[N, ...]`.
#[derive(Clone, Debug)]
pub enum Signal {
    /// A loss gradient of one batch.
    Gradient(Params),
    /// Weights after minus weights before.
    Update(Params),
}

impl Signal {
    /// The tensors, whatever they mean.
    pub fn params(&self) -> &Params {
        match self {
            Signal::Gradient(p) | Signal::Update(p) => p,
        }
    }
}

/// What else the threat model grants.
#[derive(Debug, Default)]
pub struct Known {
    /// True labels: i64 `[N, B]`, or f32 `[N, B, K]` for multi-label tasks.
    pub labels: Option<Tensor>,
    /// Examples behind the signal.
    pub batch_size: Option<i64>,
    /// The client's local training. Its step sizes count only where `lr` is granted too.
    pub local: Option<LocalTraining>,
    /// Step size.
    pub lr: Option<f64>,
    /// Examples each client trains on.
    pub local_examples: Option<usize>,
    /// Clients whose updates the signal averages (0 counts as 1).
    pub contributors: i64,
    /// Examples of each of them, where they weigh by these; empty where all have as many.
    pub shares: Vec<i64>,
    /// Shares of the `K` classes in public data, where the attack asks for them; sum 1.
    pub class_shares: Option<Vec<f64>>,
    /// What the defenses did to the signal, in order, as their designers publish it.
    pub defenses: Vec<Published>,
}

impl Clone for Known {
    fn clone(&self) -> Known {
        Known {
            labels: self.labels.as_ref().map(Tensor::shallow_clone),
            local: self.local.clone(),
            defenses: self.defenses.clone(),
            shares: self.shares.clone(),
            class_shares: self.class_shares.clone(),
            ..*self
        }
    }
}

/// Everything an adversary has: the model, its weights, the signal and the facts.
#[derive(Clone)]
pub struct Observation {
    /// The architecture with its public normalisation.
    pub net: Arc<Network>,
    /// The weights that the server broadcast, `[1, ...]`.
    pub weights: Params,
    /// What was captured.
    pub signal: Signal,
    /// BatchNorm's mode on the clients.
    pub mode: Mode,
    /// Facts granted.
    pub known: Known,
}

impl Observation {
    /// Number of independent captures `N`.
    pub fn lanes(&self) -> i64 {
        self.signal.params().lanes()
    }

    /// Whether a fact is at hand.
    pub fn has(&self, fact: Fact) -> bool {
        match fact {
            Fact::Labels => self.known.labels.is_some(),
            Fact::BatchSize => self.known.batch_size.is_some(),
            Fact::LocalSteps | Fact::StepCount => self.known.local.is_some(),
            Fact::LearningRate => self.known.lr.is_some(),
        }
    }
}
