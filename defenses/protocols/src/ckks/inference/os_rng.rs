//! Randomness that keeps secrets: from the operating system.

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use suites::rng::Wiped;
use zeroize::Zeroizing;

use crate::ProtocolError;
use crate::ckks::bytes::malformed;

/// ChaCha12 from 256 bits of the operating system, wiped when dropped, for keys, queries and
/// answers that are to hide something: two queries from one stream that was started twice would
/// show their difference.
///
/// # Errors
/// A system without randomness.
pub fn os_rng() -> Result<Wiped<ChaCha12Rng>, ProtocolError> {
    let mut seed = Zeroizing::new([0u8; 32]);
    getrandom::fill(seed.as_mut()).map_err(|e| {
        malformed("random seed", format!("the operating system gives no randomness: {e}"))
    })?;
    Ok(Wiped::new(ChaCha12Rng::from_seed(*seed)))
}

#[cfg(test)]
mod tests {
    use rand::RngCore;

    #[test]
    fn two_generators_differ() {
        let [mut first, mut second] = [super::os_rng().unwrap(), super::os_rng().unwrap()];
        assert_ne!(first.next_u64(), second.next_u64());
    }
}
