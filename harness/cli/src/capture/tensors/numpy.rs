//! Arrays of NumPy as people keep weights and updates in them: one `.npz`, or a folder of `.npy`.

use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use datasets::formats::FormatError;
use datasets::formats::npy;
use datasets::formats::npz::{Header, Npz};
use learning::checkpoint::{self, Contents, PassedOver};
use suites::foreign::{self, Budget, limits, printable};
use tch::{Kind, Tensor};

/// Files in a folder, at most.
const MOST_FILES: usize = 1 << 14;

/// Bytes by which another kind of file is told.
const HEAD: u64 = 4096;

/// Whether a file is such an archive, whatever its name says.
pub(super) fn is_archive(path: &Path) -> bool {
    let by_name = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npz"));
    let npz = foreign::open(path, &limits::ARRAYS).ok().and_then(|(mut file, _)| {
        let mut head = [0; 2];
        file.read_exact(&mut head).ok().filter(|()| head == *b"PK")?;
        Npz::open(file).ok()
    });
    match npz {
        Some(npz) if npz.names().iter().any(|name| name.ends_with("data.pkl")) => false,
        Some(npz) => by_name || npz.holds_arrays(),
        None => by_name,
    }
}

/// Arrays of `numpy.savez`: by their names, or where these only count (`arr_0`, `arr_1`, ...) in
/// that order, as Flower keeps the weights of a round.
///
/// # Errors
/// A file that cannot be read, no arrays.
pub(super) fn archive(path: &Path) -> Result<Contents> {
    let (mut file, _) = foreign::open(path, &limits::ARRAYS)?;
    let mut head = Vec::new();
    (&mut file).take(HEAD).read_to_end(&mut head)?;
    if !head.starts_with(b"PK") {
        bail!("not an .npz file: {}", checkpoint::appearance(&head));
    }
    let mut npz = Npz::open(file).map_err(said)?;
    let (mut found, mut over, mut unread) = (Vec::new(), PassedOver::default(), None);
    let names = npz.names();
    for name in &names {
        let dtype = npz.dtype(name).map_err(said)?;
        if npy::item_size(&dtype).is_none() {
            over.add(name.clone(), format!("NumPy's {}", printable(&dtype)), true);
            unread = unread.or(npz.reals(name).err());
            continue;
        }
        let (header, values) = npz.reals(name).map_err(said)?;
        let tensor = tensor(name, &header, &values)?;
        found.push((name.clone(), tensor));
    }
    // Where only places tell the arrays apart, none may be passed over.
    if let Some(e) = unread.filter(|_| found.is_empty() || counted(names.iter())) {
        return Err(said(e));
    }
    Ok(Contents { passed_over: over, ..in_order(found, "holds no array")? })
}

/// The `.npy` files of a folder, as those of an archive.
///
/// # Errors
/// As [`archive`].
pub(super) fn folder(path: &Path) -> Result<Contents> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let is = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy"));
        let Some(name) = path.file_stem().and_then(|n| n.to_str()).filter(|_| is) else { continue };
        if found.len() == MOST_FILES {
            bail!("more than {MOST_FILES} .npy files; keep them in one .npz");
        }
        let (file, size) = foreign::open(&path, &limits::ARRAYS)
            .with_context(|| printable(&path.display().to_string()).into_owned())?;
        let mut budget = Budget::new(&limits::ARRAYS, size);
        let place = format!("{name}.npy");
        let read = npy::reals(&mut BufReader::new(file), size, &printable(&place), &mut budget);
        let (header, values) = read.map_err(said)?;
        found.push((name.to_owned(), tensor(name, &header, &values)?));
    }
    // The system lists a folder in any order.
    found.sort_by(|a, b| a.0.cmp(&b.0));
    in_order(found, "a folder without .npy files; give a file, or a folder of them")
}

/// The values in their shape and kind: reals of 16 bits and whole numbers stay such.
fn tensor(name: &str, header: &Header, values: &[f32]) -> Result<Tensor> {
    let sizes = header.shape.iter().map(|&n| i64::try_from(n)).collect::<Result<Vec<_>, _>>();
    let shaped = sizes.ok().and_then(|sizes| Tensor::from_slice(values).f_reshape(sizes).ok());
    let tensor = shaped.with_context(|| {
        format!("array {}: no tensor has the shape {:?}", printable(name), header.shape)
    })?;
    Ok(match header.dtype.get(1..) {
        Some("f2") => tensor.to_kind(Kind::Half),
        Some("f4" | "f8") => tensor,
        _ => tensor.to_kind(Kind::Int64),
    })
}

fn in_order(mut found: Vec<(String, Tensor)>, empty: &str) -> Result<Contents> {
    if found.is_empty() {
        bail!("{empty}");
    }
    let counts = counted(found.iter().map(|(name, _)| name));
    if counts {
        found.sort_by_key(|(name, _)| numbered(name).map(|(_, n)| n));
    }
    Ok(Contents {
        tensors: found,
        named: !counts,
        place: None,
        ordered: true,
        passed_over: Default::default(),
    })
}

/// Whether names are one word and a number each.
fn counted<'n>(names: impl Iterator<Item = &'n String>) -> bool {
    let numbers: Option<Vec<(&str, u64)>> = names.map(|name| numbered(name)).collect();
    numbers.is_some_and(|all| all.iter().all(|(word, _)| *word == all[0].0))
}

/// The word before the number that ends a name.
fn numbered(name: &str) -> Option<(&str, u64)> {
    let word = name.trim_end_matches(|c: char| c.is_ascii_digit());
    Some((word, name[word.len()..].parse().ok()?))
}

fn said(e: FormatError) -> anyhow::Error {
    anyhow::anyhow!("{}: {}; {}", e.place, e.problem, e.remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_count_are_no_names() {
        let zero = || Tensor::zeros([1], (Kind::Float, tch::Device::Cpu));
        let order = |names: &[&str]| {
            let found = names.iter().map(|name| (name.to_string(), zero())).collect();
            let contents = in_order(found, "empty").unwrap();
            let names: Vec<String> = contents.tensors.into_iter().map(|(name, _)| name).collect();
            (contents.named, names.join(" "))
        };
        assert_eq!(order(&["arr_10", "arr_2", "arr_0"]), (false, "arr_0 arr_2 arr_10".into()));
        assert_eq!(order(&["1", "0"]), (false, "0 1".into()));
        assert_eq!(order(&["fc1", "arr_0"]), (true, "fc1 arr_0".into()));
        assert_eq!(order(&["b.bias", "a.weight"]), (true, "b.bias a.weight".into()));
        assert!(in_order(Vec::new(), "empty").is_err());
    }
}
