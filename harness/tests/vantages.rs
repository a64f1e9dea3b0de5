//! What each vantage of each protocol is handed, to the last place of its encoding.

use std::sync::atomic::AtomicBool;

use harness::scenario::{self, Cache};
use harness::{Registries, capture, resolve};
use learning::Signal;
use suites::{CellSpec, Named, Source, Vantage};
use tch::Device;

/// The signal that a vantage hands to the attack, flat.
fn signal(defenses: &[Named], clients: usize, source: Source, vantage: Vantage) -> Vec<f32> {
    tch::set_num_threads(1);
    let mut spec = CellSpec::new("digits", "mlp", "analytic");
    (spec.federation.clients.total, spec.federation.local.lr, spec.federation.local.epochs) =
        (clients, 0.1, 2);
    (spec.source, spec.vantage, spec.defenses) = (source, vantage, defenses.to_vec());
    let cell = resolve::resolve(&Registries::builtin(), &spec, None).unwrap();
    let never = AtomicBool::new(false);
    let scenario = scenario::build(&cell, Device::Cpu, &Cache::default(), &never).unwrap();
    let caught = capture::run(&cell, &scenario, Device::Cpu, &never, &|_| {}).unwrap();
    match caught.observation.signal {
        Signal::Update(p) | Signal::Gradient(p) => p.flat(0),
    }
}

/// Protocols with the largest error of one value of the mean that their encoding allows, the last
/// place of a 32-bit float included.
fn protocols() -> Vec<(Named, f32)> {
    let with = |name: &str, key: &str, value: serde_json::Value| {
        let mut named = Named::new(name);
        named.params.insert(key.into(), value);
        named
    };
    vec![
        (Named::new("secagg"), 1e-8),
        (Named::new("secagg-plus"), 1e-8),
        (Named::new("ckks"), 1e-8),
        (with("ckks", "key", "shared".into()), 1e-8),
        (with("paillier", "key_bits", 512.into()), 1e-6),
    ]
}

fn furthest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn every_protocol_carries_the_plain_mean_to_its_own_precision() {
    let plain = signal(&[], 3, Source::AggUpdate, Vantage::Aggregate);
    assert!(plain.iter().any(|v| v.abs() > 1e-3), "there is something to carry");
    for (protocol, error) in protocols() {
        let mean =
            signal(std::slice::from_ref(&protocol), 3, Source::AggUpdate, Vantage::Aggregate);
        let off = furthest(&mean, &plain);
        assert!(off <= error, "{}: off by {off}", protocol.name);
    }
}

#[test]
fn the_rest_is_exactly_the_remaining_clients_update() {
    let (n, k) = (4, 3);
    let own = signal(&[], n, Source::LocalUpdate, Vantage::Server);
    let plain = signal(&[], n, Source::AggUpdate, Vantage::Colluding { k });
    // Weights near 1 are trained, and sums taken, in 32-bit floats: a few of their last places.
    let rounding = n as f32 * f32::EPSILON / 2.0;
    assert!(furthest(&plain, &own) <= rounding, "plain: off by {}", furthest(&plain, &own));
    for (protocol, error) in protocols() {
        let rest =
            signal(std::slice::from_ref(&protocol), n, Source::AggUpdate, Vantage::Colluding { k });
        let off = furthest(&rest, &own);
        assert!(off <= rounding + n as f32 * error, "{}: off by {off}", protocol.name);
        // Fewer colluders are left with a mixture.
        let fewer = signal(
            std::slice::from_ref(&protocol),
            n,
            Source::AggUpdate,
            Vantage::Colluding { k: k - 1 },
        );
        assert!(furthest(&fewer, &own) > 1e-3, "{}", protocol.name);
    }
}
