//! What the names of a federation stand for: data sets, models, defenses and protocols.

use datasets::DatasetEntry;
use learning::models::Architecture;
use suites::{Entry, ModelSpec, Named, Registry, SpecError};

/// The registries that a federation is built from.
#[derive(Clone, Debug)]
pub struct Registries {
    /// Data sets.
    pub datasets: Registry<DatasetEntry>,
    /// Architectures.
    pub models: Registry<Entry<dyn Architecture>>,
    /// Defenses and protocols.
    pub defenses: defenses::Registries,
}

impl Registries {
    /// What ships with the project.
    pub fn builtin() -> Registries {
        Registries {
            datasets: datasets::builtin(),
            models: learning::models::builtin(),
            defenses: defenses::Registries::builtin(),
        }
    }

    /// Writes out the defaults of a model and a list of defenses, so that ids and the keys of
    /// random streams cover them.
    ///
    /// # Errors
    /// Unknown names and parameters out of range.
    pub fn spell_out(&self, model: &mut ModelSpec, items: &mut [Named]) -> Result<(), SpecError> {
        model.params = self.models.find(&model.name)?.spell_out(&model.params)?;
        defenses::pipeline::spell_out(&self.defenses, items)
    }
}
