//! The methods by name, what each needs, and what each makes of the signals.

use learning::client::StepRule;
use learning::{Observation, Params, Signal, noise};
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use suites::Fact;
use tch::{Kind, Tensor};

use super::{Dummies, LastLayer, counts, greedy, several};
use crate::matching::{labels, signal};
use crate::{AttackError, Run, layers};

/// A published way to read labels off a gradient.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The sign of the bias (Zhao et al. 2020); of several examples greedily, by the entry's size.
    Idlg,
    /// Every class with a negative entry of the bias, once; the rest is not told.
    Analytic,
    /// LLG by the shared gradient alone (Wainakh et al. 2022).
    Llg,
    /// LLG* with impact and offset of pictures of noise (Wainakh et al. 2022).
    LlgStar,
    /// breaching's correction of the bias.
    #[default]
    BiasCorrected,
    /// The least entry of each row of the weight, each class once (Yin et al. 2021); the rest is
    /// not told.
    Yin,
    /// breaching's `wainakh-simple`, as it runs.
    WainakhSimple,
    /// breaching's `wainakh-whitebox`, mended.
    WainakhWhitebox,
    /// Counts by batch embeddings (Geng et al. 2021).
    Geng,
    /// Counts by instance-wise restoration (Ma et al. 2023).
    Ilrg,
    /// As `geng`, by averages along local training (Dimitrov et al. 2022).
    Dimitrov,
    /// Several labels an example: the sign and size of each output.
    Signs,
    /// The null: what the classes' shares in public data give, and the signal does not.
    Prior,
}

/// What a method tells of one signal.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// `B` class indices, in ascending order; -1, at the end, for those that are not told.
    pub labels: Vec<i64>,
    /// Of each of these how sure the method is, in `[0, 1]`, where it says.
    pub certainty: Option<Vec<f64>>,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 13] = {
        use Method::*;
        [
            Idlg,
            Analytic,
            Llg,
            LlgStar,
            BiasCorrected,
            Yin,
            WainakhSimple,
            WainakhWhitebox,
            Geng,
            Ilrg,
            Dimitrov,
            Signs,
            Prior,
        ]
    };

    /// Its name in suites.
    pub fn name(self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|v| Some(v.as_str()?.to_owned()))
            .unwrap_or_default()
    }

    /// Facts that it cannot do without.
    pub fn needs(self) -> Vec<Fact> {
        match self {
            Method::Dimitrov => vec![Fact::BatchSize, Fact::LocalSteps],
            _ => vec![Fact::BatchSize],
        }
    }

    /// Whether it reads the signal up to a positive factor.
    pub fn reads_directions(self) -> bool {
        use Method::*;
        !matches!(self, LlgStar | WainakhWhitebox | Geng | Ilrg | Dimitrov)
    }

    /// Whether it is of tasks with one class an example.
    pub fn is_of_one_class(self) -> bool {
        self != Method::Signs
    }

    /// Whether it asks pictures of noise: for what it counts by, or whether the last layer's inputs
    /// are 0 at least, as it takes them to be.
    fn asks_dummies(self) -> bool {
        use Method::*;
        matches!(self, Llg | LlgStar | Yin | WainakhSimple | WainakhWhitebox | Geng | Dimitrov)
    }
}

/// What `method` tells of each of the signals; `pictures` of noise stand in where it needs
/// examples.
///
/// # Errors
/// `NotApplicable` where what the method takes for granted does not hold, with what to use instead;
/// `Missing` facts; signals that are not finite. [`Method::Signs`] is none of these: see
/// [`several::told`].
pub fn recover(
    method: Method,
    seen: &Observation,
    pictures: usize,
    run: &Run,
) -> Result<Vec<Told>, AttackError> {
    let batch = seen.known.batch_size.filter(|b| *b > 0);
    let batch = batch.ok_or_else(|| AttackError::Missing(Fact::BatchSize.to_string()))? as usize;
    if method == Method::Prior {
        let told = by_counts(&counted(&prior(seen)?, batch), batch);
        return Ok(vec![Told { certainty: None, ..told }; seen.lanes() as usize]);
    }
    applies(method, seen)?;
    let gradient = signal::direction(seen)?;
    if method == Method::Idlg {
        LastLayer::of(seen, &gradient)?.iter().try_for_each(|layer| layer.bias().map(drop))?;
        let found = labels::read_batch(seen, &gradient, batch as i64)?;
        return Ok(found.unbind(0).iter().map(|row| plain(host(row), batch)).collect());
    }
    let dummies = if method.asks_dummies() {
        layers::refuse_single_values(seen, batch as i64)?;
        let mut rng = run.stream("label-pictures");
        let drawn = Dummies::drawn(seen, &seen.weights, pictures, &mut rng)?;
        drawn.refuse_negative()?;
        Some(drawn)
    } else {
        None
    };
    let mut told = Vec::new();
    for (n, layer) in LastLayer::of(seen, &gradient)?.iter().enumerate() {
        run.check()?;
        told.push(one(method, seen, (n as i64, layer), batch, dummies.as_ref())?);
    }
    Ok(told)
}

/// Of one signal.
fn one(
    method: Method,
    seen: &Observation,
    (n, layer): (i64, &LastLayer),
    batch: usize,
    dummies: Option<&Dummies>,
) -> Result<Told, AttackError> {
    let asked = || dummies.ok_or_else(|| AttackError::NotApplicable(several::ONLY.into()));
    let by_dummies = |share: f64| -> Result<Vec<i64>, AttackError> {
        let of = asked()?;
        let offset: Vec<f64> = of.offset().into_iter().map(|v| v * share).collect();
        Ok(greedy::llg(&layer.sums()?, of.impact(batch), &offset, batch))
    };
    Ok(match method {
        Method::Analytic => {
            let found = greedy::present(layer.bias()?, batch);
            let told = plain(found, batch);
            // Of a gradient that nothing was done to, a negative entry is a proof.
            let proof =
                matches!(seen.signal, Signal::Gradient(_)) && seen.known.defenses.is_empty();
            let sure = told.labels.iter().map(|l| f64::from(u8::from(*l >= 0))).collect();
            Told { certainty: proof.then_some(sure), ..told }
        }
        Method::Yin => plain(greedy::row_minima(layer.rows()?, batch), batch),
        Method::BiasCorrected => plain(greedy::bias_corrected(layer.bias()?, batch), batch),
        Method::WainakhSimple => plain(greedy::simple(&layer.sums()?, batch), batch),
        Method::Llg => {
            let sums = layer.sums()?;
            let impact = greedy::shared_impact(&sums, batch);
            plain(greedy::llg(&sums, impact, &vec![0.0; sums.len()], batch), batch)
        }
        Method::LlgStar => plain(by_dummies(1.0)?, batch),
        // breaching divides the offset by the number of its dummies once more than the mean does.
        Method::WainakhWhitebox => {
            plain(by_dummies(1.0 / (layer.classes() as f64 - 1.0).max(1.0))?, batch)
        }
        Method::Geng => {
            let of = asked()?;
            let counts =
                counts::by_embeddings(&layer.sums()?, &of.probabilities(), of.sum(), batch);
            by_counts(&counts, batch)
        }
        Method::Ilrg => {
            let counts = restored(seen, layer, batch)?;
            // As its authors do: a count beyond the batch is an accident of the equations.
            let held = counts.iter().map(|&c| if c.round() > batch as f64 { 0.0 } else { c });
            by_counts(&held.collect::<Vec<_>>(), batch)
        }
        Method::Dimitrov => along_training(seen, (n, layer), batch, asked()?)?,
        Method::Idlg | Method::Signs | Method::Prior => {
            return Err(AttackError::NotApplicable(several::ONLY.into()));
        }
    })
}

/// Refuses what no method reads, and sizes that are not known.
pub(super) fn applies(method: Method, seen: &Observation) -> Result<(), AttackError> {
    let refuse = |why: &str| Err(AttackError::NotApplicable(why.into()));
    let Signal::Update(_) = &seen.signal else { return Ok(()) };
    if !method.reads_directions() && !signal::has_scale(seen) {
        return refuse(
            "the method reads labels off the size of a gradient, which an update without its \
             learning rate does not tell; use `bias-corrected` or `llg`",
        );
    }
    let adam = seen.known.local.as_ref().is_some_and(|l| l.rule != StepRule::Sgd);
    if adam && method != Method::Idlg {
        return refuse("labels are read off the size of a gradient, and Adam's steps keep signs");
    }
    let Some(local) = seen.known.local.as_ref() else {
        let missing = || AttackError::Missing(Fact::LocalSteps.to_string());
        return if method == Method::Dimitrov { Err(missing()) } else { Ok(()) };
    };
    if method == Method::Dimitrov && local.prox > 0.0 {
        return refuse("FedProx pulls local steps back, which the method does not follow");
    }
    Ok(())
}

/// Counts by the last layer of the broadcast model itself.
fn restored(seen: &Observation, layer: &LastLayer, batch: usize) -> Result<Vec<f64>, AttackError> {
    layer.rows()?;
    layer.bias()?;
    let own: Vec<&Tensor> = seen.weights.trainable().collect();
    let [.., weight, bias] = &own[..] else {
        return Err(AttackError::NotApplicable(several::ONLY.into()));
    };
    counts::restored(layer, &weight.get(0), &bias.get(0), batch)
}

/// The mean of the counts at every local step, whose probabilities and inputs are taken between
/// those of the broadcast model and those of the client's.
fn along_training(
    seen: &Observation,
    (n, layer): (i64, &LastLayer),
    batch: usize,
    start: &Dummies,
) -> Result<Told, AttackError> {
    let sums = layer.sums()?;
    let (Signal::Update(delta), Some(local)) = (&seen.signal, &seen.known.local) else {
        let counts = counts::by_embeddings(&sums, &start.probabilities(), start.sum(), batch);
        return Ok(by_counts(&counts, batch));
    };
    let steps = signal::local_steps(seen, local);
    let end = start.at(seen, &moved(seen, &delta.narrow(n, 1)))?;
    let (p0, p1) = (start.probabilities(), end.probabilities());
    let mut total = vec![0.0; sums.len()];
    for step in 0..steps {
        let way = step as f64 / steps as f64;
        let p: Vec<f64> = p0.iter().zip(&p1).map(|(a, b)| a + (b - a) * way).collect();
        let s = start.sum() + (end.sum() - start.sum()) * way;
        let here = counts::by_embeddings(&sums, &p, s, batch);
        total.iter_mut().zip(here).for_each(|(t, c)| *t += c / steps as f64);
    }
    Ok(by_counts(&total, batch))
}

/// The client's weights after its round.
fn moved(seen: &Observation, delta: &Params) -> Params {
    delta.zip(&seen.weights, |d, w| d + w.to_device(d.device()))
}

/// Shares of the classes in public data.
fn prior(seen: &Observation) -> Result<Vec<f64>, AttackError> {
    seen.known.class_shares.clone().ok_or_else(|| {
        let why = "the prior is that of the classes in public data, of which none are at hand \
            here, or whose examples have several labels each; a suite on a data set with a public \
            split has them";
        AttackError::NotApplicable(why.into())
    })
}

fn counted(shares: &[f64], batch: usize) -> Vec<f64> {
    shares.iter().map(|s| s * batch as f64).collect()
}

/// `batch` labels in order, those that are missing as -1.
fn plain(mut found: Vec<i64>, batch: usize) -> Told {
    found.truncate(batch);
    found.sort_unstable();
    found.resize(batch, -1);
    Told { labels: found, certainty: None }
}

/// The whole counts nearest to these; a label is sure where its class's count was nearly whole.
fn by_counts(counts: &[f64], batch: usize) -> Told {
    let whole = counts::rounded(counts, batch);
    let sure = |k: usize| {
        let off = (counts[k] - whole[k] as f64).abs();
        if off.is_finite() { (1.0 - 2.0 * off).max(0.0) } else { 0.0 }
    };
    let each = |k: usize| std::iter::repeat_n((k as i64, sure(k)), whole[k]);
    let (labels, certainty) = (0..whole.len()).flat_map(each).unzip();
    Told { labels, certainty: Some(certainty) }
}

/// Labels `[N, B]` of what was told; the rest is drawn from the classes that were, or from all
/// where none was.
pub fn filled(told: &[Told], classes: i64, rng: &mut ChaCha12Rng) -> Tensor {
    let mut row = |t: &Told| {
        let known: Vec<i64> = t.labels.iter().copied().filter(|l| *l >= 0).collect();
        let from = if known.is_empty() { (0..classes.max(1)).collect() } else { known };
        let drawn = noise::uniform(rng, &[t.labels.len() as i64], 0.0, from.len() as f32);
        let place = |b: usize| (drawn.double_value(&[b as i64]) as usize).min(from.len() - 1);
        let label = |(b, &l): (usize, &i64)| if l >= 0 { l } else { from[place(b)] };
        let mut all: Vec<i64> = t.labels.iter().enumerate().map(label).collect();
        all.sort_unstable();
        Tensor::from_slice(&all)
    };
    Tensor::stack(&told.iter().map(&mut row).collect::<Vec<_>>(), 0).to_kind(Kind::Int64)
}

fn host(t: &Tensor) -> Vec<i64> {
    Vec::try_from(t.contiguous()).unwrap_or_default()
}
