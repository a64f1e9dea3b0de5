//! CKKS from outside: sums, precision, keys, files, refusals.

use proptest::prelude::*;
use protocols::ckks::keys::{PublicKey, SecretKey, generate, generate_shares};
use protocols::ckks::{Ciphertext, ParameterSet, inspect};
use suites::rng::stream;

fn params(text: &str) -> ParameterSet {
    text.parse().unwrap()
}

fn values(len: usize, shift: usize) -> Vec<f64> {
    (0..len).map(|i| ((i * 7919 + shift * 104_729) % 20_011) as f64 / 10_005.5 - 1.0).collect()
}

fn worst(got: &[f64], want: impl Iterator<Item = f64>) -> f64 {
    got.iter().zip(want).map(|(got, want)| (got - want).abs()).fold(0.0, f64::max)
}

#[test]
fn both_ways_of_encrypting_decrypt() {
    for (set, bound) in [("fedavg", 1e-15), ("compact", 2e-7), ("tenseal", 1e-6)] {
        let rng = &mut stream(1, "ckks", set);
        let (secret, public) = generate(&params(set), rng);
        let values = values(params(set).values(), 1);
        let by_public = public.encrypt(&values, rng).unwrap();
        let by_secret = secret.encrypt(&values, rng).unwrap();
        for (kind, ciphertext) in [("public", &by_public), ("secret", &by_secret)] {
            let back = secret.decrypt(ciphertext).unwrap();
            let error = worst(&back, values.iter().copied());
            assert!(error > 0.0 && error < bound, "{set} {kind}: {error:e}");
        }
        assert!(2 * by_secret.to_bytes().len() < by_public.to_bytes().len() + 200);
    }
}

#[test]
fn sums_weights_and_factors() {
    let rng = &mut stream(2, "ckks", "sums");
    let (secret, public) = generate(&params("tenseal"), rng);
    let (a, b) = (values(4096, 1), values(4096, 2));
    let mut sum = public.encrypt(&a, rng).unwrap();
    sum.weigh(-3);
    sum.add(&secret.encrypt(&b, rng).unwrap()).unwrap();
    let want = || a.iter().zip(&b).map(|(a, b)| (b - 3.0 * a) / 5.0);
    let mut divided = sum.clone();
    divided.divide(5.0);
    assert!(worst(&secret.decrypt(&divided).unwrap(), want()) < 1e-6);
    sum.multiply(0.2).unwrap();
    assert_eq!(sum.level(), 2);
    assert!(worst(&secret.decrypt(&sum).unwrap(), want()) < 1e-6);
    assert!(sum.add(&divided).unwrap_err().to_string().contains("levels 2 and 3"));
    let kept = secret
        .decrypt(&Ciphertext::from_bytes(secret.context(), &sum.to_bytes()).unwrap())
        .unwrap();
    assert_eq!(kept, secret.decrypt(&sum).unwrap());
    sum.multiply(0.5).unwrap();
    assert!(sum.multiply(0.5).unwrap_err().to_string().contains("no prime to spare"));
    assert!(sum.rescale().unwrap_err().to_string().contains("only one prime"));
}

/// Noise of a sum of fresh ciphertexts grows as the root of their number: per coefficient `sigma
/// sqrt(n (1 + 4 N / 3))`, in a slot times `sqrt(N / 2)`; six deviations bound the largest of
/// 4,096.
#[test]
fn noise_of_a_hundred_clients_is_bounded() {
    let rng = &mut stream(3, "ckks", "noise");
    let (secret, public) = generate(&params("4096/54/40"), rng);
    let clients: Vec<Vec<f64>> = (0..100).map(|client| values(4096, client)).collect();
    let mut sum = public.encrypt(&clients[0], rng).unwrap();
    for client in &clients[1..] {
        sum.add(&public.encrypt(client, rng).unwrap()).unwrap();
    }
    let exact = |i: usize| clients.iter().map(|client| client[i]).sum::<f64>();
    let error = worst(&secret.decrypt(&sum).unwrap(), (0..4096).map(exact));
    let one = 3.2 * (100.0 * (1.0 + 4.0 * 4096.0 / 3.0) * 2048.0f64).sqrt() / 2f64.powi(40);
    assert!(error < 6.0 * one, "{error:e} above {:e}", 6.0 * one);
    assert!(error > one, "{error:e}: less noise than there must be");
}

#[test]
fn keys_survive_their_files() {
    let rng = &mut stream(4, "ckks", "files");
    let (secret, public) = generate(&params("fedavg"), rng);
    let secret2 = SecretKey::from_bytes(&secret.to_bytes()).unwrap();
    let public2 = PublicKey::from_bytes(&public.to_bytes()).unwrap();
    assert_eq!(secret2.fingerprint(), public.fingerprint());
    assert_eq!(public2.fingerprint(), public.fingerprint());
    let ciphertext = public2.encrypt(&[0.25, -1.5], rng).unwrap();
    let back = secret2
        .decrypt(&Ciphertext::from_bytes(secret2.context(), &ciphertext.to_bytes()).unwrap())
        .unwrap();
    assert!(worst(&back, [0.25, -1.5].into_iter()) < 1e-12 && back.len() == 2);
    let said = inspect(&secret.to_bytes()).unwrap();
    assert_eq!((said.kind, said.name, said.security_bits), ("secret key", Some("fedavg"), 128));
    assert_eq!(said.fingerprint, secret.fingerprint());
    assert!(
        said.to_string()
            .starts_with("ckks secret key, parameters 4096/50,50/90 (fedavg), at least 128 bits")
    );
    let (shares, joint) = generate_shares(&params("compact"), 3, rng).unwrap();
    let said = inspect(&shares[1].to_bytes()).unwrap();
    assert_eq!(said.sharing.as_deref(), Some("share 2 of 3"));
    assert_eq!(inspect(&joint.to_bytes()).unwrap().sharing.as_deref(), Some("shared among 3"));
}

#[test]
fn the_wrong_key_is_named_by_fingerprint() {
    let rng = &mut stream(5, "ckks", "wrong key");
    let (secret, public) = generate(&params("compact"), rng);
    let (other, other_public) = generate(&params("compact"), rng);
    let mut ciphertext = public.encrypt(&[1.0], rng).unwrap();
    let line = other.decrypt(&ciphertext).unwrap_err().to_string();
    let want = format!(
        "CKKS ciphertext: is under key {}, not under the key given, {}",
        secret.fingerprint(),
        other.fingerprint()
    );
    assert_eq!(line, want);
    let line = ciphertext.add(&other_public.encrypt(&[1.0], rng).unwrap()).unwrap_err().to_string();
    assert!(line.contains(&secret.fingerprint()) && line.contains(&other.fingerprint()), "{line}");
    let (shares, _) = generate_shares(&params("compact"), 2, rng).unwrap();
    assert!(shares[0].decrypt(&ciphertext).err().unwrap().to_string().contains("share 1 of 2"));
}

#[test]
fn corrupted_files_are_refused_in_one_line() {
    let rng = &mut stream(6, "ckks", "corrupt");
    let (secret, public) = generate(&params("compact"), rng);
    let ciphertext = secret.encrypt(&[1.0], rng).unwrap().to_bytes();
    let read = |bytes: &[u8]| match bytes[5] {
        1 => SecretKey::from_bytes(bytes).map(drop),
        2 => PublicKey::from_bytes(bytes).map(drop),
        _ => Ciphertext::from_bytes(secret.context(), bytes).map(drop),
    };
    for good in [secret.to_bytes().to_vec(), public.to_bytes(), ciphertext] {
        read(&good).unwrap();
        for at in [0, 4, 6, 20, 40, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            let line = read(&bad).unwrap_err().to_string();
            assert!(line.starts_with("CKKS ") && !line.contains('\n'), "{line}");
            assert!(read(&good[..at.max(6)]).is_err());
        }
    }
    let line = SecretKey::from_bytes(&public.to_bytes()).err().unwrap().to_string();
    assert_eq!(line, "CKKS secret key: expected, but this is a public key");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// A weighted sum under encryption is the weighted sum.
    #[test]
    fn encrypted_sums_are_sums(
        clients in prop::collection::vec((prop::collection::vec(-8.0..8.0, 40), 1i64..50), 1..8),
        seed: u64,
    ) {
        let rng = &mut stream(seed, "ckks", "property");
        let (secret, public) = generate(&params("2048/53/38"), rng);
        let mut sum = public.encrypt(&[0.0; 40], rng).unwrap();
        let mut want = vec![0.0; 40];
        for (values, weight) in &clients {
            let mut ciphertext = public.encrypt(values, rng).unwrap();
            ciphertext.weigh(*weight);
            sum.add(&ciphertext).unwrap();
            want.iter_mut().zip(values).for_each(|(want, v)| *want += v * *weight as f64);
        }
        prop_assert!(worst(&secret.decrypt(&sum).unwrap(), want.into_iter()) < 1e-4);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        at in 0usize..1500,
        flip in 1u8..=255,
    ) {
        let _ = inspect(&bytes);
        let (secret, _) = generate(&params("compact"), &mut stream(7, "ckks", "bytes"));
        let mut key = secret.to_bytes();
        let at = at.min(key.len() - 1);
        key[at] ^= flip;
        prop_assert!(SecretKey::from_bytes(&key).is_err());
    }
}
