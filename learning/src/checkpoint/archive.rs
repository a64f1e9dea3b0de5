//! The zip container of `torch.save`: `<name>/data.pkl` and one entry `<name>/data/<key>` a
//! storage; not compressed, unless somebody zipped it again.

use super::contents::{Contents, contents};
use super::pickle::Machine;
use super::storage::{Source, byte_len};
use super::value::StorageRef;
use super::{Problem, Wanted};
use std::borrow::Cow;
use std::io::{Cursor, Read};
use suites::foreign::{self, Budget, limits, printable};
use zip::read::ZipFile;
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// The longest name of a byte order, and more.
const SHORT: u64 = 64;

struct Entries<'b> {
    zip: ZipArchive<Cursor<&'b [u8]>>,
    root: String,
    /// Whether values stand with their most significant byte first.
    big_endian: bool,
}

/// Reads the tensors of a zip file.
pub(super) fn read(bytes: &[u8], wanted: &Wanted) -> Result<Contents, Problem> {
    let mut source = Cursor::new(bytes);
    foreign::check_zip(&mut source).map_err(|e| Problem::malformed(0, e.to_string()))?;
    let zip = ZipArchive::new(source).map_err(|e| no_directory(&e))?;
    let root = root(&zip)?;
    let mut budget = Budget::new(&limits::CHECKPOINT, bytes.len() as u64);
    let mut entries = Entries { zip, root, big_endian: false };
    entries.big_endian = entries.is_big_endian()?;
    let size = entries.size("data.pkl")?;
    budget.hold(size)?;
    let program = entries.entry("data.pkl", size)?;
    let mut machine = Machine::within(&program, 0, budget);
    let (top, _) = machine.run()?;
    contents(&machine, top, &mut entries, wanted, machine.budget.clone())
}

fn no_directory(error: &ZipError) -> Problem {
    Problem::malformed(
        0,
        format!("the zip's directory, which stands at its end, is cut off or damaged ({error})"),
    )
}

/// The folder in which `torch.save` puts everything.
fn root(zip: &ZipArchive<Cursor<&[u8]>>) -> Result<String, Problem> {
    let names = || zip.file_names().flatten();
    let mut roots: Vec<String> = names().filter_map(|name| root_of(&name)).collect();
    // The first of the outermost.
    roots.sort_by_key(|root| root.matches('/').count());
    roots.into_iter().next().ok_or_else(|| {
        let what = if names().any(|name| name.ends_with(".npy")) {
            "arrays of numpy.savez; give the file the ending .npz".into()
        } else if names().any(|name| name.ends_with("models/model.json")) {
            "a network of torch.export.save; give it with --model".into()
        } else {
            let first = names().next().map_or("nothing".into(), |name| format!("`{name}`"));
            format!(
                "a zip archive without data.pkl, so not one of torch.save: it holds {}; unzip it \
                 and give the file inside",
                printable(&first)
            )
        };
        Problem::Unknown(what)
    })
}

/// What stands before `data.pkl`: a folder as `torch.save` makes it, or what zipping the parts of a
/// file again leaves.
fn root_of(name: &str) -> Option<String> {
    let root = name.strip_suffix("data.pkl")?;
    (root.is_empty() || root.ends_with('/')).then(|| root.to_owned())
}

impl<'b> Entries<'b> {
    fn is_big_endian(&mut self) -> Result<bool, Problem> {
        let name = self.full("byteorder");
        if self.zip.index_for_name(&name).is_none() {
            return Ok(false);
        }
        let size = self.size("byteorder")?;
        let order = if size > SHORT { Vec::new() } else { self.entry("byteorder", size)? };
        match &order[..] {
            b"little" => Ok(false),
            b"big" => Ok(true),
            _ => Err(Problem::malformed(0, "a byte order that is neither `little` nor `big`")),
        }
    }

    fn open(&mut self, name: &str) -> Result<ZipFile<'_, Cursor<&'b [u8]>>, Problem> {
        let name = self.full(name);
        let unread = |what: &dyn std::fmt::Display| {
            let name = printable(&name);
            Problem::Refused(format!("entry `{name}`: {what}; save it again with torch.save"))
        };
        let entry = self.zip.by_name(&name).map_err(|e| match e {
            ZipError::UnsupportedArchive(_) => unread(&e),
            e => damaged(&name, &e),
        })?;
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(unread(&format!("compressed by {}, not deflate", entry.compression())));
        }
        // Stored entries may lie over each other, and no longer than the file.
        if entry.compression() == CompressionMethod::Stored
            && entry.size() != entry.compressed_size()
        {
            return Err(damaged(&name, &"two lengths that differ"));
        }
        Ok(entry)
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.root)
    }

    /// Bytes that an entry says it has.
    fn size(&mut self, name: &str) -> Result<u64, Problem> {
        Ok(self.open(name)?.size())
    }

    /// The bytes of an entry, `size` of them; they are paid for before.
    fn entry(&mut self, name: &str, size: u64) -> Result<Vec<u8>, Problem> {
        let full = self.full(name);
        let damaged = |what: &dyn std::fmt::Display| damaged(&full, what);
        let entry = self.open(name)?;
        let stored = entry.crc32();
        let mut out = Vec::new();
        out.try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX))
            .map_err(|e| damaged(&e))?;
        entry.take(size).read_to_end(&mut out).map_err(|e| damaged(&e))?;
        if out.len() as u64 != size {
            return Err(damaged(&"it ends before its length"));
        }
        // PyTorch writes 0 where it is told to compute none.
        let found = crc32fast::hash(&out);
        if stored != 0 && stored != found {
            return Err(damaged(&format!(
                "its CRC-32 is {found:08x} where the zip says {stored:08x}"
            )));
        }
        Ok(out)
    }
}

fn damaged(name: &str, what: &dyn std::fmt::Display) -> Problem {
    Problem::malformed(0, format!("entry `{}`: {what}", printable(name)))
}

impl<'a> Source<'a> for Entries<'_> {
    fn bytes(&mut self, storage: &StorageRef<'a>) -> Result<Cow<'a, [u8]>, Problem> {
        let name = format!("data/{}", storage.key);
        let size = self.size(&name)?;
        if byte_len(storage).map(|n| n as u64) != Some(size) {
            return Err(Problem::malformed(
                0,
                format!(
                    "storage {} has {size} bytes, not those of {} {:?} values",
                    printable(storage.key),
                    storage.len,
                    storage.kind
                ),
            ));
        }
        let mut data = self.entry(&name, size)?;
        if self.big_endian {
            data.chunks_exact_mut(storage.kind.elt_size_in_bytes()).for_each(<[u8]>::reverse);
        }
        Ok(Cow::Owned(data))
    }
}
