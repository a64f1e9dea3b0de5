//! Clipping norms measured on public data: the rounds of this federation without its defenses,
//! played by whoever sets it up, with the first weights and examples of the public split.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use datasets::Dataset;
use defenses::dp::Pilot;
use defenses::{Defense, DefensePipeline, Stage};
use learning::Params;
use learning::effect::{ClipUnit, Norm};
use suites::federation::ClientSampling;
use suites::{FederationSpec, Named, Regime, Source, SpecError, Split, TrainSpec};
use tch::{Device, Kind};

use crate::components::Components;
use crate::federation::assemble;
use crate::round::{play, start};
use crate::{Examples, Execution, Federation, FederationError, init};

/// Norms that a quantile is taken of.
const NORMS: usize = 32;

const REMEDY: &str = "write clip as a number, such as 1.0";

/// Bounds that were measured in this process, by all that they depend on.
static KNOWN: Mutex<BTreeMap<String, f64>> = Mutex::new(BTreeMap::new());

/// The components with a number in the place of every bound that is a quantile on public data.
///
/// # Errors
/// Data without a public split, or with too few public examples; what rounds say;
/// [`FederationError::Cancelled`] where the user stopped it.
pub fn fit(
    spec: &TrainSpec,
    components: Components,
    cancel: &AtomicBool,
) -> Result<Components, FederationError> {
    let pipeline = &components.pipeline;
    let changes = |at: &usize| pipeline.defenses[*at].stage() == Stage::Model;
    let places = (0..pipeline.defenses.len()).filter(changes).map(|at| pipeline.place(at));
    let model: Vec<&Named> = places.filter_map(|at| spec.defenses.get(at)).collect();
    let model = serde_json::json!(model).to_string();
    let (data, net) = (components.data.clone(), components.net.clone());
    let bare = |pipeline| Components { data: data.clone(), net: net.clone(), pipeline };
    with_bounds(components, &|pilot| measured(spec, pilot, &model, &bare, cancel))
}

/// The components with the bound 1 in the place of every quantile, which tells before a run whether
/// the federation can exist.
///
/// # Errors
/// Data without a public split.
pub fn assumed(spec: &TrainSpec, components: Components) -> Result<Components, FederationError> {
    let data = components.data.clone();
    with_bounds(components, &|_| public(data.as_ref(), spec.task.split).map(|_| 1.0))
}

/// The components with what `bound` says in the place of every quantile.
fn with_bounds(
    components: Components,
    bound: &dyn Fn(&Pilot) -> Result<f64, FederationError>,
) -> Result<Components, FederationError> {
    if components.pipeline.defenses.iter().all(|d| d.pilot().is_none()) {
        return Ok(components);
    }
    let Components { data, net, pipeline } = components;
    let Some(pipeline) = Arc::into_inner(pipeline) else {
        return Err(refused("is measured before anybody else holds the defenses", REMEDY));
    };
    let mut defenses = Vec::new();
    for defense in pipeline.defenses {
        let found = defense.pilot().as_ref().map(bound).transpose()?;
        let piloted = found.and_then(|found| defense.piloted(found));
        defenses.push(piloted.unwrap_or(defense));
    }
    let (protocol, protocol_at) = (pipeline.protocol, pipeline.protocol_at);
    let pipeline = Arc::new(DefensePipeline { defenses, protocol, protocol_at });
    Ok(Components { data, net, pipeline })
}

/// A line for each clipping norm of `spec` that was measured.
pub fn told(spec: &TrainSpec, pipeline: &DefensePipeline) -> Vec<String> {
    let line = |(at, defense): (usize, &dyn Defense)| {
        let named = spec.defenses.get(pipeline.place(at))?;
        let quantile = named.params.get("clip")?.get("public_quantile")?;
        let bound = defense.spelled_out().get("clip")?.as_f64()?;
        let name = &named.name;
        Some(format!("{name}: clip {bound:.4}, the {quantile} quantile of {NORMS} public norms"))
    };
    let defenses = pipeline.defenses.iter().map(|defense| defense.as_ref());
    defenses.enumerate().filter_map(line).collect()
}

fn public(data: &dyn Dataset, attacked: Split) -> Result<Split, FederationError> {
    let none = || refused("asks for a public split, and there is none", REMEDY);
    init::public_split(data, attacked).ok_or_else(none)
}

fn refused(problem: &str, remedy: &str) -> FederationError {
    SpecError::value("defenses.clip.public_quantile", problem, remedy).into()
}

/// The quantile of the norms of [`NORMS`] public updates, or examples' gradients, on a network that
/// the defenses `model` have changed.
fn measured(
    spec: &TrainSpec,
    pilot: &Pilot,
    model: &str,
    bare: &dyn Fn(Arc<DefensePipeline>) -> Components,
    cancel: &AtomicBool,
) -> Result<f64, FederationError> {
    let own = assemble(undefended(spec, pilot), bare(Arc::new(DefensePipeline::undefended())))?;
    let split = public(own.data.as_ref(), own.spec.task.split)?;
    let first = own.data.batch(split, &[0])?.x.to_kind(Kind::Double);
    let seen = first.square().sum(Kind::Double).double_value(&[]);
    let key = format!("{} {model} {pilot:?} {seen:?}", serde_json::json!(own.spec));
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(bound) = known().get(&key) {
        return Ok(*bound);
    }
    let bound = played(&own, split, pilot, cancel)?;
    known().insert(key, bound);
    Ok(bound)
}

/// The same training with one client a round, and nothing that protects it.
fn undefended(spec: &TrainSpec, pilot: &Pilot) -> TrainSpec {
    let mut spec = TrainSpec { defenses: Vec::new(), ..spec.clone() };
    if pilot.unit == ClipUnit::Example {
        // One example's gradient.
        (spec.federation, spec.source) = (FederationSpec::new(Regime::Bare), Source::Gradients);
    }
    let alone = matches!(spec.federation.regime, Regime::Centralised | Regime::SingleClient);
    let clients = &mut spec.federation.clients;
    clients.dropout = 0.0;
    if spec.federation.regime == Regime::Bare {
        clients.total = 1;
    } else if !alone {
        (clients.per_round, clients.sampling) = (Some(1), ClientSampling::Uniform);
    }
    spec
}

/// The quantile over single clients' rounds on the public split.
fn played(
    own: &Federation,
    split: Split,
    pilot: &Pilot,
    cancel: &AtomicBool,
) -> Result<f64, FederationError> {
    let state = start(own, Device::Cpu)?;
    let (mut norms, clients) = (Vec::new(), own.parts.len());
    for n in 0..NORMS {
        // One client after the other, then the next public examples.
        let public = own
            .rehearsal(split, n / clients)
            .map_err(|error| refused(&format!("cannot be measured: {error}"), REMEDY))?;
        let (plan, quiet) = (public.replay(0, n % clients), Execution::quiet(Device::Cpu, cancel));
        let mut examples = Examples::new(&public);
        let round = play(&public, &state, &plan, None, &mut examples, &quiet)?;
        for update in &round.ok_or(FederationError::Cancelled)?.updates {
            norms.push(norm(&Params::from_flat(own.net.layout().clone(), update)?, pilot.norm));
        }
    }
    match quantile(&mut norms, pilot.quantile) {
        Some(bound) if bound > 0.0 => Ok(bound),
        _ => Err(refused("gives no norm above 0 on public data", REMEDY)),
    }
}

/// The norm of one update over its trainable parameters, as mechanisms clip it.
fn norm(update: &Params, norm: Norm) -> f64 {
    match norm {
        Norm::L2 => update.norm().double_value(&[0]),
        Norm::L1 => update.trainable().map(|t| t.abs().sum(Kind::Double).double_value(&[])).sum(),
    }
}

/// The smallest value that at least a share `q` of the values do not exceed; `None` of none, or
/// where one is no number.
fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    if values.iter().any(|v| !v.is_finite()) {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let rank = (q * values.len() as f64).ceil().max(1.0) as usize;
    values.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quantile_leaves_its_share_whole() {
        let mut values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!(
            [0.01, 0.25, 0.5, 0.51, 0.99].map(|q| quantile(&mut values, q)),
            [Some(1.0), Some(1.0), Some(2.0), Some(3.0), Some(4.0)]
        );
        assert_eq!(quantile(&mut [], 0.5), None);
        assert_eq!(quantile(&mut [1.0, f64::NAN], 0.5), None);
    }
}
