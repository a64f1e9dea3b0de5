//! All metrics of a run, built once and applied to batch after batch.

use crate::images::{Prepared, prepare};
use crate::{CAP_DB, Metric, MetricEntry, MetricError, Setup, builtin, find};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use suites::{Flag, FlagKind, Registry};
use tch::Tensor;

/// Scores of one image by metric name; `None` means not measured, with the reason in a note.
pub type Scores = BTreeMap<String, Option<f64>>;

/// What the metrics say of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageScores {
    /// One value a metric of the panel.
    pub scores: Scores,
    /// [`FlagKind::NonFinite`] where the grey image was scored in its place, and
    /// [`FlagKind::PsnrCapped`] above [`CAP_DB`], at which PSNR enters means.
    pub flags: Vec<Flag>,
}

/// What the metrics say of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// In the order of the truth.
    pub images: Vec<ImageScores>,
    /// Why a metric is missing, one line each.
    pub notes: Vec<String>,
}

/// The metrics that could be built, and the reasons for the others.
pub struct Panel {
    metrics: Vec<(&'static str, Box<dyn Metric>)>,
    absent: Vec<(&'static str, String)>,
    /// Embeddings of crowds, by metric and part.
    crowds: Mutex<Vec<(String, Tensor)>>,
}

/// Values of embeddings that are kept, at most: 256 MB.
const ROOM: usize = 64 << 20;

impl Panel {
    /// Builds every metric that ships with the project. Those whose weights are missing or unusable
    /// will score `None`.
    pub fn open(setup: &Setup) -> Self {
        Panel::open_from(&builtin(), setup)
    }

    /// As [`Panel::open`], with the metrics of `metrics`.
    pub fn open_from(metrics: &Registry<MetricEntry>, setup: &Setup) -> Self {
        Panel::build(metrics.iter(), setup)
    }

    /// Builds the named metrics.
    ///
    /// # Errors
    /// [`MetricError::UnknownName`].
    pub fn with(names: &[&str], setup: &Setup) -> Result<Self, MetricError> {
        let entries: Result<Vec<_>, _> = names.iter().map(|name| find(name)).collect();
        Ok(Panel::build(entries?, setup))
    }

    fn build(entries: impl IntoIterator<Item = &'static MetricEntry>, setup: &Setup) -> Self {
        let (metrics, absent, crowds) = (Vec::new(), Vec::new(), Mutex::new(Vec::new()));
        let mut panel = Panel { metrics, absent, crowds };
        for entry in entries {
            match (entry.build)(setup) {
                Ok(metric) => panel.metrics.push((entry.name, metric)),
                Err(error) => panel.absent.push((entry.name, error.to_string())),
            }
        }
        panel
    }

    /// Why metrics are missing on this machine and how to get them, one line each; to be said once
    /// a run.
    pub fn notes(&self) -> Vec<String> {
        self.absent.iter().map(|(_, why)| why.clone()).collect()
    }

    /// Names of the metrics, absent ones among them.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        let absent = self.absent.iter().map(|(name, _)| *name);
        self.metrics.iter().map(|(name, _)| *name).chain(absent)
    }

    /// Scores images `[N, C, H, W]` or table rows `[N, F]` in `[0, 1]`, guess `i` belonging to
    /// truth `i`. A metric that cannot compare these images (too small, wrong channels) scores
    /// `None` with a note.
    ///
    /// # Errors
    /// [`MetricError`] for shapes that differ and for a truth that is not pixels.
    pub fn score(&self, guess: &Tensor, truth: &Tensor) -> Result<Scored, MetricError> {
        let ready = prepare(guess, truth)?;
        let mut scored = self.blank(&ready);
        for (name, metric) in &self.metrics {
            match metric.score(&ready.guess, &ready.truth) {
                Ok(values) => fill(&mut scored.images, name, values),
                Err(error @ MetricError::Unsuited { .. }) => {
                    for image in &mut scored.images {
                        image.scores.insert((*name).into(), None);
                    }
                    scored.notes.push(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(scored)
    }

    /// What the metric makes of images, as [`Metric::embed`]; `None` where it is absent here.
    ///
    /// # Errors
    /// As [`Metric::embed`].
    pub fn embed(&self, metric: &str, pixels: &Tensor) -> Result<Option<Tensor>, MetricError> {
        match self.metrics.iter().find(|(name, _)| *name == metric) {
            Some((_, metric)) => metric.embed(pixels),
            None => Ok(None),
        }
    }

    /// As [`Panel::embed`] of a part of a crowd that `key` names among all crowds of a run: kept
    /// while there is room, else computed anew.
    ///
    /// # Errors
    /// As [`Metric::embed`].
    pub fn crowd(
        &self,
        metric: &str,
        key: &str,
        images: &Tensor,
    ) -> Result<Option<Tensor>, MetricError> {
        let key = format!("{metric} {key}");
        let mut known = self.crowds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, kept)) = known.iter().find(|(k, _)| *k == key) {
            return Ok(Some(kept.shallow_clone()));
        }
        let Some(found) = self.embed(metric, images)? else { return Ok(None) };
        let kept: usize = known.iter().map(|(_, t)| t.numel()).sum();
        if kept + found.numel() <= ROOM {
            known.push((key, found.shallow_clone()));
        }
        Ok(Some(found))
    }

    /// One entry an image, with the flags and the metrics that are absent here.
    fn blank(&self, ready: &Prepared) -> Scored {
        let absent: Scores = self.absent.iter().map(|(name, _)| (name.to_string(), None)).collect();
        let flags = |ok: bool| if ok { vec![] } else { vec![FlagKind::NonFinite.into()] };
        let image = |ok: &bool| ImageScores { scores: absent.clone(), flags: flags(*ok) };
        Scored { images: ready.finite.iter().map(image).collect(), notes: self.notes() }
    }
}

fn fill(images: &mut [ImageScores], name: &str, values: Vec<f64>) {
    for (image, value) in images.iter_mut().zip(values) {
        if name == "psnr" && value > CAP_DB {
            image.flags.push(FlagKind::PsnrCapped.into());
        }
        // A metric that overflows inside (LPIPS on strange weights) has not measured anything.
        image.scores.insert(name.into(), (!value.is_nan()).then_some(value));
    }
}
