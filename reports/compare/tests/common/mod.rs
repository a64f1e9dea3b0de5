//! Synthetic records as one side of a comparison.

use compare::Side;
use record::CellRecord;
use record::testing::info;

/// The records as one side of a comparison, without a folder.
pub fn side(name: &str, records: Vec<CellRecord>) -> Side {
    let mut info = info("");
    info.suite.cells = records.iter().map(|r| r.id.clone()).collect();
    Side::of_records(name, info, records).unwrap()
}
