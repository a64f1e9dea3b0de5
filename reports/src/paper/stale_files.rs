//! What an earlier paper left in the output folder.

use super::write::{DATA, FIGURES, TABLES};
use record::RecordError;
use record::safe_path;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Component, Path};
use suites::foreign::{self, limits};

/// Removes what the manifest in `out` lists and is not among `fresh`, so that a figure that now
/// fails leaves no old one behind; returns what must be said of it.
///
/// Only files of the folders that papers are written to are touched, and those whose bytes are
/// still the listed ones: a file that someone changed is left and named.
///
/// # Errors
/// [`RecordError::Io`] where a file cannot be removed.
pub(super) fn remove(out: &Path, fresh: &BTreeSet<&str>) -> Result<Vec<String>, RecordError> {
    let mut remarks = Vec::new();
    for (name, hash) in listed(out) {
        if fresh.contains(name.as_str()) || !of_paper(Path::new(&name)) {
            continue;
        }
        let path = out.join(&name);
        let Some(bytes) = own(out, &path) else { continue };
        if blake3::hash(&bytes).to_hex().as_str() == hash {
            std::fs::remove_file(&path).map_err(RecordError::io("remove", &path))?;
        } else {
            remarks.push(format!(
                "{name} is of an earlier paper, and was changed since: it is left as it is"
            ));
        }
    }
    Ok(remarks)
}

/// Paths and hashes of the manifest that is there; none where there is no manifest that can be
/// read.
fn listed(out: &Path) -> Vec<(String, String)> {
    let manifest = out.join(super::write::MANIFEST);
    let bytes = foreign::read(&manifest, &limits::RUN).unwrap_or_default();
    let manifest: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let file = |f: &Value| Some((f["path"].as_str()?.to_owned(), f["blake3"].as_str()?.to_owned()));
    manifest["files"].as_array().into_iter().flatten().filter_map(file).collect()
}

/// Whether a paper may have written this.
fn of_paper(name: &Path) -> bool {
    let parts: Vec<Component> = name.components().collect();
    let folder = parts.first().and_then(|c| c.as_os_str().to_str()).unwrap_or_default();
    safe_path(name) && parts.len() == 2 && [FIGURES, DATA, TABLES].contains(&folder)
}

/// The bytes of a file that lies in the folder itself, not behind a link.
fn own(out: &Path, path: &Path) -> Option<Vec<u8>> {
    let folder = path.parent()?.canonicalize().ok()?;
    let plain =
        folder.starts_with(out.canonicalize().ok()?) && path.symlink_metadata().ok()?.is_file();
    plain.then(|| foreign::read(path, &limits::RUN).ok()).flatten()
}
