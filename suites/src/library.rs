//! The suites that ship with the project, embedded so that the binary needs no files beside it.

use crate::registry::{Registered, Registry};

/// A suite that is found by its name.
pub struct SuiteEntry {
    /// Unique kebab-case name.
    pub name: &'static str,
    /// Its TOML.
    pub text: &'static str,
}

impl Registered for SuiteEntry {
    fn name(&self) -> &'static str {
        self.name
    }
}

/// The suites that ship with the project.
pub fn library() -> Registry<SuiteEntry> {
    Registry::builtin("suite", SUITES)
}

/// In the order in which a newcomer would run them.
static SUITES: &[&SuiteEntry] = &[
    &SuiteEntry { name: "smoke", text: include_str!("../smoke.toml") },
    &SuiteEntry { name: "showcase", text: include_str!("../showcase.toml") },
    &SuiteEntry { name: "benchmark", text: include_str!("../benchmark.toml") },
    &SuiteEntry { name: "multi-client", text: include_str!("../multi-client.toml") },
    &SuiteEntry { name: "ablation", text: include_str!("../ablation.toml") },
    &SuiteEntry { name: "sources-optimizers", text: include_str!("../sources-optimizers.toml") },
    &SuiteEntry { name: "defenses", text: include_str!("../defenses.toml") },
    &SuiteEntry { name: "dp-grid", text: include_str!("../dp-grid.toml") },
    &SuiteEntry { name: "heuristics", text: include_str!("../heuristics.toml") },
    &SuiteEntry { name: "utility", text: include_str!("../utility.toml") },
    &SuiteEntry { name: "cifar10", text: include_str!("../cifar10.toml") },
    &SuiteEntry { name: "trained", text: include_str!("../trained.toml") },
    &SuiteEntry { name: "labels", text: include_str!("../labels.toml") },
    &SuiteEntry { name: "figures", text: include_str!("../figures.toml") },
    &SuiteEntry { name: "nightly", text: include_str!("../nightly.toml") },
];
