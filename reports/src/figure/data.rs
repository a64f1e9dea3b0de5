//! The numbers behind a figure or table as CSV.

use super::estimate::Estimate;
use record::RecordError;
use record::run::Run;
use std::path::Path;
use suites::foreign::printable_lines;

/// Rows of text under a head.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sheet {
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// The columns of an [`Estimate`].
pub(crate) const ESTIMATE: [&str; 11] = [
    "value",
    "low",
    "high",
    "sd",
    "n",
    "units",
    "values",
    "successes",
    "failed",
    "missing",
    "capped",
];

impl Sheet {
    pub fn new(head: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Sheet { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn push(&mut self, row: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(row.into_iter().map(Into::into).collect());
    }

    /// The bytes of the CSV file `path`.
    pub fn csv(&self, path: &Path) -> Result<Vec<u8>, RecordError> {
        let fault =
            |e: csv::Error| RecordError::io("write", path)(std::io::Error::other(e.to_string()));
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record(&self.head).map_err(fault)?;
        let clean =
            |row: &Vec<String>| row.iter().map(|c| printable_lines(c).into_owned()).collect();
        let mut rows = self.rows.iter().map(clean);
        rows.try_for_each(|row: Vec<String>| out.write_record(row)).map_err(fault)?;
        out.into_inner().map_err(|e| fault(e.into_error().into()))
    }
}

/// The columns of `estimate` as [`ESTIMATE`] names them.
pub(crate) fn of_estimate(e: &Estimate) -> Vec<String> {
    let counts = [e.failed, e.missing, e.capped].map(|c| c.to_string());
    let [failed, missing, capped] = counts;
    let (low, high) = e.interval.map_or((None, None), |(low, high)| (Some(low), Some(high)));
    vec![
        shown(e.value),
        shown(low),
        shown(high),
        shown(e.sd),
        e.n.to_string(),
        e.units.to_string(),
        listed(&e.values),
        e.successes.map_or(String::new(), |s| s.to_string()),
        failed,
        missing,
        capped,
    ]
}

/// Values apart by a space.
pub(crate) fn listed(values: &[f64]) -> String {
    values.iter().map(|v| shown(Some(*v))).collect::<Vec<_>>().join(" ")
}

/// The ids of cells, apart by a space.
pub(crate) fn ids(run: &Run, cells: &[usize]) -> String {
    cells.iter().map(|at| run.records[*at].id.as_str()).collect::<Vec<_>>().join(" ")
}

/// Full precision; empty where there is none.
pub(crate) fn shown(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(v) if v.is_nan() => "nan".into(),
        Some(v) => v.to_string(),
    }
}
