//! Rounds as CSV: the fixed columns, then one for each metric by name.

use super::RoundRecord;
use crate::RecordError;
use crate::store::write_whole;
use csv::StringRecord;
use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;

const FIXED: [&str; 11] = [
    "round",
    "clients",
    "survivors",
    "lr",
    "train_loss",
    "bytes_up",
    "bytes_down",
    "seconds",
    "epsilon",
    "delta",
    "failures",
];

const REMEDY: &str = "mend the line or train again; the file is written by `bench train`";

/// Writes `rounds` to `path` as CSV, whole or not at all.
///
/// The columns are the fields of [`RoundRecord`], `failures` as a JSON list, then the metrics
/// sorted by name; an empty cell is `None` or not measured. [`read_rounds`] gives the same records
/// back, bit for bit but for NaN's payload.
///
/// # Errors
/// [`RecordError::Io`]; [`RecordError::Column`] where a metric has the name of another column.
pub fn write_rounds(path: &Path, rounds: &[RoundRecord]) -> Result<(), RecordError> {
    let metrics: BTreeSet<&str> =
        rounds.iter().flat_map(|r| r.metrics.keys().map(String::as_str)).collect();
    if let Some(taken) = metrics.iter().find(|m| FIXED.contains(m) || m.trim().is_empty()) {
        return Err(RecordError::Column { path: path.into(), name: (*taken).to_owned() });
    }
    let fault =
        |e: csv::Error| RecordError::io("write", path)(std::io::Error::other(e.to_string()));
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(FIXED.iter().chain(&metrics)).map_err(fault)?;
    for round in rounds {
        let cells = metrics.iter().map(|m| shown(round.metrics.get(*m).copied()));
        out.write_record(fixed(round).into_iter().chain(cells)).map_err(fault)?;
    }
    let bytes = out.into_inner().map_err(|e| fault(e.into_error().into()))?;
    write_whole(path, &bytes)
}

fn fixed(round: &RoundRecord) -> [String; 11] {
    let failures = if round.failures.is_empty() {
        String::new()
    } else {
        serde_json::json!(round.failures).to_string()
    };
    [
        round.round.to_string(),
        round.clients.to_string(),
        round.survivors.to_string(),
        shown(Some(round.lr)),
        shown(round.train_loss),
        round.bytes_up.to_string(),
        round.bytes_down.to_string(),
        shown(Some(round.seconds)),
        shown(round.epsilon),
        shown(round.delta),
        failures,
    ]
}

/// The shortest digits that read back as the same number.
fn shown(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(v) if v.is_nan() => "nan".into(),
        Some(v) if v != 0.0 && v.is_finite() && !(1e-5..1e16).contains(&v.abs()) => {
            format!("{v:e}")
        }
        Some(v) => v.to_string(),
    }
}

/// Reads what [`write_rounds`] wrote; columns that are no field of [`RoundRecord`] are metrics.
///
/// # Errors
/// [`RecordError::Io`], or [`RecordError::Malformed`] with line and column where a cell does not
/// hold what it should.
pub fn read_rounds(path: &Path) -> Result<Vec<RoundRecord>, RecordError> {
    let bytes = suites::foreign::read(path, &suites::foreign::limits::RUN)
        .map_err(RecordError::io("read", path))?;
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let head = reader.headers().map_err(|e| torn(path, &e))?.clone();
    let columns = Columns::from_head(path, &head)?;
    let mut rounds = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|e| torn(path, &e))?;
        rounds.push(columns.round(&Row { path, head: &head, row: &row })?);
    }
    Ok(rounds)
}

fn malformed(path: &Path, line: usize, column: usize, message: String) -> RecordError {
    RecordError::Malformed { path: path.into(), line, column, message, remedy: REMEDY }
}

/// A line that is no CSV, such as one with too few cells.
fn torn(path: &Path, error: &csv::Error) -> RecordError {
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} cells where the head has {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not text".into(),
        other => format!("not CSV: {other:?}"),
    };
    malformed(path, error.position().map_or(1, |p| p.line() as usize), 0, message)
}

/// Where each fixed column stands, and the metrics.
struct Columns {
    fixed: [usize; 11],
    metrics: Vec<usize>,
}

impl Columns {
    fn from_head(path: &Path, head: &StringRecord) -> Result<Self, RecordError> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = head.iter().position(|name| !seen.insert(name)) {
            return Err(malformed(
                path,
                1,
                twice + 1,
                format!("a second column `{}`", &head[twice]),
            ));
        }
        if let Some(blank) = head.iter().position(|name| name.trim().is_empty()) {
            return Err(malformed(path, 1, blank + 1, "a column without a name".into()));
        }
        let place = |name: &&str| head.iter().position(|h| h == *name);
        if let Some(missing) = FIXED.iter().find(|name| place(name).is_none()) {
            return Err(malformed(path, 1, 0, format!("no column `{missing}`")));
        }
        let metrics = (0..head.len()).filter(|at| !FIXED.contains(&&head[*at])).collect();
        Ok(Columns { fixed: FIXED.map(|name| place(&name).unwrap_or(0)), metrics })
    }

    fn round(&self, row: &Row) -> Result<RoundRecord, RecordError> {
        let [round, clients, survivors, lr, loss, up, down, seconds, epsilon, delta, failures] =
            self.fixed;
        let metric = |at: &usize| {
            let value = row.optional(*at)?;
            Ok(value.map(|v| (row.head[*at].to_owned(), v)))
        };
        let metrics: Result<Vec<_>, RecordError> = self.metrics.iter().map(metric).collect();
        Ok(RoundRecord {
            round: row.number(round)?,
            clients: row.number(clients)?,
            survivors: row.number(survivors)?,
            metrics: metrics?.into_iter().flatten().collect(),
            train_loss: row.optional(loss)?,
            lr: row.number(lr)?,
            bytes_up: row.number(up)?,
            bytes_down: row.number(down)?,
            seconds: row.number(seconds)?,
            epsilon: row.optional(epsilon)?,
            delta: row.optional(delta)?,
            failures: row.list(failures)?,
        })
    }
}

/// One line with what is needed to complain about it.
struct Row<'a> {
    path: &'a Path,
    head: &'a StringRecord,
    row: &'a StringRecord,
}

impl Row<'_> {
    fn fault(&self, at: usize, wanted: &str) -> RecordError {
        let (name, cell) = (&self.head[at], &self.row[at]);
        let line = self.row.position().map_or(0, |p| p.line() as usize);
        malformed(self.path, line, at + 1, format!("{name}: `{cell}` is not {wanted}"))
    }

    fn number<T: FromStr>(&self, at: usize) -> Result<T, RecordError> {
        self.row[at].trim().parse().map_err(|_| self.fault(at, "a number that can stand here"))
    }

    fn optional(&self, at: usize) -> Result<Option<f64>, RecordError> {
        if self.row[at].trim().is_empty() { Ok(None) } else { self.number(at).map(Some) }
    }

    fn list(&self, at: usize) -> Result<Vec<String>, RecordError> {
        match self.row[at].trim() {
            "" => Ok(Vec::new()),
            text => serde_json::from_str(text).map_err(|_| self.fault(at, "a JSON list of texts")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round(round: usize) -> RoundRecord {
        RoundRecord { round, clients: 5, survivors: 4, lr: 0.1, seconds: 1.5, ..Default::default() }
    }

    #[test]
    fn columns_are_fixed_ones_then_metrics_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.csv");
        let mut two = [round(0), round(1)];
        two[1].metrics = [("loss", 0.25), ("accuracy", 0.9)].map(|(k, v)| (k.to_owned(), v)).into();
        two[1].failures = vec!["client 3, \"dropped\"\nout".into(), "x".into()];
        two[1].delta = Some(1e-6);
        write_rounds(&path, &two).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let head = format!("{},accuracy,loss", FIXED.join(","));
        assert_eq!(text.lines().next(), Some(head.as_str()));
        assert!(text.contains("0,5,4,0.1,,0,0,1.5,,,,,\n") && text.contains(",1e-6,"), "{text}");
        assert_eq!(read_rounds(&path).unwrap(), two);
        write_rounds(&path, &[]).unwrap();
        assert_eq!(read_rounds(&path).unwrap(), []);
    }

    #[test]
    fn a_metric_may_not_hide_a_column() {
        let dir = tempfile::tempdir().unwrap();
        let mut bad = round(1);
        bad.metrics.insert("seconds".into(), 1.0);
        let error = write_rounds(&dir.path().join("r.csv"), &[bad]).unwrap_err().to_string();
        assert!(error.contains("`seconds`") && !error.contains('\n'), "{error}");
        assert!(!dir.path().join("r.csv").exists());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.csv");
        let head = FIXED.join(",");
        let complaint = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_rounds(&path).unwrap_err().to_string()
        };
        let cases = [
            (
                format!("{head}\n1,5,4,0.1,,many,0,1.5,,,\n"),
                ":2:6: bytes_up: `many` is not a number",
            ),
            (format!("{head}\n-1,5,4,0.1,,0,0,1.5,,,\n"), ":2:1: round: `-1` is not a number"),
            (format!("{head}\n1,5,4\n"), ":2:0: 3 cells where the head has 11"),
            (
                format!("{head}\n1,5,4,0.1,,0,0,1.5,,,oops\n"),
                ":2:11: failures: `oops` is not a JSON list",
            ),
            (format!("{head},loss,loss\n"), ":1:13: a second column `loss`"),
            ("round,clients\n".to_owned(), ":1:0: no column `survivors`"),
            (String::new(), ":1:0: no column `round`"),
            (format!("{head},\n"), ":1:12: a column without a name"),
        ];
        for (text, wanted) in cases {
            let message = complaint(&text);
            assert!(message.contains(wanted) && message.contains("bench train"), "{message}");
        }
        std::fs::write(&path, [0xff, 0xfe, b'\n']).unwrap();
        assert!(read_rounds(&path).unwrap_err().to_string().contains("not text"));
    }

    fn any_round() -> impl Strategy<Value = RoundRecord> {
        let number = prop::num::f64::NORMAL
            | prop::num::f64::SUBNORMAL
            | prop::num::f64::ZERO
            | prop::num::f64::INFINITE;
        let metrics = prop::collection::btree_map("[a-z]{1,3}[@ ,\"]", number, 0..4);
        let maybe = || prop::option::of(number);
        (
            metrics,
            maybe(),
            number,
            any::<(u64, u64)>(),
            number,
            maybe(),
            prop::collection::vec(".{0,9}", 0..3),
        )
            .prop_map(
                |(metrics, train_loss, lr, (bytes_up, bytes_down), seconds, epsilon, failures)| {
                    RoundRecord {
                        round: bytes_up as usize,
                        metrics,
                        train_loss,
                        lr,
                        bytes_up,
                        bytes_down,
                        seconds,
                        epsilon,
                        failures,
                        ..Default::default()
                    }
                },
            )
    }

    proptest! {
        #[test]
        fn rounds_come_back_bit_for_bit(rounds in prop::collection::vec(any_round(), 0..4)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("records.csv");
            write_rounds(&path, &rounds).unwrap();
            let back = read_rounds(&path).unwrap();
            prop_assert_eq!(&back, &rounds);
            let bits = |r: &[RoundRecord]| r.iter().map(|r| r.lr.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back), bits(&rounds));
            let json = serde_json::to_string(&rounds.first()).unwrap();
            prop_assert!(!json.contains("\"train_loss\":null") || rounds[0].train_loss.is_none());
        }

        #[test]
        fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("records.csv");
            std::fs::write(&path, &bytes).unwrap();
            let _ = read_rounds(&path);
        }
    }
}
