//! An image of which some pixels are known.

use tch::{Device, Kind, Tensor};

/// What pulls a filled pixel to the mean of the known ones, beside each neighbour's 1.
const PULL: f64 = 0.02;

/// Sweeps of the filling.
const SWEEPS: usize = 100;

/// An image of `channels` planes of `height` rows of `width` values, 0 to 255 where they are
/// pixels.
#[derive(Clone, Debug)]
pub struct Partial {
    /// 1 or 3.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Plane after plane, row after row.
    pub values: Vec<f64>,
    /// Which places of a plane are known, the same in every plane.
    pub known: Vec<bool>,
}

impl Partial {
    /// From pixels `[C, H, W]` in `[0, 1]`, all known; `None` where they are no such image or hold
    /// NaN.
    pub fn from_pixels(pixels: &Tensor) -> Option<Partial> {
        let [channels @ (1 | 3), height, width] = pixels.size()[..] else { return None };
        let flat = pixels.to_kind(Kind::Double).to_device(Device::Cpu).reshape([-1]) * 255.0;
        let values = Vec::<f64>::try_from(flat).ok().filter(|v| v.iter().all(|v| v.is_finite()))?;
        let [channels, height, width] = [channels, height, width].map(|n| n as usize);
        let known = vec![true; height * width];
        Some(Partial { channels, height, width, values, known })
    }

    /// Pixels `[C, H, W]` in `[0, 1]`, f32.
    pub fn to_pixels(&self) -> Tensor {
        let size = [self.channels, self.height, self.width].map(|n| n as i64);
        (Tensor::from_slice(&self.values).reshape(size) / 255.0)
            .clamp(0.0, 1.0)
            .to_kind(Kind::Float)
    }

    /// Values of one plane.
    pub fn plane(&self) -> usize {
        self.height * self.width
    }

    /// The same with each value mapped from its place in the plane and itself.
    pub fn map(&self, f: impl Fn(usize, f64) -> f64) -> Partial {
        let n = self.plane();
        let values = self.values.iter().enumerate().map(|(i, &v)| f(i % n, v)).collect();
        Partial { values, known: self.known.clone(), ..*self }
    }

    /// Brightness of each place, ITU-R 601.
    pub fn grey(&self) -> Vec<f64> {
        let n = self.plane();
        match self.channels {
            3 => (0..n)
                .map(|i| {
                    let [r, g, b] = [0, n, 2 * n].map(|from| self.values[from + i]);
                    (19595.0 * r + 38470.0 * g + 7471.0 * b) / 65536.0
                })
                .collect(),
            _ => self.values.clone(),
        }
    }

    /// Mean of the known values of a plane; of none 128.
    pub fn mean(&self, plane: &[f64]) -> f64 {
        let known = || plane.iter().zip(&self.known).filter(|(_, known)| **known);
        match known().count() {
            0 => 128.0,
            n => known().map(|(v, _)| v).sum::<f64>() / n as f64,
        }
    }

    /// Share of the places that is not known.
    pub fn missing(&self) -> f64 {
        self.known.iter().filter(|known| !**known).count() as f64 / self.known.len().max(1) as f64
    }

    /// Up to four places beside one.
    pub fn beside(&self, i: usize) -> impl Iterator<Item = usize> {
        let (x, y, w, h) = (i % self.width, i / self.width, self.width, self.height);
        let all = [
            (x > 0).then(|| i - 1),
            (x + 1 < w).then_some(i + 1),
            (y > 0).then(|| i - w),
            (y + 1 < h).then_some(i + w),
        ];
        all.into_iter().flatten()
    }

    /// Values within 0 to 255, unknown ones the mean of their neighbours, drawn a little to that of
    /// all known ones: a membrane spanned over the gap.
    pub fn filled(&self) -> Partial {
        let mut out = self.map(|_, v| v.clamp(0.0, 255.0));
        let gaps: Vec<usize> = (0..self.plane()).filter(|&i| !self.known[i]).collect();
        for c in 0..self.channels {
            let from = c * self.plane();
            let mean = self.mean(&out.values[from..from + self.plane()]);
            gaps.iter().for_each(|&i| out.values[from + i] = mean);
            for _ in 0..SWEEPS {
                for &i in &gaps {
                    let (sum, n) = self
                        .beside(i)
                        .fold((0.0, 0.0), |(s, n), j| (s + out.values[from + j], n + 1.0));
                    out.values[from + i] = (sum + PULL * mean) / (n + PULL);
                }
            }
        }
        out
    }

    /// Mean absolute difference of known neighbours over the standard deviation of the known
    /// values, and that deviation: neither knows the image's scale, or nothing else.
    pub fn roughness(&self) -> (f64, f64) {
        let n = self.plane();
        let (mut steps, mut pairs, mut spread, mut count) = (0.0, 0.0, 0.0, 0.0);
        for c in 0..self.channels {
            let plane = &self.values[c * n..(c + 1) * n];
            let mean = self.mean(plane);
            for i in (0..n).filter(|&i| self.known[i]) {
                (spread, count) = (spread + (plane[i] - mean).powi(2), count + 1.0);
                for j in self.beside(i).filter(|&j| j > i && self.known[j]) {
                    (steps, pairs) = (steps + (plane[i] - plane[j]).abs(), pairs + 1.0);
                }
            }
        }
        let deviation = (spread / f64::max(count, 1.0)).sqrt().max(1e-6);
        (steps / f64::max(pairs, 1.0) / deviation, deviation)
    }
}
