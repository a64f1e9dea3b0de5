//! What an attacker gets without the update: the rows that every reconstruction must beat to mean
//! anything.
//!
//! | name | guess | knows |
//! |---|---|---|
//! | `grey` | every pixel 0.5 | nothing |
//! | `noise` | uniform noise from the cell's own stream | nothing |
//! | `mean` | the mean image of the public pool | public data |
//! | `class-mean` | the mean public image of the truth's class | public data and the label |
//! | `public` | as many random public images as the batch has | public data |
//! | `other` | the attack's own result on another capture | another client's update |
//! | `nearest` | the pool image nearest to the truth | public data **and the truth** |
//!
//! Batches of `public` and `other` are assigned to the truths as reconstructions are. `nearest` is
//! an oracle: nobody without the truth could choose that image. It is a reference line; the floor
//! that a reconstruction must beat is the best of the others.

use crate::images::{GREY, clean};
use crate::pairing::distances;
use crate::{MetricError, Scores};
use rand::Rng;
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

/// Names of the baselines, as in records.
pub const NAMES: [&str; 7] = ["class-mean", "grey", "mean", "nearest", "noise", "other", "public"];

/// The baseline that sees the truth.
pub const ORACLE: &str = record::validity::ORACLES[0];

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
            mean_image(&images)
        };
        Ok(Pool { images, ids, mean })
    }

    /// The mean image `[1, C, H, W]`; grey for an empty pool.
    pub fn mean(&self) -> &Tensor {
        &self.mean
    }

    /// Random images of the pool, `[count, C, H, W]`, each once as long as there are enough; grey
    /// for an empty pool.
    pub fn draw(&self, count: usize, rng: &mut impl Rng) -> Tensor {
        let total = self.ids.len();
        if total == 0 {
            return self.mean.repeat([count as i64, 1, 1, 1]);
        }
        let mut drawn = Vec::with_capacity(count);
        while drawn.len() < count {
            let wanted = (count - drawn.len()).min(total);
            drawn.extend(rand::seq::index::sample(rng, total, wanted).iter().map(|i| i as i64));
        }
        self.images.index_select(0, &Tensor::from_slice(&drawn)).to_kind(Kind::Float)
    }

    /// The mean image of each label's class, `[N, C, H, W]`, where `of_pool` labels the pool's
    /// images; of all images where the pool has none of the class.
    pub fn class_means(&self, labels: &[i64], of_pool: &[i64]) -> Tensor {
        let of_class = |label: &i64| {
            let own: Vec<i64> =
                (0..of_pool.len() as i64).filter(|i| of_pool[*i as usize] == *label).collect();
            if own.is_empty() {
                self.mean.shallow_clone()
            } else {
                mean_image(&self.images.index_select(0, &Tensor::from_slice(&own)))
            }
        };
        let classes: BTreeMap<i64, Tensor> = labels.iter().map(|l| (*l, of_class(l))).collect();
        Tensor::cat(&labels.iter().map(|l| classes[l].shallow_clone()).collect::<Vec<_>>(), 0)
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

/// The mean of `[N, C, H, W]` as `[1, C, H, W]`.
fn mean_image(images: &Tensor) -> Tensor {
    images.mean_dim([0_i64].as_slice(), true, Kind::Double).to_kind(Kind::Float)
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

/// The guesses of the baselines that need neither labels nor an attack, for `truth` (`[N, C, H, W]`
/// or `[N, F]`), by name, in the shape of `truth`.
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

/// Whether an attacker without the update (any baseline but the [`ORACLE`]) came closer in mean
/// squared error: then the reconstruction deserves the flag `worse-than-null`.
pub fn worse_than_null(scores: &Scores, baselines: &BTreeMap<String, Scores>) -> bool {
    let mse = |s: &Scores| s.get("mse").copied().flatten();
    let null = baselines.iter().filter(|(name, _)| *name != ORACLE).filter_map(|(_, own)| mse(own));
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
            assert!(all.keys().all(|name| NAMES.contains(name)) && all.len() == 4);
            assert!(all.values().all(|g| g.size() == truth.size()));
        }
    }

    #[test]
    fn a_class_has_its_own_mean_and_an_unknown_one_that_of_all() {
        let all = images(4);
        let pool = Pool::new(&all, vec![0, 1, 2, 3]).unwrap();
        let means = pool.class_means(&[1, 7], &[0, 1, 1, 0]);
        let own = (all.get(1) + all.get(2)) / 2.0;
        assert!((means.get(0) - own).abs().max().double_value(&[]) < 1e-6);
        assert!(means.get(1).equal(&pool.mean().get(0)));
    }

    #[test]
    fn random_public_images_are_different_ones() {
        let pool = Pool::new(&images(5), vec![0, 1, 2, 3, 4]).unwrap();
        let draw = |n, seed| pool.draw(n, &mut stream(seed, "cell", "public"));
        let five = draw(5, 0);
        let sums = Vec::<f64>::try_from(five.flatten(1, -1).sum_dim_intlist(
            [1i64].as_slice(),
            false,
            Kind::Double,
        ));
        let mut sums = sums.unwrap();
        sums.sort_by(f64::total_cmp);
        sums.dedup();
        assert_eq!((sums.len(), draw(12, 0).size()[0]), (5, 12));
        assert!(draw(5, 0).equal(&five) && !draw(5, 1).equal(&five));
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
