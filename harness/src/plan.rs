//! From a cell's names to the things they name, with every parameter checked, before anything runs.

use std::path::Path;

use attacks::Attack;
use datasets::{Card, Dataset, LabelKind, Request};
use defenses::Defense;
use learning::client::LocalTraining;
use learning::models::Shape;
use learning::{Mode, Network};
use protocols::Protocol;
use suites::{BatchNorm, CellSpec, Fact, ModelSpec, Source, SpecError, Vantage};

use crate::round::Terms;
use crate::{HarnessError, line, vantage};

/// A cell whose names are resolved and whose parameters are checked.
pub struct Trial {
    /// The spec it came from, attack and defences fully spelled out.
    pub spec: CellSpec,
    /// The data.
    pub data: Box<dyn Dataset>,
    /// The architecture with the data's normalisation.
    pub net: std::sync::Arc<Network>,
    /// The defences in order, without the protocol.
    pub defenses: Vec<Box<dyn Defense>>,
    /// How updates travel; `plain` where the spec names no protocol.
    pub protocol: Box<dyn Protocol>,
    /// The attack.
    pub attack: Box<dyn Attack>,
}

/// Writes out the defaults of a cell's attack and defences, so that its id covers them.
///
/// # Errors
/// Unknown names and parameters out of range.
pub fn spell_out(spec: &mut CellSpec) -> Result<(), SpecError> {
    let attack = suites::find("attack", attacks::ENTRIES, &spec.attack.name)?;
    spec.attack.params = (attack.build)(&spec.attack.params)?.spelled_out();
    for named in &mut spec.defenses {
        named.params = line::part(named)?.spelled_out();
    }
    Ok(())
}

/// Builds everything a cell names.
///
/// # Errors
/// Unknown names, parameters out of range, absent data, a model that cannot take the data's shape,
/// a vantage that no attack here can take.
pub fn build(spec: &CellSpec, root: Option<&Path>) -> Result<Trial, HarnessError> {
    let mut spec = spec.clone();
    attacked_from(spec.vantage)?;
    spell_out(&mut spec)?;
    let data = open(&spec, root)?;
    let attack =
        (suites::find("attack", attacks::ENTRIES, &spec.attack.name)?.build)(&spec.attack.params)?;
    let line::Line { defenses, protocol } = line::up(&spec.defenses)?;
    let mut net = network(&spec.model, data.card())?;
    for defense in &defenses {
        net = defense.model(net)?;
    }
    Ok(Trial { data, net: std::sync::Arc::new(net), defenses, protocol, attack, spec })
}

/// Refuses an adversary that changes the model it sends: every attack here only looks.
fn attacked_from(vantage: Vantage) -> Result<(), SpecError> {
    if vantage != Vantage::MaliciousServer {
        return Ok(());
    }
    let problem = "is `malicious-server`, but no attack here alters the model that it sends";
    Err(SpecError::value("vantage", problem, "write `server` for one that only looks"))
}

fn open(spec: &CellSpec, root: Option<&Path>) -> Result<Box<dyn Dataset>, HarnessError> {
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

/// The architecture on data of that shape, with their normalisation.
///
/// # Errors
/// Unknown names, parameters out of range, a model that cannot take the data's shape.
pub fn network(spec: &ModelSpec, card: &Card) -> Result<Network, HarnessError> {
    let input = match card.kind {
        datasets::Kind::Image => vec![card.channels as i64, card.height as i64, card.width as i64],
        datasets::Kind::Table => vec![card.channels as i64],
    };
    let architecture =
        (suites::find("model", learning::models::ENTRIES, &spec.name)?.build)(&spec.params)?;
    let model = architecture.build(&Shape { input, classes: card.classes as i64 })?;
    Ok(Network::new(model, card.mean.clone(), card.std.clone()))
}

impl Trial {
    /// Why this cell cannot be run as specified, where it cannot: the attack needs what the threat
    /// withholds.
    pub fn not_applicable(&self) -> Option<String> {
        let granted = |fact: &Fact| self.spec.facts.contains(fact);
        let missing: Vec<String> =
            self.attack.needs().iter().filter(|f| !granted(f)).map(Fact::to_string).collect();
        if !missing.is_empty() {
            return Some(format!(
                "attack `{}` needs {}, which the threat model withholds",
                self.spec.attack.name,
                missing.join(", ")
            ));
        }
        if self.spec.source != Source::Gradients && !granted(&Fact::LearningRate) {
            return Some(
                "an update can only be read as a gradient by an adversary who knows the learning \
                 rate"
                    .into(),
            );
        }
        if self.spec.training.augment && self.spec.source == Source::Gradients {
            return Some(
                "a bare gradient is taken of unaugmented images; use one_step_update, or augment \
                 = false"
                    .into(),
            );
        }
        vantage::unseen(self).or_else(|| self.multi_label_matched())
    }

    /// Labels of a multi-label task cannot be read off a softmax gradient.
    fn multi_label_matched(&self) -> Option<String> {
        let multi = self.data.card().labels == LabelKind::MultiLabel;
        (multi && self.attack.infers_labels(&self.spec.facts)).then(|| {
            "label inference is defined for one class an image; on multi-label tasks grant the \
             fact `labels` (and set labels = \"known\" where the attack has it)"
                .into()
        })
    }

    /// What its federation agrees on; `key` and `secrets` are the keys of its streams.
    pub fn terms<'a>(&'a self, key: &'a str, secrets: &'a str) -> Terms<'a> {
        Terms {
            net: &self.net,
            defenses: &self.defenses,
            protocol: self.protocol.as_ref(),
            seed: self.spec.seed,
            key,
            secrets,
        }
    }

    /// Key of the protocol's secrets in the federation whose streams have that key.
    pub fn secrets(&self, key: &str) -> String {
        format!("{key} {:?} {:?}", self.spec.model, self.spec.defenses)
    }

    /// Local SGD as the clients run it.
    pub fn local(&self) -> LocalTraining {
        let t = &self.spec.training;
        LocalTraining {
            epochs: if self.spec.source == Source::OneStepUpdate { 1 } else { t.local_epochs },
            batch_size: t.batch_size,
            lr: t.lr,
            momentum: t.momentum,
            weight_decay: t.weight_decay,
            augment: t.augment,
            ..LocalTraining::default()
        }
    }

    /// Examples a client works on in the captured round.
    pub fn local_examples(&self) -> usize {
        let t = &self.spec.training;
        match self.spec.source {
            Source::Gradients | Source::OneStepUpdate => t.batch_size,
            Source::LocalUpdate | Source::AggUpdate => t.local_examples.unwrap_or(t.batch_size),
        }
    }

    /// BatchNorm's mode on the clients.
    pub fn mode(&self) -> Mode {
        match self.spec.model.batch_norm {
            BatchNorm::Train => Mode::Train,
            BatchNorm::Eval => Mode::Eval,
        }
    }
}
