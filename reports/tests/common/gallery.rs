//! A synthetic run with everything that a report can show: two attacks, an epsilon grid, several
//! clients, failures, pictures.

use image::{Rgb, RgbImage};
use rand::Rng;
use record::testing::{from_spec, info};
use record::{CellRecord, DefenseNote, Outcome, RunStore, TracePoint};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use suites::{CellSpec, Fact, Named, Published, Source, rng};

/// Writes the run to `dir` (new or empty).
pub fn write(dir: &Path) {
    let records = records();
    let mut info = info("[suite]\nname = \"demo\"\n");
    info.suite.description = "Synthetic records, to look at every table and figure.".into();
    info.suite.cells = records.iter().map(|r| r.id.clone()).collect();
    // One cell is planned that has not been run.
    info.suite.cells.push(CellSpec::new("photos", "simple-cnn", "unrun").id());
    info.suite.published = vec![Published {
        metric: "psnr".into(),
        value: 21.46,
        spread: Some(1.37),
        tolerance: Some(1.5),
        source: "a published table".into(),
        when: json!({ "attack.name": "fl-attack" }).as_object().unwrap().clone(),
    }];
    let mut store = RunStore::create(dir, info).unwrap();
    for mut record in records {
        pictures(dir, &mut record);
        store.append(&record).unwrap();
    }
}

fn records() -> Vec<CellRecord> {
    let mut out = Vec::new();
    for (attack, strength) in
        [("fl-attack", 21.0), ("feature-inversion", 32.0), ("noise-guess", 12.0)]
    {
        for epsilon in [None, Some(1.0), Some(8.0), Some(50.0), Some(200.0)] {
            out.push(cell(attack, strength, epsilon));
        }
    }
    out.push(failed(out[3].clone()));
    out.push(not_applicable());
    out.push(clients());
    out
}

fn spread(key: &str, n: usize, centre: f64, width: f64) -> Vec<f64> {
    let mut stream = rng::stream(5, key, "gallery");
    (0..n).map(|_| centre + width * stream.random_range(-1.0..1.0)).collect()
}

fn cell(attack: &str, strength: f64, epsilon: Option<f64>) -> CellRecord {
    let mut spec = CellSpec::new("photos", "simple-cnn", attack);
    spec.trials = 8;
    spec.attack = Named::new(attack).with("iterations", 3000).with("tv_weight", 1e-5);
    let kept = epsilon.map_or(1.0, |e| e / (e + 20.0));
    spec.defenses = epsilon
        .iter()
        .map(|e| Named::new("dp-gaussian").with("epsilon", *e).with("delta", 1e-5))
        .collect();
    let key = format!("{attack} {epsilon:?}");
    let mut record = from_spec(spec, &spread(&key, 8, 6.0 + (strength - 6.0) * kept, 3.0 * kept));
    measured(&mut record, &key, kept);
    record.defenses = epsilon.iter().map(|e| note(*e)).collect();
    record.task.insert("accuracy".into(), 0.35 + 0.5 * kept);
    record.trace = trace(&key, if attack == "noise-guess" { 0 } else { 30 }, kept);
    if attack == "noise-guess" {
        record
            .images
            .iter_mut()
            .take(3)
            .for_each(|i| i.flags.push(suites::FlagKind::WorseThanNull.into()));
    }
    record
}

/// LPIPS and label guesses that go with the PSNR.
fn measured(record: &mut CellRecord, key: &str, kept: f64) {
    let wobble = spread(&format!("{key} lpips"), record.images.len(), 0.0, 0.08);
    for (image, off) in record.images.iter_mut().zip(wobble) {
        let psnr = image.scores["psnr"].unwrap();
        image
            .scores
            .insert("lpips-squeeze".into(), Some((0.9 - psnr / 40.0 + off).clamp(0.0, 1.0)));
        let right = kept > 0.3 || image.index % 2 == 0;
        image.scores.insert("label_match".into(), Some(f64::from(u8::from(right))));
        image.guessed_label = Some(if right { image.label } else { 0 });
    }
    for (name, lpips) in [("grey", 0.82), ("mean", 0.78), ("noise", 0.97), ("nearest", 0.55)] {
        record.baselines.get_mut(name).unwrap().iter_mut().enumerate().for_each(|(i, scores)| {
            let shift = (i as f64 * 2.4).sin();
            scores.insert("lpips-squeeze".into(), Some(lpips + 0.05 * shift));
            let psnr = scores["psnr"].unwrap() + 1.5 * shift;
            scores.insert("psnr".into(), Some(psnr));
        });
    }
    record.notes.clear();
}

fn note(epsilon: f64) -> DefenseNote {
    let values = BTreeMap::from([
        ("clip_factor".to_owned(), 0.43),
        ("epsilon".to_owned(), epsilon),
        ("noise_to_signal".to_owned(), 40.0 / epsilon),
        ("sigma".to_owned(), 3.73 / epsilon),
    ]);
    let claim = format!("(epsilon = {epsilon}, delta = 1e-5)-DP per example");
    DefenseNote { name: "dp-gaussian".into(), claim, values, adaptive: None }
}

fn trace(key: &str, points: u64, kept: f64) -> Vec<TracePoint> {
    let floors = spread(&format!("{key} trace"), 8, 0.0, 0.5);
    let at = |i: u64| {
        let fall = (-(i as f64) / 6.0).exp() + 1e-3 / kept;
        let objective = floors.iter().map(|f| Some(0.5 * fall * (1.0 + f))).collect();
        TracePoint { iteration: i * 100, objective }
    };
    (0..points).map(at).collect()
}

fn failed(mut record: CellRecord) -> CellRecord {
    record.spec.seed = 0;
    record.spec.source = Source::LocalUpdate;
    record.id = record.spec.id();
    record.outcome = Outcome::Failed {
        stage: "attack".into(),
        message: "out of memory: 9 GB asked for | 2 GB left".into(),
    };
    record.images.clear();
    record.baselines.clear();
    record.trace.clear();
    record
}

fn not_applicable() -> CellRecord {
    let mut spec = CellSpec::new("photos", "simple-cnn", "needs-labels");
    spec.trials = 8;
    let mut record = from_spec(spec, &[]);
    record.outcome = Outcome::NotApplicable {
        why: "the attack needs the labels, which this threat withholds".into(),
    };
    record.baselines.clear();
    record
}

fn clients() -> CellRecord {
    let mut spec = CellSpec::new("photos", "simple-cnn", "feature-inversion");
    spec.attack = Named::new("feature-inversion").with("iterations", 3000).with("tv_weight", 1e-5);
    spec.trials = 5;
    spec.federation.clients.total = 5;
    spec.federation.local.batch_size = 4;
    spec.facts.push(Fact::Labels);
    let mut psnrs = Vec::new();
    (0..5).for_each(|client| {
        psnrs.extend(spread(&format!("client {client}"), 4, 18.0 + 2.0 * client as f64, 4.0))
    });
    psnrs[7] = f64::INFINITY;
    let mut record = from_spec(spec, &psnrs);
    measured(&mut record, "clients", 1.0);
    record.threat =
        "Five clients send their gradients to an honest-but-curious server that was told the \
         labels."
            .into();
    record.trace = trace("clients", 30, 0.5);
    record
}

/// Draws truths and noisy copies of them and names them in the record.
fn pictures(dir: &Path, record: &mut CellRecord) {
    let folder = format!("artifacts/{}", record.id);
    for (at, image) in record.images.iter_mut().enumerate() {
        let truth = scene(at);
        let amplitude =
            255.0 * 10f64.powf(-image.scores["psnr"].unwrap().min(90.0) / 20.0) * 3f64.sqrt();
        let mut stream = rng::stream(1, record.id.as_str(), &format!("noise {at}"));
        let mut guess = truth.clone();
        for pixel in guess.pixels_mut() {
            let noisy = |v: u8| {
                (f64::from(v) + amplitude * stream.random_range(-1.0..1.0))
                    .round()
                    .clamp(0.0, 255.0) as u8
            };
            pixel.0 = pixel.0.map(noisy);
        }
        for (what, picture, slot) in
            [("truth", &truth, &mut image.truth_png), ("guess", &guess, &mut image.guess_png)]
        {
            let below = format!("{folder}/{at}-{what}.png");
            let mut png = std::io::Cursor::new(Vec::new());
            picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
            record::write_whole(&dir.join(&below), png.get_ref()).unwrap();
            *slot = Some(below);
        }
    }
    // One picture got lost: the grid says so instead of failing.
    if record.spec.federation.clients.total > 1 {
        std::fs::remove_file(dir.join(format!("{folder}/2-guess.png"))).unwrap();
    }
}

/// A simple face on a gradient, different for each number.
fn scene(at: usize) -> RgbImage {
    let hue = at as f64 * 0.9;
    RgbImage::from_fn(64, 64, |x, y| {
        let (u, v) = (f64::from(x) / 32.0 - 1.0, f64::from(y) / 32.0 - 1.0);
        let head = u * u / 0.36 + v * v / 0.56 < 1.0;
        let eye = (u.abs() - 0.25).powi(2) + (v + 0.15).powi(2) < 0.008;
        let mouth = (v - 0.35 - 0.3 * (hue.sin()) * u * u).abs() < 0.04 && u.abs() < 0.28;
        let channel = |shift: f64, skin: f64| {
            let ground = 0.5 + 0.35 * (hue + shift + u + 0.7 * v).sin();
            let shade = if eye || mouth {
                0.1
            } else if head {
                skin - 0.2 * u
            } else {
                ground
            };
            (255.0 * shade.clamp(0.0, 1.0)) as u8
        };
        Rgb([channel(0.0, 0.85), channel(2.1, 0.68), channel(4.2, 0.55)])
    })
}
