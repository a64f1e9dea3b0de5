//! What each defence of a cell promises, printed and cost, as the record keeps it.

use std::collections::BTreeMap;

use defenses::Budget;
use reports::{CellRecord, DefenseNote};
use suites::Named;

use crate::HarnessError;
use crate::capture::Captured;
use crate::deploy;
use crate::plan::Trial;
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
    (record.cost.bytes_up_all, record.cost.bytes_down_all) = captured.price.of_round();
    let budgets = deploy::budgets(trial, &world.deployment)?;
    let mut defenses = trial.defenses.iter().zip(&captured.values).zip(budgets);
    for named in &trial.spec.defenses {
        record.defenses.push(match is_protocol(named) {
            true => protocol(named, trial, captured),
            false => match defenses.next() {
                Some(((defense, values), budget)) => {
                    let adaptive = defense.adaptive().map(String::from);
                    perturbation(named, adaptive, values.clone(), budget)
                }
                None => continue,
            },
        });
    }
    for (n, flags) in captured.flags.iter().enumerate() {
        record.flags.extend(flags.iter().map(|f| format!("trial {n}: {f}")));
    }
    record.notes.extend(captured.notes.iter().cloned());
    Ok(())
}

fn is_protocol(named: &Named) -> bool {
    defenses::PROTOCOLS.iter().any(|e| e.name == named.name)
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
) -> DefenseNote {
    let Some(budget) = budget else {
        return DefenseNote { name: named.name.clone(), claim: "no guarantee".into(), values, adaptive };
    };
    values.insert("epsilon".into(), budget.epsilon);
    values.insert("delta".into(), budget.delta);
    let each = budget.accountants.iter().map(|(name, epsilon)| (format!("epsilon_{name}"), *epsilon));
    values.extend(each);
    DefenseNote { name: named.name.clone(), claim: budget.to_string(), values, adaptive }
}
