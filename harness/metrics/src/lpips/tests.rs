//! The three networks with weights made by a formula, against the `lpips` package with the same
//! weights.

use super::*;
use crate::tests::{formula_image, golden, int, uniform};
use std::path::Path;

/// What the order of sums may change of a distance of about 1, in f32: machine epsilon (1.2e-7)
/// times the root of the longest sum (512 channels of 3x3), whose roundings are as good as
/// independent.
const ROUNDING: f64 = 1e-5;

fn net_named(name: &str) -> &'static Net {
    match name {
        "squeeze" => &nets::SQUEEZE,
        "alex" => &nets::ALEX,
        _ => &nets::VGG,
    }
}

/// The golden script's weights: tensor `k` of the layout uniform in +-sqrt(6 / fan in), biases in
/// +-0.05.
fn formula_weights(net: &Net) -> Weights {
    let values = |k: u32, n: i64, bound: f64| -> Vec<f32> {
        uniform(k, n as usize).map(|u| ((2.0 * u - 1.0) * bound) as f32).collect()
    };
    let mut weights = Weights::new();
    for ((name, shape), k) in (net.layout)().into_iter().zip(0..) {
        let fan_in = shape[1..].iter().product::<i64>();
        let weight = values(2 * k, shape[0] * fan_in, (6.0 / fan_in as f64).sqrt());
        weights.insert(format!("{name}.weight"), Tensor::from_slice(&weight).view(shape));
        weights
            .insert(format!("{name}.bias"), Tensor::from_slice(&values(2 * k + 1, shape[0], 0.05)));
    }
    weights
}

fn lpips(net: &'static Net) -> Lpips {
    let weights = weights::check(net, formula_weights(net), Path::new("formula")).unwrap();
    Lpips::new(net, weights, Device::Cpu).unwrap()
}

#[test]
fn every_network_scores_as_the_package_does() {
    let golden = golden("lpips.json");
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 9);
    for net in ["squeeze", "alex", "vgg"] {
        let metric = lpips(net_named(net));
        for case in cases.iter().filter(|case| case["net"] == net) {
            let [k, h, w, c] = ["k", "height", "width", "channels"].map(|key| int(case, key));
            let [truth, guess] = [0, 1].map(|i| formula_image(k as u32 + i, h, w, c));
            let (got, want) =
                (metric.score(&guess, &truth).unwrap()[0], case["score"].as_f64().unwrap());
            assert!((got - want).abs() < ROUNDING, "{net} {h}x{w}x{c}: {got}, not {want}");
        }
    }
}

#[test]
fn identity_symmetry_and_batches() {
    let metric = lpips(&nets::SQUEEZE);
    let images: Vec<Tensor> = (0..20).map(|k| formula_image(k, 20, 20, 3)).collect();
    let all = Tensor::cat(&images, 0);
    assert!(metric.score(&all, &all).unwrap().iter().all(|d| d.abs() < 1e-9));
    let turned = all.flip([0]);
    let (there, back) =
        (metric.score(&turned, &all).unwrap(), metric.score(&all, &turned).unwrap());
    let alone = metric.score(&images[0], &images[19]).unwrap()[0];
    assert!(there.iter().zip(&back).all(|(a, b)| (a - b).abs() < ROUNDING));
    assert!((there[19] - alone).abs() < ROUNDING, "{} alone, {} in a batch", alone, there[19]);
}

#[test]
fn embeddings_lie_as_far_apart_as_the_metric_says() {
    for net in [&nets::ALEX, &nets::SQUEEZE] {
        let metric = lpips(net);
        let [a, b] = [0, 20].map(|from| {
            let images: Vec<Tensor> =
                (from..from + 18).map(|k| formula_image(k, 40, 40, 3)).collect();
            Tensor::cat(&images, 0)
        });
        let [u, v] = [&a, &b].map(|images| metric.embed(images).unwrap().unwrap());
        let apart = (u - v).square().sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
        let apart = Vec::<f64>::try_from(apart).unwrap();
        for (got, want) in apart.iter().zip(metric.score(&a, &b).unwrap()) {
            assert!((got - want).abs() < ROUNDING, "{got}, not {want}");
        }
    }
    let small = formula_image(0, 8, 8, 3);
    assert!(lpips(&nets::ALEX).embed(&small).unwrap().is_none());
}

#[test]
fn too_small_and_odd_channels_are_refused_by_name() {
    for net in [&nets::SQUEEZE, &nets::ALEX, &nets::VGG] {
        let metric = lpips(net);
        let small = formula_image(0, net.min_size - 1, 64, 3);
        let message = metric.score(&small, &small).unwrap_err().to_string();
        assert!(message.starts_with(net.metric) && message.contains("pixels"), "{message}");
        let two = formula_image(0, 64, 64, 2);
        assert!(matches!(metric.score(&two, &two), Err(MetricError::Unsuited { .. })));
    }
}

#[test]
fn backbones_are_found_under_torchvisions_names_and_checked() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("lpips");
    std::fs::create_dir(&folder).unwrap();
    let setup = Setup { data_root: Some(root.path()), lpips: None, device: Device::Cpu };
    let build = || (SQUEEZE.build)(&setup).err().map(|e| e.to_string());
    let absent = build().unwrap();
    assert!(
        absent.contains("squeezenet1_1") && absent.contains("download.pytorch.org"),
        "{absent}"
    );
    let mut list: Vec<_> = formula_weights(&nets::SQUEEZE).into_iter().collect();
    let path = folder.join("squeezenet1_1-0123abcd.pth");
    learning::checkpoint::save_safetensors(&path, &list).unwrap();
    assert_eq!(build(), None);
    list.retain(|(name, _)| name != "features.6.squeeze.bias");
    learning::checkpoint::save_safetensors(&path, &list).unwrap();
    let missing = build().unwrap();
    assert!(missing.contains("`features.6.squeeze.bias` is missing"), "{missing}");
    std::fs::write(&path, b"<html>not found").unwrap();
    assert!(build().unwrap().contains("web page"));
    std::fs::rename(&path, folder.join("squeezenet1_1_bn-0.pth")).unwrap();
    assert_eq!(build().unwrap(), absent);
}

/// On one machine the same number of threads gives the same bits; another number may add elsewhere.
#[test]
fn the_number_of_threads_changes_no_more_than_rounding() {
    let (truth, guess) = (formula_image(0, 64, 64, 3), formula_image(1, 64, 64, 3));
    let truth = truth.repeat([20, 1, 1, 1]);
    let guess = guess.repeat([20, 1, 1, 1]);
    for net in [&nets::SQUEEZE, &nets::ALEX] {
        let metric = lpips(net);
        let before = tch::get_num_threads();
        let [one, two] = [1, 2].map(|threads| {
            tch::set_num_threads(threads);
            let [first, again] = [(); 2].map(|()| metric.score(&guess, &truth).unwrap());
            assert_eq!(first, again, "{threads} threads");
            first
        });
        tch::set_num_threads(before);
        assert!(one.iter().zip(&two).all(|(a, b)| (a - b).abs() < ROUNDING), "{one:?} {two:?}");
    }
}
