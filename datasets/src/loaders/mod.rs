//! Data sets that lie as files below a data root, in the formats their authors publish them in.

mod celeba;
mod cifar10;
mod folder;
mod image_files;
mod lazy;
mod medmnist;
mod medmnist_sets;
mod mnist;
mod packed;
mod places;
mod table;
mod wdbc_file;

pub(crate) use folder::open_at as open_folder;
pub(crate) use medmnist::open_named as open_npz;

use crate::DatasetEntry;

/// Registry lines of the data sets that are read from files.
pub static ENTRIES: &[&DatasetEntry] = &concat(
    [&celeba::ENTRY, &mnist::ENTRY, &cifar10::ENTRY, &folder::ENTRY, &wdbc_file::ENTRY],
    medmnist::ENTRIES,
);

const fn concat(
    own: [&'static DatasetEntry; 5],
    more: [&'static DatasetEntry; 12],
) -> [&'static DatasetEntry; 17] {
    let mut all = [own[0]; 17];
    let mut i = 0;
    while i < 17 {
        all[i] = if i < 5 { own[i] } else { more[i - 5] };
        i += 1;
    }
    all
}

/// How many examples are held out of `n` where a set has no split of its own: the last tenth, at most 5,000.
pub(crate) fn held_out(n: usize) -> usize {
    (n / 10).min(5000)
}
