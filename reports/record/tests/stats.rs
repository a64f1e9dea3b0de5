//! Statistics against numpy and scipy; the script beside the golden file made it.

use rand::Rng;
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
use record::stats;
use serde_json::Value;

fn golden() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/stats.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn close(got: f64, want: f64, tolerance: f64) {
    assert!((got - want).abs() <= tolerance, "{got} is not {want} +- {tolerance}");
}

#[test]
fn agrees_with_numpy_and_scipy() {
    for case in golden()["cases"].as_array().unwrap() {
        let values: Vec<f64> =
            case["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let want = |key: &str| case[key].as_f64().unwrap();
        close(stats::mean(&values).unwrap(), want("mean"), 1e-12);
        close(stats::sample_sd(&values).unwrap(), want("sd"), 1e-12);
        close(stats::median(&values).unwrap(), want("median"), 1e-12);
        close(stats::quantile_sorted(&stats::sorted(&values), 0.05).unwrap(), want("q05"), 1e-12);
    }
}

#[test]
fn intervals_agree_with_scipys_bca() {
    for case in golden()["bca"].as_array().unwrap() {
        let values: Vec<f64> =
            case["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let ones: Vec<(f64, usize)> = values.iter().map(|v| (*v, 1)).collect();
        let level = case["confidence"].as_f64().unwrap();
        let bca = stats::Bca { confidence: level, resamples: 10_000 };
        let mut rng = ChaCha12Rng::seed_from_u64(3);
        let ci = bca.interval(&ones, || rng.random_range(0..ones.len())).unwrap();
        let (low, high) = (case["low"].as_f64().unwrap(), case["high"].as_f64().unwrap());
        // Two Monte-Carlo estimates of one quantile: they agree to a few percent of the interval's
        // width, less closely where a tail holds but a few resamples.
        let slack = if level > 0.95 { 0.08 } else { 0.04 } * (high - low);
        close(ci.low, low, slack);
        close(ci.high, high, slack);
    }
}

#[test]
fn wilson_agrees_with_scipy() {
    let golden = golden();
    let cases = |key: &str| golden[key].as_array().unwrap().clone();
    for case in cases("wilson").into_iter().chain(cases("wilson_joint")) {
        let count = |key: &str| case[key].as_u64().unwrap() as usize;
        let level = case["confidence"].as_f64().unwrap_or(stats::CONFIDENCE);
        let rate = stats::wilson_at(count("successes"), count("tries"), level).unwrap();
        let Some(ci) = rate.ci else {
            assert!(count("tries") < stats::LEAST_UNITS);
            continue;
        };
        close(ci.low, case["low"].as_f64().unwrap(), 1e-9);
        close(ci.high, case["high"].as_f64().unwrap(), 1e-9);
    }
}

fn tests(key: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/tests.json");
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    all[key].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn signed_ranks_agree_with_scipy() {
    for (key, tolerance) in [("exact", 1e-12), ("normal", 1e-9)] {
        for case in tests(key) {
            let got = stats::wilcoxon(&numbers(&case["values"]));
            assert_eq!(got.plus.min(got.minus), case["statistic"].as_f64().unwrap());
            close(got.p, case["p"].as_f64().unwrap(), tolerance);
        }
    }
}

#[test]
fn sign_test_and_holm_agree_with_scipy_and_statsmodels() {
    for case in tests("sign") {
        let count = |key: &str| case[key].as_u64().unwrap() as usize;
        close(stats::sign_test(count("plus"), count("minus")), case["p"].as_f64().unwrap(), 1e-9);
    }
    for case in tests("holm") {
        let adjusted = stats::holm(&numbers(&case["p"]));
        for (got, want) in adjusted.iter().zip(numbers(&case["adjusted"])) {
            close(*got, want, 1e-12);
        }
    }
}
