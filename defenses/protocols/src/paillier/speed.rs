//! Speed of this machine for a key size, measured without a key.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Odd};

use super::secret::exponent_bits;
use super::table::Table;

/// Seconds of one operation on one core.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Drawing a key and building its table, on average.
    pub key: f64,
    /// One encryption.
    pub encrypt: f64,
    /// One addition.
    pub add: f64,
    /// One decryption.
    pub decrypt: f64,
}

static KNOWN: Mutex<Vec<(u32, Speed)>> = Mutex::new(Vec::new());

impl Speed {
    /// Times a few encryptions and half-decryptions modulo odd numbers of the right size (what they
    /// are products of does not matter for the time); once a process and size.
    pub fn measured(key_bits: u32) -> Speed {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, speed)) = known.iter().find(|(bits, _)| *bits == key_bits) {
            return *speed;
        }
        let speed = measure(key_bits);
        known.push((key_bits, speed));
        speed
    }
}

fn measure(key_bits: u32) -> Speed {
    let base = residue(2 * key_bits);
    let table = Table::new(&base, 6 * WINDOWS);
    // A table of a few windows stands for one as long as the exponent.
    let windows = f64::from(exponent_bits(key_bits).div_ceil(6));
    let encrypt =
        time(|| _ = table.power(&[0xa5; WINDOWS as usize])) * windows / f64::from(WINDOWS);
    let mut product = base.clone();
    let add = time(|| product = product.mul(&base));
    let (half, exponent) = (residue(key_bits), BoxedUint::max(key_bits / 2));
    let power = time(|| _ = half.pow(&exponent));
    // A search takes about 60 powers modulo numbers of half that length for the two primes; the
    // table has 64 entries a window.
    Speed {
        key: 60.0 * power / 4.0 + 64.0 * windows * add,
        encrypt: encrypt + add,
        add,
        decrypt: 2.0 * power,
    }
}

const WINDOWS: u32 = 8;

/// Mean over a stretch that is long enough to feel what else the machine is busy with.
fn time(mut work: impl FnMut()) -> f64 {
    let (start, mut runs) = (Instant::now(), 0u32);
    while runs < 3 || start.elapsed().as_millis() < 30 {
        work();
        runs += 1;
    }
    start.elapsed().as_secs_f64() / f64::from(runs)
}

/// Some number modulo some odd number of so many bits.
fn residue(bits: u32) -> BoxedMontyForm {
    let words = (0..bits.div_ceil(64))
        .map(|i| 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(u64::from(2 * i + 1)) | 1 << 63 | 1);
    let modulus = Odd::new(BoxedUint::from_words(words)).expect("the lowest bit is set");
    let params = BoxedMontyParams::new(modulus);
    BoxedMontyForm::new(BoxedUint::max(bits).shr(1), &params)
}
