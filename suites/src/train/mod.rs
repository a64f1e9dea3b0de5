//! The language of tasks: a training, centralised or federated, fully spelled out ([`TrainSpec`]),
//! read from a TOML file.

mod library;
mod load;
mod spec;

pub use load::{Task, describe, load, names, overridden, revive};
pub use spec::{RobustnessSpec, TrainSpec};
