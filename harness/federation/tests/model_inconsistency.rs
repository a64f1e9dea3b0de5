//! Model inconsistency (Pasquini, Francati and Ateniese 2022) played against a real round of secure
//! aggregation: the server sends its victim the real model, and everybody else one whose gradients
//! vanish, so that the sum is the victim's update.

use std::sync::atomic::AtomicBool;

use federation::context::{DefenseStats, RoundContext, Uploads};
use federation::model_hash::model_hash;
use federation::{Examples, Federation, FederationError};
use learning::Params;
use learning::client::State;
use protocols::{ModelHash, Transcript};
use suites::{FederationSpec, Named, Regime, Source, TrainSpec};
use tch::Device;

const CLIENTS: usize = 10;

/// Ten clients with eight digits each, all of them in every round.
fn federation() -> Federation {
    let mut spec = TrainSpec::new("inconsistency", "digits", "mlp");
    spec.federation = FederationSpec::new(Regime::Federated);
    let f = &mut spec.federation;
    (f.clients.total, f.clients.examples, f.local.batch_size) = (CLIENTS, Some(8), 4);
    spec.model.params.insert("hidden".into(), serde_json::json!([16]));
    (spec.source, spec.defenses) = (Source::LocalUpdate, vec![Named::new("secagg")]);
    let registries = federation::Registries::builtin();
    federation::prepare(&registries, &spec, None, &AtomicBool::new(false)).unwrap()
}

/// The same weights, with every unit of the hidden layer dead: ReLU lets no gradient through, and
/// the last layer sees zeros. Only the gradient of the last bias is left.
fn suppressed(weights: &Params) -> Params {
    let mut dead = weights.map(|t| t.copy());
    let bias = dead.layout().position("fc1.bias").unwrap();
    let _ = dead.tensors[bias].fill_(-1e3);
    dead
}

/// Clients train on the model that the server sends to each of them.
fn trained(federation: &Federation, sent: impl Fn(usize) -> Params) -> Uploads {
    let (plan, mut examples) = (federation.plan(0), Examples::new(federation));
    let (local, mut all) = (federation.local(0), Uploads::default());
    for client in 0..CLIENTS {
        let weights = sent(client);
        let context = context(federation, &weights, &local);
        let batch = examples.batches(federation, &plan, &[client]).unwrap().remove(0);
        let (x, y) = batch.examples(federation, &plan).unwrap();
        let (mut memory, mut printed) = (Vec::new(), DefenseStats::new(0));
        let worked = context.local_work(&[client], x, y, &memory, State::default()).unwrap();
        let uploads = context.send(&[client], worked, &mut memory, &mut printed).unwrap();
        all.clients.extend(uploads.clients);
        all.updates.extend(uploads.updates);
        all.models.extend(uploads.models);
    }
    all
}

fn context<'a>(
    federation: &'a Federation,
    weights: &'a Params,
    local: &'a learning::client::LocalTraining,
) -> RoundContext<'a> {
    RoundContext {
        config: federation.config(),
        deployment: &federation.deployment,
        weights,
        local: Some(local),
        sample: None,
        mode: federation.mode(),
        number: 0,
        tag: "training 0",
    }
}

fn aggregated(
    federation: &Federation,
    weights: &Params,
    uploads: &Uploads,
) -> Result<Transcript, FederationError> {
    let local = federation.local(0);
    let context = context(federation, weights, &local);
    context.carry(uploads, &[1; CLIENTS], 0, &[], &[], &|_, _| ())
}

/// The largest difference of ten times the mean from an update, where the last bias is left out.
fn distance(mean: &[f32], update: &[f32]) -> f32 {
    let pairs = mean.iter().zip(update).take(mean.len() - 10);
    pairs.map(|(m, u)| (CLIENTS as f32 * m - u).abs()).fold(0.0, f32::max)
}

#[test]
fn a_server_that_sends_two_models_gets_no_sum() {
    tch::set_num_threads(1);
    let federation = federation();
    let weights = federation::start(&federation, Device::Cpu).unwrap().weights;
    let dead = suppressed(&weights);
    let mut uploads = trained(&federation, |client| {
        if client == 0 { weights.map(|t| t.shallow_clone()) } else { dead.map(|t| t.copy()) }
    });
    let largest = |update: &[f32]| {
        update[..update.len() - 10].iter().fold(0f32, |most, value| most.max(value.abs()))
    };
    let victim = largest(&uploads.updates[0]);
    assert!(victim > 1e-3, "{victim}");
    assert!(uploads.updates[1..].iter().all(|update| largest(update) == 0.0));

    // Each client hashed the model that it trained on.
    assert_eq!(uploads.models[0], model_hash(&weights));
    assert_eq!(uploads.models[1..], [model_hash(&dead); CLIENTS - 1]);
    let line = aggregated(&federation, &weights, &uploads).err().unwrap().to_string();
    assert!(line.contains("phase `shares`") && !line.contains('\n'), "{line}");
    let says = "client 1 was sent another model than client 0: model inconsistency";
    assert!(line.contains(says), "{line}");

    // Without the check (all clients hash what the server tells them to) the sum is the victim's
    // update, to the step of the fixed point and the rounding of a float.
    uploads.models = vec![ModelHash([1; 32]); CLIENTS];
    let unchecked = aggregated(&federation, &weights, &uploads).unwrap();
    assert_eq!(unchecked.survivors.len(), CLIENTS);
    let left = distance(&unchecked.mean, &uploads.updates[0]);
    assert!(left < 1e-6 * victim.max(0.1), "{left} of {victim}");
}

#[test]
fn one_model_for_all_is_summed() {
    tch::set_num_threads(1);
    let federation = federation();
    let weights = federation::start(&federation, Device::Cpu).unwrap().weights;
    let uploads = trained(&federation, |_| weights.map(|t| t.shallow_clone()));
    let transcript = aggregated(&federation, &weights, &uploads).unwrap();
    assert_eq!(transcript.survivors.len(), CLIENTS);
    assert!(transcript.failures.is_empty(), "{:?}", transcript.failures);
    // The victim's update does not stand out of an honest sum.
    assert!(distance(&transcript.mean, &uploads.updates[0]) > 1e-2);
}

/// One value of one weight, a name's worth of nothing else: any change of what was sent shows.
#[test]
fn the_hash_covers_every_weight() {
    let federation = federation();
    let weights = federation::start(&federation, Device::Cpu).unwrap().weights;
    let hash = model_hash(&weights);
    assert_eq!(hash, model_hash(&weights.map(|t| t.copy())));
    for place in 0..weights.tensors.len() {
        let other = weights.map(|t| t.copy());
        let _ = other.tensors[place].view([-1]).get(-1).g_add_scalar_(1e-3);
        assert_ne!(model_hash(&other), hash, "tensor {place}");
    }
}
