//! Examples that went through a known policy of transformations, on sixteen embedded photographs:
//! what is matched, and what is undone.

mod common;

use std::sync::Arc;

use attacks::undo::partial::Partial;
use attacks::undo::policy;
use common::{attack, build, capture, mse, weights};
use learning::models::{ENTRIES, Shape};
use learning::transform::{Image, LIBRARY, Operation};
use learning::{Effect, Network, Observation, Published, noise};
use rand_chacha::rand_core::RngCore;
use serde_json::{Map, json};
use suites::{Init, Split, rng};
use tch::{Kind, Tensor};

/// The policy that the authors publish, and its places in the library.
const POLICIES: [&[usize]; 2] = [&[3, 1, 7], &[43, 18, 18]];

fn policies() -> Vec<Vec<usize>> {
    POLICIES.iter().map(|policy| policy.to_vec()).collect()
}

/// `[16, 1, 3, side, side]` photographs and their labels `[16, 1]`.
fn photographs(side: usize) -> (Tensor, Tensor) {
    let request = datasets::Request { size: Some(side), ..Default::default() };
    let data = datasets::open("photos", &request).unwrap();
    let ids: Vec<usize> = (0..8).collect();
    let [test, train] = [Split::Test, Split::Train].map(|s| data.batch(s, &ids).unwrap());
    let x = Tensor::cat(&[test.x, train.x], 0).unsqueeze(1);
    (x, Tensor::cat(&[test.y, train.y], 0).unsqueeze(1))
}

/// A network for such pictures, with the data's own normalisation.
fn network(side: i64) -> Arc<Network> {
    let entry = suites::find("model", ENTRIES, "lenet-zhu").unwrap();
    let shape = Shape { input: vec![3, side, side], classes: 2 };
    let model = (entry.build)(&Map::new()).unwrap().build(&shape).unwrap();
    let data = datasets::open("photos", &datasets::Request::default()).unwrap();
    Arc::new(Network::new(model, data.card().mean.clone(), data.card().std.clone()))
}

/// Each picture `[N, B, C, H, W]` through one of the policies, and which way that was.
fn transformed(x: &Tensor, policies: &[Vec<usize>]) -> (Tensor, Vec<String>) {
    let mut rng = rng::stream(3, "test", "policies");
    let mut draw = |n: usize| rng.next_u32() as usize % n;
    let size = x.size();
    let [channels, height, width] = [2, 3, 4].map(|i| size[i] as usize);
    let mut ways = Vec::new();
    let pictures: Vec<Tensor> = x
        .flatten(0, 1)
        .unbind(0)
        .iter()
        .map(|picture| {
            let bytes = (picture * 255.0).round().to_kind(Kind::Uint8).reshape([-1]);
            let data = Vec::<u8>::try_from(bytes).unwrap();
            let mut image = Image { channels, height, width, data };
            let mut way = Vec::new();
            for &place in &policies[draw(policies.len())] {
                let sign = if draw(2) == 0 { 1.0 } else { -1.0 };
                image = LIBRARY[place].apply(&image, sign);
                let direction = if sign > 0.0 { "+" } else { "-" };
                let direction = if LIBRARY[place].has_sign() { direction } else { "" };
                way.push(format!("{place}{direction}"));
            }
            ways.push(way.join(" "));
            (Tensor::from_slice(&image.data).to_kind(Kind::Float) / 255.0).view_as(picture)
        })
        .collect();
    (Tensor::stack(&pictures, 0).reshape(size), ways)
}

/// PSNR of each of `[N, 1, ...]`, capped at 60 dB, and the mean.
fn psnr(found: &Tensor, truth: &Tensor) -> f64 {
    let n = truth.size()[0];
    let one = |i| -10.0 * mse(&found.get(i), &truth.get(i)).max(1e-6).log10();
    (0..n).map(one).sum::<f64>() / n as f64
}

/// Which way a picture took is found from the transformed picture alone, and undone as far as it
/// can be.
#[test]
fn the_way_through_the_published_policy_is_found() {
    // Ways out of sixteen, and by how many dB what is undone is nearer to the picture.
    for (side, noise, least, gain) in
        [(16, 0.0, 12, 11.0), (32, 0.0, 12, 10.0), (64, 0.0, 14, 11.0), (32, 0.05, 12, 5.0)]
    {
        let (x, _) = photographs(side);
        let (y, ways) = transformed(&x, &policies());
        let off = noise::normal(&mut rng::stream(5, "test", "noise"), &y.size()) * noise;
        let matched = (&y + off).clamp(0.0, 1.0);
        let undone: Vec<policy::Undone> = (0..16)
            .map(|i| {
                let image = Partial::from_pixels(&matched.get(i).get(0)).unwrap();
                policy::undo(&image, &policies(), 57.6).unwrap()
            })
            .collect();
        let found = Tensor::stack(
            &undone.iter().map(|u| u.image.to_pixels().unsqueeze(0)).collect::<Vec<_>>(),
            0,
        );
        let right = undone.iter().zip(&ways).filter(|(u, way)| u.way == **way).count();
        let [before, after] = [psnr(&matched, &x), psnr(&found, &x)];
        println!("{side}, noise {noise}: {right} of 16 right, {before:.2} dB to {after:.2} dB");
        assert!(right >= least && after > before + gain, "{right} right, {before} to {after} dB");
    }
}

/// Every transformation of the library by itself: none is further from the picture when undone, and
/// those that lose little come back. (The law of an evened or stretched histogram went with it.)
#[test]
fn each_transformation_is_undone() {
    let (x, _) = photographs(32);
    for (place, transformation) in LIBRARY.iter().enumerate() {
        let policies = vec![vec![place]];
        let (y, ways) = transformed(&x, &policies);
        let (mut right, mut pictures) = (0, Vec::new());
        for i in 0..16 {
            let image = Partial::from_pixels(&y.get(i).get(0)).unwrap();
            let undone = policy::undo(&image, &policies, 57.6).unwrap();
            right += usize::from(undone.way == ways[i as usize]);
            pictures.push(undone.image.to_pixels().unsqueeze(0));
        }
        let [before, after] = [psnr(&y, &x), psnr(&Tensor::stack(&pictures, 0), &x)];
        println!("{place} {transformation:?}: {right} of 16, {before:.2} to {after:.2} dB");
        let least = match transformation.operation {
            Operation::Invert => 60.0,
            Operation::Rotate | Operation::Contrast | Operation::Brightness => 40.0,
            Operation::Colour | Operation::Sharpness | Operation::Posterise => 40.0,
            Operation::TranslateY | Operation::ShearY => 28.0,
            Operation::TranslateX => 20.0,
            Operation::Solarise | Operation::AutoContrast | Operation::Equalise => 0.0,
        };
        assert!(after > least - 1e-6 && after > before - 0.1, "{place}: {before} to {after} dB");
    }
}

/// The gradients of the pictures, or of what a policy made of them.
fn seen(x: &Tensor, y: &Tensor, side: i64) -> Observation {
    let net = network(side);
    capture(&net, &weights(&net, Init::DlgUniform, 4), x, y, false)
}

#[test]
fn what_was_matched_is_undone_by_an_attack_that_knows_the_policy() {
    let (x, y) = photographs(16);
    let (transformed, _) = transformed(&x, &policies());
    let adaptive = build("adaptive-matching", json!({ "iterations": 800, "restarts": 1 }));
    let plain = seen(&transformed, &y, 16);
    let mut known = plain.clone();
    known.known.defenses = vec![Published {
        by: "ats".into(),
        effect: Effect::TransformedInputs { policies: policies() },
    }];
    let run = |seen: &Observation| attack(adaptive.as_ref(), seen, 1).unwrap();
    let [undefended, before, after] = [&seen(&x, &y, 16), &plain, &known].map(run);
    assert!(after.flags.iter().all(|f| f[0].to_string().contains("policies of ats undone: ")));
    assert_eq!(before.evaluations, after.evaluations, "nothing but the undoing differs");
    let matched = psnr(&before.pixels, &transformed);
    let [undefended, before, after] =
        [undefended, before, after].map(|found| psnr(&found.pixels, &x));
    println!("undefended {undefended:.2} dB; matched {matched:.2} dB of what was trained on");
    println!("before {before:.2} dB, undone {after:.2} dB");
    assert!(after > before + 4.0 && undefended > after, "{before} to {after} of {undefended} dB");
}
