//! The threat model of a cell, in words.

use suites::{Fact, Source, Vantage};

use crate::plan::Trial;
use crate::vantage::{self, Sight};

/// One or two sentences: who attacks, what was seen, what else is known.
pub fn describe(trial: &Trial) -> String {
    let spec = &trial.spec;
    let seen = match vantage::sight(trial) {
        Ok(sight) => seen(trial, sight),
        Err(_) => "nothing that could be attacked".into(),
    };
    format!(
        "{} sees {seen}, {}; model `{}` with {}; knows {}.",
        who(spec.vantage),
        defended(trial),
        spec.model.name,
        weights(trial),
        facts(&spec.facts)
    )
}

fn seen(trial: &Trial, sight: Sight) -> String {
    let (signal, t) = (signal(trial), &trial.spec.training);
    let averaged = format!(
        "the average weight change of {} client(s), {} example(s) each",
        t.clients,
        trial.local_examples()
    );
    match sight {
        Sight::Update => signal,
        Sight::HiddenUpdate => {
            format!(
                "only what the wire carried of {signal} (masked words or ciphertext, read as \
                 fixed point)"
            )
        }
        Sight::Pooled => format!("{signal}, opened with the pooled secrets"),
        Sight::Mean => averaged,
        Sight::Released => format!("{averaged}, as released"),
        Sight::HiddenSum => format!("only the ciphertext of {averaged}, read as fixed point"),
        Sight::Rest => {
            format!("{averaged}, less the colluders' own updates")
        }
    }
}

/// A single client's signal.
fn signal(trial: &Trial) -> String {
    let t = &trial.spec.training;
    match trial.spec.source {
        Source::Gradients => {
            format!("the gradient of one batch of {} from a single client", t.batch_size)
        }
        Source::OneStepUpdate => {
            format!("a client's weight change after one SGD step on {} example(s)", t.batch_size)
        }
        Source::LocalUpdate | Source::AggUpdate => format!(
            "a client's weight change after {} local epoch(s) over {} example(s)",
            t.local_epochs,
            trial.local_examples()
        ),
    }
}

fn weights(trial: &Trial) -> String {
    match (&trial.spec.model.weights, trial.spec.training.rounds_before) {
        (Some(_), 0) => "weights from a checkpoint".to_string(),
        (Some(_), m) => format!("weights from a checkpoint and {m} further round(s)"),
        (None, 0) => "fresh weights".into(),
        (None, m) => format!("weights after {m} round(s)"),
    }
}

fn defended(trial: &Trial) -> String {
    match trial.spec.defenses.is_empty() {
        true => "undefended".to_string(),
        false => {
            let names: Vec<_> = trial.spec.defenses.iter().map(|d| d.name.as_str()).collect();
            format!("defended by {}", names.join(" then "))
        }
    }
}

fn who(vantage: Vantage) -> String {
    match vantage {
        Vantage::Server => "An honest-but-curious server".into(),
        Vantage::Aggregate => "Whoever receives the released aggregate".into(),
        Vantage::Colluding { k } => format!("The server together with {k} colluding client(s)"),
        Vantage::Eavesdropper => "An eavesdropper on an unencrypted wire".into(),
        Vantage::KeyHolder => "The holder of the decryption key, who also taps the wire,".into(),
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
