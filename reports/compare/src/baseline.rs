//! The baseline file: what a comparison needs of a run, small enough to commit.
//!
//! One JSON object. Each distinct part of a spec (its task, its attack, ...) is kept once, scores
//! lie in columns, and every cell is one line, so that a diff of two baselines names the cells that
//! moved.

use crate::CompareError;
use crate::side::Side;
use record::RecordError;
use record::number::Number;
use record::store::write_whole;
use record::{CellRecord, Cost, ImageScore, Outcome, RunInfo, Wall};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use suites::{CellId, CellSpec, Flag, Gate};

/// Schema of baseline files: `major.minor`; another major cannot be read.
pub const BASELINE_SCHEMA: &str = "1.2";

/// What [`write_baseline`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaselineSummary {
    /// Cells in the file.
    pub cells: usize,
    /// Attacked images in it.
    pub images: usize,
    /// Size of the file in bytes.
    pub bytes: usize,
    /// Cells among them that failed: their failure is then no news to a comparison.
    pub failed: usize,
}

/// Writes what a comparison needs of the run folder `run` to the file `out`.
///
/// Scores are kept exactly, also those that are infinite or not a number.
///
/// # Errors
/// [`CompareError::Incomparable`] where the run is not whole; else as [`Side::open`], and
/// [`RecordError::Io`] for `out`.
pub fn write_baseline(run: &Path, out: &Path) -> Result<BaselineSummary, CompareError> {
    let side = Side::open(run)?;
    if let Some(why) = &side.unfinished {
        let message =
            format!("{}: no baseline is made of a run that is not whole: {why}", run.display());
        return Err(CompareError::Incomparable(message));
    }
    let gate = side.gate().map_err(|e| CompareError::Incomparable(e.to_string()))?;
    let text = text(&side, gate).map_err(|e| unwritable(out, &e))?;
    write_whole(out, text.as_bytes())?;
    let failed = |r: &&CellRecord| matches!(r.outcome, Outcome::Failed { .. });
    Ok(BaselineSummary {
        cells: side.records.len(),
        images: side.records.iter().map(|r| r.images.len()).sum(),
        bytes: text.len(),
        failed: side.records.iter().filter(failed).count(),
    })
}

fn unwritable(path: &Path, error: &serde_json::Error) -> RecordError {
    RecordError::io("write", path)(std::io::Error::other(error.to_string()))
}

/// Everything of the file but its cells.
#[derive(Serialize, Deserialize)]
struct Head {
    baseline: String,
    run: RunInfo,
    /// The gate of the run's suite; absent before schema 1.1.
    #[serde(default)]
    gate: Option<Gate>,
    /// By part of a spec: its distinct values.
    parts: BTreeMap<String, Vec<Value>>,
    threats: Vec<String>,
}

#[derive(Deserialize)]
struct Whole {
    #[serde(flatten)]
    head: Head,
    cells: Vec<Cell>,
}

#[derive(Deserialize)]
struct OnlySchema {
    baseline: String,
}

/// One record; the columns have one entry an image.
#[derive(Serialize, Deserialize)]
struct Cell {
    id: CellId,
    /// Places in `parts`, in the order of its keys.
    spec: Vec<usize>,
    outcome: Outcome,
    threat: usize,
    trial: Vec<usize>,
    index: Vec<usize>,
    image: Vec<usize>,
    client: Vec<usize>,
    label: Vec<i64>,
    guess: Vec<Option<i64>>,
    scores: BTreeMap<String, Vec<Option<Number>>>,
    /// Doubts about images, by place.
    flags: BTreeMap<usize, Vec<Flag>>,
    cell_flags: Vec<Flag>,
    task: BTreeMap<String, Number>,
    cost: Cost,
    seconds: f64,
    attack_seconds: f64,
    finished_unix: u64,
    print: String,
    /// Why the defended cell is not measurable; absent where it is, and before schema 1.2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doubt: Option<String>,
}

fn text(side: &Side, gate: Gate) -> Result<String, serde_json::Error> {
    let mut run = side.info.clone();
    // The plan is the list of cells below; the rest is not compared.
    (run.suite.text, run.suite.cells, run.suite.published) =
        (String::new(), Vec::new(), Vec::new());
    let mut head = Head {
        baseline: BASELINE_SCHEMA.into(),
        run,
        gate: Some(gate),
        parts: BTreeMap::new(),
        threats: Vec::new(),
    };
    let mut lines = Vec::with_capacity(side.records.len());
    for ((record, print), doubt) in side.records.iter().zip(&side.prints).zip(&side.doubts) {
        let cell = Cell { doubt: doubt.clone(), ..Cell::from_record(record, print, &mut head)? };
        lines.push(serde_json::to_string(&cell)?);
    }
    let head = serde_json::to_string_pretty(&head)?;
    let open = head.trim_end().trim_end_matches('}').trim_end();
    Ok(format!("{open},\n  \"cells\": [\n{}\n  ]\n}}\n", lines.join(",\n")))
}

impl Cell {
    fn from_record(
        record: &CellRecord,
        print: &str,
        head: &mut Head,
    ) -> Result<Cell, serde_json::Error> {
        let spec = serde_json::to_value(&record.spec)?;
        let mut parts: Vec<(&String, &Value)> = spec.as_object().into_iter().flatten().collect();
        parts.sort_by_key(|(key, _)| *key);
        let places = parts
            .into_iter()
            .map(|(key, part)| place(head.parts.entry(key.clone()).or_default(), part))
            .collect();
        let images = &record.images;
        let column = |name: &&str| record.scores(name).into_iter().map(|v| v.map(Number)).collect();
        let flagged = images.iter().enumerate().filter(|(_, i)| !i.flags.is_empty());
        Ok(Cell {
            id: record.id.clone(),
            spec: places,
            outcome: record.outcome.clone(),
            threat: place(&mut head.threats, &record.threat),
            trial: images.iter().map(|i| i.trial).collect(),
            index: images.iter().map(|i| i.index).collect(),
            image: images.iter().map(|i| i.id).collect(),
            client: images.iter().map(|i| i.client).collect(),
            label: images.iter().map(|i| i.label).collect(),
            guess: images.iter().map(|i| i.guessed_label).collect(),
            scores: record
                .metrics()
                .iter()
                .map(|name| ((*name).to_owned(), column(name)))
                .collect(),
            flags: flagged.map(|(at, image)| (at, image.flags.clone())).collect(),
            cell_flags: record.flags.clone(),
            task: record.task.iter().map(|(k, v)| (k.clone(), Number(*v))).collect(),
            cost: record.cost,
            seconds: record.wall.seconds,
            attack_seconds: record.wall.attack_seconds,
            finished_unix: record.wall.finished_unix,
            print: print.into(),
            doubt: None,
        })
    }

    /// The record again, or what is wrong with it.
    fn record(self, head: &Head) -> Result<(CellRecord, String), String> {
        let spec = self.spec(head)?;
        let images = (0..self.trial.len()).map(|at| self.image(at)).collect::<Option<Vec<_>>>();
        let images = images.ok_or("its columns differ in length")?;
        let threat = head.threats.get(self.threat).ok_or("its threat is not in the list")?.clone();
        let wall = Wall {
            seconds: self.seconds,
            attack_seconds: self.attack_seconds,
            finished_unix: self.finished_unix,
            ..Wall::default()
        };
        let record = CellRecord {
            id: self.id,
            spec,
            outcome: self.outcome,
            threat,
            signals: Vec::new(),
            images,
            baselines: BTreeMap::new(),
            candidates: None,
            task: self.task.into_iter().map(|(k, v)| (k, v.0)).collect(),
            defenses: Vec::new(),
            cost: self.cost,
            trace: Vec::new(),
            flags: self.cell_flags,
            notes: Vec::new(),
            wall,
        };
        Ok((record, self.print))
    }

    fn spec(&self, head: &Head) -> Result<CellSpec, String> {
        if self.spec.len() != head.parts.len() {
            return Err("its spec has another number of parts than the file".into());
        }
        let part = |((key, values), at): ((&String, &Vec<Value>), &usize)| {
            Some((key.clone(), values.get(*at)?.clone()))
        };
        let parts: Option<Map<String, Value>> =
            head.parts.iter().zip(&self.spec).map(part).collect();
        let parts = parts.ok_or("a part of its spec is not in the list")?;
        let spec: CellSpec =
            serde_json::from_value(Value::Object(parts)).map_err(|e| e.to_string())?;
        if spec.id() == self.id {
            Ok(spec)
        } else {
            Err("its spec is not the one its id stands for".into())
        }
    }

    fn image(&self, at: usize) -> Option<ImageScore> {
        let score = |(name, column): (&String, &Vec<Option<Number>>)| {
            Some((name.clone(), column.get(at)?.map(|v| v.0)))
        };
        Some(ImageScore {
            trial: *self.trial.get(at)?,
            index: *self.index.get(at)?,
            id: *self.image.get(at)?,
            client: *self.client.get(at)?,
            label: *self.label.get(at)?,
            guessed_label: *self.guess.get(at)?,
            scores: self.scores.iter().map(score).collect::<Option<_>>()?,
            flags: self.flags.get(&at).cloned().unwrap_or_default(),
            truth_png: None,
            guess_png: None,
        })
    }
}

/// Place of `item` in `list`, where it is put if it is not there.
fn place<T: PartialEq + Clone>(list: &mut Vec<T>, item: &T) -> usize {
    list.iter().position(|known| known == item).unwrap_or_else(|| {
        list.push(item.clone());
        list.len() - 1
    })
}

/// Reads the file at `path`.
pub(crate) fn read(path: &Path) -> Result<Side, CompareError> {
    let bytes = suites::foreign::read(path, &suites::foreign::limits::RUN)
        .map_err(RecordError::io("read", path))?;
    let malformed = |line, column, message: String| RecordError::Malformed {
        path: path.into(),
        line,
        column,
        message,
        remedy: "give a run folder, or a file that `bench baseline` wrote",
    };
    let foreign = |e: serde_json::Error| {
        let (line, column) = (e.line(), e.column());
        malformed(line, column, format!("not a baseline: {}", record::store::reason(&e)))
    };
    let schema: OnlySchema = serde_json::from_slice(&bytes).map_err(foreign)?;
    record::store::check_schema(&schema.baseline, BASELINE_SCHEMA, path)?;
    let Whole { head, cells } = serde_json::from_slice(&bytes).map_err(foreign)?;
    let (mut records, mut prints, mut doubts) = (Vec::new(), Vec::new(), Vec::new());
    for mut cell in cells {
        let id = cell.id.clone();
        doubts.push(cell.doubt.take());
        let (record, print) =
            cell.record(&head).map_err(|why| malformed(1, 0, format!("cell {id}: {why}")))?;
        records.push(record);
        prints.push(print);
    }
    let gate =
        head.gate.map(Gate::checked).transpose().map_err(|e| malformed(1, 0, e.to_string()))?;
    let mut info = head.run;
    info.suite.cells = records.iter().map(|r| r.id.clone()).collect();
    let name = path.display().to_string();
    Ok(Side { name, info, records, prints, doubts, unfinished: None, gate })
}
