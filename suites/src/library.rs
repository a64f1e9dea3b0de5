//! The suites that ship with the project, embedded so that the binary needs no files beside it.

/// Name and text, in the order in which a newcomer would run them.
pub(crate) static SUITES: &[(&str, &str)] = &[
    ("smoke", include_str!("../smoke.toml")),
    ("showcase", include_str!("../showcase.toml")),
    ("benchmark", include_str!("../benchmark.toml")),
    ("multi-client", include_str!("../multi-client.toml")),
    ("ablation", include_str!("../ablation.toml")),
    ("sources-optimizers", include_str!("../sources-optimizers.toml")),
    ("defenses", include_str!("../defenses.toml")),
    ("dp-grid", include_str!("../dp-grid.toml")),
    ("heuristics", include_str!("../heuristics.toml")),
    ("utility", include_str!("../utility.toml")),
    ("trained", include_str!("../trained.toml")),
    ("figures", include_str!("../figures.toml")),
    ("nightly", include_str!("../nightly.toml")),
];
