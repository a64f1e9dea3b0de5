//! The clients' examples: in memory where they fit, else read again in each round.

use datasets::Batch;
use defenses::Stage;
use tch::{Kind, Tensor};

use super::Federation;
use crate::HarnessError;

/// Decoded examples kept in memory, at most.
const KEPT_BYTES: usize = 4 << 30;

/// Parameters that train side by side, at most: small models gain from it, large ones only take memory.
const SIDE_BY_SIDE: i64 = 2_000_000;
/// Clients that train side by side, at most: beyond, a lot gains nothing and other cores wait for it.
const WIDTH: usize = 4;

/// Clients that hold equally many examples, and their examples `[C, E, ...]` on the CPU.
pub struct Lot {
    /// The clients.
    pub clients: Vec<usize>,
    /// `[C, E, ...]` in `[0, 1]`, or as bytes.
    pub pixels: Tensor,
    /// `[C, E]`, or `[C, E, K]`.
    pub labels: Tensor,
}

/// Reads and keeps clients' examples.
pub struct Examples {
    kept: Vec<Option<(Tensor, Tensor)>>,
    keep: bool,
    /// Nothing but training looks at the pixels, which takes bytes as they are: a quarter of the memory.
    bytes: bool,
}

impl Examples {
    /// Nothing read yet.
    pub fn new(federation: &Federation) -> Examples {
        let values = federation.net.input().iter().product::<i64>() as usize;
        let count: usize = federation.parts.iter().map(Vec::len).sum();
        let kept = federation.parts.iter().map(|_| None).collect();
        let looks = federation.defenses.iter().any(|d| d.stage() == Stage::Data || d.reads_examples());
        let size = if looks { 4 } else { 1 };
        Examples { kept, keep: count.saturating_mul(values * size) <= KEPT_BYTES, bytes: !looks }
    }

    /// The examples of these clients, grouped by how many they hold. The grouping depends on the federation alone, never on how many cores
    /// there are: a product over more clients rounds differently.
    ///
    /// # Errors
    /// Whatever the data say.
    pub fn lots(&mut self, federation: &Federation, clients: &[usize]) -> Result<Vec<Lot>, HarnessError> {
        let width = (SIDE_BY_SIDE / federation.net.layout().len().max(1)).clamp(1, WIDTH as i64) as usize;
        let mut sorted = clients.to_vec();
        sorted.sort_by_key(|&c| (federation.parts[c].len(), c));
        let mut lots: Vec<Vec<usize>> = Vec::new();
        for client in sorted {
            let held = federation.parts[client].len();
            match lots.last_mut() {
                Some(lot) if lot.len() < width && federation.parts[lot[0]].len() == held => lot.push(client),
                _ => lots.push(vec![client]),
            }
        }
        lots.into_iter().map(|clients| self.lot(federation, clients)).collect()
    }

    fn lot(&mut self, federation: &Federation, clients: Vec<usize>) -> Result<Lot, HarnessError> {
        let mut parts = Vec::new();
        for &client in &clients {
            parts.push(self.of(federation, client)?);
        }
        let stack = |pick: fn(&(Tensor, Tensor)) -> &Tensor| match &parts[..] {
            [one] => pick(one).unsqueeze(0),
            all => Tensor::stack(&all.iter().map(pick).collect::<Vec<_>>(), 0),
        };
        Ok(Lot { pixels: stack(|p| &p.0), labels: stack(|p| &p.1), clients })
    }

    fn of(&mut self, federation: &Federation, client: usize) -> Result<(Tensor, Tensor), HarnessError> {
        if let Some((x, y)) = &self.kept[client] {
            return Ok((x.shallow_clone(), y.shallow_clone()));
        }
        let Batch { x, y, .. } =
            federation.data.batch(federation.spec.task.split, &federation.parts[client])?;
        let x = if self.bytes { as_bytes(x) } else { x };
        if self.keep {
            self.kept[client] = Some((x.shallow_clone(), y.shallow_clone()));
        }
        Ok((x, y))
    }
}

/// Pixels that are exactly `u8 / 255` as those bytes; others, such as a table's, as they are.
fn as_bytes(x: Tensor) -> Tensor {
    let bytes = (&x * 255.0).round().clamp(0.0, 255.0).to_kind(Kind::Uint8);
    if (bytes.to_kind(Kind::Float) / 255.0).equal(&x) { bytes } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_only_where_nothing_is_lost() {
        let all = Tensor::arange(256, (Kind::Float, tch::Device::Cpu)) / 255.0;
        let bytes = as_bytes(all.shallow_clone());
        assert!(bytes.kind() == Kind::Uint8 && (bytes.to_kind(Kind::Float) / 255.0).equal(&all));
        assert_eq!(as_bytes(all * 0.99).kind(), Kind::Float);
    }
}
