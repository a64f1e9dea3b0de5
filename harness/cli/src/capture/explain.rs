//! Whether what an attack found explains the update: the declared training of the found examples,
//! beside what was captured. It needs no truth.

use attacks::Reconstruction;
use learning::client::{self, LocalTraining, Rules};
use learning::{Observation, Params, Signal};
use serde::Serialize;
use suites::rng;
use tch::{Kind, Tensor};

use super::training::Training;

/// Sizes of the captured and the explained update differ by more: doubted.
const DOUBTFUL: f64 = 2.0;

/// Steps of local training that are run again at most.
const MOST_STEPS: usize = 10_000;

/// The update that the found examples give, beside the captured one.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Explained {
    /// Cosine of the angle between the two, in [-1, 1].
    pub cosine: f64,
    /// Norm of the captured update over that of the explained one.
    pub size_ratio: f64,
}

impl Explained {
    /// Trains as declared on the first signal's found examples; `None` where their labels are not
    /// known, or the update is a mean over clients of several sizes.
    pub fn by(
        seen: &Observation,
        training: &Training,
        found: &Reconstruction,
    ) -> Option<Explained> {
        if !found.has_pictures() {
            return None;
        }
        let labels = seen.known.labels.as_ref().or(found.labels.as_ref())?;
        let labels = labels.narrow(0, 0, 1);
        let steps = training.local.steps(training.own());
        if steps > MOST_STEPS
            || !training.shares.is_empty()
            || labels.lt(0).any().int64_value(&[]) != 0
        {
            return None;
        }
        let deal = |t: &Tensor| {
            let clients = training.contributors;
            let size = t.size();
            t.reshape([&[clients, size[1] / clients], &size[2..]].concat())
        };
        let pixels = deal(&found.pixels.narrow(0, 0, 1).to_kind(Kind::Float));
        let sent = sent(seen, training, &pixels, &deal(&labels));
        let captured = seen.signal.params();
        let pairs = || captured.trainable().zip(sent.trainable());
        let sum = |f: &dyn Fn(&Tensor, &Tensor) -> Tensor| -> f64 {
            pairs().map(|(a, b)| f(&a.get(0), b).sum(Kind::Double).double_value(&[])).sum()
        };
        let (ours, theirs) = (sum(&|_, b| b * b).sqrt(), sum(&|a, _| a * a).sqrt());
        let sound = ours > 0.0 && theirs > 0.0 && ours.is_finite();
        sound.then(|| Explained {
            cosine: (sum(&|a, b| a * b) / (ours * theirs)).clamp(-1.0, 1.0),
            size_ratio: theirs / ours,
        })
    }

    /// Why the declaration is doubted, where nothing that was declared changes sizes.
    pub fn doubt(&self, seen: &Observation) -> Option<String> {
        let apart = self.size_ratio > DOUBTFUL || self.size_ratio < 1.0 / DOUBTFUL;
        (apart && seen.known.defenses.is_empty()).then(|| {
            format!(
                "the update is {:.3} times as large as what was declared gives on the found \
                 examples: the attack failed, or the client did something else (learning rate, \
                 steps, loss scale, clipping)",
                self.size_ratio
            )
        })
    }
}

/// The mean of what clients with these examples send, without a lane.
fn sent(seen: &Observation, training: &Training, pixels: &Tensor, labels: &Tensor) -> Params {
    let clients = pixels.size()[0];
    let mut rngs: Vec<_> =
        (0..clients).map(|c| rng::stream(0, "bench attack", &format!("explain-{c}"))).collect();
    let (net, weights, mode) = (&seen.net, &seen.weights, seen.mode);
    let rules = Rules::default();
    let each = match seen.signal {
        Signal::Gradient(_) => {
            client::batch_gradient(net, weights, pixels, labels, &rules, mode, &mut rngs)
        }
        Signal::Update(_) => {
            // In the order of the found examples, as the steps are followed.
            let local = &LocalTraining { shuffled: false, ..training.local.clone() };
            client::train(net, weights, pixels, labels, local, &rules, mode, &mut rngs).sub(weights)
        }
    };
    each.map(|t| t.detach().mean_dim(0, false, None::<Kind>))
}
