//! The threat model of a cell, in words.

use suites::{Fact, Source, Vantage};

use crate::resolve::ResolvedCell;
use crate::vantage::{self, View};

/// One or two sentences: who attacks, what was seen, what else is known.
pub fn describe(cell: &ResolvedCell) -> String {
    let spec = &cell.spec;
    let seen = match vantage::view(cell) {
        Ok(view) => seen(cell, view),
        Err(_) => "nothing that could be attacked".into(),
    };
    format!(
        "{} sees {seen}, {}; model `{}` with {}; knows {}.",
        who(spec.vantage),
        defended(cell),
        spec.model.title(),
        weights(cell),
        facts(&spec.facts)
    )
}

fn seen(cell: &ResolvedCell, view: View) -> String {
    let signal = signal(cell);
    let averaged = format!(
        "the average weight change of {} client(s), {} each",
        cell.spec.federation.cohort(),
        examples(cell)
    );
    match view {
        View::Update => signal,
        View::HiddenUpdate => {
            format!(
                "only what the wire carried of {signal} (masked words or ciphertext, read as \
                 fixed point)"
            )
        }
        View::Pooled => format!("{signal}, opened with the pooled secrets"),
        View::Mean => averaged,
        View::Released => format!("{averaged}, as released"),
        View::HiddenSum => format!("only the ciphertext of {averaged}, read as fixed point"),
        View::MinusColluders => {
            format!("{averaged}, less the colluders' own updates")
        }
    }
}

fn examples(cell: &ResolvedCell) -> String {
    match cell.local_examples() {
        Some(n) => format!("{n} example(s)"),
        None => "all its examples".into(),
    }
}

/// A single client's signal.
fn signal(cell: &ResolvedCell) -> String {
    let local = &cell.spec.federation.local;
    match cell.spec.source {
        Source::Gradients => {
            format!("the gradient of one batch of {} from a single client", local.batch_size)
        }
        Source::OneStepUpdate => {
            format!(
                "a client's weight change after one SGD step on {} example(s)",
                local.batch_size
            )
        }
        Source::LocalUpdate | Source::AggUpdate => format!(
            "a client's weight change after {} local epoch(s) over {}",
            local.epochs,
            examples(cell)
        ),
    }
}

fn weights(cell: &ResolvedCell) -> String {
    let from = match &cell.spec.model.weights {
        Some(_) => "weights from a checkpoint",
        None => "fresh weights",
    };
    let (federation, round) = (&cell.spec.federation, cell.spec.capture.round);
    if federation.is_bare() {
        return from.into();
    }
    let clients = &federation.clients;
    let who = match federation.cohort() {
        n if n < clients.total => format!("{n} of {} clients a round", clients.total),
        n => format!("{n} client(s)"),
    };
    let moved = match round {
        0 => from.to_string(),
        n => format!("{from} after {n} round(s)"),
    };
    format!("{moved} in a federation of {} round(s) with {who}", federation.rounds)
}

fn defended(cell: &ResolvedCell) -> String {
    if cell.spec.defenses.is_empty() {
        "undefended".to_string()
    } else {
        let names: Vec<_> = cell.spec.defenses.iter().map(|d| d.name.as_str()).collect();
        format!("defended by {}", names.join(" then "))
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
    if facts.is_empty() {
        "the model with its normalisation and BatchNorm mode, and nothing else".into()
    } else {
        format!(
            "the model with its normalisation and BatchNorm mode, {}",
            facts.iter().map(Fact::to_string).collect::<Vec<_>>().join(", ")
        )
    }
}
