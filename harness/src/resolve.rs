//! From a cell's names to the things they name, with every parameter checked, before anything runs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use attacks::Attack;
use datasets::{Dataset, LabelKind};
use defenses::DefensePipeline;
use federation::{Components, Federation, FederationError, components, pilot};
use learning::Network;
use suites::federation::Optimizer;
use suites::{BatchNorm, CellSpec, Fact, Source, SpecError, TrainSpec, Vantage};

use crate::{HarnessError, Registries, vantage};

/// A cell whose names are resolved and whose parameters are checked.
pub struct ResolvedCell {
    /// The spec it came from, model, attack and defenses fully spelled out.
    pub spec: CellSpec,
    /// The data.
    pub data: Arc<dyn Dataset>,
    /// The architecture with the data's normalisation.
    pub net: Arc<Network>,
    /// The defenses in order, and how updates travel; `plain` where the spec names no protocol.
    pub pipeline: Arc<DefensePipeline>,
    /// The attack.
    pub attack: Box<dyn Attack>,
}

/// Writes out the defaults of a cell's model, attack and defenses, so that its id covers them.
///
/// # Errors
/// Unknown names and parameters out of range.
pub fn spell_out(registries: &Registries, spec: &mut CellSpec) -> Result<(), SpecError> {
    let attack = registries.attacks.find(&spec.attack.name)?;
    spec.attack.params = attack.spell_out(&spec.attack.params)?;
    registries.federation.spell_out(&mut spec.model, &mut spec.defenses)
}

/// Builds everything a cell names.
///
/// # Errors
/// Unknown names, parameters out of range, absent data, a model that cannot take the data's shape,
/// a vantage that no attack here can take.
pub fn resolve(
    registries: &Registries,
    spec: &CellSpec,
    root: Option<&Path>,
) -> Result<ResolvedCell, HarnessError> {
    let mut spec = spec.clone();
    attacked_from(spec.vantage)?;
    spell_out(registries, &mut spec)?;
    let attack = (registries.attacks.find(&spec.attack.name)?.build)(&spec.attack.params)?;
    let parts = &registries.federation;
    let found =
        components::resolve(parts, &spec.task, &spec.model, &spec.defenses, spec.seed, root)?;
    let Components { data, net, pipeline } = found;
    Ok(ResolvedCell { spec, data, net, pipeline, attack })
}

/// The training whose round a cell attacks.
fn training(spec: &CellSpec) -> TrainSpec {
    TrainSpec {
        task: spec.task.clone(),
        model: spec.model.clone(),
        federation: spec.federation.clone(),
        source: spec.source,
        defenses: spec.defenses.clone(),
        seed: spec.seed,
        ..TrainSpec::new("", "", "")
    }
}

/// Refuses an adversary that changes the model it sends: every attack here only looks.
fn attacked_from(vantage: Vantage) -> Result<(), SpecError> {
    if vantage != Vantage::MaliciousServer {
        return Ok(());
    }
    let problem = "is `malicious-server`, but no attack here alters the model that it sends";
    Err(SpecError::value("vantage", problem, "write `server` for one that only looks"))
}

impl ResolvedCell {
    /// Why this cell cannot be run as specified, where it cannot: the attack needs what the threat
    /// withholds.
    pub fn not_applicable(&self) -> Option<String> {
        let facts = &self.spec.facts;
        let counted = |fact: &Fact| *fact == Fact::LocalSteps && facts.contains(&Fact::StepCount);
        let granted = |fact: &Fact| facts.contains(fact) || counted(fact);
        let missing: Vec<String> =
            self.attack.needs().iter().filter(|f| !granted(f)).map(Fact::to_string).collect();
        if !missing.is_empty() {
            return Some(format!(
                "attack `{}` needs {}, which the threat model withholds",
                self.spec.attack.name,
                missing.join(", ")
            ));
        }
        let scaled = self.spec.source == Source::Gradients || granted(&Fact::LearningRate);
        if !scaled && !self.attack.reads_directions() {
            return Some(
                "without the learning rate an update is a direction, and this attack compares \
                 sizes; use one that compares cosines, such as `inverting-gradients`"
                    .into(),
            );
        }
        if self.spec.federation.local.augment && self.spec.source == Source::Gradients {
            return Some(
                "a bare gradient is taken of unaugmented images; use one_step_update, or augment \
                 = false"
                    .into(),
            );
        }
        if let Some(why) = self.unread_rule() {
            return Some(why);
        }
        vantage::not_observable(self)
            .or_else(|| self.multi_label_matched())
            .or_else(|| self.single_valued())
    }

    /// A client with one example cannot take BatchNorm's statistics of a single value.
    fn single_valued(&self) -> Option<String> {
        let spec = &self.spec;
        let batch = spec.federation.local.batch_size;
        let least = match self.local_examples() {
            Some(n) if !spec.source.is_single_step() && n % batch.max(1) > 0 => n % batch,
            Some(n) => n.min(batch),
            None => batch,
        };
        if spec.model.batch_norm == BatchNorm::Eval || least > 1 {
            return None;
        }
        self.net.single_valued_norm().map(|name| {
            format!(
                "BatchNorm in train mode sees one value a channel of one example at `{name}`: no \
                 client could train so; use batch_norm = \"eval\", a larger batch or larger images"
            )
        })
    }

    /// Local rules that no attack here reads an update under.
    fn unread_rule(&self) -> Option<String> {
        let local = &self.spec.federation.local;
        if self.attack.needs().contains(&Fact::LocalSteps) {
            return None; // It follows the steps as they are.
        }
        if self.spec.source != Source::Gradients && local.optimizer == Optimizer::Adam {
            return Some(
                "an update by Adam cannot be read as a gradient; use SGD, or an attack with \
                 unroll = true"
                    .into(),
            );
        }
        let epochs = !self.spec.source.is_single_step();
        (epochs && local.prox > 0.0).then(|| {
            "FedProx pulls local steps back, which only an attack with unroll = true follows; use \
             prox = 0"
                .into()
        })
    }

    /// Labels of a multi-label task cannot be read off a softmax gradient.
    fn multi_label_matched(&self) -> Option<String> {
        let multi = self.data.card().labels == LabelKind::MultiLabel;
        (multi && self.attack.infers_labels(&self.spec.facts)).then(|| {
            "label inference is defined for one class an image; on multi-label tasks grant the \
             fact `labels` (and set labels = \"known\" where the attack has it); attack `labels` \
                 reads them with method = \"signs\""
                .into()
        })
    }

    /// The same with a number in the place of every clipping norm that is a quantile on public
    /// data; minutes on a large network, once a process.
    ///
    /// # Errors
    /// As [`pilot::fit`].
    pub fn measured(self, cancel: &AtomicBool) -> Result<ResolvedCell, HarnessError> {
        self.with(|training, components| pilot::fit(training, components, cancel))
    }

    /// The same as a check before a run sees it: as [`ResolvedCell::measured`], with nothing
    /// measured.
    ///
    /// # Errors
    /// As [`pilot::assumed`].
    pub fn assumed(self) -> Result<ResolvedCell, HarnessError> {
        self.with(pilot::assumed)
    }

    fn with(
        self,
        bounds: impl FnOnce(&TrainSpec, Components) -> Result<Components, FederationError>,
    ) -> Result<ResolvedCell, HarnessError> {
        let ResolvedCell { spec, data, net, pipeline, attack } = self;
        let found = bounds(&training(&spec), Components { data, net, pipeline })?;
        let Components { data, net, pipeline } = found;
        Ok(ResolvedCell { spec, data, net, pipeline, attack })
    }

    /// The federation that it attacks, ready to take rounds.
    ///
    /// # Errors
    /// A client without examples, defenses or a protocol that cannot work in this federation, a
    /// clipping norm that was not [measured](ResolvedCell::measured).
    pub fn federation(&self) -> Result<Federation, HarnessError> {
        let (data, net, pipeline) = (self.data.clone(), self.net.clone(), self.pipeline.clone());
        Ok(federation::assemble(training(&self.spec), Components { data, net, pipeline })?)
    }

    /// Examples a client works on in the captured round; `None` where that is all it holds.
    pub fn local_examples(&self) -> Option<usize> {
        let (local, clients) = (&self.spec.federation.local, &self.spec.federation.clients);
        match (self.spec.source.is_single_step(), self.spec.federation.is_bare()) {
            (true, _) => Some(local.batch_size),
            (false, true) => Some(clients.examples.unwrap_or(local.batch_size)),
            (false, false) => clients.examples,
        }
    }
}
