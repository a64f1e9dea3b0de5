//! No bytes make a parser panic, and what was written reads back the same.

use proptest::prelude::*;
use protocols::secagg::{
    Advert, Sealed, Set, Shares, decode_bundle, decode_reveals, encode_bundle,
};
use protocols::signatures::{Header, Identity, PublicKey, SERVER, Scheme, open, seal};

const HEADER: Header =
    Header { round: 1, phase: 2, sender: 3, recipient: SERVER, session: [4; 32], model: [5; 32] };

fn parse_all(bytes: &[u8], n: usize) {
    if let Ok(advert) = Advert::decode(bytes) {
        assert_eq!(advert.encode(), bytes);
    }
    if let Ok(sealed) = Sealed::decode(bytes) {
        assert_eq!(sealed.encode(), bytes);
    }
    if let Ok(shares) = Shares::decode(bytes) {
        assert_eq!(shares.encode(), bytes);
    }
    if let Ok(set) = Set::decode(bytes, n) {
        assert_eq!(set.encode(), bytes);
    }
    if let Ok(bundle) = decode_bundle(bytes) {
        assert_eq!(encode_bundle(&bundle), bytes);
    }
    let _ = decode_reveals(bytes);
    for scheme in [Scheme::Ed25519, Scheme::RsaPss] {
        assert!(open(bytes, HEADER, &PublicKey::new(scheme, bytes.to_vec())).is_err());
        let _ = Identity::from_pkcs8(scheme, bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400), n in 0usize..400) {
        parse_all(&bytes, n);
    }

    /// Counts and lengths that promise much more than there is.
    #[test]
    fn any_count(
        count in any::<u32>(),
        rest in prop::collection::vec(any::<u8>(), 0..200),
        n in 0usize..64,
    ) {
        parse_all(&[&count.to_le_bytes()[..], &rest].concat(), n);
        parse_all(&[&[0; 32], &count.to_le_bytes()[..], &rest].concat(), n);
    }

    #[test]
    fn a_message_changed_anywhere_is_refused(
        body in prop::collection::vec(any::<u8>(), 0..100),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let identity = Identity::generate(Scheme::Ed25519).unwrap();
            let mut message = seal(&identity, HEADER, &body).unwrap();
        prop_assert_eq!(open(&message, HEADER, identity.public()).unwrap(), &body[..]);
        let at = at.index(message.len());
        message[at] ^= flip;
        prop_assert!(open(&message, HEADER, identity.public()).is_err());
    }
}
