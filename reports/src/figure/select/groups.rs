//! Cells and images parted by the values of settings: plots, series, places on an axis.

use super::Work;
use crate::figure::chart::Scale;
use crate::figure::columns::{Key, Setting};
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use record::run::Run;
use std::collections::BTreeSet;
use suites::SpecError;

/// Series that can be told apart by colour, dash and marker.
pub(super) const SERIES: usize = 7;

/// Plots of one figure that can still be read.
const PLOTS: usize = 9;

/// The parts of `picked` by their values of `setting`: in the suite's order, numbers ascending,
/// cells without a value last.
pub(crate) fn part(run: &Run, setting: &Setting, picked: &[Picked]) -> Vec<(Key, Vec<Picked>)> {
    let mut parts: Vec<(Key, Vec<Picked>)> = Vec::new();
    for cell in picked {
        for (key, piece) in pieces(run, setting, cell) {
            match parts.iter_mut().find(|(k, _)| *k == key) {
                Some((_, list)) => list.push(piece),
                None => parts.push((key, vec![piece])),
            }
        }
    }
    order(&mut parts);
    parts
}

fn pieces(run: &Run, setting: &Setting, cell: &Picked) -> Vec<(Key, Picked)> {
    if !setting.of_image() {
        return vec![(setting.key(run, cell.at, None), cell.clone())];
    }
    let mut out: Vec<(Key, Picked)> = Vec::new();
    for &image in &cell.images {
        let key = setting.key(run, cell.at, Some(&run.records[cell.at].images[image]));
        match out.iter_mut().find(|(k, _)| *k == key) {
            Some((_, piece)) => piece.images.push(image),
            None => out.push((key, Picked { at: cell.at, images: vec![image], lost: 0 })),
        }
    }
    // What a failed attack lost belongs to nobody by name, and is counted there.
    if cell.lost > 0 {
        out.push((Key::None, Picked { at: cell.at, images: Vec::new(), lost: cell.lost }));
    }
    out
}

/// Numbers ascending where all are numbers; the missing value last, whatever the others are.
fn order(parts: &mut [(Key, Vec<Picked>)]) {
    if parts.iter().all(|(key, _)| !matches!(key, Key::Text(_))) {
        let rank = |key: &Key| match key {
            Key::Number(v) => *v,
            _ => f64::INFINITY,
        };
        parts.sort_by(|a, b| rank(&a.0).total_cmp(&rank(&b.0)));
    } else {
        parts.sort_by_key(|(key, _)| *key == Key::None);
    }
}

/// The varying settings in which `cells` differ, by their paths.
pub(crate) fn differing(run: &Run, cells: &[usize]) -> Vec<String> {
    let differs = |path: &&String| {
        let values: BTreeSet<_> = cells.iter().map(|at| run.axes.value(*at, path)).collect();
        values.len() > 1
    };
    run.axes.paths.iter().filter(differs).cloned().collect()
}

/// A part of a figure's cells with its name.
pub(super) type Part = (String, Vec<Picked>);

impl Work<'_> {
    /// The plots of the figure by `rows` and `columns`, side by side.
    pub(super) fn plots(&self) -> Result<Vec<Part>, SpecError> {
        let mut plots: Vec<Part> = vec![(String::new(), self.picked.clone())];
        for key in ["rows", "columns"] {
            if let Some(setting) = self.setting(key, None)? {
                plots = plots.into_iter().flat_map(|plot| self.split(&setting, plot)).collect();
                self.refuse_many(key, &setting, plots.len(), PLOTS, "plots")?;
            }
        }
        Ok(plots)
    }

    fn split(&self, setting: &Setting, (title, picked): Part) -> Vec<Part> {
        let name = |key: &Key| match title.as_str() {
            "" => setting.spoken(key),
            title => format!("{title} · {}", setting.spoken(key)),
        };
        part(self.run, setting, &picked)
            .into_iter()
            .map(|(key, cells)| (name(&key), cells))
            .collect()
    }

    /// The series of a plot by `colour`, in the order of the whole figure, so that every plot has
    /// the same colours.
    pub(super) fn series(
        &self,
        colour: Option<&Setting>,
        picked: &[Picked],
    ) -> Result<Vec<Part>, SpecError> {
        let Some(setting) = colour else { return Ok(vec![(String::new(), picked.to_vec())]) };
        let all = part(self.run, setting, &self.picked);
        self.refuse_many("colour", setting, all.len(), SERIES, "series")?;
        let own = part(self.run, setting, picked);
        let of = |key: &Key| {
            own.iter().find(|(k, _)| k == key).map_or(Vec::new(), |(_, cells)| cells.clone())
        };
        Ok(all.iter().map(|(key, _)| (setting.spoken(key), of(key))).collect())
    }

    pub(super) fn refuse_many(
        &self,
        key: &'static str,
        setting: &Setting,
        found: usize,
        most: usize,
        what: &str,
    ) -> Result<(), SpecError> {
        if found <= most {
            return Ok(());
        }
        let column = self.named(key).map_or_else(|| setting.title(), str::to_owned);
        let problem = format!(
            "`{column}` has {found} values here, more than the {most} {what} that can be told apart"
        );
        let remedy = format!("leave some out by filter = {{ \"{column}\" = [...] }}");
        Err(self.spec.place.blame(key, SpecError::value(key, problem, remedy)))
    }

    /// The vertical scale of `measure`.
    pub(super) fn scale(&self, measure: &Measure, values: &[f64], asked: Option<bool>) -> Scale {
        // Decibels are logarithms already, and likeness and shares are read on their own range;
        // errors and costs span decades.
        let linear = match measure {
            Measure::Metric(metric) | Measure::Null(_, metric) => metric.name != "mse",
            other => other.range().is_some(),
        };
        let log = asked.unwrap_or(!linear && spans(values)) && positive(values);
        Scale { title: measure.title(), log, range: measure.range(), words: Vec::new() }
    }
}

fn positive(values: &[f64]) -> bool {
    !values.is_empty() && values.iter().all(|v| *v > 0.0)
}

/// Whether positive values span more than two decades.
pub(crate) fn spans(values: &[f64]) -> bool {
    let ends =
        values.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), v| (low.min(*v), high.max(*v)));
    positive(values) && ends.1 > 100.0 * ends.0
}

/// Whether values may stand on a logarithmic scale, and are asked to or should.
pub(super) fn logarithmic(values: &[f64], asked: Option<bool>) -> bool {
    positive(values) && asked.unwrap_or(spans(values))
}
