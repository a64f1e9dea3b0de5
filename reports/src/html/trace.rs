//! Objective curves, thinned so that no run makes the page unwieldy; what was left out is said.

use record::CellRecord;
use record::run::Run;
use serde_json::{Value, json};

/// Points of one curve.
const POINTS: usize = 64;
/// Curves of one cell.
const CURVES: usize = 8;
/// Numbers of all curves together.
const NUMBERS: usize = 150_000;

/// Per cell: `x` iterations, `y` the objective of each trial shown, `trials` and `points` as
/// recorded; null where there is no trace.
pub(super) fn traces(run: &Run) -> Vec<Value> {
    let points: usize = run.records.iter().map(|r| r.trace.len().min(POINTS)).sum();
    let curves = (NUMBERS / points.max(1)).clamp(1, CURVES);
    run.records.iter().map(|record| trace(record, curves)).collect()
}

fn trace(record: &CellRecord, curves: usize) -> Value {
    let (all, trials) =
        (&record.trace, record.trace.iter().map(|p| p.objective.len()).max().unwrap_or(0));
    if all.is_empty() {
        return Value::Null;
    }
    let kept: Vec<_> = thinned(all.len()).into_iter().map(|at| &all[at]).collect();
    let of = |trial: usize| -> Vec<Value> {
        kept.iter()
            .map(|p| p.objective.get(trial).copied().flatten().map_or(Value::Null, short))
            .collect()
    };
    json!({
        "x": kept.iter().map(|p| p.iteration).collect::<Vec<_>>(),
        "y": (0..trials.min(curves)).map(of).collect::<Vec<_>>(),
        "trials": trials,
        "points": all.len(),
    })
}

/// At most [`POINTS`] places of `len`, evenly, the first and the last among them.
fn thinned(len: usize) -> Vec<usize> {
    if len <= POINTS {
        (0..len).collect()
    } else {
        (0..POINTS).map(|i| i * (len - 1) / (POINTS - 1)).collect()
    }
}

/// Five significant digits, enough to draw; null where not finite.
fn short(value: f64) -> Value {
    format!("{value:.4e}")
        .parse::<f64>()
        .ok()
        .filter(|v| v.is_finite())
        .map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_keep_their_ends() {
        assert_eq!(thinned(3), [0, 1, 2]);
        let many = thinned(1000);
        assert_eq!((many.len(), many[0], many[POINTS - 1]), (POINTS, 0, 999));
        assert_eq!((short(f64::NAN), short(0.123456)), (Value::Null, json!(0.12346)));
    }
}
