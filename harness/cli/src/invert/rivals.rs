//! Guesses that know nothing of the model, and two that know the data: what the numbers of a
//! reconstruction have to be read beside.

use attacks::Run;
use harness::HarnessError;
use metrics::baselines;
use rand::Rng;
use tch::{Device, Kind, Tensor};

use super::pictures::{Pictures, split};
use super::{ATTACK, Question};

/// One guess for each class.
pub struct Guess {
    /// What it is.
    pub name: &'static str,
    /// Whether it was made with the data (or the scores) in hand.
    pub knows: bool,
    /// `[C, ...]` in `[0, 1]`.
    pub images: Tensor,
    /// Ids that the guesses themselves have in the data, where they are from there: no picture is
    /// its own neighbour.
    pub ids: Option<Vec<usize>>,
}

/// The reconstruction and what stands beside it.
///
/// # Errors
/// What the data say.
pub fn all(
    question: &Question,
    found: &Tensor,
    pictures: &Pictures,
    run: &Run,
) -> Result<Vec<Guess>, HarnessError> {
    let like = &pictures.means;
    let blind = |name, images| Guess { name, knows: false, images, ids: None };
    let told = |name, images, ids| Guess { name, knows: true, images, ids };
    let noise = baselines::noise(like, &mut run.stream("null-noise"));
    let (drawn, ids) = of_each_class(question, pictures, run)?;
    Ok(vec![
        blind(ATTACK, found.to_device(Device::Cpu).to_kind(Kind::Float)),
        blind("black", like.zeros_like()),
        blind("grey", baselines::grey(like)),
        blind("noise", noise),
        told("best-constant", best_constant(like), None),
        told("mean-of-all", pictures.mean.unsqueeze(0).expand_as(like).contiguous(), None),
        told("class-mean", like.shallow_clone(), None),
        told("training-image", drawn, Some(ids)),
    ])
}

/// The one colour with the least mean absolute error against all class means: their median, channel
/// by channel.
fn best_constant(means: &Tensor) -> Tensor {
    let values = match means.dim() {
        4 => means.transpose(0, 1).flatten(1, -1),
        _ => means.reshape([1, -1]),
    };
    let middle = values.median_dim(1, false).0;
    let each =
        if means.dim() == 4 { middle.reshape([1, -1, 1, 1]) } else { middle.reshape([1, 1]) };
    each.expand_as(means).contiguous()
}

/// A training picture of each class, drawn by a stream of its own.
fn of_each_class(
    question: &Question,
    pictures: &Pictures,
    run: &Run,
) -> Result<(Tensor, Vec<usize>), HarnessError> {
    let mut rng = run.stream("training-image");
    let ids: Vec<usize> =
        pictures.ids.iter().map(|list| list[rng.random_range(0..list.len())]).collect();
    Ok((question.data.batch(split(question), &ids)?.x, ids))
}
