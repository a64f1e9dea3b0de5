//! Small data sets in the real formats, written into a folder.

use std::io::{Cursor, Write};
use std::path::Path;

use image::{ImageBuffer, ImageFormat, Rgb};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

/// Writes a file, and the folders above it.
pub fn put(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = dir.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// A PNG of one colour.
pub fn png(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let image = ImageBuffer::from_pixel(width, height, Rgb(colour));
    image.write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

/// An IDX file of bytes.
pub fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, 8, dims.len() as u8];
    out.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
    out.extend(data);
    out
}

/// A `.npz` of byte arrays.
pub fn npz(arrays: &[(&str, &[usize], &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, shape, data) in arrays {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
        zip.start_file(format!("{name}.npy"), options).unwrap();
        let dims: String = shape.iter().map(|d| format!("{d}, ")).collect();
        let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({dims}), }}\n");
        zip.write_all(b"\x93NUMPY\x01\x00").unwrap();
        zip.write_all(&(text.len() as u16).to_le_bytes()).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
        zip.write_all(data).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A MNIST of `n` training and `n` test images of 2 x 2.
pub fn mnist(dir: &Path, n: u32) {
    for part in ["train", "t10k"] {
        let labels: Vec<u8> = (0..n).map(|i| (i % 10) as u8).collect();
        let pixels: Vec<u8> = (0..4 * n).map(|i| i as u8).collect();
        put(dir, &format!("mnist/{part}-images-idx3-ubyte"), idx(&[n, 2, 2], &pixels));
        put(dir, &format!("mnist/{part}-labels-idx1-ubyte"), idx(&[n], &labels));
    }
}

/// A CelebA of four faces in the original layout, the images nested.
pub fn celeba(dir: &Path) {
    let mut attributes = "4\nMale Smiling\n".to_string();
    let (mut parts, mut persons) = (String::new(), String::new());
    for (i, part) in [0, 0, 1, 2].iter().enumerate() {
        let face = png(178, 218, [i as u8 * 60, 9, 9]);
        put(dir, &format!("celeba/img_align_celeba/img_align_celeba/{i}.jpg"), face);
        attributes += &format!("{i}.jpg {} 1\n", if i % 2 == 0 { -1 } else { 1 });
        parts += &format!("{i}.jpg {part}\n");
        persons += &format!("{i}.jpg {}\n", 100 + i);
    }
    put(dir, "celeba/list_attr_celeba.txt", attributes);
    put(dir, "celeba/list_eval_partition.txt", parts);
    put(dir, "celeba/identity_CelebA.txt", persons);
}

/// A JPEG of one colour.
pub fn jpeg(side: u32, colour: [u8; 3]) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    let image = ImageBuffer::from_pixel(side, side, Rgb(colour));
    image.write_to(&mut out, ImageFormat::Jpeg).unwrap();
    out.into_inner()
}

/// A RecordIO file of records `(key, label, payload)` and its index; payloads must not hold the
/// magic number.
pub fn recordio(records: &[(u64, f32, Vec<u8>)]) -> (Vec<u8>, String) {
    let (mut rec, mut idx) = (Vec::new(), String::new());
    for (key, label, payload) in records {
        idx += &format!("{key}\t{}\n", rec.len());
        rec.extend(0xced7_230a_u32.to_le_bytes());
        rec.extend((24 + payload.len() as u32).to_le_bytes());
        rec.extend(0u32.to_le_bytes());
        rec.extend(label.to_le_bytes());
        rec.extend(key.to_le_bytes());
        rec.extend([0; 8]);
        rec.extend(payload);
        rec.resize(rec.len().next_multiple_of(4), 0);
    }
    (rec, idx)
}
