//! The suites that ship: every profile of each expands, and the properties they promise hold.

use std::collections::BTreeSet;

use suites::{Source, Suite};

fn every_profile() -> impl Iterator<Item = (Suite, &'static str)> {
    let names: Vec<&str> = suites::library().names().collect();
    names.into_iter().flat_map(|name| {
        let base = Suite::load(name, None, &[]).unwrap_or_else(|e| panic!("{e}"));
        let names: Vec<String> = base.profiles().iter().map(|(n, _)| n.clone()).collect();
        let rest = names.into_iter().map(move |p| {
            (Suite::load(name, Some(&p), &[]).unwrap_or_else(|e| panic!("{e}")), name)
        });
        std::iter::once((base, name)).chain(rest)
    })
}

#[test]
fn every_suite_and_profile_expands() {
    for (suite, name) in every_profile() {
        assert_eq!(suite.name, name);
        assert!(!suite.description.is_empty() && !suite.version.is_empty());
        let ids: BTreeSet<_> = suite.cells.iter().map(|c| c.id()).collect();
        assert_eq!(ids.len(), suite.cells.len(), "{name} {:?}", suite.profile);
        assert!(suite.cells.iter().all(|c| c.check().is_ok()));
        assert!(suite.profiles().iter().all(|(_, text)| !text.is_empty()));
        assert!(suite.profiles().iter().any(|(p, _)| p == "smoke"), "{name} has no smoke profile");
    }
}

#[test]
fn sizes_are_the_products_of_the_axes() {
    let count = |name, profile| Suite::load(name, profile, &[]).unwrap().cells.len();
    assert_eq!(count("smoke", None), 2 * 2 * 2 - 2 + 2);
    assert_eq!(count("smoke", Some("smoke")), 2 * 2);
    // Five defenses of a gradient; an update, two views of a mean, and what two protocols hide.
    assert_eq!(count("showcase", None), 5 + 5);
    // Three batch sizes at three seeds; one model before and after it has learnt.
    assert_eq!(count("cifar10", None), 3 * 3 + 2);
    assert_eq!(count("sources-optimizers", None), 3 * 4 * 5);
    assert_eq!(count("ablation", None), 7 * 3);
    assert_eq!(count("benchmark", None), 2 * 7 * 3);
    assert_eq!(count("multi-client", None), 3 * 3);
    assert_eq!(count("ablation", Some("crossed")), 3 * 4 * 2);
    // Two attacks on nine defenses at three seeds; eight cells of one update, twelve of a mean,
    // two of Paillier beside one without a defense, and two bare ones.
    assert_eq!(count("defenses", None), 2 * 9 * 3 + 8 + 12 + 3 + 2);
    assert_eq!(count("dp-grid", None), 3 * 10 + 1);
    assert_eq!(count("dp-grid", Some("full")), 2 * 3 * 10 + 1);
    // One model a task, five trainings of each.
    assert_eq!(count("utility", None), 2 * 8 * 5);
    assert_eq!(count("utility", Some("smoke")), 2 * 4 * 2);
    // One network by two attacks at three seeds, another fresh and trained in three ways.
    assert_eq!(count("trained", None), 3 * 2 * 3 + 6);
    assert_eq!(count("trained", Some("smoke")), 3 * 4 * 2);
    // Five attacks on thirteen defenses of a gradient, on three of two images, on five of a mean;
    // two on thirteen with networks of their own; and what the matrix does not cross.
    let beside = 6 + 6 + 2 + 2 + 2 + 6;
    assert_eq!(count("nightly", None), 5 * (13 + 3 + 5) + 2 * 13 + beside);
    assert_eq!(count("nightly", Some("cpu")), count("nightly", None));
    assert_eq!(count("nightly", Some("smoke")), 3 * (3 + 2 + 4) + 2 * 3 + beside);
    // Three attacks on seven defenses, five budgets, five stages of training.
    assert_eq!(count("figures", None), 3 * 7 + 5 + 5);
}

#[test]
fn showcase_full_is_the_published_recipe() {
    let suite = Suite::load("showcase", Some("full"), &[]).unwrap();
    let recipe: Vec<_> = suite.cells.iter().filter(|c| c.attack.name == "fl-attack").collect();
    assert_eq!(recipe.len(), 3);
    for cell in recipe {
        assert_eq!(cell.attack.params["iterations"], 4500);
        assert_eq!(cell.attack.params["restarts"], 5);
        assert_eq!(cell.model.name, "simple-cnn");
    }
    let sources: BTreeSet<_> = suite.cells.iter().map(|c| c.source).collect();
    assert_eq!(
        sources.into_iter().collect::<Vec<_>>(),
        [Source::Gradients, Source::OneStepUpdate, Source::AggUpdate]
    );
}

#[test]
fn ablation_changes_one_thing_and_keeps_the_recipe() {
    let suite = Suite::load("ablation", Some("full"), &[]).unwrap();
    let recipe = &suite.cells[0].attack;
    for cell in &suite.cells[1..] {
        let differing = cell.attack.params.iter().filter(|(k, v)| recipe.params.get(*k) != Some(v));
        assert_eq!(differing.count(), 1, "{:?}", cell.attack);
        assert_eq!(cell.attack.params["iterations"], 3000);
    }
}

#[test]
fn published_values_speak_of_their_cells_only() {
    for name in ["showcase", "multi-client"] {
        let on_photos = Suite::load(name, None, &[]).unwrap();
        let published = &on_photos.published[0];
        assert_eq!(published.metric, "fl-attack-psnr");
        assert!(on_photos.cells.iter().all(|c| !published.applies(c)));
        let on_faces = Suite::load(name, Some("celeba"), &[]).unwrap();
        assert_eq!(on_faces.cells.iter().filter(|c| published.applies(c)).count(), 1, "{name}");
    }
}

#[test]
fn defenses_and_attacks_are_paired() {
    let suite = Suite::load("defenses", None, &[]).unwrap();
    let worlds: BTreeSet<_> = suite.cells.iter().map(|c| c.world_key()).collect();
    let attacks: BTreeSet<_> = suite.cells.iter().map(|c| c.attack_key()).collect();
    // The gradient at three seeds, update and mean in the federation, update and mean of bare
    // clients, and the single mean that Paillier encrypts: whatever the defense or vantage, one
    // world each. Two attacks meet each gradient, one each of the others.
    assert_eq!((worlds.len(), attacks.len()), (8, 3 * 2 + 5));
}

#[test]
fn every_file_is_registered() {
    let folder = std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    let stems = folder.map(|f| f.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<_> =
        stems.filter_map(|f| f.strip_suffix(".toml").map(str::to_owned)).collect();
    let mut registered: BTreeSet<_> = suites::library().names().map(String::from).collect();
    assert_eq!(registered.len(), suites::library().iter().count());
    registered.insert("Cargo".into());
    assert_eq!(files, registered);
}

/// The nights are compared by exact tests over images: with fewer, no difference could ever be
/// found beside the others.
#[test]
fn a_night_has_enough_images_to_find_something() {
    for profile in [None, Some("cpu")] {
        let suite = Suite::load("nightly", profile, &[]).unwrap();
        let names = |cell: &suites::CellSpec| {
            let defenses = cell.defenses.iter().map(|d| d.name.clone());
            std::iter::once(cell.attack.name.clone()).chain(defenses).collect::<Vec<_>>()
        };
        let parties: BTreeSet<_> = suite.cells.iter().flat_map(names).collect();
        let hypotheses =
            2 * parties.len() + suite.cells.iter().map(|c| c.source).collect::<BTreeSet<_>>().len();
        for cell in &suite.cells {
            let smallest = 2.0 * 0.5f64.powi(i32::try_from(cell.trials).unwrap());
            assert!(
                smallest < 0.025 / hypotheses as f64,
                "{} images for {hypotheses} hypotheses",
                cell.trials
            );
        }
    }
}

#[test]
fn a_night_meets_every_source_and_defense() {
    let suite = Suite::load("nightly", Some("cpu"), &[]).unwrap();
    let sources: BTreeSet<_> = suite.cells.iter().map(|c| c.source).collect();
    assert_eq!(sources.len(), Source::ALL.len());
    let met = |defense: &str| {
        suite.cells.iter().filter(|c| c.defenses.iter().any(|d| d.name == defense)).count()
    };
    for defense in [
        "dp-local",
        "dp-central",
        "dp-sgd",
        "dp-distributed",
        "prune",
        "percentile",
        "quantise",
        "qsgd",
        "sign",
        "gaussian-noise",
        "laplace-noise",
        "soteria",
        "mixup",
        "instahide",
        "ats",
        "precode",
        "withhold-bn",
        "plain",
        "secagg",
        "secagg-plus",
        "ckks",
        "paillier",
    ] {
        assert!(met(defense) > 0, "{defense}");
    }
}

/// Every method of label recovery meets every batch size, fresh and trained.
#[test]
fn labels_are_read_by_every_method() {
    let suite = Suite::load("labels", None, &[]).unwrap();
    let methods: BTreeSet<_> =
        suite.cells.iter().map(|c| c.attack.params["method"].to_string()).collect();
    assert_eq!(methods.len(), 13, "{methods:?}");
    let sizes: BTreeSet<_> = suite.cells.iter().map(|c| c.federation.local.batch_size).collect();
    assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [1, 8, 32, 128]);
}
