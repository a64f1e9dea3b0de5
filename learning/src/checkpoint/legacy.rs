//! The container of `torch.save` before 1.6: five pickles in a row (magic number, version, machine,
//! the object, the storages' keys), then each storage as a 64-bit element count and its raw values.

use super::contents::{Contents, contents};
use super::pickle::Machine;
use super::storage::{Source, byte_len};
use super::value::{Object, StorageRef, Value};
use super::{Problem, Wanted};
use std::borrow::Cow;
use std::collections::HashMap;

/// 0x1950a86a20f9469cfc6c, little-endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const VERSION: i64 = 1001;

struct Blocks<'a>(HashMap<&'a str, &'a [u8]>);

/// Reads the state dict of a legacy file.
pub(super) fn read(bytes: &[u8], wanted: &Wanted) -> Result<Contents, Problem> {
    let at = preamble(bytes)?;
    let mut machine = Machine::new(bytes, at);
    let (top, at) = machine.run()?;
    let mut keys = Machine::within(bytes, at, machine.budget.clone());
    let (list, at) = keys.run()?;
    let list = keys.items(list).ok_or_else(|| Problem::malformed(at, "no list of storage keys"))?;
    let mut blocks = blocks(bytes, at, list, &machine.storages)?;
    contents(&machine, top, &mut blocks, wanted, keys.budget.clone())
}

/// Checks magic, version and byte order; returns the offset behind them.
fn preamble(bytes: &[u8]) -> Result<usize, Problem> {
    let mut machine = Machine::new(bytes, 0);
    let (magic, at) = machine.run()?;
    if magic != Value::Long(&MAGIC) {
        return Err(Problem::Unknown(
            "a pickle, but not one of torch.save; save it with torch.save(model.state_dict(), \
             path)"
                .into(),
        ));
    }
    let (version, at) = Machine::new(bytes, at).run()?;
    if version != Value::Int(VERSION) {
        return Err(Problem::Refused(format!(
            "version {version:?} of the legacy format; {VERSION} is the only one known"
        )));
    }
    let mut machine = Machine::new(bytes, at);
    let (facts, at) = machine.run()?;
    let little = (Value::Text("little_endian"), Value::Bool(true));
    match machine.get(facts) {
        Some(Object::Dict(pairs)) if pairs.contains(&little) => Ok(at),
        _ => Err(Problem::Refused(
            "not written on a little-endian machine; save it again on one".into(),
        )),
    }
}

/// Cuts the rest of the file into the storages, in the order of their keys.
fn blocks<'a>(
    bytes: &'a [u8],
    mut at: usize,
    keys: &[Value<'a>],
    known: &HashMap<&'a str, StorageRef<'a>>,
) -> Result<Blocks<'a>, Problem> {
    let mut found = HashMap::new();
    for key in keys {
        let storage = match key {
            Value::Text(key) => known.get(key),
            _ => None,
        }
        .ok_or_else(|| Problem::malformed(at, "a storage that no tensor names"))?;
        let body = at.saturating_add(8);
        let count = bytes
            .get(at..body)
            .and_then(|b| b.try_into().ok())
            .map(u64::from_le_bytes)
            .ok_or_else(|| Problem::malformed(at, "the file ends before its storages"))?;
        if count != storage.len as u64 {
            return Err(Problem::malformed(
                at,
                format!("storage {} has {count} values, not {}", storage.key, storage.len),
            ));
        }
        let end = byte_len(storage).and_then(|n| n.checked_add(body));
        let block = end.and_then(|end| bytes.get(body..end)).ok_or_else(|| {
            Problem::malformed(at, format!("the file ends inside storage {}", storage.key))
        })?;
        at = body + block.len();
        found.insert(storage.key, block);
    }
    Ok(Blocks(found))
}

impl<'a> Source<'a> for Blocks<'a> {
    fn bytes(&mut self, storage: &StorageRef<'a>) -> Result<Cow<'a, [u8]>, Problem> {
        self.0.get(storage.key).map(|block| Cow::Borrowed(*block)).ok_or_else(|| {
            Problem::malformed(0, format!("storage {} is not in the file", storage.key))
        })
    }
}
