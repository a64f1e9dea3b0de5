//! Rows that a model was trained on, of which its predictions say nothing about new ones.

use datasets::{Request, Split};
use federation::model_file::ModelFile;

use super::table::Table;
use crate::settings::Settings;

/// Data sets that come as one file, training rows and all, so that the file whole is likely to be
/// given.
const WHOLE: [&str; 2] = ["wdbc", "wdbc-file"];
/// Values that are closer than this are the same: what writing 32-bit floats in decimals leaves.
const CLOSE: f32 = 1e-6;

/// What to say of a table whose rows the model has seen: how many are among the rows of the
/// training split. `None` where there are none, or where the data set is not one that comes whole.
pub fn note(saved: &ModelFile, table: &Table, settings: &Settings) -> Option<String> {
    let task = &saved.spec.task;
    if !WHOLE.contains(&saved.card.name.as_str()) {
        return None;
    }
    let all = table.features.len();
    match counted(saved, table, settings) {
        Some(0) => None,
        Some(seen) => Some(format!(
            "{seen} of {all} rows are training rows of `{}`; what is said of these does not hold \
             for new ones",
            task.dataset
        )),
        None => Some(format!(
            "`{}` cannot be opened to compare; if these are its rows, most were trained on, and \
             what is said of them does not hold for new ones",
            task.dataset
        )),
    }
}

/// Rows of `table` in the training split; `None` where the data set is not there.
fn counted(saved: &ModelFile, table: &Table, settings: &Settings) -> Option<usize> {
    let task = &saved.spec.task;
    let request = Request {
        root: settings.data.as_deref(),
        size: task.size,
        label: task.label.as_deref(),
        limit: task.limit,
        seed: saved.spec.seed,
    };
    let sets = &settings.registries.federation.datasets;
    let data = datasets::open_from(sets, &task.dataset, &request).ok()?;
    let ids: Vec<usize> = (0..data.len(Split::Train)).collect();
    let trained =
        Vec::<f32>::try_from(data.batch(Split::Train, &ids).ok()?.x.reshape([-1])).ok()?;
    let same =
        |row: &[f32], other: &[f32]| row.iter().zip(other).all(|(a, b)| (a - b).abs() < CLOSE);
    let seen =
        |row: &&Vec<f32>| trained.chunks_exact(row.len().max(1)).any(|other| same(row, other));
    Some(table.features.iter().filter(seen).count())
}
