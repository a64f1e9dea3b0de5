//! Range checks of a federation, each with the dotted path, what is wrong and how to mend it.

use super::{ClientSampling, ClientsSpec, FederationSpec, LocalSpec, Regime, Schedule, ServerSpec};
use crate::SpecError;
use crate::check::{Checked, at_least_one, fail, partition, range};
use crate::spec::Partition;

impl FederationSpec {
    /// Checks what can be known without data, models or registries: ranges and contradictions.
    ///
    /// # Errors
    /// The first thing wrong, as [`SpecError::Value`].
    pub fn check(&self) -> Result<(), SpecError> {
        at_least_one("federation.rounds", Some(self.rounds))?;
        self.clients.check(self.regime)?;
        self.local.check()?;
        self.check_repeats()?;
        server(&self.server)?;
        at_least_one("federation.evaluation.every", Some(self.evaluation.every))?;
        at_least_one("federation.evaluation.examples", self.evaluation.examples)?;
        if self.is_bare() { self.check_bare() } else { Ok(()) }
    }

    /// Repeated labels are those of one batch: it has to hold them, and a client that draws its
    /// batches may have no more than one.
    fn check_repeats(&self) -> Checked {
        let Partition::RepeatedLabels { repeats } = self.clients.partition else { return Ok(()) };
        let (batch, path) = (self.local.batch_size, "federation.clients.partition");
        if repeats >= batch {
            let problem = format!("asks for {repeats} repeated labels in a batch of {batch}");
            return fail(path, problem, "lower `repeats`, or raise `federation.local.batch_size`");
        }
        let held = self.clients.examples;
        let whole = match self.regime {
            Regime::Bare => held.is_none_or(|examples| examples == batch),
            Regime::Federated => held == Some(batch),
            Regime::Centralised | Regime::SingleClient => false,
        };
        if whole {
            return Ok(());
        }
        fail(
            path,
            "repeats labels in a batch, but clients draw their batches at random",
            format!(
                "write federation.clients.examples = {batch} and regime = \"federated\" or \"bare\""
            ),
        )
    }

    /// A bare client knows no rounds: what speaks of them must stay at its default.
    fn check_bare(&self) -> Checked {
        let bare = FederationSpec::new(Regime::Bare);
        let (own, none) = (&self.clients, &bare.clients);
        let spoken = [
            ("rounds", self.rounds != bare.rounds),
            ("clients.per_round", own.per_round != none.per_round),
            ("clients.sampling", own.sampling != none.sampling),
            ("clients.dropout", own.dropout != none.dropout),
            ("local.schedule", self.local.schedule != bare.local.schedule),
            ("server", self.server != bare.server),
            ("evaluation", self.evaluation != bare.evaluation),
        ];
        if let Some((key, _)) = spoken.into_iter().find(|(_, spoken)| *spoken) {
            return fail(
                &format!("federation.{key}"),
                "is set, but a bare client has no rounds",
                "leave it out, or write federation.regime = \"federated\"",
            );
        }
        match self.clients.examples.filter(|held| *held < self.local.batch_size) {
            None => Ok(()),
            Some(held) => fail(
                "federation.clients.examples",
                format!(
                    "a client holds {held} examples, fewer than one batch of {}",
                    self.local.batch_size
                ),
                "raise it, or lower `federation.local.batch_size`",
            ),
        }
    }
}

impl ClientsSpec {
    fn check(&self, regime: Regime) -> Checked {
        at_least_one("federation.clients.total", Some(self.total))?;
        at_least_one("federation.clients.per_round", self.per_round)?;
        at_least_one("federation.clients.examples", self.examples)?;
        if let Some(n) = self.per_round.filter(|n| *n > self.total) {
            let problem = format!("is {n}, but there are only {} clients", self.total);
            return fail(
                "federation.clients.per_round",
                problem,
                "lower it, or raise `federation.clients.total`",
            );
        }
        if self.sampling == ClientSampling::Poisson && self.per_round.is_none() {
            let problem = "is \"poisson\", but every client takes part in every round";
            return fail(
                "federation.clients.sampling",
                problem,
                "set `federation.clients.per_round` to the mean size of a round",
            );
        }
        if regime == Regime::SingleClient && self.total == 1 {
            let problem = "is 1: the single client would hold everything";
            return fail(
                "federation.clients.total",
                problem,
                "write federation.regime = \"centralised\", or more clients",
            );
        }
        let chance = (0.0..1.0).contains(&self.dropout);
        range("federation.clients.dropout", self.dropout, chance, "at least 0 and below 1", "0.1")?;
        partition("federation.clients.partition", self.partition)
    }
}

impl LocalSpec {
    fn check(&self) -> Checked {
        at_least_one("federation.local.epochs", Some(self.epochs))?;
        at_least_one("federation.local.batch_size", Some(self.batch_size))?;
        range("federation.local.lr", self.lr, self.lr > 0.0, "above 0", "0.05")?;
        let below_one = [("momentum", self.momentum), ("beta1", self.beta1), ("beta2", self.beta2)];
        for (name, value) in below_one {
            let good = (0.0..1.0).contains(&value);
            range(
                &format!("federation.local.{name}"),
                value,
                good,
                "at least 0 and below 1",
                "0.9",
            )?;
        }
        range(
            "federation.local.weight_decay",
            self.weight_decay,
            self.weight_decay >= 0.0,
            "at least 0",
            "0.0005",
        )?;
        range("federation.local.prox", self.prox, self.prox >= 0.0, "at least 0", "0.01")?;
        match self.schedule {
            Schedule::Constant => Ok(()),
            Schedule::Cosine { least, .. } => range(
                "federation.local.schedule.least",
                least,
                (0.0..=1.0).contains(&least),
                "in [0, 1]",
                "0.01",
            ),
            Schedule::Step { every, factor } => {
                at_least_one("federation.local.schedule.every", Some(every))?;
                let good = factor > 0.0 && factor <= 1.0;
                range("federation.local.schedule.factor", factor, good, "in (0, 1]", "0.5")
            }
        }
    }
}

fn server(server: &ServerSpec) -> Checked {
    match *server {
        ServerSpec::Fedavg { lr } => range("federation.server.lr", lr, lr > 0.0, "above 0", "1.0"),
        ServerSpec::Fedadam { lr, beta1, beta2, tau } => {
            range("federation.server.lr", lr, lr > 0.0, "above 0", "0.01")?;
            for (name, value) in [("beta1", beta1), ("beta2", beta2)] {
                let good = (0.0..1.0).contains(&value);
                range(
                    &format!("federation.server.{name}"),
                    value,
                    good,
                    "at least 0 and below 1",
                    "0.9",
                )?;
            }
            range("federation.server.tau", tau, tau > 0.0, "above 0", "0.001")
        }
    }
}
