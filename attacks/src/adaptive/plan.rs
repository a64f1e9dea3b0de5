//! From the defences that an adversary knows to what it does about them.

use learning::{Observation, PublicDefense, Signal};

use super::params::Adapting;
use crate::AttackError;
use crate::matching::adaptation::{Adaptation, Clip, Law, Noise, Values};
use crate::matching::signal;

/// Reads the defences in the order in which the signal went through them.
///
/// # Errors
/// Where an update cannot be read as a gradient because no learning rate is known.
pub fn plan(seen: &Observation, adapting: &Adapting) -> Result<Adaptation, AttackError> {
    let mut plan = Plan {
        seen,
        adapting,
        unit: 1.0,
        steps: 1,
        all: Adaptation::default(),
        variance: 0.0,
        hidden: false,
        laplace: false,
    };
    if seen.known.defenses.is_empty() {
        return Ok(plan.all);
    }
    if matches!(seen.signal, Signal::Update(_)) {
        plan.unit = 1.0 / signal::step_scale(seen)?;
        plan.steps = seen.known.local.as_ref().map_or(1, |local| signal::local_steps(seen, local));
    }
    seen.known.defenses.iter().for_each(|defense| plan.add(defense));
    Ok(plan.finish())
}

struct Plan<'a> {
    seen: &'a Observation,
    adapting: &'a Adapting,
    /// A gradient's unit over the signal's.
    unit: f64,
    /// SGD steps behind the signal.
    steps: usize,
    all: Adaptation,
    /// Of all noise so far, on an entry of the gradient.
    variance: f64,
    /// Whether noise came after what was left out.
    hidden: bool,
    /// Whether the only noise so far is one client's Laplacian.
    laplace: bool,
}

impl Plan<'_> {
    fn add(&mut self, defense: &PublicDefense) {
        match defense.name.as_str() {
            "prune" => self.prune(defense),
            "percentile" => self.percentile(defense),
            "soteria" => self.soteria(),
            "quantise" => self.quantise(defense),
            "qsgd" => self.qsgd(defense),
            "sign" => self.sign(),
            "gaussian-noise" | "laplace-noise" | "dp-local" | "dp-central" | "dp-distributed"
            | "dp-sgd" => {
                self.noise(defense);
            }
            "mixup" => {
                self.all.mixed = true;
                self.note("mixed images with mixed labels for mixup".into());
            }
            "precode" => {
                self.all.draws = self.adapting.draws;
                self.note(format!(
                    "expectation over {} draws of the bottleneck of precode",
                    self.adapting.draws
                ));
            }
            // What is not known to be answered is left as it is.
            _ => {}
        }
    }

    fn note(&mut self, note: String) {
        self.all.notes.push(note);
    }

    /// Sums of several clients' updates hold what any of them sent.
    fn clients(&self) -> f64 {
        self.seen.known.contributors.max(1) as f64
    }

    fn kept(&mut self, defense: &PublicDefense, fraction: Option<f64>) {
        self.all.kept = true;
        // Only one client's own entries can be told once noise fills them.
        self.all.pruned = fraction.filter(|_| self.clients() == 1.0);
        self.note(format!("kept entries of {}", defense.name));
    }

    /// How large a zeroed entry can have been is only told where the gradient's own scale is: for
    /// one client's one step.
    fn prune(&mut self, defense: &PublicDefense) {
        self.kept(defense, number(defense, "fraction"));
        if self.clients() == 1.0
            && self.steps == 1
            && self.all.values == Values::Exact
            && self.variance == 0.0
        {
            (self.all.kept, self.all.values) = (false, Values::Largest);
            self.note("the others no larger".into());
        }
    }

    fn percentile(&mut self, defense: &PublicDefense) {
        self.kept(defense, None);
        if let Some(bound) = number(defense, "bound").filter(|_| self.clients() == 1.0) {
            let at = bound * self.unit;
            self.all.values = Values::Censored { at };
            self.note(format!("at least {at:.3} where percentile clipped"));
        }
    }

    fn soteria(&mut self) {
        self.all.masked = Some(self.adapting.masked);
        self.note("last layer without what soteria masked".into());
    }

    fn quantise(&mut self, defense: &PublicDefense) {
        if let Some(bits) = number(defense, "bits").filter(|_| self.clients() == 1.0) {
            self.all.kept |= self.all.values == Values::Largest;
            self.all.values = Values::Cells { bits: bits as u32 };
            self.note(format!("cells of {bits} bits of quantise"));
        }
    }

    fn qsgd(&mut self, defense: &PublicDefense) {
        let (levels, bucket) = (number(defense, "levels"), number(defense, "bucket"));
        if let (Some(levels), Some(bucket), true) = (levels, bucket, self.clients() == 1.0) {
            self.all.values = Values::Rounded { levels, bucket: bucket as i64 };
            // It rounds kept entries to zero too, and zeros stay.
            self.all.kept = false;
            self.note("variance of each bucket's rounding by qsgd".into());
        }
    }

    fn sign(&mut self) {
        if self.clients() > 1.0 {
            return;
        }
        self.all.values = Values::Signs;
        // Zeros went out as positive; noise before it only flips signs.
        (self.all.kept, self.all.pruned, self.all.clip) = (false, None, None);
        (self.variance, self.laplace) = (0.0, false);
        self.note("agreement of signs for sign".into());
    }

    fn noise(&mut self, defense: &PublicDefense) {
        let Some((law, scale)) = self.scale(defense) else { return };
        self.hide();
        self.clip(defense, law);
        let own = match law {
            Law::Gaussian => scale * scale,
            Law::Laplace => 2.0 * scale * scale,
        };
        // Sums of several draws are all but normal.
        self.laplace = law == Law::Laplace && self.variance == 0.0 && self.clients() == 1.0;
        self.variance += own;
        let word = if law == Law::Laplace { "laplace" } else { "gaussian" };
        self.note(format!(
            "likelihood of {word} noise of {}, scale {}",
            defense.name,
            short(scale)
        ));
    }

    /// Law and scale of the noise on an entry of the gradient that the signal stands for.
    fn scale(&self, defense: &PublicDefense) -> Option<(Law, f64)> {
        let laplace = defense.name == "laplace-noise"
            || defense.params.get("mechanism").and_then(|m| m.as_str()) == Some("laplace");
        let law = if laplace { Law::Laplace } else { Law::Gaussian };
        let scale = match (number(defense, "scale"), number(defense, "scale_over_rms")) {
            (Some(scale), _) => scale * self.spread(defense),
            (None, Some(ratio)) => ratio * self.rms(law, ratio) / self.clients().sqrt(),
            (None, None) => return None,
        };
        (scale > 0.0 && scale.is_finite()).then_some((law, scale))
    }

    /// What a scale is multiplied by: the client's noise is averaged with the others', that of a
    /// step of `dp-sgd` (in the gradient) with that of the other steps, and central noise is on the
    /// mean already.
    fn spread(&self, defense: &PublicDefense) -> f64 {
        match defense.name.as_str() {
            "dp-central" | "dp-distributed" => self.unit,
            "dp-sgd" => (self.steps as f64 * self.clients()).sqrt().recip(),
            _ => self.unit / self.clients().sqrt(),
        }
    }

    /// Root mean square of the gradient before noise of `ratio` times itself was added, from what
    /// was captured.
    fn rms(&self, law: Law, ratio: f64) -> f64 {
        let params = self.seen.signal.params();
        let entries = (params.layout().trainable_len() * params.trials()).max(1) as f64;
        let square = params.norm().square().sum(tch::Kind::Double).double_value(&[]) / entries;
        let variance = if law == Law::Laplace { 2.0 * ratio * ratio } else { ratio * ratio };
        self.unit * (square / (1.0 + variance)).sqrt()
    }

    /// Noise hides which entries were kept and which cell a value was in.
    fn hide(&mut self) {
        if self.all.pruned.is_some() {
            self.note("entries that prune would keep, since noise hides which".into());
        }
        self.hidden = true;
        self.all.kept = false;
        self.all.masked = None;
        self.all.values = Values::Exact;
    }

    /// What was clipped before the noise. Means of several clients, steps or examples were not
    /// clipped as one.
    fn clip(&mut self, defense: &PublicDefense, law: Law) {
        let Some(clip) = number(defense, "clip") else { return };
        let batch = self.seen.known.batch_size.unwrap_or(1);
        let mixed = match defense.name.as_str() {
            "dp-sgd" => batch > 1 || self.steps > 1,
            _ => {
                self.clients() > 1.0
                    || defense.params.get("adaptive").and_then(|a| a.as_bool()) == Some(true)
            }
        };
        let unit = if defense.name == "dp-sgd" { 1.0 } else { self.unit };
        self.all.clip = Some(match (mixed, law) {
            (true, _) => Clip::Unknown,
            (false, Law::Gaussian) => Clip::L2 { at: clip * unit },
            (false, Law::Laplace) => Clip::L1 { at: clip * unit },
        });
    }

    fn finish(mut self) -> Adaptation {
        if self.variance > 0.0 {
            let (law, scale) = match self.laplace {
                true => (Law::Laplace, (self.variance / 2.0).sqrt()),
                false => (Law::Gaussian, self.variance.sqrt()),
            };
            self.all.noise = Some(Noise { law, scale, contrast: self.adapting.contrast });
        }
        // The zeros tell it themselves where nothing hid them.
        if !self.hidden {
            self.all.pruned = None;
        }
        self.all
    }
}

/// A published value of the defence, or else a parameter.
fn number(defense: &PublicDefense, name: &str) -> Option<f64> {
    let parameter = || defense.params.get(name).and_then(serde_json::Value::as_f64);
    defense.values.get(name).copied().or_else(parameter).filter(|v| v.is_finite())
}

/// Three significant digits.
fn short(value: f64) -> String {
    if (1e-3..1e4).contains(&value) { format!("{value:.3}") } else { format!("{value:.2e}") }
}
