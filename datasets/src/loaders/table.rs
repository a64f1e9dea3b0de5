//! A table with a fixed split by class, scaled by what its training rows span.

use suites::Split;
use tch::Tensor;

use crate::dataset::{check_ids, split_index};
use crate::{Batch, Card, Column, Dataset, DatasetError};

/// One split: `[n, F]` values in `[0, 1]` and `[n]` labels.
#[derive(Default)]
struct Rows {
    values: Vec<f32>,
    labels: Vec<u8>,
}

/// A table in memory.
pub(crate) struct Table {
    card: Card,
    splits: [Rows; 3],
}

/// Which split a class's i-th row goes to, in rounds of ten: seven train (0), one val (1), two test
/// (2).
const DEAL: [usize; 10] = [0, 0, 2, 0, 0, 1, 0, 2, 0, 0];

impl Table {
    /// Splits `features` (`[n, card.channels]`, finite) and `labels` (`[n]`) by class: 70 % train,
    /// 10 % val, 20 % test. Features are scaled to `[0, 1]` by the training rows' least and largest
    /// values alone, and clamped; a constant one becomes 0.
    pub(crate) fn new(
        mut card: Card,
        names: impl Fn(usize) -> String,
        features: &[f64],
        labels: &[u8],
    ) -> Self {
        let seats = deal(labels, card.classes);
        let rows = || features.chunks_exact(card.channels).zip(&seats);
        let mut spans = vec![(f64::INFINITY, f64::NEG_INFINITY); card.channels];
        for (row, _) in rows().filter(|(_, seat)| **seat == 0) {
            for (span, &v) in spans.iter_mut().zip(row) {
                *span = (span.0.min(v), span.1.max(v));
            }
        }
        let column = |(f, &(low, high)): (usize, &(f64, f64))| Column { name: names(f), low, high };
        card.columns = spans.iter().enumerate().map(column).collect();
        let mut splits: [Rows; 3] = Default::default();
        for ((row, &seat), &label) in rows().zip(labels) {
            let scaled = row.iter().zip(&card.columns).map(|(&v, column)| column.scale(v));
            splits[seat].values.extend(scaled);
            splits[seat].labels.push(label);
        }
        Self { card, splits }
    }
}

fn deal(labels: &[u8], classes: usize) -> Vec<usize> {
    let mut seen = vec![0usize; classes];
    let mut seat = |label: &u8| {
        let count = &mut seen[usize::from(*label)];
        *count += 1;
        DEAL[(*count - 1) % DEAL.len()]
    };
    labels.iter().map(&mut seat).collect()
}

impl Dataset for Table {
    fn card(&self) -> &Card {
        &self.card
    }

    fn len(&self, split: Split) -> usize {
        self.splits[split_index(split)].labels.len()
    }

    fn label(&self, split: Split, id: usize) -> Result<i64, DatasetError> {
        check_ids(&self.card.name, split, &[id], self.len(split))?;
        Ok(i64::from(self.splits[split_index(split)].labels[id]))
    }

    fn batch(&self, split: Split, ids: &[usize]) -> Result<Batch, DatasetError> {
        check_ids(&self.card.name, split, ids, self.len(split))?;
        let (rows, width) = (&self.splits[split_index(split)], self.card.channels);
        let values: Vec<f32> = ids
            .iter()
            .flat_map(|&id| &rows.values[id * width..(id + 1) * width])
            .copied()
            .collect();
        let labels: Vec<i64> = ids.iter().map(|&id| i64::from(rows.labels[id])).collect();
        Ok(Batch {
            x: Tensor::from_slice(&values).view([ids.len() as i64, width as i64]),
            y: Tensor::from_slice(&labels),
            ids: ids.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_rows_do_not_move_the_scale() {
        assert_eq!(deal(&[0; 10], 1), DEAL);
        assert_eq!(deal(&[0, 1, 0, 1, 0, 1], 2), [0, 0, 0, 0, 2, 2]);
        let scale =
            |v: f64, low: f64, high: f64| Column { name: String::new(), low, high }.scale(v);
        assert_eq!(
            [scale(3.0, 1.0, 5.0), scale(9.0, 1.0, 5.0), scale(2.0, 2.0, 2.0)],
            [0.5, 1.0, 0.0]
        );
    }
}
