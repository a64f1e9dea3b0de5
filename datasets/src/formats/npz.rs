//! NumPy's `.npz`: a zip of `.npy` arrays, stored or deflated. Whole numbers
//! and reals; never objects.

use std::io::{Read, Seek, SeekFrom};

use suites::foreign::{Budget, Exceeded, check_zip, limits};
use zip::read::ZipFile;
use zip::{CompressionMethod, ZipArchive};

use super::npy::{self, item_size, widen};
pub use super::npy::{Header, parse_header};
use super::{AGAIN, FormatError, MAX_INFLATION, expect_end, one_line, read_declared};

/// An open `.npz`; arrays are inflated when they are asked for.
pub struct Npz<R> {
    archive: ZipArchive<R>,
    /// What its arrays may still cost, all together.
    budget: Budget,
}

/// Bytes of an entry of the directory in memory.
const ENTRY: usize = 1 << 10;

impl<R: Read + Seek> Npz<R> {
    /// Reads the zip's directory.
    ///
    /// # Errors
    /// When it is no zip, or its directory is damaged.
    pub fn open(mut source: R) -> Result<Self, FormatError> {
        let broken = |e: &dyn std::fmt::Display| {
            FormatError::new(
                "zip directory",
                one_line(&e.to_string()),
                "an .npz file is a zip: get the file again",
            )
        };
        let stored = source.seek(SeekFrom::End(0)).map_err(|e| broken(&e))?;
        check_zip(&mut source).map_err(|e| broken(&e))?;
        let archive = ZipArchive::new(source).map_err(|e| broken(&e))?;
        let mut budget = Budget::new(&limits::ARRAYS, stored);
        budget.build(archive.len(), ENTRY).map_err(|e| broken(&e))?;
        Ok(Self { archive, budget })
    }

    /// Pays for an array; twice, as its buffer grows by doubling.
    fn pay(&mut self, name: &str, bytes: u64) -> Result<(), FormatError> {
        let exceeded = |e: Exceeded| FormatError::exceeded(format!("array {name}"), &e);
        self.budget.hold(bytes.saturating_mul(2)).map_err(exceeded)
    }

    /// Names of the arrays, without `.npy`.
    pub fn names(&self) -> Vec<String> {
        let names = self.archive.file_names().flatten();
        names.map(|n| n.trim_end_matches(".npy").to_string()).collect()
    }

    /// Whether any entry is an array by its name.
    pub fn holds_arrays(&self) -> bool {
        self.archive.file_names().flatten().any(|name| name.ends_with(".npy"))
    }

    /// The type of one array, which may be one that is not read.
    ///
    /// # Errors
    /// No such array, or a damaged header.
    pub fn dtype(&mut self, name: &str) -> Result<String, FormatError> {
        let mut entry = self.entry(name)?;
        let (header, _) = parse_header(&mut entry).map_err(|mut e| {
            e.place = format!("array {name}, {}", e.place);
            e
        })?;
        Ok(header.dtype)
    }

    /// Type and shape of one array; its data stays unread.
    ///
    /// # Errors
    /// No such array, or a damaged header.
    pub fn header(&mut self, name: &str) -> Result<Header, FormatError> {
        Ok(self.declared(name)?.0)
    }

    /// The first `rows` rows (all where `None`) of an array of bytes, with its header; the shape is
    /// that of the whole array.
    ///
    /// # Errors
    /// No such array, another type than unsigned byte, or damaged data.
    pub fn bytes(
        &mut self,
        name: &str,
        rows: Option<usize>,
    ) -> Result<(Header, Vec<u8>), FormatError> {
        let (header, declared) = self.declared(name)?;
        if header.dtype != "|u1" {
            let problem = format!("type {}", one_line(&header.dtype));
            return Err(FormatError::new(
                format!("array {name}"),
                problem,
                "pixels are unsigned bytes (|u1)",
            ));
        }
        let all = header.shape.first().copied().unwrap_or(1);
        let wanted = match rows {
            Some(rows) if rows < all => declared / all as u64 * rows as u64,
            _ => declared,
        };
        self.pay(name, wanted)?;
        let mut entry = self.entry(name)?;
        read_header(&mut entry, name)?;
        let data = read_declared(&mut entry, wanted, &format!("array {name}"))?;
        if wanted == declared {
            expect_end(&mut entry, &format!("array {name}"))?;
        }
        Ok((header, data))
    }

    /// A whole array of integers (of any width, or booleans), with its header.
    ///
    /// # Errors
    /// No such array, floating-point or pickled values, values beyond `i64`, or damaged data.
    pub fn integers(&mut self, name: &str) -> Result<(Header, Vec<i64>), FormatError> {
        let (header, declared) = self.declared(name)?;
        // The values as they are, and as `i64`.
        self.pay(name, declared)?;
        self.pay(name, 8 * declared / item_size(&header.dtype).unwrap_or(1))?;
        let mut entry = self.entry(name)?;
        read_header(&mut entry, name)?;
        let place = format!("array {name}");
        let data = read_declared(&mut entry, declared, &place)?;
        expect_end(&mut entry, &place)?;
        let values = widen(&header.dtype, &data).ok_or_else(|| {
            let problem = format!("type {}", one_line(&header.dtype));
            FormatError::new(place, problem, "labels are integers such as uint8 or int64")
        })?;
        Ok((header, values))
    }

    /// A whole array of reals (of 16, 32 or 64 bits) or integers as reals, with its header.
    ///
    /// # Errors
    /// No such array, values of another type, or damaged data.
    pub fn reals(&mut self, name: &str) -> Result<(Header, Vec<f32>), FormatError> {
        let (header, declared) = self.declared(name)?;
        if header.dtype.get(1..2) != Some("f") {
            let (header, values) = self.integers(name)?;
            return Ok((header, values.into_iter().map(|v| v as f32).collect()));
        }
        self.pay(name, declared)?;
        let mut entry = self.entry(name)?;
        read_header(&mut entry, name)?;
        let place = format!("array {name}");
        let data = read_declared(&mut entry, declared, &place)?;
        expect_end(&mut entry, &place)?;
        let values = npy::reals_of(&header.dtype, &data);
        Ok((header, values))
    }

    /// Type, shape and bytes of an array that is not read yet.
    fn declared(&mut self, name: &str) -> Result<(Header, u64), FormatError> {
        let mut entry = self.entry(name)?;
        read_header(&mut entry, name)
    }

    fn entry(&mut self, name: &str) -> Result<ZipFile<'_, R>, FormatError> {
        let names = self.names().join(", ");
        let place = format!("array {name}");
        let entry = self.archive.by_name(&format!("{name}.npy")).map_err(|e| {
            let place = place.clone();
            match e {
                zip::result::ZipError::FileNotFound => FormatError::new(
                    place,
                    "not in the file",
                    format!("it holds: {}", one_line(&names)),
                ),
                other => FormatError::new(place, one_line(&other.to_string()), AGAIN),
            }
        })?;
        match entry.compression() {
            CompressionMethod::Stored | CompressionMethod::Deflated => Ok(entry),
            other => Err(FormatError::new(
                place,
                format!("compressed by a method that is not read ({other})"),
                "save it with numpy.savez or numpy.savez_compressed",
            )),
        }
    }
}

/// Parses the header, and the number of data bytes it declares once that fits the zip's own sizes.
fn read_header<R: Read>(
    entry: &mut ZipFile<'_, R>,
    name: &str,
) -> Result<(Header, u64), FormatError> {
    let (size, stored) = (entry.size(), entry.compressed_size());
    npy::declared(entry, size, stored.saturating_mul(MAX_INFLATION), &format!("array {name}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;
    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn npy(dtype: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let mut out = b"\x93NUMPY\x01\x00".to_vec();
        out.extend((text.len() as u16).to_le_bytes());
        out.extend(text.as_bytes());
        out.extend(data);
        out
    }

    fn npz(method: CompressionMethod, arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, data) in arrays {
            let options = SimpleFileOptions::default().compression_method(method);
            zip.start_file(format!("{name}.npy"), options).unwrap();
            zip.write_all(data).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn open(bytes: Vec<u8>) -> Npz<Cursor<Vec<u8>>> {
        Npz::open(Cursor::new(bytes)).unwrap()
    }

    #[test]
    fn stored_and_deflated_agree() {
        for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
            let images = npy("|u1", "(3, 2)", &[1, 2, 3, 4, 5, 6]);
            let labels = npy(
                "<i8",
                "(2, 1)",
                &[255, 255, 255, 255, 255, 255, 255, 255, 7, 0, 0, 0, 0, 0, 0, 0],
            );
            let mut file = open(npz(method, &[("x", images), ("y", labels)]));
            assert_eq!(file.names(), ["x", "y"]);
            assert_eq!(file.header("x").unwrap().shape, [3, 2]);
            assert_eq!(file.bytes("x", None).unwrap().1, [1, 2, 3, 4, 5, 6]);
            assert_eq!(file.bytes("x", Some(2)).unwrap().1, [1, 2, 3, 4]);
            assert_eq!(file.integers("y").unwrap().1, [-1, 7]);
        }
    }

    #[test]
    fn faults_name_the_array() {
        let file = |dtype: &str, shape: &str, data: &[u8]| {
            open(npz(CompressionMethod::Deflated, &[("x", npy(dtype, shape, data))]))
        };
        let missing = file("|u1", "(1,)", &[1]).bytes("z", None).unwrap_err();
        assert_eq!((missing.place.as_str(), missing.remedy.as_str()), ("array z", "it holds: x"));
        assert!(
            file("|u1", "(9,)", &[1])
                .bytes("x", None)
                .unwrap_err()
                .problem
                .contains("does not fit")
        );
        assert!(file("<f4", "(1,)", &[0; 4]).bytes("x", None).unwrap_err().problem.contains("<f4"));
        assert!(file("<f4", "(1,)", &[0; 4]).integers("x").is_err());
        assert!(file("|O", "(1,)", &[0; 4]).integers("x").unwrap_err().problem.contains("objects"));
        assert!(file("|u1", "(99999999999999999999,)", &[]).bytes("x", None).is_err());
        assert!(file("<u8", "(4294967296, 4294967296)", &[]).integers("x").is_err());
        assert!(Npz::open(Cursor::new(b"no zip".to_vec())).is_err());
    }

    #[test]
    fn a_flipped_bit_is_found() {
        let mut bytes = npz(CompressionMethod::Stored, &[("x", npy("|u1", "(4,)", &[1, 2, 3, 4]))]);
        let at = bytes.windows(4).position(|w| w == [1, 2, 3, 4]).unwrap();
        bytes[at] = 9;
        assert!(open(bytes).bytes("x", None).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0usize..400,
            to: u8,
            header in "[{}':a-z0-9(), |<>]{0,80}",
        ) {
            let read_all = |bytes: Vec<u8>| if let Ok(mut file) = Npz::open(Cursor::new(bytes)) {
                for name in file.names() {
                    let _ = file.bytes(&name, Some(1));
                    let _ = file.integers(&name);
                }
            };
            read_all(bytes.clone());
            let members = [("x", npy("|u1", "(3,)", &[1, 2, 3])), ("y", bytes)];
            let mut whole = npz(CompressionMethod::Deflated, &members);
            if let Some(byte) = whole.get_mut(at) { *byte = to; }
            read_all(whole);
            let _ = npy::dictionary(&header);
        }

        #[test]
        fn integers_keep_their_value(value: i64, big: bool) {
            let bytes = if big { value.to_be_bytes() } else { value.to_le_bytes() };
            prop_assert_eq!(widen(if big { ">i8" } else { "<i8" }, &bytes), Some(vec![value]));
        }
    }
}
