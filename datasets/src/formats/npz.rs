//! NumPy's `.npz`: a zip of `.npy` arrays, stored or deflated. Integers and bytes only.

use std::io::{Read, Seek, SeekFrom};

use suites::foreign::{Budget, Exceeded, check_zip, limits};
use zip::ZipArchive;
use zip::read::ZipFile;

use super::{AGAIN, FormatError, MAX_INFLATION, expect_end, one_line, read_declared};

/// The header of a `.npy` array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// NumPy's type code, for instance `|u1` or `<i8`.
    pub dtype: String,
    /// The dimensions, outermost first.
    pub shape: Vec<usize>,
}

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
        self.archive.file_names().map(|n| n.trim_end_matches(".npy").to_string()).collect()
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

    /// A whole array of reals (of 32 or 64 bits) or integers as reals, with its header.
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
        let width = item_size(&header.dtype).unwrap_or(1) as usize;
        let big = header.dtype.starts_with('>');
        let values = data.chunks_exact(width).map(|item| real(item, big)).collect();
        Ok((header, values))
    }

    /// Type, shape and bytes of an array that is not read yet.
    fn declared(&mut self, name: &str) -> Result<(Header, u64), FormatError> {
        let mut entry = self.entry(name)?;
        read_header(&mut entry, name)
    }

    fn entry(&mut self, name: &str) -> Result<ZipFile<'_, R>, FormatError> {
        let names = self.names().join(", ");
        self.archive.by_name(&format!("{name}.npy")).map_err(|e| {
            let place = format!("array {name}");
            match e {
                zip::result::ZipError::FileNotFound => FormatError::new(
                    place,
                    "not in the file",
                    format!("it holds: {}", one_line(&names)),
                ),
                other => FormatError::new(place, one_line(&other.to_string()), AGAIN),
            }
        })
    }
}

/// Parses the header, and the number of data bytes it declares once that fits the zip's own sizes.
fn read_header<R: Read>(
    entry: &mut ZipFile<'_, R>,
    name: &str,
) -> Result<(Header, u64), FormatError> {
    let place = format!("array {name}, header");
    let (size, stored) = (entry.size(), entry.compressed_size());
    let (header, used) = parse_header(entry).map_err(|mut e| {
        e.place = format!("array {name}, {}", e.place);
        e
    })?;
    let width = item_size(&header.dtype).ok_or_else(|| {
        FormatError::new(
            &place,
            format!("type {}", one_line(&header.dtype)),
            "only integers and bytes are read",
        )
    })?;
    let declared = header.shape.iter().try_fold(width, |n, &d| n.checked_mul(d as u64));
    match declared {
        Some(declared)
            if declared.checked_add(used) == Some(size)
                && size <= stored.saturating_mul(MAX_INFLATION) =>
        {
            Ok((header, declared))
        }
        _ => {
            let problem =
                format!("shape {:?} does not fit the {size} bytes of the array", header.shape);
            Err(FormatError::new(place, problem, AGAIN))
        }
    }
}

/// Parses the start of a `.npy` stream; also returns how many bytes it took.
///
/// # Errors
/// Wrong magic or version, a header above 64 KiB, or a dictionary without type, order and shape.
pub fn parse_header(source: &mut impl Read) -> Result<(Header, u64), FormatError> {
    let start = read_declared(source, 8, "header")?;
    if start[..6] != *b"\x93NUMPY" || !(1..=3).contains(&start[6]) {
        return Err(FormatError::new("header", "not a .npy array of version 1 to 3", AGAIN));
    }
    let width = if start[6] == 1 { 2 } else { 4 };
    let raw = read_declared(source, width, "header")?;
    let length = raw.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
    if length > 1 << 16 {
        return Err(FormatError::new("header", format!("a header of {length} bytes"), AGAIN));
    }
    let text = read_declared(source, length, "header")?;
    let header = dictionary(&String::from_utf8_lossy(&text))?;
    Ok((header, 8 + width + length))
}

/// Reads `{'descr': '|u1', 'fortran_order': False, 'shape': (3, 28, 28), }`.
fn dictionary(text: &str) -> Result<Header, FormatError> {
    let after =
        |key: &str| text.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let dtype = after("descr")
        .and_then(|r| r.strip_prefix('\''))
        .and_then(|r| r.split_once('\''))
        .map(|(d, _)| d);
    let shape = after("shape")
        .and_then(|r| r.strip_prefix('('))
        .and_then(|r| r.split_once(')'))
        .map(|(s, _)| s);
    let (Some(dtype), Some(shape), Some(order)) = (dtype, shape, after("fortran_order")) else {
        return Err(FormatError::new(
            "header",
            format!("`{}`", one_line(text)),
            "save plain arrays with numpy.savez",
        ));
    };
    let parts = shape.split(',').map(str::trim).filter(|d| !d.is_empty());
    let shape: Vec<usize> = parts
        .map(str::parse)
        .collect::<Result<_, _>>()
        .map_err(|_| FormatError::new("header", format!("shape ({})", one_line(shape)), AGAIN))?;
    if order.starts_with("True") && shape.len() > 1 {
        return Err(FormatError::new(
            "header",
            "column-major order",
            "save numpy.ascontiguousarray(array)",
        ));
    }
    Ok(Header { dtype: dtype.to_string(), shape })
}

fn item_size(dtype: &str) -> Option<u64> {
    match dtype.get(1..)? {
        "u1" | "i1" | "b1" => Some(1),
        "u2" | "i2" => Some(2),
        "u4" | "i4" | "f4" => Some(4),
        "u8" | "i8" | "f8" => Some(8),
        _ => None,
    }
}

/// Integers of any width and byte order as `i64`; `None` for other types, or beyond the range.
fn widen(dtype: &str, data: &[u8]) -> Option<Vec<i64>> {
    let width = item_size(dtype)? as usize;
    let (big, signed) = (
        dtype.starts_with('>'),
        match dtype.as_bytes().get(1)? {
            b'i' => true,
            b'u' | b'b' => false,
            _ => return None,
        },
    );
    data.chunks_exact(width).map(|item| integer(item, big, signed)).collect()
}

/// A real of 32 or 64 bits.
fn real(item: &[u8], big: bool) -> f32 {
    let join = |n: u64, b: &u8| n << 8 | u64::from(*b);
    let raw = if big { item.iter().fold(0, join) } else { item.iter().rev().fold(0, join) };
    if item.len() == 4 { f32::from_bits(raw as u32) } else { f64::from_bits(raw) as f32 }
}

fn integer(item: &[u8], big: bool, signed: bool) -> Option<i64> {
    let join = |n: u64, b: &u8| n << 8 | u64::from(*b);
    let raw = if big { item.iter().fold(0, join) } else { item.iter().rev().fold(0, join) };
    if signed {
        let shift = 64 - 8 * item.len() as u32;
        Some((raw << shift) as i64 >> shift)
    } else {
        i64::try_from(raw).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use proptest::prelude::*;
    use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

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
        assert!(file("|O", "(1,)", &[0; 4]).integers("x").is_err());
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
            let _ = dictionary(&header);
        }

        #[test]
        fn integers_keep_their_value(value: i64, big: bool) {
            let bytes = if big { value.to_be_bytes() } else { value.to_le_bytes() };
            prop_assert_eq!(widen(if big { ">i8" } else { "<i8" }, &bytes), Some(vec![value]));
        }
    }
}
