//! The sentences of small runs.

use super::*;
use crate::figure::filter::Picked;
use crate::standing::stands;
use record::testing::{from_spec, info, record};
use record::{CellRecord, MetricInfo, Outcome};
use suites::{Named, Source};

fn cell(defense: Option<Named>, psnrs: &[f64]) -> CellRecord {
    let mut spec = record("dlg", 0, psnrs).spec;
    spec.defenses = defense.into_iter().collect();
    from_spec(spec, psnrs)
}

fn seen(source: Source, defense: Option<Named>, psnrs: &[f64]) -> CellRecord {
    let mut spec = cell(defense, psnrs).spec;
    spec.source = source;
    from_spec(spec, psnrs)
}

fn prune(fraction: f64) -> Option<Named> {
    Some(Named::new("prune").with("fraction", fraction))
}

/// The sentences of a run of these cells, and of one more that has no record where `open`.
fn said(records: Vec<CellRecord>, open: bool) -> String {
    let mut info = info("a");
    info.suite.cells = records.iter().map(|r| r.id.clone()).collect();
    info.suite.cells.extend(open.then(|| record("never", 0, &[1.0]).id));
    let run = Run::new("".into(), info, records);
    let all: Vec<Picked> = (0..run.records.len()).map(|at| Picked::whole(&run, at)).collect();
    verdict(&run, &stands(&run, &all).0).join(" ").replace('\u{a0}', " ")
}

#[test]
fn what_is_recovered_and_what_is_left() {
    let mut hidden = cell(Some(Named::new("secagg")), &[]);
    hidden.outcome = Outcome::NotApplicable { why: "masked".into() };
    let cells = vec![
        cell(None, &[30.0, 26.0, 12.0]),
        cell(prune(0.9), &[8.0, 9.0, 10.0]),
        cell(prune(0.5), &[25.0, 24.9, 3.0]),
        hidden,
    ];
    let wanted = "Undefended, the strongest attack (dlg) recovers 2 of 3 pictures (PSNR ≥ 25 dB). \
        Pruning (fraction = 0.5) leaves 1 of 3. Pruning (fraction = 0.9) leaves none of 3. SecAgg \
        leaves nothing to attack.";
    assert_eq!(said(cells, false), wanted);
}

#[test]
fn defenses_that_leave_the_same_are_enumerated() {
    let dp = Named::new("dp-local").with("epsilon", 10.0);
    let cells = vec![
        cell(None, &[30.0]),
        cell(prune(0.9), &[8.0]),
        cell(Some(dp), &[9.0]),
        cell(Some(Named::new("sign")), &[7.0]),
    ];
    let text = said(cells, false);
    let wanted = " Pruning (fraction = 0.9), Local DP (ε = 10) and Signs alone leave none of 1.";
    assert!(text.ends_with(wanted), "{text}");
}

#[test]
fn nothing_follows_where_no_attack_beats_the_floor() {
    // The mean picture is at 11.5 dB; the nearest, at 13 dB, needs the truth.
    let cells = |psnr: f64| vec![cell(None, &[psnr; 3]), cell(prune(0.9), &[8.0; 3])];
    let wanted = "No attack surely beat the floor (grey, mean, noise) where no defense is in its \
        way: nothing follows about these defenses.";
    assert_eq!(said(cells(11.4), false), wanted);
    assert!(said(cells(11.6), false).starts_with("Undefended, "));
    assert!(said(vec![cell(None, &[5.0])], false).ends_with("nothing follows about the model."));
}

#[test]
fn without_a_twin_nothing_follows() {
    let (one, mean) = (Source::Gradients, Source::AggUpdate);
    let cells = vec![
        seen(one, None, &[30.0]),
        seen(one, prune(0.9), &[9.0]),
        seen(mean, prune(0.9), &[9.0]),
    ];
    let text = said(cells, false);
    let wanted = "Nothing follows about Pruning (fraction = 0.9, the clients' mean update): the \
        same was not attacked without the defense.";
    assert!(text.ends_with(wanted), "{text}");
    assert_eq!(text.matches("leaves").count(), 1, "{text}");
}

#[test]
fn defenses_where_the_attack_fails_without_them_are_named() {
    let (one, mean) = (Source::Gradients, Source::AggUpdate);
    let cells = vec![
        seen(one, None, &[30.0]),
        seen(one, prune(0.9), &[9.0]),
        seen(mean, None, &[9.0]),
        seen(mean, prune(0.9), &[9.0]),
    ];
    let text = said(cells, false);
    let wanted = "Nothing follows about Pruning (fraction = 0.9, the clients' mean update): no \
        attack surely beat the floor there without the defense.";
    assert!(text.ends_with(wanted), "{text}");
    assert!(text.contains("Pruning (fraction = 0.9, one gradient) leaves none of 1."), "{text}");
}

#[test]
fn a_run_without_a_verdict_says_why() {
    assert_eq!(said(Vec::new(), false), "No cell has been attacked yet.");
    assert!(said(vec![cell(prune(0.9), &[20.0])], false).starts_with("No attack was scored with"));
    let mut broken = cell(None, &[20.0]);
    broken.outcome = Outcome::Failed { stage: "attack".into(), message: "memory".into() };
    broken.images.clear();
    let wanted = "No attack was scored. This run is not finished: 1 cell of 2 not run yet. 1 cell \
        of 2 failed.";
    assert_eq!(said(vec![broken], true), wanted);
}

#[test]
fn labels_without_pictures_are_told() {
    let psnr = MetricInfo { thresholds: vec![25.0], ..MetricInfo::higher("psnr", "PSNR") };
    let listed = vec![psnr, MetricInfo::higher("label_multiset", "labels of the batch")];
    let said = |own: CellRecord| {
        let info = record::RunInfo { metrics: listed.clone(), ..info("a") };
        let run = Run::new("".into(), info, vec![own]);
        let all = [Picked::whole(&run, 0)];
        verdict(&run, &stands(&run, &all).0).join(" ").replace('\u{a0}', " ")
    };
    let score = |told: f64| record::Scores::from([("label_multiset".to_string(), Some(told))]);
    let mut own = cell(None, &[30.0, 31.0]);
    own.images.iter_mut().for_each(|image| image.scores = score(0.75));
    own.baselines = [("public".to_string(), vec![score(0.5), score(0.5)])].into();
    let wanted = "No attack drew a picture. 1 of 1 undefended cell surely tell more of a batch's \
        labels than what is known without the update: 75 % of them at most.";
    assert!(said(own.clone()).starts_with(wanted), "{}", said(own));
    let mut chance = cell(None, &[30.0, 31.0]);
    chance.images.iter_mut().for_each(|image| image.scores = score(0.5));
    chance.baselines = [("public".to_string(), vec![score(0.5), score(0.5)])].into();
    assert!(said(chance).contains(" 0 of 1 undefended cell surely"));
}

#[test]
fn pictures_that_are_named_are_told() {
    let mut own = cell(None, &[30.0, 31.0]);
    own.images[0].scores.insert("identified-top1".into(), Some(1.0));
    own.images[1].scores.insert("identified-top1".into(), Some(0.0));
    own.candidates = Some(1000);
    let text = said(vec![own], false);
    assert!(text.ends_with(" 1 of 2 name their picture among 1000 candidates."), "{text}");
}

#[test]
fn long_lists_are_cut_and_counted() {
    let mut cells = vec![cell(None, &[30.0])];
    cells.extend((1..=8).map(|n| cell(prune(f64::from(n) / 16.0), &[9.0])));
    let text = said(cells, false);
    assert!(text.ends_with("(fraction = 0.375) and 2 more leave none of 1."), "{text}");
    assert_eq!(text.matches("Pruning").count(), LISTED);
}

#[test]
fn failed_and_missing_cells_are_told_after_the_verdict() {
    let mut broken = cell(prune(0.9), &[20.0]);
    broken.outcome = Outcome::Failed { stage: "attack".into(), message: "memory".into() };
    broken.images.clear();
    let mut other = broken.clone();
    other.spec.seed = 7;
    other.id = other.spec.id();
    let cells = vec![cell(None, &[30.0, 26.0]), cell(prune(0.5), &[9.0, 30.0]), broken, other];
    let wanted = "Undefended, the strongest attack (dlg) recovers 2 of 2 pictures (PSNR ≥ 25 dB). \
        Pruning (fraction = 0.5) leaves 1 of 2. Pruning (fraction = 0.9) leaves no picture, since \
        no attack was scored. This run is not finished: 1 cell of 5 not run yet. 2 cells of 5 \
        failed.";
    assert_eq!(said(cells, true), wanted);
}

#[test]
fn the_floor_is_named_after_the_baselines_that_the_run_has() {
    let mut own = cell(None, &[10.0; 3]);
    own.baselines.remove("noise");
    own.baselines.remove("grey");
    let text = said(vec![own.clone()], false);
    assert!(text.starts_with("No attack surely beat the floor (mean) where"), "{text}");
    // By the mean alone it is beaten; of three pictures each must be.
    own.images[0].scores.insert("psnr".into(), Some(30.0));
    let text = said(vec![own], false);
    assert!(text.starts_with("No attack surely beat the floor (mean) where"), "{text}");
}

/// No picture above a threshold of the PSNR is no verdict where the pictures are identified.
#[test]
fn pictures_that_are_identified_are_not_said_to_be_safe() {
    let judged = |defense, psnrs: &[f64], hits: usize| {
        let mut own = cell(defense, psnrs);
        own.candidates = Some(100);
        for (at, image) in own.images.iter_mut().enumerate() {
            let found = f64::from(u8::from(at < hits));
            image.scores.insert("identified-top1".into(), Some(found));
        }
        own
    };
    let cells = vec![
        judged(None, &[30.0; 9], 9),
        judged(prune(0.9), &[19.0; 9], 8),
        judged(prune(0.99), &[9.0; 9], 0),
        judged(Some(Named::new("sign")), &[26.0; 9], 9),
    ];
    let text = said(cells, false);
    let wanted = "Pruning (fraction = 0.9) leaves none of 9, yet 8 of 9 name their picture.";
    assert!(text.contains(wanted), "{text}");
    assert!(text.contains("Pruning (fraction = 0.99) leaves none of 9."), "{text}");
    assert!(text.contains("Signs alone leaves 9 of 9."), "{text}");
}
