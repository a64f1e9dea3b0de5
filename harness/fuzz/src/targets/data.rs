//! Data sets: what must hold of every reader of their formats on any bytes.

use std::io::Cursor;

use datasets::formats::{celeba_lists, cifar_bin, idx, image_file, npy, npz, recordio, uci};
use datasets::recordio::{Catalog, Sources};
use suites::foreign::{Budget, limits};

use crate::{Target, on_disk, samples};

/// Targets of this room.
pub(super) static TARGETS: &[Target] = &[
    Target { name: "idx", limit: &limits::ARRAYS, check: idx, samples: samples::idx },
    Target { name: "cifar_bin", limit: &limits::ARRAYS, check: cifar_bin, samples: samples::cifar },
    Target { name: "npz", limit: &limits::ARRAYS, check: npz, samples: samples::npz },
    Target {
        name: "celeba_lists",
        limit: &limits::TABLE,
        check: celeba_lists,
        samples: samples::celeba_lists,
    },
    Target { name: "uci", limit: &limits::TABLE, check: uci, samples: samples::uci },
    Target {
        name: "image_file",
        limit: &limits::PICTURE,
        check: image_file,
        samples: samples::pictures,
    },
    Target { name: "recordio", limit: &limits::RECORD, check: recordio, samples: samples::rec },
    Target {
        name: "recordio_text",
        limit: &limits::TABLE,
        check: recordio_text,
        samples: samples::rec_lists,
    },
    Target {
        name: "recordio_catalog",
        limit: &limits::RECORD,
        check: recordio_catalog,
        samples: samples::rec,
    },
];

/// IDX, plain and gzipped.
pub fn idx(bytes: &[u8]) {
    for rank in [1, 3] {
        if let Ok(file) = idx::parse(bytes, rank) {
            assert_eq!(file.dims.len(), rank);
            assert_eq!(file.dims.iter().product::<usize>(), file.data.len());
            assert_eq!(idx::parse_dims(bytes, bytes.len() as u64, rank), Ok(file.dims));
        }
    }
}

/// CIFAR's binary files.
pub fn cifar_bin(bytes: &[u8]) {
    if let Ok(records) = cifar_bin::parse(bytes) {
        assert_eq!(records.len() * cifar_bin::RECORD, bytes.len());
        assert!(
            records.iter().all(|(label, pixels)| label < 10 && pixels.len() == cifar_bin::PIXELS)
        );
    }
}

/// Archives of NumPy arrays.
pub fn npz(bytes: &[u8]) {
    let Ok(mut file) = npz::Npz::open(Cursor::new(bytes)) else { return };
    for name in file.names() {
        if let Ok((header, data)) = file.bytes(&name, None) {
            assert_eq!(header.shape.iter().product::<usize>(), data.len());
        }
        if let Ok((header, values)) = file.integers(&name) {
            assert_eq!(header.shape.iter().product::<usize>(), values.len());
        }
        let _ = file.bytes(&name, Some(1));
    }
    let _ = npz::parse_header(&mut &*bytes);
    let mut budget = Budget::new(&limits::ARRAYS, bytes.len() as u64);
    if let Ok((header, values)) = npy::reals(&mut &*bytes, bytes.len() as u64, "input", &mut budget)
    {
        assert_eq!(header.shape.iter().product::<usize>(), values.len());
    }
}

/// CelebA's lists: attributes, partition, identities.
pub fn celeba_lists(bytes: &[u8]) {
    if let Ok(names) = celeba_lists::attributes(bytes) {
        for name in names {
            if let Ok(column) = celeba_lists::attribute(bytes, name) {
                assert!(
                    !column.is_empty() && column.iter().all(|(_, value)| matches!(value, 0 | 1))
                );
            }
        }
    }
    if let (Ok(names), Ok(rows)) =
        (celeba_lists::attributes(bytes), celeba_lists::all_attributes(bytes))
    {
        assert!(rows.iter().all(|(_, marks)| *marks >= 0 && marks >> names.len() == 0));
    }
    if let Ok(parts) = celeba_lists::partition(bytes) {
        assert!(parts.iter().all(|(_, part)| (0..3).contains(part)));
    }
    if let Ok(persons) = celeba_lists::identities(bytes) {
        assert!(persons.iter().all(|(_, person)| *person >= 0));
    }
}

/// The WDBC table as UCI ships it.
pub fn uci(bytes: &[u8]) {
    if let Ok(table) = uci::parse(bytes) {
        assert_eq!(table.features.len(), uci::FEATURES * table.labels.len());
        assert!(
            table.features.iter().all(|v| v.is_finite()) && table.labels.iter().all(|l| *l < 2)
        );
    }
}

/// PNG, JPEG, BMP and PNM.
pub fn image_file(bytes: &[u8]) {
    if let Ok(pixels) = image_file::decode(bytes) {
        assert_eq!(pixels.data.len(), pixels.height * pixels.width * 3);
        let square = datasets::formats::resize::square(&pixels, 16);
        assert_eq!(square.data.len(), 16 * 16 * 3);
    }
}

/// Records of MXNet.
pub fn recordio(bytes: &[u8]) {
    let Ok(records) = recordio::Records::new(bytes.to_vec()) else { return };
    let mut at = 0;
    while at < records.size() {
        let next = match (records.read(at), records.glance(at)) {
            (Ok(record), Ok(glance)) => {
                // As bits: a label may be no number.
                let bits = |header: &recordio::Header| {
                    let labels: Vec<u32> = header.labels.iter().map(|l| l.to_bits()).collect();
                    (header.flag, labels, header.id, header.id2)
                };
                assert_eq!(bits(&record.header), bits(&glance.header));
                assert_eq!(record.end, glance.end);
                assert!(
                    record.payload.len() as u64 == glance.length
                        && record.payload.starts_with(&glance.start)
                        && record.payload.ends_with(&glance.tail)
                );
                Some(record.end)
            }
            (Err(_), Err(_)) => records.next_after(at),
            both => panic!("{both:?}"),
        };
        let Some(next) = next else { break };
        assert!(next > at && next <= records.size());
        at = next;
    }
}

/// `.idx`, `.lst` and `property`.
pub fn recordio_text(bytes: &[u8]) {
    if let Ok(rows) = recordio::parse_index(bytes) {
        assert!(!rows.is_empty());
    }
    if let Ok(rows) = recordio::parse_list(bytes) {
        assert!(!rows.is_empty() && rows.iter().all(|r| r.label.is_finite()));
    }
    if let Ok(property) = recordio::parse_property(bytes) {
        assert!(property.height > 0 && property.width > 0);
    }
}

/// A whole `.rec` file: its catalogue, and every image that is in it.
pub fn recordio_catalog(bytes: &[u8]) {
    on_disk("faces.rec", bytes, |rec| {
        let sources = Sources { rec: rec.into(), idx: None, lst: None, property: None };
        let Ok(catalog) = Catalog::open(&sources) else { return };
        for entry in &catalog.entries {
            assert!(entry.label.is_finite());
            if let Ok(record) = catalog.read(entry) {
                assert_eq!(record.payload.len() as u64, entry.length);
            }
        }
    });
}
