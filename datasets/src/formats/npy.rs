//! NumPy's `.npy`: a header in Python's words, then the values. Whole numbers and reals; objects
//! are pickles, and refused.

use std::io::Read;

use suites::foreign::{Budget, Exceeded};

use super::{AGAIN, FormatError, expect_end, one_line, read_declared};

/// The header of a `.npy` array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// NumPy's type code, for instance `|u1` or `<i8`.
    pub dtype: String,
    /// The dimensions, outermost first.
    pub shape: Vec<usize>,
}

/// A whole `.npy` file of `size` bytes, its values as reals; `place` names it in errors.
///
/// # Errors
/// Values of another type, a damaged or longer file, more than the budget.
pub fn reals(
    source: &mut impl Read,
    size: u64,
    place: &str,
    budget: &mut Budget,
) -> Result<(Header, Vec<f32>), FormatError> {
    let (header, bytes) = declared(source, size, size, place)?;
    let width = item_size(&header.dtype).unwrap_or(1);
    // The bytes, in a buffer that grows by doubling, and the values as 64 and 32 bits.
    let cost = bytes.saturating_mul(2).saturating_add((bytes / width).saturating_mul(12));
    budget.hold(cost).map_err(|e: Exceeded| FormatError::exceeded(place, &e))?;
    let data = read_declared(source, bytes, place)?;
    expect_end(source, place)?;
    budget.release(cost - 4 * (bytes / width));
    let values = if header.dtype.get(1..2) == Some("f") {
        reals_of(&header.dtype, &data)
    } else {
        let whole = widen(&header.dtype, &data).ok_or_else(|| {
            FormatError::new(place, "whole numbers beyond 64 bits", "save them as float32")
        })?;
        whole.into_iter().map(|v| v as f32).collect()
    };
    Ok((header, values))
}

/// Parses the header, and the number of data bytes that it declares, once these fill the `size`
/// bytes of the array and are not more than `most`.
pub(super) fn declared(
    source: &mut impl Read,
    size: u64,
    most: u64,
    place: &str,
) -> Result<(Header, u64), FormatError> {
    let (header, used) = parse_header(source).map_err(|mut e| {
        e.place = format!("{place}, {}", e.place);
        e
    })?;
    let place = format!("{place}, header");
    let width = item_size(&header.dtype).ok_or_else(|| unread(&place, &header.dtype))?;
    let declared = header.shape.iter().try_fold(width, |n, &d| n.checked_mul(d as u64));
    match declared {
        Some(declared) if declared.checked_add(used) == Some(size) && size <= most => {
            Ok((header, declared))
        }
        _ => {
            let problem =
                format!("shape {:?} does not fit the {size} bytes of the array", header.shape);
            Err(FormatError::new(place, problem, AGAIN))
        }
    }
}

fn unread(place: &str, dtype: &str) -> FormatError {
    if dtype.get(1..2) == Some("O") {
        return FormatError::new(
            place,
            "pickled objects, which are never unpickled",
            "save plain arrays, such as numpy.savez(path, *arrays)",
        );
    }
    FormatError::new(
        place,
        format!("type {}", one_line(dtype)),
        "only whole numbers and reals of 16 to 64 bits are read",
    )
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
pub(super) fn dictionary(text: &str) -> Result<Header, FormatError> {
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

/// Bytes of an element; `None` for types that are not read.
pub fn item_size(dtype: &str) -> Option<u64> {
    match dtype.get(1..)? {
        "u1" | "i1" | "b1" => Some(1),
        "u2" | "i2" | "f2" => Some(2),
        "u4" | "i4" | "f4" => Some(4),
        "u8" | "i8" | "f8" => Some(8),
        _ => None,
    }
}

/// Integers of any width and byte order as `i64`; `None` for other types, or beyond the range.
pub(super) fn widen(dtype: &str, data: &[u8]) -> Option<Vec<i64>> {
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

/// Reals of 16, 32 or 64 bits.
pub(super) fn reals_of(dtype: &str, data: &[u8]) -> Vec<f32> {
    let (width, big) = (item_size(dtype).unwrap_or(1) as usize, dtype.starts_with('>'));
    data.chunks_exact(width).map(|item| real(item, big)).collect()
}

fn real(item: &[u8], big: bool) -> f32 {
    let raw = joined(item, big);
    match item.len() {
        2 => half(raw as u16),
        4 => f32::from_bits(raw as u32),
        _ => f64::from_bits(raw) as f32,
    }
}

/// IEEE 754 binary16.
fn half(raw: u16) -> f32 {
    let sign = if raw >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(raw >> 10 & 31), f32::from(raw & 1023));
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => sign * f32::INFINITY,
        31 => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

fn joined(item: &[u8], big: bool) -> u64 {
    let join = |n: u64, b: &u8| n << 8 | u64::from(*b);
    if big { item.iter().fold(0, join) } else { item.iter().rev().fold(0, join) }
}

fn integer(item: &[u8], big: bool, signed: bool) -> Option<i64> {
    let raw = joined(item, big);
    if signed {
        let shift = 64 - 8 * item.len() as u32;
        Some((raw << shift) as i64 >> shift)
    } else {
        i64::try_from(raw).ok()
    }
}

#[cfg(test)]
mod tests {
    use suites::foreign::limits;

    use super::*;

    fn read(bytes: &[u8], size: u64) -> Result<(Header, Vec<f32>), FormatError> {
        let mut budget = Budget::new(&limits::ARRAYS, size);
        reals(&mut &bytes[..], size, "w.npy", &mut budget)
    }

    fn file(dtype: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let text = format!("{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n");
        let length = (text.len() as u16).to_le_bytes();
        [&b"\x93NUMPY\x01\x00"[..], &length, text.as_bytes(), data].concat()
    }

    /// `numpy.array([1, -0.1, 65504, 6e-8, inf], "f2").view("u2")`.
    const HALVES: [u16; 5] = [15360, 44646, 31743, 1, 31744];

    #[test]
    fn values_of_16_bits_are_reals() {
        for (dtype, data) in [
            ("<f2", HALVES.map(u16::to_le_bytes).concat()),
            (">f2", HALVES.map(u16::to_be_bytes).concat()),
        ] {
            let bytes = file(dtype, "(5,)", &data);
            let (header, values) = read(&bytes, bytes.len() as u64).unwrap();
            assert_eq!(header.shape, [5]);
            // As float() of NumPy's values says them.
            let want = [1.0, -0.099_975_586, 65504.0, 5.960_464_5e-8, f32::INFINITY];
            assert_eq!(values, want);
        }
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn faults_are_named() {
        let said = |bytes: &[u8]| read(bytes, bytes.len() as u64).unwrap_err();
        let objects = said(&file("|O", "(1,)", &[0; 8]));
        assert!(objects.problem.contains("never unpickled"), "{objects:?}");
        assert!(said(&file("<c8", "(1,)", &[0; 8])).problem.contains("<c8"));
        assert!(said(&file("<f4", "(3,)", &[0; 8])).problem.contains("does not fit"));
        let whole = file("<i2", "(2,)", &[1, 0, 255, 255]);
        assert_eq!(read(&whole, whole.len() as u64).unwrap().1, [1.0, -1.0]);
        assert!(read(&whole, whole.len() as u64 - 1).is_err());
    }
}
