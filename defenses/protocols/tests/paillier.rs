//! Paillier: the homomorphic law, the two ways to decrypt, messages, and what must be refused.

use std::sync::OnceLock;

use crypto_bigint::{BoxedUint, NonZero, Resize};
use proptest::prelude::*;
use protocols::keys::{Container, Fingerprint, Kind, Scheme};
use protocols::paillier::{
    Ciphertext, Packing, PackingError, PaillierError, PublicKey, SecretKey, decode, encode,
};
use rand_chacha::ChaCha12Rng;

fn stream(purpose: &str) -> ChaCha12Rng {
    suites::rng::stream(11, "paillier tests", purpose)
}

fn key() -> &'static SecretKey {
    static KEY: OnceLock<SecretKey> = OnceLock::new();
    KEY.get_or_init(|| SecretKey::generate(512, &mut stream("key")).unwrap())
}

fn encrypt(m: &BoxedUint, rng: &mut ChaCha12Rng) -> Ciphertext {
    let public = key().public();
    public.encrypt(m, &public.draw(rng)).unwrap()
}

/// A number of up to 511 bits.
fn plaintext(words: [u64; 8]) -> BoxedUint {
    BoxedUint::from_words(words).shr(1)
}

/// `x mod n`.
fn reduced(x: &BoxedUint) -> BoxedUint {
    let n = NonZero::new(key().public().modulus().clone()).unwrap();
    x.rem(&n)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn sums_of_ciphertexts_are_ciphertexts_of_sums(
        plain in prop::collection::vec(any::<[u64; 8]>(), 1..9),
    ) {
        let (mut rng, public) = (stream("law"), key().public());
        let plain: Vec<BoxedUint> = plain.into_iter().map(plaintext).collect();
        let mut sum = public.sum(&encrypt(&plain[0], &mut rng));
        plain[1..].iter().for_each(|m| public.add(&mut sum, &encrypt(m, &mut rng)));
        let zero = BoxedUint::zero_with_precision(576);
        let expected = plain.iter().fold(zero, |s, m| s.wrapping_add(m.clone().resize(576)));
        prop_assert_eq!(key().decrypt(&public.finish(&sum)).unwrap(), reduced(&expected));
        let alone = public.sum(&encrypt(&plain[0], &mut rng));
        let both = public.finish_all(&[sum.clone(), alone.clone(), sum.clone()]);
        let one_by_one = [&sum, &alone, &sum].map(|sum| public.finish(sum));
        prop_assert_eq!(both, one_by_one);
    }

    #[test]
    fn both_ways_to_decrypt_agree(words in any::<[u64; 8]>(), seed in any::<u64>()) {
        let m = plaintext(words);
        let c = encrypt(&m, &mut suites::rng::stream(seed, "", "both"));
        prop_assert_eq!(&key().decrypt(&c).unwrap(), &m);
        prop_assert_eq!(&key().decrypt_textbook(&c).unwrap(), &m);
    }

    #[test]
    fn packed_means_are_exact_to_half_a_step(
        rows in prop::collection::vec((prop::collection::vec(-8f32..=8.0, 37), 1u64..1000), 1..6),
    ) {
        let total = rows.iter().map(|(_, w)| w).sum();
        let packing = Packing::new(511, 1e6, 8.0, total).unwrap();
        let (mut rng, public) = (stream("packed"), key().public());
        let mut sums = Vec::new();
        for (values, weight) in &rows {
            let packed = packing.pack(values, *weight).unwrap();
            let sent: Vec<Ciphertext> = packed.iter().map(|m| encrypt(m, &mut rng)).collect();
            prop_assert_eq!(sent.len(), packing.plaintexts(37));
            if sums.is_empty() {
                sums = sent.iter().map(|c| public.sum(c)).collect();
            } else {
                sums.iter_mut().zip(&sent).for_each(|(s, c)| public.add(s, c));
            }
        }
        let opened = sums.iter().map(|s| key().decrypt(&public.finish(s)).unwrap());
        let opened: Vec<BoxedUint> = opened.collect();
        let mean = packing.unpack(&opened, 37, total);
        for i in 0..37 {
            let sum: f64 = rows.iter().map(|(v, w)| f64::from(v[i]) * *w as f64).sum();
            let exact = sum / total as f64;
            // Half a step, and the rounding of a number up to 8 to 32 bits.
            prop_assert!((f64::from(mean[i]) - exact).abs() <= 0.5e-6 + 2.5e-7, "{} against \
                {exact}", mean[i]);
        }
    }

    #[test]
    fn whatever_the_bytes_nothing_panics(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        kind in 0usize..3,
    ) {
        let kind = [Kind::PublicKey, Kind::SecretKey, Kind::Ciphertexts][kind];
        let id = key().public().fingerprint();
        // Bare, and inside an intact container.
        let container = Container { scheme: Scheme::Paillier, kind, key: id, payload: &bytes };
        for bytes in [bytes.clone(), container.encode()] {
            prop_assert!(SecretKey::from_bytes(&bytes).is_err());
            prop_assert!(PublicKey::from_bytes(&bytes).is_err());
            prop_assert!(decode(key().public(), &bytes, 4).is_err());
        }
    }

    #[test]
    fn an_altered_key_is_refused_even_with_a_fresh_checksum(at in 0usize..300, flip in 1u8..=255) {
        let whole = key().to_bytes();
        let container = Container::decode(&whole).unwrap();
        let mut payload = container.payload.to_vec();
        let at = at % payload.len();
        payload[at] ^= flip;
        // Sizes, modulus and base: what the fingerprint is of.
        let mended = Fingerprint::new("paillier", &payload[..8 + 64 + 128]);
        for key in [container.key, mended] {
            let bytes = Container { key, payload: &payload, ..container }.encode();
            prop_assert!(SecretKey::from_bytes(&bytes).is_err());
        }
    }
}

#[test]
fn extremes_of_the_range_survive_packing() {
    let step = 1.0 / 1024.0;
    let values: Vec<f32> = [8.0, -8.0, 0.0, step, -step, 8.0 - step, step - 8.0].repeat(9);
    let weights = [1u64, 999];
    let packing = Packing::new(511, 1024.0, 8.0, 1000).unwrap();
    let (mut rng, public) = (stream("extremes"), key().public());
    let sent = weights.map(|w| packing.pack(&values, w).unwrap());
    let opened: Vec<BoxedUint> = (0..sent[0].len())
        .map(|i| {
            let mut sum = public.sum(&encrypt(&sent[0][i], &mut rng));
            public.add(&mut sum, &encrypt(&sent[1][i], &mut rng));
            key().decrypt(&public.finish(&sum)).unwrap()
        })
        .collect();
    assert_eq!(packing.unpack(&opened, values.len(), 1000), values);
    for (bad, says) in [
        (8.01, "beyond the range of -8 to 8"),
        (f32::NAN, "value 1 is NaN"),
        (f32::INFINITY, "inf"),
    ] {
        let error: PackingError = packing.pack(&[0.0, bad], 1).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn the_same_plaintext_never_looks_the_same() {
    let (mut rng, m) = (stream("fresh"), BoxedUint::from(5u64));
    let (a, b) = (encrypt(&m, &mut rng), encrypt(&m, &mut rng));
    assert_ne!(a, b);
    assert_eq!(key().decrypt(&a).unwrap(), key().decrypt(&b).unwrap());
    assert_eq!(a, encrypt(&m, &mut stream("fresh")), "but repeats from the same stream");
}

#[test]
fn messages_name_what_is_wrong() {
    let public = key().public();
    let mut rng = stream("messages");
    let sent =
        [encrypt(&BoxedUint::from(1u64), &mut rng), encrypt(&BoxedUint::from(2u64), &mut rng)];
    let bytes = encode(public, &sent);
    assert_eq!(decode(public, &bytes, 2).unwrap(), sent);
    assert_eq!(bytes.len() as u64, protocols::paillier::message_bytes(public, 2));
    assert_eq!(decode(public, &bytes, 3), Err(PaillierError::Count { found: 2, expected: 3 }));

    let other = SecretKey::generate(512, &mut stream("other key")).unwrap();
    let error = decode(other.public(), &bytes, 2).unwrap_err().to_string();
    assert!(
        error.contains("made with key") && error.contains(&public.fingerprint().to_string()),
        "{error}"
    );

    let mut altered = bytes.clone();
    altered[100] ^= 4;
    assert!(decode(public, &altered, 2).unwrap_err().to_string().contains("checksum"));
    let payload = [0xff; 256];
    let container = Container {
        scheme: Scheme::Paillier,
        kind: Kind::Ciphertexts,
        key: public.fingerprint(),
        payload: &payload,
    };
    assert_eq!(decode(public, &container.encode(), 2), Err(PaillierError::BadCiphertext(0)));
    // n itself, which no plaintext has: sent alone or beside honest ones.
    let n = public.modulus().clone().resize(1024).to_le_bytes();
    let honest = Container::decode(&bytes).unwrap().payload.to_vec();
    for (payload, count) in [(n.to_vec(), 1), ([&honest[..128], &n].concat(), 2)] {
        let sent = Container { payload: &payload, ..container };
        assert_eq!(decode(public, &sent.encode(), count), Err(PaillierError::NotCoprime));
    }
    let error = decode(public, &public.to_bytes(), 2).unwrap_err().to_string();
    assert_eq!(error, "a public key, where a ciphertext belongs");
}

#[test]
fn keys_come_back_and_repeat() {
    let back = SecretKey::from_bytes(&key().to_bytes()).unwrap();
    let m = BoxedUint::from(77u64);
    let c = encrypt(&m, &mut stream("back"));
    assert_eq!(back.decrypt(&c).unwrap(), m.resize(512));
    assert_eq!(
        PublicKey::from_bytes(&key().public().to_bytes()).unwrap().fingerprint(),
        back.public().fingerprint()
    );
    let again = SecretKey::generate(512, &mut stream("key")).unwrap();
    assert_eq!(again.to_bytes(), key().to_bytes());
    assert_eq!(
        format!("{again:?}"),
        format!("SecretKey(512 bits, {})", again.public().fingerprint())
    );
    assert_eq!(
        SecretKey::generate(768, &mut stream("key")).unwrap_err(),
        PaillierError::KeyBits(768)
    );
}

#[test]
fn a_plaintext_beyond_the_modulus_is_refused() {
    let public = key().public();
    let r = public.draw(&mut stream("large"));
    let error = public.encrypt(&BoxedUint::max(512), &r).unwrap_err();
    assert_eq!(error, PaillierError::Plaintext { found: 512, room: 511 });
}

#[test]
fn every_key_size_works() {
    for bits in [1024, 2048, 3072] {
        let key = SecretKey::generate(bits, &mut stream("sizes")).unwrap();
        let public = key.public();
        let m = BoxedUint::max(bits).shr(1);
        let c = public.encrypt(&m, &public.draw(&mut stream("r"))).unwrap();
        assert_eq!((public.modulus().bits(), key.decrypt(&c).unwrap()), (bits, m));
    }
}
