//! Whether a reconstruction tells its original from other people's pictures: retrieval among
//! candidates, the re-identification rate of Balle et al. (2022) with public images as the crowd.
//!
//! The candidates are the original and up to [`CANDIDATES`] - 1 public images. An original is
//! identified at `k` where fewer than `k` of the others are at least as near to the reconstruction:
//! ties count against the attacker. Blind guessing identifies `k` of as many as there are
//! candidates.

use crate::pairing::distances;
use crate::{MetricError, Panel, Scores};
use record::MetricInfo;
use tch::{Device, Kind, Tensor};

/// Candidates at most, the original among them.
pub const CANDIDATES: usize = 1000;

/// Places at which an identification is counted.
const PLACES: [usize; 2] = [1, 5];

/// The distances by which pictures are looked for: the metric, and what its scores are called.
const BY: [(&str, [&str; 2]); 2] = [
    ("mse", ["identified-top1", "identified-top5"]),
    ("lpips-alex", ["identified-lpips-top1", "identified-lpips-top5"]),
];

/// Squared distance below which two pictures are the same one.
const SAME: f64 = 1e-10;

/// Candidates compared at a time.
const CHUNK: i64 = 128;

/// What reports know of the scores.
pub fn infos() -> Vec<MetricInfo> {
    let one = |(metric, names): &(&str, [&str; 2])| {
        let distance = if *metric == "mse" { "pixels" } else { "LPIPS (AlexNet)" };
        let info = |(name, k): (&str, usize)| MetricInfo {
            range: [Some(0.0), Some(1.0)],
            share: true,
            decimals: 2,
            reference: format!(
                "retrieval of the original among public candidates by {distance}, top {k}; chance \
                 is {k} / candidates"
            ),
            ..MetricInfo::higher(name, &format!("identified, top {k} by {distance}"))
        };
        names.iter().copied().zip(PLACES).map(info).collect::<Vec<_>>()
    };
    BY.iter().flat_map(one).collect()
}

/// The crowd that an original is looked for in.
pub struct Crowd<'a> {
    /// Images `[M, C, H, W]` or rows `[M, F]` in `[0, 1]`, the originals not among them.
    pub images: &'a Tensor,
    /// What names them among all crowds of a run, so that their embeddings are computed once.
    pub key: &'a str,
}

impl Crowd<'_> {
    /// Candidates for one original.
    pub fn candidates(&self) -> usize {
        self.images.size()[0] as usize + 1
    }
}

/// The scores of each image, guess `i` belonging to truth `i`: 1 where the original is identified,
/// else 0; a guess where `finite` is false identifies nobody. No score by a distance that is not
/// on this machine or cannot compare these images, and none at all without a crowd. Many guesses at
/// once are cheaper than one after the other.
///
/// # Errors
/// As [`Panel::score`].
pub fn scores(
    panel: &Panel,
    guess: &Tensor,
    truth: &Tensor,
    finite: &[bool],
    crowd: &Crowd,
) -> Result<Vec<Scores>, MetricError> {
    let mut out = vec![Scores::new(); truth.size()[0] as usize];
    for (metric, names) in BY {
        let own = |pixels| panel.embed(metric, pixels);
        let ranks = match (crowd.candidates() > 1).then(|| Ok((own(guess)?, own(truth)?))) {
            Some(Ok((Some(guess), Some(truth)))) => {
                Some(ranks(panel, metric, &guess, &truth, crowd)?)
            }
            Some(Err(error)) => return Err(error),
            _ => None,
        };
        for (i, scores) in out.iter_mut().enumerate() {
            let met = |k: usize| {
                let met = |ranks: &Vec<usize>| f64::from(u8::from(finite[i] && ranks[i] < k));
                ranks.as_ref().map(met)
            };
            scores.extend(names.iter().zip(PLACES).map(|(name, k)| (name.to_string(), met(k))));
        }
    }
    Ok(out)
}

/// How many of the crowd are at least as near to each guess `[N, D]` as its own original `[N, D]`;
/// one that is the original itself is passed over.
fn ranks(
    panel: &Panel,
    metric: &str,
    guess: &Tensor,
    truth: &Tensor,
    crowd: &Crowd,
) -> Result<Vec<usize>, MetricError> {
    let own = (guess - truth).square().mean_dim([1i64].as_slice(), true, Kind::Double);
    let mut ranks = Tensor::zeros([truth.size()[0]], (Kind::Int64, Device::Cpu));
    let total = crowd.images.size()[0];
    for start in (0..total).step_by(CHUNK as usize) {
        let images = crowd.images.narrow(0, start, CHUNK.min(total - start));
        let Some(others) = panel.crowd(metric, &format!("{} {start}", crowd.key), &images)? else {
            continue;
        };
        // Doubles once for both, and no more of them than a chunk has.
        let others = others.to_kind(Kind::Double);
        let nearer = distances(guess, &others).le_tensor(&own.to_device(Device::Cpu));
        let differs = distances(truth, &others).gt(SAME);
        let count = nearer.logical_and(&differs);
        ranks += count.sum_dim_intlist([1i64].as_slice(), false, Kind::Int64);
    }
    let ranks: Vec<i64> = Vec::try_from(ranks)?;
    Ok(ranks.into_iter().map(|r| r as usize).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Setup;

    fn images(n: i64, offset: f64) -> Tensor {
        let t = Tensor::arange(n * 192, (Kind::Float, Device::Cpu)) * 1.7 + offset;
        (t.sin() * 0.5 + 0.5).view([n, 3, 8, 8])
    }

    fn found(guess: &Tensor, truth: &Tensor, crowd: &Tensor) -> Vec<(f64, f64)> {
        let panel = Panel::open(&Setup { data_root: None, lpips: None, device: Device::Cpu });
        let crowd = Crowd { images: crowd, key: "test" };
        let finite = vec![true; truth.size()[0] as usize];
        let scores = scores(&panel, guess, truth, &finite, &crowd).unwrap();
        let top = |s: &Scores, k: usize| s[&format!("identified-top{k}")].unwrap();
        scores.iter().map(|s| (top(s, 1), top(s, 5))).collect()
    }

    #[test]
    fn a_good_reconstruction_is_told_from_the_crowd_and_another_is_not() {
        let (truth, crowd) = (images(3, 0.0), images(40, 0.3));
        assert_eq!(found(&(&truth * 0.95 + 0.02), &truth, &crowd), [(1.0, 1.0); 3]);
        // Pictures of the crowd are nearest to themselves.
        let other = crowd.narrow(0, 7, 3);
        assert!(found(&other, &truth, &crowd).iter().all(|s| s.0 == 0.0));
    }

    #[test]
    fn the_fifth_place_is_the_fourth_that_is_nearer() {
        let level = |v: f64| Tensor::full([1, 1, 2, 2], v, (Kind::Float, Device::Cpu));
        let (guess, truth) = (level(0.5), level(0.6));
        let crowd = |n: usize| level(0.45).repeat([n as i64, 1, 1, 1]);
        assert_eq!(found(&guess, &truth, &crowd(4)), [(0.0, 1.0)]);
        assert_eq!(found(&guess, &truth, &crowd(5)), [(0.0, 0.0)]);
        // A tie counts against the attacker; the original itself does not.
        assert_eq!(found(&truth, &truth, &truth.repeat([9, 1, 1, 1])), [(1.0, 1.0)]);
    }

    #[test]
    fn one_candidate_identifies_nobody() {
        let panel = Panel::open(&Setup { data_root: None, lpips: None, device: Device::Cpu });
        let truth = images(1, 0.0);
        let crowd = Crowd { images: &images(0, 0.0), key: "none" };
        let all = scores(&panel, &truth, &truth, &[true], &crowd).unwrap();
        assert!(all[0].len() == 4 && all[0].values().all(Option::is_none));
    }

    #[test]
    fn a_diverged_guess_identifies_nobody() {
        let panel = Panel::open(&Setup { data_root: None, lpips: None, device: Device::Cpu });
        let (truth, others) = (images(2, 0.0), images(9, 0.3));
        let crowd = Crowd { images: &others, key: "test" };
        let all = scores(&panel, &truth, &truth, &[true, false], &crowd).unwrap();
        let top = |i: usize| all[i]["identified-top1"].unwrap();
        assert_eq!((top(0), top(1)), (1.0, 0.0));
    }
}
