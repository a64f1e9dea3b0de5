//! What unit tests of defenses share: a one-tensor model and a turn around it.

use std::collections::BTreeMap;
use std::sync::Arc;

use learning::params::{InitRule, Layout, ParamSpec};
use learning::{Network, Params};
use rand_chacha::ChaCha12Rng;
use serde_json::Map;
use tch::{Kind, Tensor};

use crate::{CapturedRound, Deployment, Turn};

/// A round of a federation of four clients and `rounds` rounds.
pub fn deployment(rounds: usize) -> Deployment {
    Deployment {
        clients: 4,
        rounds,
        local_steps: 1,
        batch_size: 1,
        examples: 1,
        client_rate: 1.0,
        captured: CapturedRound { batch: 1, steps: 1, clients: 4, released: true },
        values: 4096,
        summed: false,
    }
}

/// One tensor `w` of `n` values, all `value`, for `rows` clients.
pub fn update(rows: i64, n: i64, value: f64) -> Params {
    let spec = ParamSpec {
        name: "w".into(),
        shape: vec![n],
        init: InitRule::Constant(0.0),
        trainable: true,
    };
    let values = Tensor::ones([rows, n], (Kind::Float, tch::Device::Cpu)) * value;
    Params::new(Arc::new(Layout::new(vec![spec])), vec![values]).unwrap()
}

/// One stream a client.
pub fn streams(n: usize) -> Vec<ChaCha12Rng> {
    (0..n).map(|i| suites::rng::stream(1, "test", &format!("noise-{i}"))).collect()
}

/// Calls `act` with a turn of that deployment and those streams.
pub fn in_turn<T>(
    deployment: &Deployment,
    rngs: &mut [ChaCha12Rng],
    memory: &mut BTreeMap<String, f64>,
    act: impl FnOnce(&mut Turn) -> T,
) -> T {
    let entry = suites::find("model", learning::models::ENTRIES, "logistic").unwrap();
    let shape = learning::models::Shape { input: vec![2], classes: 2 };
    let net = Network::new(
        (entry.build)(&Map::new()).unwrap().build(&shape).unwrap(),
        vec![0.0; 2],
        vec![1.0; 2],
    );
    let weights = update(1, 1, 0.0);
    act(&mut Turn {
        round: 0,
        rngs,
        deployment,
        steps: 1,
        contributors: deployment.clients,
        net: &net,
        weights: &weights,
        examples: None,
        memory,
    })
}
