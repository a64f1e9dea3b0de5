//! A small data set that is held in memory, whole.

use suites::Split;
use tch::Tensor;

use crate::dataset::{check_ids, split_index};
use crate::{Batch, Card, Dataset, DatasetError, Kind};

/// The examples of one split.
#[derive(Default)]
pub struct Examples {
    /// `[n, C * H * W]` (or `[n, F]`), row by row, in `[0, 1]`.
    pub values: Vec<f32>,
    /// `[n]`, in `0..classes`.
    pub labels: Vec<i64>,
}

/// A data set whose three splits are already decoded.
pub struct InMemory {
    /// Its description.
    pub card: Card,
    /// Train, val, test.
    pub splits: [Examples; 3],
}

impl InMemory {
    fn examples(&self, split: Split) -> &Examples {
        &self.splits[split_index(split)]
    }

    fn shape(&self, examples: usize) -> Vec<i64> {
        let card = &self.card;
        let n = examples as i64;
        match card.kind {
            Kind::Image => vec![n, card.channels as i64, card.height as i64, card.width as i64],
            Kind::Table => vec![n, card.channels as i64],
        }
    }
}

impl Dataset for InMemory {
    fn card(&self) -> &Card {
        &self.card
    }

    fn len(&self, split: Split) -> usize {
        self.examples(split).labels.len()
    }

    fn label(&self, split: Split, id: usize) -> Result<i64, DatasetError> {
        check_ids(&self.card.name, split, &[id], self.len(split))?;
        Ok(self.examples(split).labels[id])
    }

    fn batch(&self, split: Split, ids: &[usize]) -> Result<Batch, DatasetError> {
        check_ids(&self.card.name, split, ids, self.len(split))?;
        let examples = self.examples(split);
        let width = examples.values.len() / examples.labels.len();
        let values: Vec<f32> = ids
            .iter()
            .flat_map(|&i| &examples.values[i * width..(i + 1) * width])
            .copied()
            .collect();
        let labels: Vec<i64> = ids.iter().map(|&i| examples.labels[i]).collect();
        Ok(Batch {
            x: Tensor::from_slice(&values).view(self.shape(ids.len()).as_slice()),
            y: Tensor::from_slice(&labels),
            ids: ids.to_vec(),
        })
    }
}
