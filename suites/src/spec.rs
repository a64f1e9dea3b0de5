//! One cell of a benchmark, fully spelled out, and its identity.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::SpecError;
use crate::federation::{FederationSpec, Regime};
pub use crate::id::CellId;
use crate::string_enum::{string_enum, text_form};

/// An implementation by name, with its parameters as given.
///
/// Written as `"dlg"` or `{ name = "dlg", iterations = 300 }`; always serialised as the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Registry name.
    pub name: String,
    /// Parameters beside the name; checked by the entry itself.
    pub params: Map<String, Value>,
}

/// One experiment: who trains what on which data, what is captured, what defends it and what
/// attacks it.
///
/// Every field is serialised, so that a record says all it depended on.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct CellSpec {
    /// The data and what is predicted from them.
    pub task: TaskSpec,
    /// The network that the clients train.
    pub model: ModelSpec,
    /// The federation that is attacked, or a bare client.
    pub federation: FederationSpec,
    /// Which of its rounds is captured.
    pub capture: CaptureSpec,
    /// What the protocol makes a client release in every round.
    pub source: Source,
    /// Who looks.
    pub vantage: Vantage,
    /// What else the adversary knows.
    #[serde(deserialize_with = "listed_facts")]
    pub facts: Vec<Fact>,
    /// The defenses, composed in this order; empty means none.
    pub defenses: Vec<Named>,
    /// The attack.
    pub attack: Named,
    /// Independent captures (each of another client), attacked as one batch; at least 1.
    pub trials: usize,
    /// Root of all randomness of the cell.
    pub seed: u64,
}

/// The data and the label that is predicted.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TaskSpec {
    /// Registry name of the data set.
    pub dataset: String,
    /// The split that clients hold and that is attacked.
    pub split: Split,
    /// The attribute to predict, where the data set has several (CelebA's `Male`).
    pub label: Option<String>,
    /// Side of the square image in pixels; `None` keeps the data set's own.
    pub size: Option<usize>,
    /// Use only the first so many examples of each split.
    pub limit: Option<usize>,
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Split {
    /// `"train"`
    Train,
    /// `"val"`
    Val,
    /// `"test"`
    Test,
}
string_enum!(Split, "split", Train = "train", Val = "val", Test = "test");

/// The network and how its parameters start.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Registry name of the model.
    pub name: String,
    /// Parameters of the architecture; checked by the model itself.
    pub params: Map<String, Value>,
    /// Initial distribution of the parameters.
    pub init: Init,
    /// A checkpoint to load instead of `init`.
    pub weights: Option<PathBuf>,
    /// Which statistics batch normalisation uses while the captured update is computed.
    pub batch_norm: BatchNorm,
}

impl ModelSpec {
    /// A model by its registry name, or by its file where the text ends in `.pt2`; the rest are
    /// defaults.
    pub fn named(text: &str) -> ModelSpec {
        let (name, file) = if is_file(text) {
            (FILE, Some(("file".to_owned(), text.into())))
        } else {
            (text, None)
        };
        ModelSpec {
            name: name.into(),
            params: file.into_iter().collect(),
            init: Init::Pytorch,
            weights: None,
            batch_norm: BatchNorm::Train,
        }
    }

    /// What a reader calls it: its name, or that of its file.
    pub fn title(&self) -> String {
        let file = self.params.get("file").and_then(Value::as_str).filter(|_| self.name == FILE);
        let stem = file.and_then(|file| Path::new(file).file_name());
        stem.map_or_else(|| self.name.clone(), |name| name.to_string_lossy().into_owned())
    }
}

/// The registry name of a model that a file gives.
const FILE: &str = "file";

/// The registry name of a model that is written down layer by layer, and the key of its layers.
const LAYERS: &str = "layers";

fn is_file(text: &str) -> bool {
    text.ends_with(".pt2") || text.ends_with(".onnx")
}

/// `{ file = "net.pt2" }`, and the bare path of such a file, are the model `file` with that
/// parameter; `[[model.layers]]` is the model `layers` with them.
pub(crate) fn model_of_file(table: &Map<String, Value>) -> Map<String, Value> {
    let mut table = table.clone();
    let named = table.get("name").and_then(Value::as_str).filter(|name| is_file(name));
    let named = named.map(Value::from);
    let file = table.shift_remove("file").or(named).map(|file| ("file", file));
    let given = file.or_else(|| Some((LAYERS, table.shift_remove(LAYERS)?)));
    let Some((key, value)) = given else { return table };
    table.insert("name".into(), key.into());
    let params = table.entry("params").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(params) = params {
        params.insert(key.into(), value);
    }
    table
}

/// Initial distribution of a model's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Init {
    /// `"pytorch"`: PyTorch's layer defaults.
    Pytorch,
    /// `"dlg-uniform"`: every parameter uniform in (-0.5, 0.5), as in DLG (Zhu et al., 2019).
    DlgUniform,
}
string_enum!(Init, "init", Pytorch = "pytorch", DlgUniform = "dlg-uniform");

/// Mode of batch normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BatchNorm {
    /// `"train"`: the batch's own statistics.
    Train,
    /// `"eval"`: the running statistics.
    Eval,
}
string_enum!(BatchNorm, "batch-norm mode", Train = "train", Eval = "eval");

/// Which round of its federation a cell attacks.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct CaptureSpec {
    /// The round, from 0: so many rounds have moved the weights before it. Below
    /// `federation.rounds`.
    pub round: usize,
}

/// How examples are divided among clients.
///
/// Written as `"iid"` or `{ kind = "dirichlet", alpha = 0.5 }`; always serialised as the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Partition {
    /// `"iid"`: uniformly at random.
    Iid,
    /// `"dirichlet"`: class proportions of each client drawn from Dirichlet(alpha) (Hsu et al.,
    /// 2019).
    Dirichlet {
        /// Concentration; above 0, smaller is more skewed.
        alpha: f64,
    },
    /// `"shards"`: label-sorted shards dealt to clients (McMahan et al., 2017).
    Shards {
        /// Shards that each client receives; at least 1.
        per_client: usize,
    },
    /// `"by-identity"`: all examples of one person stay with one client.
    ByIdentity,
    /// `"repeated-labels"`: iid, each client's examples in an order in which every batch repeats a
    /// label so many times.
    RepeatedLabels {
        /// Examples of a batch whose label it already has, all of one class; below
        /// `federation.local.batch_size`.
        repeats: usize,
    },
}

/// What the protocol makes a client release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// `"gradients"`: the gradient of one batch (FedSGD: the server steps by their mean).
    Gradients,
    /// `"one_step_update"`: the weights' change after one SGD step on one batch.
    OneStepUpdate,
    /// `"local_update"`: the weights' change after all local epochs.
    LocalUpdate,
    /// `"agg_update"`: the FedAvg mean of all clients' changes after all local epochs.
    AggUpdate,
}
string_enum!(
    Source,
    "source",
    Gradients = "gradients",
    OneStepUpdate = "one_step_update",
    LocalUpdate = "local_update",
    AggUpdate = "agg_update"
);

/// Who looks at the transcript of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Vantage {
    /// `"server"`: honest but curious.
    Server,
    /// `"aggregate"`: whoever sees only the released sum.
    Aggregate,
    /// `"colluding-3"`: the server and `k` clients pool what they know.
    Colluding {
        /// Colluding clients; at least 1, fewer than all.
        k: usize,
    },
    /// `"eavesdropper"`: reads the wire.
    Eavesdropper,
    /// `"key-holder"`: holds the decryption key.
    KeyHolder,
    /// `"malicious-server"`: may alter the model it sends.
    MaliciousServer,
}
text_form!(Vantage);

const VANTAGES: [(&str, Vantage); 5] = [
    ("server", Vantage::Server),
    ("aggregate", Vantage::Aggregate),
    ("eavesdropper", Vantage::Eavesdropper),
    ("key-holder", Vantage::KeyHolder),
    ("malicious-server", Vantage::MaliciousServer),
];

impl fmt::Display for Vantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Vantage::Colluding { k } => f.pad(&format!("colluding-{k}")),
            other => {
                let word = VANTAGES.iter().find(|(_, v)| v == other).map(|(w, _)| *w);
                f.pad(word.unwrap_or_default())
            }
        }
    }
}

impl FromStr for Vantage {
    type Err = SpecError;

    fn from_str(word: &str) -> Result<Self, SpecError> {
        if let Some(k) = word.strip_prefix("colluding-") {
            return k.parse().map(|k| Vantage::Colluding { k }).map_err(|_| {
                SpecError::value(
                    "vantage",
                    format!("`{word}` does not end in a number of clients"),
                    "write such as `colluding-3`",
                )
            });
        }
        let found = VANTAGES.iter().find(|(w, _)| *w == word).map(|(_, v)| *v);
        found.ok_or_else(|| {
            let words = VANTAGES.iter().map(|(w, _)| *w).chain(["colluding-1"]);
            SpecError::unknown_name("vantage", word, words)
        })
    }
}

/// Something the adversary knows beside what it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// `"labels"`: the true labels of the captured batch.
    Labels,
    /// `"batch-size"`: how many examples a step used.
    BatchSize,
    /// `"local-steps"`: a client's local training in full: epochs, batches, momentum, decay.
    LocalSteps,
    /// `"step-count"`: how many steps a client took, and nothing else of them.
    StepCount,
    /// `"learning-rate"`: the clients' learning rate.
    LearningRate,
}
string_enum!(
    Fact,
    "fact",
    Labels = "labels",
    BatchSize = "batch-size",
    LocalSteps = "local-steps",
    StepCount = "step-count",
    LearningRate = "learning-rate",
);

/// Facts of earlier versions that nothing granted or withheld: the broadcast model includes its
/// normalisation and its running BatchNorm statistics, and no attack reads the statistics of a
/// client's batch. Suites and records that list them are read, and the words dropped.
pub const REMOVED_FACTS: [&str; 2] = ["bn-statistics", "normalisation"];

/// A word of a list of facts; `None` where it is one of [`REMOVED_FACTS`].
struct ListedFact(Option<Fact>);

impl<'de> Deserialize<'de> for ListedFact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = String::deserialize(from)?;
        if REMOVED_FACTS.contains(&word.as_str()) {
            return Ok(ListedFact(None));
        }
        word.parse().map(|fact| ListedFact(Some(fact))).map_err(serde::de::Error::custom)
    }
}

fn listed_facts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Fact>, D::Error> {
    let listed = Vec::<ListedFact>::deserialize(from)?;
    Ok(listed.into_iter().filter_map(|fact| fact.0).collect())
}

impl Source {
    /// Whether a client releases what one batch taught it, in every round.
    pub fn is_single_step(self) -> bool {
        matches!(self, Source::Gradients | Source::OneStepUpdate)
    }
}

impl CellSpec {
    /// A cell with the defaults of every field but these three names: one bare client, batch 1,
    /// plain SGD at 0.01, gradients seen by the server, which knows what the protocol told the
    /// clients.
    pub fn new(dataset: &str, model: &str, attack: &str) -> Self {
        CellSpec {
            task: TaskSpec {
                dataset: dataset.into(),
                split: Split::Train,
                label: None,
                size: None,
                limit: None,
            },
            model: ModelSpec::named(model),
            federation: FederationSpec::new(Regime::Bare),
            capture: CaptureSpec::default(),
            source: Source::Gradients,
            vantage: Vantage::Server,
            facts: vec![Fact::BatchSize, Fact::LocalSteps, Fact::LearningRate],
            defenses: Vec::new(),
            attack: Named::new(attack),
            trials: 1,
            seed: 0,
        }
    }

    /// Identity of the cell; changes with any field.
    pub fn id(&self) -> CellId {
        CellId::from_canonical(&crate::canonical::cell(self))
    }

    /// Hash of task, model, federation, capture, source, trials and seed: the same across attacks
    /// and defenses, so that cells which differ only there are paired (same images and batches, the
    /// same first weights).
    pub fn world_key(&self) -> String {
        crate::canonical::digest(&crate::canonical::world(self))
    }

    /// Hash of the world and the attack: the same across defenses, vantages and facts.
    pub fn attack_key(&self) -> String {
        crate::canonical::digest(&crate::canonical::attack(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_of_earlier_versions_are_read_and_dropped() {
        let mut old = serde_json::to_value(CellSpec::new("photos", "mlp", "dlg")).unwrap();
        old["facts"] = serde_json::json!(["normalisation", "labels", "bn-statistics"]);
        let spec: CellSpec = serde_json::from_value(old.clone()).unwrap();
        assert_eq!(spec.facts, [Fact::Labels]);
        old["facts"] = serde_json::json!(["normalization"]);
        assert!(serde_json::from_value::<CellSpec>(old).is_err(), "only those words are dropped");
        assert!(REMOVED_FACTS.iter().all(|word| word.parse::<Fact>().is_err()));
    }
}
