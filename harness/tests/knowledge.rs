//! What the facts of a threat model grant of a client's local training, and what they withhold.

use std::sync::atomic::AtomicBool;

use harness::scenario::{self, Cache};
use harness::{Registries, capture, resolve};
use learning::Known;
use suites::{CellSpec, Fact, Named, Source};
use tch::Device;

fn spec(facts: &[Fact], attack: Named) -> CellSpec {
    let mut spec = CellSpec::new("digits", "mlp", "inverting-gradients");
    spec.attack = attack;
    spec.facts = facts.to_vec();
    spec.source = Source::LocalUpdate;
    let local = &mut spec.federation.local;
    (local.epochs, local.batch_size, local.lr) = (3, 2, 0.1);
    (local.momentum, local.weight_decay) = (0.9, 0.01);
    spec.federation.clients.examples = Some(4);
    spec
}

/// What the attack is told, and why it does not apply where it does not.
fn told(facts: &[Fact], attack: Named) -> Result<Known, String> {
    tch::set_num_threads(1);
    let spec = spec(facts, attack);
    let cell = resolve::resolve(&Registries::builtin(), &spec, None).unwrap();
    if let Some(why) = cell.not_applicable() {
        return Err(why);
    }
    let never = AtomicBool::new(false);
    let scenario = scenario::build(&cell, Device::Cpu, &Cache::default(), &never).unwrap();
    let caught = capture::run(&cell, &scenario, Device::Cpu, &never, &|_| {}).unwrap();
    Ok(caught.observation.known)
}

fn cosine() -> Named {
    Named::new("inverting-gradients")
}

#[test]
fn local_training_is_granted_in_full_as_a_count_or_not_at_all() {
    let exact = [Fact::BatchSize, Fact::LocalSteps, Fact::LearningRate];
    let local = told(&exact, cosine()).unwrap().local.unwrap();
    let granted = (local.epochs, local.batch_size, local.momentum, local.weight_decay);
    assert_eq!(granted, (3, 2, 0.9, 0.01));
    // Six steps, each over all four examples for all that is known.
    let counted = [Fact::BatchSize, Fact::StepCount, Fact::LearningRate];
    let local = told(&counted, cosine()).unwrap().local.unwrap();
    let granted = (local.epochs, local.batch_size, local.momentum, local.weight_decay);
    assert_eq!(granted, (6, 4, 0.0, 0.0));
    let nothing = told(&[Fact::BatchSize], cosine()).unwrap();
    assert!(nothing.local.is_none() && nothing.lr.is_none());
}

/// Without the learning rate an update is a direction, whatever else is known of its steps.
#[test]
fn sizes_are_compared_only_where_the_rate_is_granted() {
    for facts in [&[Fact::BatchSize][..], &[Fact::BatchSize, Fact::LocalSteps]] {
        assert!(told(facts, cosine()).unwrap().lr.is_none());
        for sized in [Named::new("idlg"), cosine().with("unroll", true)] {
            let why = told(facts, sized).unwrap_err();
            assert!(why.contains("direction") || why.contains("local-steps"), "{why}");
        }
    }
    let all = [Fact::BatchSize, Fact::StepCount, Fact::LearningRate];
    assert!(told(&all, cosine().with("unroll", true)).is_ok());
}

/// Adam's and FedProx's steps are followed, and not taken for a gradient.
#[test]
fn steps_that_are_no_gradients_are_followed() {
    let facts = [Fact::BatchSize, Fact::LocalSteps, Fact::LearningRate];
    let why = |attack: Named, prox: f64, adam: bool| {
        let mut spec = spec(&facts, attack);
        let local = &mut spec.federation.local;
        local.prox = prox;
        if adam {
            (local.optimizer, local.momentum) = (suites::federation::Optimizer::Adam, 0.0);
        }
        resolve::resolve(&Registries::builtin(), &spec, None).unwrap().not_applicable()
    };
    assert!(why(cosine(), 0.0, true).unwrap().contains("unroll"));
    assert!(why(cosine(), 0.5, false).unwrap().contains("unroll"));
    let unrolled = || cosine().with("unroll", true);
    assert_eq!((why(unrolled(), 0.0, true), why(unrolled(), 0.5, false)), (None, None));
}
