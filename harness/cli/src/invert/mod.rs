//! Model inversion of a trained model: pictures of its classes from its weights, and what they are
//! worth.
//!
//! The attack gets the model and the numbers of the classes. Everything here that reads data judges
//! what came out.

mod grid;
mod judge;
mod pictures;
mod rivals;
mod table;
mod text;

use std::collections::BTreeSet;
use std::path::Path;

use attacks::{Attack, Reconstruction, Run};
use datasets::{Dataset, LabelKind, Request};
use federation::model_file::ModelFile;
use harness::HarnessError;
use learning::{Known, Mode, Observation, Signal};
use suites::SpecError;
use tch::{Device, Kind, Tensor};

use crate::settings::Settings;

pub use judge::same_model;
pub use table::{Distance, Mean, Opinion, Row, Table, write};
pub use text::means;

/// Name of the attack, and of its rows.
pub const ATTACK: &str = "model-inversion";

/// Classes shown where the user names none.
const CLASSES: usize = 100;

/// What is to be inverted and how it is judged.
pub struct Question {
    /// The model under attack.
    pub model: ModelFile,
    /// Another model of the same task, trained apart.
    pub evaluator: Option<ModelFile>,
    /// Class indices, each once.
    pub classes: Vec<usize>,
    /// The data that the model was trained on.
    pub data: Box<dyn Dataset>,
}

/// What came out.
pub struct Answer {
    /// Pictures in `[0, 1]`, `[C, ...]`, in the order of the classes.
    pub pixels: Tensor,
    /// Beside each the mean and the nearest training picture of its class, `[C, ...]` each.
    pub beside: [Tensor; 2],
    /// The scores.
    pub table: Table,
    /// What the attack spent and doubted.
    pub found: Reconstruction,
}

impl Question {
    /// Opens the data and checks that everything belongs together.
    ///
    /// # Errors
    /// Absent or other data, a class that does not exist, an evaluator of another task, that is the
    /// attacked model itself, or of its training.
    pub fn new(
        model: ModelFile,
        evaluator: Option<ModelFile>,
        classes: Option<&[i64]>,
        settings: &Settings,
    ) -> Result<Question, HarnessError> {
        let classes = chosen(&model, classes)?;
        if let Some(other) = &evaluator {
            judge::check(&model, other)?;
        }
        let task = &model.spec.task;
        let request = Request {
            root: settings.data.as_deref(),
            size: task.size,
            label: task.label.as_deref(),
            limit: task.limit,
            seed: model.spec.seed,
        };
        let data =
            datasets::open_from(&settings.registries.federation.datasets, &task.dataset, &request)?;
        let (card, was) = (data.card(), &model.card);
        let shape =
            |c: &datasets::Card| (c.kind, c.channels, c.height, c.width, c.classes, c.labels);
        if shape(card) != shape(was) {
            return Err(HarnessError::Weights(format!(
                "the data set `{}` at hand has {} classes of {}x{}x{}, but the model was trained \
                 on {} of {}x{}x{}; set --data to the copy it was trained on",
                task.dataset,
                card.classes,
                card.channels,
                card.height,
                card.width,
                was.classes,
                was.channels,
                was.height,
                was.width
            )));
        }
        Ok(Question { model, evaluator, classes, data })
    }

    /// Reads the training pictures, runs the attack, then judges it.
    ///
    /// # Errors
    /// What the attack, the data or the metrics say.
    pub fn answer(&self, attack: &dyn Attack, run: &Run) -> Result<Answer, HarnessError> {
        // First, so that what is wrong with them shows before the long part. The attack is given
        // the observation alone.
        let pictures = pictures::read(self)?;
        let found = attack.reconstruct(&self.observation(), run)?;
        let pixels = found.pixels.get(0);
        let guesses = rivals::all(self, &pixels, &pictures, run)?;
        let (table, nearest) = judge::judge(self, &guesses, &pictures, run.device)?;
        Ok(Answer { beside: [pictures.means, nearest], pixels, table, found })
    }

    /// What the attacker holds: the model and the classes it asks for. There is no update, and
    /// zeros stand for it.
    fn observation(&self) -> Observation {
        let nothing = self.model.params.map(Tensor::zeros_like);
        Observation {
            net: self.model.net.clone(),
            weights: self.model.params.clone(),
            signal: Signal::Gradient(nothing),
            mode: Mode::Eval,
            known: Known { labels: Some(self.labels().unsqueeze(0)), ..Known::default() },
        }
    }

    /// i64 `[C]`, or a row of zeros with a single one each where an image has several labels.
    fn labels(&self) -> Tensor {
        let classes = self.indices();
        match self.data.card().labels {
            LabelKind::MultiClass => classes,
            LabelKind::MultiLabel => classes.one_hot(self.model.net.classes()).to_kind(Kind::Float),
        }
    }

    fn indices(&self) -> Tensor {
        Tensor::from_slice(&self.classes.iter().map(|&c| c as i64).collect::<Vec<_>>())
    }

    /// `[C]` zeros and ones a row of labels as data sets give them: which of the asked classes each
    /// example `[B]` or `[B, K]` has.
    fn members(&self, labels: &Tensor) -> Tensor {
        match labels.kind() {
            Kind::Int64 => labels.unsqueeze(1).eq_tensor(&self.indices().unsqueeze(0)),
            _ => labels.index_select(1, &self.indices()).gt(0.5),
        }
    }
}

/// The classes asked for, or all.
fn chosen(model: &ModelFile, asked: Option<&[i64]>) -> Result<Vec<usize>, HarnessError> {
    let count = model.net.classes();
    let wrong = |problem: String, remedy: String| {
        Err(SpecError::value("--classes", problem, remedy).into())
    };
    let Some(asked) = asked else {
        return match count as usize {
            n if n <= CLASSES => Ok((0..n).collect()),
            n => wrong(
                format!("is needed: the model has {n} classes"),
                format!("name those to invert, from 0 to {}", n - 1),
            ),
        };
    };
    if let Some(class) = asked.iter().find(|c| !(0..count).contains(c)) {
        return wrong(
            format!("holds {class}, but the model has {count} classes"),
            format!("write numbers from 0 to {}", count - 1),
        );
    }
    if asked.iter().collect::<BTreeSet<_>>().len() != asked.len() {
        return wrong("names a class twice".into(), "write each once".into());
    }
    Ok(asked.iter().map(|&c| c as usize).collect())
}

/// Writes `inversion.json`, `inversion.csv`, `inversion.md`, the pictures as safetensors and, of
/// images, as a grid. Returns the files.
///
/// # Errors
/// A file that cannot be written.
pub fn keep(
    out: &Path,
    question: &Question,
    answer: &Answer,
    attack: &dyn Attack,
    seed: u64,
) -> Result<Vec<std::path::PathBuf>, HarnessError> {
    let mut files = write(out, &table::Document::new(question, answer, attack, seed))?;
    let tensors = out.join("reconstruction.safetensors");
    let pixels = answer.pixels.to_device(Device::Cpu).contiguous();
    learning::checkpoint::save_safetensors(&tensors, &[("reconstruction".to_string(), pixels)])?;
    files.push(tensors);
    files.extend(grid::write(out, answer)?);
    Ok(files)
}
