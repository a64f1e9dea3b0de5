//! What a file of each kind may cost. `docs/limits.md` has this table in words, and a test holds it
//! to these numbers.

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The limits of one kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The kind, as messages and the document call it.
    pub kind: &'static str,
    /// Bytes of the largest file that is opened.
    pub file: u64,
    /// Bytes that reading any file may hold, beside the file's own.
    pub base: u64,
    /// Bytes that it may hold more for each byte of the file.
    pub ratio: u64,
    /// Elements (values, rows, entries, cells) that may be built of one file.
    pub elements: u64,
    /// Seconds that building them may take.
    pub seconds: u64,
}

/// Pixels of the largest picture that is decoded.
pub const MOST_PIXELS: u64 = 64 * MIB;
/// Pixels of a picture that any file may hold.
pub const BASE_PIXELS: u64 = 4 * MIB;
/// Pixels more for each byte of the file: a quarter of a bit for each pixel.
pub const PIXELS_A_BYTE: u64 = 32;

/// Weights and updates: safetensors, `.pt`, `.pth`, `.ckpt`, trained models.
pub static CHECKPOINT: Limit = Limit {
    kind: "checkpoint",
    file: 8 * GIB,
    base: 64 * MIB,
    ratio: 4,
    elements: 4 * MIB,
    seconds: 120,
};

/// The description inside a model file, and the parameters of the model that it names.
pub static MODEL: Limit = Limit {
    kind: "model description",
    file: 4 * MIB,
    base: 64 * MIB,
    ratio: 16,
    elements: 256 * KIB,
    seconds: 60,
};

/// Arrays of a data set: IDX, `.npz`, CIFAR's binary files.
pub static ARRAYS: Limit = Limit {
    kind: "array file",
    file: 16 * GIB,
    base: 64 * MIB,
    ratio: 64,
    elements: 64 * KIB,
    seconds: 600,
};

/// Pictures: PNG, JPEG, BMP, PNM. Their pixels have limits of their own.
pub static PICTURE: Limit = Limit {
    kind: "picture",
    file: 256 * MIB,
    base: 64 * MIB,
    ratio: 512,
    elements: MOST_PIXELS,
    seconds: 600,
};

/// Tables and lists: CSV, `.idx`, `.lst`, lists of pairs, CelebA's lists.
pub static TABLE: Limit =
    Limit { kind: "table", file: GIB, base: 16 * MIB, ratio: 40, elements: 64 * MIB, seconds: 600 };

/// One record of a RecordIO file; the file itself is never held.
pub static RECORD: Limit = Limit {
    kind: "record",
    file: 1 << 40,
    base: 16 * MIB,
    ratio: 1,
    elements: 64 * MIB,
    seconds: 3600,
};

/// Records of runs and trainings: `cells.jsonl`, `run.json`, baselines, `records.csv`.
pub static RUN: Limit = Limit {
    kind: "run file",
    file: 4 * GIB,
    base: 64 * MIB,
    ratio: 32,
    elements: 64 * MIB,
    seconds: 600,
};

/// Suites, tasks and `bench.toml`.
pub static SUITE: Limit = Limit {
    kind: "suite",
    file: 4 * MIB,
    base: 64 * MIB,
    ratio: 64,
    elements: 100_000,
    seconds: 120,
};

/// Keys and ciphertexts, in files of this program and others'.
pub static KEY: Limit =
    Limit { kind: "key file", file: GIB, base: 16 * MIB, ratio: 8, elements: MIB, seconds: 60 };

/// Every kind, in the document's order.
pub static LIMITS: [&Limit; 9] =
    [&CHECKPOINT, &MODEL, &ARRAYS, &PICTURE, &TABLE, &RECORD, &RUN, &SUITE, &KEY];

impl Limit {
    /// Bytes that reading a file of `stored` bytes may hold, beside the file's own.
    pub fn most(&self, stored: u64) -> u64 {
        self.base.saturating_add(self.ratio.saturating_mul(stored))
    }
}

/// Pixels that a picture in a file of `stored` bytes may have.
pub fn pixels(stored: u64) -> u64 {
    BASE_PIXELS.saturating_add(PIXELS_A_BYTE.saturating_mul(stored)).min(MOST_PIXELS)
}
