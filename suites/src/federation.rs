//! One federation: who holds what, how clients and server step, and how the model is judged. The
//! same language for `bench train` and for the round that a cell attacks.

mod check;

use serde::{Deserialize, Serialize};

use crate::spec::Partition;
use crate::string_enum::string_enum;

/// A federation (or a single party, or a bare client), fully spelled out.
///
/// Written as the bare name of a regime or as a table; always serialised as the table.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct FederationSpec {
    /// Who trains.
    pub regime: Regime,
    /// Communication rounds (passes of `local.epochs` epochs each, where nobody communicates); at
    /// least 1, and 1 where `bare`.
    pub rounds: usize,
    /// The clients and what they hold.
    pub clients: ClientsSpec,
    /// Training on a client.
    pub local: LocalSpec,
    /// What the server makes of the mean update.
    pub server: ServerSpec,
    /// When and on what the model is judged.
    pub evaluation: EvaluationSpec,
}

/// Who trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regime {
    /// `"bare"`: no federation at all, a single release of clients that were just drawn. It has
    /// neither rounds nor a server, so nothing is learnt and no budget composed.
    Bare,
    /// `"federated"`: `clients.total` clients and a server.
    Federated,
    /// `"centralised"`: one party that holds all examples; optimiser state lasts from round to
    /// round.
    Centralised,
    /// `"single-client"`: one of the `clients.total` clients on its own part; optimiser state lasts
    /// from round to round.
    SingleClient,
}
string_enum!(
    Regime,
    "regime",
    Bare = "bare",
    Federated = "federated",
    Centralised = "centralised",
    SingleClient = "single-client"
);

/// The clients of a federation.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct ClientsSpec {
    /// Clients in all; at least 1.
    pub total: usize,
    /// Clients invited to a round; `None` for all.
    pub per_round: Option<usize>,
    /// How those are drawn.
    pub sampling: ClientSampling,
    /// Probability that an invited client's update never arrives, in [0, 1).
    pub dropout: f64,
    /// How the examples are divided.
    pub partition: Partition,
    /// Examples of each client at most; `None` for all there are (one batch, where `bare`).
    pub examples: Option<usize>,
}

/// How the clients of a round are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientSampling {
    /// `"uniform"`: exactly `per_round`, without replacement.
    Uniform,
    /// `"poisson"`: each with probability `per_round / total`, which is what privacy amplification
    /// by sampling supposes.
    Poisson,
}
string_enum!(ClientSampling, "client sampling", Uniform = "uniform", Poisson = "poisson");

/// Training on a client.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct LocalSpec {
    /// Passes over a client's examples in one round, where the source is an update of whole
    /// epochs; at least 1.
    pub epochs: usize,
    /// Examples of one step; at least 1.
    pub batch_size: usize,
    /// The rule of a step.
    pub optimizer: Optimizer,
    /// Step size of the first round; above 0.
    pub lr: f64,
    /// How the step size goes on from round to round.
    pub schedule: Schedule,
    /// Momentum of SGD, in [0, 1).
    pub momentum: f64,
    /// L2 penalty added to the gradient (not decoupled); at least 0.
    pub weight_decay: f64,
    /// Adam's decay of the first moment, in [0, 1).
    pub beta1: f64,
    /// Adam's decay of the second moment, in [0, 1).
    pub beta2: f64,
    /// FedProx's weight `mu` of `mu/2 ||w - w_global||^2` (Li et al., 2020); 0 is FedAvg.
    pub prox: f64,
    /// Random horizontal flips and shifts by up to an eighth of the side.
    pub augment: bool,
}

/// The rule of a local step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Optimizer {
    /// `"sgd"`: as `torch.optim.SGD`.
    Sgd,
    /// `"adam"`: as `torch.optim.Adam` (Kingma and Ba, 2015).
    Adam,
}
string_enum!(Optimizer, "optimizer", Sgd = "sgd", Adam = "adam");

/// Step sizes over the rounds.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// The same throughout.
    Constant,
    /// Half a cosine from `lr` to `least * lr` (Loshchilov and Hutter, 2017), after `warmup` rounds
    /// of linear rise.
    Cosine {
        /// Share of `lr` at the end, in [0, 1].
        #[serde(default)]
        least: f64,
        /// Rounds of linear rise.
        #[serde(default)]
        warmup: usize,
    },
    /// Times `factor` every `every` rounds.
    Step {
        /// Rounds between two drops; at least 1.
        every: usize,
        /// In (0, 1].
        factor: f64,
    },
}

impl Schedule {
    /// What the step size of round `number` (from 0) of `rounds` is multiplied with.
    pub fn factor(&self, number: usize, rounds: usize) -> f64 {
        match *self {
            Schedule::Constant => 1.0,
            Schedule::Step { every, factor } => factor.powi((number / every.max(1)) as i32),
            Schedule::Cosine { warmup, .. } if number < warmup => {
                (number + 1) as f64 / (warmup + 1) as f64
            }
            Schedule::Cosine { least, warmup } => {
                let past = (number - warmup) as f64 / (rounds.saturating_sub(warmup)).max(1) as f64;
                least + (1.0 - least) * 0.5 * (1.0 + (std::f64::consts::PI * past).cos())
            }
        }
    }
}

/// What the server makes of the mean update.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ServerSpec {
    /// Adds it (McMahan et al., 2017), times `lr`.
    Fedavg {
        /// Server step; 1 is FedAvg as published.
        #[serde(default = "one")]
        lr: f64,
    },
    /// Takes it for a gradient of Adam (Reddi et al., 2021, algorithm 2; no bias correction).
    Fedadam {
        /// Server step; above 0.
        lr: f64,
        /// Decay of the first moment, in [0, 1).
        #[serde(default = "beta1")]
        beta1: f64,
        /// Decay of the second moment, in [0, 1).
        #[serde(default = "beta2")]
        beta2: f64,
        /// Adaptivity, added to the root of the second moment; above 0.
        #[serde(default = "tau")]
        tau: f64,
    },
}

fn one() -> f64 {
    1.0
}

fn beta1() -> f64 {
    0.9
}

fn beta2() -> f64 {
    0.99
}

fn tau() -> f64 {
    1e-3
}

/// When and on what a model is judged.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationSpec {
    /// Rounds between two evaluations; the last round is always evaluated; at least 1.
    pub every: usize,
    /// Test examples at most; `None` for all.
    pub examples: Option<usize>,
}

impl FederationSpec {
    /// The defaults of a regime: a bare client with one example and a step of 0.01, else ten rounds
    /// of FedAvg among five clients.
    pub fn new(regime: Regime) -> FederationSpec {
        let deployed = FederationSpec {
            regime,
            rounds: 10,
            clients: ClientsSpec::default(),
            local: LocalSpec::default(),
            server: ServerSpec::Fedavg { lr: 1.0 },
            evaluation: EvaluationSpec::default(),
        };
        if regime != Regime::Bare {
            return deployed;
        }
        FederationSpec {
            rounds: 1,
            clients: ClientsSpec { total: 1, ..ClientsSpec::default() },
            local: LocalSpec { batch_size: 1, lr: 0.01, ..LocalSpec::default() },
            ..deployed
        }
    }

    /// Whether there is no federation: a row of such a cell has neither accuracy nor epsilon.
    pub fn is_bare(&self) -> bool {
        self.regime == Regime::Bare
    }

    /// Clients invited to a round, on average.
    pub fn cohort(&self) -> usize {
        match self.regime {
            Regime::Federated | Regime::Bare => {
                self.clients.per_round.unwrap_or(self.clients.total)
            }
            Regime::Centralised | Regime::SingleClient => 1,
        }
    }
}

impl Default for ClientsSpec {
    fn default() -> Self {
        ClientsSpec {
            total: 5,
            per_round: None,
            sampling: ClientSampling::Uniform,
            dropout: 0.0,
            partition: Partition::Iid,
            examples: None,
        }
    }
}

impl Default for LocalSpec {
    fn default() -> Self {
        LocalSpec {
            epochs: 1,
            batch_size: 32,
            optimizer: Optimizer::Sgd,
            lr: 0.05,
            schedule: Schedule::Constant,
            momentum: 0.0,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            prox: 0.0,
            augment: false,
        }
    }
}

impl Default for EvaluationSpec {
    fn default() -> Self {
        EvaluationSpec { every: 1, examples: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_start_at_one_and_fall() {
        let cosine = Schedule::Cosine { least: 0.1, warmup: 0 };
        assert_eq!(cosine.factor(0, 10), 1.0);
        assert!((cosine.factor(5, 10) - 0.55).abs() < 1e-12 && cosine.factor(9, 10) > 0.1);
        let warm = Schedule::Cosine { least: 0.0, warmup: 3 };
        assert_eq!([0, 1, 2, 3].map(|n| warm.factor(n, 10)), [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(Schedule::Step { every: 4, factor: 0.5 }.factor(8, 10), 0.25);
    }
}
