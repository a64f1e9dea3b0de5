//! What clients and servers do to protect an update; how it travels is in `protocols`. One defence
//! a file; hooks default to "undefended".

mod defense;
pub mod dp;
pub mod heuristic;
#[cfg(test)]
mod testing;

pub use defense::{
    CapturedRound, Defense, DefenseError, Deployment, Examples, Released, Stage, Turn,
};
pub use dp::Budget;
use suites::Entry;

/// All defences (protocols have a list of their own); an empty list in a suite is "none".
pub static ENTRIES: &[&Entry<dyn Defense>] = &[
    &dp::local::ENTRY,
    &dp::central::ENTRY,
    &dp::sgd::ENTRY,
    &dp::distributed::ENTRY,
    &heuristic::prune::ENTRY,
    &heuristic::percentile::ENTRY,
    &heuristic::quantise::ENTRY,
    &heuristic::qsgd::ENTRY,
    &heuristic::sign::ENTRY,
    &heuristic::noise::GAUSSIAN,
    &heuristic::noise::LAPLACE,
    &heuristic::soteria::ENTRY,
    &heuristic::mixup::ENTRY,
    &heuristic::instahide::ENTRY,
    &heuristic::ats::ENTRY,
    &heuristic::precode::ENTRY,
    &heuristic::withhold_bn::ENTRY,
];
