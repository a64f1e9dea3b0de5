//! A training with its names resolved and everything checked that can be known before the first
//! round.

use std::path::Path;
use std::sync::Arc;

use datasets::{Card, Dataset, Request};
use defenses::{Budget, CapturedRound, Defense, Deployment};
use learning::client::{self, LocalTraining, StepRule};
use learning::server::ServerRule;
use learning::{Mode, Network};
use protocols::{Exposure, Protocol};
use suites::rng::stream;
use suites::train::{ClientSampling, Optimizer, Regime, ServerSpec};
use suites::{BatchNorm, SpecError, TrainSpec};

use crate::round::{self, Terms};
use crate::{HarnessError, deploy, line, saved, start};

/// A federation (or a single party) ready to train.
pub struct Federation {
    /// The spec, defences fully spelled out.
    pub spec: TrainSpec,
    /// The data.
    pub data: Box<dyn Dataset>,
    /// The architecture with the data's normalisation.
    pub net: Arc<Network>,
    /// The defences in order, without the protocol.
    pub defenses: Vec<Box<dyn Defense>>,
    /// How updates travel.
    pub protocol: Box<dyn Protocol>,
    /// Ids of the examples of each client.
    pub parts: Vec<Vec<usize>>,
    /// What guarantees are about.
    pub deployment: Deployment,
    /// The guarantee of each defence, in order.
    pub budgets: Vec<Option<Budget>>,
    /// What the user should know before the first round.
    pub notes: Vec<String>,
    key: String,
    secrets: String,
}

/// Resolves and checks a training.
///
/// # Errors
/// Unknown names, absent data, a model that cannot take their shape, a client without examples,
/// defences or a protocol that cannot work in this federation.
pub fn prepare(spec: &TrainSpec, root: Option<&Path>) -> Result<Federation, HarnessError> {
    let (mut spec, mut notes) = (spec.clone(), Vec::new());
    alone(&mut spec, &mut notes)?;
    for named in &mut spec.defenses {
        named.params = line::part(named)?.spelled_out();
    }
    spec.check()?;
    let line::Line { defenses, protocol } = line::up(&spec.defenses)?;
    let data = open(&spec, root)?;
    let net = Arc::new(saved::network(&spec, data.card())?);
    let key = format!(
        "training {:?} {:?} {} {}",
        spec.task, spec.clients, spec.regime, spec.local.batch_size
    );
    let mut parts = parts(&spec, data.as_ref())?;
    notes.extend(lone_examples(&spec, &net, &mut parts));
    let deployment = deployment(&spec, &net, &parts, protocol.as_ref());
    // Any other training has masks of its own: the difference of two uploads under one is that of
    // two updates in the clear.
    let secrets = format!("{key} {}", spec.digest());
    let budgets = defenses.iter().map(|d| d.privacy(&deployment)).collect::<Result<_, _>>()?;
    let federation = Federation {
        spec,
        data,
        net,
        defenses,
        protocol,
        parts,
        deployment,
        budgets,
        notes,
        key,
        secrets,
    };
    federation.check()?;
    if federation.spec.model.weights.is_some() {
        start::weights(&federation.net, &federation.spec.task, &federation.spec.model, 0)?;
    }
    Ok(federation)
}

/// Where one party trains by itself nothing travels, and nobody is pulled to anybody.
fn alone(spec: &mut TrainSpec, notes: &mut Vec<String>) -> Result<(), SpecError> {
    if spec.regime == Regime::Federated {
        return Ok(());
    }
    let (regime, mut kept) = (spec.regime, Vec::new());
    for (index, named) in spec.defenses.iter().enumerate() {
        match line::part(named)? {
            line::Part::Protocol(_) => {
                notes.push(format!("{regime}: no update travels, so `{}` is left out", named.name));
            }
            line::Part::Defense(defense) if defense.needs_sum() => {
                return Err(SpecError::value(
                    format!("defenses.{index}"),
                    format!(
                        "`{}` hides in a sum over clients, and regime = \"{regime}\" has none",
                        named.name
                    ),
                    "leave it out, or write regime = \"federated\"",
                ));
            }
            line::Part::Defense(_) => kept.push(named.clone()),
        }
    }
    if spec.local.prox > 0.0 {
        notes.push(format!(
            "{regime}: there is no broadcast to be pulled to, so FedProx is left out"
        ));
    }
    spec.defenses = kept;
    (spec.server, spec.local.prox) = (ServerSpec::Fedavg { lr: 1.0 }, 0.0);
    (spec.clients.per_round, spec.clients.dropout) = (None, 0.0);
    spec.clients.sampling = ClientSampling::Uniform;
    Ok(())
}

fn open(spec: &TrainSpec, root: Option<&Path>) -> Result<Box<dyn Dataset>, HarnessError> {
    let task = &spec.task;
    let request = Request {
        root,
        size: task.size,
        label: task.label.as_deref(),
        limit: task.limit,
        seed: spec.seed,
    };
    Ok(datasets::open(&task.dataset, &request)?)
}

/// The clients' parts; the same in every regime: a single client holds the federation's first part,
/// one party all of them.
fn parts(spec: &TrainSpec, data: &dyn Dataset) -> Result<Vec<Vec<usize>>, HarnessError> {
    let clients = spec.clients.total;
    let key = format!("partition {:?} {clients} {:?}", spec.task, spec.clients.partition);
    let mut rng = stream(spec.seed, &key, "partition");
    let mut parts =
        start::partition(data, spec.task.split, &spec.clients.partition, clients, &mut rng)?;
    let most = spec.clients.examples.unwrap_or(usize::MAX);
    parts.iter_mut().for_each(|part| part.truncate(most));
    if let Some(client) = parts.iter().position(Vec::is_empty) {
        let problem = format!("client {client} of {clients} would hold no example");
        return Err(
            SpecError::value("clients.total", problem, "use fewer clients, or more data").into()
        );
    }
    Ok(match spec.regime {
        Regime::Federated => parts,
        Regime::Centralised => vec![parts.concat()],
        Regime::SingleClient => parts[..1].to_vec(),
    })
}

/// BatchNorm has no statistics of a last batch of one example: such an example stays out.
fn lone_examples(spec: &TrainSpec, net: &Network, parts: &mut [Vec<usize>]) -> Option<String> {
    let batch = spec.local.batch_size;
    let by_batch = deploy::has_statistics(net) && spec.model.batch_norm == BatchNorm::Train;
    let lone =
        |part: &&mut Vec<usize>| by_batch && batch > 1 && part.len() > 1 && part.len() % batch == 1;
    let shortened = parts.iter_mut().filter(lone).map(|part| part.truncate(part.len() - 1)).count();
    (shortened > 0).then(|| {
        format!(
            "{shortened} client(s) leave out one example, which would be a batch by itself: \
            BatchNorm has no statistics of it"
        )
    })
}

fn deployment(
    spec: &TrainSpec,
    net: &Network,
    parts: &[Vec<usize>],
    protocol: &dyn Protocol,
) -> Deployment {
    let held =
        |pick: fn(usize, usize) -> usize| parts.iter().map(Vec::len).reduce(pick).unwrap_or(1);
    let (least, most) = (held(usize::min), held(usize::max));
    let batch_size = spec.local.batch_size;
    let local_steps = spec.local.epochs * most.div_ceil(batch_size);
    let clients = spec.cohort();
    Deployment {
        clients,
        rounds: spec.rounds,
        local_steps,
        batch_size,
        examples: least,
        client_rate: match spec.clients.sampling {
            ClientSampling::Poisson => clients as f64 / parts.len() as f64,
            // A client drawn without replacement is supposed to be in every round: an upper bound.
            ClientSampling::Uniform => 1.0,
        },
        captured: CapturedRound {
            batch: batch_size.min(least),
            steps: local_steps,
            clients,
            released: true,
        },
        values: net.layout().len() as usize,
        summed: protocol.server_sees_update() != Exposure::Clear,
    }
}

impl Federation {
    /// Description of the data.
    pub fn card(&self) -> &Card {
        self.data.card()
    }

    /// What the rounds agree on.
    pub fn terms(&self) -> Terms<'_> {
        Terms {
            net: &self.net,
            defenses: &self.defenses,
            protocol: self.protocol.as_ref(),
            seed: self.spec.seed,
            key: &self.key,
            secrets: &self.secrets,
        }
    }

    /// Local training in round `number`, from 0.
    pub fn local(&self, number: usize) -> LocalTraining {
        let l = &self.spec.local;
        LocalTraining {
            epochs: l.epochs,
            batch_size: l.batch_size,
            lr: l.lr * l.schedule.factor(number, self.spec.rounds),
            momentum: l.momentum,
            weight_decay: l.weight_decay,
            augment: l.augment,
            rule: match l.optimizer {
                Optimizer::Sgd => StepRule::Sgd,
                Optimizer::Adam => StepRule::Adam { beta1: l.beta1, beta2: l.beta2 },
            },
            prox: l.prox,
        }
    }

    /// The server's rule.
    pub fn server(&self) -> ServerRule {
        match self.spec.server {
            ServerSpec::Fedavg { lr } => ServerRule::FedAvg { lr },
            ServerSpec::Fedadam { lr, beta1, beta2, tau } => {
                ServerRule::FedAdam { lr, beta1, beta2, tau }
            }
        }
    }

    /// The mechanism whose epsilon is followed from round to round: the first that proves one.
    pub fn accounted(&self) -> Option<(&dyn Defense, &Budget)> {
        let mut pairs = self.defenses.iter().zip(&self.budgets);
        pairs.find_map(|(d, b)| b.as_ref().map(|b| (d.as_ref(), b)))
    }

    /// Whether one party trains by itself, whose optimiser goes on from round to round.
    pub fn is_alone(&self) -> bool {
        self.spec.regime != Regime::Federated
    }

    /// Mode of the clients' passes: the batch's statistics, dropout; or the running ones and none.
    pub fn mode(&self) -> Mode {
        match self.spec.model.batch_norm {
            BatchNorm::Train => Mode::Train,
            BatchNorm::Eval => Mode::Eval,
        }
    }

    fn check(&self) -> Result<(), HarnessError> {
        let sizes: Vec<usize> = self.parts.iter().map(Vec::len).collect();
        let max_weight = round::weights(&self.defenses, &sizes).into_iter().max().unwrap_or(1);
        let (clients, values) = (self.deployment.clients, self.deployment.values);
        self.protocol.check(&protocols::Federation { clients, values, max_weight })?;
        let mode = self.mode();
        for defense in &self.defenses {
            if defense.gradient_rule(&self.deployment)?.is_some() {
                client::check_private(&self.net, mode)?;
            }
        }
        deploy::private_statistics(&self.net, &self.defenses, mode)?;
        self.check_present()?;
        self.check_shares()
    }

    /// Who decrypts the sum makes the next model of the last and that: whoever missed one has
    /// neither, and the server cannot send it.
    fn check_present(&self) -> Result<(), HarnessError> {
        let clients = &self.spec.clients;
        let path =
            match (clients.dropout > 0.0, clients.per_round.is_some_and(|n| n < clients.total)) {
                _ if self.is_alone() || self.protocol.server_sees_sum() == Exposure::Clear => {
                    return Ok(());
                }
                (true, _) => "clients.dropout",
                (_, true) => "clients.per_round",
                _ => return Ok(()),
            };
        Err(SpecError::value(
            path,
            "some clients would miss a sum that only clients decrypt, and with it all later models",
            "let all take part in every round, or use a protocol whose sum the server reads, such \
             as `secagg`",
        )
        .into())
    }

    /// Shares of noise are calibrated for a known number of clients.
    fn check_shares(&self) -> Result<(), HarnessError> {
        let clients = &self.spec.clients;
        let varies = clients.dropout > 0.0 || clients.sampling == ClientSampling::Poisson;
        let sampled = clients.sampling == ClientSampling::Poisson;
        if varies && self.defenses.iter().any(|d| d.needs_sum()) {
            return Err(SpecError::value(
                "clients.dropout",
                "the number of clients in a round varies, but each adds noise calibrated for all \
                 of them",
                "write clients.dropout = 0 and sampling = \"uniform\", or use `dp-central`",
            )
            .into());
        }
        if sampled && self.protocol.server_sees_update() != Exposure::Clear {
            return Err(SpecError::value(
                "clients.sampling",
                "is \"poisson\": a round may have too few clients for the protocol",
                "write \"uniform\", or let updates travel in the clear",
            )
            .into());
        }
        Ok(())
    }
}
