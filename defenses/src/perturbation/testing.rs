//! What unit tests of perturbations share: networks by name, turns around them, and two-tensor
//! updates.

use std::collections::BTreeMap;
use std::sync::Arc;

use learning::models::{self, Shape};
use learning::params::{InitRule, Layout, ParamSpec};
use learning::{Network, Params, init};
use rand_chacha::ChaCha12Rng;
use serde_json::{Map, Value};
use suites::Entry;
use tch::{Kind, Tensor};

use crate::testing::{deployment, streams};
use crate::{Defense, Examples, Turn};

/// A registered model of ten classes with a normalisation that is neither the identity nor the same
/// in every channel.
pub fn network(name: &str, params: Value, input: Vec<i64>) -> Network {
    let entry = suites::find("model", models::ENTRIES, name).unwrap();
    let channels = input[0] as usize;
    let model = (entry.build)(params.as_object().unwrap()).unwrap();
    let (mean, std) = ([0.5, 0.4, 0.3][..channels].to_vec(), [0.25, 0.2, 0.3][..channels].to_vec());
    Network::new(model.build(&Shape { input, classes: 10 }).unwrap(), mean, std)
}

/// PyTorch's initial weights.
pub fn weights(net: &Network) -> Params {
    init::fresh(net.layout(), suites::Init::Pytorch, &mut streams(1)[0])
}

/// Random images `[T, E, ...]` of the network's shape, with labels `t + e`.
pub fn examples(net: &Network, clients: i64, each: i64) -> Examples {
    let size: Vec<i64> = [clients, each].into_iter().chain(net.input()).collect();
    let mut rng = suites::rng::stream(3, "test", "examples");
    let labels: Vec<i64> =
        (0..clients).flat_map(|t| (0..each).map(move |e| (t + e) % 10)).collect();
    let labels = Tensor::from_slice(&labels).reshape([clients, each]);
    Examples { pixels: learning::noise::uniform(&mut rng, &size, 0.0, 1.0), labels, soft: false }
}

/// The examples of one client.
pub fn of_client(examples: &Examples, t: i64) -> Examples {
    let own = |v: &Tensor| v.narrow(0, t, 1);
    Examples { pixels: own(&examples.pixels), labels: own(&examples.labels), soft: examples.soft }
}

/// Calls `act` with a turn on that network with fresh weights.
pub fn in_turn_of<T>(
    net: &Network,
    examples: Option<&Examples>,
    rngs: &mut [ChaCha12Rng],
    act: impl FnOnce(&mut Turn) -> T,
) -> T {
    let deployment = deployment(1);
    act(&mut Turn {
        round: 0,
        rngs,
        deployment: &deployment,
        steps: deployment.captured.steps,
        contributors: 1,
        net,
        weights: &weights(net),
        examples,
        memory: &mut BTreeMap::new(),
    })
}

/// An update of one client with the tensors `a` and `b`.
pub fn two_tensors(a: &[f32], b: &[f32]) -> Params {
    let spec = |name: &str, v: &[f32]| ParamSpec {
        name: name.into(),
        shape: vec![v.len() as i64],
        init: InitRule::Constant(0.0),
        trainable: true,
    };
    let layout = Arc::new(Layout::new(vec![spec("a", a), spec("b", b)]));
    Params::new(layout, [a, b].map(|v| Tensor::from_slice(v).unsqueeze(0)).into()).unwrap()
}

/// All values of a tensor in order.
pub fn values(t: &Tensor) -> Vec<f64> {
    Vec::try_from(t.to_kind(Kind::Double).reshape([-1])).unwrap()
}

/// Asserts that the entry refuses a value in one line that names the key.
pub fn bad(entry: &Entry<dyn Defense>, key: &str, value: impl Into<Value>) {
    let map = Map::from_iter([(key.to_string(), value.into())]);
    let message = (entry.build)(&map).err().expect("refused").to_string();
    assert!(
        message.contains(key) && message.contains(entry.name) && !message.contains('\n'),
        "{message}"
    );
}
