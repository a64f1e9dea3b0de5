//! Examples that a client transforms, on photographs: what the record says of an attack that knows
//! the policy and of one that does not, plainly and registered.

use std::sync::atomic::AtomicBool;

use harness::Registries;
use harness::cell::{self, Context};
use harness::scenario::Cache;
use metrics::{Panel, Setup, registered};
use record::{CellRecord, Outcome};
use suites::{CellSpec, FlagKind, Named, Source};
use tch::Device;

/// Pictures of the test split.
const PICTURES: usize = 8;

fn spec(attack: Named, defense: Option<&str>, seed: u64) -> CellSpec {
    let mut spec = CellSpec::new("photos", "lenet-zhu", "dlg");
    (spec.attack, spec.trials, spec.seed) = (attack, PICTURES, seed);
    spec.task.size = Some(16);
    spec.model.init = suites::Init::DlgUniform;
    spec.defenses = defense.map(Named::new).into_iter().collect();
    spec
}

fn run(spec: &CellSpec) -> CellRecord {
    tch::set_num_threads(1);
    let (registries, cache, never) =
        (Registries::builtin(), Cache::default(), AtomicBool::new(false));
    let panel = Panel::with(&["mse", "psnr"], &Setup::new(None, Device::Cpu)).unwrap();
    let context = Context {
        registries: &registries,
        data_root: None,
        run_dir: None,
        device: Device::Cpu,
        panel: &panel,
        cache: &cache,
        cancel: &never,
        progress: &|_| (),
        say: &|_| (),
    };
    let record = cell::run(spec, &context).unwrap().unwrap();
    assert!(matches!(record.outcome, Outcome::Done), "{:?}", record.outcome);
    record
}

/// Mean of a score over the images of several records, each capped at 60 dB.
fn mean(records: &[CellRecord], score: &str) -> f64 {
    let all = records.iter().flat_map(|r| r.scores(score)).map(|v| v.unwrap().min(60.0));
    all.sum::<f64>() / (records.len() * PICTURES) as f64
}

/// Eight photographs under two draws each of weights and policies.
#[test]
fn an_attack_that_knows_the_policy_beats_one_that_does_not() {
    let adaptive = || Named::new("adaptive-matching").with("iterations", 800).with("restarts", 1);
    let unaware = Named::new("idlg").with("iterations", 32);
    let strongest = Named::new("strongest")
        .with("iterations", 800)
        .with("restarts", 1)
        .with("calibration", 800)
        .with("public", 4)
        .with("tv_weights", serde_json::json!([0.0, 1e-2]));
    let both =
        |attack: Named, defense| [0, 1].map(|seed| run(&spec(attack.clone(), defense, seed)));
    let none = both(adaptive(), None);
    println!("undefended {:.2} dB", mean(&none, "psnr"));
    let mut scores = Vec::new();
    for attack in [unaware, adaptive(), strongest] {
        let name = attack.name.clone();
        let found = both(attack, Some("ats"));
        let [plain, aligned] = ["psnr", registered::NAMES[0]].map(|score| mean(&found, score));
        let similar = mean(&found, registered::NAMES[1]);
        println!("{name}: {plain:.2} dB, registered {aligned:.2} dB, SSIM {similar:.3}");
        let told = found.iter().flat_map(|r| &r.images).all(|image| {
            image.flags.iter().any(|f| f.to_string().contains("policies of ats undone"))
        });
        assert_eq!(told, name != "idlg", "{name}: {:?}", found[0].images[0].flags);
        scores.push([plain, aligned]);
    }
    let [unaware, adaptive, strongest] = scores[..] else { unreachable!() };
    // Registered, the transformed picture is as good: what left the frame does not count there, and
    // what an attack fills in for it does.
    assert!(adaptive[0] > unaware[0] + 3.0 && strongest[0] > unaware[0] + 8.0, "{scores:?}");
    assert!(unaware[1] > unaware[0] + 15.0 && strongest[1] > strongest[0], "{scores:?}");
}

/// An update of examples that were shifted and mirrored at random is scored against the best shift
/// and mirror image, and so are the baselines beside it.
#[test]
fn augmented_examples_are_scored_registered() {
    let mut spec = spec(Named::new("idlg").with("iterations", 32), None, 0);
    (spec.source, spec.federation.local.lr) = (Source::OneStepUpdate, 0.1);
    spec.facts.push(suites::Fact::LearningRate);
    let plain = run(&spec);
    assert!(plain.images.iter().all(|i| !i.scores.contains_key(registered::NAMES[0])));
    spec.federation.local.augment = true;
    let record = [run(&spec)];
    let [plain, aligned] = ["psnr", registered::NAMES[0]].map(|score| mean(&record, score));
    println!("augmented: {plain:.2} dB, registered {aligned:.2} dB");
    assert!(aligned > plain + 5.0, "{plain} dB, registered {aligned} dB");
    let augmented = record[0].flags.iter().filter(|f| f.is(FlagKind::Augmented));
    assert_eq!(augmented.count(), PICTURES, "{:?}", record[0].flags);
    for (name, rows) in &record[0].baselines {
        assert!(rows.iter().all(|s| s.contains_key(registered::NAMES[0])), "{name}");
    }
}
