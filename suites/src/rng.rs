//! Where all randomness comes from: one ChaCha stream per (seed, key, purpose).

use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;

/// Domain of the key derivation; changing it changes every random number of the benchmark.
const CONTEXT: &str = "federated leakage benchmark 2025 random streams v1";

/// Domain of streams whose root nobody else knows.
const SECRET_STREAMS: &str = "federated leakage benchmark 2026 secret streams v1";

/// Domain in which attacks' seeds are made of root seeds.
const ATTACK_SEEDS: &str = "federated leakage benchmark 2026 attack seeds v1";

/// Domain of the attacks' streams.
const ATTACK_STREAMS: &str = "federated leakage benchmark 2026 attack streams v1";

/// An independent random stream, bit-identical on every machine for the same three arguments.
///
/// `key` says whose stream it is (a cell's `world_key`, an id), `purpose` what it is drawn for
/// ("weights", "batch", "restart 3"), so that no draw depends on the order of others.
pub fn stream(seed: u64, key: &str, purpose: &str) -> ChaCha12Rng {
    derived(CONTEXT, &seed.to_le_bytes(), key, purpose)
}

/// An independent random stream of a root that the operating system drew and nobody else knows.
///
/// No seed gives it: the domain is another than [`stream`]'s.
pub fn secret_stream(root: &[u8; 32], key: &str, purpose: &str) -> ChaCha12Rng {
    derived(SECRET_STREAMS, root, key, purpose)
}

fn derived(context: &str, seed: &[u8], key: &str, purpose: &str) -> ChaCha12Rng {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    hasher.update(seed);
    // Lengths first, so that ("ab", "c") and ("a", "bc") differ.
    for text in [key, purpose] {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    ChaCha12Rng::from_seed(*hasher.finalize().as_bytes())
}

/// Root of an attack's randomness, made of a cell's root seed by a hash in a domain of its own.
///
/// No stream of it is one of a client, a defense or a protocol, whatever keys it is asked for, and
/// the root seed cannot be read off it. (Root seeds are small numbers: against code that tries them
/// all only reading that code helps.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttackSeed([u8; 32]);

impl AttackSeed {
    /// The attacks' seed under that root seed.
    pub fn new(root: u64) -> AttackSeed {
        AttackSeed(blake3::derive_key(ATTACK_SEEDS, &root.to_le_bytes()))
    }

    /// An independent random stream, bit-identical on every machine for the same three.
    pub fn stream(&self, key: &str, purpose: &str) -> ChaCha12Rng {
        derived(ATTACK_STREAMS, &self.0, key, purpose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngCore;

    #[test]
    fn same_arguments_same_stream() {
        let draw = |s, k, p| stream(s, k, p).next_u64();
        assert_eq!(draw(7, "cell", "weights"), draw(7, "cell", "weights"));
        let others =
            [draw(8, "cell", "weights"), draw(7, "cel", "lweights"), draw(7, "cell", "batch")];
        assert!(others.iter().all(|d| *d != draw(7, "cell", "weights")));
    }

    /// Not even the attacks' seed itself, taken for a root seed, gives a stream of somebody else's.
    #[test]
    fn an_attack_has_no_stream_of_anybody_else() {
        let (names, root) = (["", "cell", "images", "defense-0 capture 0 0", "client"], 7);
        let pairs: Vec<_> = names.iter().flat_map(|k| names.map(|p| (*k, p))).collect();
        let theirs: Vec<u64> = pairs.iter().map(|(k, p)| stream(root, k, p).next_u64()).collect();
        let seed = AttackSeed::new(root);
        let eighths = seed.0.chunks(8).map(|part| u64::from_le_bytes(part.try_into().unwrap()));
        let mut own: Vec<u64> = pairs.iter().map(|(k, p)| seed.stream(k, p).next_u64()).collect();
        for guess in eighths {
            own.extend(pairs.iter().map(|(k, p)| stream(guess, k, p).next_u64()));
        }
        assert!(own.iter().all(|draw| !theirs.contains(draw)));
        assert_eq!(seed, AttackSeed::new(root));
        assert_ne!(seed, AttackSeed::new(root + 1));
    }

    /// Every stored number of the benchmark rests on these.
    #[test]
    fn draws_are_stable() {
        assert_eq!(stream(0, "", "").next_u64(), 15508659566602181108);
        assert_eq!(stream(u64::MAX, "cell", "restart 3").next_u64(), 11080619606964663615);
    }
}
