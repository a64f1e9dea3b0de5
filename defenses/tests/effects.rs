//! What defenses publish of themselves, and that attacks read nothing else of them.

use std::path::{Path, PathBuf};

use defenses::{CapturedRound, Deployment, ENTRIES};
use learning::Effect;
use serde_json::{Map, json};

/// A round of two steps of four clients, as the server sees it or as it is released.
fn deployment(released: bool) -> Deployment {
    Deployment {
        clients: 4,
        rounds: 2,
        local_steps: 2,
        batch_size: 2,
        examples: 8,
        client_rate: 1.0,
        captured: CapturedRound { batch: 2, steps: 2, clients: 4, released },
        values: 1000,
        summed: true,
    }
}

/// The same parameters and deployment publish the same, and no defense is silent.
#[test]
fn every_defense_publishes_what_it_does() {
    for entry in ENTRIES {
        let effects = || {
            let defense = (entry.build)(&Map::new()).unwrap();
            defense.effects(&deployment(true)).unwrap()
        };
        assert!(!effects().is_empty(), "{}", entry.name);
        assert_eq!(effects(), effects(), "{}", entry.name);
    }
}

#[test]
fn noise_of_the_server_is_in_the_released_mean_alone() {
    for (name, before) in [("dp-central", false), ("dp-local", true), ("dp-distributed", true)] {
        let entry = suites::find("defense", ENTRIES, name).unwrap();
        let defense = (entry.build)(&Map::new()).unwrap();
        let noisy = |released| {
            let effects = defense.effects(&deployment(released)).unwrap();
            effects.iter().any(|effect| matches!(effect, Effect::Noise { .. }))
        };
        assert_eq!((noisy(false), noisy(true)), (before, true), "{name}");
    }
}

/// A clip that follows the updates is not known from round to round.
#[test]
fn a_moving_clip_is_said_to_move() {
    let entry = suites::find("defense", ENTRIES, "dp-central").unwrap();
    for moves in [true, false] {
        let params = json!({ "adaptive": moves, "count_noise": 1000.0 });
        let defense = (entry.build)(params.as_object().unwrap()).unwrap();
        let effects = defense.effects(&deployment(true)).unwrap();
        let said = effects.iter().find_map(|effect| match effect {
            Effect::Clip { moving, .. } => Some(*moving),
            _ => None,
        });
        assert_eq!(said, Some(moves));
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for item in std::fs::read_dir(folder).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The string literals of Rust source, comments left out.
fn literals(source: &str) -> Vec<String> {
    let code: Vec<&str> = source.lines().map(|l| l.split("//").next().unwrap_or("")).collect();
    let code = code.join("\n").replace("\\\"", "").replace("'\"'", "");
    code.split('"').skip(1).step_by(2).map(String::from).collect()
}

/// Attacks know defenses by their effects: no string in their code is, or holds as a word, the name
/// of one. (`attacks` does not depend on this crate, so its sources are read.)
#[test]
fn attacks_name_no_defense() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("attacks/src");
    let mut files = Vec::new();
    sources(&folder, &mut files);
    assert!(files.len() > 20, "the sources of the attacks are not where they were");
    for file in files {
        for literal in literals(&std::fs::read_to_string(&file).unwrap()) {
            let mut words = literal.split(|c: char| !(c.is_alphanumeric() || c == '-'));
            let named = words.find(|word| ENTRIES.iter().any(|e| e.name == *word));
            assert_eq!(named, None, "{} says \"{literal}\"", file.display());
        }
    }
}

#[test]
fn literals_are_found_and_comments_are_not() {
    let source = "let a = \"prune\"; // \"qsgd\"\nmatch b { \"mixup\" => '\"', _ => \"x \\\"y\" }";
    assert_eq!(literals(source), ["prune", "mixup", "x y"]);
}
