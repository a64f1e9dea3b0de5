//! Convolutions over lanes, and the ways their weight gradients come about.
//!
//! A pass that nothing differentiates uses torch's convolution. In a recorded pass a convolution
//! with little work is one matrix product of its kernel with its unfolded input ("columns"): the
//! columns are what the weight gradient needs again, and torch's double backward of a convolution
//! computes a kernel gradient that nobody asked for, a product's does not.

use tch::Tensor;

use crate::gradients::Form;
use crate::tape::{broadcast_lanes, images, unfold_lanes};

/// A convolution's geometry (square kernel).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// Input channels.
    pub input: i64,
    /// Output channels.
    pub output: i64,
    /// Kernel side.
    pub kernel: i64,
    /// Stride.
    pub stride: i64,
    /// Zero padding on each side.
    pub padding: i64,
    /// Has a bias.
    pub bias: bool,
    /// Groups of channels that do not see each other (1: none; as many as input channels:
    /// depthwise).
    pub groups: i64,
}

/// How a convolution's weight gradient comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Kept as its factors.
    Factors,
    /// Formed from the columns, all lanes at once.
    Product,
    /// By autograd, one convolution a lane.
    Autograd,
}

/// Multiply-adds of one lane's convolution from which torch's convolution beats unfolding,
/// whatever its double backward wastes.
const AUTOGRAD_WORK: i64 = 12_000_000;

impl Conv {
    /// Shape of the kernel, `[out, in/groups, k, k]`.
    pub(crate) fn shape(&self) -> [i64; 4] {
        [self.output, self.input / self.groups, self.kernel, self.kernel]
    }

    /// Inputs of one output value.
    pub(crate) fn fan_in(&self) -> i64 {
        self.shape()[1..].iter().product()
    }

    /// Height and width of the output for an input `[T, B, in, H, W]`.
    pub(crate) fn output_size(&self, x: &Tensor) -> [i64; 2] {
        let size = x.size();
        let side = |n: i64| (n + 2 * self.padding - self.kernel) / self.stride + 1;
        [side(size[3]), side(size[4])]
    }

    /// The cheapest way for an input `[T, B, in, H, W]`: factors while their Gram matrices cost
    /// less than the kernel; then one product for all lanes, until a convolution has enough work
    /// to hide its set-up.
    pub(crate) fn way(&self, x: &Tensor, form: Form) -> Way {
        // Columns of a grouped convolution are another kind of product.
        if self.groups > 1 {
            return Way::Autograd;
        }
        let [height, width] = self.output_size(x);
        let (rows, inputs) = (x.size()[1] * height * width, self.fan_in());
        let factors = match form {
            Form::Auto => crate::gradients::factored_is_cheaper(rows, self.output, inputs),
            Form::Dense | Form::Training => false,
            Form::Factored => true,
        };
        match factors {
            true => Way::Factors,
            false if rows * self.output * inputs < AUTOGRAD_WORK => Way::Product,
            false => Way::Autograd,
        }
    }
}

/// All lanes at once: one ordinary convolution where they share the kernel, else a grouped one.
pub(crate) fn grouped(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, conv: Conv) -> Tensor {
    let lanes = w.size()[0];
    let (stride, padding) = ([conv.stride; 2], [conv.padding; 2]);
    if lanes == 1 {
        let z = images(x).conv2d(
            &w.squeeze_dim(0),
            bias.map(|b| b.squeeze_dim(0)).as_ref(),
            stride,
            padding,
            [1, 1],
            conv.groups,
        );
        return unfold_lanes(&z, x.size()[0]);
    }
    let x = broadcast_lanes(x, lanes);
    let size = x.size();
    let grouped = x.transpose(0, 1).reshape([size[1], lanes * size[2], size[3], size[4]]);
    let kernel = w.flatten(0, 1);
    let bias = bias.map(|b| b.reshape([-1]));
    let z = grouped.conv2d(&kernel, bias.as_ref(), stride, padding, [1, 1], lanes * conv.groups);
    let out = z.size();
    z.reshape([size[1], lanes, conv.output, out[2], out[3]]).transpose(0, 1)
}

/// Images `[T, B, C, H, W]` with each pixel's channels side by side in memory.
pub(crate) fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 1, 3, 4, 2]).contiguous().permute([0, 1, 4, 2, 3])
}

/// [`grouped`] or [`apart`], with each pixel's channels side by side in memory: torch keeps that
/// order from layer to layer, but cannot tell it of images with one channel.
pub(crate) fn channels_last_out(
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    conv: Conv,
) -> Tensor {
    let z = match w.size()[0] {
        1 => grouped(x, w, bias, conv),
        _ => apart(x, &w.unbind(0), bias, conv),
    };
    if conv.input == 1 { channels_last(&z) } else { z }
}

/// One convolution a lane with the order of memory that its input has, for training. `w` is `[T,
/// out, in/groups, k, k]`.
pub(crate) fn side_by_side(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, conv: Conv) -> Tensor {
    let (stride, padding) = ([conv.stride; 2], [conv.padding; 2]);
    let biases = bias.map(unbind);
    let one = |(t, (x, w)): (usize, (&Tensor, &Tensor))| {
        x.conv2d(w, biases.as_ref().map(|b| &b[t]), stride, padding, [1, 1], conv.groups)
    };
    // Taken apart, not flattened: a view of another shape forgets what the strides of a single
    // channel say.
    let outputs: Vec<Tensor> = unbind(x).iter().zip(&unbind(w)).enumerate().map(one).collect();
    match &outputs[..] {
        [z] => z.unsqueeze(0),
        // Joined along the batch, which keeps each pixel's channels side by side where they are.
        _ => unfold_lanes(&Tensor::cat(&outputs, 0), outputs.len() as i64),
    }
}

/// Images `[T, B, C, H, W]` as [`channels_last`], in a way that torch recognises with one channel,
/// too.
pub(crate) fn channels_last_marked(x: &Tensor) -> Tensor {
    let size = x.size();
    let (c, h, w) = (size[2], size[3], size[4]);
    let x = x.permute([0, 1, 3, 4, 2]).contiguous();
    x.as_strided(&size[..], [size[1] * h * w * c, h * w * c, 1, w * c, c], None)
}

/// A kernel of its own for each lane, so that each lane's gradient can be asked for by itself.
pub(crate) fn own_kernels(w: &Tensor, lanes: i64) -> Vec<Tensor> {
    let own = |t: i64| {
        let kernel = w.get(t.min(w.size()[0] - 1));
        if kernel.requires_grad() { kernel } else { kernel.detach().set_requires_grad(true) }
    };
    (0..lanes).map(own).collect()
}

/// One convolution a lane, each with its own kernel.
pub(crate) fn apart(x: &Tensor, kernels: &[Tensor], bias: Option<&Tensor>, conv: Conv) -> Tensor {
    let (stride, padding) = ([conv.stride; 2], [conv.padding; 2]);
    // Unbound, not selected: a selection's gradient is as large as all lanes together.
    let inputs = unbind(&broadcast_lanes(x, kernels.len() as i64));
    let one = |(t, (x, kernel)): (usize, (&Tensor, &Tensor))| {
        let bias = bias.map(|b| b.get((t as i64).min(b.size()[0] - 1)));
        x.conv2d(kernel, bias.as_ref(), stride, padding, [1, 1], conv.groups)
    };
    let outputs: Vec<Tensor> = inputs.iter().zip(kernels).enumerate().map(one).collect();
    stack(&outputs)
}

/// All lanes at once where they share the kernel, else one convolution a lane: no gradient is taken
/// of the kernels.
pub(crate) fn one_by_one(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, conv: Conv) -> Tensor {
    match (w.size()[0], bias) {
        (1, None) => grouped(x, w, None, conv),
        (1, Some(b)) if b.size()[0] == 1 => grouped(x, w, bias, conv),
        (1, Some(b)) => {
            let size = b.size();
            grouped(x, w, None, conv) + b.reshape([size[0], 1, size[1], 1, 1])
        }
        _ => apart(x, &unbind(w), bias, conv),
    }
}

/// The lanes one by one.
fn unbind(x: &Tensor) -> Vec<Tensor> {
    if x.size()[0] == 1 { vec![x.squeeze_dim(0)] } else { x.unbind(0) }
}

/// [`Tensor::stack`] that does not copy a single tensor.
pub(crate) fn stack(tensors: &[Tensor]) -> Tensor {
    match tensors {
        [one] => one.unsqueeze(0),
        _ => Tensor::stack(tensors, 0),
    }
}

/// The patches of `[T, B, in, H, W]` under the kernel, one column an output position: `[T, in*k*k,
/// B*L]`.
pub(crate) fn columns(x: &Tensor, conv: Conv) -> Tensor {
    let size = x.size();
    let patches = match conv.kernel {
        // A 1x1 kernel's patches are the pixels themselves.
        1 if conv.padding == 0 => {
            let every = |t: Tensor, dim| t.slice(dim, None, None, conv.stride);
            every(every(images(x), 2), 3).flatten(2, -1)
        }
        k => images(x).im2col([k; 2], [1, 1], [conv.padding; 2], [conv.stride; 2]),
    };
    examples_last(&unfold_lanes(&patches, size[0]))
}

/// `[T, B, C, ...]` to `[T, C, B*...]`; a view where `B` is 1.
pub(crate) fn examples_last(x: &Tensor) -> Tensor {
    x.flatten(3, -1).transpose(1, 2).flatten(2, -1)
}

/// The convolution as a product of the kernel `[T or 1, out, in, k, k]` with columns `[T or 1,
/// in*k*k, B*L]`; gives `[T, B, out, H', W']`.
pub(crate) fn product(
    columns: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
    way: Way,
    side: [i64; 2],
) -> Tensor {
    let lanes = columns.size()[0].max(w.size()[0]);
    let (kernel, columns) = (w.flatten(2, -1), broadcast_lanes(columns, lanes));
    let (out, positions) = (kernel.size()[1], columns.size()[2]);
    let z = if way == Way::Factors && lanes > 1 && kernel.size()[0] == 1 {
        // Few positions and a large kernel: read it once for all lanes.
        let all = columns.transpose(0, 1).flatten(1, 2);
        let z = match bias {
            Some(b) if b.size()[0] == 1 => b.reshape([out, 1]).addmm(&kernel.squeeze_dim(0), &all),
            _ => kernel.squeeze_dim(0).mm(&all),
        };
        let z = z.reshape([out, lanes, positions]).transpose(0, 1);
        match bias {
            Some(b) if b.size()[0] > 1 => z + b.unsqueeze(2),
            _ => z,
        }
    } else {
        let kernel = broadcast_lanes(&kernel, lanes);
        match bias {
            Some(b) => b.unsqueeze(2).baddbmm(&kernel, &columns, 1.0, 1.0),
            None => kernel.bmm(&columns),
        }
    };
    z.reshape([lanes, out, -1, side[0], side[1]]).transpose(1, 2)
}
