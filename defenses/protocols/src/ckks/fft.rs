//! The transform between coefficients and slots: values of a real polynomial at the primitive roots
//! of unity.
//!
//! A real polynomial `m` of degree below `N` at `zeta^(5^j)`, `zeta = exp(pi i / N)`: since
//! `X^(N/2) = i` at every such root, it is `sum_k (m_k + i m_(k+N/2)) X^k` over `k < N/2`, an
//! element of `C[X]/(X^(N/2) - i)`. That ring is split by `X^(2m) - w^2 = (X^m - w)(X^m + w)` down
//! to the roots (Cheon et al. 2017, canonical embedding).

use std::f64::consts::PI;

use libm::{cos, sin};
use pulp::{Arch, Simd, WithSimd};

/// Tables for one degree.
pub(crate) struct Fft {
    /// `w` of each inner node of the splitting tree, in heap order from 1.
    twiddle_re: Vec<f64>,
    twiddle_im: Vec<f64>,
    /// Leaf of slot `j`, i.e. of the root `zeta^(5^j)`.
    leaf: Vec<u32>,
    arch: Arch,
}

impl Fft {
    /// For polynomials of `degree` coefficients, a power of two.
    pub(crate) fn new(degree: usize) -> Fft {
        let half = degree / 2;
        // Exponent of zeta that X^m equals at each node.
        let mut exponent = vec![half; 2 * half];
        for k in 1..half {
            exponent[2 * k] = exponent[k] / 2;
            exponent[2 * k + 1] = exponent[k] / 2 + degree;
        }
        let angle = |e: usize| PI * (e / 2) as f64 / degree as f64;
        let mut leaf_of = vec![0; 2 * degree];
        for (leaf, e) in exponent[half..].iter().enumerate() {
            leaf_of[e % (2 * degree)] = leaf as u32;
        }
        let orbit = std::iter::successors(Some(1), |power| Some(power * 5 % (2 * degree)));
        Fft {
            twiddle_re: exponent[..half].iter().map(|&e| cos(angle(e))).collect(),
            twiddle_im: exponent[..half].iter().map(|&e| sin(angle(e))).collect(),
            leaf: orbit.take(half).map(|power: usize| leaf_of[power]).collect(),
            arch: Arch::new(),
        }
    }

    /// Coefficients (first half `re`, second half `im`) to leaf values, in place; read slot `j` at
    /// `self.leaf(j)`.
    pub(crate) fn evaluate(&self, re: &mut [f64], im: &mut [f64]) {
        self.arch.dispatch(Evaluate(self, re, im));
    }

    /// The inverse of [`Fft::evaluate`] times `N/2`, then times `factor` and rounded to integers.
    pub(crate) fn interpolate(&self, re: &mut [f64], im: &mut [f64], factor: f64) {
        self.arch.dispatch(Interpolate(self, re, im, factor));
    }

    /// Runs `step` on each node of one level.
    #[inline(always)]
    fn level(
        &self,
        nodes: usize,
        re: &mut [f64],
        im: &mut [f64],
        step: impl Fn(f64, f64, [&mut [f64]; 4]),
    ) {
        let size = re.len() / nodes;
        for (k, (re, im)) in re.chunks_exact_mut(size).zip(im.chunks_exact_mut(size)).enumerate() {
            let (ur, vr) = re.split_at_mut(size / 2);
            let (ui, vi) = im.split_at_mut(size / 2);
            step(self.twiddle_re[nodes + k], self.twiddle_im[nodes + k], [ur, ui, vr, vi]);
        }
    }

    /// Where slot `j` lies among the leaves.
    pub(crate) fn leaf(&self, slot: usize) -> usize {
        self.leaf[slot] as usize
    }
}

/// All levels downwards; a type rather than a closure, so that it is compiled for the processor
/// found at run time.
struct Evaluate<'a>(&'a Fft, &'a mut [f64], &'a mut [f64]);

impl WithSimd for Evaluate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Evaluate(fft, re, im) = self;
        let mut nodes = 1;
        while nodes < re.len() {
            fft.level(nodes, re, im, split);
            nodes *= 2;
        }
    }
}

/// All levels upwards.
struct Interpolate<'a>(&'a Fft, &'a mut [f64], &'a mut [f64], f64);

impl WithSimd for Interpolate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let Interpolate(fft, re, im, factor) = self;
        let mut nodes = re.len() / 2;
        while nodes > 0 {
            fft.level(nodes, re, im, join);
            nodes /= 2;
        }
        for half in [re, im] {
            half.iter_mut().for_each(|c| *c = (*c * factor).round_ties_even());
        }
    }
}

/// `(u, v) -> (u + w v, u - w v)`
#[inline(always)]
fn split(wr: f64, wi: f64, [ur, ui, vr, vi]: [&mut [f64]; 4]) {
    for (((ur, ui), vr), vi) in ur.iter_mut().zip(ui).zip(vr).zip(vi) {
        let (tr, ti) = (*vr * wr - *vi * wi, *vr * wi + *vi * wr);
        (*vr, *vi) = (*ur - tr, *ui - ti);
        (*ur, *ui) = (*ur + tr, *ui + ti);
    }
}

/// `(a, b) -> (a + b, (a - b) / w)`
#[inline(always)]
fn join(wr: f64, wi: f64, [ur, ui, vr, vi]: [&mut [f64]; 4]) {
    for (((ur, ui), vr), vi) in ur.iter_mut().zip(ui).zip(vr).zip(vi) {
        let (dr, di) = (*ur - *vr, *ui - *vi);
        (*ur, *ui) = (*ur + *vr, *ui + *vi);
        (*vr, *vi) = (dr * wr + di * wi, di * wr - dr * wi);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the definition: sum_k m_k zeta^(5^j k).
    #[test]
    fn slots_are_values_at_the_orbit_of_five() {
        let degree = 64;
        let coefficients: Vec<f64> =
            (0..degree).map(|k| ((k * 37 + 11) % 17) as f64 - 8.0).collect();
        let (mut re, mut im) = (coefficients[..32].to_vec(), coefficients[32..].to_vec());
        let fft = Fft::new(degree);
        fft.evaluate(&mut re, &mut im);
        let mut power = 1;
        for slot in 0..degree / 2 {
            let angle = |k: usize| PI * ((power * k) % (2 * degree)) as f64 / degree as f64;
            let sum = |f: fn(f64) -> f64| -> f64 {
                (0..degree).map(|k| coefficients[k] * f(angle(k))).sum()
            };
            assert!((re[fft.leaf(slot)] - sum(f64::cos)).abs() < 1e-11);
            assert!((im[fft.leaf(slot)] - sum(f64::sin)).abs() < 1e-11);
            power = power * 5 % (2 * degree);
        }
        fft.interpolate(&mut re, &mut im, 1.0 / 32.0);
        assert!(re.iter().chain(&im).eq(&coefficients));
    }
}
