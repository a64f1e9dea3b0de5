//! Where all randomness comes from: one ChaCha stream per (seed, key, purpose).

use std::hint::black_box;
use std::ops::{Deref, DerefMut};

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
    let mut key = *hasher.finalize().as_bytes();
    let rng = ChaCha12Rng::from_seed(key);
    // The root and the key of the stream stay nowhere else.
    hasher.reset();
    black_box(&mut hasher);
    key.wipe();
    rng
}

/// What holds the key of a stream, or keystream that was not read yet.
pub trait Wipe {
    /// Overwrites it.
    fn wipe(&mut self);
}

impl Wipe for ChaCha12Rng {
    /// Key, counter and buffer become those of the all-zero seed. `black_box` keeps the compiler
    /// from leaving the writes out; it cannot reach copies that moves have left on the stack.
    fn wipe(&mut self) {
        *self = ChaCha12Rng::from_seed([0; 32]);
        black_box(self);
    }
}

impl Wipe for [u8; 32] {
    fn wipe(&mut self) {
        self.fill(0);
        black_box(self);
    }
}

impl Wipe for Vec<ChaCha12Rng> {
    fn wipe(&mut self) {
        self.iter_mut().for_each(Wipe::wipe);
    }
}

/// A stream of secrets (masks, noise, keys), several, or a seed, overwritten when dropped.
///
/// It lies on the heap, so that moving it copies no key.
#[derive(Debug)]
pub struct Wiped<T: Wipe>(Box<T>);

impl<T: Wipe> Wiped<T> {
    /// Takes it over.
    pub fn new(inner: T) -> Wiped<T> {
        Wiped(Box::new(inner))
    }
}

impl<T: Wipe> Drop for Wiped<T> {
    fn drop(&mut self) {
        self.0.wipe();
    }
}

impl<T: Wipe> Deref for Wiped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Wipe> DerefMut for Wiped<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
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
    use std::cell::Cell;

    struct Noted<'a>(&'a Cell<u32>);

    impl Wipe for Noted<'_> {
        fn wipe(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    /// Key, counter and unread keystream are gone, in one stream and in several, and a holder wipes
    /// what it holds exactly once, when it is dropped.
    #[test]
    fn a_wiped_stream_holds_nothing() {
        let used = || {
            let mut rng = secret_stream(&[9; 32], "cell", "masks");
            rng.next_u32();
            rng
        };
        let (mut one, mut many) = (used(), vec![used(), stream(3, "cell", "noise")]);
        let mut seed = [7; 32];
        seed.wipe();
        assert_eq!(seed, [0; 32]);
        assert_ne!(one, ChaCha12Rng::from_seed([0; 32]));
        one.wipe();
        many.wipe();
        many.push(one);
        for rng in &many {
            assert_eq!(*rng, ChaCha12Rng::from_seed([0; 32]));
        }
        let count = Cell::new(0);
        let held = Wiped::new(Noted(&count));
        let moved = held;
        assert_eq!(count.get(), 0);
        drop(moved);
        assert_eq!(count.get(), 1);
        assert_eq!(Wiped::new(used()).next_u64(), used().next_u64());
    }

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
