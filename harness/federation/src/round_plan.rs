//! A round before it is played: who takes part, which examples they work on, and the name of its
//! streams.

use std::collections::BTreeMap;

use defenses::Stage;
use protocols::Exposure;
use rand::Rng;
use rand::seq::index;
use suites::Source;

use crate::Federation;
use crate::cohort::Cohort;

/// One round to be played.
#[derive(Clone, Debug)]
pub struct RoundPlan {
    /// Number of the round, from 0.
    pub number: usize,
    /// What its streams are called.
    pub tag: String,
    /// Who takes part.
    pub cohort: Cohort,
    /// Places in a client's part that it works on; all of them where it is not named.
    rows: BTreeMap<usize, Vec<usize>>,
    /// Mean size of the one batch that each client samples of all it holds.
    pub sample: Option<usize>,
}

impl RoundPlan {
    /// The places that a client works on, where those are not all.
    pub fn rows(&self, client: usize) -> Option<&[usize]> {
        self.rows.get(&client).map(Vec::as_slice)
    }
}

impl Federation {
    /// The round of that number as the federation itself takes it.
    pub fn plan(&self, number: usize) -> RoundPlan {
        let cohort = Cohort::draw(self, &number.to_string());
        self.planned(number, format!("training {number}"), cohort, self.samples())
    }

    /// Independent replay `n` of the captured round `number`, in which [`Federation::watched`]
    /// delivers: cohort, batches, noise and the protocol's secrets are its own.
    ///
    /// A batch that is Poisson-sampled in the federation's own rounds has its expected size here:
    /// given their number, the drawn examples are uniform.
    pub fn replay(&self, number: usize, n: usize) -> RoundPlan {
        if self.spec.federation.is_bare() {
            return self.bare(n);
        }
        let tag = format!("capture {n} of round {number}");
        let (mut cohort, watched) = (Cohort::draw(self, &tag), self.watched(n));
        let sampled = self.deployment.client_rate < 1.0;
        if !cohort.invited.contains(&watched) {
            // Given that it is invited, the others are drawn as ever.
            if !sampled && !cohort.invited.is_empty() {
                let mut rng = self.randomness.stream(&self.key, &format!("watched {tag}"));
                let leaves = cohort.invited[rng.random_range(0..cohort.invited.len())];
                cohort.invited.retain(|c| *c != leaves);
                cohort.dropped.retain(|c| *c != leaves);
            }
            cohort.invited.push(watched);
            cohort.invited.sort_unstable();
        }
        cohort.dropped.retain(|c| *c != watched);
        self.planned(number, tag, cohort, None)
    }

    /// The client that replay `n` watches.
    pub fn watched(&self, n: usize) -> usize {
        n % self.parts.len()
    }

    /// Examples that a client works on in a round.
    pub fn examples_of(&self, client: usize) -> usize {
        let (held, source) = (self.parts[client].len(), self.spec.source);
        if source.is_single_step() || self.spec.federation.is_bare() {
            held.min(self.batch_of_round())
        } else {
            held
        }
    }

    /// Examples that a client which holds enough of them works on in a round of one batch.
    fn batch_of_round(&self) -> usize {
        let (local, clients) = (&self.spec.federation.local, &self.spec.federation.clients);
        if self.spec.source.is_single_step() {
            local.batch_size
        } else {
            clients.examples.unwrap_or(local.batch_size)
        }
    }

    /// Mean size of a sampled batch, where a defense accounts for sampling.
    fn samples(&self) -> Option<usize> {
        let private = self.defenses().iter().any(|d| d.private() && d.stage() == Stage::Training);
        (private && self.spec.source.is_single_step())
            .then_some(self.spec.federation.local.batch_size)
    }

    fn planned(
        &self,
        number: usize,
        tag: String,
        cohort: Cohort,
        sample: Option<usize>,
    ) -> RoundPlan {
        let mut rows = BTreeMap::new();
        if self.spec.source.is_single_step() && sample.is_none() {
            for &client in &cohort.invited {
                let purpose = format!("{tag} batch {client}");
                let mut rng = self.randomness.stream(&self.key, &purpose);
                let (held, count) = (self.parts[client].len(), self.examples_of(client));
                rows.insert(client, index::sample(&mut rng, held, count).into_vec());
            }
        }
        RoundPlan { number, tag, cohort, rows, sample }
    }

    /// Release `n` of bare clients: all of them where updates are summed, else the watched one. A
    /// client works on the next of its examples each time that it is watched.
    fn bare(&self, n: usize) -> RoundPlan {
        let total = self.parts.len();
        let invited = if self.sums() { (0..total).collect() } else { vec![self.watched(n)] };
        let (turn, count) = (self.turn(n), self.batch_of_round());
        let lot = (turn * count..(turn + 1) * count).collect::<Vec<_>>();
        let rows = invited.iter().map(|&client| (client, lot.clone())).collect();
        let cohort = Cohort { invited, dropped: Vec::new() };
        RoundPlan { number: n, tag: format!("capture {n}"), cohort, rows, sample: None }
    }

    /// How often its clients were watched before, in release `n` of bare clients.
    pub(crate) fn turn(&self, n: usize) -> usize {
        match self.spec.source {
            Source::AggUpdate => n,
            _ => n / self.parts.len(),
        }
    }

    /// Whether a release takes all clients: their updates are summed.
    pub(crate) fn sums(&self) -> bool {
        self.spec.source == Source::AggUpdate
            || self.protocol().server_sees_update() != Exposure::Clear
    }
}
