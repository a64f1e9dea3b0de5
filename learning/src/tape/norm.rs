//! Layers with one factor a channel: normalisation by the batch's statistics, by running ones, by
//! each example's own; PReLU.

use tch::Tensor;

use super::{BatchStat, Mode, Source, Tap, TapKind, Tape, images, unfold_lanes};
use crate::params::InitRule;

/// BatchNorm's and GroupNorm's epsilon, as PyTorch's default.
const BN_EPS: f64 = 1e-5;

impl Tape<'_> {
    /// BatchNorm over `[T, B, C, H, W]`, statistics per lane (Ioffe and Szegedy 2015).
    pub fn batch_norm(&mut self, name: &str, x: &Tensor) -> Tensor {
        self.batch_norm_eps(name, x, BN_EPS)
    }

    /// [`Tape::batch_norm`] with `eps` added to the variance.
    pub(crate) fn batch_norm_eps(&mut self, name: &str, x: &Tensor, eps: f64) -> Tensor {
        let c = x.size()[2];
        let (wi, gamma) = self.param(format!("{name}.weight"), &[c], InitRule::Constant(1.0), true);
        let (bi, beta) = self.param(format!("{name}.bias"), &[c], InitRule::Constant(0.0), true);
        let (mi, mean) =
            self.param(format!("{name}.running_mean"), &[c], InitRule::Constant(0.0), false);
        let (_, var) =
            self.param(format!("{name}.running_var"), &[c], InitRule::Constant(1.0), false);
        if self.on_leaves() {
            return self.fused_batch_norm(x, [&gamma, &beta], [&mean, &var], mi, eps);
        }
        let (input, output, fixed) = match self.mode {
            Mode::Train => {
                let hat = self.normalise(x, mi, eps);
                let output = per_channel(&beta).addcmul(&hat, &per_channel(&gamma));
                (hat, output, None)
            }
            Mode::Eval => {
                // hat = scale * x + shift is needed only in its sums over a channel: never formed.
                let scale = (var + eps).rsqrt();
                let shift = -mean * &scale;
                let offset = per_channel(&(&beta + &gamma * &shift));
                (
                    x.shallow_clone(),
                    offset.addcmul(x, &per_channel(&(&gamma * &scale))),
                    Some([scale, shift]),
                )
            }
        };
        self.keep(Tap {
            kind: TapKind::Scale,
            weight: wi,
            bias: Some(bi),
            input,
            output,
            kernels: Vec::new(),
            fixed,
            conv: None,
        })
    }

    /// GroupNorm over `[T, B, C, H, W]` (Wu and He 2018): each example by its own mean and variance
    /// in each of `groups` groups of channels, so that no example's gradient depends on another.
    /// `groups` divides `C`.
    pub fn group_norm(&mut self, name: &str, x: &Tensor, groups: i64) -> Tensor {
        self.group_norm_eps(name, x, groups, BN_EPS)
    }

    /// [`Tape::group_norm`] with `eps` added to the variance.
    pub(crate) fn group_norm_eps(
        &mut self,
        name: &str,
        x: &Tensor,
        groups: i64,
        eps: f64,
    ) -> Tensor {
        let c = x.size()[2];
        let (wi, gamma) = self.param(format!("{name}.weight"), &[c], InitRule::Constant(1.0), true);
        let (bi, beta) = self.param(format!("{name}.bias"), &[c], InitRule::Constant(0.0), true);
        if self.on_leaves() {
            return by_lane(x, |t, x| {
                x.group_norm(groups, Some(gamma.get(t)), Some(beta.get(t)), eps, false)
            });
        }
        let hat = images(x).group_norm(groups, None::<Tensor>, None, eps, false);
        let hat = unfold_lanes(&hat, x.size()[0]);
        let output = per_channel(&beta).addcmul(&hat, &per_channel(&gamma));
        self.keep(Tap {
            kind: TapKind::Scale,
            weight: wi,
            bias: Some(bi),
            input: hat,
            output,
            kernels: Vec::new(),
            fixed: None,
            conv: None,
        })
    }

    /// PReLU over `[T, B, C, H, W]` with one slope a channel, 0.25 before training (He et al.
    /// 2015).
    pub fn prelu(&mut self, name: &str, x: &Tensor) -> Tensor {
        let c = x.size()[2];
        let (wi, slope) =
            self.param(format!("{name}.weight"), &[c], InitRule::Constant(0.25), true);
        if (self.record.is_none() || self.on_leaves()) && slope.size()[0] == 1 {
            return unfold_lanes(&images(x).prelu(&slope.squeeze_dim(0)), x.size()[0]);
        }
        let negative = self.kinks.either(
            || x.le(0.0).to_kind(x.kind()),
            || x.clamp_max(0.0),
            |below| x * below,
        );
        let output = self.kinks.relu(x).addcmul(&negative, &per_channel(&slope));
        self.keep(Tap {
            kind: TapKind::Scale,
            weight: wi,
            bias: None,
            input: negative,
            output,
            kernels: Vec::new(),
            fixed: None,
            conv: None,
        })
    }

    /// torch's own BatchNorm, lane by lane; all but `x` `[T or 1, C]`.
    fn fused_batch_norm(
        &mut self,
        x: &Tensor,
        [gamma, beta]: [&Tensor; 2],
        [mean, var]: [&Tensor; 2],
        running_mean: usize,
        eps: f64,
    ) -> Tensor {
        let train = self.mode == Mode::Train;
        if train {
            let size = x.size();
            refuse_single_values(size[1] * size[3] * size[4]);
        }
        // With momentum 1 the running statistics become the batch's own, the variance unbiased.
        let own = [mean, var].map(|s| if train { s.zeros_like() } else { s.shallow_clone() });
        let out = by_lane(x, |t, x| {
            let [mean, var] = own.each_ref().map(|s| s.get(t.min(s.size()[0] - 1)));
            x.batch_norm(
                Some(gamma.get(t)),
                Some(beta.get(t)),
                Some(mean),
                Some(var),
                train,
                1.0,
                eps,
                true,
            )
        });
        if train {
            let [mean, var] = own;
            self.stats.push(BatchStat { running_mean, mean, var });
        }
        out
    }

    /// Normalises by the batch's own statistics and notes them for the running averages.
    fn normalise(&mut self, x: &Tensor, running_mean: usize, eps: f64) -> Tensor {
        let size = x.size();
        let n = size[1] * size[3] * size[4];
        refuse_single_values(n);
        let mean = x.mean_dim(&[1i64, 3, 4][..], true, None);
        let centred = x - &mean;
        let var = centred.square().mean_dim(&[1i64, 3, 4][..], true, None);
        if matches!(self.source, Source::Run(_)) {
            let unbiased = &var * (n as f64 / (n - 1).max(1) as f64);
            let flat = |t: &Tensor| t.reshape([size[0], size[2]]);
            self.stats.push(BatchStat { running_mean, mean: flat(&mean), var: flat(&unbiased) });
        }
        centred * (var + eps).rsqrt()
    }
}

/// `[T or 1, C]` to `[T or 1, 1, C, 1, 1]`.
fn per_channel(t: &Tensor) -> Tensor {
    let size = t.size();
    t.reshape([size[0], 1, size[1], 1, 1])
}

/// `f` of each lane's images `[B, C, H, W]`.
fn by_lane(x: &Tensor, f: impl Fn(i64, &Tensor) -> Tensor) -> Tensor {
    let lanes = x.size()[0];
    if lanes == 1 {
        return f(0, &x.squeeze_dim(0)).unsqueeze(0);
    }
    let outputs: Vec<Tensor> =
        x.unbind(0).iter().enumerate().map(|(t, x)| f(t as i64, x)).collect();
    unfold_lanes(&Tensor::cat(&outputs, 0), lanes)
}

/// PyTorch refuses this too: every value would be its own mean, and nothing behind the layer would
/// depend on the image.
fn refuse_single_values(n: i64) {
    assert!(
        n > 1,
        "BatchNorm in train mode needs more than one value a channel; use batch_norm = \"eval\", \
         a larger batch or larger images"
    );
}
