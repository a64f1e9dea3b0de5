//! The zip container of `torch.save`: `<name>/data.pkl` and one uncompressed entry
//! `<name>/data/<key>` a storage.

use super::pickle::Machine;
use super::storage::{Source, build, byte_len};
use super::value::StorageRef;
use super::{Keep, Problem, rebuild};
use std::borrow::Cow;
use std::io::{Cursor, Read};
use suites::foreign::{self, Budget, limits};
use tch::Tensor;
use zip::{CompressionMethod, ZipArchive};

struct Entries<'b> {
    zip: ZipArchive<Cursor<&'b [u8]>>,
    root: String,
    /// Bytes that may still be read; overlapping entries cannot make a small file large.
    budget: u64,
}

/// Reads the state dict of a zip file.
pub(super) fn read(bytes: &[u8], keep: Keep) -> Result<Vec<(String, Tensor)>, Problem> {
    let damaged = |e: String| Problem::malformed(0, e);
    let mut source = Cursor::new(bytes);
    foreign::check_zip(&mut source).map_err(|e| damaged(e.to_string()))?;
    let zip = ZipArchive::new(source).map_err(|e| damaged(e.to_string()))?;
    let root = zip
        .file_names()
        .find_map(|name| name.strip_suffix("/data.pkl").filter(|r| !r.contains('/')))
        .ok_or_else(|| {
            Problem::Unknown("a zip archive without data.pkl, so not one of torch.save".into())
        })?
        .to_string();
    let mut entries = Entries { zip, root, budget: bytes.len() as u64 };
    entries.check_byte_order()?;
    let program = entries.entry("data.pkl")?;
    let budget = Budget::new(&limits::CHECKPOINT, bytes.len() as u64);
    let mut machine = Machine::within(&program, 0, budget);
    let (top, _) = machine.run()?;
    let named = rebuild::state_dict(&machine, top)?;
    build(named, &mut entries, keep, machine.budget.clone())
}

impl Entries<'_> {
    fn check_byte_order(&mut self) -> Result<(), Problem> {
        let name = format!("{}/byteorder", self.root);
        if self.zip.index_for_name(&name).is_none() || self.entry("byteorder")? == b"little" {
            return Ok(());
        }
        Err(Problem::Refused(
            "written on a big-endian machine; save it again on a little-endian one".into(),
        ))
    }

    fn entry(&mut self, name: &str) -> Result<Vec<u8>, Problem> {
        let name = format!("{}/{name}", self.root);
        let damaged = |e: String| Problem::malformed(0, format!("entry `{name}`: {e}"));
        let entry = self.zip.by_name(&name).map_err(|e| damaged(e.to_string()))?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(Problem::Refused(format!(
                "entry `{name}` is compressed, which torch.save never does"
            )));
        }
        self.budget = self
            .budget
            .checked_sub(entry.size())
            .ok_or_else(|| damaged("longer than the file".into()))?;
        let (size, at) = (entry.size(), entry.data_start());
        let mut out = Vec::with_capacity(size as usize);
        entry
            .take(size)
            .read_to_end(&mut out)
            .map_err(|e| Problem::malformed(at as usize, format!("entry `{name}`: {e}")))?;
        Ok(out)
    }
}

impl<'a> Source<'a> for Entries<'_> {
    fn bytes(&mut self, storage: &StorageRef<'a>) -> Result<Cow<'a, [u8]>, Problem> {
        let data = self.entry(&format!("data/{}", storage.key))?;
        if byte_len(storage) != Some(data.len()) {
            return Err(Problem::malformed(
                0,
                format!(
                    "storage {} has {} bytes, not those of {} {:?} values",
                    storage.key,
                    data.len(),
                    storage.len,
                    storage.kind
                ),
            ));
        }
        Ok(Cow::Owned(data))
    }
}
