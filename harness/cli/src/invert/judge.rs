//! Distances from the training pictures, and what the attacked and an independent model say.

use federation::model_file::ModelFile;
use harness::HarnessError;
use learning::{Mode, Params};
use metrics::{CAP_DB, Panel, Setup};
use suites::{FederationSpec, TrainSpec};
use tch::{Device, Kind, Tensor};

use super::pictures::{Pictures, each};
use super::rivals::Guess;
use super::table::{Distance, Opinion, Row, Table};
use super::{ATTACK, Question};

/// Images that a model looks at together.
const LOOK: i64 = 64;

/// Whether two models are the same weights.
pub fn same_model(a: &Params, b: &Params) -> bool {
    a.tensors.len() == b.tensors.len()
        && a.tensors.iter().zip(&b.tensors).all(|(a, b)| a.size() == b.size() && a.equal(b))
}

/// Whether two trainings are one and the same, as far as it went: everything that shapes the
/// weights is equal but for the number of rounds.
fn same_training(a: &TrainSpec, b: &TrainSpec) -> bool {
    let longer = TrainSpec {
        name: a.name.clone(),
        description: a.description.clone(),
        federation: FederationSpec {
            rounds: a.federation.rounds,
            evaluation: a.federation.evaluation.clone(),
            ..b.federation.clone()
        },
        robustness: a.robustness.clone(),
        ..b.clone()
    };
    longer == *a
}

/// Refuses an evaluator whose word means nothing about this model.
///
/// # Errors
/// Names what does not fit.
pub fn check(model: &ModelFile, other: &ModelFile) -> Result<(), HarnessError> {
    let wrong = |problem: &str| {
        let remedy = "give one of the same task, trained with another seed or on other data";
        Err(suites::SpecError::value("--evaluator", problem, remedy).into())
    };
    let (a, b) = (&model.spec.task, &other.spec.task);
    if (&a.dataset, &a.label) != (&b.dataset, &b.label) || model.classes() != other.classes() {
        return wrong(&format!(
            "is a model of `{}`, not of `{}` with the same classes",
            b.dataset, a.dataset
        ));
    }
    if model.net.input() != other.net.input() {
        return wrong(&format!(
            "takes pictures of {:?}, not of {:?}",
            other.net.input(),
            model.net.input()
        ));
    }
    if same_model(&model.params, &other.params) {
        return wrong("is the attacked model itself, which would only confirm itself");
    }
    if same_training(&model.spec, &other.spec) {
        return wrong(&format!(
            "is of the attacked model's own training (after {} rounds; attacked after {}), and \
             not independent of it",
            other.round, model.round
        ));
    }
    Ok(())
}

/// Scores every guess; also the nearest training picture of each class to the reconstruction, `[C,
/// ...]`.
///
/// # Errors
/// What the data or the metrics say.
pub fn judge(
    question: &Question,
    guesses: &[Guess],
    pictures: &Pictures,
    device: Device,
) -> Result<(Table, Tensor), HarnessError> {
    let near = neighbours(question, guesses)?;
    let panel = Panel::with(&["psnr", "ssim"], &Setup::new(None, device))?;
    let mut rows = Vec::new();
    for (g, guess) in guesses.iter().enumerate() {
        let nearest = Tensor::stack(&near[g].iter().map(|n| &n.image).collect::<Vec<_>>(), 0);
        let to_mean = distances(&panel, &guess.images, &pictures.means)?;
        let to_nearest = distances(&panel, &guess.images, &nearest)?;
        let own = opinions(&question.model, question, &guess.images, device);
        let others =
            question.evaluator.as_ref().map(|e| opinions(e, question, &guess.images, device));
        let alike = most_alike(&guess.images, &pictures.means);
        for (c, (to_mean, to_nearest)) in to_mean.into_iter().zip(to_nearest).enumerate() {
            rows.push(Row {
                guess: guess.name.into(),
                knows_data: guess.knows,
                class: question.classes[c],
                name: question.model.classes()[question.classes[c]].clone(),
                class_mean: to_mean,
                nearest: to_nearest,
                nearest_id: near[g][c].id,
                class_mae: near[g][c].sum / near[g][c].count.max(1) as f64,
                identified: alike[c] == Some(c),
                model: own[c],
                evaluator: others.as_ref().map(|o| o[c]),
            });
        }
    }
    let first = guesses.iter().position(|g| g.name == ATTACK).unwrap_or(0);
    let nearest = Tensor::stack(&near[first].iter().map(|n| &n.image).collect::<Vec<_>>(), 0);
    Ok((Table { rows, examples: pictures.total }, nearest))
}

/// A guess among the training pictures of its class.
struct Neighbour {
    mae: f64,
    id: usize,
    image: Tensor,
    /// Of absolute errors against all of them, and how many these are.
    sum: f64,
    count: usize,
}

/// `[guess][class]`: one pass over the data.
fn neighbours(question: &Question, guesses: &[Guess]) -> Result<Vec<Vec<Neighbour>>, HarnessError> {
    let empty = |image: Tensor| Neighbour { mae: f64::INFINITY, id: 0, image, sum: 0.0, count: 0 };
    let start =
        |g: &Guess| (0..question.classes.len()).map(|c| empty(g.images.get(c as i64))).collect();
    let mut all: Vec<Vec<Neighbour>> = guesses.iter().map(start).collect();
    each(question, |ids, x, members| {
        for c in 0..question.classes.len() {
            let rows = members.select(1, c as i64).nonzero().squeeze_dim(1);
            let places: Vec<i64> = Vec::try_from(&rows).unwrap_or_default();
            if places.is_empty() {
                continue;
            }
            let x = x.index_select(0, &rows);
            for (guess, found) in guesses.iter().zip(&mut all) {
                let itself = guess.ids.as_ref().map(|ids| ids[c]);
                let errors = (&x - guess.images.get(c as i64)).abs().flatten(1, -1);
                let errors = errors.mean_dim(&[1i64][..], false, Kind::Double);
                let errors = Vec::<f64>::try_from(errors).unwrap_or_default();
                for (row, (error, &place)) in errors.into_iter().zip(&places).enumerate() {
                    let id = ids[place as usize];
                    if itself != Some(id) {
                        found[c].meet(error, id, || x.get(row as i64).copy());
                    }
                }
            }
        }
        Ok(())
    })?;
    Ok(all)
}

impl Neighbour {
    fn meet(&mut self, mae: f64, id: usize, image: impl Fn() -> Tensor) {
        self.sum += mae;
        self.count += 1;
        if mae < self.mae {
            (self.mae, self.id, self.image) = (mae, id, image());
        }
    }
}

fn distances(panel: &Panel, guess: &Tensor, truth: &Tensor) -> Result<Vec<Distance>, HarnessError> {
    let mae = (guess - truth).abs().flatten(1, -1).mean_dim(&[1i64][..], false, Kind::Double);
    let mae = Vec::<f64>::try_from(mae).unwrap_or_default();
    let scored = panel.score(guess, truth)?.images;
    let get = |scores: &metrics::Scores, name: &str| scores.get(name).copied().flatten();
    let one = |(mae, image): (f64, metrics::ImageScores)| Distance {
        mae,
        psnr: get(&image.scores, "psnr").map(|v| v.min(CAP_DB)),
        ssim: get(&image.scores, "ssim"),
    };
    Ok(mae.into_iter().zip(scored).map(one).collect())
}

/// What a model says of a picture `[C, ...]` of each class.
fn opinions(
    model: &ModelFile,
    question: &Question,
    images: &Tensor,
    device: Device,
) -> Vec<Opinion> {
    let params = model.params.to(device, Kind::Float);
    let look = |from: i64| {
        let some = images.narrow(0, from, LOOK.min(images.size()[0] - from)).to_device(device);
        model
            .net
            .logits(&params, &some.unsqueeze(0), Mode::Eval)
            .squeeze_dim(0)
            .to_device(Device::Cpu)
    };
    let several = question.data.card().labels == datasets::LabelKind::MultiLabel;
    tch::no_grad(|| {
        let parts: Vec<Tensor> = (0..images.size()[0]).step_by(LOOK as usize).map(look).collect();
        let logits = Tensor::cat(&parts, 0).to_kind(Kind::Double);
        let p = if several { logits.sigmoid() } else { logits.softmax(-1, None::<Kind>) };
        let answers = logits.argmax(1, false);
        let one = |(row, &class): (usize, &usize)| {
            let confidence = p.double_value(&[row as i64, class as i64]);
            let answer = answers.int64_value(&[row as i64]);
            Opinion {
                confidence,
                right: if several { confidence > 0.5 } else { answer == class as i64 },
            }
        };
        question.classes.iter().enumerate().map(one).collect()
    })
}

/// For each guess the class whose mean picture it correlates with most; `None` for one of a single
/// colour, which correlates with nothing.
fn most_alike(guesses: &Tensor, means: &Tensor) -> Vec<Option<usize>> {
    let unit = |t: &Tensor| {
        let t = t.flatten(1, -1).to_kind(Kind::Double);
        let t = &t - t.mean_dim(&[1i64][..], true, None::<Kind>);
        &t / t.norm_scalaropt_dim(2, &[1i64][..], true)
    };
    let likeness = unit(guesses).matmul(&unit(means).transpose(0, 1));
    let flat = |t: &Tensor| (t.max() - t.min()).double_value(&[]) < 1e-6;
    let one = |c: i64| {
        (!flat(&guesses.get(c))).then(|| likeness.get(c).argmax(0, false).int64_value(&[]) as usize)
    };
    (0..guesses.size()[0]).map(one).collect()
}
