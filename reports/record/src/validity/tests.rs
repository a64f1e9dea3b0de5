//! What is measurable, and what is said of the rest.

use super::*;
use crate::run::Run;
use crate::testing::{info, record};
use suites::{Fact, Named};

/// A cell; the floor of synthetic records is `mean` at 11.5 dB, `nearest` has 13.
fn cell(attack: &str, seed: u64, psnrs: &[f64]) -> CellRecord {
    record(attack, seed, psnrs)
}

fn behind(mut own: CellRecord, defense: &str) -> CellRecord {
    own.spec.defenses = vec![Named::new(defense)];
    own.id = own.spec.id();
    own
}

fn judged(records: &[CellRecord]) -> Vec<Validity> {
    judge(records, &Metrics::from_run(&info("")))
}

#[test]
fn the_floor_is_no_oracle() {
    // 12 dB are above the mean image, and below the nearest one, which needs the truth.
    let found = judged(&[cell("a", 0, &[12.0; 3]), behind(cell("a", 0, &[8.0; 3]), "prune")]);
    assert_eq!(found[0], Validity::Measurable { margin: 0.5, n: 3 });
    assert_eq!(found[1], found[0]);
}

#[test]
fn an_attack_that_fails_undefended_measures_nothing() {
    let found = judged(&[cell("a", 0, &[9.0; 3]), behind(cell("a", 0, &[8.0; 3]), "prune")]);
    assert_eq!(
        found[1].doubt().unwrap(),
        "not measurable: the attack fails undefended (9.00 dB against 11.50 of the floor, \
         null: mean, n = 3)"
    );
    assert!(found[0].column().starts_with("no: the attack fails (9.00 dB"));
}

/// A row about a trained model is one only where the model has learnt.
#[test]
fn a_model_that_has_not_learnt_is_no_trained_one() {
    let after = |round: usize, accuracy: f64, psnr: f64| {
        let mut own = cell("a", 0, &[psnr; 3]);
        own.spec.capture.round = round;
        own.id = own.spec.id();
        let task = [("accuracy", accuracy), ("majority", 0.52), ("test_examples", 500.0)];
        own.task = task.map(|(name, value)| (name.to_string(), value)).into();
        own
    };
    let found = judged(&[after(50, 0.545, 20.0), behind(after(50, 0.545, 20.0), "prune")]);
    assert!(found[0].doubt().unwrap().contains("has not learnt by round 50 (accuracy 0.545"));
    assert_eq!(found[1], found[0], "nor behind a defense");
    assert!(found.iter().all(Validity::untrained), "which is no failure of the attack");
    // Each seed is a training of its own.
    let seeded = |seed: u64, accuracy: f64| {
        let mut own = after(50, accuracy, 20.0);
        own.spec.seed = seed;
        own.id = own.spec.id();
        own
    };
    let raw = [seeded(0, 0.5), seeded(1, 0.9)];
    let defended = [0, 1].map(|seed| behind(seeded(seed, 0.7), "prune"));
    let found = judged(&[raw, defended].concat());
    assert_eq!(found.iter().map(Validity::untrained).collect::<Vec<_>>(), [true, false].repeat(2));
    let found = judged(&[after(50, 0.9, 20.0), behind(after(50, 0.53, 20.0), "prune")]);
    assert!(found.iter().all(Validity::measurable), "what a defense costs is its own matter");
    // Fresh weights are no trained ones, and records of earlier versions say nothing of the share.
    assert!(judged(&[after(0, 0.5, 20.0)])[0].measurable());
    let mut old = after(50, 0.5, 20.0);
    old.task.remove("majority");
    assert!(judged(&[old])[0].measurable());
}

#[test]
fn few_images_must_all_beat_it() {
    let found = judged(&[cell("a", 0, &[40.0, 40.0, 11.0])]);
    assert!(found[0].doubt().unwrap().contains("no attack surely beats the floor"));
    // From eight images on the interval must.
    let nearly = [40.0, 40.0, 38.0, 39.0, 41.0, 37.0, 42.0, 11.0];
    assert!(judged(&[cell("a", 0, &nearly)])[0].measurable());
    let mixed = [40.0, 8.0, 9.0, 8.0, 9.0, 8.0, 9.0, 8.0];
    assert!(judged(&[cell("a", 0, &mixed)])[0].fails());
}

#[test]
fn the_strongest_attack_decides_and_seeds_are_together() {
    let all = [
        cell("a", 0, &[9.0; 4]),
        cell("b", 0, &[20.0; 4]),
        cell("b", 1, &[22.0; 4]),
        behind(cell("a", 0, &[8.0; 4]), "prune"),
        behind(cell("a", 2, &[8.0; 4]), "prune"),
    ];
    let found = judged(&all);
    assert!(found[0].fails() && found[1].measurable());
    // Four images, whatever number of seeds attacked them.
    assert_eq!(found[3], Validity::Measurable { margin: 9.5, n: 4 });
    assert_eq!(found[4], found[3]);
}

#[test]
fn what_no_undefended_cell_shares_has_no_twin() {
    let mut told = behind(cell("a", 0, &[30.0; 3]), "prune");
    told.spec.facts = vec![Fact::Labels];
    told.id = told.spec.id();
    let found = judged(&[cell("a", 0, &[30.0; 3]), told]);
    assert_eq!(found[1], Validity::NoTwin);
    assert!(found[1].doubt().unwrap().contains("validity unknown"));
    // Without a null baseline there is no floor to beat.
    let mut bare = cell("a", 0, &[30.0; 3]);
    bare.baselines.retain(|null, _| is_oracle(null));
    assert!(judged(&[bare])[0].fails());
}

#[test]
fn the_verdict_says_what_follows() {
    let run = |psnr: f64| {
        let cells = vec![cell("a", 0, &[psnr; 3]), behind(cell("a", 0, &[8.0; 3]), "prune")];
        verdict(&Run::new("".into(), info(""), cells))
    };
    let said = run(9.0).sentence().unwrap();
    assert!(said.starts_with("No attack beat the floor"), "{said}");
    assert!(said.ends_with("nothing follows about these defenses."), "{said}");
    assert_eq!(run(30.0).sentence(), None);
    let some = Verdict {
        defended: 5,
        measurable: 2,
        without_twin: 1,
        undefended: 2,
        beating: 1,
        untrained: 0,
    };
    let said = some.sentence().unwrap();
    assert!(said.contains("Of 5 defended cells 2") && said.contains("2 not measurable"), "{said}");
}

#[test]
fn facts_have_no_order_and_colluders_see_their_own() {
    let mut spec = CellSpec::new("photos", "mlp", "dlg");
    spec.facts = vec![Fact::Labels, Fact::BatchSize];
    let mut turned = spec.clone();
    turned.facts.reverse();
    assert_eq!(facts(&spec), facts(&turned));
    let (server, wire) = (Vantage::Server, Vantage::Eavesdropper);
    let two = Vantage::Colluding { k: 2 };
    assert!(see_alike(server, wire) && see_alike(two, two));
    assert!(!see_alike(server, two) && !see_alike(Vantage::Colluding { k: 1 }, two));
}
