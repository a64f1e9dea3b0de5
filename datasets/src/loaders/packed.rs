//! Files that hold many images each (IDX, CIFAR-10, `.npz`): a file's pixels are read at the first
//! use of one of them.

use rayon::prelude::*;
use suites::Split;
use tch::Tensor;

use super::lazy::Lazy;
use crate::dataset::{check_ids, split_index};
use crate::formats::resize::{Pixels, square};
use crate::{Batch, Card, Dataset, DatasetError, LabelKind};

/// One file (or array) of images with their labels.
pub(crate) struct Source {
    /// `[n, label_width]`.
    pub labels: Lazy<Vec<u8>>,
    /// `[n, H, W, C]`.
    pub pixels: Lazy<Vec<u8>>,
}

/// The examples `start..start + len` of a source.
pub(crate) struct Segment {
    pub source: usize,
    pub start: usize,
    pub len: usize,
}

/// The data set made of such files.
pub(crate) struct Packed {
    pub card: Card,
    /// Height and width as stored.
    pub stored: (usize, usize),
    /// Square side to resize to, where one is asked for.
    pub size: Option<usize>,
    pub sources: Vec<Source>,
    /// Train, val, test.
    pub splits: [Vec<Segment>; 3],
}

/// The segments of the range `from..to` over sources of lengths `lens`, laid end to end.
pub(crate) fn segments(lens: &[usize], from: usize, to: usize) -> Vec<Segment> {
    let mut offset = 0;
    let mut found = Vec::new();
    for (source, &len) in lens.iter().enumerate() {
        let (start, end) = (from.clamp(offset, offset + len), to.clamp(offset, offset + len));
        if end > start {
            found.push(Segment { source, start: start - offset, len: end - start });
        }
        offset += len;
    }
    found
}

impl Packed {
    /// Sets the card's shape from `stored` and `size`.
    pub(crate) fn sized(mut self) -> Self {
        let (height, width) = self.size.map_or(self.stored, |s| (s, s));
        (self.card.height, self.card.width) = (height, width);
        self
    }

    fn locate(&self, split: Split, id: usize) -> Result<(&Source, usize), DatasetError> {
        check_ids(&self.card.name, split, &[id], self.len(split))?;
        let mut left = id;
        for segment in &self.splits[split_index(split)] {
            if left < segment.len {
                return Ok((&self.sources[segment.source], segment.start + left));
            }
            left -= segment.len;
        }
        Err(DatasetError::request(&self.card.name, format!("example {id}"), "ask for a smaller id"))
    }

    fn label_width(&self) -> usize {
        if self.card.labels == LabelKind::MultiLabel { self.card.classes } else { 1 }
    }

    fn labels(&self, split: Split, id: usize) -> Result<&[u8], DatasetError> {
        let (source, at) = self.locate(split, id)?;
        let width = self.label_width();
        source.labels.get()?.get(at * width..(at + 1) * width).ok_or_else(|| self.shrunk())
    }

    /// A file that held more when its header was read.
    fn shrunk(&self) -> DatasetError {
        DatasetError::request(
            &self.card.name,
            "a file has become shorter since the data set was opened",
            "leave the files alone during a run, and start again",
        )
    }

    fn write(&self, split: Split, id: usize, out: &mut [f32]) -> Result<(), DatasetError> {
        let (source, at) = self.locate(split, id)?;
        let (height, width) = self.stored;
        let bytes = height * width * self.card.channels;
        let image =
            source.pixels.get()?.get(at * bytes..(at + 1) * bytes).ok_or_else(|| self.shrunk())?;
        if (self.card.height, self.card.width) == self.stored {
            planes(image, self.card.channels, out);
        } else {
            let pixels =
                Pixels { channels: self.card.channels, height, width, data: image.to_vec() };
            planes(&square(&pixels, self.card.height).data, self.card.channels, out);
        }
        Ok(())
    }
}

/// `[H, W, C]` bytes to `[C, H, W]` values, exactly `u8 / 255`.
pub(crate) fn planes(interleaved: &[u8], channels: usize, out: &mut [f32]) {
    let area = interleaved.len() / channels;
    for (i, pixel) in interleaved.chunks_exact(channels).enumerate() {
        for (c, &value) in pixel.iter().enumerate() {
            out[c * area + i] = f32::from(value) / 255.0;
        }
    }
}

/// Fills `[B, C, H, W]`, one example per call of `write`, in parallel.
pub(crate) fn images(
    card: &Card,
    ids: &[usize],
    write: impl Fn(usize, &mut [f32]) -> Result<(), DatasetError> + Sync,
) -> Result<Tensor, DatasetError> {
    let each = card.channels * card.height * card.width;
    let mut values = vec![0f32; ids.len() * each];
    values.par_chunks_mut(each).zip(ids).try_for_each(|(out, &id)| write(id, out))?;
    let shape = [ids.len(), card.channels, card.height, card.width].map(|d| d as i64);
    Ok(Tensor::from_slice(&values).view(shape))
}

impl Dataset for Packed {
    fn card(&self) -> &Card {
        &self.card
    }

    fn len(&self, split: Split) -> usize {
        self.splits[split_index(split)].iter().map(|s| s.len).sum()
    }

    fn label(&self, split: Split, id: usize) -> Result<i64, DatasetError> {
        let labels = self.labels(split, id)?;
        Ok(match self.card.labels {
            LabelKind::MultiClass => i64::from(labels[0]),
            LabelKind::MultiLabel => labels.iter().position(|&l| l == 1).map_or(-1, |k| k as i64),
        })
    }

    fn batch(&self, split: Split, ids: &[usize]) -> Result<Batch, DatasetError> {
        check_ids(&self.card.name, split, ids, self.len(split))?;
        let mut labels = Vec::with_capacity(ids.len() * self.label_width());
        for &id in ids {
            labels.extend_from_slice(self.labels(split, id)?);
        }
        let y = match self.card.labels {
            LabelKind::MultiClass => {
                Tensor::from_slice(&labels.iter().map(|&l| i64::from(l)).collect::<Vec<_>>())
            }
            LabelKind::MultiLabel => {
                let ones: Vec<f32> = labels.iter().map(|&l| f32::from(l)).collect();
                Tensor::from_slice(&ones).view([ids.len() as i64, self.card.classes as i64])
            }
        };
        let x = images(&self.card, ids, |id, out| self.write(split, id, out))?;
        Ok(Batch { x, y, ids: ids.to_vec() })
    }

    fn problems(&self, split: Split) -> Vec<DatasetError> {
        let used = self.splits[split_index(split)].iter().map(|s| &self.sources[s.source]);
        used.flat_map(|s| [s.labels.get().err(), s.pixels.get().err()]).flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn segments_cover_exactly_the_range(
            lens in proptest::collection::vec(0usize..9, 0..6),
            a in 0usize..40,
            b in 0usize..40,
        ) {
            let total: usize = lens.iter().sum();
            let (from, to) = (a.min(total), b.min(total));
            let ids = |(s, &n): (usize, &usize)| (0..n).map(move |i| (s, i));
            let flat: Vec<(usize, usize)> = lens.iter().enumerate().flat_map(ids).collect();
            let found: Vec<(usize, usize)> = segments(&lens, from, to).iter()
                .flat_map(|s| (s.start..s.start + s.len).map(|i| (s.source, i))).collect();
            prop_assert_eq!(found, flat.get(from..to).unwrap_or(&[]).to_vec());
        }
    }

    #[test]
    fn planes_are_exact_quotients() {
        let mut out = [0f32; 6];
        planes(&[0, 1, 2, 255, 128, 3], 3, &mut out);
        assert_eq!(out, [0.0, 1.0, 1.0 / 255.0, 128.0 / 255.0, 2.0 / 255.0, 3.0 / 255.0]);
    }
}
