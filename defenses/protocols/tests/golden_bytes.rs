//! The bytes of everything that protocols write, from fixed draws. A change of a format shows here,
//! and must raise the version of what it changes; another version is refused by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use protocols::ckks::inference::{Answer, Gallery, Query, Shape};
use protocols::ckks::keys::{self, KeyShare, Party, PublicKey, SecretKey};
use protocols::ckks::{Ciphertext, Context, Half, Opened, Partial};
use protocols::keys::{Container, Fingerprint, Kind, Scheme as KeyScheme};
use protocols::secagg::{
    Advert, Delivery, Directory, Faults, Graph, Phase, Reveal, Sealed, Set, Setup, Shares,
    encode_bundle, encode_reveals, run,
};
use protocols::signatures::{Header, Identity, SERVER, Scheme, open, seal};
use protocols::{ModelHasher, paillier};
use rand_chacha::ChaCha12Rng;
use suites::rng::stream;
use zeroize::Zeroizing;

mod secagg_common;
use secagg_common::{BITS, FEDERATION, MODEL, session, words};

fn rng(purpose: &str) -> ChaCha12Rng {
    stream(13, "golden bytes", purpose)
}

/// The first 64 bits of the BLAKE3 hash, and the length.
fn print(bytes: &[u8]) -> String {
    format!("{} {}", &blake3::hash(bytes).to_hex()[..16], bytes.len())
}

#[track_caller]
fn hold(found: &[(&str, Vec<u8>)], golden: &[(&str, &str)]) {
    let found: Vec<_> = found.iter().map(|(name, bytes)| (*name, print(bytes))).collect();
    let golden: Vec<_> = golden.iter().map(|(name, hash)| (*name, hash.to_string())).collect();
    assert_eq!(found, golden);
}

/// A signing key whose 32 secret bytes are known.
fn identity() -> Identity {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend([7; 32]);
    Identity::from_pkcs8(Scheme::Ed25519, &der).unwrap()
}

const HEADER: Header =
    Header { round: 9, phase: 2, sender: 4, recipient: SERVER, session: [5; 32], model: [6; 32] };

#[test]
fn signed_messages() {
    let identity = identity();
    let message = seal(&identity, HEADER, b"a body").unwrap();
    hold(&[("envelope", message.clone())], &[("envelope", "d011cc06a2618fe2 161")]);
    assert_eq!(open(&message, HEADER, identity.public()).unwrap(), b"a body");
    for (place, byte) in [(0, 1), (0, 3), (1, 2)] {
        let mut other = message.clone();
        other[place] = byte;
        let line = open(&other, HEADER, identity.public()).unwrap_err().to_string();
        assert_eq!(line, "message of another version or signature scheme");
    }
}

/// The bodies of secure aggregation have no version of their own: the envelope's is theirs.
#[test]
fn bodies_of_secure_aggregation() {
    let share = |b: u8| Zeroizing::new(std::array::from_fn(|i| b ^ i as u8));
    let sealed: Sealed = Sealed(vec![(3, std::array::from_fn(|i| i as u8)), (70_000, [9; 82])]);
    let reveals =
        [(1, Reveal::MaskKey(share(1))), (2, Reveal::Seed(share(2))), (9, Reveal::Unreadable)];
    let set = Set::new(11, [0, 3, 10]);
    let found = [
        ("advert", Advert { sealing: [1; 32], masking: [2; 32] }.encode()),
        ("shares", Shares { check: [8; 32], sealed }.encode()),
        ("set", set.encode()),
        ("set, as signed", set.digest().to_vec()),
        ("bundle", encode_bundle(&[b"one", b"", b"three"])),
        ("reveals", encode_reveals(&reveals).to_vec()),
    ];
    let golden = [
        ("advert", "8d67bc7836d128b1 64"),
        ("shares", "ebf9cbbaf484a17f 208"),
        ("set", "dc8943dff0ffa906 2"),
        ("set, as signed", "3270418cae308c2d 32"),
        ("bundle", "f9edac1c9ad47699 24"),
        ("reveals", "9266ec97c28bbb61 85"),
    ];
    hold(&found, &golden);
}

#[test]
fn sessions_models_and_masked_words() {
    let mut model = ModelHasher::default();
    model.tensor("fc.weight", &[2, 3], &[0.5, -1.0, 2.0, 0.0, -0.0, 1e-3]);
    model.tensor("fc.bias", &[2], &[0.25, f32::MIN_POSITIVE]);
    let key = identity().public().clone();
    let directory = Directory::new(vec![key.clone(); 4], key);
    let round = session(3, Graph::complete(4), 3, 5, BITS);
    let sparse = Graph::harary(9, 4, &mut rng("graph"));
    let masked = Mutex::new(Vec::new());
    let keep = |d: Delivery| {
        if d.phase == Phase::Masked && d.from == 1 {
            // The body alone: the key that signs is another in each process.
            *masked.lock().unwrap() = d.bytes[91..d.bytes.len() - 64].to_vec();
        }
    };
    let setup = Setup {
        federation: FEDERATION,
        session: session(3, Graph::complete(4), 3, 5, BITS),
        models: vec![MODEL; 4],
        scheme: Scheme::Ed25519,
        watched: 0,
        progress: &|_, _, _| (),
    };
    let rngs = (0..4).map(|i| rng(&format!("client {i}"))).collect();
    let faults = Faults { drops: BTreeMap::new(), tamper: Some(&keep) };
    run(&setup, rngs, &|i| Ok(words(i, 5)), &faults).unwrap();
    let found = [
        ("model", model.finish().0.to_vec()),
        ("session", round.id(FEDERATION, &directory).to_vec()),
        ("graph", sparse.digest().to_vec()),
        ("masked words", masked.into_inner().unwrap()),
    ];
    let golden = [
        ("model", "0fe4eefcedd526c4 32"),
        ("session", "639c02e910f53cd1 32"),
        ("graph", "00e6343585a1af41 32"),
        ("masked words", "caa6d84451deff2d 26"),
    ];
    hold(&found, &golden);
}

type Read<'a> = Box<dyn Fn(&[u8]) -> String + 'a>;

/// What reading those bytes says.
fn said<T>(read: Result<T, impl std::fmt::Display>) -> String {
    read.map_or_else(|error| error.to_string(), |_| "read".into())
}

/// Each form reads what it wrote, and refuses a later version by name.
#[track_caller]
fn versioned(forms: &[(&str, Vec<u8>, Read)], place: usize) {
    for (name, bytes, read) in forms {
        assert_eq!(read(bytes), "read", "{name}");
        let mut later = bytes.clone();
        later[place] = 2;
        let line = read(&later);
        assert!(line.contains("version 2") && line.contains("reads version 1"), "{name}: {line}");
    }
}

/// Values that every processor encodes alike: their transforms are exact.
fn flat(count: usize) -> Vec<f64> {
    vec![0.5; count]
}

#[test]
fn ckks() {
    let params = "compact".parse().unwrap();
    let (secret, public) = keys::generate(&params, &mut rng("ckks keys"));
    let context: &Arc<Context> = secret.context();
    let values = flat(params.values());
    let ciphertext = public.encrypt(&values, &mut rng("ckks public")).unwrap();
    let seeded = secret.encrypt(&values, &mut rng("ckks secret")).unwrap();
    let party = keys::generate_shares(&params, 2, &mut rng("ckks shares")).unwrap();
    let shared = party.1.encrypt(&values, &mut rng("ckks shared")).unwrap();
    let half = shared.half();
    let partials: Vec<Partial> =
        party.0.iter().map(|s| s.partial(&half, 1e3, &mut rng("ckks flood")).unwrap()).collect();
    let opened = shared.combine(&partials).unwrap();
    let own = Party { index: 1, parties: 2 };
    let (_, part) = SecretKey::share(context, &[3; 32], own, &mut rng("ckks part"));
    let forms: Vec<(&str, Vec<u8>, Read)> = vec![
        ("secret key", secret.to_bytes().to_vec(), Box::new(|b| said(SecretKey::from_bytes(b)))),
        ("public key", public.to_bytes(), Box::new(|b| said(PublicKey::from_bytes(b)))),
        ("key share", part.to_bytes(), Box::new(|b| said(KeyShare::from_bytes(context, b)))),
        (
            "ciphertext",
            ciphertext.to_bytes(),
            Box::new(|b| said(Ciphertext::from_bytes(context, b))),
        ),
        (
            "seeded ciphertext",
            seeded.to_bytes(),
            Box::new(|b| said(Ciphertext::from_bytes(context, b))),
        ),
        ("half", half.to_bytes(), Box::new(|b| said(Half::from_bytes(context, b)))),
        ("partial", partials[1].to_bytes(), Box::new(|b| said(Partial::from_bytes(context, b)))),
        ("opened", opened.to_bytes(), Box::new(|b| said(Opened::from_bytes(context, b)))),
    ];
    versioned(&forms, 4);
    let found: Vec<_> = forms.into_iter().map(|(name, bytes, _)| (name, bytes)).collect();
    let golden = [
        ("secret key", "1aea108f312a845f 552"),
        ("public key", "d5e68cb178ce2ad0 13638"),
        ("key share", "d30e2eea6d7e1959 13608"),
        ("ciphertext", "5268d5d608b72a6f 27185"),
        ("seeded ciphertext", "5656a63fad75dd82 13649"),
        ("half", "a58faabd9d3b61af 13617"),
        ("partial", "1633ed648ea3cd9f 13621"),
        ("opened", "c7dbe2edf5ef0b78 13617"),
    ];
    hold(&found, &golden);
}

#[test]
fn encrypted_scoring() {
    let params = "fedavg".parse().unwrap();
    let (secret, public) = keys::generate(&params, &mut rng("scoring keys"));
    let context = secret.context();
    let unit: Vec<f32> = (0..30).map(|i| if i == 4 { 1.0 } else { 0.0 }).collect();
    let shape = Shape::unit(3, 30);
    let query = secret.ask(&shape, &unit, &mut rng("query")).unwrap();
    let gallery = Gallery::new(context, shape, &unit.repeat(3), &[]).unwrap();
    let answer = gallery.score(&public, &query, &mut rng("answer")).unwrap();
    let forms: Vec<(&str, Vec<u8>, Read)> = vec![
        ("query", query.to_bytes(), Box::new(|b| said(Query::from_bytes(context, b)))),
        ("answer", answer.to_bytes(), Box::new(|b| said(Answer::from_bytes(context, b)))),
    ];
    versioned(&forms, 4);
    let found: Vec<_> = forms.into_iter().map(|(name, bytes, _)| (name, bytes)).collect();
    let golden = [("query", "6e4807591b9fbd95 51302"), ("answer", "9649b5a8e8e79c50 25699")];
    hold(&found, &golden);
}

#[test]
fn paillier_and_its_container() {
    let secret = paillier::SecretKey::generate(512, &mut rng("paillier key")).unwrap();
    let public = secret.public();
    let draw = public.draw(&mut rng("paillier draw"));
    let number = crypto_bigint::BoxedUint::from_words([77; 8]).shr(1);
    let one = public.encrypt(&number, &draw).unwrap();
    let message = paillier::encode(public, &[one.clone(), one]);
    let read = |bytes: &[u8]| said(paillier::decode(public, bytes, 2));
    let forms: Vec<(&str, Vec<u8>, Read)> = vec![
        (
            "secret key",
            secret.to_bytes().to_vec(),
            Box::new(|b| said(paillier::SecretKey::from_bytes(b))),
        ),
        ("public key", public.to_bytes(), Box::new(|b| said(paillier::PublicKey::from_bytes(b)))),
        ("ciphertexts", message, Box::new(read)),
        (
            "container",
            Container {
                scheme: KeyScheme::Paillier,
                kind: Kind::Ciphertexts,
                key: Fingerprint::new("golden", b"public"),
                payload: b"payload",
            }
            .encode(),
            Box::new(|b| said(Container::decode(b))),
        ),
    ];
    versioned(&forms, 8);
    let found: Vec<_> = forms.into_iter().map(|(name, bytes, _)| (name, bytes)).collect();
    let golden = [
        ("secret key", "bec847760efcaa4f 316"),
        ("public key", "981e1cb272f2b828 252"),
        ("ciphertexts", "bf6b0c50454f5504 308"),
        ("container", "05ab75540d3d9d16 59"),
    ];
    hold(&found, &golden);
}
