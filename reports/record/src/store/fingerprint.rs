//! Canonical bytes of a set of records, to tell whether two runs found the same.

use crate::{CellRecord, RecordError};

/// One line of JSON per record, keys sorted, without `wall`, records sorted by cell id.
///
/// Two runs of one suite on one kind of device have equal fingerprints, however often either was
/// killed and resumed.
///
/// # Errors
/// [`RecordError::Unwritable`] where a record cannot be serialised.
pub fn fingerprint(records: &[CellRecord]) -> Result<Vec<u8>, RecordError> {
    let mut sorted: Vec<_> = records.iter().collect();
    sorted.sort_by(|a, b| a.id.cmp(&b.id));
    let mut bytes = Vec::new();
    for record in sorted {
        let unwritable = |e: serde_json::Error| RecordError::Unwritable {
            cell: record.id.to_string(),
            message: e.to_string(),
        };
        let mut value = serde_json::to_value(record).map_err(unwritable)?;
        value.as_object_mut().map(|fields| fields.remove("wall"));
        value.sort_all_objects();
        serde_json::to_writer(&mut bytes, &value).map_err(unwritable)?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}
