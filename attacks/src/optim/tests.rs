//! The optimisers against `torch.optim`'s golden traces (tests/golden/optim), and lanes against
//! each other.

use super::*;
use serde_json::Value;
use tch::{Device, Kind};

/// A problem of `make_traces.py`. Lanes are evaluated one after the other, so that their last bits
/// are the optimiser's doing.
struct Problem {
    name: String,
    calls: usize,
}

fn problem(name: &str) -> Problem {
    Problem { name: name.into(), calls: 0 }
}

fn rosenbrock(x: &Tensor) -> Tensor {
    let n = x.size()[1];
    let (left, right) = (x.narrow(1, 0, n - 1), x.narrow(1, 1, n - 1));
    let terms = (right - left.square()).square() * 100.0 + (left.neg() + 1.0).square();
    terms.sum_dim_intlist(1, false, None)
}

fn quadratic(x: &Tensor) -> Tensor {
    let n = x.size()[1];
    let i = Tensor::arange(n, (Kind::Double, Device::Cpu));
    let curvature = Tensor::from(10.0).pow(&(&i * 4.0 / (n - 1) as f64)).to_kind(x.kind());
    ((x - i.sin().to_kind(x.kind())).square() * curvature).sum_dim_intlist(1, false, None) * 0.5
}

fn net(x: &Tensor) -> Tensor {
    let wave = |n: i64, step: f64| Tensor::arange(n, (Kind::Double, Device::Cpu)) * step;
    let inputs = wave(18, 0.7).sin().view([1, 6, 3]).to_kind(x.kind());
    let targets = wave(12, 1.3).cos().view([1, 6, 2]).to_kind(x.kind());
    let w1 = x.narrow(1, 0, 12).reshape([-1, 4, 3]);
    let w2 = x.narrow(1, 16, 8).reshape([-1, 2, 4]);
    let hidden = (inputs.matmul(&w1.transpose(1, 2)) + x.narrow(1, 12, 4).unsqueeze(1)).tanh();
    let outputs = hidden.matmul(&w2.transpose(1, 2)) + x.narrow(1, 24, 2).unsqueeze(1);
    (outputs - targets).square().mean_dim([1_i64, 2].as_slice(), false, None)
}

impl Objective for Problem {
    fn evaluate(&mut self, x: &Tensor) -> (Tensor, Tensor) {
        self.calls += 1;
        let function = match self.name.as_str() {
            "quadratic-50" => quadratic,
            "net" => net,
            _ => rosenbrock,
        };
        let one = |row: Tensor| {
            let row = row.unsqueeze(0).copy().set_requires_grad(true);
            let value = function(&row);
            let gradient =
                Tensor::run_backward(&[value.sum(None)], &[&row], false, false).remove(0);
            (value.detach(), gradient)
        };
        let (values, gradients): (Vec<_>, Vec<_>) = (0..x.size()[0]).map(|t| one(x.get(t))).unzip();
        (Tensor::cat(&values, 0), Tensor::cat(&gradients, 0))
    }
}

fn golden() -> Value {
    serde_json::from_str(include_str!("../../tests/golden/optim/traces.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn host(x: &Tensor) -> Vec<f64> {
    Vec::try_from(x.to_kind(Kind::Double).contiguous().view(-1)).unwrap()
}

fn start_of(trace: &Value) -> Tensor {
    Tensor::from_slice(&numbers(&trace["start"])).unsqueeze(0)
}

fn optimizer_of(trace: &Value) -> Optimizer {
    serde_json::from_value(trace["config"].clone()).unwrap()
}

/// 1e-8 relative to the largest number of the vector; what has fallen below 1e-12 counts as zero.
fn close(ours: &[f64], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let scale = theirs.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() <= 1e-8 * scale + 1e-12, "{what}: {a:e} instead of {b:e}");
    }
}

#[test]
fn the_iterates_are_those_of_torch() {
    for trace in golden()["traces"].as_array().unwrap() {
        let mut objective = problem(trace["problem"].as_str().unwrap());
        let mut x = start_of(trace);
        let mut stepper = optimizer_of(trace).start(&x);
        let (mut evaluations, mut idle) = (0, 0);
        for (k, value) in numbers(&trace["values"]).iter().enumerate() {
            let what = format!("{} on {}, step {}", trace["config"], trace["problem"], k + 1);
            idle += u64::from(!stepper.lanes().any_active());
            let report = stepper.step(&mut x, &mut objective, 1.0);
            evaluations += report.evaluations;
            close(&host(&report.objective), &[*value], &what);
            if let Some(iterate) = trace["iterates"].get((k + 1).to_string()) {
                close(&host(&x), &numbers(iterate), &what);
            }
        }
        let theirs = trace["evaluations"].as_u64().unwrap();
        assert_eq!((evaluations as u64, objective.calls as u64), (theirs, theirs), "{trace}");
        // A converged lane is still evaluated with the others, but no longer on its own account.
        let own = stepper.lanes().evaluations().int64_value(&[0]) as u64;
        assert_eq!(own + idle, theirs, "{trace}");
    }
}

#[test]
fn the_schedules_are_those_of_torch() {
    for name in [Decay::Cosine, Decay::Step] {
        let key = serde_json::to_value(name).unwrap();
        for (i, factor) in numbers(&golden()["schedules"][key.as_str().unwrap()]).iter().enumerate()
        {
            let ours = Schedule::new(name).factor(i, 40);
            assert!((ours - factor).abs() < 1e-12, "{name:?} at {i}: {ours} instead of {factor}");
        }
    }
}

/// What a run leaves: the points, the values seen, evaluations counted and best points.
fn run(optimizer: &Optimizer, name: &str, mut x: Tensor, steps: usize) -> Vec<Tensor> {
    let mut objective = problem(name);
    let mut stepper = optimizer.start(&x);
    let schedule = Schedule { name: Decay::Cosine, warmup: 2.0 };
    let values: Vec<Tensor> = (0..steps)
        .map(|k| stepper.step(&mut x, &mut objective, schedule.factor(k, steps)).objective)
        .collect();
    let lanes = stepper.lanes();
    vec![
        Tensor::stack(&values, 1),
        lanes.evaluations().unsqueeze(1),
        lanes.best_x().shallow_clone(),
        lanes.best_objective().unsqueeze(1),
        x,
    ]
}

/// Three starts at once are, bit for bit, three runs alone; in f32 as in f64.
#[test]
fn lanes_do_not_see_each_other() {
    for trace in golden()["traces"].as_array().unwrap() {
        let name = trace["problem"].as_str().unwrap();
        for kind in [Kind::Double, Kind::Float] {
            let x = start_of(trace);
            let x = Tensor::cat(&[&x, &(&x * 0.3 + 0.1), &(x.cos() * 1.4)], 0).to_kind(kind);
            let optimizer = optimizer_of(trace);
            let together = run(&optimizer, name, x.copy(), 8);
            for t in 0..3 {
                let alone = run(&optimizer, name, x.narrow(0, t, 1).copy(), 8);
                for (a, b) in together.iter().zip(&alone) {
                    assert_eq!(
                        host(&a.get(t)),
                        host(&b.get(0)),
                        "{name}, {}, {kind:?}, lane {t}",
                        trace["config"]
                    );
                }
            }
        }
    }
}

/// Objectives may be summed in f64 over f32 variables; a line search then sees differences that f32
/// would round away.
#[test]
fn an_f64_objective_over_f32_variables_is_kept_in_f64() {
    struct High;
    impl Objective for High {
        fn evaluate(&mut self, x: &Tensor) -> (Tensor, Tensor) {
            let square = x.to_kind(Kind::Double).square();
            (square.sum_dim_intlist(1, false, None) + 1e9, x * 2.0)
        }
    }
    for name in ["adam", "sgd", "lbfgs"] {
        let mut x = Tensor::from_slice(&[0.5_f32, -0.25, 0.125, 1.0]).view([2, 2]);
        let optimizer = Optimizer::named(name).unwrap();
        let mut stepper = optimizer.start(&x);
        (0..20).for_each(|_| drop(stepper.step(&mut x, &mut High, 1.0)));
        let gain = host(&(stepper.lanes().best_objective() - 1e9));
        assert!(gain.iter().all(|&v| (0.0..0.01).contains(&v)), "{name}: {gain:?}");
        assert_eq!((x.kind(), stepper.lanes().best_x().kind()), (Kind::Float, Kind::Float));
    }
}

/// N long enough for libtorch to split sums among threads. Nothing here depends on where a row is
/// split: single products and sums are rounded alike everywhere, and whole rows are added in pieces
/// that no thread splits.
#[test]
fn the_number_of_threads_changes_nothing() {
    struct Wave;
    impl Objective for Wave {
        fn evaluate(&mut self, x: &Tensor) -> (Tensor, Tensor) {
            let square = x.square();
            (rows::sum(&(&square * &square + &square)), (square * 4.0 + 2.0) * x)
        }
    }
    let x = (Tensor::arange(70_001, (Kind::Float, Device::Cpu)) * 0.37).sin().unsqueeze(0);
    let with_threads = |threads: i32, name: &str| {
        tch::set_num_threads(threads);
        let config = serde_json::json!({ "name": name, "lr": 0.3, "clip": 3.0 });
        let (mut x, optimizer) = (x.copy(), serde_json::from_value::<Optimizer>(config).unwrap());
        let mut stepper = optimizer.start(&x);
        let seen: Vec<_> =
            (0..3).map(|_| host(&stepper.step(&mut x, &mut Wave, 1.0).grad_norm)).collect();
        tch::set_num_threads(1);
        (seen, host(&x))
    };
    for name in ["adam", "sgd", "lbfgs"] {
        assert!(with_threads(1, name) == with_threads(2, name), "{name}");
    }
}

/// A bowl around 0 that ends: beyond a lane's wall nothing is finite.
struct Cliff {
    walls: Tensor,
    in_gradient: bool,
}

impl Objective for Cliff {
    fn evaluate(&mut self, x: &Tensor) -> (Tensor, Tensor) {
        let beyond = x.abs().amax(1, true).gt_tensor(&self.walls);
        let value = x.square().sum_dim_intlist(1, false, None);
        let gradient = x.where_scalarother(&beyond.logical_not(), f64::NAN) * 2.0;
        if self.in_gradient {
            (value, gradient)
        } else {
            (value.masked_fill(&beyond.squeeze_dim(1), f64::NAN), gradient)
        }
    }
}

#[test]
fn a_lane_that_meets_nan_is_frozen_at_its_best_point_and_the_others_go_on() {
    for (config, in_gradient) in [("adam", false), ("adam", true), ("sgd", true), ("none", false)] {
        // A rate at which each step flings x across the bowl and further out.
        let config = match config {
            "none" => {
                serde_json::json!({
                    "name": "lbfgs", "line_search": "none", "lr": 3.0, "max_iter": 3
                })
            }
            "sgd" => serde_json::json!({ "name": "sgd", "lr": 1.2 }),
            _ => serde_json::json!({ "name": "adam", "lr": 2.5 }),
        };
        let optimizer: Optimizer = serde_json::from_value(config.clone()).unwrap();
        let walls = [[1.05], [1e9], [0.5]];
        let go = |chosen: &[usize]| {
            let walls: Vec<f64> = chosen.iter().map(|&t| walls[t][0]).collect();
            let mut x = Tensor::full([chosen.len() as i64, 2], 1.0, (Kind::Double, Device::Cpu));
            let mut stepper = optimizer.start(&x);
            let mut cliff = Cliff { walls: Tensor::from_slice(&walls).unsqueeze(1), in_gradient };
            (0..12).for_each(|_| drop(stepper.step(&mut x, &mut cliff, 1.0)));
            (x, stepper)
        };
        let (x, stepper) = go(&[0, 1, 2]);
        let lanes = stepper.lanes();
        assert_eq!(
            Vec::<bool>::try_from(lanes.diverged()).unwrap(),
            [true, false, true],
            "{config}"
        );
        assert_eq!(host(&x.get(0)), host(&lanes.best_x().get(0)), "{config}");
        let best = host(lanes.best_objective());
        assert!(best[0] <= 2.0 && best[1] <= 2.0 && best[2] == f64::INFINITY, "{config}: {best:?}");
        assert_eq!(host(&x.get(2)), [1.0, 1.0], "never finite: it stays at its start");
        assert_eq!(host(&x.get(1)), host(&go(&[1]).0), "{config}");
    }
}

/// The line search of L-BFGS walks back from such a cliff instead.
#[test]
fn the_line_search_survives_a_cliff() {
    let mut x = Tensor::from_slice(&[1.0, 0.9]).unsqueeze(0);
    let config = serde_json::json!({ "name": "lbfgs", "lr": 40.0 });
    let mut stepper = serde_json::from_value::<Optimizer>(config).unwrap().start(&x);
    let mut cliff = Cliff { walls: Tensor::from_slice(&[1.01]).unsqueeze(1), in_gradient: false };
    (0..3).for_each(|_| drop(stepper.step(&mut x, &mut cliff, 1.0)));
    assert!(host(&x).iter().all(|v| v.abs() < 1e-6), "{x:?}");
    assert!(!Vec::<bool>::try_from(stepper.lanes().diverged()).unwrap()[0]);
}

#[test]
fn a_stopped_lane_stays_where_it_is() {
    for name in ["adam", "adamw", "sgd", "lbfgs"] {
        let mut x = Tensor::from_slice(&[-1.2, 1.0, 0.4, 0.2]).view([2, 2]);
        let config = serde_json::json!({ "name": name, "lr": 1e-3, "weight_decay": 0.1 });
        let config = if name == "lbfgs" {
            serde_json::json!({ "name": name, "max_iter": 2 })
        } else {
            config
        };
        let mut stepper = serde_json::from_value::<Optimizer>(config).unwrap().start(&x);
        let mut objective = problem("rosenbrock-2");
        (0..3).for_each(|_| drop(stepper.step(&mut x, &mut objective, 1.0)));
        stepper.lanes_mut().stop(&Tensor::from_slice(&[true, false]));
        let (before, evaluations) = (host(&x), host(stepper.lanes().evaluations()));
        (0..3).for_each(|_| drop(stepper.step(&mut x, &mut objective, 1.0)));
        let (after, more) = (host(&x), host(stepper.lanes().evaluations()));
        assert!(
            before[..2] == after[..2] && before[2..] != after[2..],
            "{name}: {before:?} {after:?}"
        );
        assert!(evaluations[0] == more[0] && more[1] > evaluations[1], "{name}");
        assert_eq!(Vec::<bool>::try_from(stepper.lanes().stopped()).unwrap(), [true, false]);
        assert!(stepper.lanes().any_active());
    }
}

/// L-BFGS stops lanes at a vanishing gradient; the last point competes for the best when it is
/// shown.
#[test]
fn a_converged_lane_is_stopped() {
    let mut x = Tensor::from_slice(&[3.0, -2.0, 0.0, 0.0]).view([2, 2]);
    let mut stepper = Optimizer::named("lbfgs").unwrap().start(&x);
    let mut bowl =
        Cliff { walls: Tensor::from_slice(&[1e9, 1e9]).unsqueeze(1), in_gradient: false };
    stepper.step(&mut x, &mut bowl, 1.0);
    assert_eq!(Vec::<bool>::try_from(stepper.lanes().stopped()).unwrap(), [false, true]);
    assert!((stepper.lanes().best_objective().double_value(&[0]) - 13.0).abs() < 1e-12);
    let (value, _) = bowl.evaluate(&x);
    stepper.lanes_mut().consider(&x, &value);
    assert!(stepper.lanes().best_objective().double_value(&[0]) < 1e-12);
    stepper.step(&mut x, &mut bowl, 1.0);
    assert!(!stepper.lanes().any_active());
    assert_eq!(stepper.step(&mut x, &mut bowl, 1.0).evaluations, 1);
}

/// Where tolerances are measured against the start, scaling an objective by a power of two changes
/// no bit of the path, however small it gets; torch's absolute ones end it at once.
#[test]
fn relative_tolerances_do_not_see_an_objectives_scale() {
    struct Scaled(f64);
    impl Objective for Scaled {
        fn evaluate(&mut self, x: &Tensor) -> (Tensor, Tensor) {
            let (value, gradient) = problem("rosenbrock").evaluate(x);
            (value * self.0, gradient * self.0)
        }
    }
    let end = |relative: bool, scale: f64| {
        let config = LbfgsConfig { relative, ..LbfgsConfig::default() };
        let mut x = Tensor::from_slice(&[-1.2, 1.0, -0.5, 0.7]).view([1, 4]);
        let mut stepper = Optimizer::Lbfgs(config).start(&x);
        (0..10).for_each(|_| drop(stepper.step(&mut x, &mut Scaled(scale), 1.0)));
        host(&x)
    };
    let plain = end(true, 1.0);
    assert!(plain.iter().all(|v| (v - 1.0).abs() < 1e-4), "{plain:?}");
    for scale in [2f64.powi(-40), 2f64.powi(40)] {
        assert_eq!(end(true, scale), plain, "{scale:e}");
    }
    assert_eq!(end(false, 2f64.powi(-40)), [-1.2, 1.0, -0.5, 0.7]);
}

/// A projection between steps moves points: the pair of changes that is remembered is that of the
/// points, so that the search goes on from where it was put.
#[test]
fn lbfgs_goes_on_from_where_a_projection_put_it() {
    let n = 50;
    let mut x = Tensor::zeros([1, n], (Kind::Double, Device::Cpu));
    let mut stepper = Optimizer::Lbfgs(LbfgsConfig::default()).start(&x);
    let mut objective = problem("quadratic-50");
    for _ in 0..60 {
        stepper.step(&mut x, &mut objective, 1.0);
        x.copy_(&x.clamp(-0.5, 0.5));
    }
    let expected = Tensor::arange(n, (Kind::Double, Device::Cpu)).sin().clamp(-0.5, 0.5);
    let off = (&x.squeeze_dim(0) - expected).abs().max().double_value(&[]);
    assert!(off < 1e-3, "{off:e}");
}
