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
