//! What the golden tests share: hashed values, the golden files, and comparison.
#![allow(dead_code)] // each test binary uses its own part

use learning::models::{ENTRIES, Shape};
use learning::{LayerGrad, Network, Params};
use serde_json::{Map, Value};
use tch::{Device, Kind, Tensor};

/// `n` values in `[-1, 1)`: a 32-bit mix of position and key, the same as `unit` in the golden
/// scripts (f64).
pub fn unit(n: i64, key: u32) -> Tensor {
    let values: Vec<f64> =
        (0..n as u32).map(|i| f64::from(mix(i, key)) / 2f64.powi(31) - 1.0).collect();
    Tensor::from_slice(&values)
}

fn mix(position: u32, key: u32) -> u32 {
    let mut h = position
        .wrapping_mul(0x9E37_79B1)
        .wrapping_add(key.wrapping_mul(0x85EB_CA77))
        .wrapping_add(0x1656_67B1);
    for (shift, factor) in [(16, 0x21F0_AAAD_u32), (15, 0x735A_2D97)] {
        h = (h ^ (h >> shift)).wrapping_mul(factor);
    }
    h ^ (h >> 15)
}

/// [`unit`] in a shape and element type.
pub fn hashed(shape: &[i64], key: u32, kind: Kind) -> Tensor {
    unit(shape.iter().product(), key).reshape(shape).to_kind(kind)
}

/// A network of the registry without normalisation (mean 0, std 1).
pub fn network(model: &Value, input: &[i64], classes: i64) -> Network {
    let mut params: Map<String, Value> = model.as_object().expect("a table").clone();
    let name = params.shift_remove("name").expect("a name");
    let entry = suites::find("model", ENTRIES, name.as_str().expect("text")).expect("registered");
    let architecture = (entry.build)(&params).expect("valid parameters");
    let model =
        architecture.build(&Shape { input: input.to_vec(), classes }).expect("a possible shape");
    Network::new(model, vec![0.0; input[0] as usize], vec![1.0; input[0] as usize])
}

/// Parameters of `lanes` lanes: hashed values around PyTorch's scale, another set for each lane.
pub fn hashed_params(net: &Network, lanes: i64, key: u32, kind: Kind) -> Params {
    let specs = net.layout().specs();
    let tensors = specs.iter().enumerate().map(|(i, spec)| {
        let (centre, width) = match spec.name.rsplit('.').next() {
            _ if spec.shape.len() > 1 => {
                (0.0, (2.0 / spec.shape[1..].iter().product::<i64>() as f64).sqrt())
            }
            Some("running_var") => (1.0, 0.3),
            Some("weight") => (1.0, 0.2),
            _ => (0.0, 0.1),
        };
        let size: Vec<i64> = std::iter::once(lanes).chain(spec.shape.iter().copied()).collect();
        hashed(&size, key + i as u32, kind) * width + centre
    });
    Params::new(net.layout().clone(), tensors.collect()).expect("the layout's shapes")
}

/// The golden file of that name.
pub fn golden(name: &str) -> Value {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Hashed parameters as the golden script filled them.
pub fn golden_params(net: &Network, golden: &Value, kind: Kind) -> Params {
    let named = golden["parameters"].as_array().expect("a list").iter().map(|p| {
        let values =
            hashed(&integers(&p["shape"]), p["key"].as_u64().expect("a key") as u32, Kind::Double);
        let name = p["name"].as_str().expect("a name").to_string();
        (name, (values * number(&p["width"]) + number(&p["centre"])).to_kind(kind).unsqueeze(0))
    });
    let mut named: Vec<(String, Tensor)> = named.collect();
    let specs = net.layout().specs();
    assert_eq!(named.len(), specs.len(), "as many parameters and buffers as PyTorch has");
    named.sort_by_key(|(name, _)| {
        net.layout().position(name).unwrap_or_else(|| panic!("we lack `{name}`"))
    });
    Params::new(net.layout().clone(), named.into_iter().map(|(_, t)| t).collect())
        .expect("PyTorch's shapes")
}

/// Numbers of a JSON list.
pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

/// A JSON number.
pub fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// Integers of a JSON list.
pub fn integers(value: &Value) -> Vec<i64> {
    value.as_array().expect("a list").iter().map(|v| v.as_i64().expect("an integer")).collect()
}

/// Asserts `|found - expected| <= tolerance * scale`.
pub fn close(found: f64, expected: f64, scale: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs() / scale;
    assert!(
        error <= tolerance,
        "{what}: found {found}, expected {expected}, off by {error:.2e} of {scale:.3e}"
    );
}

/// Asserts that two tensors differ by at most `tolerance` of the second's norm.
pub fn near(found: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(found.size(), expected.size(), "{what}: shapes");
    let norm = |t: &Tensor| t.to_kind(Kind::Double).norm().double_value(&[]);
    let scale = norm(expected).max(1e-30);
    let error = norm(&(found.to_kind(Kind::Double) - expected.to_kind(Kind::Double))) / scale;
    assert!(error <= tolerance, "{what}: relative difference {error:.2e}");
}

/// Compares a tensor with the golden script's `digest` of it. Errors are relative to the tensor's
/// norm (the projection) and to its root mean square (the entries), at least `floor` of them.
pub fn digest(tensor: &Tensor, golden: &Value, key: u32, floor: f64, tolerance: f64, what: &str) {
    let flat = tensor.detach().to_kind(Kind::Double).reshape([-1]);
    let n = flat.size()[0];
    let norm = number(&golden["norm"]);
    let scale = norm.max(floor * (n as f64).sqrt());
    close(flat.norm().double_value(&[]), norm, scale, tolerance, &format!("{what}, norm"));
    let projection = (&flat * unit(n, key)).sum(Kind::Double).double_value(&[]);
    close(
        projection,
        number(&golden["projection"]),
        scale,
        tolerance,
        &format!("{what}, projection"),
    );
    for (i, expected) in numbers(&golden["entries"]).into_iter().enumerate() {
        let found = flat.double_value(&[(i as i64 * 7919 + 13) % n]);
        let scale = (scale / (n as f64).sqrt()).max(expected.abs());
        close(found, expected, scale, tolerance, &format!("{what}, entry {i}"));
    }
}

/// Squared distance to targets `[N, ...]`, through the layers' own forms; `[T]`.
pub fn l2(layers: &[LayerGrad], targets: &[Tensor]) -> Tensor {
    let terms = layers.iter().zip(targets).map(|(g, t)| match g {
        LayerGrad::Dense(_) => {
            g.residual(t).square().flatten(2, -1).sum_dim_intlist(2, false, None).reshape([-1])
        }
        LayerGrad::Factored { .. } => g.norm2() - g.dot(t) * 2.0 + squares(t, g),
    });
    terms.reduce(|a, b| a + b).expect("layers")
}

/// `||target||^2` for each lane that is compared with it.
fn squares(target: &Tensor, like: &LayerGrad) -> Tensor {
    let norms = learning::layer_grad::sum_lanes(&target.square());
    let lanes = like.norm2().size()[0];
    norms.repeat_interleave_self_int(lanes / norms.size()[0], 0, None)
}

/// One minus the cosine over the whole vector; `[T]`.
pub fn cosine(layers: &[LayerGrad], targets: &[Tensor]) -> Tensor {
    let sum = |f: &dyn Fn(&LayerGrad, &Tensor) -> Tensor| {
        layers.iter().zip(targets).map(|(g, t)| f(g, t)).reduce(|a, b| a + b).expect("layers")
    };
    let dot = sum(&|g, t| g.dot(t));
    let size = sum(&|g, _| g.norm2()) * sum(&|g, t| squares(t, g));
    1.0 - dot / size.sqrt()
}

/// Sum over layers of one minus the layer's cosine; `[T]`.
pub fn sim(layers: &[LayerGrad], targets: &[Tensor]) -> Tensor {
    let terms = layers
        .iter()
        .zip(targets)
        .map(|(g, t)| 1.0 - g.dot(t) / (g.norm2() * squares(t, g)).sqrt());
    terms.reduce(|a, b| a + b).expect("layers")
}

/// Zeros of a shape on the CPU.
pub fn zeros(shape: &[i64], kind: Kind) -> Tensor {
    Tensor::zeros(shape, (kind, Device::Cpu))
}
