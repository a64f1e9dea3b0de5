//! The dimension of lanes, and layers without parameters over it.

use tch::Tensor;

/// A value shared by all lanes (leading 1) gets their dimension, as a view.
pub(crate) fn broadcast_lanes(x: &Tensor, lanes: i64) -> Tensor {
    let mut size = x.size();
    if size[0] == lanes {
        return x.shallow_clone();
    }
    size[0] = lanes;
    x.expand(size, true)
}

/// `[T, B, C, H, W]` to `[T*B, C, H, W]`, for layers without parameters.
pub fn images(x: &Tensor) -> Tensor {
    x.flatten(0, 1)
}

/// `[T*B, ...]` back to `[T, B, ...]`.
pub fn unfold_lanes(x: &Tensor, lanes: i64) -> Tensor {
    let mut size = x.size();
    let batch = size[0] / lanes;
    size.splice(0..1, [lanes, batch]);
    x.reshape(size)
}

/// Average pooling without padding, kernel = stride.
pub fn avg_pool(x: &Tensor, kernel: i64) -> Tensor {
    let pooled = images(x).avg_pool2d([kernel; 2], [kernel; 2], [0, 0], false, true, None);
    unfold_lanes(&pooled, x.size()[0])
}

/// Max pooling.
pub fn max_pool(x: &Tensor, kernel: i64, stride: i64, padding: i64) -> Tensor {
    let pooled = images(x).max_pool2d([kernel; 2], [stride; 2], [padding; 2], [1, 1], false);
    unfold_lanes(&pooled, x.size()[0])
}

/// Mean over height and width: `[T, B, C, H, W]` to `[T, B, C]`.
pub fn global_avg_pool(x: &Tensor) -> Tensor {
    x.mean_dim(&[3i64, 4][..], false, None)
}
