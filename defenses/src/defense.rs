//! The hooks of a defense, in the order in which a round calls them, and what it may know of the
//! deployment.

use std::collections::BTreeMap;

use learning::client::GradientRule;
use learning::{Effect, Network, Params};
use rand_chacha::ChaCha12Rng;
use suites::Parameters;
use tch::Tensor;
use thiserror::Error;

use crate::dp::{Budget, Pilot};

/// Why a defense could not act.
#[derive(Debug, Error)]
pub enum DefenseError {
    /// The update cannot be protected.
    #[error("the update {0}")]
    BadUpdate(String),
    /// The defense does not fit this model, task or federation.
    #[error("{0}")]
    Unfit(String),
    /// From the specification.
    #[error(transparent)]
    Spec(#[from] suites::SpecError),
}

/// Where in a round a defense acts. In a suite's list, defenses stand in this order, the protocol
/// between `Client` and `Server`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// On the architecture, before any training.
    Model,
    /// On the examples, before they are trained on.
    Data,
    /// On the gradients inside local training.
    Training,
    /// On the update, before it leaves the client.
    Client,
    /// On the mean, at whoever is trusted to release it.
    Server,
}

/// The federation that a guarantee is about: how often a client or an example takes part.
#[derive(Clone, Debug, PartialEq)]
pub struct Deployment {
    /// Clients in a round.
    pub clients: usize,
    /// Rounds in all.
    pub rounds: usize,
    /// SGD steps of a client in one round.
    pub local_steps: usize,
    /// Examples a step takes on average.
    pub batch_size: usize,
    /// Examples the smallest client holds.
    pub examples: usize,
    /// Probability that a client is drawn for a round, each by itself (Poisson sampling); 1 where
    /// nothing is gained by sampling.
    pub client_rate: f64,
    /// The round that is captured, whose noise an adversary meets.
    pub captured: CapturedRound,
    /// Values of an update, buffers included.
    pub values: usize,
    /// Whether updates reach the server only as a sum (secure aggregation or encryption).
    pub summed: bool,
}

/// The size of the captured round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CapturedRound {
    /// Examples of a step.
    pub batch: usize,
    /// SGD steps of a client.
    pub steps: usize,
    /// Clients whose updates are averaged in the signal.
    pub clients: usize,
    /// Whether the signal is the mean as the server releases it, with what the server adds.
    pub released: bool,
}

impl Deployment {
    /// Probability that an example is in a step's batch.
    pub fn example_rate(&self) -> f64 {
        (self.batch_size as f64 / self.examples.max(1) as f64).min(1.0)
    }

    /// Steps in which an example may take part, all rounds together.
    pub fn steps(&self) -> usize {
        self.rounds * self.local_steps
    }
}

/// Examples of `T` clients as they go into training.
#[derive(Debug)]
pub struct Examples {
    /// `[T, E, ...]` in `[0, 1]` (InstaHide: `[-1, 1]` after its sign flips, the client's own
    /// scale).
    pub pixels: Tensor,
    /// i64 `[T, E]`, f32 `[T, E, K]` multi-label, or probabilities `[T, E, K]` where `soft`.
    pub labels: Tensor,
    /// Whether the labels are class probabilities.
    pub soft: bool,
}

/// What a defense may use in one round, beside the value it transforms.
pub struct Turn<'a> {
    /// Number of the round, from 0.
    pub round: usize,
    /// One stream a client (or a single one for the server), fresh in each round.
    pub rngs: &'a mut [ChaCha12Rng],
    /// The federation.
    pub deployment: &'a Deployment,
    /// SGD steps of a client in this round.
    pub steps: usize,
    /// Clients whose updates are in the mean (at the server), or 1.
    pub contributors: usize,
    /// The model.
    pub net: &'a Network,
    /// The weights that the server broadcast, `[1, ...]`.
    pub weights: &'a Params,
    /// What the clients trained on, as their own code sees it; `None` at the server.
    pub examples: Option<&'a Examples>,
    /// What the defense remembers from round to round, such as an adaptive clipping norm.
    pub memory: &'a mut BTreeMap<String, f64>,
}

/// An update as it leaves a hook.
#[derive(Debug)]
pub struct Released {
    /// What goes on, `[T, ...]` for `T` clients.
    pub update: Params,
    /// What the report prints of it (means over the clients), e.g. sigma, clip factor,
    /// noise-to-signal.
    pub values: BTreeMap<String, f64>,
    /// The values are whole multiples of this.
    pub grid: Option<f64>,
}

impl Released {
    /// An update that a hook left as it was.
    pub fn unchanged(update: Params) -> Released {
        Released { update, values: BTreeMap::new(), grid: None }
    }
}

/// A defense with its parameters fixed.
pub trait Defense: Parameters + Send + Sync {
    /// Where it acts first.
    fn stage(&self) -> Stage {
        Stage::Client
    }

    /// Changes the architecture.
    ///
    /// # Errors
    /// An architecture that has no place for it.
    fn model(&self, net: Network) -> Result<Network, DefenseError> {
        Ok(net)
    }

    /// What has to be measured on public data before it can act, where it has such a parameter.
    fn pilot(&self) -> Option<Pilot> {
        None
    }

    /// The same with the bound that was measured; `None` where there is nothing to measure.
    fn piloted(&self, _bound: f64) -> Option<Box<dyn Defense>> {
        None
    }

    /// Transforms the examples of `T` clients before they train on them.
    ///
    /// # Errors
    /// Examples that it cannot transform.
    fn examples(&self, examples: Examples, _turn: &mut Turn) -> Result<Examples, DefenseError> {
        Ok(examples)
    }

    /// How local training turns per-example gradients into a step, where it is not the plain mean.
    ///
    /// # Errors
    /// A budget that no noise meets.
    fn gradient_rule(
        &self,
        _deployment: &Deployment,
    ) -> Result<Option<GradientRule>, DefenseError> {
        Ok(None)
    }

    /// Transforms what `T` clients would send (a gradient or an update, `[T, ...]`).
    ///
    /// # Errors
    /// When the update cannot be protected (e.g. is not finite).
    fn release(&self, update: Params, _turn: &mut Turn) -> Result<Released, DefenseError> {
        Ok(Released::unchanged(update))
    }

    /// Transforms the weighted mean of the clients' updates (`[1, ...]`) before it is used and
    /// published.
    ///
    /// # Errors
    /// When the mean cannot be protected.
    fn aggregate(&self, mean: Params, _turn: &mut Turn) -> Result<Released, DefenseError> {
        Ok(Released::unchanged(mean))
    }

    /// The largest magnitude that a value of a client's released update may have, in steps of the
    /// grid that [`Released::grid`] names; `None` where it names none. A protocol must carry it.
    ///
    /// # Errors
    /// Parameters for which the noise cannot be calibrated.
    fn grid_steps(&self, _deployment: &Deployment) -> Result<Option<f64>, DefenseError> {
        Ok(None)
    }

    /// Undoes what anyone can undo with public knowledge alone, such as a rotation by a public
    /// seed: what a curious party does first.
    fn undo(&self, update: Params) -> Params {
        update
    }

    /// Whether every client must weigh the same in the mean, because the guarantee is computed for
    /// that.
    fn equal_weights(&self) -> bool {
        false
    }

    /// Whether it proves a guarantee, so that nothing after it may look at the examples again.
    fn private(&self) -> bool {
        false
    }

    /// Whether it mixes examples with each other, so that one of them is in several training items.
    fn mixes_examples(&self) -> bool {
        false
    }

    /// Whether its transformation of the update looks at the examples.
    fn reads_examples(&self) -> bool {
        false
    }

    /// Clients that may drop out or collude before the guarantee of a sum weakens.
    fn tolerates(&self) -> usize {
        0
    }

    /// Whether the guarantee needs updates to reach the server only as a sum.
    fn needs_sum(&self) -> bool {
        false
    }

    /// The privacy guarantee over the whole deployment, where there is one.
    ///
    /// # Errors
    /// Parameters for which no guarantee can be computed.
    fn privacy(&self, _deployment: &Deployment) -> Result<Option<Budget>, DefenseError> {
        Ok(None)
    }

    /// Privacy loss after the first `rounds` rounds of the deployment, at the guarantee's own
    /// delta, where there is one.
    ///
    /// # Errors
    /// Parameters for which no guarantee can be computed.
    fn spent(&self, _deployment: &Deployment, _rounds: usize) -> Result<Option<f64>, DefenseError> {
        Ok(None)
    }

    /// What it does to the captured signal, in order, as its designer would publish it: it follows
    /// from the parameters and the deployment, and never from an update.
    ///
    /// # Errors
    /// Parameters for which the noise cannot be calibrated.
    fn effects(&self, deployment: &Deployment) -> Result<Vec<Effect>, DefenseError>;

    /// Bits a parameter takes on the wire after this defense, where it changes that.
    fn bits_per_value(&self) -> Option<f64> {
        None
    }

    /// Name of the adaptive attack registered against it.
    fn adaptive(&self) -> Option<&'static str> {
        None
    }
}
