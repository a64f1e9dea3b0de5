//! The threat model of a cell, in words.

use suites::{Fact, Source, Vantage};

use crate::plan::Trial;

/// One or two sentences: who attacks, what was seen, what else is known.
pub fn describe(trial: &Trial) -> String {
    let spec = &trial.spec;
    let t = &spec.training;
    let seen = match spec.source {
        Source::Gradients => format!("the gradient of one batch of {} from a single client", t.batch_size),
        Source::OneStepUpdate => {
            format!("a client's weight change after one SGD step on {} example(s)", t.batch_size)
        }
        Source::LocalUpdate => format!(
            "a client's weight change after {} local epoch(s) over {} example(s)",
            t.local_epochs,
            trial.local_examples()
        ),
        Source::AggUpdate => format!(
            "the average weight change of {} client(s), {} example(s) in all",
            t.clients,
            trial.examples_per_signal()
        ),
    };
    let weights = match (&spec.model.weights, t.rounds_before) {
        (Some(_), 0) => "weights from a checkpoint".to_string(),
        (Some(_), m) => format!("weights from a checkpoint and {m} further round(s)"),
        (None, 0) => "fresh weights".into(),
        (None, m) => format!("weights after {m} round(s)"),
    };
    let defended = match spec.defenses.is_empty() {
        true => "undefended".to_string(),
        false => format!(
            "defended by {}",
            spec.defenses.iter().map(|d| d.name.as_str()).collect::<Vec<_>>().join(" then ")
        ),
    };
    format!(
        "{} sees {seen}, {defended}; model `{}` with {weights}; knows {}.",
        who(spec.vantage),
        spec.model.name,
        facts(&spec.facts)
    )
}

fn who(vantage: Vantage) -> String {
    match vantage {
        Vantage::Server => "An honest-but-curious server".into(),
        Vantage::Aggregate => "Whoever receives the released aggregate".into(),
        Vantage::Colluding { k } => format!("The server together with {k} colluding client(s)"),
        Vantage::Eavesdropper => "An eavesdropper on an unencrypted wire".into(),
        Vantage::KeyHolder => "The holder of the decryption key".into(),
        Vantage::MaliciousServer => "A malicious server".into(),
    }
}

fn facts(facts: &[Fact]) -> String {
    match facts.is_empty() {
        true => "the model with its normalisation and BatchNorm mode, and nothing else".into(),
        false => format!(
            "the model with its normalisation and BatchNorm mode, {}",
            facts.iter().map(Fact::to_string).collect::<Vec<_>>().join(", ")
        ),
    }
}
