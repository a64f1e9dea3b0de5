//! The scores of a run, and what is written of them.

use std::path::{Path, PathBuf};

use attacks::Attack;
use federation::model_file::ModelFile;
use harness::HarnessError;
use serde::Serialize;
use serde_json::{Map, Value};
use suites::Flag;

use super::{Answer, Question, text};

/// How far one picture is from another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Distance {
    /// Mean absolute difference of pixels in `[0, 1]`.
    pub mae: f64,
    /// In dB, at most the cap at which PSNR enters means.
    pub psnr: Option<f64>,
    /// Structural similarity; `None` where pictures are smaller than its window.
    pub ssim: Option<f64>,
}

/// What a model says of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Opinion {
    /// Probability of the class.
    pub confidence: f64,
    /// Whether that is its answer (above one half, where an image has several labels).
    pub right: bool,
}

/// One guess for one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `model-inversion`, or what stands beside it.
    pub guess: String,
    /// Whether the guess was made with the data in hand.
    pub knows_data: bool,
    /// Class index.
    pub class: usize,
    /// Its name.
    pub name: String,
    /// Against the mean of the class's training pictures.
    pub class_mean: Distance,
    /// Against that of them with the least MAE.
    pub nearest: Distance,
    /// Which that is.
    pub nearest_id: usize,
    /// Mean MAE over all of them.
    pub class_mae: f64,
    /// Whether it correlates more with this class's mean than with any other asked for.
    pub identified: bool,
    /// The attacked model.
    pub model: Opinion,
    /// A model trained apart, where one was given.
    pub evaluator: Option<Opinion>,
}

/// All guesses for all classes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// Guess by guess, class by class.
    pub rows: Vec<Row>,
    /// Training pictures compared with.
    pub examples: usize,
}

/// A guess's mean over classes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mean {
    /// Which guess.
    pub guess: String,
    /// Whether it was made with the data in hand.
    pub knows_data: bool,
    /// Against class means.
    pub class_mean: Distance,
    /// Against nearest training pictures.
    pub nearest: Distance,
    /// Over all training pictures of the class.
    pub class_mae: f64,
    /// Share of classes identified.
    pub identified: f64,
    /// The attacked model's confidence and accuracy.
    pub model: (f64, f64),
    /// The evaluator's.
    pub evaluator: Option<(f64, f64)>,
}

impl Table {
    /// Means over classes, in the order of the guesses.
    pub fn means(&self) -> Vec<Mean> {
        self.rows.chunk_by(|a, b| a.guess == b.guess).map(mean).collect()
    }
}

fn mean(rows: &[Row]) -> Mean {
    let of = |f: &dyn Fn(&Row) -> f64| rows.iter().map(f).sum::<f64>() / rows.len() as f64;
    let maybe = |f: &dyn Fn(&Row) -> Option<f64>| {
        let values: Option<Vec<f64>> = rows.iter().map(f).collect();
        values.map(|v| v.iter().sum::<f64>() / v.len() as f64)
    };
    let distance = |f: &dyn Fn(&Row) -> Distance| Distance {
        mae: of(&|r| f(r).mae),
        psnr: maybe(&|r| f(r).psnr),
        ssim: maybe(&|r| f(r).ssim),
    };
    let share = |right: bool| f64::from(u8::from(right));
    let opinion = |f: &dyn Fn(&Row) -> Option<Opinion>| {
        maybe(&|r| f(r).map(|o| o.confidence)).zip(maybe(&|r| f(r).map(|o| share(o.right))))
    };
    Mean {
        guess: rows[0].guess.clone(),
        knows_data: rows[0].knows_data,
        class_mean: distance(&|r| r.class_mean),
        nearest: distance(&|r| r.nearest),
        class_mae: of(&|r| r.class_mae),
        identified: of(&|r| share(r.identified)),
        model: opinion(&|r| Some(r.model)).unwrap_or((f64::NAN, f64::NAN)),
        evaluator: opinion(&|r| r.evaluator),
    }
}

/// Which model, in words that do not depend on where it lies.
#[derive(Debug, Serialize)]
pub(super) struct Which {
    task: String,
    model: String,
    regime: String,
    round: usize,
    defenses: Vec<String>,
    seed: u64,
    training: String,
}

impl Which {
    fn from_model(saved: &ModelFile) -> Which {
        let spec = &saved.spec;
        Which {
            task: spec.name.clone(),
            model: spec.model.name.clone(),
            regime: spec.federation.regime.to_string(),
            round: saved.round,
            defenses: spec.defenses.iter().map(|d| d.name.clone()).collect(),
            seed: spec.seed,
            training: spec.digest(),
        }
    }

    /// In one line.
    pub fn words(&self) -> String {
        let defenses =
            if self.defenses.is_empty() { "no defense".into() } else { self.defenses.join(" + ") };
        format!(
            "{} ({}), {}, {}, round {}, seed {}",
            self.task, self.model, self.regime, defenses, self.round, self.seed
        )
    }
}

/// `inversion.json`.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    pub(super) model: Which,
    pub(super) evaluator: Option<Which>,
    attack: Map<String, Value>,
    seed: u64,
    evaluations: u64,
    flags: &'a [Vec<Flag>],
    pub(super) means: Vec<Mean>,
    #[serde(flatten)]
    pub(super) table: &'a Table,
}

impl<'a> Document<'a> {
    /// Everything that is written; nothing in it depends on the clock or on where files lie.
    pub fn new(
        question: &Question,
        answer: &'a Answer,
        attack: &dyn Attack,
        seed: u64,
    ) -> Document<'a> {
        Document {
            schema: record::SCHEMA,
            model: Which::from_model(&question.model),
            evaluator: question.evaluator.as_ref().map(Which::from_model),
            attack: attack.spelled_out(),
            seed,
            evaluations: answer.found.evaluations,
            flags: &answer.found.flags,
            means: answer.table.means(),
            table: &answer.table,
        }
    }
}

/// Writes the table in its three forms and returns the files.
///
/// # Errors
/// A file that cannot be written.
pub fn write(out: &Path, document: &Document) -> Result<Vec<PathBuf>, HarnessError> {
    let text =
        serde_json::to_string_pretty(document).map_err(|e| HarnessError::Weights(e.to_string()))?;
    let all = [
        ("inversion.json", text + "\n"),
        ("inversion.csv", text::csv(document.table)),
        ("inversion.md", text::markdown(document)),
    ];
    let mut files = Vec::new();
    for (name, text) in all {
        let path = out.join(name);
        record::write_whole(&path, text.as_bytes())?;
        files.push(path);
    }
    Ok(files)
}
