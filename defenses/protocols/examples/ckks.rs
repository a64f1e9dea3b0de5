//! Times CKKS on the mean of five clients' updates, one thread, and prints one line of JSON a
//! parameter set.
//!
//! `cargo run --release -p protocols --example ckks [VALUES]` (1,000,000 by default);
//! `ckks_tenseal.py` beside it runs it against TenSEAL.

use std::time::Instant;

use protocols::ckks::keys::{PublicKey, SecretKey, generate};
use protocols::ckks::{Ciphertext, ParameterSet};
use rand_chacha::ChaCha12Rng;
use serde_json::json;
use suites::rng::stream;

const CLIENTS: usize = 5;

/// Values in `[-1, 1]`, the same as in `ckks_tenseal.py`.
fn update(client: usize, len: usize) -> Vec<f64> {
    (0..len)
        .map(|i| ((i * 7919 + client * 104_729) % 2_000_003) as f64 / 1_000_001.0 - 1.0)
        .collect()
}

fn timed<T>(seconds: &mut f64, f: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = f();
    *seconds += start.elapsed().as_secs_f64();
    result
}

/// Who encrypts.
#[derive(Clone, Copy)]
enum Under {
    Public,
    Secret,
}

fn encrypt(
    (secret, public): &(SecretKey, PublicKey),
    under: Under,
    values: &[f64],
    rng: &mut ChaCha12Rng,
) -> Vec<Ciphertext> {
    let one = |part: &[f64]| match under {
        Under::Public => public.encrypt(part, rng),
        Under::Secret => secret.encrypt(part, rng),
    };
    values
        .chunks(public.context().params().values())
        .map(one)
        .collect::<Result<_, _>>()
        .expect("values in range")
}

fn measure(set: &str, under: Under, len: usize) -> serde_json::Value {
    let params: ParameterSet = set.parse().expect("a named set");
    let mut rng = stream(1, "ckks example", set);
    let keys = generate(&params, &mut rng);
    let updates: Vec<Vec<f64>> = (0..CLIENTS).map(|client| update(client, len)).collect();
    let [mut encryption, mut writing, mut reading, mut adding, mut scaling, mut decryption] =
        [0.0; 6];
    let mut sum: Vec<Ciphertext> = Vec::new();
    let mut bytes = 0;
    for values in &updates {
        let sent = timed(&mut encryption, || encrypt(&keys, under, values, &mut rng));
        let messages: Vec<Vec<u8>> =
            timed(&mut writing, || sent.iter().map(Ciphertext::to_bytes).collect());
        bytes = messages.iter().map(Vec::len).sum::<usize>();
        let received: Vec<Ciphertext> = timed(&mut reading, || {
            let read = |message: &Vec<u8>| Ciphertext::from_bytes(keys.1.context(), message);
            messages.iter().map(read).collect::<Result<_, _>>().expect("whole messages")
        });
        if sum.is_empty() {
            sum = received;
            continue;
        }
        timed(&mut adding, || {
            sum.iter_mut().zip(&received).for_each(|(a, b)| a.add(b).expect("of one kind"))
        });
    }
    let rescales = sum[0].clone().multiply(0.2).is_ok();
    timed(&mut scaling, || {
        for ciphertext in &mut sum {
            if rescales {
                ciphertext.multiply(0.2).expect("a prime to spare")
            } else {
                ciphertext.divide(5.0)
            }
        }
    });
    let mean: Vec<f64> = timed(&mut decryption, || {
        sum.iter()
            .flat_map(|ciphertext| keys.0.decrypt(ciphertext).expect("the right key"))
            .collect()
    });
    let exact = |i: usize| updates.iter().map(|update| update[i]).sum::<f64>() / CLIENTS as f64;
    let error = mean.iter().enumerate().map(|(i, v)| (v - exact(i)).abs()).fold(0.0, f64::max);
    json!({
        "parameters": params.to_string(), "encrypted \
            under": if matches!(under, Under::Public) { "public" } else { "secret" },
        "encrypt s": encryption / CLIENTS as f64, "serialise s": writing / CLIENTS as f64,
        "read s": reading / CLIENTS as f64, "add 5 s": adding, "times 1/5 \
            s": scaling, "decrypt s": decryption,
        "bytes a ciphertext": bytes / params.ciphertexts(len), "bytes a client": bytes,
        "times f32": bytes as f64 / (4 * len) as f64, "largest error": error,
    })
}

fn main() {
    let len = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    for set in ["tenseal", "fedavg", "compact"] {
        for under in [Under::Public, Under::Secret] {
            println!("{}", measure(set, under, len));
        }
    }
}
