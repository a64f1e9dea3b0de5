//! Damage to sound inputs, for the loop that needs no libFuzzer.

use rand::Rng;

/// The longest input.
pub const LONGEST: usize = 64 << 10;
/// Numbers at which lengths and counts break.
const EDGES: [u64; 8] = [0, 1, 0x7f, 0xff, 0x7fff_ffff, 0xffff_ffff, 1 << 32, u64::MAX];
/// Bytes that mean something in texts and headers.
const TELLING: &[u8] = b"\0\t\n ,;:.-+0129[]{}()\"'#=<>/\\eE\xff";

/// `sound`, damaged in one to eight places; `other` is spliced in at times.
pub fn mutate(sound: &[u8], other: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..1 << rng.random_range(0..4) {
        once(&mut bytes, other, rng);
    }
    bytes.truncate(LONGEST);
    bytes
}

fn once(bytes: &mut Vec<u8>, other: &[u8], rng: &mut impl Rng) {
    let at = rng.random_range(0..=bytes.len());
    let to = (at + rng.random_range(0..=16)).min(bytes.len());
    match rng.random_range(0..10) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..to)),
        2 => {
            let again = bytes[at..to].to_vec();
            bytes.splice(at..at, again.repeat(rng.random_range(1..5)));
        }
        3 => drop(bytes.splice(at..at, [rng.random::<u8>()])),
        4 => {
            let from = rng.random_range(0..=other.len());
            let until = (from + rng.random_range(0..=64)).min(other.len());
            bytes.splice(at..to, other[from..until].iter().copied());
        }
        5 => {
            let edge = EDGES[rng.random_range(0..EDGES.len())].to_le_bytes();
            let width = 1 << rng.random_range(0..4);
            let to = (at + width).min(bytes.len());
            bytes.splice(at..to, edge[..width].iter().copied());
        }
        6 => edit(bytes, at, |_| TELLING[rng.random_range(0..TELLING.len())]),
        7 => edit(bytes, at, |b| b ^ 1 << rng.random_range(0..8)),
        8 => edit(bytes, at, |b| b.wrapping_add(rng.random_range(-8i8..=8) as u8)),
        _ => edit(bytes, at, |_| rng.random()),
    }
}

fn edit(bytes: &mut [u8], at: usize, to: impl FnOnce(u8) -> u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte = to(*byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn damage_is_bounded_seeded_and_varied() {
        let all = |seed| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            (0..500).map(|_| mutate(b"sound", b"other", &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(all(1), all(1));
        let distinct: std::collections::HashSet<_> = all(1).into_iter().collect();
        assert!(distinct.len() > 300 && distinct.iter().all(|b| b.len() <= LONGEST));
    }
}
