//! The trait every data set implements, and what goes in and out of it.

use suites::Split;
use tch::Tensor;

use crate::{Card, DatasetError};

/// Some examples of one split, on the CPU.
#[derive(Debug)]
pub struct Batch {
    /// Images: `f32 [B, C, H, W]`, exactly `u8 / 255`. Tables: `f32 [B, F]`, scaled to `[0, 1]`.
    pub x: Tensor,
    /// `i64 [B]` for one class each; `f32 [B, K]` of zeros and ones for multi-label sets.
    pub y: Tensor,
    /// The ids that were asked for, in order.
    pub ids: Vec<usize>,
}

/// A data set whose examples are read when they are asked for.
pub trait Dataset: Send + Sync {
    /// Its description.
    fn card(&self) -> &Card;

    /// Number of examples in a split; ids run from 0 to below it. Zero where the split does not
    /// exist.
    fn len(&self, split: Split) -> usize;

    /// The class of one example, without decoding it. Multi-label sets: the first positive class,
    /// or -1.
    ///
    /// # Errors
    /// When `id` is out of range, or the labels cannot be read.
    fn label(&self, split: Split, id: usize) -> Result<i64, DatasetError>;

    /// Who is in the picture, where the data set knows.
    fn identity(&self, _split: Split, _id: usize) -> Option<u64> {
        None
    }

    /// Reads and decodes the examples `ids` of `split`, in that order; repeats are allowed.
    ///
    /// # Errors
    /// When an id is out of range, `ids` is empty, or a file cannot be read or decoded.
    fn batch(&self, split: Split, ids: &[usize]) -> Result<Batch, DatasetError>;

    /// Reads a split from end to end and returns every fault found, each once.
    fn problems(&self, split: Split) -> Vec<DatasetError> {
        const CHUNK: usize = 256;
        let ids: Vec<usize> = (0..self.len(split)).collect();
        let mut faults: Vec<DatasetError> = Vec::new();
        for chunk in ids.chunks(CHUNK) {
            if self.batch(split, chunk).is_ok() {
                continue;
            }
            for &id in chunk {
                if let Err(fault) = self.batch(split, &[id]) {
                    let text = fault.to_string();
                    if faults.iter().all(|known| known.to_string() != text) {
                        faults.push(fault);
                    }
                }
            }
        }
        faults
    }
}

/// Checks that `ids` is not empty and stays below `len`; every loader calls it first.
///
/// # Errors
/// [`DatasetError::Request`] naming the split and the first id out of range.
pub(crate) fn check_ids(
    dataset: &str,
    split: Split,
    ids: &[usize],
    len: usize,
) -> Result<(), DatasetError> {
    if len == 0 {
        return Err(DatasetError::request(
            dataset,
            format!("the {} split is empty", split),
            "choose another split, or add its files",
        ));
    }
    if ids.is_empty() {
        return Err(DatasetError::request(
            dataset,
            "a batch of no examples was asked for",
            "ask for at least one",
        ));
    }
    match ids.iter().find(|&&id| id >= len) {
        Some(id) => Err(DatasetError::request(
            dataset,
            format!("example {id} of the {} split", split),
            format!("it holds {len}, so ids run from 0 to {}", len - 1),
        )),
        None => Ok(()),
    }
}

/// Number of a split: train 0, val 1, test 2.
pub(crate) fn split_index(split: Split) -> usize {
    match split {
        Split::Train => 0,
        Split::Val => 1,
        Split::Test => 2,
    }
}

/// The three splits in order.
pub(crate) const SPLITS: [Split; 3] = [Split::Train, Split::Val, Split::Test];
