//! The hash of the model that a client received, which its signatures bind.

use learning::Params;
use protocols::{ModelHash, ModelHasher};

/// SHA-256 of weights `[1, ...]` as they travel, in 32-bit floats: names, shapes and values of all
/// tensors, buffers included. The architecture and the recipe of local training, which are agreed
/// on when a federation is founded, are not in it.
pub fn model_hash(weights: &Params) -> ModelHash {
    let mut hasher = ModelHasher::default();
    let (values, mut at) = (weights.flat(0), 0);
    for spec in weights.layout().specs() {
        let count = spec.shape.iter().product::<i64>() as usize;
        hasher.tensor(&spec.name, &spec.shape, &values[at..at + count]);
        at += count;
    }
    hasher.finish()
}
