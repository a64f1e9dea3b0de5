//! The image priors, held to numpy.

mod common;

use attacks::matching::prior;
use common::off;
use tch::{Kind, Tensor};

fn numbers(v: &serde_json::Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn values_and_slopes_are_numpys() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("golden/priors/priors.json")).unwrap();
    let shape: Vec<i64> = numbers(&golden["shape"]).iter().map(|&v| v as i64).collect();
    let n: i64 = shape.iter().product();
    let entries: Vec<f64> = (0..n).map(|i| (0.37 * (i as f64).powf(1.3)).sin()).collect();
    type Prior = fn(&Tensor) -> Tensor;
    let priors: [(&str, Prior); 3] = [
        ("anisotropic", prior::tv_anisotropic),
        ("isotropic", prior::tv_isotropic),
        ("square", prior::l2),
    ];
    for (name, f) in priors {
        for (kind, tolerance) in [(Kind::Double, 1e-7), (Kind::Float, 2e-6)] {
            let x = Tensor::from_slice(&entries)
                .reshape(&shape[..])
                .to_kind(kind)
                .set_requires_grad(true);
            let value = f(&x);
            let slope = Tensor::run_backward(&[value.sum(kind)], &[&x], false, false).remove(0);
            let expected = Tensor::from_slice(&numbers(&golden[name]["value"]));
            assert!(off(&value, &expected) < tolerance, "{name}: {value:?} {expected:?}");
            let expected = Tensor::from_slice(&numbers(&golden[name]["slope"])).reshape(&shape[..]);
            assert!(off(&slope, &expected) < tolerance, "{name}: slope {}", off(&slope, &expected));
        }
    }
}

/// Squared variation by its definition, and what opponents of colour add.
#[test]
fn squares_and_opponents_are_sums_over_neighbours() {
    let x = Tensor::from_slice(&[0.1, 0.4, 0.2, 0.9]).reshape([1, 1, 1, 2, 2]);
    let across: f64 = (0.3f64.powi(2) + 0.7f64.powi(2)) / 2.0;
    let down: f64 = (0.1f64.powi(2) + 0.5f64.powi(2)) / 2.0;
    assert!((prior::tv_squared(&x).double_value(&[0]) - across - down).abs() < 1e-12);
    // One channel has no opponents; three equal ones differ by nothing, so that half of the six
    // channels are flat.
    let of = |x: &Tensor| {
        (prior::tv_double_opponent(x).double_value(&[0]), prior::tv_isotropic(x).double_value(&[0]))
    };
    let (alone, isotropic) = of(&x);
    assert_eq!(alone, isotropic);
    let (grey, isotropic) = of(&x.expand([1, 1, 3, 2, 2], true));
    assert!((grey - isotropic / 2.0).abs() < 1e-6, "{grey} {isotropic}");
    let coloured = Tensor::cat(&[&x, &x.flip([3]), &x.flip([4])], 2);
    let (coloured, isotropic) = of(&coloured);
    assert!(coloured > isotropic * 0.75, "edges of colour count: {coloured} {isotropic}");
}

#[test]
fn a_flat_picture_has_no_variation_and_a_finite_slope() {
    for f in [prior::tv_anisotropic as fn(&Tensor) -> Tensor, prior::tv_isotropic] {
        let x = Tensor::full([1, 1, 3, 6, 6], 0.4, (Kind::Float, tch::Device::Cpu))
            .set_requires_grad(true);
        let value = f(&x);
        let slope = Tensor::run_backward(&[value.sum(Kind::Float)], &[&x], false, false).remove(0);
        assert!(value.double_value(&[0]) < 2e-6 && slope.abs().max().double_value(&[]) < 1e-6);
    }
}
