//! A measure over two settings.

use super::Work;
use super::groups;
use crate::figure::chart::{Body, Facet, HeatMap, Notation};
use crate::figure::columns::{Key, Setting};
use crate::figure::data::{ESTIMATE, Sheet, ids, of_estimate};
use crate::figure::estimate::estimate;
use crate::figure::filter::Picked;
use suites::SpecError;

/// Rows or columns whose values can still be written in.
const FIELDS: usize = 30;

pub(super) fn heat_map(work: &mut Work) -> Result<(Body, Sheet), SpecError> {
    let measure = work.measure("y", "psnr")?;
    let rows = work.setting("rows", Some("attack"))?.unwrap_or(Setting::Attack);
    let columns = work.setting("columns", Some("defenses"))?.unwrap_or(Setting::Defenses);
    let down = groups::part(work.run, &rows, &work.picked);
    let across = groups::part(work.run, &columns, &work.picked);
    work.refuse_many("rows", &rows, down.len(), FIELDS, "rows")?;
    work.refuse_many("columns", &columns, across.len(), FIELDS, "columns")?;
    let mut sheet = Sheet::new(["row", "column"].into_iter().chain(ESTIMATE).chain(["cells"]));
    let mut values = Vec::new();
    for (row, cells) in &down {
        let parts = groups::part(work.run, &columns, cells);
        let mut line = Vec::new();
        for (column, _) in &across {
            let cells =
                parts.iter().find(|(key, _)| key == column).map(|(_, cells)| cells.as_slice());
            line.push(
                cells.and_then(|cells| field(work, &measure, (row, column), cells, &mut sheet)),
            );
        }
        values.push(line);
    }
    let high_is_leak = match measure.higher_is_better() {
        Some(higher) => higher || !measure.leaks(),
        None if measure.leaks() => return Err(work.undirected("value", &measure.title())),
        None => true,
    };
    let any = values.iter().flatten().any(Option::is_some);
    let map = HeatMap {
        rows: down.iter().map(|(key, _)| rows.spoken(key)).collect(),
        columns: across.iter().map(|(key, _)| columns.spoken(key)).collect(),
        notation: notation(measure.decimals(), &values),
        values,
        value: work.scale(&measure, &[], Some(false)),
        high_is_leak,
    };
    let facet = Facet { title: String::new(), plot: map };
    Ok((Body::HeatMap(vec![facet]), if any { sheet } else { Sheet::default() }))
}

/// As few decimals, up to the measure's own, as leave no value zero and show a spread of two
/// digits; powers of ten where all are too few.
fn notation(most: usize, values: &[Vec<Option<f64>>]) -> Notation {
    let finite: Vec<f64> =
        values.iter().flatten().flatten().copied().filter(|v| v.is_finite()).collect();
    let fold = |pick: fn(f64, f64) -> f64, from: f64| finite.iter().copied().fold(from, pick);
    let (low, high) = (fold(f64::min, f64::INFINITY), fold(f64::max, f64::NEG_INFINITY));
    let least = finite.iter().map(|v| v.abs()).filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
    let enough = |decimals: usize| {
        let unit = 10f64.powi(-(decimals as i32));
        least >= unit && (high <= low || high - low >= 10.0 * unit)
    };
    if finite.iter().any(|v| v.abs() >= 1e7) || least < 10f64.powi(-(most as i32)) {
        return Notation::Powers;
    }
    Notation::Decimals((most.min(2)..=most).find(|d| enough(*d)).unwrap_or(most))
}

fn field(
    work: &mut Work,
    measure: &crate::figure::measure::Measure,
    (row, column): (&Key, &Key),
    cells: &[Picked],
    sheet: &mut Sheet,
) -> Option<f64> {
    let e = estimate(work.run, measure, cells);
    work.count(measure, &e);
    if e.value.is_none() {
        work.remark(format!("no value for {} against {}", row.label(), column.label()));
    }
    sheet.push(
        [row.label(), column.label()]
            .into_iter()
            .chain(of_estimate(&e))
            .chain([ids(work.run, &e.cells)]),
    );
    e.value
}
