//! Speed and size of Paillier encryption with 2048-bit keys on one core: `cargo run --release -p
//! protocols --example paillier [BITS]`. Run `tests/golden/paillier/speed.py` beside it for
//! python-paillier on the same machine.

use std::time::Instant;

use protocols::paillier::{Ciphertext, Packing, Paillier, Params, SecretKey, message_bytes};
use protocols::{Federation, Protocol, Round};

fn main() {
    let bits = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(2048);
    let mut rng = suites::rng::stream(1, "example", "paillier");
    let start = Instant::now();
    let key = match SecretKey::generate(bits, &mut rng) {
        Ok(key) => key,
        Err(error) => return eprintln!("{error}"),
    };
    println!(
        "key of {bits} bits, {}: {:.3} s",
        key.public().fingerprint(),
        start.elapsed().as_secs_f64()
    );
    let public = key.public();

    let packing = Packing::new(bits - 1, 1e6, 1024.0, 160).expect("fits");
    let values: Vec<f32> =
        (0..200 * packing.per_plaintext()).map(|i| ((i % 2001) as f32 - 1000.0) / 64.0).collect();
    let plain = packing.pack(&values, 1).expect("in range");
    let start = Instant::now();
    let first = public.encrypt(&plain[0], &public.draw(&mut rng)).expect("fits");
    println!("table and first encryption: {:.3} s", start.elapsed().as_secs_f64());

    let start = Instant::now();
    let sent: Vec<Ciphertext> =
        plain.iter().map(|m| public.encrypt(m, &public.draw(&mut rng)).expect("fits")).collect();
    let encrypt = sent.len() as f64 / start.elapsed().as_secs_f64();

    let (start, mut sum, rounds) = (Instant::now(), public.sum(&first), 100);
    (0..rounds).for_each(|_| sent.iter().for_each(|c| public.add(&mut sum, c)));
    let add = (rounds * sent.len()) as f64 / start.elapsed().as_secs_f64();
    let total = key.decrypt(&public.finish(&sum)).expect("an honest ciphertext");

    let start = Instant::now();
    let opened: Vec<_> =
        sent.iter().map(|c| key.decrypt(c).expect("an honest ciphertext")).collect();
    let decrypt = opened.len() as f64 / start.elapsed().as_secs_f64();
    assert_eq!(packing.unpack(&opened, values.len(), 1), values, "everything came back");
    assert!(total.bits() > 0);

    let per = packing.per_plaintext() as f64;
    println!("encryptions/s {encrypt:.0}   additions/s {add:.0}   decryptions/s {decrypt:.0}");
    println!(
        "values/s: encrypted {:.0}   added {:.0}   decrypted {:.0}",
        encrypt * per,
        add * per,
        decrypt * per
    );
    let bytes = message_bytes(public, sent.len()) as f64 / values.len() as f64;
    println!(
        "{per} values a ciphertext of {} bytes: {bytes:.2} bytes a value",
        public.ciphertext_bytes()
    );
    round(bits);
}

/// A whole round on all cores: what was expected, and what it took.
fn round(key_bits: u32) {
    let (clients, values, weights) = (4, 100_000, [40; 4]);
    let protocol =
        Paillier::new(Params { key_bits, ..Params::default() }).expect("a size on offer");
    let expected = protocol
        .estimate(&Federation { clients, values, max_weight: 40, grid_steps: None })
        .unwrap_or(f64::NAN);
    let updates = vec![vec![0.25; values]; clients];
    let (updates, weights, grid) = (updates.as_slice(), weights.as_slice(), None);
    let round = Round {
        number: 0,
        updates,
        weights,
        binding: Default::default(),
        grid,
        watched: 0,
        colluders: &[],
        dropped: &[],
        progress: &|_, _, _| (),
    };
    let start = Instant::now();
    let seen = protocol.exchange(&round, &mut |purpose| suites::rng::stream(1, "example", purpose));
    let seen = seen.expect("nothing beyond the range");
    println!(
        "round of {clients} clients with {values} values: {expected:.1} s expected, {:.1} s \
         taken; {} bytes up a client; {:?}",
        start.elapsed().as_secs_f64(),
        seen.up[0],
        seen.phases
    );
}
