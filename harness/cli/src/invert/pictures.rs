//! What the training pictures of each class look like, read in passes so that no data set has to
//! fit into memory.

use harness::HarnessError;
use suites::Split;
use tch::{Kind, Tensor};

use super::Question;

/// Values read at once.
const VALUES: usize = 1 << 23;

/// The classes asked for.
pub struct Pictures {
    /// Mean picture of each class, `[C, ...]`, f32.
    pub means: Tensor,
    /// Mean of all pictures of the split, `[...]`, f32.
    pub mean: Tensor,
    /// Examples of each class, by id.
    pub ids: Vec<Vec<usize>>,
    /// Examples of the split.
    pub total: usize,
}

/// Reads the split that the model was trained on.
///
/// # Errors
/// What the data say; a class without a single example.
pub fn read(question: &Question) -> Result<Pictures, HarnessError> {
    let count = question.classes.len();
    let shape = question.model.net.input();
    let size: i64 = shape.iter().product();
    let mut sums = Tensor::zeros([count as i64, size], (Kind::Double, tch::Device::Cpu));
    let mut sum = Tensor::zeros([size], (Kind::Double, tch::Device::Cpu));
    let mut ids: Vec<Vec<usize>> = vec![Vec::new(); count];
    each(question, |examples, x, members| {
        let x = x.flatten(1, -1).to_kind(Kind::Double);
        sums += members.to_kind(Kind::Double).transpose(0, 1).matmul(&x);
        sum += x.sum_dim_intlist(0, false, None);
        for (c, list) in ids.iter_mut().enumerate() {
            let rows = members.select(1, c as i64).nonzero().squeeze_dim(1);
            list.extend(
                Vec::<i64>::try_from(rows)
                    .unwrap_or_default()
                    .into_iter()
                    .map(|r| examples[r as usize]),
            );
        }
        Ok(())
    })?;
    if let Some(c) = ids.iter().position(Vec::is_empty) {
        let class = question.classes[c];
        let problem =
            format!("holds {class}, of which the training data have no example to compare with");
        return Err(suites::SpecError::value("--classes", problem, "leave it out").into());
    }
    let counts: Vec<f64> = ids.iter().map(|list| list.len() as f64).collect();
    let total = question.data.len(split(question));
    let shaped =
        |t: Tensor, lead: &[i64]| t.to_kind(Kind::Float).reshape([lead, &shape[..]].concat());
    let means = sums / Tensor::from_slice(&counts).unsqueeze(1);
    Ok(Pictures {
        means: shaped(means, &[count as i64]),
        mean: shaped(sum / total as f64, &[]),
        ids,
        total,
    })
}

/// The split that clients held.
pub fn split(question: &Question) -> Split {
    question.model.spec.task.split
}

/// Goes through the split: ids, pictures `[B, ...]`, and which of the classes each has, bool `[B,
/// C]`.
pub fn each(
    question: &Question,
    mut look: impl FnMut(&[usize], &Tensor, &Tensor) -> Result<(), HarnessError>,
) -> Result<(), HarnessError> {
    let size: i64 = question.model.net.input().iter().product();
    let ids: Vec<usize> = (0..question.data.len(split(question))).collect();
    for some in ids.chunks((VALUES / size.max(1) as usize).max(1)) {
        let batch = question.data.batch(split(question), some)?;
        look(some, &batch.x, &question.members(&batch.y))?;
    }
    Ok(())
}
