//! Against python-paillier: its ciphertexts open here, and ours open there
//! (`golden/paillier/check.py`).

use std::path::PathBuf;

use crypto_bigint::BoxedUint;
use protocols::keys::{Container, Kind, Scheme};
use protocols::paillier::{Ciphertext, SecretKey, decode, encode};
use serde_json::{Value, json};

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/golden/paillier", name].iter().collect()
}

fn read(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path(name)).unwrap()).unwrap()
}

/// A hexadecimal number without leading zeros.
fn number(text: &Value, bits: u32) -> BoxedUint {
    let digits = format!("{:0>width$}", text.as_str().unwrap(), width = bits as usize / 4);
    BoxedUint::from_be_hex(&digits, bits).unwrap()
}

fn key() -> SecretKey {
    let golden = read("phe.json");
    let mut rng = suites::rng::stream(5, "golden", "base");
    SecretKey::from_primes(number(&golden["p"], 1024), number(&golden["q"], 1024), &mut rng)
        .unwrap()
}

/// A foreign number as one of our ciphertexts, through the message that would carry it.
fn carried(key: &SecretKey, text: &Value) -> Ciphertext {
    let payload = number(text, 4096).to_le_bytes();
    let (scheme, kind, id) = (Scheme::Paillier, Kind::Ciphertexts, key.public().fingerprint());
    let bytes = Container { scheme, kind, key: id, payload: &payload }.encode();
    decode(key.public(), &bytes, 1).unwrap().remove(0)
}

#[test]
fn what_phe_encrypted_opens_here() {
    let (golden, key) = (read("phe.json"), key());
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    let sent: Vec<Ciphertext> = cases.iter().map(|case| carried(&key, &case["c"])).collect();
    for (case, c) in cases.iter().zip(&sent) {
        assert_eq!(key.decrypt(c).unwrap(), number(&case["m"], 2048));
        assert_eq!(key.decrypt_textbook(c).unwrap(), number(&case["m"], 2048));
    }
    let mut sum = key.public().sum(&sent[0]);
    sent[1..].iter().for_each(|c| key.public().add(&mut sum, c));
    let total = key.public().finish(&sum);
    assert_eq!(total, carried(&key, &golden["sum"]["c"]), "the same product");
    assert_eq!(key.decrypt(&total).unwrap(), number(&golden["sum"]["m"], 2048));
}

/// What `check.py` opened is what this code still makes.
#[test]
fn what_is_encrypted_here_is_what_phe_opened() {
    let key = key();
    let mut rng = suites::rng::stream(5, "golden", "exponents");
    let plain = [
        BoxedUint::zero(),
        BoxedUint::from(1u64),
        BoxedUint::max(2048).shr(1),
        BoxedUint::from(u64::MAX),
    ];
    let hex = |x: &[u8]| x.iter().rev().map(|b| format!("{b:02x}")).collect::<String>();
    let ours: Vec<Value> = plain
        .iter()
        .map(|m| {
            let c = key.public().encrypt(m, &key.public().draw(&mut rng)).unwrap();
            let message = encode(key.public(), &[c]);
            let c = Container::decode(&message).unwrap().payload.to_vec();
            json!({ "m": hex(&m.to_le_bytes()), "c": hex(&c) })
        })
        .collect();
    if std::env::var_os("BENCH_WRITE_GOLDEN").is_some() {
        std::fs::write(path("ours.json"), serde_json::to_string_pretty(&ours).unwrap() + "\n")
            .unwrap();
    }
    assert_eq!(Value::from(ours), read("ours.json"));
}
