//! Parquet: typed nullable columns. Written by the format's own crate without its Arrow half, which
//! would double the build.

use super::field::{Datum, Field, Kind};
use super::rows;
use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;
use record::run::Run;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// Rows that are held in memory at once.
const GROUP: usize = 1 << 15;

/// One column of a row group: values where there are any, and for each row whether there is one
/// (definition level 1).
struct Column {
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    Text(Vec<ByteArray>),
    Whole(Vec<i64>),
    Real(Vec<f64>),
}

/// Writes the whole run and returns the number of rows.
pub(super) fn write(run: &Run, file: &mut File) -> io::Result<usize> {
    let fields = rows::schema(run);
    let schema = Arc::new(schema(&fields).map_err(io::Error::other)?);
    // The library's default names its own version: then a new release would change the bytes of old
    // records.
    let properties = WriterProperties::builder().set_created_by("bench".into()).build();
    let mut out =
        SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(io::Error::other)?;
    let mut columns = empty(&fields);
    let written = rows::each(run, &mut |row| {
        columns.iter_mut().zip(row.fields()).for_each(|(column, field)| column.push(&field.datum));
        if columns.first().is_some_and(|c| c.levels.len() >= GROUP) {
            let full = std::mem::replace(&mut columns, empty(&fields));
            flush(&mut out, &full).map_err(io::Error::other)?;
        }
        Ok(())
    })?;
    flush(&mut out, &columns).and_then(|()| out.close()).map_err(io::Error::other)?;
    Ok(written)
}

fn schema(fields: &[Field]) -> Result<Type, ParquetError> {
    let columns: Result<Vec<_>, _> = fields.iter().map(|f| column_type(f).map(Arc::new)).collect();
    Type::group_type_builder("bench").with_fields(columns?).build()
}

fn column_type(field: &Field) -> Result<Type, ParquetError> {
    let whole = |is_signed| (Physical::INT64, Some(LogicalType::integer(64, is_signed)));
    let (physical, logical) = match field.kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Natural => whole(false),
        Kind::Integer => whole(true),
        Kind::Real => (Physical::DOUBLE, None),
    };
    Type::primitive_type_builder(field.name, physical)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(logical)
        .build()
}

fn empty(fields: &[Field]) -> Vec<Column> {
    let values = |kind| match kind {
        Kind::Text => Values::Text(Vec::new()),
        Kind::Natural | Kind::Integer => Values::Whole(Vec::new()),
        Kind::Real => Values::Real(Vec::new()),
    };
    fields.iter().map(|f| Column { levels: Vec::new(), values: values(f.kind) }).collect()
}

impl Column {
    fn push(&mut self, datum: &Datum) {
        match (&mut self.values, datum) {
            (Values::Text(all), Datum::Text(text)) => all.push(text.as_ref().into()),
            // The format keeps numbers without sign in the same 64 bits.
            (Values::Whole(all), Datum::Natural(v)) => all.push(v.cast_signed()),
            (Values::Whole(all), Datum::Integer(v)) => all.push(*v),
            (Values::Real(all), Datum::Real(v)) => all.push(*v),
            _ => return self.levels.push(0),
        }
        self.levels.push(1);
    }

    fn write(&self, out: &mut SerializedColumnWriter) -> Result<(), ParquetError> {
        let levels = Some(self.levels.as_slice());
        match &self.values {
            Values::Text(all) => out.typed::<ByteArrayType>().write_batch(all, levels, None),
            Values::Whole(all) => out.typed::<Int64Type>().write_batch(all, levels, None),
            Values::Real(all) => out.typed::<DoubleType>().write_batch(all, levels, None),
        }
        .map(|_| ())
    }
}

/// Writes one row group; none where there are no rows.
fn flush(
    out: &mut SerializedFileWriter<&mut File>,
    columns: &[Column],
) -> Result<(), ParquetError> {
    if columns.iter().all(|c| c.levels.is_empty()) {
        return Ok(());
    }
    let mut group = out.next_row_group()?;
    for column in columns {
        let Some(mut writer) = group.next_column()? else { break };
        column.write(&mut writer)?;
        writer.close()?;
    }
    group.close().map(|_| ())
}
