//! Range checks of a spec, each with the dotted path, what is wrong and how to mend it.

use crate::SpecError;
use crate::federation::Regime;
use crate::spec::{CellSpec, Fact, ModelSpec, Named, Partition, TaskSpec, Vantage};

pub(crate) type Checked = Result<(), SpecError>;

impl CellSpec {
    /// Checks what can be known without data, models or registries: ranges and contradictions.
    ///
    /// # Errors
    /// The first thing wrong, as [`SpecError::Value`].
    pub fn check(&self) -> Result<(), SpecError> {
        task(&self.task)?;
        model(&self.model)?;
        self.federation.check()?;
        self.check_capture()?;
        self.check_adversary()?;
        named("attack", &self.attack, "an attack, such as `fl-attack`")?;
        for (index, defense) in self.defenses.iter().enumerate() {
            named(&format!("defenses.{index}"), defense, "a defense, such as `dp-local`")?;
        }
        at_least_one("trials", Some(self.trials))
    }

    fn check_capture(&self) -> Checked {
        let (federation, round) = (&self.federation, self.capture.round);
        if !matches!(federation.regime, Regime::Bare | Regime::Federated) {
            return fail(
                "federation.regime",
                format!("is \"{}\": no update travels that could be captured", federation.regime),
                "write \"federated\", or \"bare\" for a single release",
            );
        }
        if round >= federation.rounds {
            return fail(
                "capture.round",
                format!("is {round}, but the rounds run from 0 to {}", federation.rounds - 1),
                "lower it, or raise `federation.rounds` (with federation.regime = \"federated\")",
            );
        }
        Ok(())
    }

    fn check_adversary(&self) -> Checked {
        if let Vantage::Colluding { k } = self.vantage {
            let clients = self.federation.cohort();
            if k == 0 {
                return fail(
                    "vantage",
                    "`colluding-0` has no colluding client",
                    "write `server`, or at least `colluding-1`",
                );
            }
            if k >= clients {
                let problem = format!("{k} colluding clients leave no victim among {clients}");
                return fail(
                    "vantage",
                    problem,
                    format!("raise `federation.clients.total` above {k}, or let fewer collude"),
                );
            }
        }
        let twice = |(i, fact): (usize, &Fact)| self.facts[..i].contains(fact).then_some(*fact);
        match self.facts.iter().enumerate().find_map(twice) {
            Some(fact) => fail("facts", format!("`{fact}` is listed twice"), "list each fact once"),
            None => Ok(()),
        }
    }
}

/// Range checks of the data.
pub(crate) fn task(task: &TaskSpec) -> Checked {
    present("task.dataset", &task.dataset, "name a data set, such as `photos`")?;
    if let Some(label) = &task.label {
        present("task.label", label, "name an attribute, such as `Male`, or leave it out")?;
    }
    at_least_one("task.size", task.size)?;
    at_least_one("task.limit", task.limit)
}

/// Range checks of the network.
pub(crate) fn model(model: &ModelSpec) -> Checked {
    present("model.name", &model.name, "name a model, such as `simple-cnn`")?;
    let Some(path) = &model.weights else { return Ok(()) };
    match path.to_str() {
        None => fail("model.weights", "the path is not valid UTF-8", "rename the file"),
        Some(text) => present("model.weights", text, "give a file, or leave it out"),
    }
}

/// Range checks of how examples are divided.
pub(crate) fn partition(path: &str, partition: Partition) -> Checked {
    match partition {
        Partition::Dirichlet { alpha } => {
            range(&format!("{path}.alpha"), alpha, alpha > 0.0, "above 0", "0.5")
        }
        Partition::Shards { per_client } => {
            at_least_one(&format!("{path}.per_client"), Some(per_client))
        }
        Partition::Iid | Partition::ByIdentity | Partition::RepeatedLabels { .. } => Ok(()),
    }
}

pub(crate) fn named(path: &str, entry: &Named, example: &str) -> Checked {
    present(&format!("{path}.name"), &entry.name, &format!("name {example}"))?;
    if entry.params.contains_key("name") {
        fail(path, "a parameter is called `name`", "rename it")
    } else {
        Ok(())
    }
}

pub(crate) fn present(path: &str, text: &str, remedy: &str) -> Checked {
    if text.trim().is_empty() { fail(path, "is missing or empty", remedy) } else { Ok(()) }
}

pub(crate) fn at_least_one(path: &str, count: Option<usize>) -> Checked {
    match count {
        Some(0) => fail(path, "must be at least 1, got 0", "write 1 or more"),
        _ => Ok(()),
    }
}

/// `good` must not hold for NaN; infinities are refused here.
pub(crate) fn range(path: &str, value: f64, good: bool, allowed: &str, example: &str) -> Checked {
    if good && value.is_finite() {
        Ok(())
    } else {
        fail(path, format!("must be {allowed}, got {value}"), format!("write such as {example}"))
    }
}

pub(crate) fn fail(path: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Checked {
    Err(SpecError::value(path, problem, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::federation::{FederationSpec, ServerSpec};
    use std::path::PathBuf;

    fn said(spoil: impl FnOnce(&mut CellSpec)) -> String {
        let mut spec = CellSpec::new("photos", "simple-cnn", "dlg");
        spec.check().unwrap();
        spoil(&mut spec);
        spec.check().unwrap_err().to_string()
    }

    #[test]
    fn every_field_is_guarded() {
        type Spoil = fn(&mut CellSpec);
        let cases: [(&str, Spoil); 25] = [
            ("task.dataset: ", |s| s.task.dataset.clear()),
            ("task.label: ", |s| s.task.label = Some(" ".into())),
            ("task.size: ", |s| s.task.size = Some(0)),
            ("task.limit: ", |s| s.task.limit = Some(0)),
            ("model.name: ", |s| s.model.name.clear()),
            ("model.weights: ", |s| s.model.weights = Some(PathBuf::new())),
            ("federation.clients.total: ", |s| s.federation.clients.total = 0),
            ("federation.local.batch_size: ", |s| s.federation.local.batch_size = 0),
            ("federation.local.epochs: ", |s| s.federation.local.epochs = 0),
            ("federation.clients.examples: ", |s| s.federation.clients.examples = Some(0)),
            ("federation.local.lr: ", |s| s.federation.local.lr = 0.0),
            ("federation.local.lr: ", |s| s.federation.local.lr = f64::INFINITY),
            ("federation.local.momentum: ", |s| s.federation.local.momentum = 1.0),
            ("federation.local.weight_decay: ", |s| s.federation.local.weight_decay = -1.0),
            ("federation.clients.partition.alpha: ", |s| {
                s.federation.clients.partition = Partition::Dirichlet { alpha: 0.0 }
            }),
            ("federation.clients.partition: ", |s| {
                s.federation.clients.partition = Partition::RepeatedLabels { repeats: 1 }
            }),
            ("federation.clients.partition: ", |s| {
                s.federation = FederationSpec::new(Regime::Federated);
                s.federation.clients.partition = Partition::RepeatedLabels { repeats: 1 }
            }),
            ("federation.rounds: ", |s| s.federation.rounds = 2),
            ("federation.server: ", |s| s.federation.server = ServerSpec::Fedavg { lr: 0.5 }),
            ("federation.regime: ", |s| s.federation = FederationSpec::new(Regime::Centralised)),
            ("capture.round: ", |s| s.capture.round = 1),
            ("vantage: ", |s| s.vantage = Vantage::Colluding { k: 0 }),
            ("facts: ", |s| s.facts.push(Fact::BatchSize)),
            ("attack.name: ", |s| s.attack.name.clear()),
            ("trials: ", |s| s.trials = 0),
        ];
        for (path, spoil) in cases {
            let line = said(spoil);
            assert!(
                line.starts_with(path) && line.contains("; ") && !line.contains('\n'),
                "{line}"
            );
        }
    }

    #[test]
    fn contradictions_name_both_sides() {
        let line = said(|s| {
            s.federation.clients.total = 3;
            s.vantage = Vantage::Colluding { k: 3 };
        });
        assert!(line.contains("no victim among 3") && line.contains("above 3"), "{line}");
        let line = said(|s| {
            s.federation.local.batch_size = 8;
            s.federation.clients.examples = Some(4);
        });
        assert!(line.contains("holds 4 examples, fewer than one batch of 8"), "{line}");
    }
}
