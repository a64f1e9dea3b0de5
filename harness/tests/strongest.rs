//! The verdict's attacker is never weaker than an attack that anybody could have run instead: for
//! every registered defense `strongest` recovers at least what the best single attack does, less
//! half a decibel, in the mean over sixteen images. An attack that does not beat the best null
//! baseline has recovered nothing that the portfolio could be behind of.

use std::sync::atomic::AtomicBool;

use harness::Registries;
use harness::cell::{self, Context};
use harness::scenario::Cache;
use metrics::{Panel, Setup};
use record::{CellRecord, Outcome};
use suites::{CellSpec, Named, Source, Vantage};
use tch::Device;

const IMAGES: usize = 16;
/// By how much the portfolio may stay behind the best single attack, in dB.
const MARGIN: f64 = 0.5;

/// Sixteen images behind one defense, seen by whoever it defends against.
fn defended(defense: &str) -> CellSpec {
    let mut spec = CellSpec::new("digits", "lenet-zhu", "strongest");
    spec.model.init = suites::Init::DlgUniform;
    spec.federation.local.lr = 0.1;
    let batch = match defense {
        "mixup" => 2,
        "instahide" => 4,
        _ => 1,
    };
    let clients = if matches!(defense, "dp-central" | "dp-distributed") { 2 } else { 1 };
    (spec.federation.local.batch_size, spec.federation.clients.total) = (batch, clients);
    spec.trials = IMAGES / (batch * clients);
    spec.defenses = vec![Named::new(defense)];
    if clients > 1 {
        spec.source = Source::AggUpdate;
        spec.vantage = Vantage::Aggregate;
    }
    if defense == "dp-distributed" {
        spec.defenses.push(Named::new("secagg"));
    }
    spec
}

/// Every attack that reads the signal, with as many evaluations as the portfolio spends on its
/// final attack, or fewer.
fn singles() -> Vec<Named> {
    let first_order = |name: &str| Named::new(name).with("iterations", 300).with("restarts", 1);
    let names = ["inverting-gradients", "inverting-gradients-cli", "breaching-modern", "fl-attack"];
    let mut all: Vec<Named> = names.into_iter().map(first_order).collect();
    all.push(Named::new("adaptive-matching").with("iterations", 300).with("restarts", 1));
    all.extend(["dlg", "idlg"].map(|name| Named::new(name).with("iterations", 12)));
    all.extend(["analytic", "feature-inversion"].map(Named::new));
    all
}

fn strongest() -> Named {
    Named::new("strongest")
        .with("iterations", 2000)
        .with("restarts", 2)
        .with("calibration", 1200)
        .with("public", 4)
}

fn run(spec: &CellSpec, cache: &Cache) -> CellRecord {
    let registries = Registries::builtin();
    let panel = Panel::with(&["mse", "psnr"], &Setup::new(None, Device::Cpu)).unwrap();
    let never = AtomicBool::new(false);
    let context = Context {
        registries: &registries,
        data_root: None,
        run_dir: None,
        device: Device::Cpu,
        panel: &panel,
        cache,
        cancel: &never,
        progress: &|_| (),
        say: &|_| (),
    };
    cell::run(spec, &context).unwrap().unwrap()
}

/// Mean PSNR in dB, each image capped at 60; `None` where the attack does not apply.
fn mean_psnr(record: &CellRecord) -> Option<f64> {
    match &record.outcome {
        Outcome::Done => {}
        Outcome::NotApplicable { .. } => return None,
        Outcome::Failed { stage, message } => panic!("{stage}: {message}"),
    }
    let scores: Vec<f64> =
        record.scores("psnr").into_iter().map(|v| v.unwrap().min(60.0)).collect();
    assert_eq!(scores.len(), IMAGES);
    Some(scores.iter().sum::<f64>() / IMAGES as f64)
}

/// Mean PSNR of the best baseline that needs no truth.
fn floor(record: &CellRecord) -> f64 {
    let free = record.baselines.iter().filter(|(name, _)| *name != metrics::baselines::ORACLE);
    let mean = |rows: &Vec<record::Scores>| {
        rows.iter().filter_map(|s| s["psnr"]).sum::<f64>() / rows.len() as f64
    };
    free.map(|(_, rows)| mean(rows)).fold(f64::NEG_INFINITY, f64::max)
}

fn holds(defenses: &[&str]) {
    tch::set_num_threads(1);
    let mut behind = Vec::new();
    for defense in defenses {
        let (spec, cache) = (defended(defense), Cache::default());
        let with = |attack: Named| {
            let mut spec = spec.clone();
            spec.attack = attack;
            run(&spec, &cache)
        };
        let record = with(strongest());
        let own = mean_psnr(&record).unwrap();
        println!("{defense}: strongest {own:.2} dB ({:.0} s)", record.wall.seconds);
        println!("  {:?}", record.images[0].flags);
        for attack in singles() {
            let name = attack.name.clone();
            let record = with(attack);
            let Some(single) = mean_psnr(&record) else { continue };
            println!("  {name} {single:.2} dB ({:.0} s)", record.wall.seconds);
            if single > floor(&record) && own < single - MARGIN {
                behind.push(format!("{defense}: strongest {own:.2} dB, {name} {single:.2} dB"));
            }
        }
    }
    assert!(behind.is_empty(), "{behind:#?}");
}

/// All defenses are dealt over the tests below, so that they run side by side.
fn part(n: usize) -> Vec<&'static str> {
    let names = defenses::ENTRIES.iter().map(|entry| entry.name);
    names.skip(n).step_by(PARTS).collect()
}

const PARTS: usize = 2;

#[test]
fn the_portfolio_is_no_weaker_than_any_attack_on_one_half_of_the_defenses() {
    holds(&part(0));
}

#[test]
fn nor_on_the_other() {
    holds(&part(1));
}
