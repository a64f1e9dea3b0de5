//! All metrics for picture files: what `bench score` prints.

use datasets::formats::image_file;
use datasets::pictures;
use image::DynamicImage;
use metrics::{CAP_DB, MetricEntry, MetricError, Panel, Scores, Setup, pairing};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use suites::foreign::{self, limits, printable};
use suites::{Flag, Registry, flag::in_full};
use tch::{Device, Kind, Tensor};

type Result<T> = std::result::Result<T, MetricError>;

/// The scores of one pair of files. A PSNR above the cap stands as the cap, with a flag.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreRow {
    /// The original.
    #[serde(serialize_with = "lossy")]
    pub truth: PathBuf,
    /// The reconstruction.
    #[serde(serialize_with = "lossy")]
    pub guess: PathBuf,
    /// By metric; `None` means not measured, see [`ScoreTable::notes`].
    pub scores: Scores,
    /// Doubts, as in records.
    pub flags: Vec<Flag>,
}

/// A path as text: what is not UTF-8 in it stands as U+FFFD.
fn lossy<S: serde::Serializer>(path: &Path, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(&path.to_string_lossy())
}

/// What `bench score` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreTable {
    /// One row a pair, in the order of the truth's names.
    pub rows: Vec<ScoreRow>,
    /// Mean over the rows that have the metric.
    pub mean: Scores,
    /// Why metrics are missing, one line each.
    pub notes: Vec<String>,
}

/// How files are matched and where weights lie.
#[derive(Clone, Copy, Debug)]
pub struct ScoreOptions<'a> {
    /// What is measured.
    pub metrics: &'a Registry<MetricEntry>,
    /// Folder of data sets and weights; without it LPIPS is not measured.
    pub data_root: Option<&'a Path>,
    /// Device for LPIPS.
    pub device: Device,
    /// Folders: match by least total MSE instead of by file name.
    pub pair: bool,
}

/// Scores a reconstruction against its original: two image files, or two folders whose files are
/// matched by name without ending, or by the Hungarian assignment where `pair` is set (all images
/// then need one size).
///
/// Pictures are read as grey where both are grey and as RGB otherwise; an alpha channel is dropped.
///
/// # Errors
/// [`MetricError`], one line naming the file: unreadable, sizes that differ, names without a
/// partner.
pub fn score_files(truth: &Path, guess: &Path, options: &ScoreOptions) -> Result<ScoreTable> {
    let pairs = match (truth.is_dir(), guess.is_dir()) {
        (true, true) if options.pair => pair_by_content(&list(truth)?, &list(guess)?)?,
        (true, true) => pair_by_name(&list(truth)?, &list(guess)?, guess)?,
        (false, false) => vec![(truth.to_path_buf(), guess.to_path_buf())],
        (true, false) => {
            return Err(problem(
                guess,
                "is not a folder, but the truth is; give two files or two folders",
            ));
        }
        (false, true) => {
            return Err(problem(
                guess,
                "is a folder, but the truth is not; give two files or two folders",
            ));
        }
    };
    let setup = Setup::new(options.data_root, options.device);
    let panel = Panel::open_from(options.metrics, &setup);
    let mut notes = panel.notes();
    let mut rows = Vec::with_capacity(pairs.len());
    for (truth, guess) in pairs {
        let (row, more) = score_pair(&panel, truth, guess)?;
        rows.push(row);
        notes.extend(more);
    }
    let mut seen = std::collections::HashSet::new();
    notes.retain(|note| seen.insert(note.clone()));
    Ok(ScoreTable { mean: mean(&rows), rows, notes })
}

fn problem(path: &Path, what: impl Into<String>) -> MetricError {
    MetricError::Image { path: path.to_path_buf(), what: what.into() }
}

fn score_pair(panel: &Panel, truth: PathBuf, guess: PathBuf) -> Result<(ScoreRow, Vec<String>)> {
    let (t, g) = load_pair(&truth, &guess)?;
    let scored = panel.score(&g, &t)?;
    let image = scored.images.into_iter().next();
    let (mut scores, flags) = image.map(|i| (i.scores, i.flags)).unwrap_or_default();
    for name in ["psnr", "fl-attack-psnr"] {
        scores.entry(name.into()).and_modify(|v| *v = v.map(|v| v.min(CAP_DB)));
    }
    Ok((ScoreRow { truth, guess, scores, flags }, scored.notes))
}

/// Both pictures as `[1, C, H, W]` with the same C.
fn load_pair(truth: &Path, guess: &Path) -> Result<(Tensor, Tensor)> {
    let (t, g) = (open(truth)?, open(guess)?);
    let (a, b) = ((t.width(), t.height()), (g.width(), g.height()));
    if a != b {
        let sizes = format!("{}x{} pixels, but {} has {}x{}", b.0, b.1, truth.display(), a.0, a.1);
        return Err(problem(
            guess,
            format!("has {sizes}; scores need the same size, so scale one of them first"),
        ));
    }
    let grey = !t.color().has_color() && !g.color().has_color();
    Ok((pixels(&t, grey), pixels(&g, grey)))
}

fn open(path: &Path) -> Result<DynamicImage> {
    let bytes = foreign::read(path, &limits::PICTURE).map_err(|e| problem(path, e.to_string()))?;
    let unreadable = |why: &dyn std::fmt::Display| {
        problem(path, format!("not a readable image: {}", printable(&why.to_string())))
    };
    let format = image::guess_format(&bytes).map_err(|e| unreadable(&e))?;
    image_file::picture(&bytes, format)
        .map_err(|e| unreadable(&format!("{}; {}", e.problem, e.remedy)))
}

/// `[1, 1 or 3, H, W]` in `[0, 1]`, in double precision, so that a picture read as grey and as RGB
/// has the same values.
fn pixels(image: &DynamicImage, grey: bool) -> Tensor {
    let (w, h) = (i64::from(image.width()), i64::from(image.height()));
    let wide = image.color().bytes_per_pixel() > image.color().channel_count();
    let levels = |values: Vec<u16>| {
        Tensor::from_slice(&values.into_iter().map(i32::from).collect::<Vec<_>>())
    };
    let (flat, top) = match (wide, grey) {
        (true, true) => (levels(image.to_luma16().into_raw()), 65_535.0),
        (true, false) => (levels(image.to_rgb16().into_raw()), 65_535.0),
        (false, true) => (Tensor::from_slice(&image.to_luma8().into_raw()), 255.0),
        (false, false) => (Tensor::from_slice(&image.to_rgb8().into_raw()), 255.0),
    };
    // Planes first, doubles last: a large picture is held as doubles once.
    let planes = flat.view([1, h, w, if grey { 1 } else { 3 }]).permute([0, 3, 1, 2]).contiguous();
    planes.to_kind(Kind::Double).g_div_scalar_(top)
}

/// The image files of a folder, by their names without ending.
fn list(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|e| problem(folder, e.to_string()))?;
    let mut files = BTreeMap::new();
    let mut passed = pictures::PassedOver::default();
    for entry in entries {
        let path = entry.map_err(|e| problem(folder, e.to_string()))?.path();
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        if !pictures::is_picture(&name) || !path.is_file() {
            if pictures::is_hidden(&name) {
                continue;
            }
            if path.is_dir() {
                passed.leave_out_folder()
            } else {
                passed.leave_out(&name)
            }
            continue;
        }
        if let Some(other) = files.insert(stem, path.clone()) {
            return Err(problem(
                &path,
                format!("has the same name as {} but for the ending", other.display()),
            ));
        }
    }
    if files.is_empty() {
        return Err(problem(folder, format!("holds no images ({})", pictures::ENDINGS.join(", "))));
    }
    passed.notes().iter().for_each(|note| tell!("note: {}: {note}", folder.display()));
    Ok(files)
}

type Pairs = Vec<(PathBuf, PathBuf)>;

fn pair_by_name(
    truth: &BTreeMap<String, PathBuf>,
    guess: &BTreeMap<String, PathBuf>,
    folder: &Path,
) -> Result<Pairs> {
    if let Some((name, path)) = guess.iter().find(|(name, _)| !truth.contains_key(*name)) {
        return Err(problem(
            path,
            format!("there is no truth named `{name}`; rename it, or pair by content"),
        ));
    }
    let partner = |(name, truth): (&String, &PathBuf)| match guess.get(name) {
        Some(guess) => Ok((truth.clone(), guess.clone())),
        None => Err(problem(
            folder,
            format!("holds no reconstruction named `{name}`; rename one, or pair by content"),
        )),
    };
    truth.iter().map(partner).collect()
}

fn pair_by_content(
    truth: &BTreeMap<String, PathBuf>,
    guess: &BTreeMap<String, PathBuf>,
) -> Result<Pairs> {
    let (truth, guess): (Vec<_>, Vec<_>) = (truth.values().collect(), guess.values().collect());
    let first = truth[0];
    if guess.len() < truth.len() {
        let counts = format!("{} reconstructions for {} originals", guess.len(), truth.len());
        return Err(problem(first, format!("{counts}; pairing by content needs at least as many")));
    }
    // Comparing each file with the first original gives the one size that all must have.
    let batch = |paths: &[&PathBuf]| -> Result<Tensor> {
        let rows: Result<Vec<Tensor>> =
            paths.iter().map(|p| Ok(rgb(&load_pair(first, p)?.1))).collect();
        Ok(Tensor::cat(&rows?, 0))
    };
    let order = pairing::pair(&batch(&guess)?, &batch(&truth)?)?;
    Ok(truth.iter().zip(order).map(|(t, g)| (t.to_path_buf(), guess[g].clone())).collect())
}

fn rgb(x: &Tensor) -> Tensor {
    if x.size()[1] == 1 { x.repeat([1, 3, 1, 1]) } else { x.shallow_clone() }
}

fn mean(rows: &[ScoreRow]) -> Scores {
    let names =
        rows.first().map(|row| row.scores.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let of = |name: &String| {
        let values: Vec<f64> =
            rows.iter().filter_map(|row| row.scores.get(name).copied().flatten()).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    names
        .into_iter()
        .map(|name| {
            let mean = of(&name);
            (name, mean)
        })
        .collect()
}

/// A plain-text table: one line a pair, then the mean, then the notes.
impl std::fmt::Display for ScoreTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&String> = self.mean.keys().collect();
        let label = |row: &ScoreRow| {
            let name = row.guess.file_name().map(|n| n.to_string_lossy()).unwrap_or_default();
            printable(&name).into_owned()
        };
        let width =
            self.rows.iter().map(|row| label(row).chars().count()).max().unwrap_or(0).max(5);
        write!(f, "{:width$}", "guess")?;
        for name in &names {
            write!(f, "  {name:>9}")?;
        }
        writeln!(f)?;
        for row in &self.rows {
            let flags = if row.flags.is_empty() {
                String::new()
            } else {
                format!("  [{}]", in_full(&row.flags))
            };
            writeln!(f, "{:width$}{}{flags}", label(row), cells(&names, &row.scores))?;
        }
        if self.rows.len() > 1 {
            writeln!(f, "{:width$}{}", "mean", cells(&names, &self.mean))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note: {}", printable(note)))
    }
}

fn cells(names: &[&String], scores: &Scores) -> String {
    let cell = |name: &&String| {
        let value = scores.get(*name).copied().flatten();
        let text = value.map_or("-".to_string(), |v| format!("{v:.5}"));
        format!("  {text:>0$}", name.len().max(9))
    };
    names.iter().map(cell).collect()
}

#[cfg(test)]
mod tests;
