//! Values to polynomials and back.

use super::params::Packing;
use super::ring::{Context, Poly};
use crate::ProtocolError;

/// What a coefficient stays below: an `i128` with a factor of two to spare.
pub(crate) const WIDEST: f64 = (1u128 << 126) as f64;

/// A decrypted polynomial that still has to be decoded.
pub struct Plaintext {
    /// Its coefficients, nearest to zero.
    pub(crate) coefficients: Vec<f64>,
    /// What they are multiplied by.
    pub(crate) scale: f64,
    /// Values in it.
    pub(crate) len: usize,
}

impl Context {
    /// Largest magnitude that values may have, and any weighted sum of values that is to be
    /// decrypted.
    ///
    /// A slot of magnitude `|z|` gives coefficients up to `|z| scale` (they are means over the
    /// slots), with two values a slot `sqrt(2) |v| scale`; half the modulus bounds them, with a
    /// thousandth left for noise, and so do the 128-bit integers that carry them before they become
    /// residues.
    pub fn capacity(&self) -> f64 {
        let modulus: f64 = self.moduli.iter().map(|m| m.q as f64).product();
        let slot = (modulus / 2.0 * (1.0 - 1e-3)).min(WIDEST) / self.params().scale();
        match self.params().packing() {
            Packing::Complex => slot / 2f64.sqrt(),
            Packing::Real => slot,
        }
    }

    /// The polynomial of up to [`ParameterSet::values`](super::ParameterSet::values) values, as
    /// residues, not transformed.
    ///
    /// # Errors
    /// A value that is not finite or beyond [`Context::capacity`], or too many values.
    pub(crate) fn encode(&self, values: &[f64]) -> Result<Poly, ProtocolError> {
        self.check_values(values)?;
        let half = self.degree() / 2;
        let (mut re, mut im) = (vec![0.0; half], vec![0.0; half]);
        let (first, second) = values.split_at(values.len().min(half));
        first.iter().enumerate().for_each(|(slot, v)| re[self.fft.leaf(slot)] = *v);
        second.iter().enumerate().for_each(|(slot, v)| im[self.fft.leaf(slot)] = *v);
        self.fft.interpolate(&mut re, &mut im, self.params().scale() / half as f64);
        re.append(&mut im);
        Ok(self.lift_float(&re))
    }

    fn check_values(&self, values: &[f64]) -> Result<(), ProtocolError> {
        let capacity = self.capacity();
        let problem = match values.iter().find(|v| v.is_nan() || v.abs() > capacity) {
            Some(v) => {
                format!(
                    "the value {v:e} is beyond the range of {} (at most {capacity:.3e})",
                    self.params()
                )
            }
            None if values.len() > self.params().values() => {
                format!("{} values do not fit one ciphertext of {}", values.len(), self.params())
            }
            None => return Ok(()),
        };
        Err(ProtocolError::Malformed { what: "plaintext".into(), problem })
    }

    /// The values of a plaintext.
    pub fn decode(&self, plain: &Plaintext) -> Vec<f64> {
        let half = self.degree() / 2;
        let (mut re, mut im) =
            (plain.coefficients[..half].to_vec(), plain.coefficients[half..].to_vec());
        self.fft.evaluate(&mut re, &mut im);
        let slot = |parts: &[f64], slot: usize| parts[self.fft.leaf(slot)] / plain.scale;
        let first = (0..half).map(|j| slot(&re, j));
        first.chain((0..half).map(|j| slot(&im, j))).take(plain.len).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ParameterSet;
    use super::*;
    use proptest::prelude::*;

    fn context(text: &str) -> std::sync::Arc<Context> {
        Context::new(&text.parse::<ParameterSet>().unwrap())
    }

    fn round_trip(context: &Context, values: &[f64]) -> Vec<f64> {
        let poly = context.encode(values).unwrap();
        let coefficients = context.compose(&poly);
        context.decode(&Plaintext {
            coefficients,
            scale: context.params().scale(),
            len: values.len(),
        })
    }

    /// Rounding moves each coefficient by at most 1/2, hence a slot by at most `N / (2 scale)`.
    #[test]
    fn decoding_undoes_encoding() {
        let wide = [
            "16384/60,60,60,60/110",
            "16384/60,60,60,60/126",
            "16384/60,60,60,60/127",
            "16384/60,60,60,60/170",
        ];
        for set in ["fedavg", "compact", "tenseal", "4096/30,30,30/50"].into_iter().chain(wide) {
            let context = context(set);
            let len = context.params().values();
            let range = context.capacity().min(1e3) * 0.9;
            for len in [1, len / 2 + 3, len] {
                let values: Vec<f64> = (0..len)
                    .map(|i| ((i * 7919) % 2003) as f64 / 1001.0 - 1.0)
                    .map(|v| v * range)
                    .collect();
                let bound =
                    context.degree() as f64 / 2.0 / context.params().scale() + range * 1e-14;
                let back = round_trip(&context, &values);
                assert_eq!(back.len(), len);
                let worst =
                    back.iter().zip(&values).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
                assert!(worst <= bound, "{set}: {worst:e} above {bound:e}");
            }
        }
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let context = context("compact");
        for bad in [f64::NAN, f64::INFINITY, -context.capacity() * 1.01] {
            assert!(
                context.encode(&[0.0, bad]).unwrap_err().to_string().contains("beyond the range")
            );
        }
        assert!(context.encode(&vec![0.0; 2049]).unwrap_err().to_string().contains("do not fit"));
        for wide in ["16384/60,60,60,60/126", "16384/60,60,60,60/127", "16384/60,60,60,60/170"] {
            let line = self::context(wide).encode(&[1.0]).unwrap_err().to_string();
            assert!(line.contains("beyond the range"), "{wide}: {line}");
        }
        let full = vec![context.capacity(); 2048];
        let back = round_trip(&context, &full);
        assert!(back.iter().all(|v| (v / context.capacity() - 1.0).abs() < 1e-9));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn encoding_is_additive(pairs in prop::collection::vec((-10.0..10.0, -10.0..10.0), 1..50)) {
            let context = context("compact");
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let mut sum = context.encode(&a).unwrap();
            context.add(&mut sum, &context.encode(&b).unwrap());
            let plain = Plaintext {
                coefficients: context.compose(&sum),
                scale: context.params().scale(),
                len: a.len(),
            };
            for ((got, a), b) in context.decode(&plain).iter().zip(&a).zip(&b) {
                prop_assert!((got - a - b).abs() < 1e-8);
            }
        }
    }
}
