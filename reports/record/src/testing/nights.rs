//! Synthetic nights: runs of attacks against defenses over shared images, with numerical noise
//! between two runs of one suite.

use super::{from_spec, info};
use crate::{CellRecord, RunInfo, RunStore};
use rand::Rng;
use std::path::Path;
use suites::{CellSpec, Named, rng};

/// A suite: attacks, each without and with these defenses, over so many images.
#[derive(Clone, Debug)]
pub struct Night {
    /// Name of each attack and its mean PSNR without defenses, in dB.
    pub attacks: Vec<(&'static str, f64)>,
    /// Name of each defense and the PSNR that it takes from an attack, in dB.
    pub defenses: Vec<(&'static str, f64)>,
    /// Images in each cell.
    pub images: usize,
    /// Seeds, each of which gives every cell once.
    pub seeds: Vec<u64>,
    /// Standard deviation in dB between two runs of one cell.
    pub noise: f64,
    /// Standard deviation in dB between two runs of one image, common to all cells that attack it.
    pub shared_noise: f64,
    /// Standard deviation in dB of a seed's draw of weights, common to all of its cells.
    pub draw: f64,
}

impl Default for Night {
    fn default() -> Self {
        Night {
            attacks: vec![("dlg", 22.0), ("inverting-gradients", 26.0), ("analytic", 40.0)],
            defenses: vec![("dp-gaussian", 12.0), ("prune", 5.0)],
            images: 12,
            seeds: vec![0],
            noise: 0.0,
            shared_noise: 0.0,
            draw: 0.0,
        }
    }
}

/// A normal deviate from a sum of uniform ones (Irwin-Hall of 12).
pub fn normal(stream: &mut impl Rng) -> f64 {
    (0..12).map(|_| stream.random::<f64>()).sum::<f64>() - 6.0
}

impl Night {
    /// The records of one night; `night` numbers the draw of the numerical noise.
    pub fn records(&self, night: u64) -> Vec<CellRecord> {
        let mut out = Vec::new();
        for seed in &self.seeds {
            for (attack, strength) in &self.attacks {
                out.push(self.cell(night, *seed, attack, *strength, None));
                let each = self.defenses.iter();
                out.extend(each.map(|d| self.cell(night, *seed, attack, *strength, Some(d))));
            }
        }
        out
    }

    fn cell(
        &self,
        night: u64,
        seed: u64,
        attack: &str,
        strength: f64,
        defense: Option<&(&'static str, f64)>,
    ) -> CellRecord {
        let mut spec = CellSpec::new("photos", "simple-cnn", attack);
        spec.trials = self.images;
        spec.seed = seed;
        spec.attack = Named::new(attack).with("iterations", 300);
        spec.defenses = defense.iter().map(|(name, _)| Named::new(*name)).collect();
        let centre = strength - defense.map_or(0.0, |(_, cost)| cost.min(strength - 8.0));
        let mut shared = rng::stream(seed, "images", "effects");
        let mut draw = rng::stream(seed, "weights", "effect");
        let mut own = rng::stream(seed, &format!("{attack} {defense:?}"), "cell effects");
        let mut noise = rng::stream(night, &format!("{seed} {attack} {defense:?}"), "noise");
        let mut together = rng::stream(night, &format!("{seed}"), "noise of images");
        let (draw, cell) = (self.draw * normal(&mut draw), 0.5 * normal(&mut own));
        let psnr = |_| {
            let image = 3.0 * normal(&mut shared) + normal(&mut own);
            let between =
                self.noise * normal(&mut noise) + self.shared_noise * normal(&mut together);
            centre + image + draw + cell + between
        };
        let psnrs: Vec<f64> = (0..self.images).map(psnr).collect();
        let mut record = from_spec(spec, &psnrs);
        for image in &mut record.images {
            let right = image.scores["psnr"].unwrap() > centre - 1.0;
            image.scores.insert("label_match".into(), Some(f64::from(u8::from(right))));
        }
        rescore(&mut record, |psnr| psnr);
        let jitter = 1.0 + 0.02 * self.noise.min(1.0) * normal(&mut noise);
        record.wall.seconds *= jitter;
        record.task.insert("accuracy".into(), 0.8);
        record
    }
}

/// Writes a run of these records, all of which are planned.
pub fn write(dir: &Path, records: &[CellRecord]) {
    write_as(dir, records, |_| {});
}

/// The same, its description changed by `edit`.
pub fn write_as(dir: &Path, records: &[CellRecord], edit: impl Fn(&mut RunInfo)) {
    let mut info = info("[suite]\nname = \"night\"\n");
    info.suite.name = "night".into();
    info.suite.cells = records.iter().map(|r| r.id.clone()).collect();
    edit(&mut info);
    let mut store = RunStore::create(dir, info).unwrap();
    records.iter().for_each(|record| store.append(record).unwrap());
}

/// Sets the PSNR of every image of a record, and what follows from it; guesses of labels stay.
pub fn rescore(record: &mut CellRecord, psnr: impl Fn(f64) -> f64) {
    for image in &mut record.images {
        let (psnr, right) = (psnr(image.scores["psnr"].unwrap()), image.scores["label_match"]);
        image.scores = super::scores(psnr);
        image.scores.insert("label_match".into(), right);
        image.scores.insert("lpips-squeeze".into(), Some(0.9 - psnr / 60.0));
    }
}
