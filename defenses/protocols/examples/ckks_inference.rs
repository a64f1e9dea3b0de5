//! Times encrypted scoring and prints one line of JSON.
//!
//! `cargo run --release -p protocols --example ckks_inference [ROWS [DIMENSION [PARAMETERS]]]`
//! (10,000 rows of 512 values under `fedavg`); `tests/ckks_inference_tenseal.py` runs it against
//! TenSEAL. `RAYON_NUM_THREADS=1` for one thread.

use std::time::Instant;

use protocols::ckks::ParameterSet;
use protocols::ckks::inference::{Answer, Gallery, Query, Shape};
use protocols::ckks::keys::generate;
use serde_json::json;
use suites::rng::stream;

/// Unit vectors, the same as in `ckks_inference_tenseal.py`.
fn vectors(rows: usize, dimension: usize, shift: usize) -> Vec<f32> {
    let value = |at: usize| ((at * 7919 + shift * 104_729) % 2_000_003) as f64 / 1_000_001.0 - 1.0;
    let row = |row: usize| {
        let values: Vec<f64> = (0..dimension).map(|i| value(row * dimension + i)).collect();
        let norm = values.iter().map(|v| v * v).sum::<f64>().sqrt();
        values.into_iter().map(move |v| (v / norm) as f32)
    };
    (0..rows).flat_map(row).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let size = |at: usize, default| {
        arguments.get(at).map_or(default, |text| text.parse().expect("a number"))
    };
    let (rows, dimension) = (size(0, 10_000), size(1, 512));
    let set = arguments.get(2).map_or("fedavg", String::as_str);
    let params: ParameterSet = set.parse().expect("a parameter set");
    let mut rng = stream(1, "ckks inference example", set);
    let mut row = serde_json::Map::new();
    let mut last = Instant::now();
    let mut lap = |row: &mut serde_json::Map<_, _>, name: &str| {
        row.insert(name.into(), json!(last.elapsed().as_secs_f64()));
        last = Instant::now();
    };
    let (values, q) = (vectors(rows, dimension, 0), vectors(1, dimension, 5));
    let shape = Shape::unit(rows, dimension);
    row.insert("parameters".into(), json!(params.to_string()));
    lap(&mut row, "data s");
    let (secret, public) = generate(&params, &mut rng);
    lap(&mut row, "keys s");
    let gallery = Gallery::new(secret.context(), shape, &values, &[]).expect("unit vectors");
    lap(&mut row, "prepare gallery s");
    let query = secret.ask(&shape, &q, &mut rng).expect("a unit vector");
    let up = query.to_bytes();
    lap(&mut row, "encrypt s");
    let received = Query::from_bytes(secret.context(), &up).expect("own bytes");
    let down =
        gallery.score(&public, &received, &mut rng).expect("a query for this gallery").to_bytes();
    lap(&mut row, "score s");
    let answer = Answer::from_bytes(secret.context(), &down).expect("own bytes");
    let scores = secret.scores(&query, &answer).expect("an answer to the query");
    lap(&mut row, "decrypt s");
    let plain =
        |r: &[f32]| r.iter().zip(&q).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let exact = values.chunks_exact(dimension).map(plain);
    let error = scores.iter().zip(exact).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let plan = query.plan();
    let public = public.to_bytes().len();
    row.extend([
        ("key bytes".to_string(), json!(public)),
        ("bytes up".to_string(), json!(up.len())),
        ("bytes down".to_string(), json!(down.len())),
        ("largest error".to_string(), json!(error)),
        ("bound".to_string(), json!(plan.error)),
        ("plan".to_string(), json!(plan)),
    ]);
    println!("{}", serde_json::Value::Object(row));
}
