//! The choice of a model's normalisation layers.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::tape::Tape;

/// Which normalisation follows the convolutions.
#[derive(Clone, Copy, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Norm {
    /// By the statistics of the batch (Ioffe and Szegedy 2015).
    #[default]
    Batch,
    /// By the statistics of each example (Wu and He 2018): a batch's examples do not see each
    /// other.
    Group,
}

/// Groups of channels, as Wu and He found best; fewer where the channels are not a multiple.
const GROUPS: i64 = 32;

impl Norm {
    /// The layer of that name over `[T, B, C, H, W]`.
    pub(super) fn layer(self, tape: &mut Tape, name: &str, x: &Tensor) -> Tensor {
        let channels = x.size()[2];
        match self {
            Norm::Batch => tape.batch_norm(name, x),
            Norm::Group => {
                // At least two channels a group: one value of its own would be its own mean.
                let fits = |groups: &i64| {
                    channels % groups == 0 && (channels / groups > 1 || channels == 1)
                };
                let groups = (1..=GROUPS.min(channels)).rev().find(fits).unwrap_or(1);
                tape.group_norm(name, x, groups)
            }
        }
    }
}
