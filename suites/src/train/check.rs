//! Range checks of a training, each with the dotted path, what is wrong and how to mend it.

use super::spec::{
    ClientSampling, ClientsSpec, LocalSpec, Regime, RobustnessSpec, Schedule, ServerSpec, TrainSpec,
};
use crate::SpecError;
use crate::check::{Checked, at_least_one, fail, model, named, partition, present, range, task};

impl TrainSpec {
    /// Checks what can be known without data, models or registries: ranges and contradictions.
    ///
    /// # Errors
    /// The first thing wrong, as [`SpecError::Value`].
    pub fn check(&self) -> Result<(), SpecError> {
        present("name", &self.name, "name the task")?;
        task(&self.task)?;
        model(&self.model)?;
        at_least_one("rounds", Some(self.rounds))?;
        self.clients.check(self.regime)?;
        self.local.check()?;
        server(&self.server)?;
        for (index, defense) in self.defenses.iter().enumerate() {
            named(&format!("defenses.{index}"), defense, "a defence, such as `dp-sgd`")?;
        }
        at_least_one("evaluation.every", Some(self.evaluation.every))?;
        at_least_one("evaluation.examples", self.evaluation.examples)?;
        self.robustness.check()
    }
}

impl ClientsSpec {
    fn check(&self, regime: Regime) -> Checked {
        at_least_one("clients.total", Some(self.total))?;
        at_least_one("clients.per_round", self.per_round)?;
        at_least_one("clients.examples", self.examples)?;
        if let Some(n) = self.per_round.filter(|n| *n > self.total) {
            let problem = format!("is {n}, but there are only {} clients", self.total);
            return fail("clients.per_round", problem, "lower it, or raise `clients.total`");
        }
        if self.sampling == ClientSampling::Poisson && self.per_round.is_none() {
            let problem = "is \"poisson\", but every client takes part in every round";
            return fail(
                "clients.sampling",
                problem,
                "set `clients.per_round` to the mean size of a round",
            );
        }
        if regime == Regime::SingleClient && self.total == 1 {
            let problem = "is 1: the single client would hold everything";
            return fail(
                "clients.total",
                problem,
                "write regime = \"centralised\", or more clients",
            );
        }
        let chance = (0.0..1.0).contains(&self.dropout);
        range("clients.dropout", self.dropout, chance, "at least 0 and below 1", "0.1")?;
        partition("clients.partition", self.partition)
    }
}

impl LocalSpec {
    fn check(&self) -> Checked {
        at_least_one("local.epochs", Some(self.epochs))?;
        at_least_one("local.batch_size", Some(self.batch_size))?;
        range("local.lr", self.lr, self.lr > 0.0, "above 0", "0.05")?;
        let below_one = [("momentum", self.momentum), ("beta1", self.beta1), ("beta2", self.beta2)];
        for (name, value) in below_one {
            let good = (0.0..1.0).contains(&value);
            range(&format!("local.{name}"), value, good, "at least 0 and below 1", "0.9")?;
        }
        range(
            "local.weight_decay",
            self.weight_decay,
            self.weight_decay >= 0.0,
            "at least 0",
            "0.0005",
        )?;
        range("local.prox", self.prox, self.prox >= 0.0, "at least 0", "0.01")?;
        match self.schedule {
            Schedule::Constant => Ok(()),
            Schedule::Cosine { least, .. } => range(
                "local.schedule.least",
                least,
                (0.0..=1.0).contains(&least),
                "in [0, 1]",
                "0.01",
            ),
            Schedule::Step { every, factor } => {
                at_least_one("local.schedule.every", Some(every))?;
                let good = factor > 0.0 && factor <= 1.0;
                range("local.schedule.factor", factor, good, "in (0, 1]", "0.5")
            }
        }
    }
}

fn server(server: &ServerSpec) -> Checked {
    match *server {
        ServerSpec::Fedavg { lr } => range("server.lr", lr, lr > 0.0, "above 0", "1.0"),
        ServerSpec::Fedadam { lr, beta1, beta2, tau } => {
            range("server.lr", lr, lr > 0.0, "above 0", "0.01")?;
            for (name, value) in [("beta1", beta1), ("beta2", beta2)] {
                let good = (0.0..1.0).contains(&value);
                range(&format!("server.{name}"), value, good, "at least 0 and below 1", "0.9")?;
            }
            range("server.tau", tau, tau > 0.0, "above 0", "0.001")
        }
    }
}

impl RobustnessSpec {
    fn check(&self) -> Checked {
        at_least_one("robustness.pgd_steps", Some(self.pgd_steps))?;
        at_least_one("robustness.examples", Some(self.examples))?;
        let lists = [
            ("noise", &self.noise),
            ("blur", &self.blur),
            ("fgsm", &self.fgsm),
            ("pgd", &self.pgd),
        ];
        for (name, strengths) in lists {
            for value in strengths {
                range(&format!("robustness.{name}"), *value, *value > 0.0, "above 0", "0.1")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_guarded() {
        type Spoil = fn(&mut TrainSpec);
        let cases: [(&str, Spoil); 15] = [
            ("name: ", |s| s.name.clear()),
            ("task.dataset: ", |s| s.task.dataset.clear()),
            ("rounds: ", |s| s.rounds = 0),
            ("clients.total: ", |s| s.clients.total = 0),
            ("clients.per_round: ", |s| s.clients.per_round = Some(9)),
            ("clients.sampling: ", |s| s.clients.sampling = ClientSampling::Poisson),
            ("clients.dropout: ", |s| s.clients.dropout = 1.0),
            ("local.lr: ", |s| s.local.lr = f64::NAN),
            ("local.beta2: ", |s| s.local.beta2 = 1.0),
            ("local.prox: ", |s| s.local.prox = -1.0),
            ("local.schedule.least: ", |s| {
                s.local.schedule = Schedule::Cosine { least: 2.0, warmup: 0 }
            }),
            ("server.tau: ", |s| {
                s.server = ServerSpec::Fedadam { lr: 1.0, beta1: 0.9, beta2: 0.9, tau: 0.0 }
            }),
            ("evaluation.every: ", |s| s.evaluation.every = 0),
            ("robustness.pgd: ", |s| s.robustness.pgd = vec![0.0]),
            ("clients.total: ", |s| {
                (s.clients.total, s.regime) = (1, Regime::SingleClient);
            }),
        ];
        for (path, spoil) in cases {
            let mut spec = TrainSpec::new("t", "digits", "mlp");
            spec.check().unwrap();
            spoil(&mut spec);
            let line = spec.check().unwrap_err().to_string();
            assert!(
                line.starts_with(path) && line.contains("; ") && !line.contains('\n'),
                "{line}"
            );
        }
    }
}
