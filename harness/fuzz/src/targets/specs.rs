//! What users write: suites and tasks in TOML.

use suites::Suite;
use suites::foreign::limits;

use crate::{Target, on_disk, samples};

/// Targets of this room.
pub(super) static TARGETS: &[Target] = &[
    Target { name: "suite", limit: &limits::SUITE, check: suite, samples: samples::suites },
    Target { name: "task", limit: &limits::SUITE, check: task, samples: samples::tasks },
];

/// A suite: matrix, profiles, figures, gate. Every cell's spec is read back under its id.
fn suite(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for profile in [None, Some("smoke")] {
        let Ok(suite) = Suite::parse("input.toml", text, profile, &[]) else { continue };
        assert!(!suite.cells.is_empty() && suite.cells.len() <= suites::MAX_CELLS);
        for spec in suite.cells.iter().take(4) {
            let json = serde_json::to_value(spec).expect("a spec is JSON");
            let again: suites::CellSpec = serde_json::from_value(json).expect("and is read back");
            assert_eq!(again.id(), spec.id());
        }
    }
}

/// A task: the training that it spells out.
fn task(bytes: &[u8]) {
    on_disk("task.toml", bytes, |path| {
        let name = path.display().to_string();
        for profile in [None, Some("smoke")] {
            if let Ok(task) = suites::train::load(&name, profile, &[]) {
                let json = serde_json::to_value(&task.spec).expect("a spec is JSON");
                let again = suites::train::revive(&json).expect("and is read back");
                assert_eq!(again.digest(), task.spec.digest());
            }
        }
    });
}
