//! Data sets read from files below a data root, in the formats of their authors.

mod casia;
mod celeba;
mod cifar10;
mod folder;
mod identities;
mod image_files;
mod lazy;
mod medmnist;
mod medmnist_sets;
mod mnist;
mod packed;
pub(crate) mod places;
mod recordio;

pub(crate) use folder::open_at as open_folder;
pub use identities::knows_unseen;
pub(crate) use identities::{IDENTITY, UNSEEN};
pub(crate) use medmnist::ENTRIES as MEDMNIST_ENTRIES;
pub(crate) use medmnist::open_named as open_npz;
pub(crate) use recordio::open_at as open_recordio;

use crate::DatasetEntry;
use crate::tables::wdbc;

/// Registry lines of the data sets that are read from files.
pub static ENTRIES: &[&DatasetEntry] =
    &[&celeba::ENTRY, &casia::ENTRY, &mnist::ENTRY, &cifar10::ENTRY, &folder::ENTRY, &wdbc::FILE];

/// How many examples are held out of `n` where a set has no split of its own: the last tenth, at
/// most 5,000.
pub(crate) fn held_out(n: usize) -> usize {
    (n / 10).min(5000)
}
