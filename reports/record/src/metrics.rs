//! What a reader must know of a metric to show and to judge it. Every metric says it of itself, a
//! run keeps it in `run.json`, and whoever reads a run asks that run.

use crate::{RunInfo, old_metrics};
use serde::{Deserialize, Serialize};

/// One metric, as `run.json` describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricInfo {
    /// Name in records.
    pub name: String,
    /// Short title.
    pub title: String,
    /// Unit, empty for a pure number.
    #[serde(default)]
    pub unit: String,
    /// Least and greatest value possible, in the unit; `None` where there is no such bound.
    #[serde(default)]
    pub range: [Option<f64>; 2],
    /// Whether a higher value is a better reconstruction (a worse leak); `None` where nobody said,
    /// and nothing may be judged by it.
    pub higher_is_better: Option<bool>,
    /// Largest value that enters a mean, in the unit.
    #[serde(default)]
    pub cap: Option<f64>,
    /// Whether every score is 0 or 1, so that a mean is a share of images.
    #[serde(default)]
    pub share: bool,
    /// Decimals in tables.
    pub decimals: usize,
    /// Values from which on an image counts as a success, the easiest first, in the unit.
    #[serde(default)]
    pub thresholds: Vec<f64>,
    /// The paper or implementation that it follows.
    #[serde(default)]
    pub reference: String,
}

impl MetricInfo {
    /// A metric of which nothing but the name is known: it is shown, and judges nothing.
    pub fn unknown(name: &str) -> Self {
        MetricInfo {
            name: name.into(),
            title: name.into(),
            unit: String::new(),
            range: [None, None],
            higher_is_better: None,
            cap: None,
            share: false,
            decimals: 4,
            thresholds: Vec::new(),
            reference: String::new(),
        }
    }

    /// A pure number without bounds, cap and thresholds, shown with three decimals, of which more
    /// is a better reconstruction.
    pub fn higher(name: &str, title: &str) -> Self {
        MetricInfo {
            title: title.into(),
            higher_is_better: Some(true),
            decimals: 3,
            ..MetricInfo::unknown(name)
        }
    }

    /// As [`MetricInfo::higher`], of which less is a better reconstruction.
    pub fn lower(name: &str, title: &str) -> Self {
        MetricInfo { higher_is_better: Some(false), ..MetricInfo::higher(name, title) }
    }

    /// Title with unit, as on an axis.
    pub fn label(&self) -> String {
        match self.unit.as_str() {
            "" => self.title.clone(),
            unit => format!("{} ({unit})", self.title),
        }
    }

    /// A value with this metric's decimals.
    pub fn show(&self, value: f64) -> String {
        // What needs five decimals is an error, and those of good reconstructions lie far below
        // any fixed number of them.
        if self.decimals >= 5 && value != 0.0 && value.abs() < 1e-3 {
            return format!("{value:.2e}");
        }
        let text = format!("{value:.*}", self.decimals);
        let zero = text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.');
        if zero { text.trim_start_matches('-').to_owned() } else { text }
    }

    /// Whether `value` is a success at `bound`; NaN never is, nor anything of a metric without a
    /// direction.
    pub fn met(&self, bound: f64, value: f64) -> bool {
        match self.higher_is_better {
            Some(true) => value >= bound,
            Some(false) => value <= bound,
            None => false,
        }
    }

    /// A threshold in words, such as "PSNR ≥ 20 dB".
    pub fn threshold(&self, bound: f64) -> String {
        let sign = if self.higher_is_better == Some(false) { '≤' } else { '≥' };
        format!("{} {sign} {bound} {}", self.title, self.unit).trim_end().to_owned()
    }

    /// The threshold that reports speak of where they speak of one: the middle one.
    pub fn middle_threshold(&self) -> Option<f64> {
        self.thresholds.get(self.thresholds.len() / 2).copied()
    }

    /// 1 where more is better, -1 where less is; `None` where nobody said.
    pub fn sign(&self) -> Option<f64> {
        self.higher_is_better.map(|higher| if higher { 1.0 } else { -1.0 })
    }

    /// An arrow to where the attacker got more; empty without a direction.
    pub fn arrow(&self) -> &'static str {
        match self.higher_is_better {
            Some(true) => " ↑",
            Some(false) => " ↓",
            None => "",
        }
    }
}

/// The metrics of a run, in the order in which reports show them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Metrics(Vec<MetricInfo>);

impl Metrics {
    /// Those that `run.json` lists; of a run of old, which lists none, those of that time.
    pub fn from_run(info: &RunInfo) -> Self {
        let listed = &info.metrics;
        let mut all = if listed.is_empty() { old_metrics::known() } else { listed.clone() };
        all.iter_mut().filter(|m| m.higher_is_better.is_none()).for_each(|m| m.thresholds.clear());
        #[cfg(feature = "testing")]
        if let Some(cap) = crate::testing::psnr_cap() {
            all.iter_mut().filter(|m| m.cap.is_some()).for_each(|m| m.cap = Some(cap));
        }
        Metrics(all)
    }

    /// The metric `name`, or [`MetricInfo::unknown`] where the run does not list it.
    pub fn get(&self, name: &str) -> MetricInfo {
        self.find(name).cloned().unwrap_or_else(|| MetricInfo::unknown(name))
    }

    fn find(&self, name: &str) -> Option<&MetricInfo> {
        self.0.iter().find(|m| m.name == name)
    }

    /// The names in the order of the list, each once; those that it does not hold follow by name.
    pub fn in_order(&self, names: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut names: Vec<_> = names.into_iter().collect();
        let place = |name: &String| self.0.iter().position(|m| m.name == *name);
        names.sort_by_cached_key(|name| (place(name).unwrap_or(self.0.len()), name.clone()));
        names.dedup();
        names
    }

    /// One line for the reader on those of `names` that have no direction.
    pub fn without_direction(&self, names: &[String]) -> Option<String> {
        let undirected = |name: &&String| self.get(name).higher_is_better.is_none();
        let names: Vec<&str> = names.iter().filter(undirected).map(String::as_str).collect();
        (!names.is_empty()).then(|| {
            format!(
                "run.json does not say whether more or less of {} is better: no threshold, no \
                 judgement and no worst case is taken by it",
                names.join(", ")
            )
        })
    }

    /// The metrics of two runs as one list, in the order of `new`, and one line on each whose cap
    /// differs: that of `new` is taken for both.
    ///
    /// # Errors
    /// One line where a metric's directions differ, so that it is not the same one.
    pub fn of_both(base: &RunInfo, new: &RunInfo) -> Result<(Self, Vec<String>), String> {
        let (base, Metrics(mut all)) = (Metrics::from_run(base), Metrics::from_run(new));
        let mut notes = Vec::new();
        for own in base.0 {
            let Some(other) = all.iter_mut().find(|m| m.name == own.name) else {
                all.push(own);
                continue;
            };
            match (own.higher_is_better, other.higher_is_better) {
                (Some(was), Some(is)) if was != is => return Err(turned(&own.name, was)),
                (Some(_), None) => *other = own,
                _ if own.cap != other.cap => {
                    let cap = |m: &MetricInfo| m.cap.map_or("none".into(), |cap| cap.to_string());
                    notes.push(format!(
                        "the runs cap {} at {} and at {}; the means here are both capped at {}",
                        own.name,
                        cap(&own),
                        cap(other),
                        cap(other)
                    ));
                }
                _ => {}
            }
        }
        Ok((Metrics(all), notes))
    }
}

fn turned(name: &str, more: bool) -> String {
    let [was, is] = if more { ["more", "less"] } else { ["less", "more"] };
    format!(
        "of {name} {was} is better in the base and {is} in the new run: these are two metrics; \
         score one of the runs anew, or give one of the two another name"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Metrics {
        Metrics(old_metrics::known())
    }

    fn listed(metrics: Vec<MetricInfo>) -> RunInfo {
        RunInfo { metrics, ..RunInfo::default() }
    }

    #[test]
    fn thresholds_know_their_direction() {
        let (psnr, lpips) = (known().get("psnr"), known().get("lpips-vgg"));
        assert_eq!((psnr.thresholds.as_slice(), lpips.thresholds.as_slice()), PSNR_AND_LPIPS);
        assert!(psnr.met(20.0, 20.0) && !psnr.met(20.0, 19.99));
        assert!(lpips.met(0.1, 0.1) && !lpips.met(0.1, 0.2));
        assert!(!psnr.met(20.0, f64::NAN) && psnr.met(20.0, f64::INFINITY));
        assert_eq!(
            (known().get("ssim").show(-1e-6), known().get("mse").show(2e-7)),
            ("0.000".into(), "2.00e-7".into())
        );
        assert_eq!(psnr.threshold(25.0), "PSNR ≥ 25 dB");
        assert_eq!(lpips.threshold(0.1), "LPIPS (vgg) ≤ 0.1");
        assert_eq!((psnr.middle_threshold(), lpips.middle_threshold()), (Some(25.0), Some(0.1)));
    }

    const PSNR_AND_LPIPS: (&[f64], &[f64]) = (&[20.0, 25.0, 30.0], &[0.1]);

    #[test]
    fn what_nobody_described_judges_nothing() {
        let vague = MetricInfo { thresholds: vec![1.0], ..MetricInfo::unknown("vague") };
        let all = Metrics::from_run(&listed(vec![vague, MetricInfo::lower("error", "error")]));
        // A run with a list of its own has no other metrics.
        for name in ["vague", "psnr", "glossary"] {
            let metric = all.get(name);
            assert!(metric.higher_is_better.is_none() && metric.thresholds.is_empty(), "{name}");
            assert!(!metric.met(0.0, 1.0) && !metric.met(0.0, -1.0));
        }
        let names = ["error", "psnr", "vague"].map(String::from);
        let said = all.without_direction(&names).unwrap();
        assert!(said.contains("psnr, vague") && !said.contains("error"), "{said}");
        assert_eq!(all.without_direction(&names[..1]), None);
    }

    #[test]
    fn the_order_is_that_of_the_list() {
        let names = ["zeta", "mse", "lpips-alex", "psnr", "psnr"].map(String::from);
        assert_eq!(known().in_order(names.clone()), ["psnr", "lpips-alex", "mse", "zeta"]);
        let own = [MetricInfo::lower("mse", "MSE"), MetricInfo::higher("zeta", "zeta")];
        let own = Metrics::from_run(&listed(own.to_vec()));
        assert_eq!(own.in_order(names), ["mse", "zeta", "lpips-alex", "psnr"]);
    }

    #[test]
    fn two_runs_must_agree_on_what_is_better() {
        let more = listed(vec![MetricInfo::higher("m", "m")]);
        let less = listed(vec![MetricInfo::lower("m", "m")]);
        let refused = Metrics::of_both(&more, &less).unwrap_err();
        assert!(refused.contains("of m more is better in the base and less"), "{refused}");
        let capped = MetricInfo { cap: Some(60.0), ..MetricInfo::higher("m", "m") };
        let (both, notes) = Metrics::of_both(&more, &listed(vec![capped])).unwrap();
        assert_eq!((both.get("m").cap, notes.len()), (Some(60.0), 1));
        assert!(notes[0].contains("cap m at none and at 60"), "{notes:?}");
        // What one run alone describes is no disagreement.
        let (both, notes) = Metrics::of_both(&less, &RunInfo::default()).unwrap();
        assert_eq!((both.get("m").higher_is_better, notes.len()), (Some(false), 0));
        assert_eq!(both.get("psnr").higher_is_better, Some(true));
    }
}
