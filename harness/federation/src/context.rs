//! One federated round with every defense in its place: clients work, defenses act, the protocol
//! carries, the server releases.

use std::collections::BTreeMap;

use defenses::{Defense, Deployment, Examples, Stage, Turn};
use learning::client::{self, LocalTraining, Rules, State};
use learning::{Mode, Network, Params};
use protocols::{Binding, FederationId, ModelHash, Protocol, Round, Transcript};
use rand::RngCore;
use rand_chacha::ChaCha12Rng;
use suites::rng::Wiped;
use tch::Tensor;

use crate::FederationError;
use crate::model_hash::model_hash;
use crate::randomness::Randomness;

/// What each defense remembers from round to round, in the order of the trial's defenses.
pub type DefenseState = Vec<BTreeMap<String, f64>>;

/// What defenses print of themselves: every value, by defense and name.
#[derive(Clone, Debug, Default)]
pub struct DefenseStats(Vec<BTreeMap<String, Vec<f64>>>);

impl DefenseStats {
    /// For so many defenses.
    pub fn new(defenses: usize) -> DefenseStats {
        DefenseStats(vec![BTreeMap::new(); defenses])
    }

    fn add(&mut self, place: usize, values: BTreeMap<String, f64>) {
        for (name, value) in values {
            self.0[place].entry(name).or_default().push(value);
        }
    }

    /// Adds what the same defenses printed in another round.
    pub fn merge(&mut self, other: &DefenseStats) {
        for (own, others) in self.0.iter_mut().zip(&other.0) {
            for (name, values) in others {
                own.entry(name.clone()).or_default().extend(values);
            }
        }
    }

    /// The mean of each value.
    pub fn means(&self) -> Vec<BTreeMap<String, f64>> {
        let mean = |values: &Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let means = |values: &BTreeMap<String, Vec<f64>>| {
            values.iter().map(|(name, values)| (name.clone(), mean(values))).collect()
        };
        self.0.iter().map(means).collect()
    }
}

/// What a federation agrees on before its first round.
#[derive(Clone, Copy)]
pub struct FederationConfig<'a> {
    /// The model.
    pub net: &'a Network,
    /// The defenses in order, without the protocol.
    pub defenses: &'a [Box<dyn Defense>],
    /// How updates travel.
    pub protocol: &'a dyn Protocol,
    /// Root of all streams.
    pub randomness: &'a Randomness,
    /// Key of all streams of clients and server: the same for every attack.
    pub key: &'a str,
    /// Key of the protocol's secrets: another for another model or line of defenses, since the
    /// difference of two uploads under one mask would be the difference of two updates in the
    /// clear.
    pub secrets: &'a str,
}

/// What holds for all clients of a round.
pub struct RoundContext<'a> {
    /// The federation.
    pub config: FederationConfig<'a>,
    /// The federation that guarantees are about.
    pub deployment: &'a Deployment,
    /// The broadcast weights, `[1, ...]`, on the device of the round.
    pub weights: &'a Params,
    /// Local training; `None` where clients send the gradient of one batch.
    pub local: Option<&'a LocalTraining>,
    /// Mean size of the one batch that each client samples of its examples, for a private rule.
    pub sample: Option<usize>,
    /// BatchNorm's mode.
    pub mode: Mode,
    /// Number of the round, never used twice in one federation.
    pub number: usize,
    /// What the streams of this round are called.
    pub tag: &'a str,
}

/// What clients send.
#[derive(Default)]
pub struct Uploads {
    /// The clients by their numbers.
    pub clients: Vec<usize>,
    /// Flat updates, one a client.
    pub updates: Vec<Vec<f32>>,
    /// The model that each client worked on, where the protocol binds it.
    pub models: Vec<ModelHash>,
    /// They are whole multiples of this.
    pub grid: Option<f64>,
    /// Mean training loss of each client over its last epoch, where it was followed.
    pub losses: Vec<f64>,
    /// The optimisers' state after local training.
    pub state: State,
}

impl LocalResult {
    /// The first client whose training diverged, by its place.
    pub fn diverged(&self) -> Option<usize> {
        let whole: Vec<bool> = (0..self.update.lanes())
            .map(|c| {
                self.update.tensors.iter().all(|t| t.get(c).isfinite().all().int64_value(&[]) != 0)
            })
            .collect();
        whole.iter().position(|whole| !whole)
    }
}

/// Clients' work before the defenses that act on updates.
pub struct LocalResult {
    /// What would be sent, `[C, ...]`.
    update: Params,
    /// The model that they worked on, where the protocol binds it.
    model: Option<ModelHash>,
    /// What the clients trained on.
    examples: Examples,
    dropped: Vec<u64>,
    losses: Vec<f64>,
    state: State,
    steps: usize,
}

impl RoundContext<'_> {
    fn streams(&self, purpose: &str, clients: &[usize]) -> Wiped<Vec<ChaCha12Rng>> {
        let name = |c| format!("{purpose} {} {c}", self.tag);
        let stream = |c| self.config.randomness.stream(self.config.key, &name(c));
        Wiped::new(clients.iter().map(stream).collect())
    }

    /// Local work alone, up to the defenses that act on updates; clients of other lots may work at
    /// the same time.
    ///
    /// # Errors
    /// Whatever a defense refuses.
    pub fn local_work(
        &self,
        clients: &[usize],
        pixels: Tensor,
        labels: Tensor,
        memory: &DefenseState,
        state: State,
    ) -> Result<LocalResult, FederationError> {
        let steps = match (self.local, self.sample) {
            (Some(local), None) => local.steps(pixels.size()[1] as usize),
            _ => 1,
        };
        let (mut examples, mut memory) = (Examples { pixels, labels, soft: false }, memory.clone());
        for (place, defense) in self.config.defenses.iter().enumerate() {
            let mut rngs = self.streams(&format!("defense-{place} examples"), clients);
            let mut turn = self.turn(&mut rngs, &mut memory[place], 1, None);
            turn.steps = steps;
            examples = tch::no_grad(|| defense.examples(examples, &mut turn))?;
        }
        self.train(clients, examples, steps, state)
    }

    /// The defenses that act on updates, and the updates as they are sent. Lots follow one another:
    /// defenses may count.
    ///
    /// # Errors
    /// Whatever a defense refuses.
    pub fn send(
        &self,
        clients: &[usize],
        worked: LocalResult,
        memory: &mut DefenseState,
        printed: &mut DefenseStats,
    ) -> Result<Uploads, FederationError> {
        let LocalResult { mut update, model, examples, dropped, losses, state, steps } = worked;
        if let Some(place) = self.config.defenses.iter().position(|d| d.stage() == Stage::Training)
        {
            let dropped = dropped.iter().sum::<u64>() as f64;
            printed.add(place, BTreeMap::from([("dropped_examples".to_string(), dropped)]));
        }
        let mut grid = None;
        for (place, defense) in self.config.defenses.iter().enumerate() {
            // The same noise meets every attack on this world (and, scaled, every epsilon): what
            // differs is the attack, not its luck.
            let mut rngs = self.streams(&format!("defense-{place}"), clients);
            let mut turn = self.turn(&mut rngs, &mut memory[place], 1, Some(&examples));
            turn.steps = steps;
            let released = defense.release(update, &mut turn)?;
            printed.add(place, released.values);
            (update, grid) = (released.update, released.grid.or(grid));
        }
        let update = tch::no_grad(|| update.map(Tensor::detach));
        let updates = (0..clients.len() as i64).map(|c| update.flat(c)).collect();
        let models = model.map_or_else(Vec::new, |model| vec![model; clients.len()]);
        Ok(Uploads { clients: clients.to_vec(), updates, models, grid, losses, state })
    }

    fn turn<'b>(
        &'b self,
        rngs: &'b mut [ChaCha12Rng],
        memory: &'b mut BTreeMap<String, f64>,
        contributors: usize,
        examples: Option<&'b Examples>,
    ) -> Turn<'b> {
        Turn {
            round: self.number,
            rngs,
            deployment: self.deployment,
            steps: 1,
            contributors,
            net: self.config.net,
            weights: self.weights,
            examples,
            memory,
        }
    }

    /// Local training, or one batch's gradient.
    fn train(
        &self,
        clients: &[usize],
        examples: Examples,
        steps: usize,
        state: State,
    ) -> Result<LocalResult, FederationError> {
        let held = examples.pixels.size()[1] as usize;
        let one_step = self.sample.is_some();
        let rules = Rules { soft_labels: examples.soft, private: self.rule(held)?, one_step };
        let (net, weights) = (self.config.net, self.weights);
        let model = self.config.protocol.binds_model().then(|| model_hash(weights));
        let mut rngs = self.streams("client", clients);
        let (x, y) = (&examples.pixels, &examples.labels);
        let Some(local) = self.local else {
            let (update, dropped) =
                client::release_gradient(net, weights, x, y, &rules, self.mode, &mut rngs);
            let losses = Vec::new();
            return Ok(LocalResult { update, model, examples, dropped, losses, state, steps });
        };
        let trained =
            client::train_on(net, weights, x, y, local, &rules, self.mode, &mut rngs, state);
        let update = tch::no_grad(|| trained.params.sub(weights).map(Tensor::detach));
        let losses = trained.loss.and_then(|l| Vec::try_from(l).ok()).unwrap_or_default();
        Ok(LocalResult {
            update,
            model,
            examples,
            dropped: trained.dropped,
            losses,
            state: trained.state,
            steps,
        })
    }

    /// The defenses' rule for gradients, with the sampling rate of clients that hold so many
    /// examples.
    fn rule(&self, held: usize) -> Result<Option<client::GradientRule>, FederationError> {
        let batch = match self.sample {
            Some(mean) => mean.min(held),
            None => self.local.map_or(held, |l| l.batch_size.min(held)),
        };
        for defense in self.config.defenses {
            if let Some(rule) = defense.gradient_rule(self.deployment)? {
                client::check_private(self.config.net, self.mode)?;
                let rate = batch as f64 / held as f64;
                return Ok(Some(client::GradientRule {
                    rate,
                    expected_batch: batch as f64,
                    ..rule
                }));
            }
        }
        Ok(None)
    }

    /// Carries the updates to the server; `watched`, `colluders` and `dropped` are places in them.
    ///
    /// # Errors
    /// Values the protocol cannot encode, or a round that aborts.
    pub fn carry(
        &self,
        sent: &Uploads,
        weights: &[u64],
        watched: usize,
        colluders: &[usize],
        dropped: &[usize],
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Transcript, FederationError> {
        let tell = |_: &str, done: usize, total: usize| {
            progress(done, total);
        };
        let round = Round {
            number: self.number as u64,
            updates: &sent.updates,
            weights,
            binding: Binding {
                federation: self.federation_id(),
                members: &sent.clients,
                models: &sent.models,
            },
            grid: sent.grid,
            watched,
            colluders,
            dropped,
            progress: &tell,
        };
        let mut draw = |purpose: &str| {
            let purpose = format!("protocol {} {purpose}", self.tag);
            self.config.randomness.stream(self.config.secrets, &purpose)
        };
        Ok(self.config.protocol.exchange(&round, &mut draw)?)
    }

    /// The name that the federation was given when it was founded: the same in all of its rounds,
    /// another for another model, line of defenses or root.
    fn federation_id(&self) -> FederationId {
        let mut id = FederationId::default();
        self.config.randomness.stream(self.config.secrets, "federation id").fill_bytes(&mut id.0);
        id
    }

    /// What the server releases of the mean: its own defenses act.
    ///
    /// # Errors
    /// Whatever a defense refuses.
    pub fn release(
        &self,
        mean: &[f32],
        contributors: usize,
        memory: &mut DefenseState,
        printed: &mut DefenseStats,
    ) -> Result<Params, FederationError> {
        let mut mean = Params::from_flat(self.weights.layout().clone(), mean)?;
        for (place, defense) in self.config.defenses.iter().enumerate() {
            let mut rngs = self.streams(&format!("defense-{place} server"), &[0]);
            let mut turn = self.turn(&mut rngs, &mut memory[place], contributors, None);
            let released = tch::no_grad(|| defense.aggregate(mean, &mut turn))?;
            printed.add(place, released.values);
            mean = released.update;
        }
        Ok(mean)
    }
}

/// Weights of clients in the mean: their numbers of examples in lowest terms, or all 1 where a
/// guarantee needs that.
pub fn mean_weights(defenses: &[Box<dyn Defense>], held: &[usize]) -> Vec<u64> {
    if defenses.iter().any(|d| d.equal_weights()) {
        return vec![1; held.len()];
    }
    let divisor = held.iter().fold(0, |a, &b| gcd(a, b)).max(1);
    held.iter().map(|&n| (n / divisor).max(1) as u64).collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
