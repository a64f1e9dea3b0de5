//! What an adversary finds out about a network's layers by asking it: whether it is smooth, and
//! whether BatchNorm can normalise a batch at all.

use learning::tape::{Mode, Tape};
use learning::{Observation, Signal, noise};
use rand_chacha::ChaCha12Rng;
use tch::{Device, Kind, Tensor};

use crate::AttackError;
use crate::matching::signal;

/// Pictures of noise that a network is asked about.
const PICTURES: i64 = 4;

/// Whether no layer beyond the first works on exact zeros, as every layer behind a ReLU does: the
/// gradient is then smooth in the picture, and curvature is worth learning.
pub fn is_smooth(seen: &Observation, rng: &mut ChaCha12Rng) -> bool {
    let shape = [vec![1, PICTURES], seen.net.input()].concat();
    let pictures = noise::normal(rng, &shape);
    let zeros = |t: &Tensor| t.eq(0.0).any().int64_value(&[]) != 0;
    asked(seen, &pictures, |tape, logits| {
        let inputs = tape.taps.iter().skip(1).map(|tap| &tap.input);
        !inputs.chain(&tape.embedding).chain([logits]).any(zeros)
    })
}

/// Refuses a network of texts: its examples are places in a vocabulary, which no attack here
/// recovers.
///
/// # Errors
/// `NotApplicable`, with what gives them away.
pub fn refuse_tokens(seen: &Observation) -> Result<(), AttackError> {
    if !seen.net.model().reads_tokens() {
        return Ok(());
    }
    Err(AttackError::NotApplicable(
        "this model reads tokens, and the attacks here recover images and rows of numbers; which \
         tokens a batch holds stands in the update itself: rows of the embedding's gradient that \
         are not zero"
            .into(),
    ))
}

/// Refuses a batch of which some BatchNorm layer in train mode sees one value a channel, which
/// would be its own mean: nothing behind that layer depends on the picture.
///
/// # Errors
/// `NotApplicable`, with the layer's name and the remedy.
pub fn refuse_single_values(seen: &Observation, batch: i64) -> Result<(), AttackError> {
    let least = least_batch(seen, batch);
    if seen.mode == Mode::Eval || least > 1 {
        return Ok(());
    }
    match seen.net.single_valued_norm() {
        None => Ok(()),
        Some(name) => Err(AttackError::NotApplicable(format!(
            "BatchNorm in train mode sees one value a channel of one example at `{name}`, and \
             nothing behind it depends on the picture; use batch_norm = \"eval\", a larger batch \
             or larger images"
        ))),
    }
}

/// Examples of the smallest batch that a client's pass normalises.
fn least_batch(seen: &Observation, batch: i64) -> i64 {
    match (&seen.signal, &seen.known.local) {
        (Signal::Update(_), Some(local)) => {
            let smallest = signal::shares(seen, batch).into_iter().min();
            let examples = smallest.unwrap_or(1).max(1);
            let size = (local.batch_size.max(1) as i64).min(examples);
            let rest = examples % size;
            if rest == 0 { size } else { rest }
        }
        _ => batch,
    }
}

/// What `of` says of a recording pass in eval mode over normalised pictures `[1, B, ...]`, and of
/// its logits.
fn asked<V>(seen: &Observation, pictures: &Tensor, of: impl FnOnce(&Tape, &Tensor) -> V) -> V {
    tch::no_grad(|| {
        let weights = seen.weights.narrow(0, 1).to(Device::Cpu, Kind::Float);
        let mut tape = Tape::per_example(&weights, Mode::Eval);
        let logits = seen.net.forward_normalised(&mut tape, pictures);
        of(&tape, &logits)
    })
}
