//! Which cells and images a figure is about.

use super::columns::{self, Column, Key, Setting};
use record::Outcome;
use record::axes::acting;
use record::markdown::counted;
use record::run::Run;
use serde_json::Value;
use suites::figure::Place;
use suites::{SpecError, did_you_mean};

/// A cell with those of its images that are meant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Picked {
    /// The cell's place in the run.
    pub at: usize,
    /// Places of images in the record.
    pub images: Vec<usize>,
    /// Images that the attack was let loose on and gave nothing for.
    pub lost: usize,
}

impl Picked {
    /// The cell at `at` with all of its images.
    pub fn whole(run: &Run, at: usize) -> Self {
        let record = &run.records[at];
        Picked { at, images: (0..record.images.len()).collect(), lost: record.lost_images() }
    }
}

/// What a filter left, and what must be said of it.
#[derive(Debug, Default)]
pub(crate) struct Left {
    pub picked: Vec<Picked>,
    pub remarks: Vec<String>,
}

/// The cells that meet every condition of `filter`, in the suite's order.
///
/// # Errors
/// An unknown column; no cell left, with the condition that removed the last one and the values
/// that were there.
pub(crate) fn apply(
    run: &Run,
    filter: &[(String, Value)],
    place: &Place,
) -> Result<Left, SpecError> {
    let Left { picked: mut left, mut remarks } = every(run, filter, place)?;
    count_out(run, &mut left, &mut remarks);
    if !left.is_empty() {
        Ok(Left { picked: left, remarks })
    } else {
        let why = if run.records.is_empty() {
            "the run has no finished cell yet".to_owned()
        } else {
            format!("no attack was let loose in any of its cells: {}", remarks.join("; "))
        };
        Err(place
            .blame("filter", SpecError::value("filter", why, "draw it once there are such cells")))
    }
}

/// As [`apply`], those among them that no attack was let loose on.
///
/// # Errors
/// As [`apply`], but none where all cells that are left are of that kind.
pub(crate) fn every(
    run: &Run,
    filter: &[(String, Value)],
    place: &Place,
) -> Result<Left, SpecError> {
    let mut left: Vec<Picked> = (0..run.records.len()).map(|at| Picked::whole(run, at)).collect();
    let mut remarks = Vec::new();
    for (path, wanted) in filter {
        let blame = |error| place.blame(&format!("filter.{path}"), error);
        let setting = setting(run, path).map_err(blame)?;
        let kept = meeting(run, &setting, wanted, &left, &mut remarks);
        if kept.is_empty() {
            return Err(blame(nothing(run, path, &setting, wanted, &left)));
        }
        left = kept;
    }
    Ok(Left { picked: left, remarks })
}

fn setting(run: &Run, path: &str) -> Result<Setting, SpecError> {
    match columns::column(run, path)? {
        Column::Setting(setting) => Ok(setting),
        Column::Measure(_) => Err(SpecError::value(
            path,
            "is a measure, and leaving out cells by their result would mislead",
            "filter by settings",
        )),
    }
}

fn meeting(
    run: &Run,
    setting: &Setting,
    wanted: &Value,
    cells: &[Picked],
    remarks: &mut Vec<String>,
) -> Vec<Picked> {
    if !setting.of_image() {
        return cells.iter().filter(|p| holds(run, setting, wanted, p.at)).cloned().collect();
    }
    let mut kept = Vec::new();
    let mut lost = 0;
    for cell in cells {
        let images = &run.records[cell.at].images;
        let meant = |i: &usize| meets(&setting.key(run, cell.at, Some(&images[*i])), wanted);
        let images: Vec<usize> = cell.images.iter().copied().filter(meant).collect();
        if images.is_empty() {
            continue;
        }
        lost += cell.lost;
        kept.push(Picked { at: cell.at, images, lost: 0 });
    }
    if lost > 0 {
        remarks.push(format!(
            "{lost} images of failed attacks have no {} and are left out with it",
            setting.title()
        ));
    }
    kept
}

/// Leaves out cells that no attack was let loose on, and says so.
fn count_out(run: &Run, cells: &mut Vec<Picked>, remarks: &mut Vec<String>) {
    let (mut not_applicable, mut broke) = (0, 0);
    cells.retain(|cell| match &run.records[cell.at].outcome {
        Outcome::Done => true,
        Outcome::NotApplicable { .. } => {
            not_applicable += 1;
            false
        }
        Outcome::Failed { .. } if cell.lost > 0 || !cell.images.is_empty() => true,
        Outcome::Failed { .. } => {
            broke += 1;
            false
        }
    });
    let mut say = |count: usize, what: &str| {
        if count > 0 {
            remarks.push(format!("{} {what}", counted(count, "cell")));
        }
    };
    say(not_applicable, "not applicable");
    say(broke, "left out that failed before the attack began");
}

/// Names stand for whatever carries them: an attack by its name or its label, defenses by the name
/// of any of them.
fn holds(run: &Run, setting: &Setting, wanted: &Value, at: usize) -> bool {
    if let Value::Array(any) = wanted {
        return any.iter().any(|one| holds(run, setting, one, at));
    }
    let spec = &run.records[at].spec;
    let named = match setting {
        Setting::Attack => wanted.as_str() == Some(spec.attack.name.as_str()),
        Setting::Defenses | Setting::DefenseNames => {
            acting(spec).any(|d| wanted.as_str() == Some(d.name.as_str()))
        }
        Setting::Path(path) => match columns::raw(run, at, path) {
            Some(Value::Array(items)) => {
                items.contains(wanted) || (items.is_empty() && wanted == "none")
            }
            _ => false,
        },
        _ => false,
    };
    named || meets(&setting.key(run, at, None), wanted)
}

fn meets(key: &Key, wanted: &Value) -> bool {
    match wanted {
        Value::Array(any) => any.iter().any(|one| meets(key, one)),
        Value::Number(n) => matches!(key, Key::Number(v) if Some(*v) == n.as_f64()),
        Value::String(text) => match key {
            Key::Text(own) => own == text,
            Key::None => text == "none" || text == "-",
            Key::Number(_) => false,
        },
        Value::Bool(flag) => matches!(key, Key::Text(own) if *own == flag.to_string()),
        _ => false,
    }
}

/// The condition that removed the last cell, and what was there.
fn nothing(
    run: &Run,
    path: &str,
    setting: &Setting,
    wanted: &Value,
    cells: &[Picked],
) -> SpecError {
    let mut there: Vec<String> = Vec::new();
    for cell in cells {
        let images = &run.records[cell.at].images;
        let keys: Vec<Key> = if setting.of_image() {
            cell.images.iter().map(|i| setting.key(run, cell.at, Some(&images[*i]))).collect()
        } else {
            vec![setting.key(run, cell.at, None)]
        };
        for key in keys {
            if !there.contains(&key.label()) {
                there.push(key.label());
            }
        }
    }
    let near = wanted.as_str().and_then(|w| did_you_mean(w, &there));
    let hint = near.map_or(String::new(), |n| format!(" (did you mean `{n}`?)"));
    let shown = match there.len() {
        0 => "none".into(),
        1..=20 => there.join(", "),
        n => format!("{}, and {} more", there[..20].join(", "), n - 20),
    };
    SpecError::value(
        format!("filter.{path}"),
        format!("none of the {} left has {wanted}{hint}", counted(cells.len(), "cell")),
        format!("the values there are: {shown}"),
    )
}
