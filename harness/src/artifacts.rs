//! Pictures and tensors of a cell: `artifacts/<cell>/`.

use std::path::Path;

use datasets::formats::image_file;
use suites::CellSpec;
use suites::foreign::{self, limits};
use tch::{Kind, Tensor};

use crate::HarnessError;
use crate::resolve::ResolvedCell;

/// Paths below the run folder of an image's truth and reconstruction.
pub type Pictures = (Option<String>, Option<String>);

/// Writes signal `n`'s images (`[B, C, H, W]` in `[0, 1]`) as PNG and the reconstruction as
/// safetensors. Tables have no pictures.
///
/// # Errors
/// A file that cannot be written.
pub fn save(
    cell: &ResolvedCell,
    run_dir: &Path,
    n: usize,
    guess: &Tensor,
    truth: &Tensor,
) -> Result<Vec<Pictures>, HarnessError> {
    let folder = folder(&cell.spec);
    let dir = run_dir.join(&folder);
    std::fs::create_dir_all(&dir).map_err(|source| HarnessError::Io {
        what: "create",
        path: dir.display().to_string(),
        source,
    })?;
    let tensors = [("reconstruction".to_string(), guess.to_kind(Kind::Float).contiguous())];
    learning::checkpoint::save_safetensors(&dir.join(format!("trial-{n}.safetensors")), &tensors)?;
    let batch = guess.size()[0];
    if guess.dim() != 4 || !matches!(guess.size()[1], 1 | 3) {
        return Ok(vec![(None, None); batch as usize]);
    }
    (0..batch)
        .map(|b| {
            let (t, g) = (
                format!("{folder}/trial-{n}-{b}-truth.png"),
                format!("{folder}/trial-{n}-{b}-guess.png"),
            );
            write_png(&run_dir.join(&t), &truth.get(b))?;
            write_png(&run_dir.join(&g), &guess.get(b))?;
            Ok((Some(t), Some(g)))
        })
        .collect()
}

/// Removes what an earlier, interrupted or failed, run of the cell left.
///
/// # Errors
/// A folder that cannot be removed.
pub fn clear(spec: &CellSpec, run_dir: &Path) -> Result<(), HarnessError> {
    let dir = run_dir.join(folder(spec));
    match std::fs::remove_dir_all(&dir) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(HarnessError::Io { what: "remove", path: dir.display().to_string(), source })
        }
        _ => Ok(()),
    }
}

fn folder(spec: &CellSpec) -> String {
    format!("artifacts/{}", spec.id())
}

/// Writes one image `[C, H, W]` in `[0, 1]` as an 8-bit PNG, by a temporary name.
///
/// # Errors
/// A file that cannot be written.
pub fn write_png(path: &Path, image: &Tensor) -> Result<(), HarnessError> {
    let size = image.size();
    let rows = (image.nan_to_num(0.5, None::<f64>, None::<f64>).clamp(0.0, 1.0) * 255.0)
        .round()
        .to_kind(Kind::Uint8)
        .permute([1, 2, 0]);
    let bytes: Vec<u8> = Vec::try_from(rows.contiguous().reshape([-1])).unwrap_or_default();
    let color =
        if size[0] == 1 { image::ExtendedColorType::L8 } else { image::ExtendedColorType::Rgb8 };
    let mut png = std::io::Cursor::new(Vec::new());
    let failed = |source: std::io::Error| HarnessError::Io {
        what: "write",
        path: path.display().to_string(),
        source,
    };
    image::write_buffer_with_format(
        &mut png,
        &bytes,
        size[2] as u32,
        size[1] as u32,
        color,
        image::ImageFormat::Png,
    )
    .map_err(|e| failed(std::io::Error::other(e)))?;
    record::write_whole(path, png.get_ref())?;
    Ok(())
}

/// Reads a picture as `[channels, H, W]` in `[0, 1]`, f32; 1 channel is grey (of
/// a colour picture its luma by ITU-R BT.601), anything else RGB.
///
/// # Errors
/// A file that cannot be read or is no picture.
pub fn read_picture(path: &Path, channels: i64) -> Result<Tensor, HarnessError> {
    use std::io::ErrorKind::InvalidData;
    let failed = |source: std::io::Error| HarnessError::Io {
        what: "read",
        path: path.display().to_string(),
        source,
    };
    let bytes = foreign::read(path, &limits::PICTURE).map_err(failed)?;
    let no_picture =
        |why: String| failed(std::io::Error::new(InvalidData, format!("not a picture: {why}")));
    let format = image::guess_format(&bytes).map_err(|e| no_picture(e.to_string()))?;
    let picture = image_file::picture(&bytes, format)
        .map_err(|e| no_picture(format!("{}; {}", e.problem, e.remedy)))?;
    let (height, width) = (i64::from(picture.height()), i64::from(picture.width()));
    let (data, channels) = if channels == 1 && picture.color().has_color() {
        (picture.to_rgb8().pixels().map(|p| luma(p.0)).collect(), 1)
    } else if channels == 1 {
        (picture.to_luma8().into_raw(), 1)
    } else {
        (picture.to_rgb8().into_raw(), 3)
    };
    let rows = Tensor::from_slice(&data).reshape([height, width, channels]);
    Ok(rows.permute([2, 0, 1]).to_kind(Kind::Float) / 255.0)
}

/// Luma of ITU-R BT.601 in 16 bits of fraction, as Pillow and torchvision make a picture grey.
fn luma([r, g, b]: [u8; 3]) -> u8 {
    let sum = u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471;
    ((sum + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Pillow's `convert("L")` gives them.
    #[test]
    fn colours_become_grey_as_pillow_has_them() {
        let pixels = [[200, 30, 90], [0, 255, 0], [1, 2, 3], [255, 255, 254]];
        assert_eq!(pixels.map(luma), [88, 150, 2, 255]);
        let mut picture = image::RgbImage::new(4, 1);
        picture.pixels_mut().zip(pixels).for_each(|(own, pixel)| own.0 = pixel);
        let file = std::env::temp_dir().join(format!("bench-grey-{}.png", std::process::id()));
        picture.save(&file).unwrap();
        let read = read_picture(&file, 1);
        std::fs::remove_file(&file).unwrap();
        let levels = (read.unwrap() * 255.0).round().to_kind(Kind::Int64).reshape([-1]);
        assert_eq!(Vec::<i64>::try_from(levels).unwrap(), [88, 150, 2, 255]);
    }
}
