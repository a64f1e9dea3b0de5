//! Which guess belongs to which truth in a batch whose order the gradient does not tell.

use crate::MetricError;
use crate::images::{clean, prepare};
use pathfinding::prelude::{Matrix, kuhn_munkres_min};
use tch::{Device, Kind, Tensor};

/// Costs are integers to the solver; this resolves errors of 1e-12.
const SCALE: f64 = 1e12;

/// The assignment that minimises the total mean squared error (Hungarian method, Kuhn and Munkres),
/// shared by all metrics. `guess` is `[M, ...]`, `truth` `[N, ...]` with `M >= N`; the result holds
/// for each truth the index of its guess. A diverged guess counts as grey. Equal costs are resolved
/// the same way every time.
///
/// # Errors
/// [`MetricError::Shape`] where images differ in size or guesses are fewer than truths.
pub fn pair(guess: &Tensor, truth: &Tensor) -> Result<Vec<usize>, MetricError> {
    let (m, n) = (guess.size().first().copied(), truth.size().first().copied());
    if guess.size().get(1..) != truth.size().get(1..) || m < n {
        return Err(MetricError::Shape { guess: guess.size(), truth: truth.size() });
    }
    let truth = prepare(truth, truth)?.truth;
    let (guess, _) = clean(guess)?;
    let (n, m) = (truth.size()[0] as usize, guess.size()[0] as usize);
    if n == 0 {
        return Ok(Vec::new());
    }
    let costs: Vec<i64> = Vec::<f64>::try_from(distances(&truth, &guess).view(-1))?
        .iter()
        .map(|d| (d * SCALE).round() as i64)
        .collect();
    let matrix = Matrix::from_vec(n, m, costs).map_err(|e| MetricError::Torch(e.to_string()))?;
    Ok(kuhn_munkres_min(&matrix).1)
}

/// The guess rows in the order of their truths: row `i` of the result belongs to truth `i`.
///
/// # Errors
/// As [`pair`].
pub fn align(guess: &Tensor, truth: &Tensor) -> Result<(Tensor, Vec<usize>), MetricError> {
    let order = pair(guess, truth)?;
    let index: Vec<i64> = order.iter().map(|&i| i as i64).collect();
    let index = Tensor::from_slice(&index).to_device(guess.device());
    Ok((guess.index_select(0, &index), order))
}

/// Mean squared errors `[N, M]` in double precision on the CPU of every row of `a` with every row
/// of `b`.
pub(crate) fn distances(a: &Tensor, b: &Tensor) -> Tensor {
    let flat = |t: &Tensor| t.to_device(Device::Cpu).to_kind(Kind::Double).flatten(1, -1);
    let (a, b) = (flat(a), flat(b));
    let pixels = a.size()[1] as f64;
    // |a - b|^2 expanded, so that hundreds of images need one matrix product and no [N, M, pixels]
    // tensor.
    let squares = |t: &Tensor| t.square().sum_dim_intlist([1].as_slice(), true, Kind::Double);
    let sums = squares(&a) + squares(&b).transpose(0, 1) - a.matmul(&b.transpose(0, 1)) * 2.0;
    (sums / pixels).clamp_min(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(n: i64) -> Tensor {
        let t = Tensor::arange(n * 48, (Kind::Float, Device::Cpu)) * 0.7;
        (t.sin() * 0.5 + 0.5).view([n, 3, 4, 4])
    }

    #[test]
    fn undoes_a_shuffle() {
        let truth = batch(9);
        let order = [4_i64, 7, 1, 0, 8, 3, 2, 6, 5];
        let guess = truth.index_select(0, &Tensor::from_slice(&order)) + 0.01;
        let found = pair(&guess, &truth).unwrap();
        for (t, &g) in found.iter().enumerate() {
            assert_eq!(order[g], t as i64);
        }
        let (aligned, _) = align(&guess, &truth).unwrap();
        assert!((aligned - truth).abs().max().double_value(&[]) < 0.0101);
    }

    #[test]
    fn the_total_decides_not_the_nearest() {
        // Both truths are nearest to guess 0; giving it to truth 1 costs least in all.
        let row = |v: f32| Tensor::full([1, 1, 1, 1], f64::from(v), (Kind::Float, Device::Cpu));
        let truth = Tensor::cat(&[row(0.5), row(0.9)], 0);
        let guess = Tensor::cat(&[row(0.6), row(0.1)], 0);
        assert_eq!(pair(&guess, &truth).unwrap(), [1, 0]);
    }

    #[test]
    fn a_diverged_guess_takes_what_is_left() {
        let truth = batch(3);
        let guess = truth.copy();
        let _ = guess.get(1).fill_(f64::NAN);
        assert_eq!(pair(&guess, &truth).unwrap(), [0, 1, 2]);
    }

    #[test]
    fn spare_guesses_are_left_over_and_missing_ones_refused() {
        let truth = batch(4);
        assert_eq!(pair(&truth, &truth.narrow(0, 2, 2)).unwrap(), [2, 3]);
        assert!(pair(&truth.narrow(0, 0, 3), &truth).is_err());
        assert!(pair(&truth.narrow(0, 0, 0), &truth.narrow(0, 0, 0)).unwrap().is_empty());
    }

    #[test]
    fn distances_are_mean_squared_errors() {
        let (a, b) = (batch(3), batch(5).flip([0]));
        let d = distances(&a, &b);
        let row = |t: &Tensor, i| t.get(i).to_kind(Kind::Double);
        let direct = (row(&a, 2) - row(&b, 4)).square().mean(Kind::Double).double_value(&[]);
        assert!((d.double_value(&[2, 4]) - direct).abs() < 1e-12);
    }

    #[test]
    fn hundreds_are_quick() {
        let truth = batch(300);
        let start = std::time::Instant::now();
        let found = pair(&truth.flip([0]), &truth).unwrap();
        assert!(start.elapsed().as_secs_f64() < 5.0);
        assert_eq!((found[0], found.len()), (299, 300));
    }
}
