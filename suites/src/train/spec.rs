//! One training: who holds what, how clients and server step, what defends the updates, and how the
//! model is judged.

use serde::{Deserialize, Serialize};

use crate::SpecError;
use crate::check::{Checked, at_least_one, fail, model, named, present, range, task};
use crate::federation::{FederationSpec, Regime};
use crate::spec::{ModelSpec, Named, Source, Split, TaskSpec};

/// A training, fully spelled out.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TrainSpec {
    /// Name of the task.
    pub name: String,
    /// What it is, in one line.
    pub description: String,
    /// The data and what is predicted from them.
    pub task: TaskSpec,
    /// The network.
    pub model: ModelSpec,
    /// Who trains, how often and how.
    pub federation: FederationSpec,
    /// What clients send in every round.
    pub source: Source,
    /// Defenses and at most one protocol, in the order in which they act.
    pub defenses: Vec<Named>,
    /// Corruptions and attacks on inputs under which the last model is judged again.
    pub robustness: RobustnessSpec,
    /// Root of all randomness.
    pub seed: u64,
}

/// Strengths at which accuracy is measured again, each list empty where it is not wanted. Pixels
/// lie in [0, 1].
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct RobustnessSpec {
    /// Standard deviations of Gaussian noise on the pixels.
    pub noise: Vec<f64>,
    /// Standard deviations of a Gaussian blur, in pixels.
    pub blur: Vec<f64>,
    /// L-infinity radii of FGSM (Goodfellow et al., 2015).
    pub fgsm: Vec<f64>,
    /// L-infinity radii of PGD (Madry et al., 2018).
    pub pgd: Vec<f64>,
    /// Steps of PGD, each of 2.5 radius / steps, from a random start.
    pub pgd_steps: usize,
    /// Test examples at most.
    pub examples: usize,
}

impl Default for RobustnessSpec {
    fn default() -> Self {
        let none = Vec::new;
        RobustnessSpec {
            noise: none(),
            blur: none(),
            fgsm: none(),
            pgd: none(),
            pgd_steps: 10,
            examples: 1000,
        }
    }
}

impl TrainSpec {
    /// Ten rounds of FedAvg among five clients, with these three names.
    pub fn new(name: &str, dataset: &str, model: &str) -> TrainSpec {
        let task = TaskSpec {
            dataset: dataset.into(),
            split: Split::Train,
            label: None,
            size: None,
            limit: None,
        };
        TrainSpec {
            name: name.into(),
            description: String::new(),
            task,
            model: ModelSpec::named(model),
            federation: FederationSpec::new(Regime::Federated),
            source: Source::LocalUpdate,
            defenses: Vec::new(),
            robustness: RobustnessSpec::default(),
            seed: 0,
        }
    }

    /// Hash of everything but the description: two trainings with the same digest are the same
    /// experiment.
    pub fn digest(&self) -> String {
        let bare = TrainSpec { description: String::new(), ..self.clone() };
        let value = serde_json::to_value(bare).unwrap_or_default();
        crate::canonical::digest(&crate::canonical::text(&value))
    }
}

impl TrainSpec {
    /// Checks what can be known without data, models or registries: ranges and contradictions.
    ///
    /// # Errors
    /// The first thing wrong, as [`SpecError::Value`].
    pub fn check(&self) -> Result<(), SpecError> {
        present("name", &self.name, "name the task")?;
        task(&self.task)?;
        model(&self.model)?;
        self.federation.check()?;
        if self.federation.is_bare() {
            return fail(
                "federation.regime",
                "is \"bare\": a single release trains nothing",
                "write \"federated\", \"centralised\" or \"single-client\"",
            );
        }
        for (index, defense) in self.defenses.iter().enumerate() {
            named(&format!("defenses.{index}"), defense, "a defense, such as `dp-sgd`")?;
        }
        self.robustness.check()
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
    use crate::federation::{ClientSampling, Schedule, ServerSpec};

    #[test]
    fn every_field_is_guarded() {
        type Spoil = fn(&mut TrainSpec);
        let cases: [(&str, Spoil); 16] = [
            ("name: ", |s| s.name.clear()),
            ("task.dataset: ", |s| s.task.dataset.clear()),
            ("federation.rounds: ", |s| s.federation.rounds = 0),
            ("federation.clients.total: ", |s| s.federation.clients.total = 0),
            ("federation.clients.per_round: ", |s| s.federation.clients.per_round = Some(9)),
            ("federation.clients.sampling: ", |s| {
                s.federation.clients.sampling = ClientSampling::Poisson
            }),
            ("federation.clients.dropout: ", |s| s.federation.clients.dropout = 1.0),
            ("federation.local.lr: ", |s| s.federation.local.lr = f64::NAN),
            ("federation.local.beta2: ", |s| s.federation.local.beta2 = 1.0),
            ("federation.local.prox: ", |s| s.federation.local.prox = -1.0),
            ("federation.local.schedule.least: ", |s| {
                s.federation.local.schedule = Schedule::Cosine { least: 2.0, warmup: 0 }
            }),
            ("federation.server.tau: ", |s| {
                s.federation.server =
                    ServerSpec::Fedadam { lr: 1.0, beta1: 0.9, beta2: 0.9, tau: 0.0 }
            }),
            ("federation.evaluation.every: ", |s| s.federation.evaluation.every = 0),
            ("robustness.pgd: ", |s| s.robustness.pgd = vec![0.0]),
            ("federation.regime: ", |s| s.federation = FederationSpec::new(Regime::Bare)),
            ("federation.clients.total: ", |s| {
                (s.federation.clients.total, s.federation.regime) = (1, Regime::SingleClient);
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
