//! The clients' examples: in memory where they fit, else read again in each round.

use datasets::Batch;
use defenses::Stage;
use tch::{Kind, Tensor};

use crate::{Federation, FederationError, RoundPlan};

/// Decoded examples kept in memory, at most.
const KEPT_BYTES: usize = 4 << 30;

/// Parameters that train side by side, at most: small models gain from it, large ones only take
/// memory.
const SIDE_BY_SIDE: i64 = 2_000_000;
/// Clients that train side by side, at most: beyond, a batch gains nothing and other cores wait for
/// it.
const WIDTH: usize = 4;

/// Examples decoded at once.
const CHUNK: usize = 1024;

/// A client's pixels `[E, ...]`, values in `[0, 1]` or bytes, and labels.
type Held = (Tensor, Tensor);

/// Clients that work on equally many examples; what each works on, where that is kept in memory.
pub struct ClientBatch {
    /// The clients.
    pub clients: Vec<usize>,
    kept: Vec<Option<Held>>,
}

impl ClientBatch {
    /// The batch's examples in that round: pixels `[C, E, ...]` and labels, read now where they are
    /// not kept, on whatever thread asks.
    ///
    /// # Errors
    /// Whatever the data say.
    pub fn examples(
        &self,
        federation: &Federation,
        plan: &RoundPlan,
    ) -> Result<Held, FederationError> {
        let mut parts = Vec::new();
        for (&client, kept) in self.clients.iter().zip(&self.kept) {
            parts.push(match (kept, plan.rows(client)) {
                (Some((x, y)), _) => (x.shallow_clone(), y.shallow_clone()),
                (None, None) => read(federation, client)?,
                (None, Some(rows)) => chosen(federation, client, rows)?,
            });
        }
        let stack = |pick: fn(&Held) -> &Tensor| match &parts[..] {
            [one] => pick(one).unsqueeze(0),
            all => Tensor::stack(&all.iter().map(pick).collect::<Vec<_>>(), 0),
        };
        Ok((stack(|p| &p.0), stack(|p| &p.1)))
    }
}

/// Keeps clients' examples where there is room for all of them.
pub struct Examples {
    kept: Vec<Option<Held>>,
    keep: bool,
}

impl Examples {
    /// Nothing read yet. Of bare clients nothing is kept: each example is taken once.
    pub fn new(federation: &Federation) -> Examples {
        let values = federation.net.input().iter().product::<i64>() as usize;
        let count: usize = federation.parts.iter().map(Vec::len).sum();
        let kept = federation.parts.iter().map(|_| None).collect();
        let size = if looked_at(federation) { 4 } else { 1 };
        let fits = count.saturating_mul(values * size) <= KEPT_BYTES;
        Examples { kept, keep: fits && !federation.spec.federation.is_bare() }
    }

    /// These clients, grouped by how many examples they work on. The grouping depends on the
    /// federation alone, never on how many cores there are: a product over more clients rounds
    /// differently.
    ///
    /// # Errors
    /// Whatever the data say.
    pub fn batches(
        &mut self,
        federation: &Federation,
        plan: &RoundPlan,
        clients: &[usize],
    ) -> Result<Vec<ClientBatch>, FederationError> {
        let size = |c: usize| plan.rows(c).map_or(federation.parts[c].len(), <[usize]>::len);
        let (width, mut sorted) = (width(federation), clients.to_vec());
        sorted.sort_by_key(|&c| (size(c), c));
        let mut batches: Vec<Vec<usize>> = Vec::new();
        for client in sorted {
            match batches.last_mut() {
                Some(batch) if batch.len() < width && size(batch[0]) == size(client) => {
                    batch.push(client)
                }
                _ => batches.push(vec![client]),
            }
        }
        batches.into_iter().map(|clients| self.batch(federation, plan, clients)).collect()
    }

    fn batch(
        &mut self,
        federation: &Federation,
        plan: &RoundPlan,
        clients: Vec<usize>,
    ) -> Result<ClientBatch, FederationError> {
        let mut kept = Vec::new();
        for &client in &clients {
            if self.keep && self.kept[client].is_none() {
                self.kept[client] = Some(read(federation, client)?);
            }
            kept.push(self.kept[client].as_ref().map(|held| match plan.rows(client) {
                None => (held.0.shallow_clone(), held.1.shallow_clone()),
                Some(rows) => select(held, rows),
            }));
        }
        Ok(ClientBatch { clients, kept })
    }
}

/// Clients that work side by side. Bare clients all do.
fn width(federation: &Federation) -> usize {
    if federation.spec.federation.is_bare() {
        usize::MAX
    } else {
        (SIDE_BY_SIDE / federation.net.layout().len().max(1)).clamp(1, WIDTH as i64) as usize
    }
}

/// Whether a defense looks at pixels; nothing else does but training, which takes bytes as they
/// are: a quarter of the memory.
fn looked_at(federation: &Federation) -> bool {
    federation.defenses().iter().any(|d| d.stage() == Stage::Data || d.reads_examples())
}

/// The examples at these places of a client's own, pixels as values.
fn chosen(federation: &Federation, client: usize, rows: &[usize]) -> Result<Held, FederationError> {
    let ids: Vec<usize> = rows.iter().map(|&row| federation.parts[client][row]).collect();
    let Batch { x, y, .. } = federation.data.batch(federation.spec.task.split, &ids)?;
    Ok((x, y))
}

fn select(held: &Held, rows: &[usize]) -> Held {
    let rows = Tensor::from_slice(&rows.iter().map(|&row| row as i64).collect::<Vec<_>>());
    let (x, y) = (held.0.index_select(0, &rows), held.1.index_select(0, &rows));
    (value(&x), y)
}

/// Pixels as values in `[0, 1]`.
fn value(x: &Tensor) -> Tensor {
    if x.kind() == Kind::Uint8 { x.to_kind(Kind::Float) / 255.0 } else { x.shallow_clone() }
}

fn read(federation: &Federation, client: usize) -> Result<Held, FederationError> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for ids in federation.parts[client].chunks(CHUNK) {
        let Batch { x, y, .. } = federation.data.batch(federation.spec.task.split, ids)?;
        pixels.push(if looked_at(federation) { x } else { as_bytes(x) });
        labels.push(y);
    }
    // A chunk that is no picture of bytes makes values of all.
    if pixels.iter().any(|x| x.kind() != Kind::Uint8) {
        pixels = pixels.iter().map(value).collect();
    }
    Ok((Tensor::cat(&pixels, 0), Tensor::cat(&labels, 0)))
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
