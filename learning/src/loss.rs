//! Losses, each one value a lane: the mean over the batch.

use tch::{Kind, Tensor};

/// Cross-entropy of logits `[T, B, K]` against class indices `[T, B]` (i64); gives `[T]`.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    let log_p = logits.log_softmax(-1, None::<Kind>);
    let picked = log_p.gather(2, &labels.unsqueeze(2), false).squeeze_dim(2);
    -picked.mean_dim(1, false, None)
}

/// Cross-entropy against class probabilities `[T, B, K]`; gives `[T]`.
pub fn soft_cross_entropy(logits: &Tensor, probabilities: &Tensor) -> Tensor {
    let log_p = logits.log_softmax(-1, None::<Kind>);
    -(log_p * probabilities).sum_dim_intlist(2, false, None).mean_dim(1, false, None)
}

/// Mean binary cross-entropy of logits `[T, B, K]` against 0/1 labels `[T, B, K]` (multi-label
/// tasks); gives `[T]`.
pub fn binary_cross_entropy(logits: &Tensor, labels: &Tensor) -> Tensor {
    let loss = -(logits.log_sigmoid() * labels + (-logits).log_sigmoid() * (labels.neg() + 1.0));
    loss.mean_dim(&[1i64, 2][..], false, None)
}

/// The task's loss by the labels' kind: i64 `[T, B]` class indices, or f32 `[T, B, K]` multi-label
/// targets; gives `[T]`.
pub fn task_loss(logits: &Tensor, labels: &Tensor) -> Tensor {
    match labels.kind() {
        Kind::Int64 => cross_entropy(logits, labels),
        _ => binary_cross_entropy(logits, &labels.to_kind(logits.kind())),
    }
}

/// What a client trains on: [`soft_cross_entropy`] where its labels are class probabilities, else
/// [`task_loss`]; gives `[T]`.
pub fn training_loss(logits: &Tensor, labels: &Tensor, soft: bool) -> Tensor {
    if soft {
        soft_cross_entropy(logits, &labels.to_kind(logits.kind()))
    } else {
        task_loss(logits, labels)
    }
}

/// What a face recognition head asks of the right class beyond being nearest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Margin {
    /// `cos(theta + m)` in place of `cos(theta)` (Deng et al. 2019: ArcFace).
    Angle {
        /// Factor of the cosines in the logits.
        scale: f64,
        /// m, in radians, in `[0, pi)`.
        margin: f64,
    },
    /// `cos(theta) - m` (Wang et al. 2018: CosFace).
    Cosine {
        /// Factor of the cosines in the logits.
        scale: f64,
        /// m, in `[0, 2)`.
        margin: f64,
    },
}

/// Least value of `1 - cos^2` in ArcFace's sine, whose slope is infinite at 0.
const LEAST_SINE2: f64 = 1e-7;

impl Margin {
    /// Logits `[T, B, K]`, `scale` times cosines, with the margin in those of the labels (i64 `[T,
    /// B]`).
    pub fn apply(&self, logits: &Tensor, labels: &Tensor) -> Tensor {
        let labels = labels.unsqueeze(2);
        let moved = match *self {
            Margin::Cosine { scale, margin } => {
                labels.to_kind(logits.kind()).full_like(-scale * margin)
            }
            Margin::Angle { scale, margin } => {
                let cosine = logits.gather(2, &labels, false) / scale;
                let sine = (cosine.square().neg() + 1.0).clamp_min(LEAST_SINE2).sqrt();
                let inside = &cosine * margin.cos() - sine * margin.sin();
                // Beyond theta = pi - m the cosine would rise again: a line that keeps falling, as
                // the authors' code takes it.
                let beyond = &cosine - margin * margin.sin();
                (inside.where_self(&cosine.gt(-margin.cos()), &beyond) - cosine) * scale
            }
        };
        logits.scatter_add(2, &labels, &moved)
    }
}
