//! The report of a training: facts in words, then curves and tables by `reports`.

use std::path::PathBuf;

use reports::training::{RoundRecord, TrainingInfo, write_training_report};
use suites::train::{Optimizer, Regime};

use super::{Federation, Folder};
use crate::{HarnessError, line};

/// Writes `report/` of the folder.
///
/// # Errors
/// What the system refuses.
pub fn write(
    federation: &Federation,
    folder: &Folder,
    rounds: &[RoundRecord],
    robustness: Vec<(String, f64, f64, f64)>,
) -> Result<PathBuf, HarnessError> {
    let header = folder.header();
    let about = TrainingInfo {
        title: format!("{}: {}", federation.spec.name, federation.spec.description),
        command: header.resume.clone(),
        facts: facts(federation, folder),
        robustness,
        notes: notes(federation),
    };
    Ok(write_training_report(folder.dir(), &about, rounds)?)
}

fn facts(federation: &Federation, folder: &Folder) -> Vec<(String, String)> {
    let (spec, header) = (&federation.spec, folder.header());
    let mut facts = vec![
        ("data", data(federation)),
        ("model", model(federation)),
        ("who trains", who(federation)),
        ("local training", local(federation)),
        ("server", format!("{:?}", spec.server)),
    ];
    let mut budgets = federation.budgets.iter();
    for named in &spec.defenses {
        let claim = match line::part(named) {
            Ok(line::Part::Protocol(protocol)) => protocol.claim(),
            _ => match budgets.next() {
                Some(Some(budget)) => budget.to_string(),
                _ => "no guarantee".into(),
            },
        };
        facts.push(("defence", format!("{}: {claim}", named.name)));
    }
    facts.extend([
        ("device", header.device.clone()),
        ("machine", header.machine.clone()),
        ("libtorch", format!("{}, {} thread(s) a lot", header.libtorch, header.threads)),
        ("seed", spec.seed.to_string()),
        ("digest", header.digest.clone()),
    ]);
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
    format!("{}{words}, {} parameters", model.name, layout.trainable_len())
}

fn who(federation: &Federation) -> String {
    let (spec, sizes) = (&federation.spec, federation.parts.iter().map(Vec::len));
    let (least, most) = (sizes.clone().min().unwrap_or(0), sizes.max().unwrap_or(0));
    let c = &spec.clients;
    match spec.regime {
        Regime::Centralised => format!("one party with all {most} examples"),
        Regime::SingleClient => format!("one of {} clients, on its own {most} examples", c.total),
        Regime::Federated => format!(
            "{} clients with {least} to {most} examples ({:?}), {} a round ({} sampling), dropout {}",
            c.total,
            c.partition,
            spec.cohort(),
            c.sampling,
            c.dropout
        ),
    }
}

fn local(federation: &Federation) -> String {
    let l = &federation.spec.local;
    let rule = match l.optimizer {
        Optimizer::Sgd => format!("SGD, momentum {}", l.momentum),
        Optimizer::Adam => format!("Adam, betas {} and {}", l.beta1, l.beta2),
    };
    let prox = if l.prox > 0.0 { format!(", FedProx mu {}", l.prox) } else { String::new() };
    format!(
        "{} epoch(s) a round, batch {}, {rule}, learning rate {} ({:?}), weight decay {}{prox}{}",
        l.epochs,
        l.batch_size,
        l.lr,
        l.schedule,
        l.weight_decay,
        if l.augment { ", augmented" } else { "" }
    )
}

fn notes(federation: &Federation) -> Vec<String> {
    let mut notes = federation.notes.clone();
    notes.extend(federation.card().notes.iter().cloned());
    notes
}
