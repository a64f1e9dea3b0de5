//! Null baselines as references: what is worth nothing.

use super::Work;
use crate::metrics::{Metric, Threshold};
use crate::paper::filter::Picked;
use crate::paper::measure::Measure;
use crate::paper::pool::{estimate, one_a_world};
use std::collections::BTreeSet;
use suites::SpecError;

impl Work<'_> {
    /// The null baselines asked for, as (name, value of `measure`); the strongest where nothing is said.
    pub(super) fn references(
        &self,
        measure: &Measure,
        picked: &[Picked],
    ) -> Result<Vec<(String, f64)>, SpecError> {
        let names = self.null_names(picked)?;
        if !matches!(measure, Measure::Metric(_) | Measure::Success(..)) {
            return Ok(Vec::new());
        }
        let valued = names.iter().filter_map(|name| Some((name.clone(), self.null(name, measure, picked)?)));
        let mut found: Vec<(String, f64)> = valued.collect();
        if self.strongest_only() {
            found = self.strongest(measure, found).into_iter().collect();
        }
        Ok(found.into_iter().map(|(name, value)| (format!("null: {name}"), value)).collect())
    }

    /// The one baseline that a ROC curve is drawn against.
    pub(super) fn opponent(&self, metric: &Metric) -> Result<String, SpecError> {
        let names = self.null_names(&self.picked)?;
        let measure = Measure::Metric(metric.clone());
        let valued =
            names.iter().filter_map(|name| Some((name.clone(), self.null(name, &measure, &self.picked)?)));
        let found = self.strongest(&measure, valued.collect());
        found.map(|(name, _)| name).ok_or_else(|| {
            let problem = format!("no null baseline of these cells has a {}", metric.title);
            self.spec.place.blame("null", SpecError::value("null", problem, "choose another metric"))
        })
    }

    fn strongest_only(&self) -> bool {
        matches!(self.spec.null.as_slice(), []) || self.spec.null == ["strongest"]
    }

    fn strongest(&self, measure: &Measure, found: Vec<(String, f64)>) -> Option<(String, f64)> {
        let sign = if measure.higher_is_better() { 1.0 } else { -1.0 };
        // The first of equals by name.
        found.into_iter().rev().max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)))
    }

    fn null_names(&self, picked: &[Picked]) -> Result<Vec<String>, SpecError> {
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
                Err(self.spec.place.blame("null", SpecError::unknown_name("null baseline", name, known)))
            }
        }
    }

    fn null(&self, name: &str, measure: &Measure, picked: &[Picked]) -> Option<f64> {
        match measure {
            Measure::Success(metric, bound) => {
                let scores = self.null_scores(name, metric, picked);
                let threshold = Threshold { metric: "", bound: *bound };
                let met = scores.iter().filter(|v| threshold.met(metric, **v)).count();
                (!scores.is_empty()).then(|| met as f64 / scores.len() as f64)
            }
            Measure::Metric(metric) => {
                estimate(self.run, &Measure::Null(name.into(), metric.clone()), picked).value
            }
            _ => None,
        }
    }

    /// The scores of a null baseline over the images of `picked`, each world once.
    pub(super) fn null_scores(&self, name: &str, metric: &Metric, picked: &[Picked]) -> Vec<f64> {
        let mut out = Vec::new();
        for cell in one_a_world(self.run, name, picked) {
            let scores = &self.run.records[cell.at].baselines[name];
            let of = |i: &usize| scores.get(*i).and_then(|s| s.get(&metric.name).copied().flatten());
            out.extend(cell.images.iter().filter_map(of));
        }
        out
    }
}
