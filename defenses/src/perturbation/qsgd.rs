//! `qsgd`: values rounded at random to a few levels of their bucket's norm, right on average.

use std::collections::BTreeMap;

use learning::effect::BucketNorm;
use learning::{Effect, Params, noise};
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use suites::Entry;
use tch::{Kind, Tensor};

use super::{finite, on_trainable, range, relative_error};
use crate::{Defense, DefenseError, Deployment, Released, Turn};

/// Registry entry.
pub static ENTRY: Entry<dyn Defense> = Entry {
    name: "qsgd",
    summary: "round each value at random to one of `2^(bits-1)` magnitudes of its bucket's norm, \
        unbiased",
    reference: "Alistarh, Grubic, Li, Tomioka, Vojnovic: QSGD, NeurIPS 2017",
    build: |map| {
        let setting: Qsgd = suites::params("qsgd", map)?;
        range("qsgd", "bits", setting.bits, (2..=16).contains(&setting.bits), "write 2 to 16")?;
        let good = setting.bucket == 0 || setting.bucket >= 2;
        range(
            "qsgd",
            "bucket",
            setting.bucket,
            good,
            "write 0 for whole tensors, or at least 2, e.g. 512",
        )?;
        Ok(Box::new(setting))
    },
};

/// Which norm a bucket is scaled by.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Euclidean, as analysed in the paper.
    L2,
    /// Largest magnitude, as in the paper's experiments: less variance, values less sparse.
    Max,
}

/// Parameters.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Qsgd {
    /// Bits of a value with its sign, 2 to 16: `s = 2^(bits-1) - 1` levels beside zero.
    pub bits: u32,
    /// Consecutive values of a tensor that share a norm; 0 for the whole tensor.
    pub bucket: i64,
    /// Norm of a bucket.
    pub scale: Scale,
}

impl Default for Qsgd {
    /// The paper's 4-bit QSGD with buckets of 512.
    fn default() -> Qsgd {
        Qsgd { bits: 4, bucket: 512, scale: Scale::L2 }
    }
}

impl Qsgd {
    fn levels(&self) -> f64 {
        f64::from((1u32 << (self.bits - 1)) - 1)
    }

    /// Q(v_i) = ||v|| sgn(v_i) l/s with l the level below or above `s |v_i| / ||v||`, above with
    /// the fraction's probability.
    fn rounded(&self, t: &Tensor, rngs: &mut [ChaCha12Rng]) -> Tensor {
        let rows = t.flatten(1, -1);
        let n = rows.size()[1];
        let bucket = if self.bucket == 0 { n } else { self.bucket.min(n) };
        let padded = (n + bucket - 1) / bucket * bucket;
        let buckets = rows.constant_pad_nd([0, padded - n]).reshape([rows.size()[0], -1, bucket]);
        let norm = match self.scale {
            Scale::L2 => buckets.square().sum_dim_intlist(2, true, None).sqrt(),
            Scale::Max => buckets.abs().amax(2, true),
        };
        let place = buckets.abs() / norm.clamp_min(1e-30) * self.levels();
        // The largest value is its own level: rounding of the norm must not lift it above.
        let level = (place + draws(&buckets, rngs)).floor().clamp_max(self.levels());
        let out = buckets.sign() * norm * level / self.levels();
        out.reshape([-1, padded]).narrow(1, 0, n).reshape(t.size())
    }
}

/// Uniform on `[0, 1)`, each client from its own stream.
fn draws(like: &Tensor, rngs: &mut [ChaCha12Rng]) -> Tensor {
    let rows: Vec<Tensor> =
        rngs.iter_mut().map(|rng| noise::uniform(rng, &like.size()[1..], 0.0, 1.0)).collect();
    Tensor::stack(&rows, 0).to_device(like.device()).to_kind(like.kind())
}

impl Defense for Qsgd {
    fn release(&self, update: Params, turn: &mut Turn) -> Result<Released, DefenseError> {
        finite(&update)?;
        let out = on_trainable(&update, |t| self.rounded(t, turn.rngs));
        let values = BTreeMap::from([
            ("kept_share".to_string(), super::kept_share(&out)),
            ("relative_error".to_string(), relative_error(&out, &update)),
        ]);
        Ok(Released { update: out.map(|t| t.to_kind(Kind::Float)), values, grid: None })
    }

    fn effects(&self, _deployment: &Deployment) -> Result<Vec<Effect>, DefenseError> {
        let norm = match self.scale {
            Scale::L2 => BucketNorm::L2,
            Scale::Max => BucketNorm::Max,
        };
        Ok(vec![Effect::RandomRounding { levels: self.levels(), bucket: self.bucket, norm }])
    }

    /// A fixed width of `bits`, and a 32-bit norm a bucket (none worth counting for a whole
    /// tensor). The paper's Elias code is shorter where most values round to zero.
    fn bits_per_value(&self) -> Option<f64> {
        let norm = if self.bucket == 0 { 0.0 } else { 32.0 / self.bucket as f64 };
        Some(f64::from(self.bits) + norm)
    }

    fn adaptive(&self) -> Option<&'static str> {
        Some(super::ADAPTIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::perturbation::testing::{bad, values};
    use crate::testing::streams;

    fn tensor(v: &[f32]) -> Tensor {
        Tensor::from_slice(v).reshape([1, -1])
    }

    /// (3, 4) has norm 5; with s = 1 each value is 0 or 5, being 5 with probability 3/5 and 4/5.
    #[test]
    fn values_round_to_levels_of_the_norm() {
        let qsgd = Qsgd { bits: 2, bucket: 0, scale: Scale::L2 };
        let mut rngs = streams(1);
        let mut up = [0u32; 2];
        for _ in 0..2000 {
            let out = values(&qsgd.rounded(&tensor(&[-3.0, 4.0]), &mut rngs));
            assert!(
                (out[0] == 0.0 || out[0] == -5.0) && (out[1] == 0.0 || out[1] == 5.0),
                "{out:?}"
            );
            up[0] += u32::from(out[0] != 0.0);
            up[1] += u32::from(out[1] != 0.0);
        }
        assert!(
            (f64::from(up[0]) / 2000.0 - 0.6).abs() < 0.035
                && (f64::from(up[1]) / 2000.0 - 0.8).abs() < 0.03
        );
    }

    #[test]
    fn the_mean_over_many_draws_is_the_update() {
        let update = Tensor::randn([1, 700], (Kind::Float, tch::Device::Cpu));
        for scale in [Scale::L2, Scale::Max] {
            let qsgd = Qsgd { bits: 3, bucket: 64, scale };
            let mut rngs = streams(1);
            let mut sum = update.zeros_like();
            for _ in 0..400 {
                sum += qsgd.rounded(&update, &mut rngs);
            }
            let error = (sum / 400.0 - &update).square().mean(None).sqrt().double_value(&[]);
            let single = (qsgd.rounded(&update, &mut rngs) - &update)
                .square()
                .mean(None)
                .sqrt()
                .double_value(&[]);
            assert!(
                error < 1.3 * single / 20.0,
                "{error} against {single}: it shrinks as 1/sqrt(draws)"
            );
        }
    }

    #[test]
    fn buckets_have_norms_of_their_own_and_a_short_last_one() {
        let qsgd = Qsgd { bits: 2, bucket: 2, scale: Scale::Max };
        // Every value is the largest of its bucket, so it is kept exactly; zeros stay zero.
        let v = [5f32, 5.0, -0.25, 0.25, 0.0, 0.0, 7.0];
        assert_eq!(values(&qsgd.rounded(&tensor(&v), &mut streams(1))), v.map(f64::from));
    }

    #[test]
    fn clients_side_by_side_are_clients_alone() {
        let update = Tensor::randn([3, 4, 50], (Kind::Float, tch::Device::Cpu));
        let qsgd = Qsgd::default();
        let both = qsgd.rounded(&update, &mut streams(3));
        for t in 0..3 {
            let alone =
                qsgd.rounded(&update.narrow(0, t, 1), &mut streams(3)[t as usize..=t as usize]);
            assert_eq!(both.get(t), alone.get(0));
        }
    }

    #[test]
    fn bits_on_the_wire_count_sign_level_and_norm() {
        assert_eq!(Qsgd::default().bits_per_value(), Some(4.0 + 32.0 / 512.0));
        assert_eq!(Qsgd { bits: 8, bucket: 0, scale: Scale::L2 }.bits_per_value(), Some(8.0));
        bad(&ENTRY, "bits", 1.0);
        bad(&ENTRY, "bits", 17.0);
        bad(&ENTRY, "bucket", 1.0);
    }
}
