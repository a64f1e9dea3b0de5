//! Tensors of weights and updates from files, by the names of a model.

use std::path::Path;

use anyhow::{Context, Result, bail};
use datasets::formats::FormatError;
use datasets::formats::npz::Npz;
use learning::{Network, checkpoint};
use suites::foreign::{self, limits};
use tch::Tensor;

/// Reads the tensors of a file; what was done about their names goes to stderr.
///
/// # Errors
/// A file that cannot be read, names with and without a prefix, arrays that do not fit in order.
pub fn load(net: &Network, path: &Path) -> Result<Vec<(String, Tensor)>> {
    let place = || path.display().to_string();
    let npz = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz"));
    let named = if npz { arrays(net, path).with_context(place)? } else { checkpoint::load(path)? };
    let (named, prefix) = checkpoint::unwrap(net.layout(), named).with_context(place)?;
    if let Some(prefix) = prefix {
        tell!("note: {}: every name begins with `{prefix}`, which is left out", place());
    }
    Ok(named)
}

/// Arrays of `numpy.savez`: by their names, or where there are none (`arr_0`, `arr_1`, ...) in
/// order, as Flower keeps the weights of a round.
fn arrays(net: &Network, path: &Path) -> Result<Vec<(String, Tensor)>> {
    let (file, _) = foreign::open(path, &limits::ARRAYS)?;
    let mut npz = Npz::open(file).map_err(said)?;
    let mut names = npz.names();
    let number = |name: &String| name.strip_prefix("arr_").and_then(|n| n.parse::<u64>().ok());
    let unnamed = names.iter().all(|name| number(name).is_some());
    if unnamed {
        names.sort_by_key(|name| number(name));
    }
    let mut found = Vec::new();
    for name in names {
        let (header, values) = npz.reals(&name).map_err(said)?;
        let counts = header.shape.is_empty() && header.dtype.get(1..2) != Some("f");
        // BatchNorm's counts of batches stand in a state dict, and nothing here reads them.
        if !(unnamed && counts) {
            let shape: Vec<i64> = header.shape.iter().map(|&n| n as i64).collect();
            found.push((name, Tensor::from_slice(&values).reshape(shape)));
        }
    }
    if found.is_empty() {
        bail!("holds no array");
    }
    if !unnamed {
        return Ok(found);
    }
    let count = found.len();
    let named = checkpoint::by_position(net, found.into_iter().map(|(_, t)| t).collect())?;
    tell!("note: {}: {count} arrays without names are taken in the model's order", path.display());
    Ok(named)
}

fn said(e: FormatError) -> anyhow::Error {
    anyhow::anyhow!("{}: {}; {}", e.place, e.problem, e.remedy)
}
