//! The error rate of the gate, and its power, by simulation.
//!
//! Tolerances are zero here, so that the tests alone stand between chance and an alarm.

mod common;

use common::side;
use compare::{Comparison, Family, Judgement, Pairing, Verdict, compare};
use record::testing::nights::{Night, rescore};
use statrs::distribution::{Binomial, DiscreteCDF};
use suites::Gate;
use suites::gate::Severity;

fn bare_gate() -> Gate {
    let zero = 0.0;
    Gate {
        psnr: zero,
        ssim: zero,
        lpips: zero,
        label_match: zero,
        accuracy: zero,
        slower: 1.0,
        ..Gate::default()
    }
}

/// The count that a binomial variable of so many tries at `alpha` exceeds with probability below
/// 0.001.
fn bound(tries: u64, alpha: f64) -> u64 {
    Binomial::new(alpha, tries).unwrap().inverse_cdf(0.999)
}

/// Whether any test of an alarming metric came out, whichever the direction.
fn any_significant(comparison: &Comparison) -> bool {
    let quiet =
        [Judgement::Described, Judgement::Within, Judgement::Untested, Judgement::NotSignificant];
    comparison.effects.iter().any(|e| !quiet.contains(&e.judgement))
}

/// What became of pairs of runs in which nothing changed.
#[derive(Debug, PartialEq)]
struct Counted {
    alarms: u64,
    /// With any significant finding, the harmless ones included.
    significant: u64,
    /// Pooled tests that could have come out, over all pairs.
    tests: usize,
}

/// Alarms and significant findings among so many pairs of runs in which nothing changed.
fn counted(
    pairs: u64,
    how: Pairing,
    night: impl Fn(u64, bool) -> Vec<record::CellRecord>,
) -> Counted {
    // Across seeds, what cannot be tested is no alarm even where the gate would make it one.
    let untested = if how == Pairing::AcrossSeeds { Severity::Fail } else { Severity::Warn };
    let gate = Gate { untested, ..bare_gate() };
    let (mut alarms, mut significant, mut tests) = (0, 0, 0);
    for pair in 0..pairs {
        let (base, new) = (side("base", night(pair, false)), side("new", night(pair, true)));
        let found = compare(&base, &new, &gate, how).unwrap();
        let tested =
            found.effects.iter().filter(|e| e.family == Family::Pooled && e.p_adjusted.is_some());
        tests += tested.count();
        alarms += u64::from(found.verdict() == Verdict::Regressed);
        significant += u64::from(any_significant(&found));
    }
    Counted { alarms, significant, tests }
}

#[test]
fn equal_programs_alarm_no_more_often_than_stated() {
    // Two nights of one suite: noise of every image in every cell, and noise of an image that all
    // cells share.
    let pairs = 300;
    let night = Night { noise: 1.0, shared_noise: 1.0, images: 24, ..Night::default() };
    let counted =
        counted(pairs, Pairing::SameSeed, |pair, new| night.records(2 * pair + u64::from(new)));
    println!("same seed: {counted:?} of {pairs} pairs");
    assert!(
        counted.significant <= bound(pairs, 0.05) && counted.alarms <= counted.significant,
        "{counted:?}"
    );
    // Tests that can never come out would keep any error rate.
    assert!(counted.significant > 0 && counted.tests >= 5 * pairs as usize, "{counted:?}");
}

#[test]
fn other_seeds_alarm_no_more_often_than_stated() {
    // Two runs at twelve other seeds each: a seed's draw of weights moves all of its cells by 2 dB.
    let pairs = 200;
    let counted = counted(pairs, Pairing::AcrossSeeds, |pair, new| {
        let first = 24 * pair + 12 * u64::from(new);
        let night = Night {
            seeds: (first..first + 12).collect(),
            draw: 2.0,
            noise: 0.5,
            images: 4,
            ..Night::default()
        };
        night.records(first)
    });
    println!("across seeds: {counted:?} of {pairs} pairs");
    assert!(
        counted.significant <= bound(pairs, 0.05) && counted.alarms <= counted.significant,
        "{counted:?}"
    );
    assert!(counted.tests >= 5 * pairs as usize, "{counted:?}");
}

#[test]
fn twenty_pairs_of_single_seeds_raise_no_alarm() {
    let counted = counted(20, Pairing::AcrossSeeds, |pair, new| {
        let seeds = vec![2 * pair + u64::from(new)];
        Night { seeds, draw: 2.0, noise: 0.5, ..Night::default() }.records(pair)
    });
    // One seed is one unit, of which no test can make anything.
    assert_eq!(counted, Counted { alarms: 0, significant: 0, tests: 0 });
}

#[test]
fn one_decibel_over_twelve_images_is_found() {
    let night = Night { noise: 0.4, ..Night::default() };
    let mut found = 0;
    for pair in 0..40 {
        let base = night.records(2 * pair);
        let mut new = night.records(2 * pair + 1);
        let own = new.iter_mut().filter(|r| r.spec.attack.name == "dlg");
        own.for_each(|r| rescore(r, |psnr| psnr - 1.0));
        let compared =
            compare(&side("base", base), &side("new", new), &Gate::default(), Pairing::SameSeed)
                .unwrap();
        found += u32::from(compared.verdict() == Verdict::Regressed);
    }
    assert!(found >= 38, "{found} of 40");
}

#[test]
fn a_drop_shows_across_seeds_where_there_are_enough() {
    let at = |first: u64| {
        Night { seeds: (first..first + 12).collect(), draw: 0.5, ..Night::default() }.records(0)
    };
    let mut new = at(100);
    new.iter_mut()
        .filter(|r| r.spec.attack.name == "dlg")
        .for_each(|r| rescore(r, |psnr| psnr - 6.0));
    let found = compare(&side("a", at(0)), &side("b", new), &Gate::default(), Pairing::AcrossSeeds)
        .unwrap();
    assert_eq!(found.verdict(), Verdict::Regressed, "{}", found.terminal());
    assert!(found.findings[0].subject == "attack dlg", "{:?}", found.findings[0]);
}
