//! What an attacker gets without the update: the rows that every reconstruction must beat to mean
//! anything.
//!
//! | name | guess | knows |
//! |---|---|---|
//! | `grey` | every pixel 0.5 | nothing |
//! | `noise` | uniform noise from the cell's own stream | nothing |
//! | `mean` | the mean image of the public pool | public data |
//! | `nearest` | the pool image nearest to the truth | public data **and the truth** |
//!
//! `nearest` is partly an oracle: nobody without the truth could choose that image. It bounds what
//! any attack that merely returns a public image could score, so an attack below it has not shown
//! that it read the update.

use crate::images::{GREY, clean};
use crate::pairing::distances;
use crate::{MetricError, Scores};
use rand::Rng;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

/// Names of the baselines, as in records.
pub const NAMES: [&str; 4] = ["grey", "mean", "nearest", "noise"];

/// Pool rows compared at a time, so that memory stays small for large pools.
const CHUNK: i64 = 1024;

/// Public images, such as (a part of) the training split when test images are attacked.
pub struct Pool {
    images: Tensor,
    ids: Vec<usize>,
    mean: Tensor,
}

impl Pool {
    /// `images` is `[M, C, H, W]` or `[M, F]` in `[0, 1]`, `ids` their example ids in the data set;
    /// an empty pool is allowed.
    ///
    /// # Errors
    /// [`MetricError`] for other shapes, or ids that are not as many as images.
    pub fn new(images: &Tensor, ids: Vec<usize>) -> Result<Self, MetricError> {
        let (images, _) = clean(images)?;
        let images = images.to_device(Device::Cpu);
        if images.size()[0] as usize != ids.len() {
            return Err(MetricError::Shape { guess: vec![ids.len() as i64], truth: images.size() });
        }
        let mean = if ids.is_empty() {
            images.new_full(
                [1, images.size()[1], images.size()[2], images.size()[3]],
                GREY,
                (Kind::Float, Device::Cpu),
            )
        } else {
            images.mean_dim([0_i64].as_slice(), true, Kind::Double).to_kind(Kind::Float)
        };
        Ok(Pool { images, ids, mean })
    }

    /// The mean image `[1, C, H, W]`; grey for an empty pool.
    pub fn mean(&self) -> &Tensor {
        &self.mean
    }

    /// For each truth the pool image with the least mean squared error, `[N, C, H, W]`. Where
    /// `victims` gives the truths' ids in the same split, a truth is never its own neighbour. Grey
    /// where the pool has no other image.
    ///
    /// # Errors
    /// [`MetricError::Shape`] for images of another size than the pool's.
    pub fn nearest(
        &self,
        truth: &Tensor,
        victims: Option<&[usize]>,
    ) -> Result<Tensor, MetricError> {
        let (truth, _) = clean(truth)?;
        if truth.size()[1..] != self.images.size()[1..] {
            return Err(MetricError::Shape { guess: self.images.size(), truth: truth.size() });
        }
        let rows: Vec<Tensor> = (0..truth.size()[0])
            .map(|i| {
                let victim = victims.and_then(|v| v.get(i as usize).copied());
                match self.nearest_to(&truth.narrow(0, i, 1), victim) {
                    Some(at) => self.images.narrow(0, at, 1).to_kind(Kind::Float),
                    None => truth
                        .narrow(0, i, 1)
                        .full_like(GREY)
                        .to_kind(Kind::Float)
                        .to_device(Device::Cpu),
                }
            })
            .collect();
        Ok(if rows.is_empty() { truth.to_kind(Kind::Float) } else { Tensor::cat(&rows, 0) })
    }

    fn nearest_to(&self, truth: &Tensor, victim: Option<usize>) -> Option<i64> {
        let mut best: Option<(f64, i64)> = None;
        let total = self.ids.len() as i64;
        for start in (0..total).step_by(CHUNK as usize) {
            let chunk = self.images.narrow(0, start, CHUNK.min(total - start));
            let errors =
                Vec::<f64>::try_from(distances(truth, &chunk).view(-1)).unwrap_or_default();
            for (error, at) in errors.into_iter().zip(start..) {
                let itself = victim == Some(self.ids[at as usize]);
                if !itself && best.is_none_or(|(least, _)| error < least) {
                    best = Some((error, at));
                }
            }
        }
        best.map(|(_, at)| at)
    }
}

/// Grey images of the shape of `like`.
pub fn grey(like: &Tensor) -> Tensor {
    Tensor::full(like.size(), GREY, (Kind::Float, Device::Cpu))
}

/// Uniform noise in `[0, 1)` of the shape of `like`, drawn from `rng` alone.
pub fn noise(like: &Tensor, rng: &mut impl Rng) -> Tensor {
    let values: Vec<f32> = (0..like.numel()).map(|_| rng.random()).collect();
    Tensor::from_slice(&values).view(like.size().as_slice())
}

/// Every baseline's guess for `truth` (`[N, C, H, W]` or `[N, F]`), by name, in the shape of
/// `truth`.
///
/// # Errors
/// As [`Pool::nearest`].
pub fn guesses(
    truth: &Tensor,
    pool: &Pool,
    victims: Option<&[usize]>,
    rng: &mut impl Rng,
) -> Result<BTreeMap<&'static str, Tensor>, MetricError> {
    let nearest = pool.nearest(truth, victims)?.reshape(truth.size());
    let copies: Vec<i64> = [truth.size()[0], 1, 1, 1].to_vec();
    let mean = pool.mean().repeat(copies).reshape(truth.size());
    Ok(BTreeMap::from([
        ("grey", grey(truth)),
        ("mean", mean),
        ("nearest", nearest),
        ("noise", noise(truth, rng)),
    ]))
}

/// Whether an attacker without the update (`grey`, `mean` or `noise`; not the oracle `nearest`)
/// came closer in mean squared error: then the reconstruction deserves the flag `worse-than-null`.
pub fn worse_than_null(scores: &Scores, baselines: &BTreeMap<String, Scores>) -> bool {
    let mse = |s: &Scores| s.get("mse").copied().flatten();
    let null =
        ["grey", "mean", "noise"].iter().filter_map(|name| baselines.get(*name).and_then(mse));
    match (mse(scores), null.reduce(f64::min)) {
        (Some(mine), Some(best)) => mine > best,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use suites::rng::stream;

    fn images(n: i64) -> Tensor {
        let t = Tensor::arange(n * 12, (Kind::Float, Device::Cpu)) * 1.3;
        (t.sin() * 0.5 + 0.5).view([n, 3, 2, 2])
    }

    #[test]
    fn nearest_is_never_the_victim_itself() {
        let all = images(6);
        let pool = Pool::new(&all, vec![10, 11, 12, 13, 14, 15]).unwrap();
        let truth = all.narrow(0, 2, 1);
        assert!(pool.nearest(&truth, None).unwrap().equal(&truth));
        let other = pool.nearest(&truth, Some(&[12])).unwrap();
        assert!(!other.equal(&truth));
        let errors = Vec::<f64>::try_from(distances(&truth, &all).view(-1)).unwrap();
        let best =
            (0..6).filter(|i| *i != 2).min_by(|a, b| errors[*a].total_cmp(&errors[*b])).unwrap();
        assert!(other.equal(&all.narrow(0, best as i64, 1)));
    }

    #[test]
    fn every_baseline_has_the_shape_of_the_truth() {
        for shape in [&[2, 3, 2, 2][..], &[2, 12]] {
            let truth = images(2).view(shape);
            let pool = Pool::new(&Tensor::cat(&[&truth, &truth], 0), vec![0, 1, 2, 3]).unwrap();
            let all = guesses(&truth, &pool, None, &mut stream(1, "cell", "noise")).unwrap();
            assert_eq!(all.keys().copied().collect::<Vec<_>>(), NAMES);
            assert!(all.values().all(|g| g.size() == truth.size()));
        }
    }

    #[test]
    fn noise_follows_its_stream() {
        let draw = |seed| noise(&images(2), &mut stream(seed, "cell", "noise"));
        assert!(draw(1).equal(&draw(1)) && !draw(1).equal(&draw(2)));
    }

    #[test]
    fn an_empty_pool_is_grey() {
        let pool = Pool::new(&images(0), Vec::new()).unwrap();
        let truth = images(2);
        assert!(pool.nearest(&truth, None).unwrap().equal(&grey(&truth)));
        assert!(pool.mean().equal(&grey(pool.mean())));
    }

    #[test]
    fn only_attackers_without_the_truth_shame_a_reconstruction() {
        let score = |v| Scores::from([("mse".to_string(), Some(v))]);
        let null = BTreeMap::from([
            ("grey".to_string(), score(0.1)),
            ("nearest".to_string(), score(0.01)),
        ]);
        assert!(worse_than_null(&score(0.2), &null));
        assert!(!worse_than_null(&score(0.05), &null));
        assert!(!worse_than_null(&Scores::new(), &null));
    }
}
