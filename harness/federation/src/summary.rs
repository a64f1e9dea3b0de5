//! The report of a training: facts in words, then curves and tables by `reports`.

use std::path::{Path, PathBuf};

use record::rounds::ROUNDS;
use record::{TrainingInfo, read_rounds};
use reports::write_training_report;
use suites::federation::{Optimizer, Schedule, ServerSpec};
use suites::foreign::{self, limits};
use suites::{Partition, Regime};

use crate::FederationError;
use crate::randomness::Draws;
use crate::{Federation, Folder, TRAINING};

/// What a report says beside the rounds, kept so that one can be written at any time without the
/// data.
pub const ABOUT: &str = "about.json";

/// Writes down what the training is, for reports of it while it goes on.
///
/// # Errors
/// What the system refuses.
pub fn describe(
    federation: &Federation,
    folder: &Folder,
    robustness: Vec<(String, f64, f64, f64)>,
) -> Result<(), FederationError> {
    let header = folder.header();
    let about = TrainingInfo {
        title: format!("Training of {}", federation.spec.name),
        command: header.resume.clone(),
        facts: facts(federation, folder),
        robustness,
        notes: notes(federation, header.draws),
    };
    let text = serde_json::to_string_pretty(&about)
        .map_err(|e| FederationError::Weights(e.to_string()))?;
    Ok(record::write_whole(&folder.dir().join(ABOUT), text.as_bytes())?)
}

/// Whether a folder is that of a training.
pub fn is_training(dir: &Path) -> bool {
    dir.join(TRAINING).is_file()
}

/// Writes `report/` of a training's folder, finished or not.
///
/// # Errors
/// A folder that is no training, or what the system refuses.
pub fn write(dir: &Path) -> Result<PathBuf, FederationError> {
    let path = dir.join(ABOUT);
    let wrong =
        |problem: String| FederationError::Weights(format!("{}: {problem}", path.display()));
    let text = foreign::read_text(&path, &limits::RUN)
        .map_err(|e| wrong(format!("{e}; go on with the training first")))?;
    let about: TrainingInfo = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    let rounds = read_rounds(&dir.join(ROUNDS))?;
    Ok(write_training_report(dir, &about, &rounds)?)
}

fn facts(federation: &Federation, folder: &Folder) -> Vec<(String, String)> {
    let (spec, header) = (&federation.spec, folder.header());
    let mut facts = vec![
        // In the words of the task's file; the rows below say what ran.
        ("task", spec.description.clone()),
        ("data", data(federation)),
        ("model", model(federation)),
        ("who trains", who(federation)),
        ("local training", local(federation)),
        ("server", server(spec.federation.server)),
    ];
    let mut budgets = federation.budgets.iter();
    for (at, named) in spec.defenses.iter().enumerate() {
        let claim = if federation.pipeline.protocol_at == Some(at) {
            federation.protocol().claim()
        } else {
            match budgets.next() {
                Some(Some(budget)) => match header.draws.caution() {
                    Some(caution) => format!("{budget} ({caution})"),
                    None => budget.to_string(),
                },
                _ => "no guarantee".into(),
            }
        };
        facts.push(("defense", format!("{}: {claim}", named.name)));
    }
    facts.extend([
        ("device", header.device.clone()),
        ("machine", header.machine.clone()),
        ("processor", header.begun_on().to_string()),
        ("libtorch", format!("{}, {} thread(s) a lot", header.libtorch, header.threads)),
        ("seed", spec.seed.to_string()),
        ("digest", header.digest.clone()),
    ]);
    facts.extend(header.mixed().map(|note| ("**note**", note)));
    facts.into_iter().map(|(what, value)| (what.to_string(), value)).collect()
}

fn data(federation: &Federation) -> String {
    let (card, task) = (federation.card(), &federation.spec.task);
    let held: usize = federation.parts.iter().map(Vec::len).sum();
    format!(
        "{} ({} split, {held} training examples, {} classes{})",
        card.title,
        task.split,
        card.classes,
        task.limit.map_or_else(String::new, |n| format!(", first {n} of each split"))
    )
}

fn model(federation: &Federation) -> String {
    let (model, layout) = (&federation.spec.model, federation.net.layout());
    let params = serde_json::Value::Object(model.params.clone());
    let words = if model.params.is_empty() { String::new() } else { format!(" {params}") };
    format!("{}{words}, {} parameters", model.title(), layout.trainable_len())
}

fn who(federation: &Federation) -> String {
    let (spec, sizes) = (&federation.spec, federation.parts.iter().map(Vec::len));
    let (least, most) = (sizes.clone().min().unwrap_or(0), sizes.max().unwrap_or(0));
    let c = &spec.federation.clients;
    match spec.federation.regime {
        Regime::Centralised => format!("one party with all {most} examples"),
        Regime::SingleClient => format!("one of {} clients, on its own {most} examples", c.total),
        Regime::Federated | Regime::Bare => format!(
            "{} clients with {least} to {most} examples ({}), {} a round ({} sampling), dropout \
             {}",
            c.total,
            partition(&c.partition),
            spec.federation.cohort(),
            c.sampling,
            c.dropout
        ),
    }
}

fn local(federation: &Federation) -> String {
    let l = &federation.spec.federation.local;
    let rule = match l.optimizer {
        Optimizer::Sgd => format!("SGD, momentum {}", l.momentum),
        Optimizer::Adam => format!("Adam, betas {} and {}", l.beta1, l.beta2),
    };
    let prox = if l.prox > 0.0 { format!(", FedProx mu {}", l.prox) } else { String::new() };
    format!(
        "{} epoch(s) a round, batch {}, {rule}, learning rate {} ({}), weight decay {}{prox}{}",
        l.epochs,
        l.batch_size,
        l.lr,
        schedule(l.schedule),
        l.weight_decay,
        if l.augment { ", augmented" } else { "" }
    )
}

fn server(rule: ServerSpec) -> String {
    match rule {
        ServerSpec::Fedavg { lr: 1.0 } => "FedAvg".into(),
        ServerSpec::Fedavg { lr } => format!("FedAvg, server step {lr}"),
        ServerSpec::Fedadam { lr, beta1, beta2, tau } => {
            format!("FedAdam, server step {lr}, betas {beta1} and {beta2}, tau {tau}")
        }
    }
}

fn partition(kind: &Partition) -> String {
    match kind {
        Partition::Iid => "at random".into(),
        Partition::Dirichlet { alpha } => format!("classes by Dirichlet({alpha})"),
        Partition::Shards { per_client } => format!("{per_client} shard(s) of sorted labels each"),
        Partition::ByIdentity => "one person at one client".into(),
        Partition::RepeatedLabels { repeats } => {
            format!("at random, a label {repeats} time(s) more in every batch")
        }
    }
}

fn schedule(schedule: Schedule) -> String {
    match schedule {
        Schedule::Constant => "constant".into(),
        Schedule::Cosine { least, warmup } => {
            format!("cosine down to {least} of it, warm-up of {warmup} round(s)")
        }
        Schedule::Step { every, factor } => format!("times {factor} every {every} rounds"),
    }
}

fn notes(federation: &Federation, draws: Draws) -> Vec<String> {
    let mut notes = federation.notes.clone();
    notes.extend(draws.caution().map(|caution| format!("**{caution}.**")));
    if draws == Draws::OperatingSystem {
        notes.push(
            "Noise and sampling come from the operating system: the seed gives the first weights \
            and who holds which example, and another run of the same command other rounds."
                .into(),
        );
    }
    notes.extend(federation.card().notes.iter().cloned());
    if let Some((_, budget)) = federation.accounted() {
        let more = federation.budgets.iter().flatten().count() > 1;
        let others = if more {
            "; the other mechanisms' budgets are above, each for its own unit"
        } else {
            ""
        };
        notes.push(format!(
            "Epsilon so far is that of the first mechanism, for {}{others}.",
            budget.unit_words()
        ));
    }
    if federation.deployment.client_rate < 1.0 {
        notes.push(
            "Who was drawn, how many survived and the training loss are the operator's: \
            they are not part of what the guarantee lets out."
                .into(),
        );
    }
    if federation.spec.model.batch_norm == suites::BatchNorm::Eval {
        notes.push(
            "batch_norm = \"eval\": clients train with running statistics, and without \
            dropout or stochastic depth."
                .into(),
        );
    }
    notes
}
