//! What all perturbations of the literature have in common: no guarantee, a named paper and
//! adversary, one stream a client.

use std::collections::BTreeMap;

use defenses::{Defense, Deployment, ENTRIES, Examples, Released, Stage, Turn};
use learning::client::{self, LocalTraining, Rules};
use learning::effect::BucketNorm;
use learning::models::{self, Shape};
use learning::{Effect, Mode, Network, Params, init, noise};
use rand_chacha::ChaCha12Rng;
use serde_json::{Map, Value, json};
use suites::rng::stream;
use tch::{Device, Kind, Tensor};

/// Name, where it acts, and whether an adaptive attack is registered.
const ALL: [(&str, Stage, bool); 13] = [
    ("prune", Stage::Client, true),
    ("percentile", Stage::Client, true),
    ("quantise", Stage::Client, true),
    ("qsgd", Stage::Client, true),
    ("sign", Stage::Client, true),
    ("gaussian-noise", Stage::Client, true),
    ("laplace-noise", Stage::Client, true),
    ("soteria", Stage::Client, true),
    ("withhold-bn", Stage::Client, false),
    ("mixup", Stage::Data, true),
    ("instahide", Stage::Data, true),
    ("ats", Stage::Data, true),
    ("precode", Stage::Model, true),
];

fn build(name: &str, params: Value) -> Box<dyn Defense> {
    let entry = suites::find("defense", ENTRIES, name).unwrap();
    (entry.build)(params.as_object().unwrap()).unwrap()
}

fn on_update() -> impl Iterator<Item = (&'static str, Box<dyn Defense>)> {
    ALL.iter().filter(|a| a.1 == Stage::Client).map(|a| (a.0, build(a.0, json!({}))))
}

fn deployment(local_steps: usize) -> Deployment {
    Deployment {
        clients: 3,
        rounds: 1,
        local_steps,
        batch_size: 2,
        examples: 2,
        client_rate: 1.0,
        captured: defenses::CapturedRound {
            batch: 2,
            steps: local_steps,
            clients: 1,
            released: false,
        },
        values: 0,
        summed: false,
    }
}

fn streams(n: usize) -> Vec<ChaCha12Rng> {
    (0..n).map(|i| stream(2, "test", &format!("client-{i}"))).collect()
}

/// A ConvNet with BatchNorm, three clients of two examples, and what each would send.
struct Round {
    net: Network,
    weights: Params,
    examples: Examples,
    gradient: Params,
    update: Params,
}

fn round() -> Round {
    let entry = suites::find("model", models::ENTRIES, "convnet64").unwrap();
    let model = (entry.build)(json!({ "width": 2 }).as_object().unwrap()).unwrap();
    let model = model.build(&Shape { input: vec![3, 9, 9], classes: 10 }).unwrap();
    let net = Network::new(model, vec![0.5; 3], vec![0.25; 3]);
    let weights = init::fresh(net.layout(), suites::Init::Pytorch, &mut streams(1)[0]);
    let pixels = noise::uniform(&mut streams(1)[0], &[3, 2, 3, 9, 9], 0.0, 1.0);
    let labels = Tensor::from_slice(&[0i64, 1, 2, 3, 4, 5]).reshape([3, 2]);
    let (rules, mode) = (Rules::default(), Mode::Train);
    let gradient =
        client::batch_gradient(&net, &weights, &pixels, &labels, &rules, mode, &mut streams(3));
    let setting = LocalTraining { epochs: 2, lr: 0.1, ..LocalTraining::default() };
    let trained =
        client::train(&net, &weights, &pixels, &labels, &setting, &rules, mode, &mut streams(3));
    let update = tch::no_grad(|| trained.sub(&weights));
    Round { net, weights, examples: Examples { pixels, labels, soft: false }, gradient, update }
}

impl Round {
    /// What the clients `from..from + n` send of `given` (all of theirs).
    fn release(
        &self,
        defense: &dyn Defense,
        given: &Params,
        steps: usize,
        from: i64,
        n: i64,
    ) -> Released {
        let own = |t: &Tensor| t.narrow(0, from, n);
        let examples = Examples {
            pixels: own(&self.examples.pixels),
            labels: own(&self.examples.labels),
            soft: false,
        };
        let mut turn = Turn {
            round: 0,
            rngs: &mut streams(3)[from as usize..(from + n) as usize],
            deployment: &deployment(steps),
            steps,
            contributors: 1,
            net: &self.net,
            weights: &self.weights,
            examples: Some(&examples),
            memory: &mut BTreeMap::new(),
        };
        // As a round calls it, which tracks no gradients.
        tch::no_grad(|| defense.release(given.narrow(from, n), &mut turn)).unwrap()
    }
}

#[test]
fn none_has_a_guarantee_and_each_names_its_paper_and_its_adversary() {
    for (name, stage, adaptive) in ALL {
        let entry = suites::find("defense", ENTRIES, name).unwrap();
        let defense = build(name, json!({}));
        assert!(defense.privacy(&deployment(1)).unwrap().is_none(), "{name}");
        assert_eq!(defense.stage(), stage, "{name}");
        assert_eq!(defense.adaptive(), adaptive.then_some("adaptive-matching"), "{name}");
        assert!(entry.reference.contains("20"), "{name} gives no year: {}", entry.reference);
        assert!(
            entry.summary.len() > 20 && !defense.equal_weights() && !defense.needs_sum(),
            "{name}"
        );
    }
}

#[test]
fn parameters_are_spelled_out_and_read_back() {
    for (name, ..) in ALL {
        let spelled = build(name, json!({})).spelled_out();
        assert_eq!(build(name, Value::Object(spelled.clone())).spelled_out(), spelled, "{name}");
        let wrong = Map::from_iter([("no-such-key".to_string(), json!(1))]);
        let entry = suites::find("defense", ENTRIES, name).unwrap();
        let message = (entry.build)(&wrong).err().expect("refused").to_string();
        assert!(message.contains("no-such-key") && !message.contains('\n'), "{message}");
    }
}

#[test]
fn clients_side_by_side_are_clients_alone_and_draw_the_same_again() {
    let round = round();
    for (given, steps) in [(&round.gradient, 1), (&round.update, 4)] {
        for (name, defense) in on_update() {
            let all = round.release(defense.as_ref(), given, steps, 0, 3).update;
            let again = round.release(defense.as_ref(), given, steps, 0, 3).update;
            for t in 0..3 {
                let alone = round.release(defense.as_ref(), given, steps, t, 1).update;
                for ((both, twice), single) in
                    all.tensors.iter().zip(&again.tensors).zip(&alone.tensors)
                {
                    assert_eq!(both.get(t), twice.get(t), "{name}");
                    assert_eq!(both.get(t), single.get(0), "{name} of client {t}");
                }
            }
        }
    }
}

/// Each defense changes what is sent, keeps it finite and in shape, and says by numbers what it
/// did.
#[test]
fn gradients_and_updates_are_changed_and_stay_finite() {
    let round = round();
    for (given, steps) in [(&round.gradient, 1), (&round.update, 4)] {
        for (name, defense) in on_update() {
            let out = round.release(defense.as_ref(), given, steps, 0, 3);
            let change = out.update.sub(given);
            let moved: f64 =
                change.tensors.iter().map(|t| t.abs().sum(Kind::Double).double_value(&[])).sum();
            // A bare gradient has no statistics to withhold.
            assert_eq!(moved > 0.0, name != "withhold-bn" || steps > 1, "{name}");
            assert!(moved.is_finite() && !out.values.is_empty(), "{name}");
            assert!(out.values.values().all(|v| v.is_finite()), "{name} {:?}", out.values);
            for (a, b) in out.update.tensors.iter().zip(&given.tensors) {
                assert_eq!((a.size(), a.kind()), (b.size(), b.kind()), "{name}");
            }
        }
    }
}

/// Statistics of the batch are left to `withhold-bn` by all that speak of trainable values.
#[test]
fn only_whole_update_defenses_touch_the_statistics() {
    let round = round();
    for (name, defense) in on_update() {
        let out = round.release(defense.as_ref(), &round.update, 4, 0, 3).update;
        let same = out.get("model.bn7.running_mean").unwrap()
            == round.update.get("model.bn7.running_mean").unwrap();
        assert_eq!(same, !["prune", "quantise", "withhold-bn"].contains(&name), "{name}");
    }
}

/// What the adversary is told follows from the parameters alone, and no number of it from an
/// update.
#[test]
fn bits_on_the_wire_and_what_is_public_follow_from_the_parameters() {
    let bits = |name: &str, params: Value| build(name, params).bits_per_value();
    assert_eq!(bits("sign", json!({})), Some(1.0));
    assert_eq!(bits("qsgd", json!({ "bits": 3, "bucket": 0 })), Some(3.0));
    assert_eq!(bits("quantise", json!({ "bits": 5 })), Some(5.0));
    assert_eq!(bits("prune", json!({ "fraction": 0.75 })), Some(16.0));
    assert_eq!(bits("percentile", json!({ "percentile": 75 })), Some(16.0));
    assert_eq!(bits("gaussian-noise", json!({})), Some(32.0));
    for name in ["soteria", "mixup", "instahide", "ats", "precode", "withhold-bn"] {
        assert_eq!(bits(name, json!({})), None, "{name}");
    }
    let effects = |name: &str| build(name, json!({})).effects(&deployment(4)).unwrap();
    assert_eq!(effects("percentile")[1], Effect::Clamped { bound: 0.04 });
    let rounding = Effect::RandomRounding { levels: 7.0, bucket: 512, norm: BucketNorm::L2 };
    assert_eq!(effects("qsgd"), [rounding]);
}

/// The gradient on mixed examples is the mixture of the gradients for both labels, weighted by
/// lambda.
#[test]
fn mixups_gradient_is_the_lambda_weighted_mixture() {
    let round = round();
    let turn = |defense: &dyn Defense| {
        let mut turn = Turn {
            round: 0,
            rngs: &mut streams(3),
            deployment: &deployment(1),
            steps: 1,
            contributors: 1,
            net: &round.net,
            weights: &round.weights,
            examples: None,
            memory: &mut BTreeMap::new(),
        };
        let (pixels, labels) =
            (round.examples.pixels.shallow_clone(), round.examples.labels.shallow_clone());
        defense.examples(Examples { pixels, labels, soft: false }, &mut turn).unwrap()
    };
    let mixed = turn(build("mixup", json!({ "alpha": 2.0 })).as_ref());
    let gradient = |pixels: &Tensor, labels: &Tensor, soft: bool| {
        let rules = Rules { soft_labels: soft, ..Rules::default() };
        client::batch_gradient(
            &round.net,
            &round.weights,
            pixels,
            labels,
            &rules,
            Mode::Eval,
            &mut [],
        )
    };
    let soft = gradient(&mixed.pixels, &mixed.labels, true);
    for t in 0..3 {
        // Two examples, each with the share of both labels in its row.
        let mut expected: Option<Params> = None;
        for e in 0..2 {
            let image = mixed.pixels.narrow(0, t, 1).narrow(1, e, 1);
            for label in 0..10 {
                let share = mixed.labels.double_value(&[t, e, label]);
                if share > 0.0 {
                    let hard = Tensor::from_slice(&[label]).reshape([1, 1]).to_device(Device::Cpu);
                    let part = gradient(&image, &hard, false).scale(share / 2.0);
                    expected = Some(match expected {
                        Some(sum) => sum.zip(&part, |a, b| a + b),
                        None => part,
                    });
                }
            }
        }
        for (a, b) in soft.tensors.iter().zip(&expected.unwrap().tensors) {
            assert!((a.get(t) - b.get(0)).abs().max().double_value(&[]) < 1e-5);
        }
    }
}
