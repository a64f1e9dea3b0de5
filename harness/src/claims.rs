//! What each defence of a cell promises, printed and cost, as the record keeps it.

use std::collections::BTreeMap;

use defenses::{Budget, Defense, Stage};
use record::{CellRecord, DefenseNote};
use suites::Named;

use crate::HarnessError;
use crate::capture::Captured;
use crate::deploy;
use crate::plan::Trial;
use crate::vantage::{self, Sight};
use crate::world::World;

/// Writes costs, doubts and one note a defence into the record.
///
/// # Errors
/// A guarantee that cannot be computed.
pub fn note(
    record: &mut CellRecord,
    trial: &Trial,
    world: &World,
    captured: &Captured,
) -> Result<(), HarnessError> {
    (record.cost.bytes_up, record.cost.bytes_down) = captured.price.of_client();
    (record.cost.bytes_up_all, record.cost.bytes_down_all) =
        captured.price.of_round(trial.spec.training.clients);
    let budgets = deploy::budgets(trial, &world.deployment)?;
    let mut defenses = trial.defenses.iter().zip(&captured.values).zip(budgets);
    for named in &trial.spec.defenses {
        record.defenses.push(match is_protocol(named) {
            true => protocol(named, trial, captured),
            false => match defenses.next() {
                Some(((defense, values), budget)) => {
                    let adaptive = defense.adaptive().map(String::from);
                    let uncovered = uncovered(defense.as_ref(), trial, captured);
                    record
                        .flags
                        .extend(uncovered.iter().map(|why| format!("{}: {why}", named.name)));
                    perturbation(named, adaptive, values.clone(), budget, uncovered)
                }
                None => continue,
            },
        });
    }
    for (n, flags) in captured.flags.iter().enumerate() {
        record.flags.extend(flags.iter().map(|f| format!("trial {n}: {f}")));
    }
    record.notes.extend(captured.notes.iter().cloned());
    let (survivors, cohort) = (captured.price.survivors(), vantage::cohort(trial, 0).len());
    if survivors < cohort as f64 {
        record.threat +=
            &format!(" {survivors} of {cohort} clients are in the sum; the others dropped out.");
    }
    record.notes.extend(undrawn(trial, world));
    Ok(())
}

/// Under Poisson sampling some of the images that are scored were in no step.
fn undrawn(trial: &Trial, world: &World) -> Option<String> {
    let sampled = trial.defenses.iter().any(|d| d.private() && d.stage() == Stage::Training);
    let captured = world.deployment.captured;
    let rate = captured.batch as f64 / trial.local_examples().max(1) as f64;
    let never = (1.0 - rate.min(1.0)).powi(captured.steps as i32);
    (sampled && never > 0.0).then(|| {
        format!(
            "steps sample their examples: about {:.0} % of the scored images were in none",
            100.0 * never
        )
    })
}

/// Why the defence's guarantee does not cover this cell's adversary, where it does not.
fn uncovered(defense: &dyn Defense, trial: &Trial, captured: &Captured) -> Option<String> {
    let hidden = matches!(captured.sight, Sight::HiddenUpdate | Sight::HiddenSum);
    if !defense.private() || hidden {
        return None;
    }
    if defense.stage() == Stage::Server && captured.sight != Sight::Released {
        return Some("the adversary sees updates before the server adds its noise".into());
    }
    if !defense.needs_sum() {
        return None;
    }
    let clients = trial.spec.training.clients;
    let lost = clients - (captured.price.survivors().floor() as usize).min(clients);
    let missing = lost + vantage::colluders(trial, 0).len();
    match captured.sight {
        Sight::Mean | Sight::Released | Sight::Rest if missing <= defense.tolerates() => None,
        Sight::Mean | Sight::Released | Sight::Rest => Some(format!(
            "the noise of {missing} client(s) is missing or known, and `tolerate` is {}",
            defense.tolerates()
        )),
        _ => Some("a single client's share of the noise is all that protects its update".into()),
    }
}

fn is_protocol(named: &Named) -> bool {
    protocols::PROTOCOLS.iter().any(|e| e.name == named.name)
}

fn protocol(named: &Named, trial: &Trial, captured: &Captured) -> DefenseNote {
    let (up, down) = captured.price.of_client();
    let values = BTreeMap::from([
        ("bytes_up".to_string(), up as f64),
        ("bytes_down".to_string(), down as f64),
        ("clients_in_sum".to_string(), captured.price.survivors()),
    ]);
    DefenseNote { name: named.name.clone(), claim: trial.protocol.claim(), values, adaptive: None }
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
    let each =
        budget.accountants.iter().map(|(name, epsilon)| (format!("epsilon_{name}"), *epsilon));
    values.extend(each);
    DefenseNote { name: named.name.clone(), claim: budget.to_string(), values, adaptive }
}
