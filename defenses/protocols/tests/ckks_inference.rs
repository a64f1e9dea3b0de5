//! Encrypted scoring from outside: scores, rankings, bytes, refusals.

use proptest::prelude::*;
use protocols::ckks::inference::{Answer, Gallery, Plan, Query, Shape};
use protocols::ckks::keys::{PublicKey, SecretKey, generate, generate_shares};
use protocols::ckks::{Context, ParameterSet};
use rand::RngCore;
use suites::rng::stream;

fn params(text: &str) -> ParameterSet {
    text.parse().unwrap()
}

/// `rows` vectors of norm `norm`, from a fixed stream.
fn vectors(rows: usize, dimension: usize, norm: f64, purpose: &str) -> Vec<f32> {
    let mut rng = stream(7, "inference vectors", purpose);
    let mut draw = || f64::from(rng.next_u32()) / f64::from(u32::MAX) - 0.5;
    let mut out = Vec::with_capacity(rows * dimension);
    for _ in 0..rows {
        let row: Vec<f64> = (0..dimension).map(|_| draw()).collect();
        let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        out.extend(row.iter().map(|v| (v / length * norm) as f32));
    }
    out
}

fn plain(rows: &[f32], query: &[f32]) -> Vec<f64> {
    let product =
        |row: &[f32]| row.iter().zip(query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
    rows.chunks_exact(query.len()).map(product).collect()
}

/// A whole exchange through bytes.
fn exchange(
    keys: &(SecretKey, PublicKey),
    shape: Shape,
    rows: &[f32],
    offsets: &[f32],
    query: &[f32],
) -> Vec<f64> {
    let (secret, public) = keys;
    let context = secret.context();
    let mut rng = stream(3, "inference exchange", "coins");
    let asked = secret.ask(&shape, query, &mut rng).unwrap();
    let received = Query::from_bytes(context, &asked.to_bytes()).unwrap();
    let gallery = Gallery::new(context, shape, rows, offsets).unwrap();
    let answer = gallery.score(public, &received, &mut rng).unwrap();
    secret.scores(&asked, &Answer::from_bytes(context, &answer.to_bytes()).unwrap()).unwrap()
}

fn worst(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn ranking(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

#[test]
fn scores_are_within_the_stated_bound_and_rank_alike() {
    for (set, rows, dimension) in [
        ("fedavg", 1500, 512),
        ("fedavg", 3, 30),
        ("8192/60,60,60/40", 40, 128),
        ("tenseal", 9, 64),
        ("16384/60,60/40", 5, 700),
    ] {
        let keys = generate(&params(set), &mut stream(1, "inference", set));
        let shape = Shape::unit(rows, dimension);
        let plan = Plan::new(keys.0.context(), shape).unwrap();
        assert!(plan.error < 1e-5, "{set}: {:e}", plan.error);
        let (gallery, query) =
            (vectors(rows, dimension, 1.0, "gallery"), vectors(1, dimension, 1.0, "query"));
        let (got, want) = (exchange(&keys, shape, &gallery, &[], &query), plain(&gallery, &query));
        let error = worst(&got, &want);
        assert!(error < plan.error && error > 0.0, "{set}: {error:e} of {:e}", plan.error);
        let near =
            |(a, b): (&usize, &usize)| a == b || (want[*a] - want[*b]).abs() < 2.0 * plan.error;
        assert!(ranking(&got).iter().zip(&ranking(&want)).all(near));
        assert_eq!(ranking(&got)[0], ranking(&want)[0], "{set}");
    }
}

/// All the norm in one coordinate, spread evenly, of either sign, and identical to the query: what
/// makes coefficients and roundings largest.
#[test]
fn rows_and_queries_of_full_norm_stay_within_the_bound() {
    let keys = generate(&params("fedavg"), &mut stream(2, "inference", "keys"));
    let dimension = 512;
    let spike = |at: usize, value: f32| {
        let mut row = vec![0f32; dimension];
        row[at] = value;
        row
    };
    let even = vec![(1.0 / (dimension as f64).sqrt()) as f32; dimension];
    let mixed: Vec<f32> =
        even.iter().enumerate().map(|(i, v)| if i % 2 == 0 { *v } else { -*v }).collect();
    let kinds = [spike(0, 1.0), spike(511, -1.0), spike(15, 1.0), spike(16, 1.0), even, mixed];
    let shape = Shape::unit(600, dimension);
    let rows: Vec<f32> = (0..600).flat_map(|row| kinds[row % kinds.len()].clone()).collect();
    for query in &kinds {
        let (got, want) = (exchange(&keys, shape, &rows, &[], query), plain(&rows, query));
        let error = worst(&got, &want);
        assert!(error < Plan::new(keys.0.context(), shape).unwrap().error, "{error:e}");
    }
}

#[test]
fn linear_layers_with_offsets_and_large_norms() {
    let weights = vectors(2, 30, 37.0, "weights");
    let offsets = [-4.25f32, 3.5];
    let row = vectors(1, 30, 5.0, "row");
    let shape = Shape::linear(&weights, 30, &offsets, 30f64.sqrt());
    assert_eq!((shape.row_norm, shape.offset), (64.0, 8.0));
    let want: Vec<f64> =
        plain(&weights, &row).iter().zip(offsets).map(|(s, o)| s + f64::from(o)).collect();
    for set in ["fedavg", "16384/60,60,60,60,60/40"] {
        let keys = generate(&params(set), &mut stream(3, "inference", "keys"));
        let got = exchange(&keys, shape, &weights, &offsets, &row);
        let plan = Plan::new(keys.0.context(), shape).unwrap();
        assert!(
            worst(&got, &want) < plan.error && plan.error < 1e-5 * shape.range(),
            "{set}: {got:?}"
        );
        assert_eq!((plan.pieces, plan.blocks), (1, 1));
    }
}

#[test]
fn the_same_seeds_give_the_same_bytes() {
    let (secret, public) = generate(&ParameterSet::default(), &mut stream(4, "inference", "keys"));
    let shape = Shape::unit(300, 40);
    let gallery =
        Gallery::new(secret.context(), shape, &vectors(300, 40, 1.0, "gallery"), &[]).unwrap();
    let run = || {
        let rng = &mut stream(4, "inference", "coins");
        let query = secret.ask(&shape, &vectors(1, 40, 1.0, "query"), rng).unwrap();
        [query.to_bytes(), gallery.score(&public, &query, rng).unwrap().to_bytes()]
    };
    assert_eq!(run(), run());
}

#[test]
fn what_does_not_belong_together_is_refused_in_one_line() {
    let rng = &mut stream(5, "inference", "refused");
    let (secret, public) = generate(&ParameterSet::default(), rng);
    let (other, other_public) = generate(&ParameterSet::default(), rng);
    let (wide, wide_public) = generate(&params("8192/60,60,60/40"), rng);
    let (shares, joint) = generate_shares(&ParameterSet::default(), 2, rng).unwrap();
    let shape = Shape::unit(20, 8);
    let rows = vectors(20, 8, 1.0, "gallery");
    let q = vectors(1, 8, 1.0, "query");
    let context = secret.context();
    let gallery = Gallery::new(context, shape, &rows, &[]).unwrap();
    let query = secret.ask(&shape, &q, rng).unwrap();
    let answer = gallery.score(&public, &query, rng).unwrap();
    let second = secret.ask(&shape, &q, rng).unwrap();
    let fewer = secret.ask(&Shape::unit(19, 8), &q, rng).unwrap();
    let key = |s: &SecretKey| s.fingerprint();
    let cases = [
        (
            gallery.score(&other_public, &query, rng).err(),
            format!(
                "CKKS query: is under key {}, \
            not under the public key given, {}",
                key(&secret),
                key(&other)
            ),
        ),
        (
            gallery.score(&wide_public, &query, rng).err(),
            "CKKS public key: is of parameters \
            8192/60,60,60/40, expected 4096/50,50/90"
                .into(),
        ),
        (
            gallery.score(&joint, &query, rng).err(),
            "CKKS public key: is shared among 2; answers \
            need the key of one client"
                .into(),
        ),
        (
            gallery.score(&public, &fewer, rng).err(),
            "CKKS query: is for a gallery of 19 rows of 8 \
            values, bounds 1 x 1 + 0, but this one has 20 rows of 8 values, bounds 1 x 1 + \
            0"
            .into(),
        ),
        (
            other.scores(&query, &answer).err(),
            format!(
                "CKKS answer: is under key {}, not under \
            the key given, {}",
                key(&secret),
                key(&other)
            ),
        ),
        (
            secret.scores(&second, &answer).err(),
            "CKKS answer: is for another query than the one \
            given"
                .into(),
        ),
        (
            shares[0].ask(&shape, &q, rng).err(),
            "CKKS secret key: is share 1 of 2; only all \
            partial decryptions together open a ciphertext"
                .into(),
        ),
        (
            Query::from_bytes(wide.context(), &query.to_bytes()).err(),
            "CKKS query: is of \
            parameters 4096/50,50/90, expected 8192/60,60,60/40"
                .into(),
        ),
        (
            Answer::from_bytes(context, &query.to_bytes()).err(),
            "CKKS answer: expected, but this \
            is a query"
                .into(),
        ),
        (
            secret.ask(&shape, &q[1..], rng).err(),
            "CKKS query: has 7 values where the gallery's \
            rows have 8"
                .into(),
        ),
        (
            secret.ask(&shape, &q.iter().map(|v| v * 2.0).collect::<Vec<_>>(), rng).err(),
            "CKKS query: has norm 2.000000, above the gallery's bound 1".into(),
        ),
        (secret.ask(&shape, &[f32::NAN; 8], rng).err(), "CKKS query: value 0 is NaN".into()),
        (
            Gallery::new(context, shape, &rows[1..], &[]).err(),
            "CKKS gallery: has 159 values where \
            its shape asks for 160"
                .into(),
        ),
        (
            Gallery::new(context, shape, &rows, &[0.0]).err(),
            "CKKS gallery: has 1 offsets for 20 \
            rows"
                .into(),
        ),
        (
            Gallery::new(context, shape, &rows, &[0.5; 20]).err(),
            "CKKS gallery: offset 0 is 0.5, \
            bound 0"
                .into(),
        ),
        (
            Gallery::new(context, shape, &[f32::INFINITY; 160], &[]).err(),
            "CKKS gallery: row 0 has \
            norm inf, bound 1"
                .into(),
        ),
        (
            Gallery::new(context, Shape { rows: 0, ..shape }, &[], &[]).err(),
            "gallery: 0 rows of 8 \
            values; give at least one row of at least one value"
                .into(),
        ),
    ];
    for (case, (error, want)) in cases.into_iter().enumerate() {
        assert_eq!(error.map(|e| e.to_string()), Some(want), "case {case}");
    }
}

#[test]
fn truncated_and_altered_bytes_are_refused() {
    let rng = &mut stream(6, "inference", "bytes");
    let (secret, public) = generate(&ParameterSet::default(), rng);
    let context = secret.context();
    let shape = Shape::unit(20, 8);
    let query = secret.ask(&shape, &vectors(1, 8, 1.0, "query"), rng).unwrap();
    let gallery = Gallery::new(context, shape, &vectors(20, 8, 1.0, "gallery"), &[]).unwrap();
    let answer = gallery.score(&public, &query, rng).unwrap();
    for (good, read) in [
        (
            query.to_bytes(),
            (|c, b| Query::from_bytes(c, b).map(drop)) as fn(&std::sync::Arc<Context>, &[u8]) -> _,
        ),
        (answer.to_bytes(), |c, b| Answer::from_bytes(c, b).map(drop)),
    ] {
        read(context, &good).unwrap();
        for at in [0, 4, 5, 6, 20, 30, 40, 60, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            let line = read(context, &bad).unwrap_err().to_string();
            assert!(line.starts_with("CKKS ") && !line.contains('\n'), "{line}");
            assert!(read(context, &good[..at]).is_err());
        }
    }
}

/// A valid checksum over anything else.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 8;
    let hash = *blake3::hash(&bytes[..end]).as_bytes();
    bytes[end..].copy_from_slice(&hash[..8]);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Even bytes with a valid checksum never panic, whatever shape or residues they claim.
    #[test]
    fn hostile_bytes_never_panic(at in 0usize..140, to: u8, more in 0usize..3, cut in 0usize..200) {
        let rng = &mut stream(8, "inference", "hostile");
        let (secret, public) = generate(&ParameterSet::default(), rng);
        let context = secret.context();
        let shape = Shape::unit(5, 3);
        let query = secret.ask(&shape, &[1.0, 0.0, 0.0], rng).unwrap();
        let gallery = Gallery::new(context, shape, &vectors(5, 3, 1.0, "gallery"), &[]).unwrap();
        let answer = gallery.score(&public, &query, rng).unwrap();
        for good in [query.to_bytes(), answer.to_bytes()] {
            let mut bad = good.clone();
            for k in 0..=more {
                let at = (at + 29 * k) % bad.len();
                bad[at] = to.wrapping_add(k as u8);
            }
            bad.truncate(bad.len() - cut);
            let bad = resealed(bad);
            if let Ok(query) = Query::from_bytes(context, &bad) {
                let _ = gallery.score(&public, &query, rng);
            }
            if let Ok(answer) = Answer::from_bytes(context, &bad) {
                let _ = secret.scores(&query, &answer);
            }
        }
    }

    /// Scores are inner products, whatever the sizes.
    #[test]
    fn scores_are_inner_products(
        rows in 1usize..400,
        dimension in 1usize..300,
        row_norm in 0.01f64..50.0,
        query_norm in 0.01f64..50.0,
    ) {
        let keys = generate(&ParameterSet::default(), &mut stream(9, "inference", "sizes"));
        let shape = Shape { query_norm, row_norm, ..Shape::unit(rows, dimension) };
        let plan = Plan::new(keys.0.context(), shape).unwrap();
        let gallery = vectors(rows, dimension, row_norm, "gallery");
        let query = vectors(1, dimension, query_norm, "query");
        let error = worst(&exchange(&keys, shape, &gallery, &[], &query), &plain(&gallery, &query));
        let bounded = error < plan.error && plan.error <= 1e-5 * shape.range();
        prop_assert!(bounded, "{:e} of {:e}", error, plan.error);
    }
}
