//! Paints the first pictures of a data set side by side, to look at them.
//!
//! `cargo run --release -p datasets --example contact-sheet -- NAME OUT.png [DATA-ROOT]`

use std::path::PathBuf;
use std::time::Instant;

use datasets::{DatasetError, Request, Split, open};
use image::{Rgb, RgbImage};

const COLUMNS: usize = 16;
const MOST: usize = 160;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: contact-sheet NAME OUT.png [DATA-ROOT]".into());
    };
    let root = arguments.next().map(PathBuf::from);
    let sheet = sheet(&name, &Request { root: root.as_deref(), ..Request::default() })?;
    sheet.save(&out)?;
    Ok(())
}

fn sheet(name: &str, request: &Request) -> Result<RgbImage, DatasetError> {
    let data = open(name, request)?;
    let (channels, height, width) = (data.card().channels, data.card().height, data.card().width);
    let ids: Vec<usize> = (0..data.len(Split::Test).min(MOST)).collect();
    let start = Instant::now();
    let batch = data.batch(Split::Test, &ids)?;
    println!("{} pictures in {:.3} s", ids.len(), start.elapsed().as_secs_f64());
    let pixels: Vec<f32> = Vec::try_from(batch.x.flatten(0, -1)).expect("f32 on the CPU");
    let rows = ids.len().div_ceil(COLUMNS);
    Ok(RgbImage::from_fn((COLUMNS * width) as u32, (rows * height) as u32, |x, y| {
        let (x, y) = (x as usize, y as usize);
        let picture = y / height * COLUMNS + x / width;
        let level = |c: usize| {
            let at = ((picture * channels + c.min(channels - 1)) * height + y % height) * width
                + x % width;
            pixels.get(at).map_or(255, |v| (v * 255.0).round() as u8)
        };
        Rgb([0, 1, 2].map(level))
    }))
}
