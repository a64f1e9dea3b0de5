//! Picture files as a model's inputs, from folders that are flat or hold a folder a class.

use std::path::{Path, PathBuf};

use datasets::formats::image_file;
use datasets::pictures::{self, PassedOver};
use datasets::{Card, Kind as Sort};
use federation::model_file::ModelFile;
use harness::HarnessError;
use learning::{Mode, Network, Params};
use rayon::prelude::*;
use suites::foreign::{self, limits};
use tch::{Device, Kind, Tensor};

use super::unfit;

/// Pictures of one forward pass.
const BATCH: usize = 32;

/// A picture file.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Where it lies.
    pub path: PathBuf,
    /// Its name in its folder.
    pub file: String,
    /// Name of its class: its folder, where it lies in one.
    pub class: Option<String>,
}

impl Picture {
    /// Its class, or its file's name where it has none.
    pub fn name(&self) -> &str {
        self.class.as_deref().unwrap_or(&self.file)
    }
}

/// The pictures of a folder in the order of their names: those in it, or those in the folders in
/// it, whose names are classes.
///
/// # Errors
/// A folder that cannot be read or holds no pictures.
pub fn list(folder: &Path) -> Result<Vec<Picture>, HarnessError> {
    if !folder.is_dir() {
        return Err(unfit(
            folder,
            "is no folder; give one that holds pictures, or a folder of pictures a class",
        ));
    }
    let mut found = Vec::new();
    let mut passed = PassedOver::default();
    let refused = |at: &Path, source| HarnessError::Io {
        what: "read",
        path: at.display().to_string(),
        source,
    };
    for name in pictures::listing(folder, &mut passed).map_err(|e| refused(folder, e))? {
        let path = folder.join(&name);
        if path.is_dir() {
            // As a data set of class folders is read: with the folders in them.
            let inside = pictures::walk(&path, &mut passed).map_err(|e| refused(&path, e))?;
            found.extend(inside.into_iter().map(|file| Picture {
                path: path.join(&file),
                file,
                class: Some(name.clone()),
            }));
        } else if is_picture(&name, &path) {
            found.push(Picture { path, file: name, class: None });
        } else {
            passed.leave_out(&name);
        }
    }
    if found.is_empty() {
        return Err(unfit(
            folder,
            "holds no pictures (png, jpg, bmp, ppm ...), neither flat nor in folders a class; put \
             some in",
        ));
    }
    passed.notes().iter().for_each(|note| tell!("note: {}: {note}", folder.display()));
    Ok(found)
}

fn is_picture(name: &str, path: &Path) -> bool {
    pictures::is_picture(name) && path.is_file()
}

/// Refuses models that are not for pictures.
///
/// # Errors
/// A model of tables, named with `path`.
pub fn check(path: &Path, saved: &ModelFile) -> Result<(), HarnessError> {
    match saved.card.kind {
        Sort::Image => Ok(()),
        Sort::Table => {
            let problem = format!(
                "{} was trained on rows of a table ({}), not on pictures; give rows with --csv, \
                 or a model of pictures",
                super::describe(saved),
                saved.card.name
            );
            Err(unfit(path, problem))
        }
    }
}

/// A picture as the model's pixels `[C, H, W]` in `[0, 1]`: the shorter side scaled, the centre
/// square kept, as pictures of the training were; grey where the model is.
///
/// # Errors
/// A file that cannot be read or is no picture.
pub fn pixels(path: &Path, card: &Card) -> Result<Tensor, HarnessError> {
    let bytes = foreign::read(path, &limits::PICTURE).map_err(|source| HarnessError::Io {
        what: "read",
        path: path.display().to_string(),
        source,
    })?;
    let square = image_file::decode_square(&bytes, card.height).map_err(|e| e.at(path))?;
    let side = card.height as i64;
    let colour = Tensor::from_slice(&square.data)
        .view([side, side, 3])
        .permute([2, 0, 1])
        .to_kind(Kind::Float)
        / 255.0;
    match card.channels {
        3 => Ok(colour.contiguous()),
        1 => Ok(grey(&colour)),
        other => Err(unfit(path, format!("has 3 channels, but the model works on {other}"))),
    }
}

/// Luma of ITU-R BT.601, which leaves grey pictures as they are.
fn grey(colour: &Tensor) -> Tensor {
    let weights = Tensor::from_slice(&[0.299f32, 0.587, 0.114]).view([3, 1, 1]);
    (colour * weights).sum_dim_intlist([0i64].as_slice(), true, Kind::Float).clamp(0.0, 1.0)
}

/// What a model makes of pictures, `[B, ...]` on the CPU in single precision; on the CPU, one
/// thread works on some of them at a time.
fn passes(
    saved: &ModelFile,
    pictures: &[Picture],
    device: Device,
    forward: impl Fn(&Network, &Params, &Tensor) -> Tensor + Sync,
) -> Result<Tensor, HarnessError> {
    let (net, card) = (saved.net.as_ref(), &saved.card);
    let weights = saved.params.to(device, Kind::Float);
    // Tensors may move between threads but not be shared: each lot has handles of its own.
    let lots: Vec<(&[Picture], Params)> =
        pictures.chunks(BATCH).map(|some| (some, weights.map(Tensor::shallow_clone))).collect();
    let pass = |(some, weights): (&[Picture], Params)| {
        let x = some.iter().map(|p| pixels(&p.path, card)).collect::<Result<Vec<_>, _>>()?;
        let x = Tensor::stack(&x, 0).unsqueeze(0).to_device(device);
        Ok(tch::no_grad(|| forward(net, &weights, &x)).squeeze_dim(0).to_device(Device::Cpu))
    };
    let parts: Result<Vec<Tensor>, HarnessError> = match device {
        Device::Cpu => lots.into_par_iter().map(pass).collect(),
        _ => lots.into_iter().map(pass).collect(),
    };
    Ok(Tensor::cat(&parts?, 0))
}

/// Logits `[B, K]`.
///
/// # Errors
/// Files that are no pictures.
pub fn logits(
    saved: &ModelFile,
    pictures: &[Picture],
    device: Device,
) -> Result<Tensor, HarnessError> {
    passes(saved, pictures, device, |net, weights, x| net.logits(weights, x, Mode::Eval))
}

/// Embeddings of unit length, picture by picture, and their dimension.
///
/// # Errors
/// Files that are no pictures, or an embedding that has no direction.
pub fn embed(
    saved: &ModelFile,
    pictures: &[Picture],
    device: Device,
) -> Result<(Vec<f32>, usize), HarnessError> {
    let e = passes(saved, pictures, device, |net, weights, x| net.embed(weights, x, Mode::Eval))?;
    let e = e.flatten(1, -1).to_kind(Kind::Double);
    let norms = e.norm_scalaropt_dim(2.0, [1i64].as_slice(), true);
    let lengths = Vec::<f64>::try_from(norms.reshape([-1])).unwrap_or_default();
    if let Some(at) = lengths.iter().position(|n| !n.is_finite() || *n == 0.0) {
        return Err(unfit(
            &pictures[at].path,
            "has an embedding without a direction (all zeros, or not finite)",
        ));
    }
    let unit = (e / norms).to_kind(Kind::Float);
    let dimension = unit.size()[1] as usize;
    let values = Vec::<f32>::try_from(unit.reshape([-1]))
        .map_err(|e| HarnessError::NotFinite(e.to_string()))?;
    Ok((values, dimension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_pictures_stay_and_folders_are_classes() {
        let flat = Tensor::from_slice(&[0.25f32; 3]).view([3, 1, 1]);
        assert!((grey(&flat).double_value(&[0, 0, 0]) - 0.25).abs() < 1e-6);
        let dir = tempfile::tempdir().unwrap();
        let line = list(dir.path()).unwrap_err().to_string();
        assert!(line.contains("holds no pictures") && !line.contains('\n'), "{line}");
        for file in
            ["b/2.png", "b/1.JPG", "a/x.bmp", "z.png", "notes.txt", ".hidden.png", "c/readme.md"]
        {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let names: Vec<(String, String)> =
            list(dir.path()).unwrap().into_iter().map(|p| (p.name().to_string(), p.file)).collect();
        let want = [("a", "x.bmp"), ("b", "1.JPG"), ("b", "2.png"), ("z.png", "z.png")];
        assert_eq!(names, want.map(|(a, b)| (a.to_string(), b.to_string())));
        assert!(list(&dir.path().join("none")).is_err());
    }
}
