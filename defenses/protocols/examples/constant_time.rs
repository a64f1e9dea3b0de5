//! Whether the time of code that touches secrets depends on them: dudect's t for each, of a fixed
//! class of inputs against a random one. It informs and proves nothing: below 4.5 nothing was found
//! in so many measurements on this machine, above 10 there is a leak.
//!
//! `cargo run --release -p protocols --example constant_time [MEASUREMENTS]` (10,000).

#[path = "../tests/secagg_common/mod.rs"]
mod common;
#[path = "../tests/timing_common/mod.rs"]
mod timing;

use std::hint::black_box;
use std::sync::Arc;

use common::{FEDERATION, MODEL, session};
use protocols::ckks::keys::generate;
use protocols::paillier;
use protocols::secagg::{Client, Directory, Graph, Member, Phase, Server, recover, split};
use protocols::signatures::{Scheme, client, server};
use rand::{Rng, RngCore};
use rand_chacha::ChaCha12Rng;
use suites::rng::stream;
use timing::{LEAK, NOTHING, Times, measure};
use zeroize::Zeroizing;

fn rng(purpose: &str) -> ChaCha12Rng {
    stream(1, "constant time", purpose)
}

fn main() {
    let count = std::env::args().nth(1).map_or(10_000, |text| text.parse().expect("a number"));
    println!("{:<44} {:>8} {:>12} {:>12} {:>8}", "", "count", "fixed ns", "random ns", "t");
    report("a comparison that stops early (it must leak)", &early_exit(count));
    report("comparison of 32 secret bytes", &comparison(count));
    report("Shamir: dealing 10 shares", &dealing(count));
    report("Shamir: recovering from 7 shares", &recovering(count));
    report("Paillier: decrypting, 512 bits", &paillier_decryption(count));
    report("CKKS: decrypting, compact", &ckks_decryption(count));
    report("SecAgg: masking 1,000 words", &masking(count.div_ceil(10)));
}

fn report(what: &str, times: &Times) {
    let count: usize = times.0.iter().map(Vec::len).sum();
    let (fixed, random, t) = (times.median(0), times.median(1), times.largest());
    let says = match t.abs() {
        t if t > LEAK => "leaks",
        t if t > NOTHING => "may leak",
        _ => "nothing found",
    };
    println!("{what:<44} {count:>8} {fixed:>12.0} {random:>12.0} {t:>8.1}  {says}");
}

fn secret(rng: &mut impl RngCore) -> Zeroizing<[u8; 32]> {
    let mut bytes = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut bytes[..]);
    bytes
}

/// Equal bytes against random ones.
fn compared(count: usize, same: impl Fn(&[u8], &[u8]) -> bool) -> Times {
    let mut draw = rng("compared");
    let own = secret(&mut draw);
    let input = |class| if class == 0 { own.clone() } else { secret(&mut draw) };
    // Many a measurement, since one takes less than the clock's step.
    measure(count, &mut rng("coin"), input, |other| {
        for _ in 0..64 {
            black_box(same(black_box(&own[..]), black_box(&other[..])));
        }
    })
}

fn early_exit(count: usize) -> Times {
    compared(count, |a, b| a.iter().zip(b).all(|(x, y)| black_box(x) == black_box(y)))
}

fn comparison(count: usize) -> Times {
    compared(count, |a, b| aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok())
}

/// The secret zero against random secrets, with polynomials of their own.
fn dealing(count: usize) -> Times {
    let points: Vec<u8> = (1..=10).collect();
    let (mut draw, mut coins) = (rng("secrets"), rng("polynomials"));
    let input = |class| if class == 0 { Zeroizing::new([0; 32]) } else { secret(&mut draw) };
    measure(count, &mut rng("coin"), input, |secret| {
        black_box(split(&secret, 7, &points, &mut coins));
    })
}

/// Shares of zero against shares of random secrets.
fn recovering(count: usize) -> Times {
    let points: Vec<u8> = (1..=7).collect();
    let (mut draw, mut coins) = (rng("secrets"), rng("polynomials"));
    let input = |class| {
        let secret = if class == 0 { Zeroizing::new([0; 32]) } else { secret(&mut draw) };
        split(&secret, 7, &points, &mut coins)
    };
    measure(count, &mut rng("coin"), input, |shares| {
        black_box(recover(&shares, 7, |_| true));
    })
}

/// Ciphertexts of zero against ciphertexts of random numbers, all with exponents of their own.
fn paillier_decryption(count: usize) -> Times {
    let key = paillier::SecretKey::generate(512, &mut rng("paillier")).expect("a key");
    let (public, mut draw) = (key.public(), rng("numbers"));
    let input = |class| {
        let words = if class == 0 { [0; 8] } else { draw.random::<[u64; 8]>() };
        let number = crypto_bigint::BoxedUint::from_words(words).shr(1);
        let exponent = public.draw(&mut draw);
        public.encrypt(&number, &exponent).expect("a plaintext")
    };
    measure(count, &mut rng("coin"), input, |ciphertext| {
        black_box(key.decrypt(&ciphertext).expect("a ciphertext"));
    })
}

/// Encryptions of zeros against encryptions of random values.
fn ckks_decryption(count: usize) -> Times {
    let (secret, public) = generate(&"compact".parse().expect("a set"), &mut rng("ckks"));
    let mut draw = rng("values");
    let input = |class| {
        let mut value = || if class == 0 { 0.0 } else { draw.random_range(-1.0..1.0) };
        let values: Vec<f64> = (0..1024).map(|_| value()).collect();
        public.encrypt(&values, &mut draw).expect("in range")
    };
    measure(count, &mut rng("coin"), input, |ciphertext| {
        black_box(secret.decrypt(&ciphertext).expect("own key"));
    })
}

/// An input of zeros against random inputs, under fresh keys and masks each time.
fn masking(count: usize) -> Times {
    const WORDS: usize = 1000;
    let (mut draw, mut turn) = (rng("words"), 0);
    let input = |class| {
        turn += 1;
        let word = |_| if class == 0 { 0 } else { draw.random_range(0..1u64 << 40) };
        let words: Vec<u64> = (0..WORDS).map(word).collect();
        let (client, mail) = before_masking(turn, WORDS);
        (client, mail, words)
    };
    measure(count, &mut rng("coin"), input, |(mut client, mail, words)| {
        black_box(client.mask(&mail, words).expect("a planned input"));
    })
}

/// The first of four clients, with the server's answer to its shares.
fn before_masking(turn: u64, words: usize) -> (Client, Vec<u8>) {
    let scheme = Scheme::Ed25519;
    let key = |i| client(scheme, i).expect("a key");
    let keys = (0..4).map(|i| key(i).public().clone()).collect();
    let own = server(scheme).expect("a key");
    let directory = Arc::new(Directory::new(keys, own.public().clone()));
    let terms = session(turn, Graph::complete(4), 3, words, 41);
    let mut clients: Vec<Client> = (0..4)
        .map(|i| {
            let mut member = Member::new(FEDERATION, i, key(i), directory.clone());
            let secrets = rng(&format!("client {i} of {turn}"));
            member.join(&terms, MODEL, secrets).expect("a new round")
        })
        .collect();
    let mut peer = Server::new(FEDERATION, &terms, vec![MODEL; 4], own, directory, 0);
    for (i, client) in clients.iter_mut().enumerate() {
        let advert = client.advertise().expect("the first step");
        peer.receive(Phase::Keys, i as u32, &advert).expect("an honest message");
    }
    let mail = peer.close(Phase::Keys).expect("all of them");
    for ((i, client), (_, mail)) in clients.iter_mut().enumerate().zip(&mail) {
        let shares = client.share(mail).expect("honest neighbours");
        peer.receive(Phase::Shares, i as u32, &shares).expect("an honest message");
    }
    let mail = peer.close(Phase::Shares).expect("all of them").swap_remove(0).1;
    (clients.swap_remove(0), mail)
}
