//! A captured round is a round of the federation whose accuracy and epsilon stand beside it; a bare
//! client has neither.

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;

use common::Desk;
use federation::randomness::Draws;
use federation::{Examples, Execution, Federation, Folder, Header, TrainingState};
use harness::scenario::{self, Cache, Scenario};
use harness::{Registries, capture, resolve};
use learning::{Params, checkpoint};
use record::{CellRecord, RoundRecord};
use suites::{CellSpec, FederationSpec, Named, Regime, Source, TrainSpec, Vantage};
use tch::Device;

/// The round that is attacked, of five.
const ROUND: usize = 2;

fn named(items: &[&str]) -> Vec<Named> {
    let item = |text: &&str| {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        rest.split(',').filter(|p| !p.is_empty()).fold(Named::new(name), |named, pair| {
            let (key, value) = pair.split_once('=').unwrap();
            named.with(key, value.parse::<f64>().unwrap())
        })
    };
    items.iter().map(item).collect()
}

/// Six clients with eight examples each, three of them a round.
fn training(source: Source, defenses: &[&str]) -> TrainSpec {
    let mut spec = TrainSpec::new("t", "digits", "mlp");
    spec.federation = FederationSpec::new(Regime::Federated);
    let f = &mut spec.federation;
    f.rounds = 5;
    (f.clients.total, f.clients.per_round, f.clients.examples) = (6, Some(3), Some(8));
    (f.local.batch_size, f.local.lr, f.local.momentum, f.local.epochs) = (4, 0.1, 0.5, 2);
    f.evaluation.examples = Some(64);
    spec.model.params.insert("hidden".into(), serde_json::json!([16]));
    (spec.source, spec.defenses, spec.seed) = (source, named(defenses), 5);
    let registries = federation::Registries::builtin();
    registries.spell_out(&mut spec.model, &mut spec.defenses).unwrap();
    spec
}

/// The cell that attacks a round of it.
fn cell(training: &TrainSpec, captures: usize) -> CellSpec {
    let mut spec = CellSpec::new("digits", "mlp", "idlg");
    (spec.task, spec.model) = (training.task.clone(), training.model.clone());
    (spec.federation, spec.source) = (training.federation.clone(), training.source);
    (spec.defenses, spec.seed) = (training.defenses.clone(), training.seed);
    spec.attack.params.insert("iterations".into(), 1.into());
    (spec.capture.round, spec.trials) = (ROUND, captures);
    if spec.source == Source::AggUpdate {
        spec.vantage = Vantage::Aggregate;
    }
    spec
}

/// `bench train` of it: its rounds, and the models before and after the attacked one.
fn trained(desk: &Desk, spec: &TrainSpec) -> (Vec<RoundRecord>, [Params; 2]) {
    let federation = federation::prepare(
        &federation::Registries::builtin(),
        spec,
        None,
        &AtomicBool::new(false),
    )
    .unwrap();
    let dir = desk.path("training");
    let header = Header {
        schema: String::new(),
        bench_version: String::new(),
        digest: federation.spec.digest(),
        spec: federation.spec.clone(),
        libtorch: String::new(),
        device: String::new(),
        machine: String::new(),
        processor: String::new(),
        elsewhere: Vec::new(),
        draws: Draws::Reproducible,
        threads: 1,
        resume: String::new(),
    };
    let (folder, never) = (Folder::open(&dir, header).unwrap(), AtomicBool::new(false));
    let execution =
        Execution { keep: vec![ROUND, ROUND + 1], ..Execution::quiet(Device::Cpu, &never) };
    let rounds = federation::train(&federation, &folder, &execution).unwrap().rounds;
    let model = |round: usize| {
        let path = dir.join(format!("checkpoints/round-{round:04}.safetensors"));
        let layout = federation.net.layout().clone();
        Params::from_named(layout, checkpoint::load(&path).unwrap()).unwrap()
    };
    (rounds, [model(ROUND), model(ROUND + 1)])
}

fn built(spec: &CellSpec) -> (resolve::ResolvedCell, Scenario) {
    tch::set_num_threads(1);
    let never = AtomicBool::new(false);
    let cell = resolve::resolve(&Registries::builtin(), spec, None).unwrap();
    let cell = cell.measured(&never).unwrap();
    let scenario = scenario::build(&cell, Device::Cpu, &Cache::default(), &never).unwrap();
    (cell, scenario)
}

fn bits(params: &Params) -> Vec<u32> {
    params.flat(0).into_iter().map(f32::to_bits).collect()
}

/// What the federation's own round releases from that state.
fn released(federation: &Federation, state: &TrainingState) -> Vec<u32> {
    let never = AtomicBool::new(false);
    let (plan, mut examples) = (federation.plan(state.round), Examples::new(federation));
    let execution = Execution::quiet(Device::Cpu, &never);
    let played = federation::play(federation, state, &plan, None, &mut examples, &execution);
    bits(&played.unwrap().unwrap().released.unwrap())
}

const SOURCES: [Source; 4] =
    [Source::Gradients, Source::OneStepUpdate, Source::LocalUpdate, Source::AggUpdate];

const DEFENSES: [&[&str]; 5] = [
    &[],
    &["secagg"],
    &["dp-central:epsilon=50,clip=0.5"],
    &["dp-sgd:epsilon=50"],
    &["prune:fraction=0.5", "dp-local:epsilon=500"],
];

#[test]
fn the_attacked_round_is_that_of_the_training() {
    for source in SOURCES {
        for defenses in DEFENSES {
            let what = format!("{source} behind {defenses:?}");
            let (desk, training) = (Desk::new(), training(source, defenses));
            let (rounds, [before, after]) = trained(&desk, &training);
            let (_, scenario) = built(&cell(&training, 1));
            assert!(bits(&scenario.state.weights) == bits(&before), "{what}: broadcast weights");
            let prepared = federation::prepare(
                &federation::Registries::builtin(),
                &training,
                None,
                &AtomicBool::new(false),
            )
            .unwrap();
            assert!(
                released(&scenario.federation, &scenario.state)
                    == released(&prepared, &scenario.state),
                "{what}: released mean"
            );
            let never = AtomicBool::new(false);
            let (mut state, mut examples) =
                (scenario.state.clone(), Examples::new(&scenario.federation));
            let execution = Execution::quiet(Device::Cpu, &never);
            federation::next(&scenario.federation, &mut state, &mut examples, &execution).unwrap();
            assert!(bits(&state.weights) == bits(&after), "{what}: weights after the round");

            let task: std::collections::BTreeMap<_, _> = scenario.task.iter().cloned().collect();
            assert_eq!(task["accuracy"], rounds[ROUND].metrics["accuracy"], "{what}");
            assert_eq!(task["trained_accuracy"], rounds[5].metrics["accuracy"], "{what}");
            assert_eq!(task["trained_rounds"], 5.0);
            let epsilon = scenario.federation.accounted().map(|(_, budget)| budget.epsilon);
            match (epsilon, rounds[5].epsilon) {
                (Some(ours), Some(theirs)) => {
                    assert!((ours / theirs - 1.0).abs() < 1e-6, "{what}: {ours} and {theirs}")
                }
                (ours, theirs) => assert_eq!(ours, theirs, "{what}"),
            }
        }
    }
}

#[test]
fn captures_are_replays_of_one_round_that_each_watch_another_client() {
    for source in SOURCES {
        let (cell, scenario) = built(&cell(&training(source, &[]), 4));
        let never = AtomicBool::new(false);
        let run = || capture::run(&cell, &scenario, Device::Cpu, &never, &|_| {}).unwrap();
        let (captured, again) = (run(), run());
        let signals = captured.truth.signals();
        assert_eq!(signals, again.truth.signals(), "{source}: the same each time");
        let each = match source {
            Source::Gradients | Source::OneStepUpdate => 4,
            Source::LocalUpdate => 8,
            Source::AggUpdate => 24,
        };
        for (n, signal) in signals.iter().enumerate() {
            assert_eq!(signal.ids.len(), each, "{source}");
            let clients: BTreeSet<usize> = signal.clients.iter().copied().collect();
            assert!(clients.contains(&n), "{source}: replay {n} watches client {n}");
            assert_eq!(clients.len(), if source == Source::AggUpdate { 3 } else { 1 });
            for (id, client) in signal.ids.iter().zip(&signal.clients) {
                assert!(scenario.federation.parts[*client].contains(id), "its own examples");
            }
            for (id, label) in signal.ids.iter().zip(&signal.labels) {
                let own =
                    scenario.federation.data.batch(scenario.federation.spec.task.split, &[*id]);
                assert_eq!(own.unwrap().y.int64_value(&[0]), *label);
            }
        }
    }
}

#[test]
fn what_cannot_be_captured_is_refused() {
    let said = |change: &dyn Fn(&mut CellSpec)| {
        let mut spec = cell(&training(Source::AggUpdate, &[]), 2);
        change(&mut spec);
        let cell = resolve::resolve(&Registries::builtin(), &spec, None).unwrap();
        scenario::check(cell).unwrap_err().to_string()
    };
    let line = said(&|s| s.federation.clients.per_round = None);
    assert!(line.starts_with("trials: every client takes part"), "{line}");
    let line = said(&|s| (s.source, s.trials, s.vantage) = (Source::Gradients, 7, Vantage::Server));
    assert!(line.starts_with("trials: 7 captures watch a client each"), "{line}");
    let line = said(&|s| {
        s.federation.clients.examples = None;
        s.federation.clients.partition = suites::Partition::Dirichlet { alpha: 1.0 };
    });
    assert!(line.starts_with("federation.clients.examples: clients work on"), "{line}");
}

#[test]
fn a_bare_row_carries_no_accuracy_and_no_epsilon() {
    let desk = Desk::new();
    let suite = r#"[suite]
name = "bare"
version = "1"
description = "bare and deployed"
[defaults]
task = "digits"
model = { name = "mlp", params = { hidden = [16] } }
attack = { name = "idlg", iterations = 1 }
[matrix]
federation = [
  "bare",
  { regime = "federated", rounds = 2, clients.total = 3, local.batch_size = 2 },
]
defenses = ["dp-local", "dp-sgd"]
"#;
    desk.write("bare.toml", suite);
    desk.bench(&["suite", "bare.toml", "--device", "cpu", "--json", "--jobs", "1", "--out", "run"])
        .ok();
    let records = record::store::read_records(&desk.path("run")).unwrap();
    assert_eq!(records.len(), 4);
    for record in &records {
        let bare = record.spec.federation.is_bare();
        let epsilons = |r: &CellRecord| {
            let values = r.defenses.iter().flat_map(|d| d.values.keys());
            values.filter(|name| name.contains("epsilon")).count()
        };
        assert_eq!(record.task.is_empty(), bare, "{:?}", record.task);
        assert_eq!(epsilons(record) == 0, bare, "{:?}", record.defenses);
        assert_eq!(record.defenses[0].claim.starts_with("no guarantee"), bare);
        assert!(record.signals.iter().all(|s| s.ids.len() == if bare { 1 } else { 2 }));
    }
}
