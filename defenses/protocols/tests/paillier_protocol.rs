//! The `paillier` entry: means, views, bytes, and rounds that are refused.

use std::sync::atomic::{AtomicUsize, Ordering};

use protocols::paillier::{ENTRY, Paillier, Params};
use protocols::{Exposure, Federation, Protocol, ProtocolError, Round, Transcript, Wire};
use rand_chacha::ChaCha12Rng;
use serde_json::{Map, Value, json};

fn built(parameters: Value) -> Result<Box<dyn Protocol>, String> {
    let map: Map<String, Value> = parameters.as_object().unwrap().clone();
    (ENTRY.build)(&map).map_err(|e| e.to_string())
}

fn toy() -> Box<dyn Protocol> {
    built(json!({ "key_bits": 512 })).unwrap()
}

fn carry(protocol: &dyn Protocol, round: &Round) -> Result<Transcript, ProtocolError> {
    let mut stream =
        |purpose: &str| -> ChaCha12Rng { suites::rng::stream(3, "protocol tests", purpose) };
    protocol.exchange(round, &mut stream)
}

fn round<'a>(updates: &'a [Vec<f32>], weights: &'a [u64]) -> Round<'a> {
    Round {
        number: 0,
        updates,
        weights,
        binding: Default::default(),
        grid: None,
        watched: 1,
        colluders: &[],
        dropped: &[],
        progress: &|_, _, _| (),
    }
}

fn updates(clients: usize, values: usize) -> Vec<Vec<f32>> {
    let value = |c: usize, i: usize| ((c * 31 + i * 7) % 101) as f32 / 101.0 - 0.5;
    (0..clients).map(|c| (0..values).map(|i| value(c, i)).collect()).collect()
}

fn mean(updates: &[Vec<f32>], weights: &[u64], i: usize) -> f64 {
    let total: u64 = weights.iter().sum();
    updates.iter().zip(weights).map(|(u, &w)| f64::from(u[i]) * w as f64).sum::<f64>()
        / total as f64
}

#[test]
fn the_mean_is_weighted_and_exact_to_half_a_step() {
    let (updates, weights) = (updates(5, 1000), [3, 1, 40, 7, 9]);
    let seen = carry(toy().as_ref(), &round(&updates, &weights)).unwrap();
    assert_eq!(
        (seen.mean.len(), seen.survivors, seen.failures.len()),
        (1000, vec![0, 1, 2, 3, 4], 0)
    );
    for (i, got) in seen.mean.iter().enumerate() {
        let exact = mean(&updates, &weights, i);
        assert!((f64::from(*got) - exact).abs() < 0.6e-6, "{got} against {exact}");
    }
    let names: Vec<&str> = seen.phases.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["keys", "encrypt", "aggregate", "decrypt"]);
}

#[test]
fn every_value_is_encrypted_whatever_the_size() {
    for values in [0, 1, 12, 13, 14, 5000] {
        let (updates, weights) = (updates(2, values), [1, 1]);
        let told = AtomicUsize::new(0);
        let progress = |phase: &str, done: usize, total: usize| {
            assert!(done <= total);
            if phase == "encrypt" {
                told.fetch_max(total, Ordering::Relaxed);
            }
        };
        let seen =
            carry(toy().as_ref(), &Round { progress: &progress, ..round(&updates, &weights) })
                .unwrap();
        // Sums of up to 2 * 1024 * 10^6 * 2 need 32 bits: 15 values in 511 bits, 128 bytes a
        // ciphertext.
        let ciphertexts = values.div_ceil(15);
        assert_eq!(seen.up, vec![52 + 128 * ciphertexts as u64; 2], "{values} values");
        assert_eq!(seen.down, seen.up);
        assert_eq!(told.into_inner(), 2 * ciphertexts);
        assert_eq!(seen.mean.len(), values);
    }
}

#[test]
fn the_server_sees_bytes_and_colluders_everything() {
    let (updates, weights) = (updates(3, 400), [1, 5, 2]);
    let seen = carry(toy().as_ref(), &round(&updates, &weights)).unwrap();
    assert!(seen.pooled.is_none());
    let Wire::Bytes { bytes, .. } = &seen.upload else { panic!("{:?}", seen.upload) };
    assert_eq!(bytes.len(), 3200);
    let ones: u32 = bytes.iter().map(|b| b.count_ones()).sum();
    // 25,600 fair bits: standard deviation 80.
    assert!((12_300..13_300).contains(&ones), "{ones} ones");
    let guess = seen.upload.naive(400);
    let dot: f64 = guess.iter().zip(&updates[1]).map(|(a, b)| f64::from(a * b)).sum();
    let norm = |v: &[f32]| v.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
    assert!((dot / norm(&guess) / norm(&updates[1])).abs() < 0.2, "uncorrelated with the update");

    let pooling = Round { colluders: &[2], ..round(&updates, &weights) };
    let pooled = carry(toy().as_ref(), &pooling).unwrap().pooled.unwrap();
    assert!(pooled.iter().zip(&updates[1]).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn views_are_declared() {
    let protocol = toy();
    assert_eq!(
        (protocol.server_sees_update(), protocol.server_sees_sum()),
        (Exposure::Hidden, Exposure::Hidden)
    );
    assert_eq!(
        (protocol.pooled_sees_update(0, 4), protocol.pooled_sees_update(1, 4)),
        (false, true)
    );
    assert_eq!(protocol.key_opens_update(), Some(true));
    assert!(protocol.claim().contains("toy key, no security"), "{}", protocol.claim());
    let real = built(json!({})).unwrap();
    assert!(real.claim().contains("values rounded to steps of 1e-6"), "{}", real.claim());
    assert!(!real.claim().contains("toy") && real.claim().contains("112-bit"), "{}", real.claim());
    assert_eq!(
        Value::Object(real.spelled_out()),
        json!({ "key_bits": 2048, "precision": 1000000, "range": 1024.0 })
    );
    assert!(Paillier::new(Params::default()).unwrap().warning().is_none());
    assert!(
        Paillier::new(Params { key_bits: 1024, ..Params::default() }).unwrap().warning().is_some()
    );
}

#[test]
fn rounds_repeat_bit_by_bit_and_differ_from_each_other() {
    let (updates, weights) = (updates(3, 100), [1, 1, 1]);
    let protocol = toy();
    let upload = |number| {
        carry(protocol.as_ref(), &Round { number, ..round(&updates, &weights) }).unwrap().upload
    };
    let first = upload(0);
    assert_eq!(first, upload(0));
    assert_eq!(first, carry(toy().as_ref(), &round(&updates, &weights)).unwrap().upload);
    assert_ne!(first, upload(1));
}

#[test]
fn values_on_a_grid_are_summed_exactly() {
    let grid = 1.0 / 4096.0;
    let updates: Vec<Vec<f32>> =
        (0..4).map(|c| (0..50).map(|i| ((i * c) as f32 - 70.0) * grid as f32).collect()).collect();
    let weights = [1; 4];
    let seen =
        carry(toy().as_ref(), &Round { grid: Some(grid), ..round(&updates, &weights) }).unwrap();
    for (i, got) in seen.mean.iter().enumerate() {
        assert_eq!(*got, mean(&updates, &weights, i) as f32);
    }
}

#[test]
fn bad_parameters_are_one_line() {
    let cases = [
        (json!({ "key_bits": 777 }), "protocol.paillier.key_bits"),
        (json!({ "precision": 0 }), "protocol.paillier.precision"),
        (json!({ "precision": 999 }), "above 1e-3; write at least 1000 steps"),
        (json!({ "precision": -5 }), "precision"),
        (json!({ "range": 0.0 }), "protocol.paillier.range"),
        (json!({ "keybits": 512 }), "key_bits"),
    ];
    for (parameters, says) in cases {
        let message = built(parameters).err().expect("refused");
        assert!(message.contains(says) && !message.contains('\n'), "{message}");
    }
}

#[test]
fn sums_that_could_overflow_are_refused_before_the_run() {
    let federation =
        |clients, max_weight| Federation { clients, values: 10, max_weight, grid_steps: None };
    let real = built(json!({})).unwrap();
    assert!(real.check(&federation(10_000, 1_000_000)).is_ok());
    for clients in [0, 1] {
        let error = real.check(&federation(clients, 1)).unwrap_err().to_string();
        assert!(
            error.starts_with("federation.clients.total") && error.ends_with("write at least 2"),
            "{error}"
        );
    }
    let error = real.check(&federation(usize::MAX, 1 << 60)).unwrap_err().to_string();
    assert!(error.contains("federation.clients.total") && error.contains("64 bits"), "{error}");
    assert!(real.check(&federation(1 << 32, 1 << 31)).is_ok(), "2 * 2^30 * 2^63 fits into 95 bits");
    let finer = built(json!({ "precision": 1u64 << 60 })).unwrap();
    let error = finer.check(&federation(2, 1)).unwrap_err().to_string();
    assert!(error.contains("2^53"), "{error}");
}

#[test]
fn values_beyond_the_range_name_the_client() {
    let mut updates = updates(3, 20);
    updates[2][7] = -4000.0;
    let error = carry(toy().as_ref(), &round(&updates, &[1, 1, 1])).unwrap_err().to_string();
    for part in ["client 2", "value 7", "-4000", "-1024 to 1024", "range"] {
        assert!(error.contains(part), "`{part}` is missing: {error}");
    }
    updates[2][7] = f32::NAN;
    let error = carry(toy().as_ref(), &round(&updates, &[1, 1, 1])).unwrap_err().to_string();
    assert!(error.contains("client 2") && error.contains("NaN"), "{error}");
}

#[test]
fn rounds_of_no_shape_are_errors() {
    let good = updates(3, 20);
    let ragged = vec![vec![0.0; 3], vec![0.0; 4]];
    let cases: [(&[Vec<f32>], &[u64]); 5] =
        [(&[], &[]), (&good, &[1, 1]), (&good, &[1, 0, 1]), (&ragged, &[1, 1]), (&good[..1], &[1])];
    for (updates, weights) in cases {
        assert!(carry(toy().as_ref(), &round(updates, weights)).is_err());
    }
    assert!(carry(toy().as_ref(), &round(&good, &[u64::MAX, 1, 1])).is_err());
}

#[test]
fn estimates_grow_with_the_work() {
    let protocol = toy();
    let seconds = |values| {
        protocol
            .estimate(&Federation { clients: 4, values, max_weight: 8, grid_steps: None })
            .unwrap()
    };
    let (small, large) = (seconds(1_000_000), seconds(2_000_000));
    assert!(small > 0.0 && (1.5..2.5).contains(&(large / small)), "{small} and {large}");
}
