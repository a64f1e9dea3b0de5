//! Two runs compared: planted regressions are caught and named as what they are, and nothing else is.

mod common;

use common::nights::{Night, rescore, write};
use reports::compare::{Judgement, Kind, Weight};
use reports::{CellRecord, Comparison, Outcome, Pairing, Side, Verdict, compare};
use suites::Gate;

/// Compares two sets of records by way of run folders.
fn compared(base: &[CellRecord], new: &[CellRecord]) -> Comparison {
    compared_under(base, new, &Gate::default(), Pairing::SameSeed)
}

fn compared_under(base: &[CellRecord], new: &[CellRecord], gate: &Gate, how: Pairing) -> Comparison {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("base"), dir.path().join("new"));
    write(&a, base);
    write(&b, new);
    compare(&Side::open(&a).unwrap(), &Side::open(&b).unwrap(), gate, how).unwrap()
}

/// Subject and judgement of every tested finding of this weight, pooled ones alone.
fn judged(comparison: &Comparison, weight: Weight) -> Vec<(String, Judgement)> {
    let found = comparison.findings(weight).filter(|f| !f.subject.starts_with("cell "));
    let tested = |f: &reports::compare::Finding| match f.kind {
        Kind::Effect(judgement) => Some((f.subject.clone(), judgement)),
        _ => None,
    };
    found.filter_map(tested).collect()
}

fn of(records: &mut [CellRecord], attack: &str, defence: Option<&str>, edit: impl Fn(&mut CellRecord)) {
    let mut met = 0;
    for record in records.iter_mut() {
        let own = record.spec.defenses.first().map(|d| d.name.as_str());
        if (attack == "*" || record.spec.attack.name == attack) && (defence == Some("*") || own == defence) {
            edit(record);
            met += 1;
        }
    }
    assert!(met > 0, "no cell of {attack} and {defence:?}");
}

#[test]
fn equal_runs_are_said_to_be_so() {
    let night = Night::default().records(0);
    let same = compared(&night, &night);
    assert_eq!((same.verdict(), same.counts.identical), (Verdict::Passed, 9));
    assert_eq!(same.findings, []);
    assert!(same.effects.iter().all(|e| e.moved == 0));
    assert!(same.terminal().starts_with("PASSED: nothing to report; 9 common cells (9 bit-identical)"));
}

#[test]
fn a_weaker_attack_is_called_that() {
    let base = Night::default().records(0);
    let mut new = base.clone();
    of(&mut new, "dlg", None, |r| rescore(r, |psnr| psnr - 3.0));
    // Through the defences hardly anything was left to lose.
    of(&mut new, "dlg", Some("dp-gaussian"), |r| rescore(r, |psnr| psnr - 0.6));
    of(&mut new, "dlg", Some("prune"), |r| rescore(r, |psnr| psnr - 2.5));
    let found = compared(&base, &new);
    assert_eq!(found.verdict(), Verdict::Regressed);
    assert_eq!(judged(&found, Weight::Regression), [("attack dlg".into(), Judgement::AttackWeaker)]);
    // Less is lost through a defence than without: that is no defence that lets more pass.
    assert_eq!(judged(&found, Weight::Change), []);
    assert!(found.terminal().contains("attack dlg"), "{}", found.terminal());
}

#[test]
fn a_broken_defence_is_called_that() {
    let base = Night::default().records(0);
    let mut new = base.clone();
    // Clip without noise: what dp-gaussian let through before is now nearly the plain reconstruction.
    of(&mut new, "*", Some("dp-gaussian"), |r| rescore(r, |psnr| psnr + 9.0));
    let found = compared(&base, &new);
    assert_eq!(
        judged(&found, Weight::Regression),
        [("defence dp-gaussian".into(), Judgement::DefenceWeaker)]
    );
    assert_eq!(found.verdict().exit_code(), 1);
}

#[test]
fn a_slowed_run_is_called_that() {
    let base = Night { noise: 0.5, ..Night::default() }.records(0);
    let mut new = base.clone();
    of(&mut new, "*", Some("*"), |r| r.wall.seconds *= 1.4);
    let found = compared(&base, &new);
    assert_eq!(judged(&found, Weight::Regression), [("speed".into(), Judgement::Slower)]);
    assert_eq!(found.counts.identical, 9, "times are no part of a record's identity");
}

#[test]
fn a_stronger_attack_is_no_alarm() {
    let base = Night::default().records(0);
    let mut new = base.clone();
    of(&mut new, "dlg", Some("*"), |r| rescore(r, |psnr| psnr + 2.0));
    let found = compared(&base, &new);
    assert_eq!(found.verdict(), Verdict::Passed);
    assert_eq!(judged(&found, Weight::Change), [("attack dlg".into(), Judgement::AttackStronger)]);
}

#[test]
fn a_newly_failed_cell_is_three() {
    let base = Night::default().records(0);
    let mut new = base.clone();
    new[4].outcome = Outcome::Failed { stage: "attack".into(), message: "out of\nmemory".into() };
    new[4].images.clear();
    let found = compared(&base, &new);
    assert_eq!((found.verdict().exit_code(), found.counts.newly_failed), (3, 1));
    let failed: Vec<_> = found.findings(Weight::Failure).collect();
    assert!(failed[0].text == "failed in attack: out of memory", "{failed:?}");
    // Both at once: the regression decides, and both are printed.
    of(&mut new, "dlg", None, |r| rescore(r, |psnr| psnr - 3.0));
    let found = compared(&base, &new);
    assert_eq!(found.verdict().exit_code(), 1);
    assert!(found.terminal().contains("Newly failed") && found.markdown().contains("### Newly failed"));
}
