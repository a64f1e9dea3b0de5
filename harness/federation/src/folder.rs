//! The folder of a training: `training.json` (what it is), `state.safetensors` (where it stands,
//! written whole after each round), `records.csv`, `model.safetensors`, `checkpoints/`, `report/`,
//! and until the last round `randomness.secret` where a guarantee is claimed.
//! A killed training goes on from its last whole round, bit by bit as if nothing had happened.

use std::fs::File;
use std::path::{Path, PathBuf};

use learning::client::State;
use learning::server::ServerState;
use learning::{Params, checkpoint};
use record::rounds::ROUNDS;
use record::{RoundRecord, write_rounds};
use serde::{Deserialize, Serialize};
use suites::TrainSpec;
use suites::foreign::{self, limits};
use tch::{Device, Kind, Tensor};

use crate::Federation;
use crate::context::DefenseState;
use crate::randomness::{Draws, Randomness};
use crate::round::TrainingState;
use crate::{FederationError, model_file};

/// Name of the description.
pub const TRAINING: &str = "training.json";
/// Name of the state.
pub const STATE: &str = "state.safetensors";
/// Held by the process that trains here.
const LOCK: &str = ".lock";
/// Name of the last good model.
const MODEL: &str = "model.safetensors";

/// What a folder says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Format of the folder.
    pub schema: String,
    /// Version of the program.
    pub bench_version: String,
    /// Digest of the spec.
    pub digest: String,
    /// The spec, fully spelled out.
    pub spec: TrainSpec,
    /// libtorch's version.
    pub libtorch: String,
    /// The device in words.
    pub device: String,
    /// The machine in words.
    pub machine: String,
    /// Kind of processor and the instructions taken, on which the last digits depend; empty where
    /// the program that began did not record it.
    #[serde(default)]
    pub processor: String,
    /// Other kinds of processor on which the training was gone on with.
    #[serde(default)]
    pub elsewhere: Vec<String>,
    /// Where noise and sampling come from.
    #[serde(default)]
    pub draws: Draws,
    /// libtorch threads of a lot: part of a result's last bits.
    pub threads: usize,
    /// The command that goes on with it.
    pub resume: String,
}

impl Header {
    /// The header of this training when `now` goes on with it: where it began stays said, and
    /// another kind of processor is noted.
    fn gone_on_with(self, now: Header) -> Header {
        let mut elsewhere = self.elsewhere;
        if now.processor != self.processor && !elsewhere.contains(&now.processor) {
            elsewhere.push(now.processor);
        }
        Header { machine: self.machine, processor: self.processor, elsewhere, ..now }
    }

    /// The processor on which the training began.
    pub fn begun_on(&self) -> &str {
        if self.processor.is_empty() { "unknown" } else { &self.processor }
    }

    /// One line for the user of a training that several kinds of processor took part in.
    pub fn mixed(&self) -> Option<String> {
        (!self.elsewhere.is_empty()).then(|| {
            format!(
                "this training began on another processor ({}) than it was gone on with ({}): \
                 it is not bit by bit that of either; the training and its report say so",
                self.begun_on(),
                self.elsewhere.join("; ")
            )
        })
    }
}

/// What is beside the tensors of a state.
#[derive(Serialize, Deserialize)]
struct StateMeta {
    digest: String,
    round: usize,
    memory: DefenseState,
    steps: u64,
    rounds: Vec<RoundRecord>,
}

/// A training's folder, open for this process alone.
pub struct Folder {
    dir: PathBuf,
    header: Header,
    _lock: File,
}

impl Folder {
    /// Makes the folder, or opens that of the same training.
    ///
    /// # Errors
    /// A folder of something else or of another training, one in use, or what the system refuses.
    pub fn open(dir: &Path, header: Header) -> Result<Folder, FederationError> {
        let path = dir.join(TRAINING);
        // A process that died at once leaves a lock and half-written files, all of them hidden.
        let visible = |e: std::io::Result<std::fs::DirEntry>| {
            e.is_ok_and(|e| !e.file_name().to_string_lossy().starts_with('.'))
        };
        let occupied = || std::fs::read_dir(dir).is_ok_and(|mut entries| entries.any(visible));
        if !path.exists() && occupied() {
            return Err(record::RecordError::NotEmpty(dir.into()).into());
        }
        std::fs::create_dir_all(dir).map_err(io("create folder", dir))?;
        let locked = dir.join(LOCK);
        let lock = File::create(&locked).map_err(io("create", &locked))?;
        if matches!(lock.try_lock(), Err(std::fs::TryLockError::WouldBlock)) {
            return Err(record::RecordError::Busy(dir.into()).into());
        }
        for below in ["", "checkpoints", "report", "report/figures"] {
            sweep(&dir.join(below))?;
        }
        let header =
            if path.exists() { begun(&path, &header)?.gone_on_with(header) } else { header };
        let text = serde_json::to_string_pretty(&header)
            .map_err(|e| FederationError::Weights(e.to_string()))?;
        record::write_whole(&path, text.as_bytes())?;
        Ok(Folder { dir: dir.into(), header, _lock: lock })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What it says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Stores where the training stands: state first, then what can be made again from it.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn store(
        &self,
        training: &TrainingState,
        rounds: &[RoundRecord],
    ) -> Result<(), FederationError> {
        let meta = StateMeta {
            digest: self.header.digest.clone(),
            round: training.round,
            memory: training.memory.clone(),
            steps: training.local.steps,
            rounds: rounds.to_vec(),
        };
        let text =
            serde_json::to_string(&meta).map_err(|e| FederationError::Weights(e.to_string()))?;
        let mut tensors = Vec::new();
        for (part, params) in parts(training) {
            tensors
                .extend(params.named(0).into_iter().map(|(name, t)| (format!("{part}/{name}"), t)));
        }
        checkpoint::save_described(&self.dir.join(STATE), &tensors, &text)?;
        Ok(write_rounds(&self.dir.join(ROUNDS), rounds)?)
    }

    /// Where this training draws from: the seed, or a root that stays in the folder until the last
    /// round is done.
    ///
    /// # Errors
    /// A system without randomness; a root that is missing, cut short or readable by others.
    pub fn randomness(&self, spec: &TrainSpec) -> Result<Randomness, FederationError> {
        if self.header.draws != Draws::OperatingSystem {
            return Ok(Randomness::Seeded(spec.seed));
        }
        match self.described()? {
            // What is done draws nothing more.
            Some(meta) if meta.round >= spec.federation.rounds => Randomness::fresh(),
            meta => Randomness::kept(&self.dir, meta.is_some()),
        }
    }

    /// What the state says of itself; `None` before the first.
    fn described(&self) -> Result<Option<StateMeta>, FederationError> {
        let path = self.dir.join(STATE);
        if !path.exists() {
            return Ok(None);
        }
        let wrong =
            |problem: String| FederationError::Weights(format!("{}: {problem}", path.display()));
        let text =
            checkpoint::description(&path)?.ok_or_else(|| wrong("has no description".into()))?;
        let meta: StateMeta = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
        if meta.digest != self.header.digest {
            return Err(wrong("belongs to another training; give another --out".into()));
        }
        Ok(Some(meta))
    }

    /// Where the training stood, and its rounds; `None` before the first.
    ///
    /// # Errors
    /// A state that cannot be read or is another training's.
    pub fn stored(
        &self,
        federation: &Federation,
        device: Device,
    ) -> Result<Option<(TrainingState, Vec<RoundRecord>)>, FederationError> {
        let Some(meta) = self.described()? else { return Ok(None) };
        let path = self.dir.join(STATE);
        let wrong =
            |problem: String| FederationError::Weights(format!("{}: {problem}", path.display()));
        let mut named = checkpoint::load(&path)?;
        let mut part = |name: &str| {
            part(&mut named, name, federation, device).map_err(|e| wrong(e.to_string()))
        };
        let weights = part("weights")?
            .ok_or_else(|| wrong("holds no weights; start in a new folder".into()))?;
        let server = ServerState { first: part("server-first")?, second: part("server-second")? };
        let local =
            State { first: part("local-first")?, second: part("local-second")?, steps: meta.steps };
        let training =
            TrainingState { round: meta.round, weights, server, local, memory: meta.memory };
        Ok(Some((training, meta.rounds)))
    }

    /// Writes the model as it stands, and says where.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn model(
        &self,
        federation: &Federation,
        training: &TrainingState,
    ) -> Result<PathBuf, FederationError> {
        let path = self.dir.join(MODEL);
        model_file::write(
            &path,
            &training.weights,
            &federation.spec,
            self.header.draws,
            training.round,
            federation.card(),
        )?;
        Ok(path)
    }

    /// Keeps the model of this round for good.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn keep(
        &self,
        federation: &Federation,
        training: &TrainingState,
    ) -> Result<(), FederationError> {
        let dir = self.dir.join("checkpoints");
        std::fs::create_dir_all(&dir).map_err(io("create folder", &dir))?;
        let path = dir.join(format!("round-{:04}.safetensors", training.round));
        model_file::write(
            &path,
            &training.weights,
            &federation.spec,
            self.header.draws,
            training.round,
            federation.card(),
        )
    }
}

/// Removes what a killed process left half-written directly in `dir`: hidden, temporary by name.
fn sweep(dir: &Path) -> Result<(), FederationError> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with('.') && name.ends_with(".tmp") {
            std::fs::remove_file(&path).map_err(io("remove", &path))?;
        }
    }
    Ok(())
}

fn io<'a>(what: &'static str, path: &'a Path) -> impl Fn(std::io::Error) -> FederationError + 'a {
    move |source| FederationError::Io { what, path: path.display().to_string(), source }
}

/// The header of the training in a folder; refuses one that would not go on as this one.
fn begun(path: &Path, header: &Header) -> Result<Header, FederationError> {
    let wrong =
        |problem: String| FederationError::Weights(format!("{}: {problem}", path.display()));
    let text = foreign::read_text(path, &limits::RUN).map_err(io("read", path))?;
    let old: Header =
        serde_json::from_str(&text).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let differs = [
        ("task or settings", old.digest != header.digest),
        ("--threads", old.threads != header.threads),
        ("--device", old.device != header.device),
        ("source of randomness (--reproducible)", old.draws != header.draws),
        ("libtorch", old.libtorch != header.libtorch),
        ("version of bench", old.bench_version != header.bench_version),
    ];
    match differs.iter().find(|(_, differs)| *differs) {
        Some((what, _)) => Err(wrong(format!(
            "was begun with another {what}; give another --out, or go on with `{}`",
            old.resume
        ))),
        None => Ok(old),
    }
}

fn parts(training: &TrainingState) -> Vec<(&'static str, &Params)> {
    let (server, local) = (&training.server, &training.local);
    let optional = [
        ("server-first", &server.first),
        ("server-second", &server.second),
        ("local-first", &local.first),
        ("local-second", &local.second),
    ];
    let present = optional.into_iter().filter_map(|(name, p)| p.as_ref().map(|p| (name, p)));
    std::iter::once(("weights", &training.weights)).chain(present).collect()
}

/// The tensors of one part, taken out of the file's.
fn part(
    named: &mut Vec<(String, Tensor)>,
    part: &str,
    federation: &Federation,
    device: Device,
) -> Result<Option<Params>, FederationError> {
    let prefix = format!("{part}/");
    let (mine, rest): (Vec<_>, Vec<_>) =
        std::mem::take(named).into_iter().partition(|(n, _)| n.starts_with(&prefix));
    *named = rest;
    if mine.is_empty() {
        return Ok(None);
    }
    let stripped = mine.into_iter().map(|(n, t)| (n[prefix.len()..].to_string(), t)).collect();
    let params = Params::from_named(federation.net.layout().clone(), stripped)?;
    Ok(Some(params.to(device, Kind::Float)))
}
