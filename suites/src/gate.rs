//! `[gate]`: what a comparison of two runs of a suite counts as a regression.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::SpecError;
use crate::document::Document;
use crate::read::{self, join};

/// The image metrics that a gate can watch; `lpips` means every network's.
pub const GATE_METRICS: [&str; 4] = ["psnr", "ssim", "lpips", "label_match"];

/// Thresholds beyond which a difference between two runs is a regression, and how sure the
/// comparison must be.
///
/// Every key of `[gate]` may be left out.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Gate {
    /// Probability of any alarm at all where nothing changed (family-wise error); in (0, 0.5].
    /// Default 0.05.
    pub alpha: f64,
    /// Image metrics that may raise an alarm, out of [`GATE_METRICS`]. Default all.
    pub metrics: Vec<String>,
    /// Mean PSNR may move by so many dB; at least 0. Default 0.5.
    pub psnr: f64,
    /// Mean SSIM may move by so much; in [0, 2]. Default 0.02.
    pub ssim: f64,
    /// Mean LPIPS may move by so much; at least 0. Default 0.02.
    pub lpips: f64,
    /// The share of labels guessed may move by so much; in [0, 1]. Default 0.1.
    pub label_match: f64,
    /// Task accuracy may move by so much; in [0, 1]. Default 0.02.
    pub accuracy: f64,
    /// Cells may take so many times as long; at least 1. Default 1.25.
    pub slower: f64,
    /// Cells below so many seconds in both runs say nothing about speed; at least 0. Default 1.
    pub min_seconds: f64,
    /// What a cell, or a metric of one, that was measured before and is not any more amounts to.
    /// Default `"fail"`.
    pub missing: Severity,
    /// What an effect beyond its tolerance amounts to that too few units were there to test.
    /// Default `"warn"`.
    pub untested: Severity,
}

/// What a finding does to the gate.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It is a regression.
    Fail,
    /// It is listed as a warning.
    Warn,
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            alpha: 0.05,
            metrics: GATE_METRICS.map(String::from).to_vec(),
            psnr: 0.5,
            ssim: 0.02,
            lpips: 0.02,
            label_match: 0.1,
            accuracy: 0.02,
            slower: 1.25,
            min_seconds: 1.0,
            missing: Severity::Fail,
            untested: Severity::Warn,
        }
    }
}

impl Gate {
    /// The gate of the suite with this text, such as the one kept in a run folder; `file` names it
    /// in errors. Text that is no TOML (a run described by flags has no suite file) has the default
    /// gate.
    ///
    /// # Errors
    /// One line with file and line: unknown keys and metrics, values of the wrong type or out of
    /// range.
    pub fn of_suite_text(file: &str, text: &str) -> Result<Gate, SpecError> {
        match Document::parse(file, text) {
            Ok(document) => Gate::read(&document),
            Err(_) => Ok(Gate::default()),
        }
    }

    pub(crate) fn read(document: &Document) -> Result<Gate, SpecError> {
        let Some(table) = document.table(&document.root, "gate", "gate")? else {
            return Ok(Gate::default());
        };
        let gate: Gate = read::value("gate", &Value::Object(table.clone())).map_err(|error| {
            let path = match &error {
                SpecError::UnknownKey { key, .. } => join("gate", key),
                SpecError::Form { path, .. } => path.clone(),
                _ => "gate".into(),
            };
            document.blame(&path, error)
        })?;
        gate.check().map_err(|(key, error)| document.blame(&join("gate", key), error))?;
        Ok(gate)
    }

    /// How far the mean of the image metric `name`, such as `lpips-vgg`, may move; `None` for one
    /// that the gate does not watch.
    pub fn tolerance(&self, name: &str) -> Option<f64> {
        let kind = if name.starts_with("lpips-") { "lpips" } else { name };
        let watched = self.metrics.iter().any(|m| m == kind);
        let tolerance = match kind {
            "psnr" => self.psnr,
            "ssim" => self.ssim,
            "lpips" => self.lpips,
            "label_match" => self.label_match,
            _ => return None,
        };
        watched.then_some(tolerance)
    }

    /// Differences in the image metric `name` of less than this are rounding: a test ranks them as
    /// zero. Parallel sums differ in their last digits, and attacks amplify that: 0.05 dB of PSNR,
    /// 0.002 of SSIM and LPIPS, and never more than a tenth of the tolerance; 0 for others.
    pub fn rounding(&self, name: &str) -> f64 {
        let kind = if name.starts_with("lpips-") { "lpips" } else { name };
        let (floor, tolerance) = match kind {
            "psnr" => (0.05, self.psnr),
            "ssim" => (0.002, self.ssim),
            "lpips" => (0.002, self.lpips),
            _ => return 0.0,
        };
        f64::min(floor, tolerance / 10.0)
    }

    /// This gate, if its values are within their ranges.
    ///
    /// # Errors
    /// [`SpecError`] names the key, its value and its range.
    pub fn checked(self) -> Result<Gate, SpecError> {
        match self.check() {
            Ok(()) => Ok(self),
            Err((_, error)) => Err(error),
        }
    }

    fn check(&self) -> Result<(), (&'static str, SpecError)> {
        let within = |key: &'static str, value: f64, low: f64, high: f64, remedy: &str| {
            let fine = value.is_finite() && value >= low && value <= high;
            let wrong =
                || SpecError::value(join("gate", key), format!("{value} is out of range"), remedy);
            if fine { Ok(()) } else { Err((key, wrong())) }
        };
        let at_least_0 = "write a number from 0 up";
        let share = "write a number from 0 to 1";
        within(
            "alpha",
            self.alpha,
            f64::MIN_POSITIVE,
            0.5,
            "write a number above 0 and at most 0.5",
        )?;
        within("psnr", self.psnr, 0.0, f64::MAX, at_least_0)?;
        within("ssim", self.ssim, 0.0, 2.0, "write a number from 0 to 2")?;
        within("lpips", self.lpips, 0.0, f64::MAX, at_least_0)?;
        within("label_match", self.label_match, 0.0, 1.0, share)?;
        within("accuracy", self.accuracy, 0.0, 1.0, share)?;
        within("slower", self.slower, 1.0, f64::MAX, "write a ratio from 1 up, such as 1.25")?;
        within("min_seconds", self.min_seconds, 0.0, f64::MAX, at_least_0)?;
        match self.metrics.iter().find(|name| !GATE_METRICS.contains(&name.as_str())) {
            Some(name) => {
                Err(("metrics", SpecError::unknown_name("metric of [gate]", name, GATE_METRICS)))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        Gate::of_suite_text("t.toml", text).unwrap_err().to_string()
    }

    #[test]
    fn absent_keys_have_defaults() {
        let gate = Gate::of_suite_text("t.toml", "[gate]\npsnr = 1\nmissing = \"warn\"\n").unwrap();
        assert_eq!(gate, Gate { psnr: 1.0, missing: Severity::Warn, ..Gate::default() });
        assert_eq!(Gate::of_suite_text("t.toml", "6417448bf633b739\n").unwrap(), Gate::default());
        assert_eq!(
            Gate::of_suite_text("t.toml", "[suite]\nname = \"a\"\n").unwrap(),
            Gate::default()
        );
    }

    #[test]
    fn mistakes_are_one_line_with_their_place() {
        assert!(
            said("[gate]\npsrn = 1")
                .starts_with("t.toml:2: gate: unknown key `psrn` (did you mean `psnr`?)")
        );
        assert!(
            said("[gate]\n\nalpha = 0")
                .starts_with("t.toml:3: gate.alpha: 0 is out of range; write")
        );
        assert!(said("[gate]\nslower = 0.8").contains("write a ratio from 1 up"));
        assert!(said("[gate]\nmissing = \"fial\"").contains("did you mean `fail`?"));
        assert!(said("[gate]\nmetrics = [\"psnr\", \"sim\"]").contains("did you mean `ssim`?"));
        assert!(said("gate = 3").contains("must be a table, written `[gate]`"));
        assert!(said("[gate]\npsnr = \"a\"").starts_with("t.toml:2: gate.psnr: "));
    }

    #[test]
    fn tolerances_by_metric() {
        let mut gate = Gate::default();
        assert_eq!((gate.tolerance("lpips-vgg"), gate.tolerance("mse")), (Some(0.02), None));
        gate.metrics.retain(|m| m != "ssim");
        assert_eq!((gate.tolerance("ssim"), gate.tolerance("psnr")), (None, Some(0.5)));
    }
}
