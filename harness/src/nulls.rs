//! The null baselines of a cell, and the crowd in which its originals are looked for: what an
//! adversary has without the update.

use std::collections::BTreeMap;

use attacks::Reconstruction;
use attacks::labels::rounded;
use federation::init::public_split;
use metrics::baselines::{self, Pool};
use metrics::identification::{self, CANDIDATES, Crowd};
use metrics::label_batch::{self, Counts};
use metrics::label_match::DRAWS;
use metrics::{MetricError, Panel, label_match, pairing};
use rand::seq::IndexedRandom;
use record::Scores;
use suites::rng::stream;
use tch::{Device, Kind, Tensor};

use crate::HarnessError;
use crate::resolve::ResolvedCell;
use crate::scenario::GroundTruth;
use crate::score::registered_scores;

/// Examples of the public split used for means, random batches and the nearest neighbour, at most.
const POOL: usize = 2000;

/// What the public split offers an adversary.
pub struct Public {
    pool: Pool,
    /// Classes of the pool's images; empty where an image has several.
    labels: Vec<i64>,
    /// Labels `[P, K]` of the pool's images where one has several.
    several: Option<Tensor>,
    /// Images in which an original must be told from others.
    others: Tensor,
    key: String,
}

impl Public {
    /// Takes examples at equal distances over the public split, so that one sorted by class gives
    /// all of them; nothing where the data have no such split.
    ///
    /// # Errors
    /// Data that cannot be read.
    pub fn open(cell: &ResolvedCell) -> Result<Public, HarnessError> {
        let data = cell.data.as_ref();
        let Some(split) = public_split(data, cell.spec.task.split) else {
            let shape: Vec<i64> = std::iter::once(0).chain(cell.net.input()).collect();
            let none = Tensor::zeros(shape, (Kind::Float, Device::Cpu));
            let pool = Pool::new(&none, Vec::new())?;
            let labels = Vec::new();
            return Ok(Public { pool, labels, several: None, others: none, key: String::new() });
        };
        let ids = spread(data.len(split), POOL);
        let batch = data.batch(split, &ids)?;
        let single = batch.y.kind() == Kind::Int64;
        let labels = if single { Vec::try_from(&batch.y).unwrap_or_default() } else { Vec::new() };
        let others: Vec<i64> =
            spread(ids.len(), CANDIDATES - 1).into_iter().map(|i| i as i64).collect();
        let others = batch.x.index_select(0, &Tensor::from_slice(&others));
        let key = format!("{:?} {split} {:?}", cell.spec.task, others.size());
        let several = (!single).then(|| batch.y.shallow_clone());
        Ok(Public { pool: Pool::new(&batch.x, ids)?, labels, several, others, key })
    }

    /// Whether there is no public image at all.
    pub fn is_empty(&self) -> bool {
        self.others.size()[0] == 0
    }

    /// The candidates among which originals are looked for.
    pub fn crowd(&self) -> Crowd<'_> {
        Crowd { images: &self.others, key: &self.key }
    }

    /// The scores of every baseline by name, one entry an image in the order of the truth.
    ///
    /// # Errors
    /// Metrics.
    pub fn null_scores(
        &self,
        cell: &ResolvedCell,
        truth: &GroundTruth,
        found: &Reconstruction,
        panel: &Panel,
    ) -> Result<BTreeMap<String, Vec<Scores>>, MetricError> {
        let flat = truth.pixels.flatten(0, 1);
        let draws = |purpose: &str| stream(cell.spec.seed, &cell.spec.world_key(), purpose);
        let mut guesses = baselines::guesses(&flat, &self.pool, None, &mut draws("null-noise"))?;
        let classes = classes(truth);
        if self.is_empty() {
            // Without public images these two would only repeat grey.
            guesses.retain(|name, _| !["mean", "nearest"].contains(name));
        } else {
            let drawn = self.pool.draw(flat.size()[0] as usize, &mut draws("null-public"));
            guesses.insert("public", assigned(&drawn.reshape(truth.pixels.size()), truth)?);
            if !classes.is_empty() && !self.labels.is_empty() {
                let means = self.pool.class_means(&classes, &self.labels);
                guesses.insert("class-mean", means.reshape(flat.size()));
            }
        }
        if let Some(other) = other(&found.pixels, truth) {
            guesses.insert("other", assigned(&other, truth)?);
        }
        let mut told = self.identified(guesses.values(), &flat, panel)?.into_iter();
        let mut scored = BTreeMap::new();
        for (name, guess) in guesses {
            let rows = panel.score(&guess, &flat)?.images.into_iter().map(|i| i.scores);
            let registered = registered_scores(cell, &guess, &flat)?;
            let row = |((mut row, own), told): ((Scores, Scores), Scores)| {
                row.extend(own.into_iter().chain(told));
                row
            };
            let rows: Vec<Scores> = rows.zip(registered).zip(told.by_ref()).map(row).collect();
            scored.insert(name.to_string(), rows);
        }
        if let Some(public) = scored.get_mut("public") {
            let each = truth.pixels.size()[1] as usize;
            let mut rng = draws("null-labels");
            for (rows, own) in public.chunks_mut(each).zip(classes.chunks(each)) {
                let chance = label_match::chance(own, &self.labels, &mut rng);
                rows.iter_mut().zip(chance).for_each(|(row, chance)| row.extend(chance));
            }
        }
        Ok(scored)
    }

    /// What labels alone score without the update, one entry an image: `public`, the mean over
    /// batches of labels drawn from the public split, `prior`, the counts nearest to its shares,
    /// and `majority`, its most frequent class (of several labels an example each one's more
    /// frequent answer).
    pub fn label_nulls(
        &self,
        cell: &ResolvedCell,
        truth: &GroundTruth,
    ) -> BTreeMap<String, Vec<Scores>> {
        let mut rng = stream(cell.spec.seed, &cell.spec.world_key(), "null-labels");
        let batch = truth.labels.size()[1] as usize;
        let (mut drawn, mut most): (Vec<Scores>, Vec<Scores>) = (Vec::new(), Vec::new());
        let places: Vec<usize> = (0..self.pool_size()).collect();
        if places.is_empty() {
            return BTreeMap::new();
        }
        let (majority, shares) = (self.majority(batch), self.shared(batch));
        let mut prior: Vec<Scores> = Vec::new();
        for n in 0..truth.labels.size()[0] {
            let own = Counts::of(&truth.labels.get(n));
            let mut draw = || -> Counts {
                let of = |_| places.choose(&mut rng).copied().unwrap_or(0);
                self.counts(&(0..batch).map(of).collect::<Vec<_>>())
            };
            let draws: Vec<Counts> = (0..DRAWS).map(|_| draw()).collect();
            drawn.extend(vec![label_batch::mean(&draws, &own); batch]);
            most.extend(vec![label_batch::mean([&majority], &own); batch]);
            prior.extend(vec![label_batch::mean([&shares], &own); batch]);
        }
        let named = [("public", drawn), ("prior", prior), ("majority", most)];
        named.into_iter().map(|(name, rows)| (name.to_string(), rows)).collect()
    }

    fn pool_size(&self) -> usize {
        self.several.as_ref().map_or(self.labels.len(), |s| s.size()[0] as usize)
    }

    /// The labels at these places of the pool.
    fn counts(&self, places: &[usize]) -> Counts {
        match &self.several {
            None => {
                Counts::of_classes(&places.iter().map(|&at| self.labels[at]).collect::<Vec<_>>())
            }
            Some(rows) => {
                let at: Vec<i64> = places.iter().map(|&at| at as i64).collect();
                Counts::of(&rows.index_select(0, &Tensor::from_slice(&at)))
            }
        }
    }

    /// As many examples of each class, or with each of several labels, as the pool's shares say.
    fn shared(&self, batch: usize) -> Counts {
        let whole = batch as f64;
        match &self.several {
            None => {
                let most = self.labels.iter().copied().max().unwrap_or(-1).max(-1);
                let of = |k: i64| self.labels.iter().filter(|l| **l == k).count() as f64;
                let shares = (0..=most).map(|k| whole * of(k) / self.labels.len().max(1) as f64);
                let counts = rounded(&shares.collect::<Vec<_>>(), batch);
                let each = |(k, n): (usize, &usize)| std::iter::repeat_n(k as i64, *n);
                Counts::of_classes(&counts.iter().enumerate().flat_map(each).collect::<Vec<_>>())
            }
            Some(rows) => {
                let counts = (rows.mean_dim(&[0i64][..], true, Kind::Double) * whole).round();
                let places = Tensor::arange(batch as i64, (Kind::Double, Device::Cpu));
                Counts::of(&places.unsqueeze(1).lt_tensor(&counts).to_kind(Kind::Float))
            }
        }
    }

    fn majority(&self, batch: usize) -> Counts {
        match &self.several {
            None => {
                let times = |l: &i64| self.labels.iter().filter(|o| *o == l).count();
                let most = self.labels.iter().copied().max_by_key(|l| (times(l), -l)).unwrap_or(-1);
                Counts::of_classes(&vec![most; batch])
            }
            Some(rows) => {
                let answer = rows.mean_dim(&[0i64][..], true, None::<Kind>).gt(0.5);
                Counts::of(&answer.to_kind(Kind::Float).repeat([batch as i64, 1]))
            }
        }
    }

    /// Whether guesses `[N, ...]` identify their originals, those of one baseline after those of
    /// the other.
    fn identified<'a>(
        &self,
        guesses: impl Iterator<Item = &'a Tensor>,
        truth: &Tensor,
        panel: &Panel,
    ) -> Result<Vec<Scores>, MetricError> {
        let guesses: Vec<Tensor> = guesses.map(|g| g.to_kind(Kind::Float)).collect();
        let truths = vec![truth; guesses.len()];
        let (guess, truth) = (Tensor::cat(&guesses, 0), Tensor::cat(&truths, 0));
        let finite = Vec::<bool>::try_from(guess.isfinite().flatten(1, -1).all_dim(1, false))?;
        identification::scores(panel, &guess, &truth, &finite, &self.crowd())
    }
}

/// At most `most` of `total` places, at equal distances.
fn spread(total: usize, most: usize) -> Vec<usize> {
    let count = total.min(most);
    (0..count).map(|i| i * total / count).collect()
}

/// The class of every image; empty where images have several.
fn classes(truth: &GroundTruth) -> Vec<i64> {
    if truth.labels.kind() != Kind::Int64 {
        return Vec::new();
    }
    Vec::try_from(truth.labels.flatten(0, -1)).unwrap_or_default()
}

/// Guesses `[N, B, ...]`, those of each signal assigned to its truths, as `[N * B, ...]`.
fn assigned(guess: &Tensor, truth: &GroundTruth) -> Result<Tensor, MetricError> {
    let signals = truth.pixels.size()[0];
    let align = |n| Ok(pairing::align(&guess.get(n), &truth.pixels.get(n))?.0);
    let rows: Result<Vec<Tensor>, MetricError> = (0..signals).map(align).collect();
    Ok(Tensor::cat(&rows?, 0))
}

/// For each signal the reconstruction of the next one that holds none of its examples; `None`
/// where a signal has no such other.
fn other(found: &Tensor, truth: &GroundTruth) -> Option<Tensor> {
    let signals = truth.pixels.size()[0] as usize;
    let each = truth.ids.len() / signals.max(1);
    let ids = |n: usize| &truth.ids[n * each..(n + 1) * each];
    let next = |n: usize| {
        let others = (1..signals).map(|k| (n + k) % signals);
        let mut apart = others.filter(|m| !ids(*m).iter().any(|id| ids(n).contains(id)));
        apart.next().map(|m| m as i64)
    };
    let order: Option<Vec<i64>> = (0..signals).map(next).collect();
    order.map(|order| found.to_device(Device::Cpu).index_select(0, &Tensor::from_slice(&order)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spread_over_the_whole() {
        assert_eq!(spread(10, 4), [0, 2, 5, 7]);
        assert_eq!(spread(3, 4), [0, 1, 2]);
        assert!(spread(0, 4).is_empty());
    }

    #[test]
    fn another_capture_shares_no_example() {
        let pixels = Tensor::arange(4, (Kind::Float, Device::Cpu)).view([4, 1, 1, 1, 1]);
        let truth = |ids: [usize; 4]| GroundTruth {
            pixels: pixels.copy(),
            labels: Tensor::zeros([4, 1], (Kind::Int64, Device::Cpu)),
            ids: ids.to_vec(),
            clients: vec![0; 4],
        };
        let order = |ids| other(&pixels, &truth(ids)).map(|t| Vec::<f64>::try_from(t.view(-1)));
        assert_eq!(order([5, 6, 7, 8]).unwrap().unwrap(), [1.0, 2.0, 3.0, 0.0]);
        assert_eq!(order([5, 5, 7, 8]).unwrap().unwrap(), [2.0, 2.0, 3.0, 0.0]);
        assert!(order([5, 5, 5, 5]).is_none());
    }
}
