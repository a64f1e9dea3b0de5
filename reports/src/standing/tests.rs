//! Rows by defense: what is one row, what is said where nothing was attacked, what is held against
//! what.

use super::*;
use record::testing::{from_spec, info, record};
use record::{MetricInfo, Outcome};
use suites::{Named, Vantage};

fn cell(attack: &str, defense: Option<&str>, vantage: Vantage, psnrs: &[f64]) -> CellRecord {
    let mut spec = record(attack, 0, psnrs).spec;
    spec.defenses = defense.iter().map(|name| Named::new(*name)).collect();
    spec.vantage = vantage;
    from_spec(spec, psnrs)
}

fn refused(mut record: CellRecord, why: &str) -> CellRecord {
    record.outcome = Outcome::NotApplicable { why: why.into() };
    (record.images, record.baselines) = (Vec::new(), Default::default());
    record
}

/// A run of these cells, in their order.
fn run(records: Vec<CellRecord>) -> Run {
    let mut info = info("a");
    info.suite.cells = records.iter().map(|r| r.id.clone()).collect();
    Run::new("".into(), info, records)
}

fn all(run: &Run) -> Vec<Picked> {
    (0..run.records.len()).map(|at| Picked::whole(run, at)).collect()
}

const SERVER: Vantage = Vantage::Server;

#[test]
fn the_undefended_come_first_and_the_strongest_attack_stands_for_each() {
    let cells = vec![
        cell("dlg", Some("prune"), SERVER, &[10.0, 12.0]),
        cell("idlg", Some("prune"), SERVER, &[14.0, 18.0]),
        cell("dlg", None, SERVER, &[30.0, 20.0]),
        cell("idlg", None, SERVER, &[21.0, 22.0]),
    ];
    let run = run(cells);
    let (stands, left) = stands(&run, &all(&run));
    let told: Vec<_> = stands.iter().map(|s| (s.name.as_str(), s.attack(&run).unwrap())).collect();
    assert_eq!(told, [("No defense", "dlg"), ("Pruning", "idlg")]);
    assert_eq!(stands[1].point.leak.value, Some(16.0));
    assert!(left.is_empty() && stands.iter().all(|s| s.silence(&run).is_none()));
}

#[test]
fn vantages_are_rows_of_their_own() {
    let colluding = Vantage::Colluding { k: 2 };
    let cells = vec![
        cell("dlg", None, SERVER, &[30.0]),
        refused(cell("dlg", Some("secagg"), SERVER, &[]), "the sum is masked"),
        cell("dlg", Some("secagg"), colluding, &[20.0]),
    ];
    let run = run(cells);
    let (stands, _) = stands(&run, &all(&run));
    let told: Vec<_> = stands.iter().map(|s| (s.name.as_str(), s.silence(&run))).collect();
    let nothing = Some("Nothing to attack: the sum is masked".to_owned());
    let wanted = [
        ("No defense", None),
        ("SecAgg (seen by the server)", nothing),
        ("SecAgg (seen by the server and 2 clients)", None),
    ];
    assert_eq!(told, wanted);
}

#[test]
fn an_attack_that_applies_nowhere_is_no_merit_of_the_defense() {
    let cells = vec![
        cell("dlg", None, SERVER, &[30.0]),
        refused(cell("analytic", Some("prune"), SERVER, &[]), "needs a linear layer"),
    ];
    let run = run(cells);
    let (stands, _) = stands(&run, &all(&run));
    assert_eq!(stands[1].silence(&run).unwrap(), "No attack applies: needs a linear layer");
    let mut failed = run.records[1].clone();
    failed.outcome = Outcome::Failed { stage: "attack".into(), message: "out of memory".into() };
    let run = super::tests::run(vec![failed]);
    let own = &super::stands(&run, &all(&run)).0[0];
    assert_eq!(own.silence(&run).unwrap(), "Every attack failed, in attack: out of memory");
}

#[test]
fn one_setting_of_each_is_kept_and_the_others_are_named() {
    let mut later = cell("dlg", None, SERVER, &[40.0]);
    later.spec.capture.round = 10;
    let later = from_spec(later.spec, &[40.0]);
    let run = run(vec![cell("dlg", None, SERVER, &[30.0]), later]);
    let (stands, left) = stands(&run, &all(&run));
    assert_eq!((stands.len(), stands[0].point.leak.value), (1, Some(30.0)));
    assert_eq!(left, ["capture.round"]);
}

#[test]
fn the_floor_needs_no_truth() {
    let run = run(vec![cell("dlg", None, SERVER, &[12.0, 12.0])]);
    // The nearest picture of the split is at 13 dB, and an oracle.
    let own = &stands(&run, &all(&run)).0[0];
    assert_eq!(own.floor(&run), Some(11.5));
    assert_eq!(own.beats_floor(&run), Some(true));
}

#[test]
fn an_accuracy_is_that_of_all_trainings() {
    let cells = [0.5, 0.7].into_iter().zip(0..).map(|(accuracy, seed)| {
        let mut spec = cell("dlg", None, SERVER, &[30.0]).spec;
        spec.seed = seed;
        let mut own = from_spec(spec, &[30.0]);
        let task = [("trained_accuracy", accuracy), ("trained_rounds", 9.0), ("accuracy", 0.1)];
        own.task = task.into_iter().map(|(name, v)| (name.to_owned(), v)).collect();
        own.task.insert("test_examples".into(), 1000.0);
        own
    });
    let run = run(cells.collect());
    let (stands, _) = stands(&run, &all(&run));
    let found = stands[0].accuracy(&run);
    assert_eq!((stands.len(), found.value, found.interval), (1, Some(0.6), None));
    assert_eq!(found.values, [0.5, 0.7], "the interval of one training is not that of both");
}

#[test]
fn what_is_left_out_is_not_said_to_be_missing() {
    let cells = vec![cell("dlg", None, SERVER, &[5.0]), cell("dlg", Some("prune"), SERVER, &[4.0])];
    let run = run(cells);
    let (stands, _) = stands(&run, &all(&run));
    let told = stands[1].silence(&run).unwrap();
    assert!(told.starts_with("not measurable: the attack fails undefended"), "{told}");
}

#[test]
fn pictures_named_are_counted_with_those_of_failed_attacks() {
    let mut own = cell("dlg", None, SERVER, &[20.0, 21.0, 22.0]);
    for (image, hit) in own.images.iter_mut().zip([1.0, 0.0, 1.0]) {
        image.scores.insert(crate::identified::NAME.into(), Some(hit));
    }
    own.candidates = Some(1000);
    let run = run(vec![own]);
    let (stands, _) = stands(&run, &all(&run));
    let found = stands[0].identified(&run).unwrap();
    assert_eq!((found.counts(), found.chance()), ("2/3".into(), Some("chance 1/1000".into())));
    let nobody = super::tests::run(vec![cell("dlg", None, SERVER, &[20.0])]);
    assert_eq!(super::stands(&nobody, &all(&nobody)).0[0].identified(&nobody), None);
}

#[test]
fn alexnet_is_preferred() {
    let mut own = cell("dlg", None, SERVER, &[20.0]);
    let lpips = |run: &Run| super::lpips(run).map(|m: MetricInfo| m.name);
    assert_eq!(lpips(&run(vec![own.clone()])), None);
    for (name, wanted) in [
        ("lpips-vgg", "lpips-vgg"),
        ("lpips-squeeze", "lpips-squeeze"),
        ("lpips-alex", "lpips-alex"),
    ] {
        own.images[0].scores.insert(name.into(), Some(0.3));
        assert_eq!(lpips(&run(vec![own.clone()])).as_deref(), Some(wanted));
    }
}
