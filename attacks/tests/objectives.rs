//! The distances between gradients, held to plain formulas, for every layer kind, form and number
//! of lanes.

mod common;

use attacks::matching::objective::{Objective, Target};
use attacks::matching::weights::{LayerWeights, Pick, select};
use common::{Single, counted_labels, off, values};
use learning::loss::cross_entropy;
use learning::{Form, Mode, Network, Params, gradients, noise};
use suites::{Init, rng};
use tch::{Kind, Tensor};

const ALL: [Objective; 6] = [
    Objective::L2,
    Objective::Relative,
    Objective::L1,
    Objective::Cosine,
    Objective::Sim,
    Objective::Both,
];
const SHARE: f64 = 0.3;
const BATCH: i64 = 2;

/// Relative error allowed in f64, whatever the processor's order of summation: machine epsilon
/// (2.2e-16) times the terms of the longest chain of sums (below 1e3: a weight's gradient adds 24
/// products, an inner product 200 entries) times a condition of 1e3 (BatchNorm over 24 values, one
/// minus a cosine).
const EXACT: f64 = 2.2e-10;

/// A capture of `N` gradients, and `T` candidates for them.
struct Case {
    net: Network,
    weights: Params,
    target: Vec<Tensor>,
    images: Tensor,
    labels: Tensor,
}

impl Case {
    fn new(model: Single, targets: i64, lanes: i64, kind: Kind) -> Case {
        let net = Network::new(Box::new(model), vec![0.0; 2], vec![1.0; 2]);
        let mut rng = rng::stream(3, "objectives", "all");
        let weights = learning::init::fresh(net.layout(), Init::DlgUniform, &mut rng);
        let weights = weights.to(tch::Device::Cpu, kind);
        let size = |n: i64| [vec![n, BATCH], net.input()].concat();
        let truth = noise::normal(&mut rng, &size(targets)).to_kind(kind);
        let images = noise::normal(&mut rng, &size(lanes)).to_kind(kind);
        let labels = counted_labels(&[lanes, BATCH], 4);
        let mut case = Case { net, weights, target: Vec::new(), images, labels };
        let own = counted_labels(&[targets, BATCH], 3);
        let grads =
            gradients(&case.net, &case.weights, &truth, Mode::Train, Form::Dense, false, |z| {
                cross_entropy(z, &own)
            });
        case.target = grads.layers.iter().map(|g| g.to_dense().detach()).collect();
        case
    }

    fn resolved(&self, weights: &LayerWeights) -> Target {
        self.resolved_for(0..self.target.len(), weights, |g| g.shallow_clone())
    }

    /// The `selected` parameters of the captured gradients, each as `of` gives it.
    fn resolved_for(
        &self,
        selected: impl IntoIterator<Item = usize>,
        weights: &LayerWeights,
        of: impl Fn(&Tensor) -> Tensor,
    ) -> Target {
        let selected: Vec<usize> = selected.into_iter().collect();
        let tensors: Vec<Tensor> = selected.iter().map(|&i| of(&self.target[i])).collect();
        let weights = weights.resolve(&tensors).unwrap();
        Target::new(tensors, selected, weights)
    }

    /// Parameters whose gradient has a direction. That of a bias before BatchNorm is zero but for
    /// rounding, whose direction is the processor's own.
    fn directed(&self) -> Vec<usize> {
        let norms: Vec<f64> = self.target.iter().map(|g| g.norm().double_value(&[])).collect();
        let largest = norms.iter().fold(0.0, |a: f64, b| a.max(*b));
        (0..norms.len()).filter(|&i| norms[i] > 1e-6 * largest).collect()
    }

    /// The distance `[T]` and its gradient with respect to the images.
    fn distance(
        &self,
        objective: Objective,
        form: Form,
        target: &Target,
        images: &Tensor,
    ) -> (Tensor, Tensor) {
        let (x, weights) = (
            images.detach().set_requires_grad(true),
            self.weights.to(images.device(), images.kind()),
        );
        let labels = self.labels.narrow(0, 0, x.size()[0]);
        let grads = gradients(&self.net, &weights, &x, Mode::Train, form, true, |z| {
            cross_entropy(z, &labels)
        });
        let value = target.distance(objective, SHARE, &grads.layers);
        let slope = Tensor::run_backward(&[value.sum(value.kind())], &[&x], false, false).remove(0);
        (value.detach(), slope)
    }

    /// Dense gradients of each candidate as plain numbers: `[lane][parameter][entry]`.
    fn plain(&self) -> Vec<Vec<Vec<f64>>> {
        let weights = self.weights.to(tch::Device::Cpu, Kind::Double);
        let images = self.images.to_kind(Kind::Double);
        let grads = gradients(&self.net, &weights, &images, Mode::Train, Form::Dense, false, |z| {
            cross_entropy(z, &self.labels)
        });
        let lanes = 0..self.images.size()[0];
        lanes.map(|t| grads.layers.iter().map(|g| values(&g.to_dense().get(t))).collect()).collect()
    }
}

/// The definition, entry by entry.
fn by_hand(objective: Objective, own: &[Vec<f64>], theirs: &[Vec<f64>], weights: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let each = |f: &dyn Fn(&[f64], &[f64]) -> f64| -> Vec<f64> {
        own.iter().zip(theirs).zip(weights).map(|((a, b), w)| w * f(a, b)).collect()
    };
    let sum = |f: &dyn Fn(&[f64], &[f64]) -> f64| each(f).iter().sum::<f64>();
    let l2 = sum(&|a, b| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum());
    let cosine = 1.0 - sum(&dot) / (sum(&|a, _| dot(a, a)) * sum(&|_, b| dot(b, b))).sqrt();
    match objective {
        Objective::L2 => l2,
        Objective::Relative => l2 / sum(&|_, b| dot(b, b)),
        Objective::L1 => sum(&|a, b| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum()),
        Objective::Cosine => cosine,
        Objective::Sim => {
            sum(&|a, b| 1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt())
                / weights.iter().sum::<f64>()
        }
        Objective::Both => (1.0 - SHARE) * l2 + SHARE * cosine,
    }
}

#[test]
fn every_objective_form_layer_and_lane_count_agrees_with_the_definition() {
    let models: [fn() -> Single; 3] = [|| Single::Linear, || Single::Conv, || Single::ConvNorm];
    for (model, name) in models.into_iter().zip(["linear", "convolution", "BatchNorm"]) {
        for (targets, lanes) in [(1, 1), (2, 4)] {
            let case = Case::new(model(), targets, lanes, Kind::Double);
            let target = case.resolved(&LayerWeights::InverseNorm);
            let weights = LayerWeights::InverseNorm.resolve(&case.target).unwrap();
            let plain = case.plain();
            for objective in ALL {
                let what = format!("{name}, T = {lanes}, {objective:?}");
                let (dense, slope) = case.distance(objective, Form::Dense, &target, &case.images);
                let (factored, factored_slope) =
                    case.distance(objective, Form::Factored, &target, &case.images);
                let hand: Vec<f64> = (0..lanes)
                    .map(|t| {
                        let n = t / (lanes / targets);
                        let theirs: Vec<Vec<f64>> =
                            case.target.iter().map(|g| values(&g.get(n))).collect();
                        let w: Vec<f64> = weights.iter().map(|w| w.double_value(&[n])).collect();
                        by_hand(objective, &plain[t as usize], &theirs, &w)
                    })
                    .collect();
                assert!(
                    off(&dense, &Tensor::from_slice(&hand)) < EXACT,
                    "{what}: {dense:?} {hand:?}"
                );
                assert!(off(&factored, &dense) < EXACT, "{what}: value");
                assert!(
                    off(&factored_slope, &slope) < EXACT,
                    "{what}: gradient {}",
                    off(&factored_slope, &slope)
                );
            }
        }
    }
}

#[test]
fn each_lane_has_the_distance_it_would_have_alone() {
    let case = Case::new(Single::ConvNorm, 2, 4, Kind::Double);
    let selected = case.directed();
    assert_eq!(selected.len(), case.target.len() - 1, "all but the bias before BatchNorm");
    let target = |of: &dyn Fn(&Tensor) -> Tensor| {
        case.resolved_for(selected.iter().copied(), &LayerWeights::EarlyLinear, of)
    };
    let all = target(&Tensor::shallow_clone);
    for objective in ALL {
        let (values, slopes) = case.distance(objective, Form::Auto, &all, &case.images);
        for t in 0..4 {
            let single = target(&|g| g.narrow(0, t / 2, 1));
            let alone = Case {
                net: Network::new(Box::new(Single::ConvNorm), vec![0.0; 2], vec![1.0; 2]),
                weights: case.weights.clone(),
                target: Vec::new(),
                images: case.images.narrow(0, t, 1),
                labels: case.labels.narrow(0, t, 1),
            };
            let (value, slope) = alone.distance(objective, Form::Auto, &single, &alone.images);
            assert!(off(&values.narrow(0, t, 1), &value) < EXACT, "{objective:?}, lane {t}");
            assert!(off(&slopes.narrow(0, t, 1), &slope) < EXACT, "{objective:?}, lane {t}");
        }
    }
}

/// Differences of inner products in f32 would leave nothing of these values.
#[test]
fn factored_values_keep_their_digits_close_to_the_truth() {
    let mut case = Case::new(Single::Linear, 1, 1, Kind::Float);
    case.labels = counted_labels(&[1, BATCH], 3);
    let truth = case.images.shallow_clone();
    let grads = gradients(&case.net, &case.weights, &truth, Mode::Train, Form::Dense, false, |z| {
        cross_entropy(z, &case.labels)
    });
    case.target = grads.layers.iter().map(|g| g.to_dense().detach()).collect();
    let target = case.resolved(&LayerWeights::Uniform);
    let near = &truth + noise::normal(&mut rng::stream(1, "close", ""), &truth.size()) * 1e-4;
    for objective in [Objective::L2, Objective::Cosine, Objective::Sim, Objective::Both] {
        let (value, slope) = case.distance(objective, Form::Factored, &target, &near);
        let wide = target.to_kind(Kind::Double);
        let (exact, exact_slope) =
            case.distance(objective, Form::Dense, &wide, &near.to_kind(Kind::Double));
        assert!(exact.double_value(&[0]) < 1e-6, "{objective:?} is close: {exact:?}");
        assert!(off(&value, &exact) < 1e-2, "{objective:?}: {value:?} {exact:?}");
        assert!(off(&slope, &exact_slope) < 2e-2, "{objective:?}: {}", off(&slope, &exact_slope));
    }
}

/// Norms whose squares' product f32 cannot hold: a cosine does not depend on them.
#[test]
fn cosines_do_not_depend_on_the_size_of_gradients() {
    let case = Case::new(Single::Conv, 1, 1, Kind::Float);
    let (expected, _) = case.distance(
        Objective::Cosine,
        Form::Auto,
        &case.resolved(&LayerWeights::Uniform),
        &case.images,
    );
    let small = case.target.iter().map(|g| g * 1e-15).collect::<Vec<_>>();
    let ones = LayerWeights::Uniform.resolve(&small).unwrap();
    let target = Target::new(small, (0..case.target.len()).collect(), ones);
    let (found, slope) = case.distance(Objective::Cosine, Form::Auto, &target, &case.images);
    assert!(off(&found, &expected) < 1e-5, "{found:?} {expected:?}");
    assert!(slope.isfinite().all().int64_value(&[]) == 1 && slope.norm().double_value(&[]) > 0.0);
}

#[test]
fn a_zero_gradient_gives_finite_distances() {
    let case = Case::new(Single::Conv, 1, 1, Kind::Float);
    let zero: Vec<Tensor> = case.target.iter().map(Tensor::zeros_like).collect();
    for weights in [LayerWeights::Uniform, LayerWeights::InverseNorm] {
        let w = weights.resolve(&zero).unwrap();
        let target =
            Target::new(zero.iter().map(Tensor::shallow_clone).collect(), (0..4).collect(), w);
        for objective in
            ALL.into_iter().filter(|o| weights == LayerWeights::Uniform || *o != Objective::Sim)
        {
            let (value, slope) = case.distance(objective, Form::Auto, &target, &case.images);
            let finite = |t: &Tensor| t.isfinite().all().int64_value(&[]) == 1;
            assert!(finite(&value) && finite(&slope), "{objective:?} {weights:?}: {value:?}");
        }
    }
}

#[test]
fn layer_weights_have_their_stated_values() {
    // Four parameters of two signals: a kernel, its bias, a matrix, its bias.
    let shapes: [&[i64]; 4] = [&[2, 3, 2, 3, 3], &[2, 3], &[2, 4, 9], &[2, 4]];
    let tensors: Vec<Tensor> = shapes
        .iter()
        .enumerate()
        .map(|(i, s)| {
            let n: i64 = s[1..].iter().product();
            // Norms 1, 2, 3, 4 for the first signal, ten times that for the second.
            let per_entry = (i + 1) as f64 / (n as f64).sqrt();
            let row = Tensor::full(&s[1..], per_entry, (Kind::Float, tch::Device::Cpu));
            Tensor::stack(&[&row, &(&row * 10.0)], 0)
        })
        .collect();
    let exp = |i: f64| (-4.0 * i / 4.0_f64).exp();
    for (kind, raw) in [
        (LayerWeights::Uniform, [1.0, 1.0, 1.0, 1.0]),
        (LayerWeights::InverseNorm, [1.0, 0.5, 1.0 / 3.0, 0.25]),
        (LayerWeights::EarlyExponential, [exp(0.0), exp(1.0), exp(2.0), exp(3.0)]),
        (LayerWeights::EarlyLinear, [1.0, 0.75, 0.5, 0.25]),
        (LayerWeights::EarlyStrong, [10.0, 1.0, 1.0, 1.0]),
        (LayerWeights::ConvFirst, [10.0, 1.0, 1.0, 1.0]),
    ] {
        let mean = raw.iter().sum::<f64>() / 4.0;
        let found = kind.resolve(&tensors).unwrap();
        for (i, w) in found.iter().enumerate() {
            for n in 0..2 {
                let (found, expected) = (w.double_value(&[n]), raw[i] / mean);
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{kind:?}, parameter {i}: {found} {expected}"
                );
            }
        }
    }
    // A list is taken as it is.
    let list = LayerWeights::Explicit(vec![0.5, 0.0, 2.0, 7.0]).resolve(&tensors).unwrap();
    assert_eq!(list.iter().map(|w| w.double_value(&[1])).collect::<Vec<_>>(), [0.5, 0.0, 2.0, 7.0]);
    let error = LayerWeights::Explicit(vec![1.0]).resolve(&tensors).unwrap_err().to_string();
    assert!(
        error.contains("attack.layer_weights") && error.contains("1 weights where 4"),
        "{error}"
    );
}

#[test]
fn a_pruned_parameter_does_not_drown_the_others_by_its_inverse_norm() {
    let tensors = [
        Tensor::from_slice(&[3.0f32, 4.0]).unsqueeze(0),
        Tensor::from_slice(&[0.0f32]).unsqueeze(0),
    ];
    let found = LayerWeights::InverseNorm.resolve(&tensors).unwrap();
    assert_eq!([found[0].double_value(&[0]), found[1].double_value(&[0])], [2.0, 0.0]);
}

#[test]
fn parameters_are_picked_by_index_name_or_prefix() {
    let net = common::lenet();
    let names = [
        "body.0.weight",
        "body.0.bias",
        "body.2.weight",
        "body.2.bias",
        "body.4.weight",
        "body.4.bias",
        "fc.0.weight",
        "fc.0.bias",
    ];
    let pick = |picks: serde_json::Value| {
        let picks: Vec<Pick> = serde_json::from_value(picks).unwrap();
        select(net.layout(), &picks)
    };
    let json = |v: &str| serde_json::from_str::<serde_json::Value>(v).unwrap();
    assert_eq!(pick(json("[]")).unwrap(), (0..8).collect::<Vec<_>>());
    assert_eq!(pick(json("[2, 0]")).unwrap(), [0, 2]);
    assert_eq!(pick(json("[-1, -8]")).unwrap(), [0, 7]);
    assert_eq!(pick(json(r#"["fc.0.bias"]"#)).unwrap(), [7]);
    assert_eq!(pick(json(r#"["body.2", "fc", -1]"#)).unwrap(), [2, 3, 6, 7]);
    for unknown in [r#"["bod"]"#, r#"["body.2.weigh"]"#, "[8]", "[-9]"] {
        let error = pick(json(unknown)).unwrap_err().to_string();
        let said = error.contains("attack.layers") && names.iter().all(|n| error.contains(n));
        assert!(
            said && !error.contains("Name(") && error.lines().count() == 1,
            "{unknown}: {error}"
        );
    }
    // BatchNorm's buffers are no parameters to match.
    let norm = Network::new(Box::new(Single::ConvNorm), vec![0.0; 2], vec![1.0; 2]);
    assert!(select(norm.layout(), &[Pick::Name("norm.running_mean".into())]).is_err());
    assert_eq!(select(norm.layout(), &[Pick::Name("norm".into())]).unwrap(), [2, 3]);
}
