//! Pictures small enough to travel inside the page, each once, up to a budget.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};
use record::safe_path;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use suites::foreign::{self, limits};

/// Longest side in pixels of a picture in the page.
const SIDE: u32 = 128;
/// Characters of all pictures together, in base64.
const BUDGET: usize = 5_000_000;
/// Longest side in pixels, and bytes, of a file that is read.
const READABLE: (u32, u64) = (4096, 64 << 20);

/// The pictures of a page, in the order they were asked for.
pub(super) struct Thumbnails {
    dir: PathBuf,
    /// PNG files in base64.
    pub list: Vec<String>,
    /// What became of each file, by its hash: cells of one world have the same truths.
    index: HashMap<blake3::Hash, Option<usize>>,
    spent: usize,
    full: bool,
}

impl Thumbnails {
    /// Of pictures below the run folder `dir`.
    pub fn new(dir: &Path) -> Self {
        Thumbnails {
            dir: dir.into(),
            list: Vec::new(),
            index: HashMap::new(),
            spent: 0,
            full: false,
        }
    }

    /// The number of the picture at `below` in the list, or in a word why there is none: `none` was
    /// stored, it is `missing` or not readable, lies `outside` the run folder, or is `linked`
    /// because the budget is used up.
    pub fn add(&mut self, below: Option<&str>) -> Value {
        let Some(below) = below else { return json!("none") };
        // Records may come from elsewhere: nothing outside the run folder is opened.
        if !safe_path(Path::new(below)) {
            return json!("outside");
        }
        let path = self.dir.join(below);
        if self.full {
            return json!(if path.is_file() { "linked" } else { "missing" });
        }
        let small = std::fs::metadata(&path).is_ok_and(|file| file.len() <= READABLE.1);
        let Some(bytes) = small.then(|| foreign::read(&path, &limits::PICTURE).ok()).flatten()
        else {
            return json!("missing");
        };
        let hash = blake3::hash(&bytes);
        let at = match self.index.get(&hash) {
            Some(at) => *at,
            None => {
                let text = thumbnail(bytes).map(|png| STANDARD.encode(png));
                if text.as_ref().is_some_and(|text| self.spent + text.len() > BUDGET) {
                    self.full = true;
                    return json!("linked");
                }
                let at = text.map(|text| self.keep(text));
                self.index.insert(hash, at);
                at
            }
        };
        at.map_or(json!("missing"), |at| json!(at))
    }

    fn keep(&mut self, text: String) -> usize {
        self.spent += text.len();
        self.list.push(text);
        self.list.len() - 1
    }
}

/// The file itself where it is a small PNG, else a smaller copy; `None` where it is no picture.
fn thumbnail(bytes: Vec<u8>) -> Option<Vec<u8>> {
    let mut reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(READABLE.0), Some(READABLE.0));
    reader.limits(limits);
    let png = reader.format() == Some(ImageFormat::Png);
    let picture = reader.decode().ok()?;
    let fits = picture.width() <= SIDE && picture.height() <= SIDE;
    if fits && png {
        Some(bytes)
    } else {
        encode(if fits { picture } else { picture.thumbnail(SIDE, SIDE) })
    }
}

fn encode(picture: DynamicImage) -> Option<Vec<u8>> {
    let mut out = Cursor::new(Vec::new());
    DynamicImage::from(picture.to_rgb8()).write_to(&mut out, ImageFormat::Png).ok()?;
    Some(out.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    fn save(dir: &Path, name: &str, side: u32, colour: u8) {
        RgbImage::from_pixel(side, side, image::Rgb([colour; 3])).save(dir.join(name)).unwrap();
    }

    #[test]
    fn every_picture_is_accounted_for() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), "a.png", 8, 1);
        save(dir.path(), "same.png", 8, 1);
        save(dir.path(), "large.png", 300, 9);
        std::fs::write(dir.path().join("torn.png"), "no picture").unwrap();
        let mut all = Thumbnails::new(dir.path());
        let asked = [
            Some("a.png"),
            Some("same.png"),
            Some("large.png"),
            Some("torn.png"),
            Some("../a.png"),
            Some("x"),
            None,
        ];
        let got: Vec<Value> = asked.iter().map(|p| all.add(*p)).collect();
        assert_eq!(json!(got), json!([0, 0, 1, "missing", "outside", "missing", "none"]));
        assert_eq!(
            STANDARD.decode(&all.list[0]).unwrap(),
            std::fs::read(dir.path().join("a.png")).unwrap()
        );
        let large = image::load_from_memory(&STANDARD.decode(&all.list[1]).unwrap()).unwrap();
        assert_eq!((large.width(), large.height()), (SIDE, SIDE));
        all.spent = BUDGET;
        save(dir.path(), "b.png", 8, 2);
        assert_eq!((all.add(Some("a.png")), all.add(Some("b.png"))), (json!(0), json!("linked")));
        assert_eq!(
            (all.add(Some("large.png")), all.add(Some("gone.png"))),
            (json!("linked"), json!("missing"))
        );
    }
}
