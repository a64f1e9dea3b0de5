//! Files that hold one image each (CelebA, class folders): decoded when they are asked for.

use std::path::PathBuf;

use rayon::prelude::*;
use suites::Split;
use suites::foreign::limits;
use tch::Tensor;

use super::packed::{images, planes};
use super::places;
use crate::dataset::{check_ids, split_index};
use crate::formats::image_file::decode_square;
use crate::formats::resize::Pixels;
use crate::{Batch, Card, Dataset, DatasetError, LabelKind};

/// One listed image.
#[derive(Clone)]
pub(crate) struct Item {
    /// Path below the data set's folder.
    pub file: Box<str>,
    /// Class number.
    pub label: u32,
    /// In a multi-label set: bit k is set where label k holds.
    pub marks: u64,
    /// Who is in the picture, where that is known.
    pub identity: Option<u64>,
}

/// The data set made of such files; colour, square.
pub(crate) struct ImageFiles {
    pub card: Card,
    /// The folder that the items' paths start from.
    pub dir: PathBuf,
    /// Train, val, test.
    pub splits: [Vec<Item>; 3],
}

impl ImageFiles {
    fn item(&self, split: Split, id: usize) -> Result<&Item, DatasetError> {
        check_ids(&self.card.name, split, &[id], self.len(split))?;
        Ok(&self.splits[split_index(split)][id])
    }

    /// `i64 [B]`, or `f32 [B, classes]` of a multi-label set.
    fn targets(&self, split: Split, ids: &[usize]) -> Result<Tensor, DatasetError> {
        if self.card.labels == LabelKind::MultiClass {
            let labels: Vec<i64> =
                ids.iter().map(|&id| self.label(split, id)).collect::<Result<_, _>>()?;
            return Ok(Tensor::from_slice(&labels));
        }
        let mut ones = Vec::with_capacity(ids.len() * self.card.classes);
        for &id in ids {
            let marks = self.item(split, id)?.marks;
            ones.extend((0..self.card.classes).map(|k| (marks >> k & 1) as f32));
        }
        Ok(Tensor::from_slice(&ones).view([ids.len() as i64, self.card.classes as i64]))
    }

    fn decode(&self, item: &Item) -> Result<Pixels, DatasetError> {
        let path = self.dir.join(&*item.file);
        decode_square(&places::read(&path, &limits::PICTURE)?, self.card.height)
            .map_err(|e| e.at(&path))
    }
}

impl Dataset for ImageFiles {
    fn card(&self) -> &Card {
        &self.card
    }

    fn len(&self, split: Split) -> usize {
        self.splits[split_index(split)].len()
    }

    fn label(&self, split: Split, id: usize) -> Result<i64, DatasetError> {
        let item = self.item(split, id)?;
        Ok(match self.card.labels {
            LabelKind::MultiClass => i64::from(item.label),
            LabelKind::MultiLabel if item.marks == 0 => -1,
            LabelKind::MultiLabel => i64::from(item.marks.trailing_zeros()),
        })
    }

    fn identity(&self, split: Split, id: usize) -> Option<u64> {
        self.splits[split_index(split)].get(id)?.identity
    }

    fn batch(&self, split: Split, ids: &[usize]) -> Result<Batch, DatasetError> {
        check_ids(&self.card.name, split, ids, self.len(split))?;
        let y = self.targets(split, ids)?;
        let x = images(&self.card, ids, |id, out| {
            planes(&self.decode(self.item(split, id)?)?.data, self.card.channels, out);
            Ok(())
        })?;
        Ok(Batch { x, y, ids: ids.to_vec() })
    }

    fn problems(&self, split: Split) -> Vec<DatasetError> {
        self.splits[split_index(split)]
            .par_iter()
            .filter_map(|item| self.decode(item).err())
            .collect()
    }
}
