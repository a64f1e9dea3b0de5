//! Cost and checks of secure aggregation: seconds and bytes at three sizes, all dropout patterns of
//! small rounds, all forgeries.
//!
//! `cargo run --release -p protocols --example secagg [size ...]`, sizes `20x1000000`,
//! `100x100000`, `plus:1000x10000`.

#[path = "../tests/secagg_common/mod.rs"]
mod common;

use std::time::Instant;

use common::every_pattern;
use common::forgeries::forgeries;
use protocols::secagg::{Encoding, OutOfRange};
use protocols::signatures::{Header, Identity, SERVER, Scheme, open, seal};
use protocols::{ModelHasher, PROTOCOLS, Round, Transcript, Wire};
use rand::Rng;
use rayon::prelude::*;
use suites::rng::stream;

const SIZES: [&str; 3] = ["20x1000000", "100x100000", "plus:1000x10000"];

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let sizes = if asked.is_empty() { SIZES.map(String::from).to_vec() } else { asked };
    println!(
        "{:<26} {:>9} {:>9} {:>9} {:>9} {:>8} {:>10} {:>10}",
        "protocol, clients x values",
        "client s",
        "server s",
        "unmask s",
        "wall s",
        "f32 B",
        "up B",
        "down B"
    );
    for size in &sizes {
        let (name, shape) =
            size.strip_prefix("plus:").map_or(("secagg", &**size), |s| ("secagg-plus", s));
        let Some((n, len)) =
            shape.split_once('x').and_then(|(n, l)| Some((n.parse().ok()?, l.parse().ok()?)))
        else {
            eprintln!("{size}: write CLIENTSxVALUES or plus:CLIENTSxVALUES");
            std::process::exit(2);
        };
        for dropouts in [0, n / 10] {
            measure(name, n, len, dropouts);
        }
    }
    binding_cost();
    checks();
}

/// One round, its sum compared with the plain sum of integers.
fn measure(name: &str, n: usize, len: usize, dropouts: usize) {
    let update = |c: usize| {
        let mut rng = stream(1, "example", &format!("update {c}"));
        (0..len).map(|_| rng.random_range(-1.0f32..1.0)).collect()
    };
    let updates: Vec<Vec<f32>> = (0..n).into_par_iter().map(update).collect();
    let weights: Vec<u64> = (0..n as u64).map(|c| 50 + c % 100).collect();
    let parameters = serde_json::json!({ "dropouts": dropouts, "drop_phase": "masked" });
    let entry = PROTOCOLS.iter().find(|e| e.name == name).expect("registered");
    let protocol = (entry.build)(parameters.as_object().expect("a table")).expect("valid");
    let round = Round {
        number: 1,
        updates: &updates,
        weights: &weights,
        binding: common::binding(n),
        grid: None,
        watched: 0,
        colluders: &[],
        dropped: &[],
        progress: &|_, _, _| (),
    };
    let start = Instant::now();
    let transcript =
        protocol.exchange(&round, &mut |p| stream(1, "example", p)).expect("completes");
    let wall = start.elapsed().as_secs_f64();
    assert_exact(&transcript, &updates, &weights);
    report(&format!("{name} {n}x{len} -{dropouts}"), &transcript, wall, len);
}

fn report(what: &str, transcript: &Transcript, wall: f64, len: usize) {
    let server = ["aggregate", "unmask"];
    let clients = transcript.phases.iter().filter(|(phase, _)| !server.contains(&&**phase));
    let of =
        |name| transcript.phases.iter().filter(|(p, _)| p == name).map(|(_, s)| s).sum::<f64>();
    let mean = |bytes: &[u64]| bytes.iter().sum::<u64>() / bytes.len() as u64;
    println!(
        "{what:<26} {:>9.4} {:>9.3} {:>9.3} {wall:>9.2} {:>8} {:>10} {:>10}",
        clients.clone().map(|(_, s)| s).sum::<f64>(),
        of(server[0]),
        of(server[1]),
        4 * len,
        mean(&transcript.up),
        mean(&transcript.down),
    );
    let phases: Vec<String> = clients.map(|(phase, s)| format!("{phase} {:.4}", s)).collect();
    println!("{:<26} a client's phases: {}; the sum is exact", "", phases.join(", "));
}

fn assert_exact(transcript: &Transcript, updates: &[Vec<f32>], weights: &[u64]) {
    let Wire::Words { words, bits, scale } = &transcript.sum else { panic!("not words") };
    let encoding = Encoding::new(8.0, 32, None, OutOfRange::Refuse, *bits);
    assert_eq!(encoding.scale, *scale);
    let mut sum = vec![0u64; words.len() + 1];
    for &c in &transcript.survivors {
        let own = encoding.encode(c, &updates[c], weights[c]).expect("in range");
        sum.iter_mut().zip(own).for_each(|(s, w)| *s = s.wrapping_add(w));
    }
    let modulus = u64::MAX >> (64 - bits);
    assert!(words.iter().zip(&sum).all(|(w, s)| *w == s & modulus), "the sum is not the plain sum");
}

/// What it costs a client that its messages bind session and model: the hash of the model, once a
/// round, and 64 bytes in every message that it sends, reads or is passed on.
fn binding_cost() {
    let ms = |start: Instant, times: u32| 1e3 * start.elapsed().as_secs_f64() / f64::from(times);
    for values in [100_000i64, 1_000_000, 11_000_000] {
        let weights = vec![0.25; values as usize];
        let start = Instant::now();
        let mut hasher = ModelHasher::default();
        hasher.tensor("weight", &[values], &weights);
        let hash = hasher.finish();
        println!("binding: SHA-256 of {values} values {:.2} ms ({:02x})", ms(start, 1), hash.0[0]);
    }
    for scheme in [Scheme::Ed25519, Scheme::RsaPss] {
        let identity = Identity::generate(scheme).expect("a key");
        let header = Header {
            round: 1,
            phase: 0,
            sender: 0,
            recipient: SERVER,
            session: [1; 32],
            model: [2; 32],
        };
        let start = Instant::now();
        let sign = || seal(&identity, header, &[0; 64]).expect("signs");
        let messages: Vec<Vec<u8>> = (0..200).map(|_| sign()).collect();
        let signed = ms(start, 200);
        let start = Instant::now();
        let opened = |message: &Vec<u8>| open(message, header, identity.public()).is_ok();
        assert!(messages.iter().all(opened));
        let (verified, bytes) = (ms(start, 200), messages[0].len());
        println!(
            "binding: {scheme:?} {signed:.3} ms to sign, {verified:.3} ms to verify {bytes} B"
        );
    }
}

fn checks() {
    for (n, threshold) in [(3, 2), (4, 3), (5, 4)] {
        let (tried, summed) = every_pattern(n, threshold);
        println!(
            "dropouts: {n} clients, threshold {threshold}: all {tried} patterns, {summed} gave \
             the exact sum, {} aborted by name",
            tried - summed
        );
    }
    for scheme in [Scheme::Ed25519, Scheme::RsaPss] {
        let (tried, caught) = forgeries(scheme);
        println!(
            "foul play, {scheme:?}: {tried} messages forged, changed, cut, replayed or swapped, \
             {caught} caught and named"
        );
    }
}
