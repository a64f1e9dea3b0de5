//! What each defense of a cell promises, printed and cost, as the record keeps it.

use std::collections::BTreeMap;

use defenses::{Budget, Defense, Stage};
use protocols::Federation;
use record::{CellRecord, DefenseNote};
use suites::{Flag, FlagKind, Named, Vantage};

use crate::HarnessError;
use crate::capture::Captured;
use crate::resolve::ResolvedCell;
use crate::scenario::Scenario;
use crate::vantage::{self, View};

/// Writes costs, doubts and one note a defense into the record.
///
/// # Errors
/// A guarantee that cannot be computed.
pub fn note(
    record: &mut CellRecord,
    cell: &ResolvedCell,
    scenario: &Scenario,
    captured: &Captured,
) -> Result<(), HarnessError> {
    (record.cost.bytes_up, record.cost.bytes_down) = captured.cost.of_client();
    (record.cost.bytes_up_all, record.cost.bytes_down_all) =
        captured.cost.of_round(cell.spec.federation.cohort());
    let bare = cell.spec.federation.is_bare();
    let budgets = scenario.federation.budgets.iter().cloned();
    let mut defenses = cell.pipeline.defenses.iter().zip(&captured.values).zip(budgets);
    for (at, named) in cell.spec.defenses.iter().enumerate() {
        record.defenses.push(if cell.pipeline.protocol_at == Some(at) {
            protocol(named, cell, captured)
        } else {
            match defenses.next() {
                Some(((defense, values), budget)) => {
                    let adaptive = defense.adaptive().map(String::from);
                    let uncovered = uncovered(defense.as_ref(), cell, captured);
                    let words = uncovered.iter().map(|why| format!("{}: {why}", named.name));
                    record.flags.extend(words.map(|w| Flag::with(FlagKind::NotCovered, w)));
                    if bare {
                        released_bare(named, adaptive, values.clone(), budget)
                    } else {
                        perturbation(named, adaptive, values.clone(), budget, uncovered)
                    }
                }
                None => continue,
            }
        });
    }
    for (n, flags) in captured.flags.iter().enumerate() {
        record.flags.extend(flags.iter().map(|f| f.at(&format!("capture {n}"))));
    }
    record.notes.extend(captured.notes.iter().cloned());
    let (survivors, cohort) = (captured.cost.survivors(), captured.cohort);
    if survivors < cohort as f64 {
        record.threat +=
            &format!(" {survivors} of {cohort} clients are in the sum; the others dropped out.");
    }
    record.notes.extend(undrawn(cell, scenario));
    Ok(())
}

/// Under Poisson sampling some of the images that are scored were in no step.
fn undrawn(cell: &ResolvedCell, scenario: &Scenario) -> Option<String> {
    let sampled =
        cell.pipeline.defenses.iter().any(|d| d.private() && d.stage() == Stage::Training);
    let captured = scenario.federation.deployment.captured;
    let rate = captured.batch as f64 / scenario.federation.examples_of(0).max(1) as f64;
    let never = (1.0 - rate.min(1.0)).powi(captured.steps as i32);
    (sampled && never > 0.0).then(|| {
        format!(
            "steps sample their examples: about {:.0} % of the scored images were in none",
            100.0 * never
        )
    })
}

/// Why the defense's guarantee does not cover this cell's adversary, where it does not.
fn uncovered(defense: &dyn Defense, cell: &ResolvedCell, captured: &Captured) -> Option<String> {
    let hidden = matches!(captured.view, View::HiddenUpdate | View::HiddenSum);
    if !defense.private() || hidden {
        return None;
    }
    if defense.stage() == Stage::Server && captured.view != View::Released {
        return Some("the adversary sees updates before the server adds its noise".into());
    }
    if !defense.needs_sum() {
        return None;
    }
    let clients = captured.cohort;
    let lost = clients - (captured.cost.survivors().floor() as usize).min(clients);
    // The holder of a key is a client, and knows its own share.
    let own = usize::from(cell.spec.vantage == Vantage::KeyHolder);
    let known = vantage::colluders(cell).max(own);
    let missing = lost + known.min(clients.saturating_sub(1));
    match captured.view {
        View::Mean | View::Released | View::MinusColluders if missing <= defense.tolerates() => {
            None
        }
        View::Mean | View::Released | View::MinusColluders => Some(format!(
            "the noise of {missing} client(s) is missing or known, and `tolerate` is {}",
            defense.tolerates()
        )),
        _ => Some("a single client's share of the noise is all that protects its update".into()),
    }
}

/// A perturbation of a bare release: it belongs to no federation whose budget could be stated.
fn released_bare(
    named: &Named,
    adaptive: Option<String>,
    values: BTreeMap<String, f64>,
    budget: Option<Budget>,
) -> DefenseNote {
    let claim = match budget {
        None => "no guarantee".into(),
        Some(_) => "no guarantee: noise of a single release, which belongs to no federation".into(),
    };
    DefenseNote { name: named.name.clone(), claim, values, adaptive }
}

fn protocol(named: &Named, cell: &ResolvedCell, captured: &Captured) -> DefenseNote {
    let (up, down) = captured.cost.of_client();
    let values = BTreeMap::from([
        ("bytes_up".to_string(), up as f64),
        ("bytes_down".to_string(), down as f64),
        ("clients_in_sum".to_string(), captured.cost.survivors()),
    ]);
    DefenseNote {
        name: named.name.clone(),
        claim: cell.pipeline.protocol.claim(),
        values,
        adaptive: None,
    }
}

fn perturbation(
    named: &Named,
    adaptive: Option<String>,
    mut values: BTreeMap<String, f64>,
    budget: Option<Budget>,
    uncovered: Option<String>,
) -> DefenseNote {
    let Some(budget) = budget else {
        return DefenseNote {
            name: named.name.clone(),
            claim: "no guarantee".into(),
            values,
            adaptive,
        };
    };
    if let Some(why) = uncovered {
        values.insert("epsilon_not_covering".into(), budget.epsilon);
        let claim = format!("no guarantee here: {why}. Elsewhere {budget}");
        return DefenseNote { name: named.name.clone(), claim, values, adaptive };
    }
    values.insert("epsilon".into(), budget.epsilon);
    values.insert("delta".into(), budget.delta);
    values.extend(budget.certain.map(|epsilon| ("epsilon_certain".to_string(), epsilon)));
    let each =
        budget.accountants.iter().map(|(name, epsilon)| (format!("epsilon_{name}"), *epsilon));
    values.extend(each);
    DefenseNote { name: named.name.clone(), claim: budget.to_string(), values, adaptive }
}

/// Seconds of a protocol that are worth a word before they pass.
const LONG: f64 = 5.0;

/// How long the protocol will take, where that is long: a line for the user.
pub fn estimate(cell: &ResolvedCell) -> Option<String> {
    let (spec, federation) = (&cell.spec, &cell.spec.federation);
    let values = cell.net.layout().len() as usize;
    let own = if federation.is_bare() { 1 } else { cell.data.len(spec.task.split) };
    let held = own / federation.clients.total.max(1);
    let most = cell.local_examples().unwrap_or(held).max(1) as u64;
    let clients = federation.cohort();
    // Too short for the protocol to say counts as nothing.
    let size = Federation { clients, values, max_weight: most, grid_steps: None };
    let estimate = cell.pipeline.protocol.estimate(&size);
    let round = estimate.filter(|s| s.is_finite()).unwrap_or(0.0);
    let rounds = spec.trials + if federation.is_bare() { 0 } else { federation.rounds };
    let seconds = rounds as f64 * round;
    let name = spec.defenses.get(cell.pipeline.protocol_at?)?;
    (seconds > LONG).then(|| {
        format!(
            "{}: {values} values a client, about {round:.0} s a round and {seconds:.0} s for all \
             rounds of this cell",
            name.name
        )
    })
}
