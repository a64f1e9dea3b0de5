//! Trainings: a federation prepared from its spec, its rounds one after the other, what each of
//! them reached and cost, and a folder that survives any interruption.

mod cohort;
mod engine;
mod examples;
mod federation;
mod folder;
mod quality;
mod robustness;
mod round;
mod summary;
mod workers;

pub use engine::{Execution, Told, train};
pub use federation::{Federation, prepare};
pub use folder::{Folder, Header, STATE, TRAINING};
pub use quality::{evaluate, judge};
pub use summary::{is_training, write as write_report};
