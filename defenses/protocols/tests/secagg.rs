//! The sum is exact for every pattern of dropouts at or above the threshold, and the round aborts
//! by name below it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use protocols::secagg::{Faults, Graph, Phase};
use protocols::signatures::Scheme;
use protocols::{Federation, PROTOCOLS, Protocol, Round, Transcript, Wire};
use rand_chacha::ChaCha12Rng;
use suites::rng::stream;

mod secagg_common;
use secagg_common::{binding, carry, check_pattern, every_pattern, plain_sum};

#[test]
fn every_dropout_pattern_of_four_clients() {
    // Nobody gone, or one of four in one of five phases.
    assert_eq!(every_pattern(4, 3), (6usize.pow(4), 1 + 4 * 5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn any_dropout_pattern(
        n in 2usize..14,
        slack in 0usize..7,
        len in 1usize..40,
        pattern in prop::collection::vec(0usize..12, 14),
    ) {
        let threshold = (n - slack.min(n - 1)).max(n / 2 + 1);
        let drops = (0..n).filter_map(|c| Some((c as u32, *Phase::ALL.get(pattern[c])?))).collect();
        check_pattern(n, threshold, len, drops);
    }
}

#[test]
fn the_threshold_itself_is_enough() {
    for phase in Phase::ALL {
        let drops: BTreeMap<u32, Phase> = (0..6).map(|c| (c * 2, phase)).collect();
        assert!(check_pattern(20, 14, 50, drops.clone()));
        let more = drops.into_iter().chain([(1, phase)]).collect();
        assert!(!check_pattern(20, 14, 50, more));
    }
}

#[test]
fn a_sparse_graph_gives_the_same_sum() {
    let drops: BTreeMap<u32, Phase> =
        (0..10).map(|i| (7 * i + 1, Phase::ALL[i as usize % 5])).collect();
    let graph = Graph::harary(80, 20, &mut stream(2, "secagg", "graph"));
    let outcome = carry(graph, 12, 30, Scheme::Ed25519, &Faults { drops, tamper: None }).unwrap();
    assert_eq!(outcome.survivors.len(), 80 - 6);
    assert_eq!(outcome.sum, plain_sum(&outcome.survivors, 30));
}

#[test]
fn the_signature_scheme_does_not_change_the_sum() {
    let faults = Faults { drops: BTreeMap::from([(1, Phase::Masked)]), tamper: None };
    let [a, b] = [Scheme::Ed25519, Scheme::RsaPss]
        .map(|scheme| carry(Graph::complete(5), 4, 20, scheme, &faults).unwrap());
    assert_eq!(a.sum, b.sum);
    // Five messages of a client that stays, each with a signature; those of others that reach it
    // vary.
    assert_eq!(b.up[0] - a.up[0], 5 * (256 - 64));
}

fn build(name: &str, parameters: serde_json::Value) -> Box<dyn Protocol> {
    let entry = PROTOCOLS.iter().find(|e| e.name == name).unwrap();
    (entry.build)(parameters.as_object().unwrap()).unwrap()
}

fn exchange(protocol: &dyn Protocol, updates: &[Vec<f32>], colluders: &[usize]) -> Transcript {
    let weights: Vec<u64> = (0..updates.len() as u64).map(|i| 1 + i % 7).collect();
    let round = Round {
        number: 1,
        updates,
        weights: &weights,
        binding: binding(updates.len()),
        grid: None,
        watched: 2,
        colluders,
        dropped: &[],
        progress: &|_, _, _| (),
    };
    let mut streams = |purpose: &str| -> ChaCha12Rng { stream(4, "test", purpose) };
    protocol.exchange(&round, &mut streams).unwrap()
}

fn updates(n: usize, len: usize) -> Vec<Vec<f32>> {
    (0..n).map(|c| (0..len).map(|i| ((c * len + i) as f32 * 0.37).sin()).collect()).collect()
}

#[test]
fn the_mean_is_the_plain_mean_of_the_survivors() {
    for (name, n, len) in [("secagg", 12, 500), ("secagg-plus", 90, 20)] {
        let protocol = build(name, serde_json::json!({ "dropouts": 3 }));
        let updates = updates(n, len);
        let transcript = exchange(&*protocol, &updates, &[]);
        assert_eq!(transcript.survivors.len(), n - 3);
        let weight = |c: usize| (1 + c % 7) as f64;
        let total: f64 = transcript.survivors.iter().map(|&c| weight(c)).sum();
        for (i, mean) in transcript.mean.iter().enumerate() {
            let sum: f64 =
                transcript.survivors.iter().map(|&c| weight(c) * f64::from(updates[c][i])).sum();
            assert!((f64::from(*mean) - sum / total).abs() < 1e-7, "{name} {i}: {mean}");
        }
        assert_eq!(transcript.failures.len(), 3);
        assert!(transcript.survivors.contains(&2));
        assert!(transcript.up[2] > 5 * len as u64 && transcript.down[2] > 1000);
    }
}

/// The upload is uniform noise to the server: its words are as often odd as even, high as low, and
/// unrelated to the update.
#[test]
fn the_upload_says_nothing_and_the_sum_everything() {
    let protocol = build("secagg", serde_json::json!({}));
    let updates = updates(6, 4000);
    let transcript = exchange(&*protocol, &updates, &[]);
    let Wire::Words { words, bits, .. } = &transcript.upload else { panic!("not words") };
    assert_eq!(words.len(), 4000);
    for bit in 0..*bits {
        let ones = words.iter().filter(|w| *w >> bit & 1 == 1).count() as f64;
        // Five standard deviations of a fair coin.
        assert!((ones - 2000.0).abs() < 5.0 * 1000f64.sqrt(), "bit {bit}: {ones}");
    }
    let seen = transcript.upload.naive(4000);
    let dot = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>()
    };
    let cosine =
        dot(&seen, &updates[2]) / (dot(&seen, &seen) * dot(&updates[2], &updates[2])).sqrt();
    assert!(cosine.abs() < 5.0 / 4000f64.sqrt(), "{cosine}");
    let total: f64 = (0..6).map(|c| (1 + c % 7) as f64).sum();
    let sum = transcript.sum.naive(4000);
    let worst = sum
        .iter()
        .zip(&transcript.mean)
        .map(|(s, m)| (f64::from(*s) - f64::from(*m) * total).abs());
    assert!(worst.fold(0.0, f64::max) < 1e-5);
}

#[test]
fn enough_colluders_open_an_update_and_one_fewer_do_not() {
    let updates = updates(9, 100);
    let protocol = build("secagg", serde_json::json!({ "threshold": 5, "dropouts": 0 }));
    let colluders = [0, 1, 3, 4, 5];
    assert!(protocol.pooled_sees_update(5, 9) && !protocol.pooled_sees_update(4, 9));
    let pooled = exchange(&*protocol, &updates, &colluders).pooled.unwrap();
    let worst = pooled.iter().zip(&updates[2]).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    assert!(worst < 1e-7, "{worst}");
    assert_eq!(exchange(&*protocol, &updates, &colluders[1..]).pooled, None);
    // The watched client's own shares are not the colluders' to use.
    assert_eq!(exchange(&*protocol, &updates, &[0, 1, 2, 3, 4]).pooled, None);
}

#[test]
fn the_same_streams_give_the_same_round() {
    let protocol = build("secagg", serde_json::json!({ "dropouts": 1 }));
    let [a, b] = [(); 2].map(|()| exchange(&*protocol, &updates(5, 50), &[]));
    assert_eq!((a.upload, a.sum, a.mean, a.survivors), (b.upload, b.sum, b.mean, b.survivors));
    assert_eq!((a.up, a.down, a.failures), (b.up, b.down, b.failures));
}

#[test]
fn noise_on_a_grid_is_summed_without_rounding() {
    let grid = 0.013;
    let steps = |c: i64, i: i64| (c * 7919 + i * 104_729) % 20_001 - 10_000;
    let updates: Vec<Vec<f32>> =
        (0..5).map(|c| (0..300).map(|i| (steps(c, i) as f64 * grid) as f32).collect()).collect();
    let round = Round {
        number: 1,
        updates: &updates,
        weights: &[1; 5],
        binding: binding(5),
        grid: Some(grid),
        watched: 0,
        colluders: &[],
        dropped: &[],
        progress: &|_, _, _| (),
    };
    let protocol = build("secagg", serde_json::json!({ "bits": 16 }));
    let transcript = protocol.exchange(&round, &mut |p| stream(1, "grid", p)).unwrap();
    let Wire::Words { words, bits, scale } = transcript.sum else { panic!("not words") };
    assert!((scale * grid - 1.0).abs() < 1e-15);
    for (i, word) in words.iter().enumerate() {
        let sum: i64 = (0..5).map(|c| steps(c, i as i64)).sum();
        assert_eq!(*word, sum as u64 & (u64::MAX >> (64 - bits)));
    }
}

#[test]
fn what_cannot_work_is_refused_in_one_line() {
    let refused = |name: &str, parameters: serde_json::Value, clients, max_weight| {
        let entry = PROTOCOLS.iter().find(|e| e.name == name).unwrap();
        let federation = Federation { clients, values: 10, max_weight, grid_steps: None };
        let built = (entry.build)(parameters.as_object().unwrap());
        let line = match built.and_then(|p| p.check(&federation)) {
            Ok(()) => panic!("{name} accepts {parameters} with {clients} clients"),
            Err(error) => error.to_string(),
        };
        assert!(!line.contains('\n'), "{line}");
        line
    };
    let cases = [
        ("secagg", serde_json::json!({}), 1, "write at least 2"),
        ("secagg", serde_json::json!({"threshold": 6}), 5, "write 3 to 5"),
        ("secagg", serde_json::json!({"threshold": 2}), 4, "write 3 to 4"),
        ("secagg", serde_json::json!({"dropouts": 2}), 5, "write at most 1"),
        ("secagg", serde_json::json!({"range": 0.0}), 5, "above 0"),
        ("secagg", serde_json::json!({"bits": 60}), 5, "2 to 52"),
        ("secagg", serde_json::json!({"bits": 13}), 5, "steps of 2.0e-3, above 0.001"),
        (
            "secagg-plus",
            serde_json::json!({"bits": 13}),
            500,
            "write bits = 14 or more, or a smaller range",
        ),
        ("secagg", serde_json::json!({}), 300, "secagg-plus"),
        ("secagg", serde_json::json!({"drop_phase": "lunch"}), 5, "lunch"),
        ("secagg", serde_json::json!({"treshold": 3}), 5, "threshold"),
        ("secagg-plus", serde_json::json!({"neighbours": 20}), 1000, "neighbours = 74"),
        ("secagg-plus", serde_json::json!({"neighbours": 75}), 1000, "even"),
        (
            "secagg-plus",
            serde_json::json!({"corrupt_rate": 0.45, "dropout_rate": 0.4}),
            1000,
            "lower",
        ),
        ("secagg-plus", serde_json::json!({"dropouts": 101}), 1000, "at most 100"),
        ("secagg-plus", serde_json::json!({"corrupt_rate": 1.0}), 1000, "below 0.5"),
        ("secagg-plus", serde_json::json!({"threshold": 9}), 8, "write 5 to 8"),
    ];
    for (name, parameters, clients, words) in cases {
        let line = refused(name, parameters, clients, 100);
        assert!(line.contains(words), "{line}");
    }
    let line = refused("secagg", serde_json::json!({"bits": 40}), 100, 1 << 30);
    assert!(line.contains("overflow"), "{line}");
}

/// Words that could not hold the values of a private mechanism are refused before the run; words
/// that hold them are taken, whatever step they would have without the grid.
#[test]
fn words_too_short_for_a_grid_are_refused_before_the_run() {
    let check = |bits: u32, steps: f64| {
        let size = Federation { clients: 5, values: 10, max_weight: 1, grid_steps: Some(steps) };
        let protocol = build("secagg", serde_json::json!({ "bits": bits }));
        protocol.check(&size).map_err(|e| e.to_string())
    };
    for (steps, needed) in [(4_194_304.0, 23), (4_194_305.0, 24), (100.0, 8)] {
        assert_eq!(check(needed, steps), Ok(()));
        let line = check(needed - 1, steps).unwrap_err();
        let says = format!("values of up to {steps:.0} steps of its grid");
        assert!(line.contains(&says) && line.contains("protocol.secagg.bits"), "{line}");
        assert!(line.contains(&format!("write bits = {needed} or more")), "{line}");
    }
}

/// Ragged updates, weights that are too few, a watched client that is not there; and the step,
/// which a grid replaces.
#[test]
fn a_round_whose_parts_do_not_fit_is_refused() {
    let (whole, mut ragged) = (updates(4, 10), updates(4, 10));
    ragged[2].pop();
    let zeros = vec![vec![0.0; 10]; 4];
    let carry = |bits: u32, updates: &[Vec<f32>], weights: &[u64], watched, grid| {
        let round = Round {
            number: 1,
            updates,
            weights,
            binding: binding(updates.len()),
            grid,
            watched,
            colluders: &[],
            dropped: &[],
            progress: &|_, _, _| (),
        };
        let protocol = build("secagg", serde_json::json!({ "bits": bits }));
        protocol
            .exchange(&round, &mut |p| stream(1, "fit", p))
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    assert_eq!(carry(32, &whole, &[1; 4], 3, None), Ok(()));
    let line = carry(32, &ragged, &[1; 4], 3, None).unwrap_err();
    assert!(line.contains("client 2") && line.contains("9 values"), "{line}");
    let line = carry(32, &whole, &[1; 3], 0, None).unwrap_err();
    assert!(line.contains("4 updates and 3 weights"), "{line}");
    let line = carry(32, &whole, &[1; 4], 4, None).unwrap_err();
    assert!(line.contains("client 4 is watched"), "{line}");
    assert!(carry(32, &[], &[], 0, None).is_err());
    let line = carry(8, &zeros, &[1; 4], 0, None).unwrap_err();
    assert!(line.contains("bits = 14"), "{line}");
    assert_eq!(carry(8, &zeros, &[1; 4], 0, Some(0.5)), Ok(()));
    let claim = build("secagg", serde_json::json!({ "bits": 16 })).claim();
    assert!(claim.contains("steps of 2.4e-4"), "{claim}");
    for power in ["the same malicious model", "choose who is in the round", "Sybil"] {
        assert!(claim.contains(power), "{claim}");
    }
    let sparse = build("secagg-plus", serde_json::json!({})).claim();
    assert!(sparse.contains("no two of its clients that are neighbours"), "{sparse}");
    let unbound = Round { binding: Default::default(), ..round(&whole) };
    let line = build("secagg", serde_json::json!({}))
        .exchange(&unbound, &mut |p| stream(1, "fit", p))
        .err()
        .unwrap()
        .to_string();
    assert!(line.contains("4 updates, 0 members and 0 hashes of models"), "{line}");
}

fn round(updates: &[Vec<f32>]) -> Round<'_> {
    Round {
        number: 1,
        updates,
        weights: &[1; 4],
        binding: binding(4),
        grid: None,
        watched: 0,
        colluders: &[],
        dropped: &[],
        progress: &|_, _, _| (),
    }
}

#[test]
fn a_value_beyond_the_range_ends_the_round_with_the_remedy() {
    let mut updates = updates(4, 10);
    updates[3][7] = 11.5;
    let round = round(&updates);
    let error = |parameters| {
        build("secagg", parameters).exchange(&round, &mut |p| stream(1, "range", p)).map(|_| ())
    };
    let line = error(serde_json::json!({})).unwrap_err().to_string();
    assert!(
        line.contains("client 3") && line.contains("11.5") && line.contains("range = 16"),
        "{line}"
    );
    assert!(error(serde_json::json!({"out_of_range": "clip"})).is_ok());
    assert!(error(serde_json::json!({"range": 16.0})).is_ok());
}
