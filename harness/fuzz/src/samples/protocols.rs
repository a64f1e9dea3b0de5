//! Messages and keys.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use protocols::ckks::inference::{Gallery, Shape};
use protocols::ckks::keys::{PublicKey, SecretKey, generate};
use protocols::ckks::{Ciphertext, ParameterSet};
use protocols::keys::{KeyRequest, KeyScheme};
use protocols::secagg::{self, Advert, Reveal, Sealed, Set, Shares};
use protocols::signatures::{Header, Identity, SERVER, Scheme, seal};
use protocols::{keys, paillier};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use sha2::{Digest, Sha256};

/// What the signed sample says.
pub const BODY: &[u8] = b"a body of some bytes";
/// Bytes of the sum that closes a message of CKKS, and a container.
const SUMS: [usize; 2] = [8, 16];
/// Bytes of a share, and of two sealed ones.
const SHARE: usize = 33;
const SEALED: usize = 2 * SHARE + 16;

/// A stream of its own for every call: the same one.
pub fn rng() -> ChaCha12Rng {
    ChaCha12Rng::seed_from_u64(7)
}

/// The smallest parameters.
pub fn set() -> ParameterSet {
    "2048/53/40".parse().expect("a parameter set")
}

fn pair() -> &'static (SecretKey, PublicKey) {
    static PAIR: LazyLock<(SecretKey, PublicKey)> = LazyLock::new(|| generate(&set(), &mut rng()));
    &PAIR
}

/// The secret key that the samples are under.
pub fn secret() -> &'static SecretKey {
    &pair().0
}

/// A ciphertext that the samples of decryptions are of.
pub fn sum() -> &'static Ciphertext {
    static SUM: LazyLock<Ciphertext> =
        LazyLock::new(|| pair().1.encrypt(&[1.0, -2.0], &mut rng()).expect("two values"));
    &SUM
}

/// The identity that signed the sample.
pub fn identity() -> &'static Identity {
    static IDENTITY: LazyLock<Identity> =
        LazyLock::new(|| Identity::generate(Scheme::Ed25519).expect("a key"));
    &IDENTITY
}

/// A Paillier key of toy size, for speed.
pub fn paillier() -> &'static paillier::SecretKey {
    static KEY: LazyLock<paillier::SecretKey> =
        LazyLock::new(|| paillier::SecretKey::generate(512, &mut rng()).expect("a key"));
    &KEY
}

/// Writes the sum that a message of CKKS closes with.
pub fn reseal_ckks(bytes: &mut [u8]) {
    if let Some(at) = bytes.len().checked_sub(SUMS[0]) {
        let (body, sum) = bytes.split_at_mut(at);
        sum.copy_from_slice(&blake3::hash(body).as_bytes()[..SUMS[0]]);
    }
}

/// Writes the sum that a container closes with.
pub fn reseal_container(bytes: &mut [u8]) {
    if let Some(at) = bytes.len().checked_sub(SUMS[1]) {
        let (body, sum) = bytes.split_at_mut(at);
        sum.copy_from_slice(&Sha256::digest(body)[..SUMS[1]]);
    }
}

/// Every message of secure aggregation.
pub fn secagg() -> Vec<Vec<u8>> {
    let advert = Advert { sealing: [1; 32], masking: [2; 32] };
    let sealed = Sealed(vec![(1, [3; SEALED]), (2, [4; SEALED])]);
    let shares = Shares { check: [5; 32], sealed: sealed.clone() };
    let share = |byte| [byte; SHARE].into();
    let reveals =
        [(1, Reveal::MaskKey(share(6))), (2, Reveal::Seed(share(7))), (3, Reveal::Unreadable)];
    vec![
        advert.encode(),
        sealed.encode(),
        shares.encode(),
        Set::new(12, [0, 3, 11]).encode(),
        secagg::encode_bundle(&[b"one", b"", b"three"]),
        secagg::encode_reveals(&reveals).to_vec(),
    ]
}

/// A signed message, and the key that signs.
pub fn signed() -> Vec<Vec<u8>> {
    let header = Header {
        round: 1,
        phase: 2,
        sender: 3,
        recipient: SERVER,
        session: [4; 32],
        model: [5; 32],
    };
    let message = seal(identity(), header, BODY).expect("a signature");
    vec![message, identity().to_pkcs8().expect("a key").to_vec()]
}

/// Whole keys of CKKS and shares.
pub fn ckks_keys() -> Vec<Vec<u8>> {
    let (secret, public) = pair();
    let seed = [9; 32];
    let party = protocols::ckks::keys::Party { index: 1, parties: 3 };
    let (own, share) = SecretKey::share(secret.context(), &seed, party, &mut rng());
    let keys = [secret.to_bytes().to_vec(), own.to_bytes().to_vec()];
    keys.into_iter().chain([public.to_bytes(), share.to_bytes()]).collect()
}

/// Ciphertexts, their halves, a partial decryption and what is opened of it.
pub fn ckks_messages() -> Vec<Vec<u8>> {
    let values = [1.0, -2.0];
    let seeded = secret().encrypt(&values, &mut rng()).expect("two values");
    let half = sum().half();
    let partial = secret().partial(&half, 1024.0, &mut rng()).expect("its own half");
    let bytes = partial.to_bytes();
    let opened = sum().combine(&[partial]).expect("all parties");
    vec![sum().to_bytes(), seeded.to_bytes(), half.to_bytes(), bytes, opened.to_bytes()]
}

/// The keys that queries and answers are under: the smallest set with room for scores.
pub fn scoring() -> &'static (SecretKey, PublicKey) {
    static PAIR: LazyLock<(SecretKey, PublicKey)> = LazyLock::new(|| {
        let set: ParameterSet = "fedavg".parse().expect("a parameter set");
        generate(&set, &mut rng())
    });
    &PAIR
}

/// A query and its answer.
pub fn ckks_inference() -> Vec<Vec<u8>> {
    let (secret, public) = scoring();
    let shape = Shape::unit(2, 2);
    let gallery = Gallery::new(secret.context(), shape, &[1.0, 0.0, 0.0, 1.0], &[]);
    let query = secret.ask(&shape, &[0.6, 0.8], &mut rng()).expect("a unit vector");
    let answer = gallery.expect("unit vectors").score(public, &query, &mut rng());
    vec![query.to_bytes(), answer.expect("its own query").to_bytes()]
}

/// Keys of Paillier.
pub fn paillier_keys() -> Vec<Vec<u8>> {
    vec![paillier().public().to_bytes(), paillier().to_bytes().to_vec()]
}

/// Messages of one ciphertext and of two.
pub fn paillier_messages() -> Vec<Vec<u8>> {
    let public = paillier().public();
    let one = || {
        let number = 5u64.into();
        public.encrypt(&number, &public.draw(&mut rng())).expect("a small number")
    };
    vec![paillier::encode(public, &[one()]), paillier::encode(public, &[one(), one()])]
}

/// Key files of every scheme, and the DER in those that are PEM.
pub fn key_files() -> Vec<Vec<u8>> {
    let mut all = [paillier_keys(), ckks_keys()].concat();
    let request =
        KeyRequest { scheme: KeyScheme::Ed25519, bits: None, parties: None, parameters: None };
    for file in keys::generate(&request).expect("a key") {
        let text: String = String::from_utf8_lossy(&file.bytes).into_owned();
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        all.push(STANDARD.decode(body).expect("base64"));
        all.push(text.into_bytes());
    }
    all
}

/// PEM around `der`.
pub fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der)).into()
}
