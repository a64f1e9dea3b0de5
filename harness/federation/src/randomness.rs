//! Where a federation's cohorts, batches, noise and protocol secrets are drawn from: a published
//! seed, or a root that the operating system drew and that never leaves the training's folder.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use suites::foreign::{self, limits};
use suites::rng;
use zeroize::Zeroizing;

use crate::FederationError;

/// What a seeded training with a private mechanism says on everything that it writes.
pub const SIMULATED: &str = "simulated: noise and sampling follow from the published seed \
    (--reproducible), so there is no guarantee outside this run";

/// Name of the file with the root, beside the training until its last round.
const FILE: &str = "randomness.secret";
const TITLE: &str = "bench randomness 1";

/// The root of all draws but first weights and partition, which are public.
pub enum Randomness {
    /// Follows from the seed of the spec: anybody can draw the same.
    Seeded(u64),
    /// 256 bits of the operating system.
    Secret(Zeroizing<[u8; 32]>),
}

/// Where a training's draws come from, as its folder and its model say.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Draws {
    /// From the seed; no mechanism claims a guarantee that rests on them.
    #[default]
    Seeded,
    /// From the operating system: a mechanism claims a guarantee.
    OperatingSystem,
    /// From the seed although a mechanism claims a guarantee, as the user asked.
    Reproducible,
}

impl Draws {
    /// Those of a training whose mechanisms claim a guarantee or do not.
    pub fn of(private: bool, reproducible: bool) -> Draws {
        match (private, reproducible) {
            (false, _) => Draws::Seeded,
            (true, false) => Draws::OperatingSystem,
            (true, true) => Draws::Reproducible,
        }
    }

    /// What has to be said wherever a guarantee is read.
    pub fn caution(self) -> Option<&'static str> {
        (self == Draws::Reproducible).then_some(SIMULATED)
    }
}

impl Randomness {
    /// An independent stream for the key and the purpose.
    pub fn stream(&self, key: &str, purpose: &str) -> ChaCha12Rng {
        match self {
            Randomness::Seeded(seed) => rng::stream(*seed, key, purpose),
            Randomness::Secret(root) => rng::secret_stream(root, key, purpose),
        }
    }

    /// A root that was never used.
    ///
    /// # Errors
    /// A system without randomness.
    pub fn fresh() -> Result<Randomness, FederationError> {
        let mut root = Zeroizing::new([0u8; 32]);
        getrandom::fill(root.as_mut()).map_err(|error| {
            FederationError::Training(format!("the operating system gives no randomness: {error}"))
        })?;
        Ok(Randomness::Secret(root))
    }

    /// The root of the training in a folder: the one it began with, or a new one, stored for its
    /// owner alone, where it has not begun.
    ///
    /// # Errors
    /// A file that others can read or that is not whole; none, although the training has begun.
    pub fn kept(dir: &Path, begun: bool) -> Result<Randomness, FederationError> {
        let path = dir.join(FILE);
        if path.symlink_metadata().is_ok() {
            return read(&path);
        }
        if begun {
            let remedy = "without it the training cannot go on; start in a new folder";
            return Err(wrong(&path, &format!("is missing; {remedy}")));
        }
        let fresh = Randomness::fresh()?;
        if let Randomness::Secret(root) = &fresh {
            write(&path, root)?;
        }
        Ok(fresh)
    }

    /// Removes the root of a training that is done: with it anybody could take the noise off.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn forget(dir: &Path) -> Result<(), FederationError> {
        let path = dir.join(FILE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(io("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Randomness::Seeded(_) => "seeded",
            Randomness::Secret(_) => "secret",
        })
    }
}

fn write(path: &Path, root: &[u8; 32]) -> Result<(), FederationError> {
    let hex: String = root.iter().map(|byte| format!("{byte:02x}")).collect();
    let text = Zeroizing::new(format!("{TITLE}\n{}\n", Zeroizing::new(hex).as_str()));
    // Under its name only when it is whole: a training that is killed here has not begun.
    let new = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&new).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, path)
    });
    written.map_err(|error| {
        let _ = std::fs::remove_file(&new);
        io("write", path)(error)
    })
}

fn read(path: &Path) -> Result<Randomness, FederationError> {
    let (mut file, _) = foreign::open(path, &limits::KEY).map_err(io("read", path))?;
    owned(path, &file)?;
    let mut text = Zeroizing::new([0u8; 128]);
    let mut held = 0;
    loop {
        match file.read(&mut text[held..]).map_err(io("read", path))? {
            0 => break,
            more => held += more,
        }
    }
    let root = std::str::from_utf8(&text[..held]).ok().and_then(parsed);
    root.map(Randomness::Secret).ok_or_else(|| {
        wrong(path, "is not whole; without it the training cannot go on; start in a new folder")
    })
}

fn parsed(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let hex = text.strip_prefix(TITLE)?.strip_prefix('\n')?.strip_suffix('\n')?;
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    let mut root = Zeroizing::new([0u8; 32]);
    for (byte, at) in root.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    Some(root)
}

/// Refuses a secret that is not its owner's alone.
fn owned(path: &Path, file: &File) -> Result<(), FederationError> {
    let about = file.metadata().map_err(io("read", path))?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o077 != 0 {
        return Err(wrong(
            path,
            "can be read by others, who could take the noise off the model; start in a new folder, \
             or write `chmod 600` where nobody has",
        ));
    }
    Ok(())
}

fn wrong(path: &Path, problem: &str) -> FederationError {
    FederationError::Weights(format!("{}: {problem}", path.display()))
}

fn io(what: &'static str, path: &Path) -> impl Fn(std::io::Error) -> FederationError {
    let path: PathBuf = path.into();
    move |source| FederationError::Io { what, path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use rand::RngCore;

    use super::*;

    fn draw(randomness: &Randomness) -> u64 {
        randomness.stream("cell", "noise").next_u64()
    }

    #[test]
    fn a_root_is_kept_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let first = Randomness::kept(dir.path(), false).unwrap();
        let again = Randomness::kept(dir.path(), true).unwrap();
        assert_eq!(draw(&first), draw(&again));
        Randomness::forget(dir.path()).unwrap();
        Randomness::forget(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        let said = Randomness::kept(dir.path(), true).unwrap_err().to_string();
        assert!(said.contains("randomness.secret: is missing"), "{said}");
        assert_ne!(draw(&Randomness::kept(dir.path(), false).unwrap()), draw(&first));
    }

    /// Not even a root that is a seed's bytes gives a seed's stream.
    #[test]
    fn no_seed_gives_a_secret_stream() {
        let root = |seed: u64| {
            let mut root = Zeroizing::new([0u8; 32]);
            root[..8].copy_from_slice(&seed.to_le_bytes());
            Randomness::Secret(root)
        };
        assert!((0..64).all(|seed| draw(&root(seed)) != draw(&Randomness::Seeded(seed))));
        assert_ne!(draw(&Randomness::fresh().unwrap()), draw(&Randomness::fresh().unwrap()));
    }

    #[cfg(unix)]
    #[test]
    fn what_others_can_read_or_is_cut_short_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        Randomness::kept(dir.path(), false).unwrap();
        let path = dir.path().join(FILE);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let said = Randomness::kept(dir.path(), true).unwrap_err().to_string();
        assert!(said.contains("can be read by others"), "{said}");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            assert!(Randomness::kept(dir.path(), true).is_err(), "{len} bytes");
        }
        std::fs::write(&path, [whole.as_slice(), &[b'x'; 200]].concat()).unwrap();
        assert!(Randomness::kept(dir.path(), true).is_err());
    }
}
