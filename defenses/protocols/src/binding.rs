//! What a round's signatures are bound to beside its messages: the federation, its members, and the
//! model that each client was sent.

use aws_lc_rs::digest::{Context, SHA256};

/// The name of a federation, drawn when it is founded and known to its clients from then on.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct FederationId(pub [u8; 32]);

/// SHA-256 of a model: the names and shapes of its tensors, and their values.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ModelHash(pub [u8; 32]);

/// What the clients of a round agree on beside the protocol's own parameters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Binding<'a> {
    /// The federation that the round belongs to.
    pub federation: FederationId,
    /// The clients of the round by their numbers in the federation, in the order of the updates.
    pub members: &'a [usize],
    /// The model that each of them received, hashed by that client.
    pub models: &'a [ModelHash],
}

/// Domain of model hashes.
const DOMAIN: &[u8] = b"federated model v1";
/// Values that are turned into bytes at once.
const BLOCK: usize = 1024;

/// Hashes a model tensor by tensor.
pub struct ModelHasher(Context);

impl Default for ModelHasher {
    fn default() -> ModelHasher {
        let mut context = Context::new(&SHA256);
        context.update(DOMAIN);
        ModelHasher(context)
    }
}

impl ModelHasher {
    /// Takes the next tensor: its name, its shape, and its values in row-major order. Lengths come
    /// first, so that no two lists of tensors are hashed alike.
    pub fn tensor(&mut self, name: &str, shape: &[i64], values: &[f32]) {
        for count in [name.len(), shape.len(), values.len()] {
            self.0.update(&(count as u64).to_le_bytes());
        }
        self.0.update(name.as_bytes());
        shape.iter().for_each(|size| self.0.update(&size.to_le_bytes()));
        let mut bytes = [0; 4 * BLOCK];
        for block in values.chunks(BLOCK) {
            let slots = bytes.chunks_exact_mut(4).zip(block);
            slots.for_each(|(slot, value)| slot.copy_from_slice(&value.to_le_bytes()));
            self.0.update(&bytes[..4 * block.len()]);
        }
    }

    /// The hash of all tensors taken.
    pub fn finish(self) -> ModelHash {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.0.finish().as_ref());
        ModelHash(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Tensor<'a> = (&'a str, &'a [i64], &'a [f32]);

    fn hash(tensors: &[Tensor]) -> ModelHash {
        let mut hasher = ModelHasher::default();
        tensors.iter().for_each(|(name, shape, values)| hasher.tensor(name, shape, values));
        hasher.finish()
    }

    /// Every bit of the weights counts, a zero's sign too, and so do names, shapes and the bounds
    /// between tensors.
    #[test]
    fn another_model_has_another_hash() {
        let long = vec![0.5; 2500];
        let mut other = long.clone();
        other[2400] = f32::from_bits(0.5f32.to_bits() + 1);
        let models: [&[Tensor]; 8] = [
            &[("w", &[2], &[1.0, 0.0])],
            &[("w", &[2], &[1.0, -0.0])],
            &[("v", &[2], &[1.0, 0.0])],
            &[("w", &[1, 2], &[1.0, 0.0])],
            &[("w", &[1], &[1.0]), ("w", &[1], &[0.0])],
            &[("w", &[2500], &long)],
            &[("w", &[2500], &other)],
            &[],
        ];
        for (i, a) in models.iter().enumerate() {
            assert_eq!(hash(a), hash(a));
            assert!(models[..i].iter().all(|b| hash(a) != hash(b)), "model {i}");
        }
    }
}
