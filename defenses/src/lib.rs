//! What clients and servers do to protect an update; how it travels is in `protocols`. One defense
//! a file; hooks default to "undefended".

mod defense;
pub mod dp;
pub mod perturbation;
pub mod pipeline;
#[cfg(test)]
mod testing;

pub use defense::{
    CapturedRound, Defense, DefenseError, Deployment, Examples, Released, Stage, Turn,
};
pub use dp::Budget;
pub use pipeline::{DefensePipeline, Registries};
use suites::Entry;

/// All defenses (protocols have a list of their own); an empty list in a suite is "none".
pub static ENTRIES: &[&Entry<dyn Defense>] = &[
    &dp::local::ENTRY,
    &dp::central::ENTRY,
    &dp::sgd::ENTRY,
    &dp::distributed::ENTRY,
    &perturbation::prune::ENTRY,
    &perturbation::percentile::ENTRY,
    &perturbation::quantise::ENTRY,
    &perturbation::qsgd::ENTRY,
    &perturbation::sign::ENTRY,
    &perturbation::noise::GAUSSIAN,
    &perturbation::noise::LAPLACE,
    &perturbation::soteria::ENTRY,
    &perturbation::mixup::ENTRY,
    &perturbation::instahide::ENTRY,
    &perturbation::ats::ENTRY,
    &perturbation::precode::ENTRY,
    &perturbation::withhold_bn::ENTRY,
];
