//! Independent units: what is reconstructed together, or is the same image, counts once.
//!
//! Cells of one run attack the same images, under several seeds too, and the images of one capture
//! come out of one reconstruction. A unit is therefore a set of images that any capture ties
//! together. Where each capture holds one image, units are distinct images.

use crate::CellRecord;
use std::collections::{BTreeSet, HashMap};

/// Disjoint sets of numbers.
#[derive(Clone, Debug, Default)]
pub struct Sets(HashMap<usize, usize>);

impl Sets {
    /// The least number of the set that holds `of`.
    pub fn root(&mut self, of: usize) -> usize {
        let mut at = of;
        while let Some(up) = self.0.get(&at).copied().filter(|up| *up != at) {
            at = up;
        }
        self.0.insert(of, at);
        at
    }

    /// Makes one set of those that hold `a` and `b`.
    pub fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0.insert(a.max(b), a.min(b));
    }
}

/// The units of the images of some cells.
#[derive(Clone, Debug, Default)]
pub struct Units {
    sets: Sets,
    images: HashMap<(String, usize), usize>,
    captures: HashMap<(String, usize), usize>,
    next: usize,
}

impl Units {
    /// The units of all images of these cells.
    pub fn of_cells<'a>(cells: impl IntoIterator<Item = &'a CellRecord>) -> Self {
        let mut out = Units::default();
        for cell in cells {
            (0..cell.images.len()).for_each(|at| out.add(cell, at));
        }
        out
    }

    /// Adds the image at place `image` of a cell; adding it again changes nothing.
    pub fn add(&mut self, cell: &CellRecord, image: usize) {
        let next = &mut self.next;
        let mut number = |known: &mut HashMap<_, _>, key| {
            *known.entry(key).or_insert_with(|| {
                *next += 1;
                *next
            })
        };
        let own = number(&mut self.images, image_key(cell, image));
        let capture = (cell.id.to_string(), cell.images[image].trial);
        let capture = number(&mut self.captures, capture);
        self.sets.join(own, capture);
    }

    /// The unit of an image that was added, as a number; `None` of any other.
    pub fn unit(&mut self, cell: &CellRecord, image: usize) -> Option<usize> {
        let own = *self.images.get(&image_key(cell, image))?;
        Some(self.sets.root(own))
    }

    /// How many units there are.
    pub fn count(&mut self) -> usize {
        let Units { sets, images, .. } = self;
        images.values().map(|own| sets.root(*own)).collect::<BTreeSet<_>>().len()
    }
}

fn image_key(cell: &CellRecord, image: usize) -> (String, usize) {
    let task = &cell.spec.task;
    (format!("{} {}", task.dataset, task.split), cell.images[image].id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    #[test]
    fn an_image_under_three_seeds_is_one_unit() {
        let cells: Vec<CellRecord> = (0..3).map(|seed| record("dlg", seed, &[20.0; 5])).collect();
        let mut units = Units::of_cells(&cells);
        assert_eq!(units.count(), 5);
        assert_eq!(units.unit(&cells[0], 2), units.unit(&cells[2], 2));
        assert_ne!(units.unit(&cells[0], 2), units.unit(&cells[0], 3));
    }

    #[test]
    fn a_capture_ties_its_images_together() {
        let mut pairs = record("dlg", 0, &[20.0; 6]);
        pairs.images.iter_mut().enumerate().for_each(|(at, i)| i.trial = at / 2);
        assert_eq!(Units::of_cells([&pairs]).count(), 3);
        // Another cell reconstructs the second and the third pair's halves together.
        let mut other = record("idlg", 0, &[20.0; 2]);
        (other.images[0].id, other.images[1].id) = (3, 4);
        other.images.iter_mut().for_each(|i| i.trial = 0);
        assert_eq!(Units::of_cells([&pairs, &other]).count(), 2);
    }
}
