//! Tables in memory: reading an embedded one, the fixed split by class, scaling by column.

pub(crate) mod wdbc;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

use crate::DatasetError;
use crate::in_memory::Examples;

/// What a card says of [`Table::split`].
pub(crate) const SPLIT_NOTE: &str = "fixed split by class: 70 % train, 10 % val, 20 % test";

/// Which split the rows of one class go to, in rounds of ten: seven to train (0), one to val (1),
/// two to test (2).
const ROUND: [usize; 10] = [0, 0, 2, 0, 0, 1, 0, 2, 0, 0];

/// A table in file order.
#[derive(Default)]
pub(crate) struct Table {
    /// `[n]`, class numbers.
    pub labels: Vec<i64>,
    /// `[n, width]`, row by row, finite.
    pub features: Vec<f64>,
    /// Features per row, at least 1.
    pub width: usize,
}

impl Table {
    /// Unpacks an embedded `.csv.gz`: a header, then rows of a label and `width` features. `name`
    /// stands for the file in errors.
    ///
    /// # Errors
    /// [`DatasetError::Bad`] with the line, should the file be damaged.
    pub(crate) fn from_csv_gz(
        name: &str,
        bytes: &[u8],
        width: usize,
    ) -> Result<Self, DatasetError> {
        let mut text = String::new();
        GzDecoder::new(bytes)
            .read_to_string(&mut text)
            .map_err(|e| DatasetError::io(Path::new(name), e))?;
        let mut table = Self { width, ..Self::default() };
        for (number, line) in text.lines().enumerate().skip(1) {
            let row = parse_row(line).filter(|(_, features)| features.len() == width);
            let (label, features) = row.ok_or_else(|| DatasetError::Bad {
                file: name.into(),
                place: format!("line {}", number + 1),
                problem: format!("not a label and {width} numbers"),
                remedy: "rebuild the program from clean sources".into(),
            })?;
            table.labels.push(label);
            table.features.extend(features);
        }
        Ok(table)
    }

    /// Divides the rows into train, val and test; `scale` maps feature number and raw value to
    /// `[0, 1]`.
    pub(crate) fn split(&self, scale: impl Fn(usize, f64) -> f32) -> [Examples; 3] {
        let mut splits: [Examples; 3] = Default::default();
        for (split, row, label) in self.rows() {
            splits[split].values.extend(row.iter().enumerate().map(|(f, &v)| scale(f, v)));
            splits[split].labels.push(label);
        }
        splits
    }

    /// Each row's split, features and label, in file order.
    fn rows(&self) -> impl Iterator<Item = (usize, &[f64], i64)> {
        let rows = self.features.chunks_exact(self.width).zip(&self.labels);
        stratified(&self.labels).into_iter().zip(rows).map(|(split, (row, &l))| (split, row, l))
    }
}

/// The split (0, 1 or 2) of every row: 70 % train, 10 % val, 20 % test of every class. The rows of
/// a class are dealt in file order, so the split depends on nothing but the table.
fn stratified(labels: &[i64]) -> Vec<usize> {
    let mut counts = BTreeMap::new();
    let mut split = |label| {
        let count = counts.entry(label).or_insert(0usize);
        *count += 1;
        ROUND[(*count - 1) % ROUND.len()]
    };
    labels.iter().map(&mut split).collect()
}

fn parse_row(line: &str) -> Option<(i64, Vec<f64>)> {
    let (label, rest) = line.split_once(',')?;
    let row = rest.split(',').map(|v| v.parse().ok()).collect::<Option<Vec<f64>>>()?;
    Some((label.parse().ok()?, row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_dealt_seven_one_two() {
        assert_eq!(stratified(&[0; 10]), ROUND);
        assert_eq!(stratified(&[0, 1, 0, 1, 0, 1]), [0, 0, 0, 0, 2, 2]);
        let labels: Vec<i64> = (0..100).map(|i| i % 2).collect();
        let splits = stratified(&labels);
        for (split, count) in [(0, 70), (1, 10), (2, 20)] {
            let rows: Vec<usize> = (0..100).filter(|&row| splits[row] == split).collect();
            assert_eq!(rows.len(), count);
            assert_eq!(rows.iter().filter(|&&row| labels[row] == 1).count() * 2, count);
        }
    }
}
