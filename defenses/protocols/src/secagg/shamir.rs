//! Shamir's secret sharing over GF(256), byte by byte, with the search for a wrong share.

use rand::RngCore;
use rand::seq::index;
use rand_chacha::ChaCha12Rng;
use vsss_rs::Gf256;
use zeroize::Zeroizing;

use super::keys::Secret;

/// Bytes of a share: its point, then one byte for each of the secret's 32.
pub const SHARE: usize = 33;
/// Most shares of one secret: the non-zero points of the field.
pub const MAX_SHARES: usize = 255;
/// Combinations of shares that are tried in order where some are wrong: enough for any single one.
const IN_ORDER: usize = 256;
/// Random subsets that are tried after these.
const AT_RANDOM: usize = 4096;

/// A share, wiped when dropped. Its first byte is its point.
pub type Share = Zeroizing<[u8; SHARE]>;

/// Splits a secret so that any `threshold` of the shares give it and fewer say nothing; `points`
/// are distinct and not zero.
///
/// Each byte of the secret is the value at 0 of a random polynomial of degree `threshold - 1`
/// (Shamir 1979); all 32 are evaluated at once.
pub fn split(
    secret: &Secret,
    threshold: usize,
    points: &[u8],
    rng: &mut ChaCha12Rng,
) -> Vec<Share> {
    let mut coefficients = Zeroizing::new(vec![words(secret)]);
    for _ in 1..threshold {
        let mut random = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut random[..]);
        coefficients.push(words(&random));
    }
    points.iter().map(|&point| evaluate(&coefficients, point)).collect()
}

/// Horner's rule at a public point.
fn evaluate(coefficients: &[[u64; 4]], point: u8) -> Share {
    let mut value = Zeroizing::new([0u64; 4]);
    for coefficient in coefficients.iter().rev() {
        *value = times(*value, point);
        value.iter_mut().zip(coefficient).for_each(|(v, c)| *v ^= c);
    }
    let mut share = Zeroizing::new([point; SHARE]);
    share[1..]
        .chunks_exact_mut(8)
        .zip(*value)
        .for_each(|(bytes, v)| bytes.copy_from_slice(&v.to_le_bytes()));
    share
}

/// 32 field elements times a public one, by doubling and adding, in a time that does not depend on
/// the 32.
fn times(elements: [u64; 4], point: u8) -> [u64; 4] {
    const TOP: u64 = 0x8080_8080_8080_8080;
    let mut product = [0u64; 4];
    for bit in (0..8).rev() {
        for (p, e) in product.iter_mut().zip(elements) {
            // Doubling in each byte modulo x^8 + x^4 + x^3 + x + 1.
            *p = ((*p & !TOP) << 1) ^ (((*p & TOP) >> 7) * 0x1b);
            if point >> bit & 1 == 1 {
                *p ^= e;
            }
        }
    }
    product
}

fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let mut out = [0; 4];
    for (word, chunk) in out.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = chunk.iter().rev().fold(0, |w, &b| w << 8 | u64::from(b));
    }
    out
}

/// A secret and the places of the shares that contradict it.
pub struct Recovered {
    /// The secret.
    pub secret: Secret,
    /// Indices into the shares that were given.
    pub wrong: Vec<usize>,
}

/// Finds the secret that `is_right` accepts. All shares are used at once, which a single wrong one
/// always spoils; then as few as possible are left out, in order, and those kept must agree with
/// each other, so that errors that cancel by chance put no blame on others; then random subsets of
/// `threshold` shares are tried. Liars who conspire can shift the blame, never change the secret.
/// `None` where fewer than `threshold` agree, or no subset was met that holds right shares only.
pub fn recover(
    shares: &[Share],
    threshold: usize,
    is_right: impl Fn(&Secret) -> bool,
) -> Option<Recovered> {
    in_order(shares, threshold, &is_right).or_else(|| at_random(shares, threshold, &is_right))
}

/// The first [`IN_ORDER`] ways to leave shares out, the fewest first: all there are for a single
/// wrong share.
fn in_order(
    shares: &[Share],
    threshold: usize,
    is_right: &impl Fn(&Secret) -> bool,
) -> Option<Recovered> {
    let spare = shares.len().checked_sub(threshold)?;
    let mut tries = 0;
    for left_out in 0..=spare {
        let mut wrong: Vec<usize> = (0..left_out).collect();
        loop {
            let kept: Vec<&Share> =
                (0..shares.len()).filter(|i| !wrong.contains(i)).map(|i| &shares[i]).collect();
            let secret = combine(kept.iter().copied()).filter(is_right);
            if let Some(secret) = secret.filter(|s| left_out == 0 || agree(&kept, threshold, s)) {
                return Some(Recovered { secret, wrong });
            }
            tries += 1;
            if tries == IN_ORDER {
                return None;
            }
            if !advance(&mut wrong, shares.len()) {
                break;
            }
        }
    }
    None
}

/// Random subsets of `threshold` shares: with `k` of `n` shares wrong, a subset is right with `C(n
/// - k, threshold) / C(n, threshold)`.
fn at_random(
    shares: &[Share],
    threshold: usize,
    is_right: &impl Fn(&Secret) -> bool,
) -> Option<Recovered> {
    let spare = shares.len().checked_sub(threshold)?;
    // With none or one to leave out, every way was tried in order.
    if spare < 2 {
        return None;
    }
    let mut rng = suites::rng::stream(0, "secagg", "subsets of shares");
    (0..AT_RANDOM).find_map(|_| {
        let chosen = index::sample(&mut rng, shares.len(), threshold).into_vec();
        let secret = combine(chosen.iter().map(|&i| &shares[i])).filter(is_right)?;
        let others = (0..shares.len()).filter(|i| !chosen.contains(i));
        let wrong = others.filter(|&i| !fits(shares, &chosen, i, &secret)).collect();
        Some(Recovered { wrong, secret })
    })
}

/// Whether share `i` lies on the polynomial through those chosen: in the place of one of them, it
/// gives the same value at 0.
fn fits(shares: &[Share], chosen: &[usize], i: usize, secret: &Secret) -> bool {
    let rest = chosen.iter().skip(1).map(|&j| &shares[j]);
    combine(rest.chain([&shares[i]])).as_ref() == Some(secret)
}

/// Whether the secret stays the same without any one of the shares, where there are more than
/// needed.
fn agree(shares: &[&Share], threshold: usize, secret: &Secret) -> bool {
    let without =
        |i: usize| shares.iter().enumerate().filter(move |(j, _)| *j != i).map(|(_, s)| *s);
    shares.len() <= threshold
        || (0..shares.len()).all(|i| combine(without(i)).as_ref() == Some(secret))
}

/// The next combination in lexicographic order.
fn advance(chosen: &mut [usize], n: usize) -> bool {
    let k = chosen.len();
    let Some(i) = (0..k).rev().find(|&i| chosen[i] < n - k + i) else { return false };
    chosen[i] += 1;
    (i + 1..k).for_each(|j| chosen[j] = chosen[j - 1] + 1);
    true
}

fn combine<'a>(shares: impl Iterator<Item = &'a Share>) -> Option<Secret> {
    let shares: Zeroizing<Vec<Vec<u8>>> = Zeroizing::new(shares.map(|s| s.to_vec()).collect());
    let secret = Zeroizing::new(Gf256::combine_bytes(&*shares).ok()?);
    secret[..].try_into().ok().map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(threshold: usize, n: u8) -> (Secret, Vec<Share>) {
        let secret = Zeroizing::new(std::array::from_fn(|i| (37 * i + 11) as u8));
        let points: Vec<u8> = (1..=n).collect();
        let mut rng = suites::rng::stream(1, "test", "shares");
        let shares = split(&secret, threshold, &points, &mut rng);
        (secret, shares)
    }

    #[test]
    fn enough_shares_give_the_secret_and_fewer_another() {
        let (secret, shares) = shares(5, 9);
        assert_eq!(combine(shares[..5].iter()).unwrap(), secret);
        assert_eq!(combine(shares[3..].iter()).unwrap(), secret);
        assert_ne!(combine(shares[..4].iter()).unwrap(), secret);
        assert!(recover(&shares[..4], 5, |_| true).is_none());
    }

    /// Byte by byte against the library's field.
    #[test]
    fn products_are_those_of_the_field() {
        let elements: [u8; 32] = std::array::from_fn(|i| (97 * i + 3) as u8);
        for point in 0..=255 {
            let product = times(words(&elements), point);
            let expected: [u8; 32] = elements.map(|e| (Gf256(e) * Gf256(point)).0);
            assert_eq!(product, words(&expected), "{point}");
        }
    }

    #[test]
    fn wrong_shares_are_found_and_named() {
        let (secret, mut shares) = shares(5, 9);
        for wrong in [vec![], vec![0], vec![8], vec![2, 7], vec![0, 1, 5, 8]] {
            wrong.iter().for_each(|&i| shares[i][1 + 3 * i] ^= 0x40);
            let found = recover(&shares, 5, |s| *s == secret).unwrap();
            assert_eq!((found.secret, found.wrong), (secret.clone(), wrong.clone()));
            wrong.iter().for_each(|&i| shares[i][1 + 3 * i] ^= 0x40);
        }
        (0..5).for_each(|i| shares[i][1 + i] ^= 1);
        assert!(recover(&shares, 5, |s| *s == secret).is_none());
    }

    /// 100 clients, threshold 67: too many pairs and quintuples of liars to try in order, wherever
    /// they stand.
    #[test]
    fn several_liars_among_many_are_found() {
        let (secret, mut shares) = shares(67, 100);
        for wrong in [vec![0, 1], vec![40, 90], vec![98, 99], vec![3, 30, 77, 99]] {
            wrong.iter().for_each(|&i| shares[i][1 + i % 32] ^= 0x40);
            let found = recover(&shares, 67, |s| *s == secret).unwrap();
            assert_eq!((found.secret, found.wrong), (secret.clone(), wrong.clone()));
            wrong.iter().for_each(|&i| shares[i][1 + i % 32] ^= 0x40);
        }
    }
}
