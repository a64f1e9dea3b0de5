//! The manifest in an extraction's folder: it names the source files and locks the folder.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use suites::foreign::{self, limits};

use super::{Catalog, Sources};
use crate::DatasetError;

/// Name of the file.
const NAME: &str = ".extracted-from";

/// Opens the folder for an extraction of `sources`: creates it, or finds one that began from the
/// same files. The folder is this extraction's until the handle is dropped.
///
/// # Errors
/// A folder that holds something else, another extraction at work there, or files that cannot be
/// read or written.
pub(super) fn claim(
    out: &Path,
    sources: &Sources,
    catalog: &Catalog,
) -> Result<File, DatasetError> {
    let io = |e| DatasetError::io(out, e);
    let wanted = describe(sources, catalog)?;
    std::fs::create_dir_all(out).map_err(io)?;
    let path = out.join(NAME);
    let known = path.is_file();
    if !known && std::fs::read_dir(out).map_err(io)?.next().is_some() {
        return Err(error(
            out,
            "holds other files",
            "give a folder that is empty or does not exist",
        ));
    }
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = opened.map_err(|e| DatasetError::io(&path, e))?;
    if file.try_lock().is_err() {
        return Err(error(
            out,
            "another extraction is at work there",
            "wait for it to end, or stop it",
        ));
    }
    let mut written = String::new();
    file.read_to_string(&mut written).map_err(|e| DatasetError::io(&path, e))?;
    // An empty one was left by a process that ended between creating and writing it.
    if written.is_empty() {
        file.write_all(wanted.as_bytes()).map_err(|e| DatasetError::io(&path, e))?;
    } else if written != wanted {
        let problem = "was begun from other .rec, .idx or .lst files";
        return Err(error(out, problem, "give another folder, or remove this one"));
    }
    Ok(file)
}

fn error(out: &Path, problem: &str, remedy: &str) -> DatasetError {
    DatasetError::request(&out.display().to_string(), problem, remedy)
}

/// Size of the records and every image's key, place, length and label, and the whole of index and
/// list, in three lines. What the images show is not among it: files that are kept are compared
/// with their records.
fn describe(sources: &Sources, catalog: &Catalog) -> Result<String, DatasetError> {
    let size = sources.rec.metadata().map_err(|e| DatasetError::io(&sources.rec, e))?.len();
    let mut images = Sha256::new();
    for e in &catalog.entries {
        [e.key, e.offset, e.length, e.label.to_bits().into()]
            .iter()
            .for_each(|n| images.update(n.to_le_bytes()));
    }
    let beside = |path: &Option<PathBuf>| match path {
        None => Ok("none".to_string()),
        Some(path) => foreign::read(path, &limits::TABLE)
            .map(|b| hex(&b))
            .map_err(|e| DatasetError::io(path, e)),
    };
    Ok(format!(
        "rec {size} bytes, {} images {}\nidx {}\nlst {}\n",
        catalog.entries.len(),
        text(images),
        beside(&sources.idx)?,
        beside(&sources.lst)?
    ))
}

fn hex(bytes: &[u8]) -> String {
    text(Sha256::new_with_prefix(bytes))
}

fn text(hash: Sha256) -> String {
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
