//! The federated loop: a federation prepared from its spec, its rounds one after the other, what
//! each of them reached and cost, and a folder that survives any interruption.

mod bare;
mod client_batch;
mod cohort;
pub mod comm_cost;
pub mod components;
pub mod context;
mod error;
mod federation;
mod folder;
pub mod init;
pub mod model_file;
pub use learning::panics;
pub mod model_hash;
pub mod pilot;
pub mod privacy;
mod quality;
pub mod randomness;
mod registries;
mod rehearsal;
mod robustness;
mod round;
mod round_plan;
mod summary;
mod train;
mod workers;

pub use client_batch::Examples;
pub use cohort::Cohort;
pub use components::Components;
pub use error::FederationError;
pub use federation::{Federation, assemble, local_training, prepare};
pub use folder::{Folder, Header, STATE, TRAINING};
pub use quality::{evaluate, judge};
pub use registries::Registries;
pub use round::{PlayedRound, RoundOutcome, TrainingState, Watch, next, play, start};
pub use round_plan::RoundPlan;
pub use summary::{is_training, write as write_report};
pub use train::{Execution, TrainingResult, train};
