//! A training with its names resolved and everything checked that can be known before the first
//! round.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use datasets::{Card, Dataset};
use defenses::{Budget, CapturedRound, Defense, DefensePipeline, Deployment, pipeline};
use learning::client::{self, LocalTraining, StepRule};
use learning::server::ServerRule;
use learning::{Mode, Network, Params};
use protocols::Exposure;
use protocols::Protocol;
use suites::federation::{ClientSampling, Optimizer, ServerSpec};
use suites::rng::stream;
use suites::stream_key;
use suites::{BatchNorm, FederationSpec, Regime, Source, SpecError, TrainSpec};

use crate::components::{self, Components};
use crate::context::{self, FederationConfig};
use crate::randomness::Randomness;
use crate::{FederationError, Registries, RoundPlan, bare, init, pilot, privacy};

/// A federation (or a single party, or bare clients) ready to take rounds.
pub struct Federation {
    /// The spec, model and defenses fully spelled out.
    pub spec: TrainSpec,
    /// The data.
    pub data: Arc<dyn Dataset>,
    /// The architecture with the data's normalisation.
    pub net: Arc<Network>,
    /// The defenses in order, and how updates travel.
    pub pipeline: Arc<DefensePipeline>,
    /// Ids of the examples of each client.
    pub parts: Vec<Vec<usize>>,
    /// What guarantees are about.
    pub deployment: Deployment,
    /// The guarantee of each defense, in order.
    pub budgets: Vec<Option<Budget>>,
    /// What the user should know before the first round.
    pub notes: Vec<String>,
    /// Where cohorts, batches, noise and the protocol's secrets come from: the seed, until a
    /// training that claims a guarantee replaces it.
    pub randomness: Randomness,
    pub(crate) key: String,
    pub(crate) secrets: String,
}

/// Resolves and checks a training.
///
/// # Errors
/// Unknown names, absent data, a model that cannot take their shape, a client without examples,
/// defenses or a protocol that cannot work in this federation; [`FederationError::Cancelled`] where
/// the user stops while clipping norms are measured.
pub fn prepare(
    registries: &Registries,
    spec: &TrainSpec,
    root: Option<&Path>,
    cancel: &AtomicBool,
) -> Result<Federation, FederationError> {
    let (mut spec, mut notes) = (spec.clone(), Vec::new());
    alone(registries, &mut spec, &mut notes)?;
    registries.spell_out(&mut spec.model, &mut spec.defenses)?;
    spec.check()?;
    let parts =
        components::resolve(registries, &spec.task, &spec.model, &spec.defenses, spec.seed, root)?;
    let parts = pilot::fit(&spec, parts, cancel)?;
    notes.extend(pilot::told(&spec, &parts.pipeline));
    let mut federation = assemble(spec, parts)?;
    federation.notes.splice(0..0, notes);
    if federation.spec.model.weights.is_some() {
        init::weights(&federation.net, &federation.spec.task, &federation.spec.model, 0)?;
    }
    Ok(federation)
}

/// A federation of what was resolved for `spec`, whose defenses are spelled out.
///
/// # Errors
/// A client without examples, defenses or a protocol that cannot work in this federation, a bound
/// that [`pilot::fit`] has not measured.
pub fn assemble(spec: TrainSpec, components: Components) -> Result<Federation, FederationError> {
    if components.pipeline.defenses.iter().any(|d| d.pilot().is_some()) {
        let (problem, remedy) = ("was not measured", "fit the components before they are used");
        return Err(SpecError::value("defenses.clip.public_quantile", problem, remedy).into());
    }
    let (bare, mut notes) = (spec.federation.is_bare(), Vec::new());
    let key = if bare { stream_key::images(&spec) } else { stream_key::training(&spec) };
    let mut parts = parts(&spec, components.data.as_ref(), &key)?;
    notes.extend(lone_examples(&spec, &components.net, &mut parts));
    let deployment = if bare {
        bare::deployment(&spec, &components)
    } else {
        deployment(&spec, &components, &parts)
    };
    let secrets = if bare {
        stream_key::bare_secrets(&key, &spec.model, &spec.defenses)
    } else {
        stream_key::secrets(&key, &spec)
    };
    let Components { data, net, pipeline } = components;
    let defenses = &pipeline.defenses;
    let budgets = defenses.iter().map(|d| d.privacy(&deployment)).collect::<Result<_, _>>()?;
    let randomness = Randomness::Seeded(spec.seed);
    let federation = Federation {
        spec,
        data,
        net,
        pipeline,
        parts,
        deployment,
        budgets,
        notes,
        randomness,
        key,
        secrets,
    };
    federation.check()?;
    Ok(federation)
}

/// Where one party trains by itself nothing travels, and nobody is pulled to anybody.
fn alone(
    registries: &Registries,
    spec: &mut TrainSpec,
    notes: &mut Vec<String>,
) -> Result<(), SpecError> {
    if spec.federation.regime == Regime::Federated {
        return Ok(());
    }
    let (regime, mut kept) = (spec.federation.regime, Vec::new());
    for (index, named) in spec.defenses.iter().enumerate() {
        match pipeline::parse_item(&registries.defenses, named)? {
            pipeline::Item::Protocol(_) => {
                notes.push(format!("{regime}: no update travels, so `{}` is left out", named.name));
            }
            pipeline::Item::Defense(defense) if defense.needs_sum() => {
                return Err(SpecError::value(
                    format!("defenses.{index}"),
                    format!(
                        "`{}` hides in a sum over clients, and regime = \"{regime}\" has none",
                        named.name
                    ),
                    "leave it out, or write federation.regime = \"federated\"",
                ));
            }
            pipeline::Item::Defense(_) => kept.push(named.clone()),
        }
    }
    if spec.federation.local.prox > 0.0 {
        notes.push(format!(
            "{regime}: there is no broadcast to be pulled to, so FedProx is left out"
        ));
    }
    spec.defenses = kept;
    let f = &mut spec.federation;
    (f.server, f.local.prox) = (ServerSpec::Fedavg { lr: 1.0 }, 0.0);
    (f.clients.per_round, f.clients.dropout) = (None, 0.0);
    f.clients.sampling = ClientSampling::Uniform;
    Ok(())
}

/// The clients' parts; the same in every regime: a single client holds the federation's first part,
/// one party all of them.
fn parts(
    spec: &TrainSpec,
    data: &dyn Dataset,
    key: &str,
) -> Result<Vec<Vec<usize>>, FederationError> {
    let (asked, bare) = (&spec.federation.clients, spec.federation.is_bare());
    let clients = asked.total;
    let key = if bare { key.to_owned() } else { stream_key::partition(spec) };
    let mut rng = stream(spec.seed, &key, "partition");
    let (kind, batch) = (&asked.partition, spec.federation.local.batch_size);
    let mut parts = init::partition(data, spec.task.split, kind, clients, batch, &mut rng)?;
    if bare {
        return Ok(parts);
    }
    let most = asked.examples.unwrap_or(usize::MAX);
    parts.iter_mut().for_each(|part| part.truncate(most));
    if let Some(client) = parts.iter().position(Vec::is_empty) {
        let problem = format!("client {client} of {clients} would hold no example");
        let remedy = "use fewer clients, or more data";
        return Err(SpecError::value("federation.clients.total", problem, remedy).into());
    }
    Ok(match spec.federation.regime {
        Regime::Federated | Regime::Bare => parts,
        Regime::Centralised => vec![parts.concat()],
        Regime::SingleClient => parts[..1].to_vec(),
    })
}

/// BatchNorm has no statistics of a last batch of one example: such an example stays out.
fn lone_examples(spec: &TrainSpec, net: &Network, parts: &mut [Vec<usize>]) -> Option<String> {
    let batch = spec.federation.local.batch_size;
    let epochs = !spec.source.is_single_step() && !spec.federation.is_bare();
    let by_batch =
        epochs && privacy::has_statistics(net) && spec.model.batch_norm == BatchNorm::Train;
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

fn deployment(spec: &TrainSpec, components: &Components, parts: &[Vec<usize>]) -> Deployment {
    let held =
        |pick: fn(usize, usize) -> usize| parts.iter().map(Vec::len).reduce(pick).unwrap_or(1);
    let (least, most) = (held(usize::min), held(usize::max));
    let (f, batch_size) = (&spec.federation, spec.federation.local.batch_size);
    let local_steps =
        if spec.source.is_single_step() { 1 } else { f.local.epochs * most.div_ceil(batch_size) };
    let clients = f.cohort();
    Deployment {
        clients,
        rounds: f.rounds,
        local_steps,
        batch_size,
        examples: least,
        client_rate: match f.clients.sampling {
            ClientSampling::Poisson => clients as f64 / parts.len() as f64,
            // A client drawn without replacement is supposed to be in every round: an upper bound.
            ClientSampling::Uniform => 1.0,
        },
        captured: CapturedRound {
            batch: batch_size.min(least),
            steps: local_steps,
            clients: if spec.source == Source::AggUpdate { clients } else { 1 },
            released: true,
        },
        values: components.net.layout().len() as usize,
        summed: components.pipeline.protocol.server_sees_update() != Exposure::Clear,
    }
}

/// Local training in round `number`, from 0.
pub fn local_training(spec: &FederationSpec, number: usize) -> LocalTraining {
    let l = &spec.local;
    LocalTraining {
        epochs: l.epochs,
        batch_size: l.batch_size,
        lr: l.lr * l.schedule.factor(number, spec.rounds),
        momentum: l.momentum,
        weight_decay: l.weight_decay,
        augment: l.augment,
        rule: match l.optimizer {
            Optimizer::Sgd => StepRule::Sgd,
            Optimizer::Adam => StepRule::Adam { beta1: l.beta1, beta2: l.beta2 },
        },
        prox: l.prox,
        ..LocalTraining::default()
    }
}

impl Federation {
    /// Description of the data.
    pub fn card(&self) -> &Card {
        self.data.card()
    }

    /// The defenses in order, without the protocol.
    pub fn defenses(&self) -> &[Box<dyn Defense>] {
        &self.pipeline.defenses
    }

    /// How updates travel.
    pub fn protocol(&self) -> &dyn Protocol {
        self.pipeline.protocol.as_ref()
    }

    /// What the rounds agree on.
    pub fn config(&self) -> FederationConfig<'_> {
        FederationConfig {
            net: &self.net,
            defenses: self.defenses(),
            protocol: self.protocol(),
            randomness: &self.randomness,
            key: &self.key,
            secrets: &self.secrets,
        }
    }

    /// Local training in round `number`, from 0: one step where clients release one.
    pub fn local(&self, number: usize) -> LocalTraining {
        let local = local_training(&self.spec.federation, number);
        match self.spec.source {
            Source::OneStepUpdate => LocalTraining { epochs: 1, ..local },
            _ => local,
        }
    }

    /// Ids of the examples that a client works on in a round.
    pub fn ids(&self, plan: &RoundPlan, client: usize) -> Vec<usize> {
        let part = &self.parts[client];
        plan.rows(client)
            .map_or_else(|| part.clone(), |rows| rows.iter().map(|&r| part[r]).collect())
    }

    /// Refuses more releases of bare clients than they have examples for.
    ///
    /// # Errors
    /// Names the client and what it lacks.
    pub fn enough(&self, captures: usize) -> Result<(), FederationError> {
        bare::enough(self, captures)
    }

    /// What anyone makes of flat values that clients sent: public transformations undone, last
    /// first.
    ///
    /// # Errors
    /// Values of another number than the model's.
    pub fn undo(&self, values: &[f32]) -> Result<Params, FederationError> {
        let update = Params::from_flat(self.net.layout().clone(), values)?;
        let defenses = self.defenses().iter().rev();
        Ok(defenses.fold(update, |update, d| tch::no_grad(|| d.undo(update))))
    }

    /// The server's rule.
    pub fn server(&self) -> ServerRule {
        match self.spec.federation.server {
            ServerSpec::Fedavg { lr } => ServerRule::FedAvg { lr },
            ServerSpec::Fedadam { lr, beta1, beta2, tau } => {
                ServerRule::FedAdam { lr, beta1, beta2, tau }
            }
        }
    }

    /// The change of the weights that a mean release of round `number` stands for: itself, or where
    /// clients send gradients the SGD step against their mean (FedSGD).
    pub fn change(&self, weights: &Params, mean: Params, number: usize) -> Params {
        if self.spec.source != Source::Gradients {
            return mean;
        }
        let (local, specs) = (self.local(number), weights.layout().specs());
        let mut trainable = specs.iter().map(|s| s.trainable);
        mean.zip(weights, |g, w| match trainable.next() {
            Some(true) => (g + w * local.weight_decay) * -local.lr,
            _ => g.shallow_clone(),
        })
    }

    /// The mechanism whose epsilon is followed from round to round: the first that proves one.
    pub fn accounted(&self) -> Option<(&dyn Defense, &Budget)> {
        let mut pairs = self.defenses().iter().zip(&self.budgets);
        pairs.find_map(|(d, b)| b.as_ref().map(|b| (d.as_ref(), b)))
    }

    /// Whether a mechanism claims a guarantee of the model that is released.
    pub fn claims(&self) -> bool {
        self.budgets.iter().any(Option::is_some)
    }

    /// Whether one party trains by itself, whose optimiser goes on from round to round.
    pub fn is_alone(&self) -> bool {
        matches!(self.spec.federation.regime, Regime::Centralised | Regime::SingleClient)
    }

    /// Mode of the clients' passes: the batch's statistics, dropout; or the running ones and none.
    pub fn mode(&self) -> Mode {
        match self.spec.model.batch_norm {
            BatchNorm::Train => Mode::Train,
            BatchNorm::Eval => Mode::Eval,
        }
    }

    fn check(&self) -> Result<(), FederationError> {
        let bare = self.spec.federation.is_bare();
        let sizes: Vec<usize> = if bare {
            Vec::new()
        } else {
            (0..self.parts.len()).map(|c| self.examples_of(c)).collect()
        };
        let max_weight =
            context::mean_weights(self.defenses(), &sizes).into_iter().max().unwrap_or(1);
        let (clients, values) = (self.deployment.clients, self.deployment.values);
        let grid_steps = self.grid_steps()?;
        let size = protocols::Federation { clients, values, max_weight, grid_steps };
        self.protocol().check(&size)?;
        let mode = self.mode();
        for defense in self.defenses() {
            if defense.gradient_rule(&self.deployment)?.is_some() {
                client::check_private(&self.net, mode)?;
            }
        }
        if bare {
            return Ok(());
        }
        privacy::private_statistics(&self.net, self.defenses(), mode)?;
        self.check_gradients()?;
        self.check_present()?;
        self.check_shares()
    }

    /// Largest magnitude of a value on the grid that updates have when they travel, in its steps.
    fn grid_steps(&self) -> Result<Option<f64>, FederationError> {
        let mut steps = None;
        for defense in self.defenses() {
            steps = defense.grid_steps(&self.deployment)?.or(steps);
        }
        Ok(steps)
    }

    /// What clients that send gradients, and a server that steps by their mean, cannot do.
    fn check_gradients(&self) -> Result<(), FederationError> {
        let local = &self.spec.federation.local;
        if self.spec.source != Source::Gradients {
            return Ok(());
        }
        let remedy = "write source = \"one_step_update\", or leave it out";
        let refused = |path: &str, problem: &str| -> Result<(), FederationError> {
            Err(SpecError::value(path, problem, remedy).into())
        };
        if local.optimizer != Optimizer::Sgd {
            return refused(
                "federation.local.optimizer",
                "is \"adam\", but clients that send gradients take no step",
            );
        }
        if local.augment {
            return refused(
                "federation.local.augment",
                "is true, but a gradient is taken of unaugmented images",
            );
        }
        if privacy::has_statistics(&self.net) && self.mode() == Mode::Train {
            return Err(SpecError::value(
                "source",
                "is \"gradients\", which carry no running statistics of BatchNorm: the trained \
                 model would be judged by those it began with",
                "write source = \"one_step_update\", norm = \"group\", or batch_norm = \"eval\"",
            )
            .into());
        }
        Ok(())
    }

    /// Who decrypts the sum makes the next model of the last and that: whoever missed one has
    /// neither, and the server cannot send it.
    fn check_present(&self) -> Result<(), FederationError> {
        let clients = &self.spec.federation.clients;
        let path =
            match (clients.dropout > 0.0, clients.per_round.is_some_and(|n| n < clients.total)) {
                _ if self.is_alone() || self.protocol().server_sees_sum() == Exposure::Clear => {
                    return Ok(());
                }
                (true, _) => "federation.clients.dropout",
                (_, true) => "federation.clients.per_round",
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
    fn check_shares(&self) -> Result<(), FederationError> {
        let clients = &self.spec.federation.clients;
        let varies = clients.dropout > 0.0 || clients.sampling == ClientSampling::Poisson;
        let sampled = clients.sampling == ClientSampling::Poisson;
        if varies && self.defenses().iter().any(|d| d.needs_sum()) {
            return Err(SpecError::value(
                "federation.clients.dropout",
                "the number of clients in a round varies, but each adds noise calibrated for all \
                 of them",
                "write clients.dropout = 0 and sampling = \"uniform\", or use `dp-central`",
            )
            .into());
        }
        if sampled && self.protocol().server_sees_update() != Exposure::Clear {
            return Err(SpecError::value(
                "federation.clients.sampling",
                "is \"poisson\": a round may have too few clients for the protocol",
                "write \"uniform\", or let updates travel in the clear",
            )
            .into());
        }
        Ok(())
    }
}
