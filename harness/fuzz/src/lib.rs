//! Any bytes into every parser of what comes from elsewhere.
//!
//! A [`Target`] is one parser, or a few that read the same kind of file: it returns whatever the
//! bytes, what it returns is consistent, and reading costs no more memory than a file of that size
//! may ([`suites::foreign`]). The bodies are here once. Tests run them on damaged samples, the
//! binary `fuzz` runs them in a mutating loop on any compiler, and `libfuzzer/`, a workspace of its
//! own, hands them to libFuzzer. `docs/security.md` has the table of parsers and what was run.

pub mod memory;
pub mod mutate;
pub mod samples;
pub mod targets;

use std::path::Path;
use std::time::{Duration, Instant};

use suites::foreign::Limit;

pub use targets::all;

/// Bytes that decoders' tables, messages of errors and temporary files may take beside a budget.
const ROOM: u64 = 8 << 20;
/// The longest that reading one input may take: inputs have at most 64 KiB.
pub const LONGEST: Duration = Duration::from_secs(10);

/// A parser under test.
pub struct Target {
    /// Its name on command lines and in `docs/security.md`.
    pub name: &'static str,
    /// What a file of its kind may cost.
    pub limit: &'static Limit,
    /// Reads the bytes; panics where what was read is not consistent.
    pub check: fn(&[u8]),
    /// Sound inputs to start from, a few kB.
    pub samples: fn() -> Vec<Vec<u8>>,
}

/// The target called `name`.
pub fn find(name: &str) -> Option<&'static Target> {
    all().find(|target| target.name == name)
}

impl Target {
    /// Writes the samples into a folder: a corpus for libFuzzer.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let mut samples = (self.samples)().into_iter().enumerate();
        samples.try_for_each(|(at, bytes)| std::fs::write(folder.join(format!("{at:02}")), bytes))
    }

    /// Checks one input: consistency, memory and time.
    ///
    /// # Panics
    /// Where any of them does not hold.
    pub fn run(&self, bytes: &[u8]) {
        let begun = Instant::now();
        let peak = memory::peak_of(|| (self.check)(bytes));
        let most = self.limit.most(bytes.len() as u64) + ROOM;
        assert!(
            peak as u64 <= most,
            "{}: {peak} bytes held for {} bytes, more than {most}",
            self.name,
            bytes.len()
        );
        let took = begun.elapsed();
        assert!(took < LONGEST, "{}: {took:?} for {} bytes", self.name, bytes.len());
    }
}

/// Hands `bytes` to a reader of files, under `name` in a folder of this thread's own.
pub fn on_disk(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    thread_local! {
        static FOLDER: tempfile::TempDir = folder();
    }
    FOLDER.with(|folder| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a temporary file");
        read(&path);
    });
}

/// A folder in memory where the system has one: millions of inputs are written there.
fn folder() -> tempfile::TempDir {
    let shared = Path::new("/dev/shm");
    let made = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}
