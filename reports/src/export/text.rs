//! CSV and JSON lines.

use super::field::{Datum, Field, word};
use super::rows;
use record::run::Run;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use suites::foreign::printable_lines;

/// RFC 4180 with a header; null is the empty field.
pub(super) fn csv(run: &Run, file: &mut File) -> io::Result<usize> {
    let mut out = csv::Writer::from_writer(BufWriter::new(file));
    out.write_record(rows::schema(run).iter().map(|f| f.name)).map_err(io::Error::other)?;
    let written = rows::each(run, &mut |row| {
        row.fields()
            .try_for_each(|f| out.write_field(shown(&f.datum)))
            .map_err(io::Error::other)?;
        out.write_record(None::<&[u8]>).map_err(io::Error::other)
    })?;
    out.flush()?;
    Ok(written)
}

/// The shortest digits that read back as the same number.
fn shown(datum: &Datum) -> String {
    match datum {
        Datum::Null => String::new(),
        Datum::Text(text) => printable_lines(text).into_owned(),
        Datum::Natural(v) => v.to_string(),
        Datum::Integer(v) => v.to_string(),
        Datum::Real(v) => word(*v).map_or_else(|| format!("{v:?}"), String::from),
    }
}

/// One object a line, every column in each, in the same order.
pub(super) fn jsonl(run: &Run, file: &mut File) -> io::Result<usize> {
    let mut out = BufWriter::new(file);
    let written = rows::each(run, &mut |row| {
        let object: Map<_, _> = row.fields().map(pair).collect();
        serde_json::to_writer(&mut out, &object)?;
        out.write_all(b"\n")
    })?;
    out.flush()?;
    Ok(written)
}

fn pair(field: &Field) -> (String, Value) {
    let value = match &field.datum {
        Datum::Null => Value::Null,
        Datum::Text(text) => Value::from(text.as_ref()),
        Datum::Natural(v) => Value::from(*v),
        Datum::Integer(v) => Value::from(*v),
        Datum::Real(v) => word(*v).map_or_else(|| Value::from(*v), Value::from),
    };
    (field.name.to_owned(), value)
}
