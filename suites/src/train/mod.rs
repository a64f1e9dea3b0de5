//! The language of tasks: a training, centralised or federated, fully spelled out ([`TrainSpec`]),
//! read from a TOML file.

mod check;
mod library;
mod load;
mod spec;

pub use load::{describe, load, names, overridden};
pub use spec::{
    ClientSampling, ClientsSpec, EvaluationSpec, LocalSpec, Optimizer, Regime, RobustnessSpec,
    Schedule, ServerSpec, TrainSpec,
};
