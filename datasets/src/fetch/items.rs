//! What can be fetched: addresses, sizes and checksums as their publishers give them, and what has
//! to be put in place by hand.

use super::Checksum;
use super::Checksum::{Md5, Sha256};

/// Something that belongs below the data root.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// The name it is fetched by: that of the data set, where it is one.
    pub name: &'static str,
    /// One line on what it is.
    pub title: &'static str,
    /// Its folder below the data root.
    pub folder: &'static str,
    /// Licence or terms of use.
    pub licence: &'static str,
    /// Download, or instructions.
    pub how: How,
}

/// Where an item comes from.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// These files, downloaded.
    Files(&'static [Remote]),
    /// By the user.
    ByHand {
        /// Page to get it from.
        home: &'static str,
        /// Why it is not downloaded.
        why: &'static str,
        /// What to put where; `{folder}` stands for the item's folder.
        steps: &'static str,
    },
}

/// One file to download.
#[derive(Clone, Copy, Debug)]
pub struct Remote {
    /// Public addresses, tried in order.
    pub urls: &'static [&'static str],
    /// Name of the file, in the item's folder and on a mirror.
    pub file: &'static str,
    /// Size.
    pub size: Size,
    /// Published checksum.
    pub checksum: Checksum,
    /// For a `.tar.gz`: what to take out of it. Empty: the file is kept as it is.
    pub unpack: &'static [Member],
}

/// A file within an archive.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its path in the archive.
    pub path: &'static str,
    /// Its name in the item's folder.
    pub file: &'static str,
    /// Its exact size in bytes.
    pub bytes: u64,
}

/// Size of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Published to the byte.
    Exact(u64),
    /// Published in round figures, in bytes.
    About(u64),
}

impl Size {
    /// The size in bytes, exact or not.
    pub fn about(self) -> u64 {
        match self {
            Size::Exact(bytes) | Size::About(bytes) => bytes,
        }
    }

    /// The size where it is known to the byte.
    pub fn exact(self) -> Option<u64> {
        match self {
            Size::Exact(bytes) => Some(bytes),
            Size::About(_) => None,
        }
    }

    /// More than this is certainly not the file.
    pub(super) fn most(self) -> u64 {
        match self {
            Size::Exact(bytes) => bytes,
            Size::About(bytes) => bytes.saturating_mul(4),
        }
    }
}

const KB: u64 = 1000;
const MB: u64 = 1000 * KB;

macro_rules! mnist {
    ($file:literal, $bytes:literal, $sha:literal) => {
        Remote {
            urls: &[
                concat!("https://ossci-datasets.s3.amazonaws.com/mnist/", $file),
                concat!("https://storage.googleapis.com/cvdf-datasets/mnist/", $file),
            ],
            file: $file,
            size: Size::Exact($bytes),
            checksum: Sha256($sha),
            unpack: &[],
        }
    };
}

macro_rules! cifar {
    ($file:literal) => {
        Member { path: concat!("cifar-10-batches-bin/", $file), file: $file, bytes: 30_730_000 }
    };
}

macro_rules! medmnist {
    ($name:literal, $size:expr, $md5:literal) => {
        medmnist!($name, $size, $md5, "CC BY 4.0")
    };
    ($name:literal, $size:expr, $md5:literal, $licence:literal) => {
        Item {
            name: $name,
            title: concat!("MedMNIST v2 set ", $name, ", 28x28"),
            folder: "medmnist",
            licence: $licence,
            how: How::Files(&[Remote {
                urls: &[concat!(
                    "https://zenodo.org/records/10519652/files/",
                    $name,
                    ".npz?download=1"
                )],
                file: concat!($name, ".npz"),
                size: Size::About($size),
                checksum: Md5($md5),
                unpack: &[],
            }]),
        }
    };
}

macro_rules! backbone {
    ($name:literal, $title:literal, $file:literal, $sha:literal, $size:expr) => {
        Item {
            name: $name,
            title: $title,
            folder: "lpips",
            licence: "BSD-3-Clause (torchvision); trained on ImageNet",
            how: How::Files(&[Remote {
                urls: &[concat!("https://download.pytorch.org/models/", $file)],
                file: $file,
                size: $size,
                checksum: Sha256($sha),
                unpack: &[],
            }]),
        }
    };
}

/// Everything that can be fetched or has to be put in place.
///
/// Every sum is a whole SHA-256, but for MedMNIST, whose `medmnist` package (3.0.2) publishes MD5
/// alone. MNIST's and CIFAR-10's are those of TensorFlow Datasets; those of PyTorch's checkpoints
/// begin with the eight digits in their names.
pub static ITEMS: &[Item] = &[
    Item {
        name: "mnist",
        title: "MNIST handwritten digits, 28x28",
        folder: "mnist",
        licence: "CC BY-SA 3.0",
        how: How::Files(&[
            mnist!(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
            ),
            mnist!(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
            ),
            mnist!(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
            ),
            mnist!(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
            ),
        ]),
    },
    Item {
        name: "cifar10",
        title: "CIFAR-10, binary version, 32x32 colour",
        folder: "cifar10",
        licence: "none stated; cite Krizhevsky, 2009",
        how: How::Files(&[Remote {
            urls: &["https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"],
            file: "cifar-10-binary.tar.gz",
            size: Size::Exact(170_052_171),
            checksum: Sha256("c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
            unpack: &[
                cifar!("data_batch_1.bin"),
                cifar!("data_batch_2.bin"),
                cifar!("data_batch_3.bin"),
                cifar!("data_batch_4.bin"),
                cifar!("data_batch_5.bin"),
                cifar!("test_batch.bin"),
            ],
        }]),
    },
    medmnist!("pathmnist", 206 * MB, "a8b06965200029087d5bd730944a56c1"),
    medmnist!("chestmnist", 83 * MB, "02c8a6516a18b556561a56cbdd36c4a8"),
    medmnist!("dermamnist", 20 * MB, "0744692d530f8e62ec473284d019b0c7", "CC BY-NC 4.0"),
    medmnist!("octmnist", 55 * MB, "c68d92d5b585d8d81f7112f81e2d0842"),
    medmnist!("pneumoniamnist", 4200 * KB, "28209eda62fecd6e6a2d98b1501bb15f"),
    medmnist!("retinamnist", 3300 * KB, "bd4c0672f1bba3e3a89f0e4e876791e4"),
    medmnist!("breastmnist", 560 * KB, "750601b1f35ba3300ea97c75c52ff8f6"),
    medmnist!("bloodmnist", 36 * MB, "7053d0359d879ad8a5505303e11de1dc"),
    medmnist!("tissuemnist", 125 * MB, "ebe78ee8b05294063de985d821c1c34b"),
    medmnist!("organamnist", 38 * MB, "68e3f8846a6bd62f0c9bf841c0d9eacc"),
    medmnist!("organcmnist", 16 * MB, "b9ceb9546e10131b32923c5bbeaea2b1"),
    medmnist!("organsmnist", 17 * MB, "9ab87b696fb54e2a387ebe992d6ed5f1"),
    backbone!(
        "lpips-squeeze",
        "SqueezeNet 1.1 for LPIPS",
        "squeezenet1_1-b8a52dc0.pth",
        "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
        Size::About(4960 * KB)
    ),
    backbone!(
        "lpips-alex",
        "AlexNet for LPIPS",
        "alexnet-owt-7be5be79.pth",
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
        Size::Exact(244_408_911)
    ),
    backbone!(
        "lpips-vgg",
        "VGG-16 for LPIPS",
        "vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        Size::Exact(553_433_881)
    ),
    Item {
        name: "lpips-heads",
        title: "linear heads of LPIPS v0.1",
        folder: "lpips",
        licence: "BSD-2-Clause",
        how: How::ByHand {
            home: "https://github.com/richzhang/PerceptualSimilarity",
            why: "nothing to fetch",
            steps: "the heads come with the program; only the backbones (lpips-squeeze, \
                lpips-alex, lpips-vgg) are fetched",
        },
    },
    Item {
        name: "celeba",
        title: "CelebA, aligned and cropped faces",
        folder: "celeba",
        licence: "non-commercial research only",
        how: How::ByHand {
            home: "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
            why: "its terms have to be accepted by hand",
            steps: "put the folder img_align_celeba/ and the lists list_attr_celeba.csv (or \
                .txt), list_eval_partition.csv (or .txt) and, for identities, identity_CelebA.txt \
                into {folder}",
        },
    },
    Item {
        name: "casia-webface",
        title: "CASIA-WebFace, faces of 10,575 people",
        folder: "casia-webface",
        licence: "research only",
        how: How::ByHand {
            home: "https://arxiv.org/abs/1411.7923",
            why: "it has no public address",
            steps: "put one folder of images per person into {folder} and open it as the data set \
                `folder:{folder}`",
        },
    },
];
