//! Messages and keys of the protocols. A sum over a message stops accidents, not an attacker: each
//! input is read as it is, and once more under a sum that fits.

use std::sync::{Arc, LazyLock};

use protocols::ckks::inference::{Answer, Query};
use protocols::ckks::keys::{KeyShare, PublicKey, SecretKey};
use protocols::ckks::{Ciphertext, Context, Half, Opened, Partial};
use protocols::secagg::{self, Advert, Sealed, Set, Shares};
use protocols::signatures::{Header, Identity, SERVER, Scheme, open};
use protocols::{keys, paillier, signatures};
use suites::foreign::limits;

use crate::{Target, samples};

/// Targets of this room.
pub(super) static TARGETS: &[Target] = &[
    Target { name: "secagg", limit: &limits::KEY, check: secagg, samples: samples::secagg },
    Target { name: "signed", limit: &limits::KEY, check: signed, samples: samples::signed },
    Target {
        name: "ckks_keys",
        limit: &limits::KEY,
        check: ckks_keys,
        samples: samples::ckks_keys,
    },
    Target {
        name: "ckks_messages",
        limit: &limits::KEY,
        check: ckks_messages,
        samples: samples::ckks_messages,
    },
    Target {
        name: "ckks_inference",
        limit: &limits::KEY,
        check: ckks_inference,
        samples: samples::ckks_inference,
    },
    Target {
        name: "paillier_keys",
        limit: &limits::KEY,
        check: paillier_keys,
        samples: samples::paillier_keys,
    },
    Target {
        name: "paillier_messages",
        limit: &limits::KEY,
        check: paillier_messages,
        samples: samples::paillier_messages,
    },
    Target { name: "key_file", limit: &limits::KEY, check: key_file, samples: samples::key_files },
];

/// `check`, on the bytes and on the same under the sum that `reseal` writes.
fn sealed(bytes: &[u8], reseal: fn(&mut [u8]), check: impl Fn(&[u8])) {
    check(bytes);
    let mut again = bytes.to_vec();
    reseal(&mut again);
    check(&again);
}

/// Messages of secure aggregation: what is read is what was written.
fn secagg(bytes: &[u8]) {
    if let Ok(advert) = Advert::decode(bytes) {
        assert_eq!(advert.encode(), bytes);
    }
    if let Ok(sealed) = Sealed::decode(bytes) {
        assert_eq!(sealed.encode(), bytes);
    }
    if let Ok(shares) = Shares::decode(bytes) {
        assert_eq!(shares.encode(), bytes);
    }
    for n in [0, 1, 8 * bytes.len().saturating_sub(1) + 1, 8 * bytes.len()] {
        if let Ok(set) = Set::decode(bytes, n) {
            assert_eq!(set.encode(), bytes);
            assert!(set.count() <= n);
        }
    }
    if let Ok(bundle) = secagg::decode_bundle(bytes) {
        assert_eq!(secagg::encode_bundle(&bundle), bytes);
    }
    if let Ok(reveals) = secagg::decode_reveals(bytes) {
        assert_eq!(secagg::encode_reveals(&reveals).as_slice(), bytes);
    }
}

/// Signed envelopes, and the keys that sign and verify them.
fn signed(bytes: &[u8]) {
    let header = Header {
        round: 1,
        phase: 2,
        sender: 3,
        recipient: SERVER,
        session: [4; 32],
        model: [5; 32],
    };
    let public = samples::identity().public();
    if let Ok(body) = open(bytes, header, public) {
        assert_eq!(body, samples::BODY, "only what was signed is let through");
    }
    let _ = Header::claimed(bytes);
    for scheme in [Scheme::Ed25519, Scheme::RsaPss] {
        let claimed = signatures::PublicKey::new(scheme, bytes.to_vec());
        assert!(open(bytes, header, &claimed).is_err());
        let _ = Identity::from_pkcs8(scheme, bytes);
    }
}

fn context() -> &'static Arc<Context> {
    static CONTEXT: LazyLock<Arc<Context>> = LazyLock::new(|| Context::new(&samples::set()));
    &CONTEXT
}

/// Keys of CKKS and shares of them.
fn ckks_keys(bytes: &[u8]) {
    sealed(bytes, samples::reseal_ckks, |bytes| {
        if let Ok(key) = SecretKey::from_bytes(bytes) {
            assert_eq!(key.to_bytes().len(), bytes.len());
        }
        if let Ok(key) = PublicKey::from_bytes(bytes) {
            assert_eq!(key.to_bytes(), bytes);
        }
        if let Ok(share) = KeyShare::from_bytes(context(), bytes) {
            assert_eq!(share.to_bytes().len(), bytes.len());
        }
        let _ = protocols::ckks::inspect(bytes);
    });
}

/// Ciphertexts, halves, partial decryptions and results. What is read can be worked with.
fn ckks_messages(bytes: &[u8]) {
    sealed(bytes, samples::reseal_ckks, |bytes| {
        let context = context();
        if let Ok(mut sum) = Ciphertext::from_bytes(context, bytes) {
            assert_eq!(sum.to_bytes().len(), bytes.len());
            let _ = samples::secret().decrypt(&sum);
            let again = Ciphertext::from_bytes(context, bytes).expect("it was read before");
            let _ = sum.add(&again);
            sum.weigh(3);
            let _ = sum.multiply(0.5);
            let _ = sum.rescale();
        }
        if let Ok(half) = Half::from_bytes(context, bytes) {
            let _ = samples::secret().partial(&half, 1024.0, &mut samples::rng());
        }
        if let Ok(partial) = Partial::from_bytes(context, bytes) {
            let _ = samples::sum().combine(&[partial]);
        }
        if let Ok(opened) = Opened::from_bytes(context, bytes) {
            let _ = opened.values();
        }
    });
}

/// Queries and answers of encrypted scoring.
fn ckks_inference(bytes: &[u8]) {
    let context = samples::scoring().0.context();
    sealed(bytes, samples::reseal_ckks, |bytes| {
        if let Ok(query) = Query::from_bytes(context, bytes) {
            assert_eq!(query.to_bytes(), bytes);
        }
        if let Ok(answer) = Answer::from_bytes(context, bytes) {
            assert_eq!(answer.to_bytes(), bytes);
        }
    });
}

/// Keys of Paillier.
fn paillier_keys(bytes: &[u8]) {
    sealed(bytes, samples::reseal_container, |bytes| {
        if let Ok(key) = paillier::PublicKey::from_bytes(bytes) {
            assert_eq!(key.to_bytes(), bytes);
        }
        let _ = paillier::SecretKey::from_bytes(bytes);
    });
}

/// Vectors of Paillier's ciphertexts. What is read can be summed and decrypted.
fn paillier_messages(bytes: &[u8]) {
    let key = samples::paillier();
    sealed(bytes, samples::reseal_container, |bytes| {
        for expected in [0, 1, 2] {
            let Ok(all) = paillier::decode(key.public(), bytes, expected) else { continue };
            assert_eq!(all.len(), expected);
            assert_eq!(paillier::encode(key.public(), &all), bytes);
        }
    });
}

/// Any file that `bench keys inspect` may be given: containers, PEM around DER, CKKS.
fn key_file(bytes: &[u8]) {
    let described = |bytes: &[u8]| drop(keys::inspect(bytes));
    sealed(bytes, samples::reseal_container, described);
    if !bytes.starts_with(b"-----") {
        described(&samples::pem("PRIVATE KEY", bytes));
        described(&samples::pem("PUBLIC KEY", bytes));
    }
}
