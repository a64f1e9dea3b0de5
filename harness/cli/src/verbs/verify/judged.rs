//! What the pairs' scores say of a model, as text, JSON and files.

use std::path::Path;

use anyhow::Result;
use harness::HarnessError;
use metrics::verification::{
    Folds, Point, TarAtFar, VerificationError, auc, best_threshold, equal_error_rate, folds, roc,
    tar_at_far,
};
use serde_json::{Value, json};
use suites::foreign::printable;

use super::sources::Work;

/// The false acceptance rates that are usual.
const FARS: [f64; 4] = [1e-1, 1e-2, 1e-3, 1e-4];

/// Everything that is reported.
pub(super) struct Judged {
    genuine: usize,
    impostor: usize,
    folds: Folds,
    curve: Vec<Point>,
    auc: f64,
    eer: f64,
    at_far: Vec<TarAtFar>,
    /// Best on all pairs together: to decide about others, not to be judged by.
    threshold: f64,
}

impl Judged {
    /// Judges scores (cosines).
    ///
    /// # Errors
    /// Scores that are not finite, pairs of one kind alone, too few folds.
    pub(super) fn new(
        scores: &[f64],
        same: &[bool],
        fold: &[usize],
    ) -> Result<Self, VerificationError> {
        let curve = roc(scores, same)?;
        let genuine = same.iter().filter(|s| **s).count();
        let impostor = same.len() - genuine;
        Ok(Judged {
            genuine,
            impostor,
            folds: folds(scores, same, fold)?,
            auc: auc(&curve),
            eer: equal_error_rate(&curve),
            at_far: FARS.iter().map(|far| tar_at_far(&curve, *far, impostor)).collect(),
            threshold: best_threshold(scores, same)?,
            curve,
        })
    }

    pub(super) fn text(&self, work: &Work, model: &str) -> String {
        let mut out = format!(
            "{model} on {} pairs ({} same, {} different) of {}\n",
            self.genuine + self.impostor,
            self.genuine,
            self.impostor,
            work.of
        );
        out += &format!(
            "accuracy {:.4} +- {:.4} (mean of {} folds, each at the threshold of the others, and \
             its standard error)\n",
            self.folds.accuracy,
            self.folds.standard_error,
            self.folds.folds.len()
        );
        out += &format!("AUC {:.4}, equal error rate {:.4}\n", self.auc, self.eer);
        for at in &self.at_far {
            let why = || format!("none: {}", at.why.as_deref().unwrap_or_default());
            let tar = at.tar.map_or_else(why, |tar| format!("{tar:.4}"));
            out += &format!("TAR at FAR {:e}: {tar}\n", at.far);
        }
        out += &format!("threshold {} decides best on all of them\n", self.threshold);
        out + &work.notes.iter().map(|n| format!("note: {n}\n")).collect::<String>()
    }

    pub(super) fn json(&self, work: &Work, model: &str) -> Value {
        json!({
            "model": model, "of": work.of, "genuine": self.genuine, "impostor": self.impostor,
            "accuracy": self.folds.accuracy, "standard_error": self.folds.standard_error,
            "folds": self.folds.folds, "auc": self.auc, "eer": self.eer, "tar_at_far": self.at_far,
            "threshold": self.threshold, "notes": work.notes,
        })
    }
}

/// Writes the curve, the pairs and the summary; returns the files' paths.
///
/// # Errors
/// A folder or file that cannot be written.
pub(super) fn write(
    out: &Path,
    judged: &Judged,
    work: &Work,
    scores: &[f64],
    model: &str,
) -> Result<Vec<String>> {
    std::fs::create_dir_all(out).map_err(|source| HarnessError::Io {
        what: "create",
        path: out.display().to_string(),
        source,
    })?;
    let mut summary = serde_json::to_string_pretty(&judged.json(work, model))?;
    summary.push('\n');
    let files = [
        ("roc.csv", curve(&judged.curve)?),
        ("pairs.csv", pairs(work, scores)?),
        ("verification.json", summary.into_bytes()),
    ];
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = out.join(name);
        record::write_whole(&path, &bytes)?;
        written.push(path.display().to_string());
    }
    Ok(written)
}

fn curve(points: &[Point]) -> Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["threshold", "far", "tar"])?;
    for p in points {
        out.write_record([p.threshold, p.far, p.tar].map(|v| v.to_string()))?;
    }
    Ok(out.into_inner()?)
}

fn pairs(work: &Work, scores: &[f64]) -> Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["a", "b", "same", "fold", "cosine"])?;
    for (i, (a, b)) in work.pairs.iter().enumerate() {
        let same = i32::from(work.same[i]).to_string();
        let (fold, cosine) = (work.fold[i].to_string(), scores[i].to_string());
        let [a, b] = [a, b].map(|at| printable(&work.names[*at]));
        out.write_record([a.as_ref(), &b, &same, &fold, &cosine])?;
    }
    Ok(out.into_inner()?)
}
