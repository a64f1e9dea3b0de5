//! The worst case over the attacks on one defense, with intervals that hold for the largest of
//! them.

use record::aggregate::{Goal, cell_mean, cell_rate};
use record::run::Run;
use record::stats::{CONFIDENCE, Interval, Rate};
use record::{CellRecord, Outcome};

/// How the intervals of the worst case are to be read, for captions and tables.
pub(crate) const JOINT: &str = "at 1 - 0.05/k for each of the k attacks tried on a defense \
    (Bonferroni), so that 95 % holds for the largest of them";

/// What the attacks on one defense came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WorstCase {
    /// Cells whose attack was let loose, whether or not it came back; what failed before its attack
    /// is no try.
    pub tried: Vec<usize>,
    /// Cells that failed, with where and why.
    pub failed: Vec<(usize, String)>,
    /// The largest success rate, over all images that its attack was let loose on, and its cell;
    /// `None` where no attack was scored. The interval is that of the largest rate over all
    /// attacks.
    pub success: Option<(Rate, usize)>,
    /// The largest mean PSNR (dB), the interval of the largest over all attacks, and its cell.
    pub psnr: Option<(f64, Option<Interval>, usize)>,
}

impl WorstCase {
    /// Of the cells `rivals`, which differ in the attack alone.
    pub fn of(run: &Run, rivals: &[usize]) -> Self {
        let with = |keep: fn(&CellRecord) -> bool| -> Vec<usize> {
            rivals.iter().copied().filter(|at| keep(&run.records[*at])).collect()
        };
        let (tried, scored) = (with(let_loose), with(scored));
        let level = joint_level(tried.len());
        let failed =
            rivals.iter().filter_map(|at| Some((*at, failure(&run.records[*at])?))).collect();
        WorstCase {
            success: success(run, &scored, level),
            psnr: psnr(run, &scored, level),
            tried,
            failed,
        }
    }
}

/// Whether any image of the cell has a score: an attack without one says nothing about the defense.
fn scored(record: &CellRecord) -> bool {
    record.scores("psnr").iter().any(Option::is_some)
}

fn let_loose(record: &CellRecord) -> bool {
    matches!(record.outcome, Outcome::Done) || record.lost_images() > 0 || scored(record)
}

fn failure(record: &CellRecord) -> Option<String> {
    match &record.outcome {
        Outcome::Failed { stage, message } => Some(format!("in {stage}: {message}")),
        Outcome::Done if !scored(record) => Some("no image has a PSNR".into()),
        _ => None,
    }
}

/// Confidence of each of `tries` intervals that makes all of them hold at once at [`CONFIDENCE`] or
/// better (Bonferroni).
fn joint_level(tries: usize) -> f64 {
    1.0 - (1.0 - CONFIDENCE) / tries.max(1) as f64
}

/// Where every quantity lies in its interval, the largest lies in this one.
fn of_largest(intervals: impl IntoIterator<Item = Interval>) -> Option<Interval> {
    let larger =
        |a: Interval, b: Interval| Interval { low: a.low.max(b.low), high: a.high.max(b.high) };
    intervals.into_iter().reduce(larger)
}

fn success(run: &Run, scored: &[usize], level: f64) -> Option<(Rate, usize)> {
    let (psnr, bound, _) = run.headline()?;
    let rate = |at: &usize| {
        Some((cell_rate(&run.records[*at], &Goal::Reached(&psnr, bound), level)?, *at))
    };
    let rates: Vec<(Rate, usize)> = scored.iter().filter_map(rate).collect();
    let ci = of_largest(rates.iter().map(|(rate, _)| rate.ci))?;
    // The first of equals, as the suite lists them.
    let (rate, at) = rates.into_iter().rev().max_by(|a, b| a.0.rate.total_cmp(&b.0.rate))?;
    Some((Rate { ci, ..rate }, at))
}

fn psnr(run: &Run, scored: &[usize], level: f64) -> Option<(f64, Option<Interval>, usize)> {
    let metric = run.metric("psnr");
    let mean = |at: &usize| {
        let summary = cell_mean(&run.records[*at], &metric, level);
        Some((summary.mean?, summary.ci, *at))
    };
    let means: Vec<(f64, Option<Interval>, usize)> = scored.iter().filter_map(mean).collect();
    // An attack without an interval, with a single image, may be the largest: then there is none
    // for that, either.
    let intervals: Option<Vec<Interval>> = means.iter().map(|(_, ci, _)| *ci).collect();
    let (mean, _, at) = means.into_iter().rev().max_by(|a, b| a.0.total_cmp(&b.0))?;
    Some((mean, intervals.and_then(of_largest), at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frontier::tests::{cell, failed, run};
    use record::stats::wilson_at;

    fn worst(records: Vec<CellRecord>) -> WorstCase {
        let run = run(records);
        WorstCase::of(&run, &(0..run.records.len()).collect::<Vec<_>>())
    }

    #[test]
    fn crashed_attacks_are_no_privacy() {
        for stage in ["attack", "panic"] {
            let all = worst(vec![failed(cell("a", &[]), stage), failed(cell("b", &[]), stage)]);
            assert_eq!((all.success, all.psnr), (None, None), "{stage}");
            assert_eq!((all.tried, all.failed.len()), (vec![0, 1], 2));
        }
    }

    #[test]
    fn what_failed_before_its_attack_is_no_try() {
        let some = worst(vec![
            failed(cell("a", &[]), "capture"),
            cell("b", &[30.0, 20.0]),
            failed(cell("c", &[]), "attack"),
        ]);
        assert_eq!(some.tried, [1, 2]);
        let (rate, at) = some.success.unwrap();
        assert_eq!((rate.successes, rate.tries, at), (1, 2, 1));
        let named: Vec<_> = some.failed.iter().map(|(at, why)| (*at, why.as_str())).collect();
        assert_eq!(named, [(0, "in capture: no memory"), (2, "in attack: no memory")]);
    }

    #[test]
    fn lost_images_of_a_scored_attack_are_failed_tries() {
        let mut torn = failed(cell("a", &[30.0, 30.0, 30.0, 30.0]), "attack");
        torn.images.truncate(1);
        let (rate, _) = worst(vec![torn]).success.unwrap();
        assert_eq!((rate.successes, rate.tries), (1, 4));
        // No attack, scored or not, that did worse than another stands for the defense.
        let none = worst(vec![failed(cell("a", &[]), "attack"), cell("b", &[10.0, 12.0])]);
        assert_eq!(
            none.success.map(|(rate, at)| (rate.successes, rate.tries, at)),
            Some((0, 2, 1))
        );
    }

    #[test]
    fn intervals_widen_with_the_attacks_tried() {
        let psnrs = [30.0, 28.0, 26.0, 24.0, 22.0, 20.0];
        let alone = run(vec![cell("a", &psnrs)]);
        let one = WorstCase::of(&alone, &[0]);
        // One attack alone has the interval of its own summary.
        let (rate, _) = one.success.unwrap();
        let own = alone.cells[0].success["PSNR ≥ 25 dB"];
        assert!(
            (rate.ci.low - own.ci.low).abs() < 1e-12 && (rate.ci.high - own.ci.high).abs() < 1e-12
        );
        let (_, one_psnr, _) = one.psnr.unwrap();
        let (one_psnr, own) = (one_psnr.unwrap(), alone.cells[0].metrics["psnr"].ci.unwrap());
        assert!((one_psnr.low - own.low).abs() < 1e-9 && (one_psnr.high - own.high).abs() < 1e-9);
        // Crashed attacks are tries, and widen it as well.
        let more =
            worst(vec![cell("a", &psnrs), cell("b", &[9.0; 6]), failed(cell("c", &[]), "attack")]);
        let wide = more.success.unwrap().0.ci;
        let want = wilson_at(3, 6, 1.0 - 0.05 / 3.0).unwrap().ci;
        assert!((wide.low - want.low).abs() < 1e-9 && (wide.high - want.high).abs() < 1e-9);
        assert!(wide.low < rate.ci.low && wide.high > rate.ci.high);
        let wide = more.psnr.unwrap().1.unwrap();
        assert!(wide.low < one_psnr.low && wide.high > one_psnr.high);
    }

    #[test]
    fn the_largest_may_be_an_attack_tried_less_often() {
        let many = [[30.0; 10], [10.0; 10]].concat();
        let both = worst(vec![cell("a", &many), cell("b", &[30.0, 10.0, 10.0])]);
        let (rate, at) = both.success.unwrap();
        let of = |k, n| wilson_at(k, n, 0.975).unwrap().ci;
        let (often, seldom) = (of(10, 20), of(1, 3));
        assert!(at == 0 && seldom.high > often.high);
        assert!(
            (rate.ci.high - seldom.high).abs() < 1e-12 && (rate.ci.low - often.low).abs() < 1e-12
        );
    }
}
