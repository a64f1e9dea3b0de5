//! The adversary's own round: it shares neither examples nor draws with the attacked one, and knows
//! nothing of it but what everybody knows.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use attacks::Calibration;
use federation::init::public_split;
use harness::cell::{self, Context};
use harness::resolve::{self, ResolvedCell};
use harness::scenario::{self, Cache, Scenario};
use harness::{Registries, rehearsal};
use learning::Signal;
use metrics::{Panel, Setup};
use record::Outcome;
use suites::{CellSpec, Fact, FlagKind, Named, Source};
use tch::{Device, Kind, Tensor};

const PUBLIC: usize = 3;

fn spec(source: Source) -> CellSpec {
    let mut spec = CellSpec::new("digits", "mlp", "strongest");
    spec.model.params.insert("hidden".into(), serde_json::json!([16]));
    spec.attack = Named::new("strongest")
        .with("iterations", 60)
        .with("restarts", 1)
        .with("calibration", 300)
        .with("public", PUBLIC)
        .with("tv_weights", serde_json::json!([0.0]));
    let noise = Named::new("gaussian-noise").with("std", 0.01).with("unit", "rms");
    (spec.defenses, spec.source, spec.trials) = (vec![noise], source, 2);
    spec.federation.local.lr = 0.1;
    spec.facts.push(Fact::Labels);
    spec
}

fn scene(spec: &CellSpec) -> (ResolvedCell, Scenario) {
    tch::set_num_threads(1);
    let cell = resolve::resolve(&Registries::builtin(), spec, None).unwrap();
    let never = AtomicBool::new(false);
    let scenario = scenario::build(&cell, Device::Cpu, &Cache::default(), &never).unwrap();
    (cell, scenario)
}

fn context<V>(of: impl FnOnce(&Context) -> V) -> V {
    let (registries, cache) = (Registries::builtin(), Cache::default());
    let panel = Panel::with(&["psnr"], &Setup::new(None, Device::Cpu)).unwrap();
    of(&Context {
        registries: &registries,
        data_root: None,
        run_dir: None,
        device: Device::Cpu,
        panel: &panel,
        cache: &cache,
        cancel: &AtomicBool::new(false),
        progress: &|_| (),
        say: &|_| (),
    })
}

fn rehearsed(cell: &ResolvedCell, scenario: &Scenario) -> Calibration {
    context(|context| rehearsal::play(cell, scenario, PUBLIC, context)).unwrap().unwrap()
}

fn bits(of: &Calibration) -> Vec<Vec<u32>> {
    let (Signal::Gradient(signal) | Signal::Update(signal)) = &of.seen.signal;
    let tensors = signal.tensors.iter().chain([&of.truth]).chain(&of.seen.known.labels);
    let host = |t: &Tensor| Vec::<f32>::try_from(t.to_kind(Kind::Float).flatten(0, -1)).unwrap();
    tensors.map(|t| host(t).into_iter().map(f32::to_bits).collect()).collect()
}

#[test]
fn a_rehearsal_has_examples_and_draws_of_its_own() {
    let (cell, scenario) = scene(&spec(Source::Gradients));
    let own = &scenario.federation;
    let attacked = own.spec.task.split;
    let public = public_split(cell.data.as_ref(), attacked).unwrap();
    assert_ne!(public, attacked);
    let all: Vec<_> = (0..PUBLIC).map(|n| own.rehearsal(public, n).unwrap()).collect();
    let pictures: BTreeSet<usize> = all.iter().flat_map(|f| f.parts.concat()).collect();
    let each = own.parts.len() * own.examples_of(0);
    assert_eq!(pictures.len(), PUBLIC * each, "no picture twice while there are enough");
    let keys = all.iter().map(|f| f.config()).chain([own.config()]);
    let keys: BTreeSet<_> = keys.flat_map(|c| [c.key.to_owned(), c.secrets.to_owned()]).collect();
    assert_eq!(keys.len(), 2 * (PUBLIC + 1), "batches, noise and masks hang on these");
    assert!(all.iter().all(|f| f.spec.task.split == public && f.deployment == own.deployment));
    let said = own.rehearsal(attacked, 0).err().unwrap().to_string();
    assert!(said.contains("none may be its own") && !said.contains('\n'), "{said}");
}

/// Other attacked images in the same federation leave every bit of the calibration as it was;
/// another seed does not.
#[test]
fn what_was_attacked_decides_nothing() {
    for source in [Source::Gradients, Source::LocalUpdate] {
        let (cell, mut scenario) = scene(&spec(source));
        let before = bits(&rehearsed(&cell, &scenario));
        scenario.federation.parts.iter_mut().for_each(|part| part.reverse());
        assert_eq!(bits(&rehearsed(&cell, &scenario)), before, "{source}");
        let (cell, other) = scene(&CellSpec { seed: 1, ..spec(source) });
        assert_ne!(bits(&rehearsed(&cell, &other)), before, "{source}");
    }
}

#[test]
fn the_record_says_what_was_chosen_on_what_and_what_it_cost() {
    let run = |spec: &CellSpec| context(|context| cell::run(spec, context)).unwrap().unwrap();
    let record = run(&spec(Source::Gradients));
    assert_eq!(record.outcome, Outcome::Done);
    let note = record.images[0].flags.iter().find(|f| f.is(FlagKind::Adapted)).unwrap();
    assert!(note.to_string().contains("on 3 public batches"), "{note}");
    // Three public signals for two attacked ones, each with most of the 300 evaluations.
    assert!(record.cost.gradient_evaluations > 300, "{}", record.cost.gradient_evaluations);
    assert!(record.wall.phases.contains_key("calibration"));
    // A batch that the public split cannot fill: said, and no failure.
    let mut large = spec(Source::Gradients);
    (large.task.split, large.trials) = (suites::Split::Train, 1);
    let (cell, scenario) = scene(&large);
    let split = public_split(cell.data.as_ref(), large.task.split).unwrap();
    large.federation.local.batch_size = cell.data.len(split) + 1;
    drop(scenario);
    let (cell, scenario) = scene(&large);
    let why = context(|context| rehearsal::play(&cell, &scenario, 1, context)).unwrap();
    assert!(why.err().unwrap().contains("no rehearsal on split"));
}

/// The choice is that of fresh weights of seed 0: whoever asks first, and whatever else a run has,
/// a cell's record is the same.
#[test]
fn no_cell_depends_on_who_chose_first() {
    let with = |specs: &[CellSpec]| {
        let cache = Cache::default();
        let one = |spec: &CellSpec| {
            context(|context| cell::run(spec, &Context { cache: &cache, ..*context })).unwrap()
        };
        let records = specs.iter().map(|spec| one(spec).unwrap());
        let mut scores: Vec<_> = records.map(|r| (r.spec.seed, r.images, r.cost)).collect();
        scores.pop().unwrap()
    };
    let cells = |seed| CellSpec { seed, ..spec(Source::Gradients) };
    let alone = with(&[cells(1)]);
    assert_eq!(with(&[cells(0), cells(1)]), alone, "a choice of seed 0's own cell");
    assert_eq!(with(&[cells(2), cells(1)]), alone, "a choice that another seed asked for");
    assert_ne!(with(&[cells(2)]).1, alone.1);
}

#[test]
fn batch_norm_of_one_value_is_not_applicable_before_the_round() {
    let why = |batch: usize, mode: suites::BatchNorm| {
        let mut spec = CellSpec::new("digits", "resnet18", "idlg");
        spec.model.params.insert("stem".into(), serde_json::json!("cifar"));
        (spec.model.batch_norm, spec.federation.local.batch_size) = (mode, batch);
        let cell = resolve::resolve(&Registries::builtin(), &spec, None).unwrap();
        cell.not_applicable()
    };
    let told = why(1, suites::BatchNorm::Train).unwrap();
    assert!(told.contains("one value a channel") && told.contains("batch_norm"), "{told}");
    assert_eq!(why(2, suites::BatchNorm::Train), None);
    assert_eq!(why(1, suites::BatchNorm::Eval), None);
}
