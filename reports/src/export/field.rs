//! One value of a row, with the column it belongs to.

use std::borrow::Cow;

/// Type of a column; every column may be null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A count: 64 bits without sign.
    Natural,
    /// 64 bits with sign.
    Integer,
    /// 64-bit float, which may be infinite or NaN.
    Real,
}

/// A value.
#[derive(Clone, Debug)]
pub(super) enum Datum<'a> {
    Null,
    /// Never empty: CSV could not tell that from null.
    Text(Cow<'a, str>),
    Natural(u64),
    Integer(i64),
    Real(f64),
}

/// A value and its column.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    pub name: &'static str,
    pub kind: Kind,
    pub datum: Datum<'a>,
}

pub(super) fn text<'a>(name: &'static str, value: Option<impl Into<Cow<'a, str>>>) -> Field<'a> {
    let datum = match value.map(Into::into) {
        Some(text) if !text.is_empty() => Datum::Text(text),
        _ => Datum::Null,
    };
    Field { name, kind: Kind::Text, datum }
}

pub(super) fn natural(name: &'static str, value: Option<u64>) -> Field<'static> {
    Field { name, kind: Kind::Natural, datum: value.map_or(Datum::Null, Datum::Natural) }
}

pub(super) fn count(name: &'static str, value: Option<usize>) -> Field<'static> {
    natural(name, value.map(|v| v as u64))
}

pub(super) fn integer(name: &'static str, value: Option<i64>) -> Field<'static> {
    Field { name, kind: Kind::Integer, datum: value.map_or(Datum::Null, Datum::Integer) }
}

pub(super) fn real(name: &'static str, value: Option<f64>) -> Field<'static> {
    Field { name, kind: Kind::Real, datum: value.map_or(Datum::Null, Datum::Real) }
}

/// A row: what the run, the cell and the image say, in this order.
pub(super) struct Row<'a, 'b>(pub [&'b [Field<'a>]; 3]);

impl<'a> Row<'a, '_> {
    pub fn fields(&self) -> impl Iterator<Item = &Field<'a>> {
        self.0.iter().flat_map(|part| part.iter())
    }
}

/// What is not finite, as `cells.jsonl` writes it.
pub(super) fn word(value: f64) -> Option<&'static str> {
    match value {
        v if v.is_nan() => Some("nan"),
        f64::INFINITY => Some("inf"),
        f64::NEG_INFINITY => Some("-inf"),
        _ => None,
    }
}
