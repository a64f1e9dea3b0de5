//! Clipping norms that are a quantile on public data: what they are measured on, and what for.

use std::sync::atomic::AtomicBool;

use defenses::dp::Clip;
use harness::resolve::{self, ResolvedCell};
use harness::scenario::{self, Cache};
use harness::{HarnessError, Registries, capture};
use learning::Signal;
use serde_json::json;
use suites::{CellSpec, Named, Source, Split};
use tch::Device;

fn spec(defense: Option<&str>, quantile: f64) -> CellSpec {
    let mut spec = CellSpec::new("digits", "lenet-zhu", "idlg");
    spec.source = Source::Gradients;
    spec.trials = 64;
    let clip = json!({ "public_quantile": quantile });
    spec.defenses.extend(defense.map(|name| Named::new(name).with("clip", clip)));
    spec
}

fn resolved(spec: &CellSpec) -> Result<ResolvedCell, HarnessError> {
    tch::set_num_threads(1);
    resolve::resolve(&Registries::builtin(), spec, None)?.measured(&AtomicBool::new(false))
}

/// What the captured gradients measure, ascending, and what the defenses print.
fn captured(spec: &CellSpec) -> (Vec<f64>, std::collections::BTreeMap<String, f64>) {
    let (cell, never) = (resolved(spec).unwrap(), AtomicBool::new(false));
    let scenario = scenario::build(&cell, Device::Cpu, &Cache::default(), &never).unwrap();
    let found = capture::run(&cell, &scenario, Device::Cpu, &never, &|_| ()).unwrap();
    let (Signal::Gradient(signal) | Signal::Update(signal)) = &found.observation.signal;
    let mut norms = Vec::<f64>::try_from(signal.norm().to_kind(tch::Kind::Double)).unwrap();
    norms.sort_by(f64::total_cmp);
    (norms, found.values.first().cloned().unwrap_or_default())
}

/// The adversary's public pictures are those of the validation split: half of their gradients are
/// within the bound, and about half of the clients' as well.
#[test]
fn the_bound_is_the_quantile_of_public_norms() {
    let mut public = spec(None, 0.5);
    public.task.split = Split::Val;
    let (norms, _) = captured(&public);
    let (own, _) = captured(&spec(None, 0.5));
    for (quantile, defense) in [(0.5, "dp-local"), (0.9, "dp-local"), (0.5, "dp-sgd")] {
        let (_, printed) = captured(&spec(Some(defense), quantile));
        let bound = printed["clip"];
        let share = |norms: &[f64]| {
            norms.iter().filter(|n| **n <= bound).count() as f64 / norms.len() as f64
        };
        assert!((share(&norms) - quantile).abs() < 0.15, "{defense} {quantile}: {bound} {norms:?}");
        assert!((share(&own) - quantile).abs() < 0.2, "{defense} {quantile}: {bound} {own:?}");
    }
}

#[test]
fn the_attacked_examples_move_no_bound_and_a_number_stays_one() {
    let bound = |spec: &CellSpec| {
        let cell = resolved(spec).unwrap();
        cell.pipeline.defenses[0].spelled_out()["clip"].as_f64().unwrap()
    };
    let asked = spec(Some("dp-local"), 0.5);
    let fewer = CellSpec { trials: 3, ..asked.clone() };
    assert_eq!(bound(&asked), bound(&fewer));
    let mut number = asked.clone();
    number.defenses = vec![Named::new("dp-local").with("clip", 0.25)];
    assert_eq!(bound(&number), 0.25);
    assert_eq!(number.defenses[0].params["clip"], json!(Clip::Bound(0.25)));
    assert_eq!(resolved(&asked).unwrap().spec.defenses[0].params["clip"]["public_quantile"], 0.5);
}
