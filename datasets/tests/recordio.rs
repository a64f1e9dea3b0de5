//! RecordIO taken apart: against a plain reading in Python (`golden/recordio.py`), damaged,
//! interrupted, and at speed.

mod common;
#[allow(dead_code)]
#[path = "common/files.rs"]
mod files;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use common::data_root;
use datasets::DatasetError;
use datasets::recordio::{Event, OnError, Report, Sources, extract};
use files::{jpeg, png, put, recordio};
use sha2::{Digest, Sha256};
use tempfile::tempdir;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/recordio").join(name)
}

fn run(sources: &Sources, out: &Path, on_error: OnError) -> Result<Report, DatasetError> {
    extract(sources, out, on_error, &|_| {})
}

fn alone(rec: &Path) -> Sources {
    Sources { rec: rec.to_path_buf(), idx: None, lst: None, property: None }
}

/// `label/key` of every image with its length and hash.
fn images(out: &Path) -> BTreeMap<String, (usize, String)> {
    let mut found = BTreeMap::new();
    for dir in std::fs::read_dir(out).unwrap().map(|d| d.unwrap().path()).filter(|d| d.is_dir()) {
        for file in std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().path()) {
            let bytes = std::fs::read(&file).unwrap();
            let hash = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
            let name = file.strip_prefix(out).unwrap().display().to_string();
            found.insert(name, (bytes.len(), hash));
        }
    }
    found
}

/// What the Python script found.
fn expected(csv: &str) -> BTreeMap<String, (usize, String)> {
    let text = std::fs::read_to_string(golden(csv)).unwrap();
    let rows = text.lines().skip(1).map(|l| l.split(',').collect::<Vec<_>>());
    rows.map(|f| (format!("{}/{}.jpg", f[1], f[0]), (f[2].parse().unwrap(), f[3].to_string())))
        .collect()
}

#[test]
fn faces_laid_out_as_insightface_does_come_out_byte_for_byte() {
    let all = Sources::beside(&golden("faces.rec"));
    assert!(all.idx.is_some() && all.lst.is_some() && all.property.is_some());
    for sources in [all, alone(&golden("faces.rec"))] {
        let out = tempdir().unwrap();
        let report = run(&sources, out.path(), OnError::Stop).unwrap();
        assert_eq!((report.records, report.identities, report.kept), (12, 4, 0));
        assert!(report.skipped.is_empty() && report.notes.is_empty(), "{report:?}");
        assert_eq!(images(out.path()), expected("faces.csv"));
    }
}

#[test]
fn the_real_sample_comes_out_byte_for_byte() {
    let Some(root) = data_root("recordio/train.rec") else { return };
    let rec = root.join("recordio/train.rec");
    for sources in [Sources::beside(&rec), alone(&rec)] {
        let out = tempdir().unwrap();
        assert_eq!(run(&sources, out.path(), OnError::Stop).unwrap().records, 8);
        assert_eq!(images(out.path()), expected("sample.csv"));
    }
}

/// Six images of three labels, the third with its length, the fifth with its kind damaged.
fn damaged(dir: &Path) -> (Sources, Vec<u64>) {
    let records: Vec<_> =
        (0..6).map(|i| (i, i as f32 / 2.0, jpeg(8, [i as u8 * 40, 0, 0]))).collect();
    let (mut rec, idx) = recordio(&records);
    let offsets: Vec<u64> =
        idx.lines().map(|l| l.split('\t').nth(1).unwrap().parse().unwrap()).collect();
    rec[offsets[2] as usize + 6] = 0xff;
    let image = offsets[4] as usize + 32;
    rec[image..image + 4].copy_from_slice(b"html");
    put(dir, "a.rec", rec);
    put(dir, "a.idx", idx);
    (Sources::beside(&dir.join("a.rec")), offsets)
}

#[test]
fn damaged_records_are_named_and_skipped_or_fatal() {
    let (dir, out) = (tempdir().unwrap(), tempdir().unwrap());
    let (sources, offsets) = damaged(dir.path());
    let fault = run(&sources, &out.path().join("a"), OnError::Stop).unwrap_err().to_string();
    for part in
        ["a.rec", &format!("record 2 at byte {}", offsets[2]), "declared", "--on-error skip"]
    {
        assert!(fault.contains(part), "{fault}");
    }
    let told = Mutex::new(Vec::new());
    let note = |event: Event| {
        if let Event::Skipped(fault) = event {
            told.lock().unwrap().push(fault.to_string());
        }
    };
    let report = extract(&sources, &out.path().join("b"), OnError::Skip, &note).unwrap();
    assert_eq!((report.records, report.skipped.len()), (4, 2));
    assert_eq!(report.skipped.iter().map(|f| f.key).collect::<Vec<_>>(), [Some(2), Some(4)]);
    assert!(
        told.into_inner().unwrap()[1].contains("record 4")
            && report.skipped[1].why.contains("no image")
    );
    let kept: Vec<String> = images(&out.path().join("b")).into_keys().collect();
    assert_eq!(kept, ["0.5/1.jpg", "0/0.jpg", "1.5/3.jpg", "2.5/5.jpg"]);
    // Without an index the next magic number is found behind the damage.
    let report = run(&alone(&sources.rec), &out.path().join("c"), OnError::Skip).unwrap();
    assert_eq!((report.records, report.skipped[0].offset), (4, offsets[2]));
    assert_eq!(images(&out.path().join("c")), images(&out.path().join("b")));
}

#[test]
fn an_image_cut_short_is_no_image() {
    let (dir, out) = (tempdir().unwrap(), tempdir().unwrap());
    let mut torn = jpeg(8, [1, 2, 3]);
    torn.truncate(torn.len() - 2);
    let (rec, _) =
        recordio(&[(1, 0.0, jpeg(8, [9, 9, 9])), (2, 0.0, torn), (1, 1.0, jpeg(8, [3, 3, 3]))]);
    put(dir.path(), "a.rec", rec);
    let report = run(&alone(&dir.path().join("a.rec")), out.path(), OnError::Skip).unwrap();
    let whys: Vec<&str> = report.skipped.iter().map(|f| f.why.as_str()).collect();
    assert!(
        whys.len() == 2 && whys[0].contains("before its last pixels") && whys[1].contains("key"),
        "{whys:?}"
    );
}

#[test]
fn kinds_that_are_not_read_and_labels_that_run_together_are_faults() {
    let (dir, out) = (tempdir().unwrap(), tempdir().unwrap());
    let mut torn = png(8, 8, [1, 2, 3]);
    torn.truncate(torn.len() - 1);
    let faces = |label: f32, payload: Vec<u8>| (label, payload);
    let all = [
        faces(0.0, png(8, 8, [9, 9, 9])),
        faces(1.0, torn),
        faces(1.0, b"GIF89a and some more".to_vec()),
        faces(1.0, b"RIFF\x10\0\0\0WEBPVP8 and more".to_vec()),
        faces(16_777_215.0, jpeg(8, [9, 9, 9])),
        faces(16_777_216.0, jpeg(8, [9, 9, 9])),
    ];
    let records: Vec<_> =
        (0..).zip(all).map(|(key, (label, payload))| (key, label, payload)).collect();
    put(dir.path(), "a.rec", recordio(&records).0);
    let report = run(&alone(&dir.path().join("a.rec")), out.path(), OnError::Skip).unwrap();
    let whys: Vec<&str> = report.skipped.iter().map(|f| f.why.as_str()).collect();
    let wanted = ["PNG ends", "holds a GIF", "holds a WebP", "label 16777216"];
    assert!(
        whys.len() == 4 && whys.iter().zip(wanted).all(|(why, part)| why.contains(part)),
        "{whys:?}"
    );
    assert_eq!(images(out.path()).into_keys().collect::<Vec<_>>(), ["0/0.png", "16777215/4.jpg"]);
}

/// Records that changed without changing in size: pictures are written again, other labels are
/// another file.
#[test]
fn an_extraction_goes_on_from_the_same_records_alone() {
    let (dir, out) = (tempdir().unwrap(), tempdir().unwrap());
    let file = |colour, label| {
        let one = |i: u64| {
            (i, if i == 2 { label } else { 0.0 }, png(8, 8, if i == 1 { colour } else { [7; 3] }))
        };
        let (rec, _) = recordio(&(0..3).map(one).collect::<Vec<_>>());
        put(dir.path(), "a.rec", &rec);
        (run(&alone(&dir.path().join("a.rec")), out.path(), OnError::Stop), rec.len())
    };
    let (first, size) = file([10, 20, 30], 1.0);
    assert_eq!(first.unwrap().kept, 0);
    let (again, other) = file([20, 10, 30], 1.0);
    assert_eq!(size, other, "the change must not show in the size");
    let again = again.unwrap();
    assert_eq!((again.records, again.kept), (3, 2));
    assert_eq!(std::fs::read(out.path().join("0/1.png")).unwrap(), png(8, 8, [20, 10, 30]));
    let fault = file([20, 10, 30], 2.0).0.unwrap_err().to_string();
    assert!(fault.contains("begun from other"), "{fault}");
}

#[test]
fn what_is_there_is_kept_and_what_was_cut_is_written_again() {
    let out = tempdir().unwrap();
    let sources = Sources::beside(&golden("faces.rec"));
    run(&sources, out.path(), OnError::Stop).unwrap();
    let wanted = images(out.path());
    // What a killed process leaves: some images missing, one under its temporary name; and one cut
    // by hand.
    std::fs::remove_file(out.path().join("0/1.jpg")).unwrap();
    std::fs::rename(out.path().join("1/4.jpg"), out.path().join("1/4.part")).unwrap();
    std::fs::write(out.path().join("3/11.jpg"), b"cut").unwrap();
    let report = run(&sources, out.path(), OnError::Stop).unwrap();
    assert_eq!((report.records, report.kept), (12, 9));
    assert_eq!(images(out.path()), wanted);
}

#[test]
fn a_folder_of_something_else_is_refused() {
    let (dir, out) = (tempdir().unwrap(), tempdir().unwrap());
    put(out.path(), "mine/thesis.txt", "dear");
    let sources = Sources::beside(&golden("faces.rec"));
    let fault = run(&sources, out.path(), OnError::Stop).unwrap_err().to_string();
    assert!(fault.contains("holds other files; give a folder that is empty"), "{fault}");
    let place = out.path().join("new");
    run(&sources, &place, OnError::Stop).unwrap();
    let (other, _) = damaged(dir.path());
    let fault = run(&other, &place, OnError::Skip).unwrap_err().to_string();
    assert!(fault.contains("begun from other"), "{fault}");
}

#[test]
fn files_that_are_absent_or_something_else_are_named() {
    let (dir, out) = (tempdir().unwrap(), tempdir().unwrap());
    let fails =
        |sources: &Sources| run(sources, out.path(), OnError::Skip).unwrap_err().to_string();
    assert!(fails(&alone(&dir.path().join("no.rec"))).contains("no.rec"));
    put(dir.path(), "text.rec", "this is no RecordIO file");
    let text = fails(&alone(&dir.path().join("text.rec")));
    assert!(text.contains("not a single image") && text.contains("magic number"), "{text}");
    put(dir.path(), "bad.idx", "0 zero\n");
    let idx = Some(dir.path().join("bad.idx"));
    let text = fails(&Sources { idx, ..alone(&golden("faces.rec")) });
    assert!(text.contains("bad.idx: line 1"), "{text}");
    // An index of another file points into the middle of records.
    put(dir.path(), "other.idx", "1\t4\n2\t96\n3\t999999\n");
    let idx = Some(dir.path().join("other.idx"));
    let text = fails(&Sources { idx, ..alone(&golden("faces.rec")) });
    assert!(text.contains("record 1 at byte 4") && text.contains(".idx that belongs"), "{text}");
}

/// A writer that gives every record one key loses none: they are numbered by their places.
#[test]
fn records_of_one_key_are_numbered_by_their_places() {
    let (dir, out) = (tempdir().unwrap(), tempdir().unwrap());
    let records: Vec<_> = (0u8..6).map(|i| (1, f32::from(i % 2), png(8, 8, [i, 9, 9]))).collect();
    put(dir.path(), "a.rec", recordio(&records).0);
    let report = run(&alone(&dir.path().join("a.rec")), out.path(), OnError::Stop).unwrap();
    assert_eq!((report.records, report.skipped.len()), (6, 0), "{report:?}");
    assert!(report.notes[0].contains("6 records share 1 keys"), "{report:?}");
    let names: Vec<String> = images(out.path()).into_keys().collect();
    assert_eq!(names, ["0/0.png", "0/2.png", "0/4.png", "1/1.png", "1/3.png", "1/5.png"]);
    // A list goes by keys, and takes none of them away.
    let rows: String = (0..6).map(|i| format!("1\t{}\tx/{i}.png\n", i % 2)).collect();
    put(dir.path(), "a.lst", rows);
    let (listed, out) = (Sources::beside(&dir.path().join("a.rec")), tempdir().unwrap());
    assert!(listed.lst.is_some());
    assert_eq!(run(&listed, out.path(), OnError::Stop).unwrap().records, 6);
}
