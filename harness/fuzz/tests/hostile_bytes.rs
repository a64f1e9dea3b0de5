//! Parsers on damaged and lying files: they return, and their memory stays within what the bytes
//! can account for. One test function alone counts allocations, so that nothing else runs beside
//! it.

#[allow(dead_code)]
#[path = "../../../datasets/tests/common/files.rs"]
mod files;

use datasets::formats::celeba_lists;
use datasets::recordio::{Catalog, Sources};
use fuzz::memory::peak_of;
use fuzz::samples::gz;
use fuzz::targets::data as checks;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use suites::foreign::limits;

const PHOTO: &[u8] = include_bytes!("../../../datasets/tests/golden/resize/photo444_48.in.jpg");

type Check = fn(&[u8]);

/// Sound files of every format with their checks.
fn samples() -> Vec<(&'static str, Check, Vec<u8>)> {
    let row = format!("1,M,{}\n", ["1.5"; 30].join(","));
    let idx = files::idx(&[6, 4, 4], &[9; 96]);
    let arrays =
        files::npz(&[("train_images", &[2, 5, 5], &[7; 50]), ("train_labels", &[2, 1], &[0, 1])]);
    let attributes = "image_id,Male,Smiling\n1.jpg,1,-1\n2.jpg,-1,1\n";
    let original = "2\nMale Smiling\n1.jpg 1 -1\n2.jpg -1 1\n";
    vec![
        ("idx.gz", checks::idx, gz(&idx)),
        ("idx", checks::idx, idx),
        ("cifar", checks::cifar_bin, vec![3; 2 * 3073]),
        ("npz", checks::npz, arrays),
        ("attributes", checks::celeba_lists, attributes.into()),
        ("attributes.txt", checks::celeba_lists, original.into()),
        ("partition", checks::celeba_lists, "1.jpg 0\n2.jpg 2\n".into()),
        ("uci", checks::uci, row.repeat(3).into()),
        ("rec", checks::recordio, fuzz::samples::rec().concat()),
        ("idx of rec", checks::recordio_text, "7\t16\n0\t0\n".into()),
        ("lst", checks::recordio_text, "4\t1.5\tb/x.jpg\n0\t2\t0\ta y.jpg\n".into()),
        ("property", checks::recordio_text, "10572,112,112\n".into()),
        ("png", checks::image_file, files::png(33, 20, [1, 200, 3])),
        ("jpg", checks::image_file, PHOTO.to_vec()),
    ]
}

/// Overwrites, cuts and repeats.
fn damage(
    sound: &[u8],
    hits: &[(prop::sample::Index, u8)],
    cut: prop::sample::Index,
    tail: &[u8],
) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for (at, to) in hits {
        let at = at.index(bytes.len());
        bytes[at] = *to;
    }
    bytes.truncate(cut.index(2 * sound.len() + 1));
    bytes.extend(tail);
    bytes
}

/// What the dearest kinds here may hold, that is pictures of four colours of 16 bits beside their
/// copy, and arrays; and room for decoders' tables and messages.
fn bound(stored: usize) -> usize {
    let (pixels, arrays) = (limits::pixels(stored as u64), limits::ARRAYS.most(stored as u64));
    (11 * pixels).max(arrays) as usize + (8 << 20)
}

#[test]
fn damaged_files_neither_panic_nor_exhaust_memory() {
    let any_damage = (
        prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        any::<prop::sample::Index>(),
        prop::collection::vec(any::<u8>(), 0..20),
    );
    for (name, check, sound) in samples() {
        check(&sound);
        let mut runner =
            TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(400) });
        let outcome = runner.run(&any_damage, |(hits, cut, tail)| {
            let bytes = damage(&sound, &hits, cut, &tail);
            let peak = peak_of(|| check(&bytes));
            prop_assert!(
                peak <= bound(bytes.len()),
                "{peak} bytes held for a file of {}",
                bytes.len()
            );
            Ok(())
        });
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
    }
    lying_headers_cost_nothing();
    what_inflates_a_thousandfold_is_refused();
    long_lists_end();
}

/// Sound files by the letter of their formats, whose few bytes stand for hundreds of megabytes.
fn what_inflates_a_thousandfold_is_refused() {
    let side = 12_000;
    let zeros = vec![0; side as usize * side as usize];
    let blank = image::GrayImage::from_raw(side, side, zeros.clone()).unwrap();
    let mut png = std::io::Cursor::new(Vec::new());
    blank.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let bombs: [(&str, Check, Vec<u8>); 3] = [
        ("idx.gz", checks::idx, gz(&files::idx(&[1 << 7, 1 << 10, 1 << 10], &zeros[..1 << 27]))),
        (
            "npz",
            checks::npz,
            files::npz(&[("train_images", &[1 << 7, 1 << 10, 1 << 10], &zeros[..1 << 27])]),
        ),
        ("png", checks::image_file, png.into_inner()),
    ];
    drop((zeros, blank));
    for (name, check, bytes) in bombs {
        assert!(bytes.len() < 1 << 20, "{name}: {} bytes", bytes.len());
        let peak = peak_of(|| check(&bytes));
        assert!(peak < 4 << 20, "{name}: {peak} bytes held for a file of {}", bytes.len());
    }
}

/// Lists of lines that are as short as can be, and records that are none.
fn long_lists_end() {
    let list = b"1\t1\n".repeat(4 << 20);
    let most = limits::TABLE.most(list.len() as u64) as usize;
    let peak = peak_of(|| checks::recordio_text(&list));
    assert!(peak <= most, "{peak} bytes held for a list of {}", list.len());
    let refused = celeba_lists::partition(&list).unwrap_err();
    assert!(refused.problem.contains("that a table of 16777216 bytes may take"), "{refused:?}");
    let dir = tempfile::tempdir().unwrap();
    let rec = dir.path().join("a.rec");
    let records = 0xced7_230a_u32.to_le_bytes().repeat(4 << 20);
    std::fs::write(&rec, &records).unwrap();
    let most = limits::RECORD.most(records.len() as u64) as usize;
    let sources = Sources { rec, idx: None, lst: None, property: None };
    let peak = peak_of(|| assert!(Catalog::open(&sources).is_err()));
    assert!(peak <= 2 * most, "{peak} bytes held for {} bytes of records", records.len());
}

/// Headers that declare gigabytes over a few bytes must cost less than a megabyte, inflation
/// included.
fn lying_headers_cost_nothing() {
    let huge_idx = files::idx(&[1 << 20, 1 << 10, 1 << 10], &[0; 64]);
    let mut huge_png = files::png(8, 8, [1, 2, 3]);
    huge_png[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let lies: [(&str, Check, Vec<u8>); 6] = [
        ("idx.gz", checks::idx, gz(&huge_idx)),
        ("idx", checks::idx, huge_idx),
        ("npz", checks::npz, files::npz(&[("train_images", &[1 << 30, 28, 28], &[0; 64])])),
        ("ppm", checks::image_file, b"P6 60000 60000 255\n012".to_vec()),
        ("bmp", checks::image_file, bmp(50_000)),
        ("png", checks::image_file, huge_png),
    ];
    for (name, check, bytes) in lies {
        let peak = peak_of(|| check(&bytes));
        assert!(peak < 1 << 20, "{name}: {peak} bytes held for a file of {}", bytes.len());
    }
}

/// A bitmap header that declares `side` x `side` pixels of 24 bits.
fn bmp(side: u32) -> Vec<u8> {
    let mut out = b"BM".to_vec();
    for word in [70u32, 0, 54, 40, side, side] {
        out.extend(word.to_le_bytes());
    }
    out.extend([1, 0, 24, 0]);
    out.extend([0; 24 + 16]);
    out
}
