//! What may happen to a gradient before an optimiser uses it.

use tch::Tensor;

/// Per lane: first clipped to an L2 norm, then reduced to its signs (Geiping et al., 2020,
/// "Inverting Gradients").
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Conditioning {
    /// Use the sign of each component.
    pub signed: bool,
    /// Largest L2 norm of a lane's gradient.
    pub clip: Option<f64>,
}

impl Conditioning {
    /// `gradient [T, N]` with row norms `norm [T]`, conditioned; rows outside `active [T]` become
    /// zero, whatever they held.
    pub fn apply(&self, gradient: &Tensor, norm: &Tensor, active: &Tensor) -> Tensor {
        let clipped = self.clip.map(|limit| {
            // The small constant is that of torch.nn.utils.clip_grad_norm_.
            gradient * ((norm + 1e-6).reciprocal() * limit).clamp_max(1.0).unsqueeze(1)
        });
        let g = clipped.as_ref().unwrap_or(gradient).where_scalarother(&active.unsqueeze(1), 0.0);
        if self.signed { g.sign() } else { g }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_and_signs_each_row_and_silences_the_inactive() {
        let g = Tensor::from_slice(&[3.0, -4.0, 0.3, 0.0, f64::NAN, 1.0]).view([3, 2]);
        let norm = Tensor::from_slice(&[5.0, 0.3, f64::NAN]);
        let active = Tensor::from_slice(&[true, true, false]);
        let rows =
            |c: Conditioning| Vec::<f64>::try_from(c.apply(&g, &norm, &active).view(-1)).unwrap();
        let clipped = rows(Conditioning { clip: Some(1.0), signed: false });
        assert!((clipped[0] - 0.6).abs() < 1e-6 && (clipped[1] + 0.8).abs() < 1e-6, "{clipped:?}");
        assert_eq!(clipped[2..], [0.3, 0.0, 0.0, 0.0]);
        assert_eq!(
            rows(Conditioning { clip: Some(1.0), signed: true }),
            [1.0, -1.0, 1.0, 0.0, 0.0, 0.0]
        );
    }
}
