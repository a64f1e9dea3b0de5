//! What a caller asks of a data set, and the checks that loaders share.

use std::path::Path;

use crate::DatasetError;

/// Largest side that images are resized to, in pixels.
const MAX_SIDE: usize = 4096;

/// Options for opening a data set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The data root; embedded sets need none.
    pub root: Option<&'a Path>,
    /// Side of the square images in pixels; `None` is the set's own.
    pub size: Option<usize>,
    /// Which attribute is the label (CelebA, synthetic faces); `None` is the set's own.
    pub label: Option<&'a str>,
    /// Keep only the first so many examples of every split.
    pub limit: Option<usize>,
    /// Seed of procedural data.
    pub seed: u64,
}

impl Request<'_> {
    /// Refuses a choice of label where the set `name` has but one.
    ///
    /// # Errors
    /// [`DatasetError::Request`] when `label` is given.
    pub fn refuse_label(&self, name: &str) -> Result<(), DatasetError> {
        match self.label {
            None => Ok(()),
            Some(label) => Err(DatasetError::request(
                name,
                format!("no choice of labels, but `{label}` was asked for"),
                "leave `label` out",
            )),
        }
    }

    /// Refuses a size where the set `name` is a table.
    ///
    /// # Errors
    /// [`DatasetError::Request`] when `size` is given.
    pub fn refuse_size(&self, name: &str) -> Result<(), DatasetError> {
        match self.size {
            None => Ok(()),
            Some(size) => {
                let problem = format!("size {size}, but it is a table");
                Err(DatasetError::request(name, problem, "leave `size` out"))
            }
        }
    }

    /// Refuses a size other than the only one that the set `name` has.
    ///
    /// # Errors
    /// [`DatasetError::Request`] when `size` is given and not `side`.
    pub fn require_size(&self, name: &str, side: usize) -> Result<(), DatasetError> {
        match self.size {
            Some(size) if size != side => Err(DatasetError::request(
                name,
                format!("size {size}, but its images are {side}x{side}"),
                format!("leave `size` out or set it to {side}"),
            )),
            _ => Ok(()),
        }
    }

    /// The requested side in pixels, for a set whose images can be resized.
    ///
    /// # Errors
    /// [`DatasetError::Request`] for 0 and above 4,096.
    pub(crate) fn checked_size(&self, name: &str) -> Result<Option<usize>, DatasetError> {
        match self.size {
            Some(size) if size == 0 || size > MAX_SIDE => {
                let remedy = format!("ask for 1 to {MAX_SIDE} pixels");
                Err(DatasetError::request(name, format!("size {size}"), remedy))
            }
            size => Ok(size),
        }
    }
}
