//! Null baselines as references: what is worth nothing.

use super::Work;
use crate::figure::chart::{Level, Reference};
use crate::figure::estimate::{estimate, one_a_world};
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use record::stats::mean;
use record::validity::is_oracle;
use record::{MetricInfo, Scores};
use std::collections::{BTreeMap, BTreeSet};
use suites::SpecError;

/// Places of cells by the key of their world.
type Worlds = BTreeMap<String, Vec<usize>>;

impl Work<'_> {
    /// A null baseline as the figure calls it: the strongest that needs no truth is the floor.
    fn null_title(&self, null: &str) -> String {
        let kind = match is_oracle(null) {
            true => "oracle",
            false if self.strongest_only() => "floor",
            false => "null",
        };
        format!("{kind}: {null}")
    }

    /// The null baselines asked for, as (title, value of `measure`); where nothing is said the
    /// floor, and the oracles beside it.
    pub(super) fn references(
        &self,
        measure: &Measure,
        picked: &[Picked],
    ) -> Result<Vec<(String, f64)>, SpecError> {
        let found = self.valued(&self.null_names(picked)?, measure, picked);
        Ok(found.into_iter().map(|(name, value)| (self.null_title(&name), value)).collect())
    }

    /// What an attacker gets who has seen nothing, by `measure`.
    pub(super) fn floor(
        &self,
        measure: &Measure,
        picked: &[Picked],
    ) -> Result<Option<f64>, SpecError> {
        let found = self.valued(&self.null_names(picked)?, measure, picked);
        Ok(found.into_iter().find(|(name, _)| !is_oracle(name)).map(|(_, value)| value))
    }

    /// The values of these baselines; of the floor, with the oracles where nothing is asked for,
    /// where only the strongest is.
    fn valued(&self, names: &[String], measure: &Measure, cells: &[Picked]) -> Vec<(String, f64)> {
        let value = |name: &String| Some((name.clone(), self.null(name, measure, cells)?));
        let all: Vec<(String, f64)> = names.iter().filter_map(value).collect();
        if !self.strongest_only() {
            return all;
        }
        let (oracles, truthless): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(name, _)| is_oracle(name));
        let beside = oracles.into_iter().filter(|_| self.spec.null.is_empty());
        self.strongest(measure, truthless).into_iter().chain(beside).collect()
    }

    /// The null baselines asked for of cells in categories: one line where all categories have the
    /// same worlds, else a value for each.
    ///
    /// `parts` are the cells of `picked` by category; `by_image` says that categories part the
    /// images of cells.
    pub(super) fn levels(
        &mut self,
        measure: &Measure,
        picked: &[Picked],
        parts: &[Vec<Picked>],
        by_image: bool,
    ) -> Result<Vec<Reference>, SpecError> {
        let worlds: Vec<Worlds> = parts.iter().map(|part| self.worlds(part)).collect();
        let mut there = worlds.iter().filter(|w| !w.is_empty());
        let first = there.next();
        let shared = !by_image && there.all(|w| first.is_some_and(|f| w.keys().eq(f.keys())));
        let found = if shared {
            let one = |(name, value)| Reference { name, level: Level::Everywhere(value) };
            self.references(measure, picked)?.into_iter().map(one).collect()
        } else {
            self.each(measure, picked, parts)?
        };
        // Of equals the first.
        let most = worlds.iter().rev().max_by_key(|w| w.len());
        if let (Some(most), false) = (most.filter(|w| w.len() > 1), found.is_empty()) {
            self.remark(format!(
                "a null baseline is the mean over up to {} sets of images attacked, which differ \
                 in {}",
                most.len(),
                self.parted(most)
            ));
        }
        Ok(found)
    }

    /// The baselines by category; the strongest of each where only that is asked for.
    fn each(
        &self,
        measure: &Measure,
        picked: &[Picked],
        parts: &[Vec<Picked>],
    ) -> Result<Vec<Reference>, SpecError> {
        let names = self.null_names(picked)?;
        let found: Vec<Vec<(String, f64)>> =
            parts.iter().map(|part| self.valued(&names, measure, part)).collect();
        let level = |name: &String| {
            let value =
                |own: &Vec<(String, f64)>| own.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
            let values: Vec<Option<f64>> = found.iter().map(value).collect();
            let any = values.iter().any(Option::is_some);
            any.then(|| Reference { name: self.null_title(name), level: Level::Each(values) })
        };
        Ok(names.iter().filter_map(level).collect())
    }

    /// The worlds of cells that have a null baseline: for each the places of its cells.
    fn worlds(&self, picked: &[Picked]) -> Worlds {
        let mut out = Worlds::new();
        for cell in picked.iter().filter(|p| !self.run.records[p.at].baselines.is_empty()) {
            out.entry(self.run.world(cell.at).to_owned()).or_default().push(cell.at);
        }
        out
    }

    /// The settings that tell worlds apart: those of which two worlds share no value.
    fn parted(&self, worlds: &Worlds) -> String {
        let values = |path: &str| -> Vec<BTreeSet<Option<&str>>> {
            worlds
                .values()
                .map(|w| w.iter().map(|at| self.run.axes.value(*at, path)).collect())
                .collect()
        };
        let parts = |path: &&String| {
            let sets = values(path);
            sets.iter()
                .enumerate()
                .any(|(at, set)| sets[..at].iter().any(|other| set.is_disjoint(other)))
        };
        let paths: Vec<&str> =
            self.run.axes.paths.iter().filter(parts).map(String::as_str).collect();
        if paths.is_empty() { "nothing named".into() } else { paths.join(", ") }
    }

    /// The one baseline that a ROC curve is drawn against.
    pub(super) fn opponent(&self, metric: &MetricInfo) -> Result<String, SpecError> {
        if self.spec.null == ["none"] {
            let error = SpecError::value(
                "null",
                "`none` leaves nothing to tell reconstructions from",
                "name a null baseline, or write \"strongest\"",
            );
            return Err(self.spec.place.blame("null", error));
        }
        let mut names = self.null_names(&self.picked)?;
        if self.strongest_only() {
            names.retain(|name| !is_oracle(name));
        }
        let measure = Measure::Metric(metric.clone());
        let value = |name: &String| Some((name.clone(), self.null(name, &measure, &self.picked)?));
        let found = self.strongest(&measure, names.iter().filter_map(value).collect());
        found.map(|(name, _)| name).ok_or_else(|| {
            let problem = format!("no null baseline of these cells has a {}", metric.title);
            self.spec
                .place
                .blame("null", SpecError::value("null", problem, "choose another metric"))
        })
    }

    /// Whether the strongest baseline that needs no truth is asked for.
    fn strongest_only(&self) -> bool {
        matches!(self.spec.null.as_slice(), []) || self.spec.null == ["strongest"]
    }

    fn strongest(&self, measure: &Measure, found: Vec<(String, f64)>) -> Option<(String, f64)> {
        // Without a direction none is the strongest. The first of equals by name.
        let sign = if measure.higher_is_better()? { 1.0 } else { -1.0 };
        found.into_iter().rev().max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)))
    }

    pub(super) fn null_names(&self, picked: &[Picked]) -> Result<Vec<String>, SpecError> {
        let there: BTreeSet<&String> =
            picked.iter().flat_map(|p| self.run.records[p.at].baselines.keys()).collect();
        let all = || there.iter().map(|n| (*n).clone()).collect::<Vec<_>>();
        match self.spec.null.as_slice() {
            [] => return Ok(all()),
            [one] if one == "strongest" || one == "all" => return Ok(all()),
            [one] if one == "none" => return Ok(Vec::new()),
            _ => {}
        }
        let unknown = self.spec.null.iter().find(|name| !there.contains(name));
        match unknown {
            None => Ok(self.spec.null.clone()),
            Some(name) => {
                let known = all().into_iter().chain(["strongest", "all", "none"].map(String::from));
                Err(self
                    .spec
                    .place
                    .blame("null", SpecError::unknown_name("null baseline", name, known)))
            }
        }
    }

    fn null(&self, name: &str, measure: &Measure, picked: &[Picked]) -> Option<f64> {
        match measure {
            Measure::Success(metric, bound) => {
                let met = |v: f64| if metric.met(*bound, v) { 1.0 } else { 0.0 };
                let scores = self.null_scores(name, metric, picked).into_iter();
                mean(&scores.map(met).collect::<Vec<_>>())
            }
            Measure::Metric(metric) => {
                estimate(self.run, &Measure::Null(name.into(), metric.clone()), picked).value
            }
            _ => None,
        }
    }

    /// The scores of a null baseline over the images of `picked`, each world once.
    pub(super) fn null_scores(
        &self,
        name: &str,
        metric: &MetricInfo,
        picked: &[Picked],
    ) -> Vec<f64> {
        let rows = self.null_rows(name, picked).into_iter();
        rows.filter_map(|s| s.get(&metric.name).copied().flatten()).collect()
    }

    fn null_rows(&self, name: &str, picked: &[Picked]) -> Vec<&Scores> {
        let mut out = Vec::new();
        for cell in one_a_world(self.run, name, picked) {
            let scores = &self.run.records[cell.at].baselines[name];
            out.extend(cell.images.iter().filter_map(|i| scores.get(*i)));
        }
        out
    }
}
