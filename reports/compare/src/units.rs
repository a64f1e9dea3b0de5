//! Independent units of a group of cells: what is reconstructed together, or shared between cells,
//! counts once.

use crate::pairs::Pair;
use record::units::Sets;
use std::collections::{BTreeMap, HashMap};

/// The rows of a group of pairs, gathered into units.
///
/// Cells of one run attack the same images, and images of one trial come out of one reconstruction:
/// a unit is a set of images that any trial of the group ties together. Across seeds it is a draw
/// of weights and images, common to all cells of a seed.
pub(crate) struct Units {
    /// Per row of the group: its pair, its row there, its unit.
    rows: Vec<(usize, usize, usize)>,
    count: usize,
}

impl Units {
    /// Gathers the rows of the pairs `group`.
    pub fn new(pairs: &[Pair], group: &[usize]) -> Units {
        let mut sets = Sets::default();
        for pair in group.iter().map(|at| &pairs[*at]) {
            let mut first: HashMap<usize, usize> = HashMap::new();
            for (node, trial) in pair.nodes.iter().zip(&pair.trials) {
                sets.join(*first.entry(*trial).or_insert(*node), *node);
            }
        }
        let (mut numbers, mut rows) = (HashMap::new(), Vec::new());
        for at in group {
            for (row, node) in pairs[*at].nodes.iter().enumerate() {
                let next = numbers.len();
                let unit = *numbers.entry(sets.root(*node)).or_insert(next);
                rows.push((*at, row, unit));
            }
        }
        Units { rows, count: numbers.len() }
    }

    /// Per unit the mean of `value(pair, row)` over its rows that have one; and the rows that have.
    pub fn means(&self, value: impl Fn(usize, usize) -> Option<f64>) -> (Vec<Option<f64>>, usize) {
        let mut sums = vec![(0.0, 0usize); self.count];
        for (pair, row, unit) in &self.rows {
            if let Some(v) = value(*pair, *row) {
                sums[*unit].0 += v;
                sums[*unit].1 += 1;
            }
        }
        let used = sums.iter().map(|(_, n)| n).sum();
        (sums.iter().map(|(sum, n)| (*n > 0).then(|| sum / *n as f64)).collect(), used)
    }
}

/// The mean of the values of each unit, where those that share a seed on either side, (base, new),
/// are one.
pub(crate) fn by_seed(values: &[((u64, u64), f64)]) -> Vec<f64> {
    let mut sets = Sets::default();
    let mut numbers: HashMap<(bool, u64), usize> = HashMap::new();
    let mut number = |side: bool, seed: u64| {
        let next = numbers.len();
        *numbers.entry((side, seed)).or_insert(next)
    };
    let nodes: Vec<(usize, usize)> =
        values.iter().map(|((b, n), _)| (number(false, *b), number(true, *n))).collect();
    nodes.iter().for_each(|(b, n)| sets.join(*b, *n));
    let mut units: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for ((b, _), (_, value)) in nodes.iter().zip(values) {
        units.entry(sets.root(*b)).or_default().push(*value);
    }
    units.values().filter_map(|values| record::stats::mean(values)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::State;

    fn pair(nodes: &[usize], trials: &[usize]) -> Pair {
        Pair {
            base: 0,
            new: 0,
            state: State::Compared,
            cell: String::new(),
            attack: String::new(),
            world: String::new(),
            defended: false,
            doubt: None,
            nodes: nodes.to_vec(),
            trials: trials.to_vec(),
            columns: Vec::new(),
            lost: Vec::new(),
            twin: None,
        }
    }

    #[test]
    fn shared_images_count_once() {
        let pairs = [pair(&[0, 1, 2], &[0, 1, 2]), pair(&[0, 1, 2], &[0, 1, 2])];
        let units = Units::new(&pairs, &[0, 1]);
        let (means, used) = units.means(|pair, row| Some((pair * 10 + row) as f64));
        assert_eq!((means, used), (vec![Some(5.0), Some(6.0), Some(7.0)], 6));
    }

    #[test]
    fn a_shared_seed_is_one_unit() {
        let values = [((0, 5), 1.0), ((0, 6), 3.0), ((1, 7), 5.0), ((2, 6), 5.0)];
        assert_eq!(by_seed(&values), [3.0, 5.0]);
    }

    #[test]
    fn a_trial_ties_its_images_together() {
        // The second cell reconstructs images 1 and 2 at once, the third 2 and 3: all three hang
        // together.
        let pairs =
            [pair(&[0, 1, 2, 3], &[0, 1, 2, 3]), pair(&[1, 2], &[0, 0]), pair(&[2, 3], &[0, 0])];
        let value = |_: usize, row: usize| (row != 3).then_some(1.0);
        let (means, used) = Units::new(&pairs, &[0, 1, 2]).means(value);
        assert_eq!((means, used), (vec![Some(1.0), Some(1.0)], 7));
        let (alone, _) = Units::new(&pairs, &[0]).means(value);
        assert_eq!(alone, [Some(1.0), Some(1.0), Some(1.0), None]);
    }
}
