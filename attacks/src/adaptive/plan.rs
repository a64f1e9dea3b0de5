//! From the effects that defenses publish to what an adversary does about them.

use learning::effect::{ClipUnit, Coefficients, NoiseLaw, NoiseScale, Noised, Norm, Ranked};
use learning::{Effect, Observation, Published, Signal};

use super::params::Adapting;
use crate::AttackError;
use crate::matching::defense_model::{Clip, DefenseModel, Law, Masked, Noise, Values};
use crate::matching::signal;
use crate::undo::demix::Mixtures;
use crate::undo::{Undo, policy};

/// Composes the effects in the order in which the signal went through them.
///
/// # Errors
/// `NotApplicable` for an effect, or a combination of effects, that no candidate's gradient can be
/// led through; and where an update cannot be read as a gradient because no learning rate is known.
pub fn plan(seen: &Observation, adapting: &Adapting) -> Result<DefenseModel, AttackError> {
    if seen.known.defenses.is_empty() {
        return Ok(DefenseModel::default());
    }
    let mut plan = Plan::new(seen, adapting)?;
    seen.known.defenses.iter().try_for_each(|published| plan.add(published))?;
    Ok(plan.finish())
}

/// What was done to the examples, whatever else was done to their gradient, and whether or not the
/// signal's size can be read.
pub fn plan_of_examples(seen: &Observation, adapting: &Adapting) -> DefenseModel {
    let mut plan = Plan::of_size(seen, adapting, (1.0, 1));
    // An effect on the gradient that has no answer changes nothing of the examples.
    seen.known.defenses.iter().for_each(|published| drop(plan.add(published)));
    plan.finish().of_examples()
}

struct Plan<'a> {
    seen: &'a Observation,
    adapting: &'a Adapting,
    /// A gradient's unit over the signal's.
    unit: f64,
    /// SGD steps behind the signal.
    steps: usize,
    all: DefenseModel,
    /// Of all noise so far, on an entry of the gradient.
    variance: f64,
    /// Whether the only noise so far is one client's Laplacian.
    laplace: bool,
    /// How the entries were ranked that are zero in the signal, and who zeroed them.
    zeroed: Option<(Ranked, &'a str)>,
    /// Whether noise came after they were zeroed.
    hidden: bool,
}

/// Why an effect is refused.
type Refused = Result<(), String>;

impl<'a> Plan<'a> {
    fn new(seen: &'a Observation, adapting: &'a Adapting) -> Result<Plan<'a>, AttackError> {
        let (unit, steps) = match &seen.signal {
            Signal::Gradient(_) => (1.0, 1),
            Signal::Update(_) => {
                let local = seen.known.local.as_ref();
                let steps = local.map_or(1, |local| signal::local_steps(seen, local));
                (1.0 / signal::step_scale(seen)?, steps)
            }
        };
        Ok(Plan::of_size(seen, adapting, (unit, steps)))
    }

    fn of_size(
        seen: &'a Observation,
        adapting: &'a Adapting,
        (unit, steps): (f64, usize),
    ) -> Plan<'a> {
        let all = DefenseModel::default();
        let (variance, laplace, zeroed, hidden) = (0.0, false, None, false);
        Plan { seen, adapting, unit, steps, all, variance, laplace, zeroed, hidden }
    }

    fn add(&mut self, published: &'a Published) -> Result<(), AttackError> {
        let (effect, by) = (&published.effect, published.by.as_str());
        self.compose(effect, by).map_err(|why| {
            AttackError::NotApplicable(format!(
                "this attack adapts to what defenses publish, and has no answer to {effect} \
                 (`{by}`){why}; run an attack that knows no defenses beside it"
            ))
        })
    }

    /// One arm an effect and no wildcard, so that no effect is passed over by mistake.
    fn compose(&mut self, effect: &Effect, by: &'a str) -> Refused {
        match *effect {
            Effect::Clip { norm, bound, unit, moving } => self.clip(norm, bound, unit, moving),
            Effect::Noise { law, scale, on } => self.noise(by, law, scale, on),
            Effect::Zeroed { share, among } => self.zero(by, share, among),
            Effect::Clamped { bound } => self.clamp(by, bound),
            Effect::Cells { bits } => self.cells(by, bits),
            Effect::RandomRounding { levels, bucket, norm: _ } => self.round(by, levels, bucket),
            Effect::Signs { scaled: _ } => self.signs(by),
            Effect::MaskedColumns { share: _ } => self.mask(by),
            Effect::Mixed { parts, coefficients } => self.mix(by, parts, coefficients),
            Effect::RandomBottleneck { width: _, beta: _ } => self.draw(by),
            // Only trainable values are matched.
            Effect::WithheldStatistics => Ok(()),
            Effect::FlippedInputs => self.flip(),
            Effect::TransformedInputs { ref policies } => self.transform(by, policies),
        }
    }

    fn note(&mut self, note: String) {
        self.all.notes.push(note);
    }

    /// Sums of several clients' updates hold what any of them sent.
    fn clients(&self) -> f64 {
        self.seen.known.contributors.max(1) as f64
    }

    /// Refuses what was done to each client's values where only their mean is seen.
    fn of_one_client(&self) -> Refused {
        if self.clients() == 1.0 {
            return Ok(());
        }
        Err(format!(" in the mean over {} clients", self.clients()))
    }

    /// Refuses what changes values that no longer are the gradient's own.
    fn of_values(&self) -> Refused {
        let before = match self.all.values {
            Values::Exact | Values::Largest => return Ok(()),
            Values::Cells { .. } => "rounding to the nearest level",
            Values::Rounded { .. } => "random rounding",
            Values::Censored { .. } => "a clamp",
            Values::Signs => "signs",
        };
        Err(format!(" after {before}"))
    }

    /// Refuses what fills or moves the zeros by which masked columns are told.
    fn of_columns(&self) -> Refused {
        if self.all.masked != Some(Masked::Columns) {
            return Ok(());
        }
        Err(" after masked columns, which it hides (masked = \"layer\" leaves the whole layer out)"
            .into())
    }

    /// Means of several clients, steps or examples were not clipped as one.
    fn clip(&mut self, norm: Norm, bound: f64, unit: ClipUnit, moving: bool) -> Refused {
        if self.variance > 0.0 {
            return Err(" after noise".into());
        }
        if self.all.clip.is_some() {
            return Err(" after another clip".into());
        }
        if matches!(self.all.values, Values::Censored { .. }) {
            return Err(" after a clamp".into());
        }
        let batch = self.seen.known.batch_size.unwrap_or(1);
        let (apart, factor) = match unit {
            ClipUnit::Example => (batch > 1 || self.steps > 1, 1.0),
            ClipUnit::Update => (self.clients() > 1.0 || moving, self.unit),
        };
        let at = bound * factor;
        self.all.clip = Some(match (apart, norm) {
            (true, _) => Clip::Unknown,
            (false, Norm::L2) => Clip::L2 { at },
            (false, Norm::L1) => Clip::L1 { at },
        });
        Ok(())
    }

    /// How large a zeroed entry can have been is only told where the gradient's own scale is: for
    /// one client's one step.
    fn zero(&mut self, by: &'a str, share: f64, among: Ranked) -> Refused {
        let own = among == Ranked::Tensor && self.clients() == 1.0;
        self.all.kept = true;
        // Only one client's own entries can be told once noise fills them.
        self.all.pruned = own.then_some(share);
        (self.zeroed, self.hidden) = (Some((among, by)), false);
        self.note(format!("kept entries of {by}"));
        if own && self.steps == 1 && self.all.values == Values::Exact && self.variance == 0.0 {
            (self.all.kept, self.all.values) = (false, Values::Largest);
            self.note("the others no larger".into());
        }
        Ok(())
    }

    fn clamp(&mut self, by: &str, bound: f64) -> Refused {
        self.of_one_client()?;
        self.of_values()?;
        let at = bound * self.unit;
        self.all.values = Values::Censored { at };
        self.note(format!("at least {at:.3} where {by} clipped"));
        Ok(())
    }

    fn cells(&mut self, by: &str, bits: u32) -> Refused {
        self.of_one_client()?;
        self.of_values()?;
        self.of_columns()?;
        self.all.kept |= self.all.values == Values::Largest;
        self.all.values = Values::Cells { bits };
        self.note(format!("cells of {bits} bits of {by}"));
        Ok(())
    }

    fn round(&mut self, by: &str, levels: f64, bucket: i64) -> Refused {
        self.of_one_client()?;
        self.of_values()?;
        if self.variance > 0.0 {
            return Err(" after noise".into());
        }
        self.all.values = Values::Rounded { levels, bucket };
        // It rounds kept entries to zero too, and zeros stay.
        self.all.kept = false;
        self.note(format!("variance of each bucket's rounding by {by}"));
        Ok(())
    }

    fn signs(&mut self, by: &str) -> Refused {
        self.of_one_client()?;
        self.of_columns()?;
        if self.zeroed.is_some() && !self.hidden {
            return Err(" after zeroed entries, which count as positive".into());
        }
        self.all.values = Values::Signs;
        // Noise before it only flips signs.
        (self.all.pruned, self.all.clip, self.zeroed) = (None, None, None);
        (self.variance, self.laplace) = (0.0, false);
        self.note(format!("agreement of signs for {by}"));
        Ok(())
    }

    fn mask(&mut self, by: &str) -> Refused {
        self.all.masked = Some(self.adapting.masked);
        self.note(format!("last layer without what {by} masked"));
        Ok(())
    }

    fn mix(&mut self, by: &str, parts: usize, coefficients: Coefficients) -> Refused {
        if self.all.mixed {
            return Err(" after other mixtures".into());
        }
        let of = Mixtures { parts, coefficients, flipped: false };
        self.all.mixed = true;
        self.all.undo.push(Undo::Mixtures { by: by.into(), of });
        self.note(format!("mixed images with mixed labels for {by}"));
        Ok(())
    }

    /// Signs are undone with the mixture that they hide.
    fn flip(&mut self) -> Refused {
        match self.all.undo.last_mut() {
            Some(Undo::Mixtures { of, .. }) if !of.flipped => of.flipped = true,
            _ => return Err(" of examples that are no mixtures".into()),
        }
        Ok(())
    }

    fn transform(&mut self, by: &str, policies: &[Vec<usize>]) -> Refused {
        if !self.all.undo.is_empty() {
            return Err(" after the examples were changed before".into());
        }
        policy::check(policies)?;
        let policies = policies.to_vec();
        self.all.undo.push(Undo::Policies { by: by.into(), policies });
        Ok(())
    }

    fn draw(&mut self, by: &str) -> Refused {
        self.all.draws = self.adapting.draws;
        let draws = self.all.draws;
        self.note(format!("expectation over {draws} draws of the bottleneck of {by}"));
        Ok(())
    }

    fn noise(&mut self, by: &str, law: NoiseLaw, scale: NoiseScale, on: Noised) -> Refused {
        let law = match law {
            NoiseLaw::Laplace => Law::Laplace,
            // Rotated back, an entry holds a sum of many discrete draws, which is all but normal.
            NoiseLaw::Gaussian | NoiseLaw::DiscreteGaussian { .. } | NoiseLaw::Skellam { .. } => {
                Law::Gaussian
            }
        };
        let scale = self.scale(law, scale, on);
        if !(scale > 0.0 && scale.is_finite()) {
            return Ok(());
        }
        self.hide()?;
        let own = match law {
            Law::Gaussian => scale * scale,
            Law::Laplace => 2.0 * scale * scale,
        };
        // Sums of several draws are all but normal.
        self.laplace = law == Law::Laplace && self.variance == 0.0 && self.clients() == 1.0;
        self.variance += own;
        let word = if law == Law::Laplace { "laplace" } else { "gaussian" };
        self.note(format!("likelihood of {word} noise of {by}, scale {}", short(scale)));
        Ok(())
    }

    /// Scale of the noise on an entry of the gradient that the signal stands for.
    fn scale(&self, law: Law, scale: NoiseScale, on: Noised) -> f64 {
        match scale {
            NoiseScale::Absolute(scale) => scale * self.spread(on),
            NoiseScale::TimesRms(ratio) => ratio * self.rms(law, ratio) / self.clients().sqrt(),
        }
    }

    /// What a scale is multiplied by: a client's noise is averaged with the others', that of a
    /// step (in the gradient) with that of the other steps, and that on the mean is there already.
    fn spread(&self, on: Noised) -> f64 {
        match on {
            Noised::Mean => self.unit,
            Noised::Step => (self.steps as f64 * self.clients()).sqrt().recip(),
            Noised::Update => self.unit / self.clients().sqrt(),
        }
    }

    /// Root mean square of the gradient before noise of `ratio` times itself was added, from what
    /// was captured.
    fn rms(&self, law: Law, ratio: f64) -> f64 {
        let params = self.seen.signal.params();
        let entries = (params.layout().trainable_len() * params.lanes()).max(1) as f64;
        let square = params.norm().square().sum(tch::Kind::Double).double_value(&[]) / entries;
        let variance = if law == Law::Laplace { 2.0 * ratio * ratio } else { ratio * ratio };
        self.unit * (square / (1.0 + variance)).sqrt()
    }

    /// Noise hides which entries were zeroed: the candidate's own smallest are then. In a mean over
    /// clients any of them may have sent an entry, and none is taken as zeroed.
    fn hide(&mut self) -> Refused {
        self.of_values()?;
        self.of_columns()?;
        if let Some((Ranked::Update, _)) = self.zeroed.filter(|_| !self.hidden) {
            return Err(" after entries of the whole update were zeroed, which it hides".into());
        }
        if let Some((_, by)) = self.zeroed.filter(|_| self.all.pruned.is_some()) {
            self.note(format!("entries that {by} would keep, since noise hides which"));
        }
        (self.hidden, self.all.kept, self.all.values) = (true, false, Values::Exact);
        Ok(())
    }

    fn finish(mut self) -> DefenseModel {
        if self.variance > 0.0 {
            let (law, scale) = if self.laplace {
                (Law::Laplace, (self.variance / 2.0).sqrt())
            } else {
                (Law::Gaussian, self.variance.sqrt())
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

/// Three significant digits.
fn short(value: f64) -> String {
    if (1e-3..1e4).contains(&value) { format!("{value:.3}") } else { format!("{value:.2e}") }
}
