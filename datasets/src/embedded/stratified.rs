//! The fixed split of the embedded tables: 70 % train, 10 % val, 20 % test of every class.

/// Row numbers of train, val and test. Within each class the rows are dealt in file order in rounds
/// of ten (seven, one, two), so the split depends on nothing but the table, and every class has the
/// same share everywhere.
pub(super) fn stratified(labels: &[i64]) -> [Vec<usize>; 3] {
    let mut splits: [Vec<usize>; 3] = Default::default();
    let mut seen = std::collections::BTreeMap::new();
    for (row, label) in labels.iter().enumerate() {
        let count = seen.entry(label).or_insert(0usize);
        splits[SEAT[*count % SEAT.len()]].push(row);
        *count += 1;
    }
    splits
}

const SEAT: [usize; 10] = [0, 0, 2, 0, 0, 1, 0, 2, 0, 0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_dealt_seven_one_two() {
        let labels: Vec<i64> = (0..100).map(|i| i % 2).collect();
        let splits = stratified(&labels);
        assert_eq!(splits.each_ref().map(Vec::len), [70, 10, 20]);
        for split in &splits {
            assert_eq!(split.iter().filter(|&&row| labels[row] == 1).count() * 2, split.len());
        }
    }
}
