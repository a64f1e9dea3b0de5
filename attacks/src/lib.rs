//! Everything an adversary does with an [`learning::Observation`].
//!
//! This crate cannot name the data: what an attack knows is the observation, and nothing here
//! depends on `datasets`.

pub mod adaptive;
pub mod analytic;
mod attack;
mod error;
pub mod feature_inversion;
pub mod inversion;
pub mod labels;
mod layers;
pub mod matching;
pub mod optim;
mod patches;
pub mod presets;
pub mod strongest;
pub mod undo;

pub use attack::{Attack, Calibration, Choice, Progress, Reconstruction, Run};
pub use error::AttackError;
use suites::{Entry, Registry};

/// The attacks that ship with the project.
pub fn builtin() -> Registry<Entry<dyn Attack>> {
    Registry::builtin("attack", ENTRIES)
}

/// All attacks.
pub static ENTRIES: &[&Entry<dyn Attack>] = &[
    &presets::dlg::ENTRY,
    &presets::idlg::ENTRY,
    &presets::inverting_gradients::ENTRY,
    &presets::inverting_gradients::COMMAND_LINE,
    &presets::breaching_modern::ENTRY,
    &presets::fl_attack::ENTRY,
    &adaptive::ENTRY,
    &strongest::ENTRY,
    &analytic::ENTRY,
    &feature_inversion::ENTRY,
    &inversion::ENTRY,
    &labels::ENTRY,
];
