//! Rule 1: nothing that an attack does depends on the true batch, except through what was captured.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use attacks::{AttackError, Reconstruction, Run};
use harness::Registries;
use harness::capture::{self, Captured};
use harness::resolve::{self, ResolvedCell};
use harness::scenario::{self, Cache, Scenario};
use learning::Signal;
use rand::RngCore;
use suites::rng::{AttackSeed, stream};
use suites::{CellSpec, Fact, Init, Named, Source, Vantage};
use tch::{Device, Kind, Tensor};

const SOURCES: [Source; 4] =
    [Source::Gradients, Source::OneStepUpdate, Source::LocalUpdate, Source::AggUpdate];

/// A network that is flat after its first layer, and one with convolutions: every attack applies to
/// one of them.
const MODELS: [&str; 2] = ["mlp", "lenet-zhu"];

/// Whatever an attack counts its work by, kept short. What it does not know is not set.
const SHORT: [(&str, usize); 5] = [
    ("iterations", 2),
    ("restarts", 2),
    ("feature_iterations", 3),
    ("refine_iterations", 2),
    ("patience", 3),
];

fn spec(attack: &str, source: Source, model: &str, labels_known: bool, seed: u64) -> CellSpec {
    let mut spec = CellSpec::new("digits", model, attack);
    spec.model.init = Init::DlgUniform;
    (spec.source, spec.trials, spec.seed) = (source, 2, seed);
    (spec.federation.clients.total, spec.federation.local.lr) =
        (if source == Source::AggUpdate { 2 } else { 1 }, 0.1);
    if labels_known {
        spec.facts.push(Fact::Labels);
    }
    let defaults =
        (suites::find("attack", attacks::ENTRIES, attack).unwrap().build)(&spec.attack.params)
            .unwrap()
            .spelled_out();
    for (key, value) in SHORT {
        if defaults.contains_key(key) {
            spec.attack.params.insert(key.into(), value.into());
        }
    }
    spec
}

struct Scene {
    cell: ResolvedCell,
    scenario: Scenario,
}

fn scene(spec: &CellSpec) -> Scene {
    tch::set_num_threads(1); // tiny tensors: more threads only wait for each other
    let cell = resolve::resolve(&Registries::builtin(), spec, None).unwrap();
    let never = AtomicBool::new(false);
    let scenario = scenario::build(&cell, Device::Cpu, &Cache::default(), &never).unwrap();
    Scene { cell, scenario }
}

fn catch(scene: &Scene) -> Captured {
    let never = AtomicBool::new(false);
    capture::run(&scene.cell, &scene.scenario, Device::Cpu, &never, &|_| {}).unwrap()
}

fn reconstruct(scene: &Scene, captured: &Captured) -> Result<Reconstruction, AttackError> {
    let key = scene.cell.spec.attack_key();
    let (cancel, progress) = (AtomicBool::new(false), |_| {});
    let run = Run {
        seed: AttackSeed::new(scene.cell.spec.seed),
        key: &key,
        device: Device::Cpu,
        cancel: &cancel,
        progress: &progress,
    };
    scene.cell.attack.reconstruct(&captured.observation, &run)
}

/// Puts other examples in the truth's place, in the very memory that it lay in: a view that leaked
/// would see it, too. What the clients hold is exchanged with it.
fn swap(captured: &mut Captured, scene: &mut Scene, other: Scene) {
    let truth = catch(&other).truth;
    assert_ne!(captured.truth.ids, truth.ids, "the other batch must be another one");
    captured.truth.pixels.copy_(&truth.pixels);
    captured.truth.labels.copy_(&truth.labels);
    captured.truth = truth;
    scene.scenario.federation.parts = other.scenario.federation.parts;
}

fn bits(t: &Tensor) -> Vec<u32> {
    let flat = t.to_kind(Kind::Float).contiguous().flatten(0, -1);
    Vec::<f32>::try_from(flat).unwrap().into_iter().map(f32::to_bits).collect()
}

fn signal(captured: &Captured) -> Vec<Vec<u32>> {
    match &captured.observation.signal {
        Signal::Gradient(p) | Signal::Update(p) => p.tensors.iter().map(bits).collect(),
    }
}

#[track_caller]
fn identical(a: &Reconstruction, b: &Reconstruction, what: &str) {
    assert_eq!(bits(&a.pixels), bits(&b.pixels), "{what}: pixels");
    let labels = |r: &Reconstruction| r.labels.as_ref().map(bits);
    assert_eq!(labels(a), labels(b), "{what}: labels");
    let sure = |r: &Reconstruction| r.certainty.as_ref().map(bits);
    assert_eq!(sure(a), sure(b), "{what}: certainty");
    let exact = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    assert_eq!(exact(&a.objective), exact(&b.objective), "{what}: objective");
    let trace =
        |r: &Reconstruction| r.trace.iter().map(|(i, o)| (*i, exact(o))).collect::<Vec<_>>();
    assert_eq!(trace(a), trace(b), "{what}: trace");
    let rest = |r: &Reconstruction| (r.evaluations, r.iterations, r.restarts, r.flags.clone());
    assert_eq!(rest(a), rest(b), "{what}: cost or flags");
}

/// Whether the attack applies to this model and source; if so, the law is demanded of it.
fn holds(attack: &str, source: Source, model: &str, labels_known: bool) -> bool {
    let what = format!("{attack} on {source} of {model}, labels known: {labels_known}");
    demanded(&what, &|seed| spec(attack, source, model, labels_known, seed))
}

/// Whether the cell is applicable; if so, swaps its world for that of another seed: other images
/// and labels of the same shapes.
fn demanded(what: &str, spec: &dyn Fn(u64) -> CellSpec) -> bool {
    let mut scene = scene(&spec(1));
    if scene.cell.not_applicable().is_some() {
        return false;
    }
    let mut captured = catch(&scene);
    let before = match reconstruct(&scene, &captured) {
        Ok(found) => found,
        Err(AttackError::NotApplicable(_)) => return false,
        Err(error) => panic!("{what}: {error}"),
    };
    swap(&mut captured, &mut scene, self::scene(&spec(2)));
    let after = reconstruct(&scene, &captured).unwrap();
    identical(&before, &after, what);

    // The same swap before the capture does change what is captured, and the result: the law above
    // is no accident.
    let caught = catch(&scene);
    assert_ne!(signal(&captured), signal(&caught), "{what}");
    // Two steps from the noise of masked words need not differ, though their low bits do.
    let told = |r: &Reconstruction| (bits(&r.pixels), r.labels.as_ref().map(bits));
    // Shares of public classes are the same in every world.
    if scene.cell.spec.defenses.is_empty() && !scene.cell.attack.reads_class_shares() {
        assert_ne!(told(&before), told(&reconstruct(&scene, &caught).unwrap()), "{what}");
    }
    true
}

#[test]
fn the_truth_swapped_after_the_capture_changes_no_bit() {
    for entry in attacks::ENTRIES {
        // One that asks for the labels is granted them: they are of the capture, and stay when the
        // truth is swapped.
        let asks = (entry.build)(&Default::default()).unwrap().needs().contains(&Fact::Labels);
        for source in SOURCES {
            let start = std::time::Instant::now();
            let applied =
                MODELS.into_iter().filter(|model| holds(entry.name, source, model, asks)).count();
            println!(
                "{} on {source}: {applied} of {} models, {:?}",
                entry.name,
                MODELS.len(),
                start.elapsed()
            );
            // An average over clients hides what some attacks need of a single example.
            assert!(
                applied > 0 || source == Source::AggUpdate,
                "{} applies to no model on {source}",
                entry.name
            );
        }
    }
}

/// Every way to read labels, from gradients and updates; of several labels an example too.
#[test]
fn no_method_of_label_recovery_sees_the_truth() {
    for method in attacks::labels::Method::ALL.map(attacks::labels::Method::name) {
        let method = method.as_str();
        let mut applied = 0;
        for source in [Source::Gradients, Source::LocalUpdate] {
            let world = |seed| {
                let mut spec = spec("labels", source, "mlp", false, seed);
                spec.attack.params.insert("method".into(), method.into());
                if method == "signs" {
                    let several = CellSpec::new("synthfaces", "mlp", "labels");
                    spec.task = several.task;
                    (spec.task.label, spec.task.size) = (Some("attributes".into()), Some(16));
                }
                (spec.federation.local.batch_size, spec.federation.local.epochs) = (8, 2);
                spec
            };
            applied += usize::from(demanded(&format!("labels by {method} on {source}"), &world));
        }
        assert!(applied > 0, "{method} applies to nothing");
    }
}

/// Protocols and defenses see clients' updates, colluders' secrets and every client's examples:
/// none of it may reach the attack by another way.
#[test]
fn the_law_holds_behind_every_defense() {
    let line = |names: &[&str]| -> Vec<Named> {
        let item = |name: &&str| match name.split_once(':') {
            None => Named::new(*name),
            Some((name, param)) => {
                let (key, value) = param.split_once('=').unwrap();
                let mut named = Named::new(name);
                let value = value.parse::<f64>().map_or_else(|_| value.into(), Into::into);
                named.params.insert(key.into(), value);
                named
            }
        };
        names.iter().map(item).collect()
    };
    let lines = [
        line(&["secagg"]),
        line(&["ckks"]),
        line(&["ckks:key=shared"]),
        line(&["dp-local"]),
        line(&["dp-sgd"]),
        line(&["dp-distributed", "secagg"]),
        line(&["prune", "secagg", "dp-central"]),
        line(&["soteria"]),
        line(&["ats"]),
        line(&["mixup"]),
        line(&["instahide"]),
    ];
    let mut applied = 0;
    for defenses in &lines {
        for source in SOURCES {
            for vantage in [Vantage::Server, Vantage::Colluding { k: 1 }, Vantage::KeyHolder] {
                let names: Vec<_> = defenses.iter().map(|d| d.name.as_str()).collect();
                let what = format!("{} on {source} from {vantage}", names.join(" then "));
                let spec = |seed| {
                    let mut spec = spec("adaptive-matching", source, "lenet-zhu", false, seed);
                    (spec.defenses, spec.vantage, spec.federation.clients.total) =
                        (defenses.clone(), vantage, 2);
                    // Who mixes examples needs some.
                    spec.federation.local.batch_size = match defenses[0].name.as_str() {
                        "mixup" => 2,
                        "instahide" => 4,
                        _ => 1,
                    };
                    spec
                };
                applied += usize::from(demanded(&what, &spec));
            }
        }
    }
    assert!(applied >= 2 * SOURCES.len() * lines.len(), "{applied} cells were applicable");
}

/// An attack that is told every key there is draws nothing that a client, a defense or a protocol
/// drew: its seed is another, in a domain of its own.
#[test]
fn no_key_gives_an_attack_the_stream_of_a_defense() {
    let scene = scene(&spec("fl-attack", Source::Gradients, "mlp", false, 3));
    let (spec, config) = (&scene.cell.spec, scene.scenario.federation.config());
    let root = spec.seed;
    let keys = [
        config.secrets.to_string(),
        config.key.to_string(),
        spec.attack_key(),
        spec.world_key(),
        spec.id().to_string(),
    ];
    let purposes = ["defense-0 capture 0 0", "defense-0 server capture 0 0", "client capture 0 0"];
    let pairs: Vec<_> = keys.iter().flat_map(|key| purposes.map(|p| (key.as_str(), p))).collect();
    let theirs: Vec<u64> = pairs.iter().map(|(k, p)| stream(root, k, p).next_u64()).collect();
    let (cancel, progress) = (AtomicBool::new(false), |_| {});
    for (key, purpose) in &pairs {
        let (seed, device) = (AttackSeed::new(root), Device::Cpu);
        let run = Run { seed, key, device, cancel: &cancel, progress: &progress };
        assert!(!theirs.contains(&run.stream(purpose).next_u64()), "{key}: {purpose}");
    }
}

#[test]
fn granted_labels_are_a_copy() {
    let applied = attacks::ENTRIES
        .iter()
        .filter(|e| holds(e.name, Source::Gradients, "lenet-zhu", true))
        .count();
    assert!(applied > 0);
}

#[test]
fn attacks_cannot_name_the_data() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let manifest = std::fs::read_to_string(root.join("attacks/Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let behind = ["datasets", "defenses", "protocols", "harness", "cli"];
    let mut seen = 0;
    for table in dependencies(&manifest) {
        for (name, value) in table {
            let package = value.get("package").and_then(toml::Value::as_str).unwrap_or(name);
            assert!(!behind.contains(&package), "attacks depends on {package}");
            seen += 1;
        }
    }
    assert!(seen > 2, "the manifest's dependencies were not found");

    // Nor through the back door: what attacks may import does not hand the data on.
    for krate in ["learning", "suites"] {
        for path in files(&root.join(krate).join("src")) {
            let text = std::fs::read_to_string(&path).unwrap();
            let opened = text.lines().map(str::trim).find(|l| {
                l.starts_with("pub use datasets")
                    || l.starts_with("pub use ::datasets")
                    || l.starts_with("pub extern crate datasets")
            });
            assert_eq!(opened, None, "{} hands the data on", path.display());
        }
    }
}

/// Every file below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Tables that a build of the library (not of its tests) reads dependencies from.
fn dependencies(manifest: &toml::Table) -> Vec<&toml::Table> {
    let kinds = ["dependencies", "build-dependencies"];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    let platforms =
        targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table);
    let places = std::iter::once(manifest).chain(platforms);
    places
        .flat_map(|place| kinds.map(|k| place.get(k)))
        .flatten()
        .filter_map(toml::Value::as_table)
        .collect()
}
