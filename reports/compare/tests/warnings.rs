//! What a comparison may not pass over in silence: each planted here, and said.

mod common;

use common::side;
use compare::{
    Comparison, Judgement, Kind, Pairing, Side, Subject, Verdict, Weight, compare, write_baseline,
};
use record::testing::nights::{Night, rescore, write, write_as};
use record::{CellRecord, Outcome};
use suites::Gate;

fn compared(base: &[CellRecord], new: &[CellRecord]) -> Comparison {
    let (base, new) = (side("base", base.to_vec()), side("new", new.to_vec()));
    compare(&base, &new, &Gate::default(), Pairing::SameSeed).unwrap()
}

fn texts(found: &Comparison, weight: Weight, kind: Kind) -> Vec<String> {
    let own = found.findings(weight).filter(|f| f.kind == kind);
    own.map(|f| format!("{}: {}", f.subject, f.text)).collect()
}

fn of<'a>(
    records: &'a mut [CellRecord],
    attack: &'a str,
    defended: bool,
) -> impl Iterator<Item = &'a mut CellRecord> {
    records
        .iter_mut()
        .filter(move |r| r.spec.attack.name == attack && r.spec.defenses.is_empty() != defended)
}

fn psnr(record: &mut CellRecord, change: impl Fn(usize) -> f64) {
    let old: Vec<f64> = record.images.iter().map(|i| i.scores["psnr"].unwrap()).collect();
    for (at, old) in old.into_iter().enumerate() {
        let mut one = CellRecord { images: vec![record.images[at].clone()], ..record.clone() };
        rescore(&mut one, |_| old + change(at));
        record.images[at] = one.images.remove(0);
    }
}

#[test]
fn a_loss_that_is_not_sure_is_a_warning() {
    let base = Night::default().records(0);
    let mut new = base.clone();
    // Beyond 0.5 dB in the mean, through four images of twelve; four others gained.
    of(&mut new, "dlg", false).for_each(|r| {
        psnr(r, |at| {
            if at < 4 {
                -6.0
            } else if at < 8 {
                2.0
            } else {
                0.3
            }
        })
    });
    let found = compared(&base, &new);
    let warned = texts(&found, Weight::Warning, Kind::Effect(Judgement::NotSignificant));
    assert!(
        warned.iter().any(|w| w.starts_with("attack dlg: not significant: PSNR (dB) −1.23")),
        "{warned:?}"
    );
    assert!(
        found.adverse_warnings() >= 1
            && found.json()["adverse_warnings"] == found.adverse_warnings()
    );
}

#[test]
fn rounding_does_not_hide_a_loss() {
    // 32 images: eleven fell, the others moved by what a GPU's sums do.
    let base = Night { images: 32, ..Night::default() }.records(0);
    let mut new = base.clone();
    for record in &mut new {
        psnr(record, |at| if at % 2 == 0 { 0.02 } else { -0.02 });
    }
    of(&mut new, "dlg", false).for_each(|r| psnr(r, |at| if at < 14 { -3.0 } else { 0.01 }));
    let found = compared(&base, &new);
    assert_eq!(found.verdict(), Verdict::Regressed, "{}", found.terminal());
    let attack = found.effects.iter().find(|e| e.subject == Subject::Attack("dlg".into())).unwrap();
    assert_eq!((attack.moved, attack.units, attack.test), (14, 32, "Wilcoxon signed-rank"));
}

#[test]
fn images_that_are_not_finite_are_no_gain() {
    let base = Night { attacks: vec![("dlg", 3.0)], ..Night::default() }.records(0);
    let mut new = base.clone();
    // Scored as the grey image, at 9 dB, they would look like a gain.
    for record in of(&mut new, "dlg", false) {
        let old = record.clone();
        psnr(record, |at| if at < 10 { 9.0 - old.images[at].scores["psnr"].unwrap() } else { 0.0 });
        record
            .images
            .iter_mut()
            .take(10)
            .for_each(|i| i.flags.push(suites::FlagKind::NonFinite.into()));
    }
    let found = compared(&base, &new);
    assert!(found.findings(Weight::Change).next().is_none(), "{}", found.terminal());
    let warned = texts(&found, Weight::Warning, Kind::NotFinite);
    assert_eq!(warned, ["attack dlg: 0 → 10 of 36 images are not finite; they count as no gain"]);
    let alarms = texts(&found, Weight::Regression, Kind::Effect(Judgement::AttackWeaker));
    assert!(
        alarms.iter().any(|a| a.contains("share of non-finite images +0.833")),
        "{}",
        found.terminal()
    );
    // Back again is none the worse.
    assert_eq!(compared(&new, &base).verdict(), Verdict::Passed);
}

#[test]
fn an_attack_weaker_behind_defenses_only_is_no_stronger_defense() {
    let base = Night::default().records(0);
    let mut new = base.clone();
    of(&mut new, "inverting-gradients", true).for_each(|r| psnr(r, |_| -3.0));
    let found = compared(&base, &new);
    let alarms = texts(&found, Weight::Regression, Kind::Effect(Judgement::AttackWeaker));
    assert!(
        alarms[0].starts_with("attack inverting-gradients behind defenses: attack weaker"),
        "{alarms:?}"
    );
    let praised =
        found.effects.iter().filter(|e| e.judgement == Judgement::DefenseStronger).count();
    assert_eq!(praised, 0, "{}", found.terminal());
    // Where all attacks fall it is the defenses.
    let mut all = base.clone();
    all.iter_mut().filter(|r| !r.spec.defenses.is_empty()).for_each(|r| psnr(r, |_| -3.0));
    let found = compared(&base, &all);
    assert_eq!(found.verdict(), Verdict::Passed, "{}", found.terminal());
    // Too few images for a test are enough for a word.
    let few = Night { images: 3, ..Night::default() }.records(0);
    let mut new = few.clone();
    of(&mut new, "dlg", true).for_each(|r| psnr(r, |_| -3.0));
    let warned = texts(&compared(&few, &new), Weight::Warning, Kind::WeakerBehind);
    assert!(
        warned[0].contains("reconstructs less behind 2 of 2 defenses (dp-gaussian, prune)"),
        "{warned:?}"
    );
}

#[test]
fn total_seconds_are_watched() {
    let base = Night { seeds: (0..4).collect(), ..Night::default() }.records(0);
    let mut new = base.clone();
    // A third of the cells take thrice as long, the others the same: the median cell does not move.
    of(&mut new, "dlg", true).chain(std::iter::empty()).for_each(|r| r.wall.seconds *= 4.0);
    let base_total: f64 = base.iter().map(|r| r.wall.seconds).sum();
    let new_total: f64 = new.iter().map(|r| r.wall.seconds).sum();
    assert!(new_total > 1.25 * base_total);
    let found = compared(&base, &new);
    let alarms = texts(&found, Weight::Regression, Kind::Effect(Judgement::Slower));
    assert!(alarms.iter().any(|a| a.contains("total seconds × 1.667")), "{}", found.terminal());
    assert!(
        texts(&found, Weight::Warning, Kind::Slow)[0]
            .starts_with("attack dlg: takes × 3.00 as long")
    );
    // One cell alone is no test, and not silent.
    let mut one = base.clone();
    one[0].wall.seconds *= 40.0;
    let found = compared(&base, &one);
    assert_eq!(found.verdict(), Verdict::Passed);
    let warned = texts(&found, Weight::Warning, Kind::Effect(Judgement::Untested));
    assert!(warned.iter().any(|w| w.contains("total seconds")), "{}", found.terminal());
}

#[test]
fn images_lost_across_seeds_are_counted() {
    let base = Night::default().records(0);
    let mut new = Night { seeds: vec![1], ..Night::default() }.records(0);
    new[0].images.truncate(5);
    let found =
        compare(&side("a", base), &side("b", new), &Gate::default(), Pairing::AcrossSeeds).unwrap();
    let lost = texts(&found, Weight::Regression, Kind::MetricLost);
    assert_eq!(lost[0], "PSNR (dB): had 7 values in 1 cells that are missing or no numbers now");
}

#[test]
fn a_baseline_keeps_its_gate() {
    let dir = tempfile::tempdir().unwrap();
    let (run, file) = (dir.path().join("run"), dir.path().join("baseline.json"));
    let records = Night::default().records(0);
    write_as(&run, &records, |info| {
        info.suite.text = "[suite]\nname = \"night\"\n[gate]\npsnr = 2.5\n".into()
    });
    write_baseline(&run, &file).unwrap();
    let kept = Side::open(&file).unwrap();
    assert_eq!(kept.gate().unwrap(), Gate { psnr: 2.5, ..Gate::default() });
    let plain = dir.path().join("plain");
    write(&plain, &records);
    let plain = Side::open(&plain).unwrap();
    let found = compare(&kept, &plain, &Gate::default(), Pairing::SameSeed).unwrap();
    assert!(
        found.notes.contains(&"the runs' own gates differ: psnr 2.5 → 0.5".into()),
        "{:?}",
        found.notes
    );
    // A file of schema 1.0 has none.
    let text = std::fs::read_to_string(&file).unwrap();
    let mut old: serde_json::Value = serde_json::from_str(&text).unwrap();
    old["baseline"] = "1.0".into();
    old.as_object_mut().unwrap().remove("gate");
    std::fs::write(&file, old.to_string()).unwrap();
    assert_eq!(Side::open(&file).unwrap().gate().unwrap(), Gate::default());
    old["gate"] = serde_json::json!({ "alpha": 7.0 });
    std::fs::write(&file, old.to_string()).unwrap();
    assert!(Side::open(&file).unwrap_err().to_string().contains("gate.alpha: 7 is out of range"));
}

#[test]
fn leaks_failures_and_other_work_are_said() {
    let base = Night::default().records(0);
    let (mut was, mut is) = (base.clone(), base.clone());
    was[2].outcome = Outcome::NotApplicable { why: "no".into() };
    was[2].images.clear();
    psnr(&mut is[2], |_| 20.0);
    for records in [&mut was, &mut is] {
        records[0].outcome =
            Outcome::Failed { stage: "attack".into(), message: "no memory".into() };
        records[0].images.clear();
    }
    is[3].cost.gradient_evaluations = 150;
    is[4].cost.bytes_up *= 2;
    let found = compared(&was, &is);
    assert_eq!(found.verdict(), Verdict::Passed);
    let leaks = texts(&found, Weight::Warning, Kind::Leaks);
    assert!(
        leaks[0].ends_with("leaks now where it did not apply: 12 of 12 images at PSNR ≥ 20 dB"),
        "{leaks:?}"
    );
    let failed = texts(&found, Weight::Warning, Kind::Failed);
    assert!(failed[0].ends_with("failed in attack: no memory; so it did before"), "{failed:?}");
    let work = texts(&found, Weight::Warning, Kind::Work);
    assert_eq!(
        work[0],
        "attack inverting-gradients: gradient evaluations × 0.500 in 1 cells of an unchanged spec"
    );
    assert_eq!(work[1], "defense dp-gaussian: bytes up × 2.000 in 1 cells of an unchanged spec");
    assert_eq!(found.adverse_warnings(), 3, "{}", found.terminal());
}

#[test]
fn one_federation_is_tested_on_its_examples() {
    let mut base = Night::default().records(0);
    base.iter_mut().for_each(|r| {
        r.task.insert("test_examples".into(), 1000.0);
    });
    let mut new = base.clone();
    new.iter_mut().for_each(|r| {
        r.task.insert("accuracy".into(), 0.7);
    });
    let found = compared(&base, &new);
    let alarms = texts(&found, Weight::Regression, Kind::Effect(Judgement::AccuracyDown));
    assert!(
        alarms[0].contains("accuracy down: accuracy 0.800 → 0.700 on 1000 examples"),
        "{alarms:?}"
    );
    // One federation in nine cells, one of which tells another number: their mean.
    new = base.clone();
    new[0].task.insert("accuracy".into(), 0.53);
    let found = compared(&base, &new);
    assert!(found.accuracies.len() == 1 && (found.accuracies[0].new - 0.77).abs() < 1e-12);
    let warned = texts(&found, Weight::Warning, Kind::Federation);
    assert!(
        warned[0].contains("accuracy 0.800 → 0.770; no surer than chance"),
        "{}",
        found.terminal()
    );
}

#[test]
fn a_defense_that_cannot_be_measured_raises_no_alarm() {
    // Without a defense the attack stays below the mean image (11.5 dB); behind it more comes
    // through than before.
    let attacks = vec![("dlg", 9.0)];
    let night = Night { attacks, defenses: vec![("prune", 0.5)], ..Night::default() };
    let (base, mut new) = (night.records(0), night.records(0));
    of(&mut new, "dlg", true).for_each(|r| psnr(r, |_| 1.5));
    let found = compared(&base, &new);
    assert_eq!(found.verdict(), Verdict::Passed);
    let warned = texts(&found, Weight::Warning, Kind::NotMeasurable);
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("defense prune: 1 cell raises no alarm: not measurable: "));
    // It was so in the base, too: no reason to keep the night from becoming a baseline.
    assert_eq!(found.adverse_warnings(), 0);
    let tested = |e: &&compare::Effect| matches!(e.subject, Subject::Defense(_));
    assert_eq!(found.effects.iter().filter(tested).count(), 0);
    // A baseline file knows it as the run does.
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &base);
    let file = dir.path().join("baseline.json");
    write_baseline(dir.path(), &file).unwrap();
    let kept = Side::open(&file).unwrap();
    let again = compare(&side("base", new), &kept, &Gate::default(), Pairing::SameSeed).unwrap();
    assert_eq!(texts(&again, Weight::Warning, Kind::NotMeasurable).len(), 1);
    // The same change where the attack works undefended is an alarm.
    let night = Night { attacks: vec![("dlg", 22.0)], ..night };
    let (base, mut new) = (night.records(0), night.records(0));
    of(&mut new, "dlg", true).for_each(|r| psnr(r, |_| 1.5));
    assert_eq!(compared(&base, &new).verdict(), Verdict::Regressed);
}
