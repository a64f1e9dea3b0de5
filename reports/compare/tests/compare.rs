//! Two runs compared: planted regressions are caught and named as what they are, and nothing else
//! is.

mod common;

use common::side;
use compare::{
    Comparison, Judgement, Kind, Pairing, Side, Verdict, Weight, compare, write_baseline,
};
use record::testing::nights::{Night, rescore, write, write_as};
use record::{CellRecord, Outcome};
use suites::Gate;
use suites::gate::Severity;

/// Compares two sets of records by way of run folders.
fn compared(base: &[CellRecord], new: &[CellRecord]) -> Comparison {
    compared_under(base, new, &Gate::default(), Pairing::SameSeed)
}

fn compared_under(
    base: &[CellRecord],
    new: &[CellRecord],
    gate: &Gate,
    how: Pairing,
) -> Comparison {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("base"), dir.path().join("new"));
    write(&a, base);
    write(&b, new);
    compare(&Side::open(&a).unwrap(), &Side::open(&b).unwrap(), gate, how).unwrap()
}

/// Subject and judgement of every tested finding of this weight, pooled ones alone.
fn judged(comparison: &Comparison, weight: Weight) -> Vec<(String, Judgement)> {
    let found = comparison.findings(weight).filter(|f| !f.subject.starts_with("cell "));
    let tested = |f: &compare::Finding| match f.kind {
        Kind::Effect(judgement) => Some((f.subject.clone(), judgement)),
        _ => None,
    };
    found.filter_map(tested).collect()
}

fn of(
    records: &mut [CellRecord],
    attack: &str,
    defense: Option<&str>,
    edit: impl Fn(&mut CellRecord),
) {
    let mut met = 0;
    for record in records.iter_mut() {
        let own = record.spec.defenses.first().map(|d| d.name.as_str());
        if (attack == "*" || record.spec.attack.name == attack)
            && (defense == Some("*") || own == defense)
        {
            edit(record);
            met += 1;
        }
    }
    assert!(met > 0, "no cell of {attack} and {defense:?}");
}

#[test]
fn equal_runs_are_said_to_be_so() {
    let night = Night::default().records(0);
    let same = compared(&night, &night);
    assert_eq!((same.verdict(), same.counts.identical), (Verdict::Passed, 9));
    assert_eq!(same.findings, []);
    assert!(same.effects.iter().all(|e| e.moved == 0));
    assert!(
        same.terminal().starts_with("PASSED: nothing to report; 9 common cells (9 bit-identical)")
    );
}

#[test]
fn a_weaker_attack_is_called_that() {
    let base = Night::default().records(0);
    let mut new = base.clone();
    of(&mut new, "dlg", None, |r| rescore(r, |psnr| psnr - 3.0));
    // Through the defenses hardly anything was left to lose.
    of(&mut new, "dlg", Some("dp-gaussian"), |r| rescore(r, |psnr| psnr - 0.6));
    of(&mut new, "dlg", Some("prune"), |r| rescore(r, |psnr| psnr - 2.5));
    let found = compared(&base, &new);
    assert_eq!(found.verdict(), Verdict::Regressed);
    assert_eq!(
        judged(&found, Weight::Regression),
        [("attack dlg".into(), Judgement::AttackWeaker)]
    );
    // Less is lost through a defense than without: that is no defense that lets more pass.
    assert_eq!(judged(&found, Weight::Change), []);
    assert!(found.terminal().contains("attack dlg"), "{}", found.terminal());
}

#[test]
fn a_broken_defense_is_called_that() {
    let base = Night::default().records(0);
    let mut new = base.clone();
    // Clip without noise: what dp-gaussian let through before is now nearly the plain
    // reconstruction.
    of(&mut new, "*", Some("dp-gaussian"), |r| rescore(r, |psnr| psnr + 9.0));
    let found = compared(&base, &new);
    assert_eq!(
        judged(&found, Weight::Regression),
        [("defense dp-gaussian".into(), Judgement::DefenseWeaker)]
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
    assert!(
        found.terminal().contains("Newly failed") && found.markdown().contains("### Newly failed")
    );
}

#[test]
fn vanished_cells_are_lost_coverage() {
    let base = Night::default().records(0);
    let gone = compared(&base, &base[1..]);
    assert_eq!((gone.verdict().exit_code(), gone.counts.vanished), (1, 1));
    let gate = Gate { missing: Severity::Warn, ..Gate::default() };
    let warned = compared_under(&base, &base[1..], &gate, Pairing::SameSeed);
    assert_eq!((warned.verdict(), warned.findings(Weight::Warning).count()), (Verdict::Passed, 1));
    let come = compared(&base[1..], &base);
    assert_eq!(
        (come.verdict(), come.counts.appeared, come.findings[0].kind),
        (Verdict::Passed, 1, Kind::Appeared)
    );
}

#[test]
fn a_changed_spec_is_shown_and_not_compared() {
    let base = Night::default().records(0);
    let mut new = base.clone();
    new[0].spec.attack.params.insert("iterations".into(), 150.into());
    new[0].id = new[0].spec.id();
    rescore(&mut new[0], |psnr| psnr - 9.0);
    let found = compared(&base, &new);
    assert_eq!(
        (found.verdict(), found.counts.changed, found.counts.common),
        (Verdict::Regressed, 1, 8)
    );
    let text = &found.findings[0].text;
    assert!(text.starts_with("spec changed: attack.iterations 300 → 150; not compared"), "{text}");
    assert!(text.contains("the suite's version is the same"), "{text}");
    // With a raised version it is what the suite says.
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    write(&a, &base);
    write_as(&b, &new, |info| info.suite.version = "2".into());
    let (a, b) = (Side::open(&a).unwrap(), Side::open(&b).unwrap());
    let found = compare(&a, &b, &Gate::default(), Pairing::SameSeed).unwrap();
    assert_eq!((found.verdict(), found.findings[0].weight), (Verdict::Passed, Weight::Change));
}

#[test]
fn other_images_are_not_paired() {
    let base = Night::default().records(0);
    let mut new = base.clone();
    new[1].images[3].id = 999;
    let found = compared(&base, &new);
    assert_eq!((found.verdict().exit_code(), found.counts.other_images), (1, 1));
    assert!(found.findings[0].text.starts_with("other images were attacked"));
    new.iter_mut().for_each(|r| r.images[0].id = 999);
    let error = compare(&side("a", base), &side("b", new), &Gate::default(), Pairing::SameSeed)
        .unwrap_err();
    assert!(error.to_string().contains("attacked other images in every common cell"), "{error}");
}

#[test]
fn another_threat_model_is_said_once() {
    let base = Night::default().records(0);
    let mut new = base.clone();
    new.iter_mut().for_each(|r| r.threat = "An eavesdropper reads the wire.".into());
    let found = compared(&base, &new);
    let all: Vec<_> = found.findings.iter().map(|f| (f.kind, f.subject.as_str())).collect();
    assert_eq!((all, found.verdict()), (vec![(Kind::Threat, "9 cells")], Verdict::Passed));
    assert!(found.findings[0].text.ends_with("An eavesdropper reads the wire."));
}

#[test]
fn a_metric_that_is_gone_is_lost_coverage() {
    let base = Night::default().records(0);
    let mut new = base.clone();
    for image in &mut new[0].images {
        image.scores.insert("lpips-squeeze".into(), None);
    }
    new[1].images[0].scores.insert("psnr".into(), Some(f64::NAN));
    let found = compared(&base, &new);
    let lost: Vec<_> =
        found.findings(Weight::Regression).map(|f| (f.subject.as_str(), f.text.as_str())).collect();
    assert_eq!(
        lost[0],
        ("PSNR (dB)", "had 1 values in 1 cells that are missing or no numbers now")
    );
    assert_eq!(lost[1].0, "LPIPS (squeeze)");
}

#[test]
fn a_weaker_attack_without_a_twin_is_not_praised_as_a_defense() {
    let night = Night { defenses: vec![("prune", 5.0)], ..Night::default() };
    let base: Vec<_> =
        night.records(0).into_iter().filter(|r| !r.spec.defenses.is_empty()).collect();
    let mut new = base.clone();
    of(&mut new, "*", Some("prune"), |r| rescore(r, |psnr| psnr - 2.0));
    let found = compared(&base, &new);
    let subject = "defense prune, cells without an undefended twin".to_owned();
    assert_eq!(judged(&found, Weight::Warning), [(subject.clone(), Judgement::Unclear)]);
    of(&mut new, "*", Some("prune"), |r| rescore(r, |psnr| psnr + 4.0));
    assert_eq!(
        judged(&compared(&base, &new), Weight::Regression),
        [(subject, Judgement::DefenseWeaker)]
    );
}

#[test]
fn what_too_few_images_cannot_tell_is_a_warning() {
    let base = Night { images: 3, attacks: vec![("dlg", 22.0)], ..Night::default() }.records(0);
    let mut new = base.clone();
    of(&mut new, "dlg", Some("*"), |r| rescore(r, |psnr| psnr - 5.0));
    let found = compared(&base, &new);
    assert_eq!(found.verdict(), Verdict::Passed);
    assert_eq!(judged(&found, Weight::Warning)[0], ("attack dlg".into(), Judgement::Untested));
    let gate = Gate { untested: Severity::Fail, ..Gate::default() };
    assert_eq!(compared_under(&base, &new, &gate, Pairing::SameSeed).verdict(), Verdict::Regressed);
}

#[test]
fn accuracy_is_tested_over_federations_and_each_is_watched() {
    let night = Night {
        seeds: (0..9).collect(),
        defenses: vec![],
        attacks: vec![("dlg", 22.0)],
        ..Night::default()
    };
    let base = night.records(0);
    let mut new = base.clone();
    of(&mut new, "dlg", None, |r| *r.task.get_mut("accuracy").unwrap() = 0.7);
    let found = compared(&base, &new);
    assert_eq!(
        judged(&found, Weight::Regression),
        [("task accuracy".into(), Judgement::AccuracyDown)]
    );
    let mut one = base.clone();
    one[0].task.insert("accuracy".into(), 0.5);
    let found = compared(&base, &one);
    let warned: Vec<_> = found.findings(Weight::Warning).map(|f| f.kind).collect();
    assert!(warned.contains(&Kind::Federation) && found.verdict() == Verdict::Passed, "{warned:?}");
}

#[test]
fn another_machine_makes_speed_informational() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let base = Night::default().records(0);
    let mut new = base.clone();
    of(&mut new, "*", Some("*"), |r| r.wall.seconds *= 3.0);
    write(&a, &base);
    write_as(&b, &new, |info| info.device = "cuda:0 (H200)".into());
    let found = compare(
        &Side::open(&a).unwrap(),
        &Side::open(&b).unwrap(),
        &Gate::default(),
        Pairing::SameSeed,
    );
    let found = found.unwrap();
    assert_eq!(found.verdict(), Verdict::Passed);
    assert!(
        found.notes[0].ends_with("device: cpu → cuda:0 (H200); speed is informational"),
        "{:?}",
        found.notes
    );
    // Of cells that take no time nothing can be told.
    let gate = Gate { min_seconds: 100.0, ..Gate::default() };
    let short = compared_under(&base, &new, &gate, Pairing::SameSeed);
    assert_eq!(
        (short.speed.cells, short.speed.too_short, short.verdict()),
        (0, 9, Verdict::Passed)
    );
}

#[test]
fn a_run_still_being_written_is_compared_for_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let base = Night::default().records(0);
    write(&a, &base);
    write_as(&b, &base[..5], |info| info.suite.cells = base.iter().map(|r| r.id.clone()).collect());
    let compared = || {
        let (a, b) = (Side::open(&a).unwrap(), Side::open(&b).unwrap());
        compare(&a, &b, &Gate::default(), Pairing::SameSeed).unwrap()
    };
    let found = compared();
    assert_eq!((found.verdict().exit_code(), found.counts.unrun, found.counts.vanished), (2, 4, 0));
    assert!(
        found.unfinished[0].contains("5 of 9 cells are there; resume it with"),
        "{:?}",
        found.unfinished
    );
    assert!(found.terminal().starts_with("NOT WHOLE"));
    let store = record::RunStore::open(&b).unwrap();
    assert!(compared().unfinished[0].contains("another process is writing it; 5 of 9"));
    drop(store);
    let error = write_baseline(&b, &dir.path().join("b.json")).unwrap_err().to_string();
    assert!(
        error.contains("no baseline is made of a run that is not whole") && !error.contains('\n'),
        "{error}"
    );
}

#[test]
fn runs_without_a_common_cell_say_what_to_do() {
    let base = side("a", Night::default().records(0));
    let new = side("b", Night { seeds: vec![1], ..Night::default() }.records(0));
    let said = |how| compare(&base, &new, &Gate::default(), how).map(|c| c.verdict());
    assert!(
        said(Pairing::SameSeed)
            .unwrap_err()
            .to_string()
            .ends_with("compare them with `--across-seeds`")
    );
    // One seed is one unit: nothing can be told, and nothing is alleged.
    assert_eq!(said(Pairing::AcrossSeeds).unwrap(), Verdict::Passed);
    let other = side("c", Night { attacks: vec![("gan", 20.0)], ..Night::default() }.records(0));
    let error =
        compare(&base, &other, &Gate::default(), Pairing::SameSeed).unwrap_err().to_string();
    assert!(
        error.ends_with("compare two runs of one suite and profile") && !error.contains('\n'),
        "{error}"
    );
    let error =
        compare(&base, &side("d", Vec::new()), &Gate::default(), Pairing::SameSeed).unwrap_err();
    assert!(error.to_string().starts_with("d holds no finished cell"));
}

#[test]
fn texts_are_the_same_every_time_and_cut_long_lists() {
    let night =
        Night { attacks: vec![("dlg", 22.0)], seeds: (0..40).collect(), ..Night::default() };
    let base = night.records(0);
    let new = Night { attacks: vec![("dlg", 22.0)], seeds: (0..1).collect(), ..Night::default() }
        .records(0);
    let once = || compared(&base, &new);
    let (a, b) = (once(), once());
    assert_eq!(a.json()["effects"], b.json()["effects"]);
    assert_eq!(a.counts.vanished, 117);
    assert!(
        a.terminal().contains("97 more, see the JSON")
            && a.markdown().contains("87 more, see the JSON")
    );
    assert_eq!(a.json()["findings"].as_array().unwrap().len(), 117);
    assert_eq!(a.json()["exit_code"], 1);
}
