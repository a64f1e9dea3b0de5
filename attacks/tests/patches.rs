//! A vision transformer's image from one gradient, in closed form.

mod common;

use std::path::Path;
use std::sync::Arc;

use attacks::AttackError;
use common::{attack, build, capture, counted_labels, pixels, values, weights};
use learning::{Network, Signal, graph};
use serde_json::json;
use suites::{FlagKind, Init};

fn vit() -> Arc<Network> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../learning/tests/golden/graphs");
    let found = graph::read(&folder.join("vit.pt2")).unwrap();
    Arc::new(Network::new(found.into_model(), vec![0.5; 3], vec![0.5; 3]))
}

#[test]
fn the_image_of_a_transformer_comes_back_exactly() {
    let (net, truth) = (vit(), pixels(&[3, 1, 3, 16, 16], 5));
    let (start, labels) = (weights(&net, Init::Pytorch, 0), counted_labels(&[3, 1], 5));
    let seen = capture(&net, &start, &truth, &labels, false);
    let found = attack(&*build("analytic", json!({})), &seen, 0).unwrap();
    let off = (&found.pixels - &truth).abs().max().double_value(&[]);
    assert!(off < 1e-3, "off by {off}");
    assert!(found.objective.iter().all(|r| *r < 1e-3), "{:?}", found.objective);
    assert_eq!(values(&found.labels.unwrap()), [0.0, 1.0, 2.0]);
    assert!(found.flags.iter().all(Vec::is_empty), "{:?}", found.flags);
}

#[test]
fn several_images_are_refused() {
    let (net, truth) = (vit(), pixels(&[1, 2, 3, 16, 16], 5));
    let (start, labels) = (weights(&net, Init::Pytorch, 0), counted_labels(&[1, 2], 5));
    let seen = capture(&net, &start, &truth, &labels, false);
    let said = attack(&*build("analytic", json!({})), &seen, 0).unwrap_err();
    assert!(matches!(said, AttackError::NotApplicable(_)), "{said}");
}

/// Rows whose sum is not the bias' gradient are not the patches', however well they fit.
#[test]
fn a_fit_that_the_bias_denies_is_doubted() {
    let (net, truth) = (vit(), pixels(&[1, 1, 3, 16, 16], 5));
    let (start, labels) = (weights(&net, Init::Pytorch, 0), counted_labels(&[1, 1], 5));
    let mut seen = capture(&net, &start, &truth, &labels, false);
    let at = net.layout().position("conv_proj.bias").unwrap();
    let Signal::Gradient(gradient) = &mut seen.signal else { panic!("a gradient") };
    gradient.tensors[at] = -&gradient.tensors[at];
    let found = attack(&*build("analytic", json!({})), &seen, 0).unwrap();
    assert_eq!(found.flags[0][0].kind(), Some(FlagKind::NotRankOne), "{:?}", found.flags);
    assert!(found.objective[0] > 1.0, "{:?}", found.objective);
}
