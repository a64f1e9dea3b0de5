//! Data sets that lie as files below a data root, in the formats their authors publish them in.

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
mod places;
mod recordio;
mod table;
mod wdbc_file;

pub(crate) use folder::open_at as open_folder;
pub use identities::knows_unseen;
pub(crate) use identities::{IDENTITY, UNSEEN};
pub(crate) use medmnist::open_named as open_npz;
pub(crate) use recordio::open_at as open_recordio;

use crate::DatasetEntry;

/// Registry lines of the data sets that are read from files.
pub static ENTRIES: &[&DatasetEntry] = &concat(
    [
        &celeba::ENTRY,
        &casia::ENTRY,
        &mnist::ENTRY,
        &cifar10::ENTRY,
        &folder::ENTRY,
        &wdbc_file::ENTRY,
    ],
    medmnist::ENTRIES,
);

const fn concat(
    own: [&'static DatasetEntry; 6],
    more: [&'static DatasetEntry; 12],
) -> [&'static DatasetEntry; 18] {
    let mut all = [own[0]; 18];
    let mut i = 0;
    while i < 18 {
        all[i] = if i < 6 { own[i] } else { more[i - 6] };
        i += 1;
    }
    all
}

/// How many examples are held out of `n` where a set has no split of its own: the last tenth, at
/// most 5,000.
pub(crate) fn held_out(n: usize) -> usize {
    (n / 10).min(5000)
}
