//! What a federation is made of, resolved from names: data, network and the pipeline of defenses.

use std::path::Path;
use std::sync::Arc;

use datasets::Dataset;
use defenses::{DefensePipeline, pipeline};
use learning::Network;
use suites::{ModelSpec, Named, TaskSpec};

use crate::{FederationError, Registries, init};

/// Data, network and defenses; cheap to clone.
#[derive(Clone)]
pub struct Components {
    /// The data.
    pub data: Arc<dyn Dataset>,
    /// The architecture with the data's normalisation, and with what defenses change in it.
    pub net: Arc<Network>,
    /// The defenses in order, and the protocol (`plain` where none is named).
    pub pipeline: Arc<DefensePipeline>,
}

/// Resolves names and builds what they name.
///
/// # Errors
/// Unknown names, parameters out of range, absent data, a model that cannot take the data's shape.
pub fn resolve(
    registries: &Registries,
    task: &TaskSpec,
    model: &ModelSpec,
    defenses: &[Named],
    seed: u64,
    root: Option<&Path>,
) -> Result<Components, FederationError> {
    let pipeline = pipeline::build(&registries.defenses, defenses)?;
    let data = init::open(registries, task, seed, root)?;
    let mut net = init::network(registries, model, data.card())?;
    for defense in &pipeline.defenses {
        net = defense.model(net)?;
    }
    Ok(Components { data: data.into(), net: Arc::new(net), pipeline: Arc::new(pipeline) })
}
