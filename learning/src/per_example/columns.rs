//! A convolution's per-example weight gradients through its unfolded input.
//!
//! With `D_i` `[out, L]` the loss gradient at the `L` output positions of example i and `U_i` `[L,
//! k*k*in]` the patches under the kernel, dW_i = D_i U_i. Either that is formed, for a few examples
//! at a time so that the patches stay in the processor's cache, or (few positions, large kernel)
//! its norm comes from two Gram matrices: ||dW_i||^2 = sum((D_i^T D_i) * (U_i U_i^T)).

use tch::{Device, Kind, Tensor};

use super::layer::erase;
use crate::tape::Conv;

/// Bytes of unfolded input that are held at once.
const PATCH_BYTES: i64 = 1 << 20;
/// Bytes of formed gradients of one layer up to which they are kept from the norms to the sum
/// instead of formed again.
const KEPT_BYTES: i64 = 256 << 20;
/// Gram matrices take sums of positive and negative terms where forming dW_i does not: they have to
/// be that much cheaper.
const GRAM_MARGIN: i64 = 4;

/// Input and output gradient of one convolution.
pub(super) struct Unfolded {
    conv: Conv,
    /// `[T, B, in, H, W]`.
    input: Tensor,
    /// `[T, B, out, L]`.
    delta: Tensor,
    /// dW_i, `[T, B, out*k*k*in]`, where they were formed and fit.
    kept: Option<Tensor>,
}

impl Unfolded {
    /// From the input `[T, B, in, H, W]` and the loss gradient at the output `[T, B, out, H', W']`.
    pub(super) fn new(conv: Conv, input: Tensor, delta: Tensor) -> Unfolded {
        Unfolded { conv, input, delta: delta.flatten(3, -1), kept: None }
    }

    fn inputs(&self) -> i64 {
        self.conv.input * self.conv.kernel * self.conv.kernel
    }

    fn positions(&self) -> i64 {
        self.delta.size()[3]
    }

    /// Squared norms `[T, B]`.
    pub(super) fn squares(&mut self) -> Tensor {
        let size = self.delta.size();
        let formed = self.conv.output * self.inputs();
        let gram = self.positions() * (self.conv.output + self.inputs());
        let each = if gram * GRAM_MARGIN < formed {
            self.chunks(|_, delta, patches| {
                let (d, u) =
                    (delta.transpose(1, 2).bmm(delta), patches.bmm(&patches.transpose(1, 2)));
                (d * u).sum_dim_intlist(&[1i64, 2][..], false, None)
            })
        } else if size[0] * size[1] * formed * bytes(&self.delta) <= KEPT_BYTES {
            let kept = Tensor::empty(
                [size[0] * size[1], self.conv.output, self.inputs()],
                options(&self.delta),
            );
            let each = self.chunks(|from, delta, patches| {
                squares(&delta.bmm_out(&kept.narrow(0, from, delta.size()[0]), patches))
            });
            self.kept = Some(kept.reshape([size[0], size[1], formed]));
            each
        } else {
            self.chunks(|_, delta, patches| squares(&delta.bmm(patches)))
        };
        each.reshape([size[0], size[1]])
    }

    /// Zeros in place of the examples that are not kept (`[T, B]`).
    pub(super) fn erase(&mut self, keep: &Tensor) {
        erase(&mut self.input, keep);
        erase(&mut self.delta, keep);
        self.kept.iter_mut().for_each(|t| erase(t, keep));
    }

    /// The sum over each lane's examples of `factors` (`[T, B]`) times dW_i: `[T, out, in, k, k]`.
    pub(super) fn sum(&self, factors: &Tensor) -> Tensor {
        let sum = match &self.kept {
            Some(kept) => factors.unsqueeze(1).bmm(kept),
            None => self.product(factors),
        };
        let (k, lanes) = (self.conv.kernel, factors.size()[0]);
        sum.reshape([lanes, self.conv.output, k, k, self.conv.input]).permute([0, 1, 4, 2, 3])
    }

    /// [`Unfolded::sum`] by one product a lane, as `[T, out*k*k*in]`.
    fn product(&self, factors: &Tensor) -> Tensor {
        let scaled = &self.delta * factors.unsqueeze(2).unsqueeze(3);
        let lanes = (0..factors.size()[0]).map(|t| {
            let (input, delta) = (self.input.narrow(0, t, 1), scaled.narrow(0, t, 1));
            Unfolded { conv: self.conv, input, delta, kept: None }.total()
        });
        Tensor::stack(&lanes.collect::<Vec<_>>(), 0)
    }

    /// The sum of all examples' dW_i, `[out*k*k*in]`.
    fn total(&self) -> Tensor {
        let parts = self.chunks(|_, delta, patches| {
            delta.transpose(0, 1).flatten(1, 2).mm(&patches.flatten(0, 1)).reshape([1, -1])
        });
        parts.sum_dim_intlist(0, false, None)
    }

    /// Applies `f` to the first of a few examples, their loss gradients `[n, out, L]` and patches
    /// `[n, L, k*k*in]`, until all had their turn, and joins what it gives.
    fn chunks(&self, f: impl Fn(i64, &Tensor, &Tensor) -> Tensor) -> Tensor {
        let (input, delta) = (self.input.flatten(0, 1), self.delta.flatten(0, 1));
        let n = delta.size()[0];
        let few =
            (PATCH_BYTES / (self.inputs() * self.positions() * bytes(&delta)).max(1)).clamp(1, n);
        let parts = (0..n).step_by(few as usize).map(|from| {
            let len = few.min(n - from);
            f(from, &delta.narrow(0, from, len), &patches(&input.narrow(0, from, len), self.conv))
        });
        Tensor::cat(&parts.collect::<Vec<_>>(), 0)
    }
}

/// The weight gradients of a grouped convolution's examples, `[T, B, out*(in/groups)*k*k]`: one
/// small product a group.
pub(super) fn grouped(conv: Conv, input: &Tensor, delta: &Tensor) -> Tensor {
    let size = delta.size();
    let (n, g, positions) = (size[0] * size[1], conv.groups, size[3] * size[4]);
    let (x, delta) = (input.flatten(0, 1), delta.reshape([n, g, conv.output / g, positions]));
    let few = (PATCH_BYTES / (g * conv.fan_in() * positions * bytes(&delta)).max(1)).clamp(1, n);
    let parts = (0..n).step_by(few as usize).map(|from| {
        let len = few.min(n - from);
        let (k, s, p) = (conv.kernel, conv.stride, conv.padding);
        let patches = x.narrow(0, from, len).im2col([k; 2], [1, 1], [p; 2], [s; 2]);
        let patches = patches.reshape([len, g, conv.fan_in(), positions]);
        delta.narrow(0, from, len).matmul(&patches.transpose(2, 3))
    });
    Tensor::cat(&parts.collect::<Vec<_>>(), 0).reshape([size[0], size[1], -1])
}

/// The patches of `[n, in, H, W]` under the kernel, `[n, L, k*k*in]`.
///
/// With channels last a patch is k runs of k*in neighbours, copied at the speed of memory; torch's
/// im2col tests every value against the border.
fn patches(x: &Tensor, conv: Conv) -> Tensor {
    let (k, s, p) = (conv.kernel, conv.stride, conv.padding);
    let x = x.permute([0, 2, 3, 1]);
    let x = if p > 0 { x.constant_pad_nd([0, 0, p, p, p, p]) } else { x }.contiguous();
    let size = x.size();
    let (n, row, c) = (size[0], size[2] * size[3], size[3]);
    let (height, width) = ((size[1] - k) / s + 1, (size[2] - k) / s + 1);
    x.as_strided([n, height, width, k, k * c], [size[1] * row, s * row, s * c, row, 1], None)
        .reshape([n, height * width, k * k * c])
}

/// `[n, ...]` to `[n]`.
fn squares(x: &Tensor) -> Tensor {
    x.flatten(1, -1).norm_scalaropt_dim(2, &[1i64][..], false).square()
}

/// Bytes of one number.
fn bytes(x: &Tensor) -> i64 {
    x.kind().elt_size_in_bytes() as i64
}

/// Element type and device.
fn options(x: &Tensor) -> (Kind, Device) {
    (x.kind(), x.device())
}
