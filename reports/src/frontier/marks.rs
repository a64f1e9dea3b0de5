//! Which points are surely on a frontier, and which surely off it: a mark says no more than the
//! intervals do.

use super::{Point, Try, sign};
use crate::figure::estimate::Estimate;
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use record::aggregate::{Goal, usable};
use record::run::Run;
use record::stats::{CONFIDENCE, Cluster, LEAST_UNITS, bootstrap, clusters};
use record::units::Units;
use std::collections::BTreeMap;
use suites::rng;

/// Trainings below which an accuracy decides nothing: that four differences all have one sign
/// happens by chance more often than one time in 20.
const LEAST_TRAININGS: usize = 5;

/// The rule of [`Judge::marks`], for captions and the paragraph above a table.
pub(crate) const RULE: &str = "on the frontier is what surely leaks less or is worth more than \
    each other point, off it what another surely beats in both; the rest is open. Sure is a \
    difference whose interval lies beyond 0: image by image where both were attacked on the same \
    images (at 1 - 0.05/k for the k attacks tried on the two), else intervals that do not overlap; \
    accuracies training by training where they share seeds, and of 5 to 7 trainings every one. \
    Below 8 independent images or 5 trainings a point has no mark";

/// How a point stands to the others of its panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pareto {
    /// It surely leaks less, or is worth more, than each other.
    On,
    /// Another surely leaks less and is worth more.
    Off,
    /// The intervals decide neither.
    Open,
    /// Too few independent images or trainings stand behind it.
    TooFew,
}

impl Pareto {
    pub fn word(self) -> &'static str {
        match self {
            Pareto::On => "yes",
            Pareto::Off => "no",
            Pareto::Open => "open",
            Pareto::TooFew => "too few",
        }
    }
}

/// What leaked of a defense, and what the task is worth with it.
pub(crate) type Place<'a> = (&'a Point, &'a Estimate);

/// What the points of one panel are compared by.
pub(crate) struct Judge<'a> {
    pub run: &'a Run,
    pub leak: &'a Measure,
    /// More of it is better.
    pub worth: &'a Measure,
    /// What an attacker gets who saw nothing: less leaks no less than that.
    pub floor: Option<f64>,
}

impl Judge<'_> {
    /// The mark of each point; `None` where there is no point.
    pub fn marks(&self, places: &[Option<Place>]) -> Vec<Option<Pareto>> {
        let others = |own: usize| {
            let all = places.iter().enumerate().filter(move |(at, _)| *at != own);
            all.filter_map(|(_, place)| *place)
        };
        let mark = |(at, place): (usize, &Option<Place>)| {
            let own = (*place)?;
            Some(match () {
                () if !judged(own) => Pareto::TooFew,
                () if others(at).any(|o| judged(o) && self.beats(o, own)) => Pareto::Off,
                () if others(at).all(|o| self.leaks_less(own, o) || self.worth_more(own, o)) => {
                    Pareto::On
                }
                () => Pareto::Open,
            })
        };
        places.iter().enumerate().map(mark).collect()
    }

    fn beats(&self, a: Place, b: Place) -> bool {
        self.worth_more(a, b) && self.leaks_less(a, b)
    }

    /// Whether every attack tried on `a` surely got less than the strongest on `b`, which got more
    /// than the floor.
    fn leaks_less(&self, (a, _): Place, (b, _): Place) -> bool {
        let Some((strongest, low)) = b.strongest().zip(self.ends(&b.leak).map(|ends| ends.0))
        else {
            return false;
        };
        let above = self.floor.is_none_or(|floor| low > sign(self.leak) * floor);
        let tried = |p: &Point| p.tries.iter().filter(|t| t.loose).count();
        let confidence = 1.0 - (1.0 - CONFIDENCE) / (tried(a) + tried(b)).max(1) as f64;
        let less = |own: &Try| match self.differences(own, strongest) {
            Some(pairs) => surely_above_0(self.run, strongest, &clusters(&pairs), confidence),
            None => own.leak.as_ref().and_then(|e| self.ends(e)).is_some_and(|ends| ends.1 < low),
        };
        above && a.tries.iter().filter(|t| t.leak.is_some()).all(less)
    }

    /// An interval in which more leaks more.
    fn ends(&self, leak: &Estimate) -> Option<(f64, f64)> {
        let (low, high) = leak.interval?;
        Some(if sign(self.leak) > 0.0 { (low, high) } else { (-high, -low) })
    }

    /// By how much more `b` leaked than `a`, image by image, each with its unit; `None` where they
    /// were not let loose on the same images, or an image of either has no value.
    fn differences(&self, a: &Try, b: &Try) -> Option<Vec<(usize, f64)>> {
        let (own, other) = (self.values(a)?, self.values(b)?);
        let mut units = Units::default();
        for cell in a.cells.iter().chain(&b.cells) {
            cell.images.iter().for_each(|i| units.add(&self.run.records[cell.at], *i));
        }
        if !own.keys().eq(other.keys()) {
            return None;
        }
        let pair = |(a, b): (&Value, &Value)| {
            let unit = units.unit(&self.run.records[a.at], a.image)?;
            Some((unit, sign(self.leak) * (b.value - a.value)))
        };
        own.values().zip(other.values()).map(pair).collect()
    }

    /// The value of each image by what tells it from the others; `None` where one has none.
    fn values(&self, of: &Try) -> Option<BTreeMap<Key<'_>, Value>> {
        if of.cells.iter().any(|c| c.lost > 0) {
            return None;
        }
        let all = || of.cells.iter().flat_map(|c| c.images.iter().map(|i| (c.at, *i)));
        let valued = |(at, image)| {
            let value = self.value(at, image)?;
            Some((self.key(at, image), Value { at, image, value }))
        };
        let values: Option<BTreeMap<_, _>> = all().map(valued).collect();
        values.filter(|values| values.len() == all().count())
    }

    fn key(&self, at: usize, i: usize) -> Key<'_> {
        let (record, image) = (&self.run.records[at], &self.run.records[at].images[i]);
        (&record.spec.task.dataset, record.spec.seed, image.trial, image.client, image.id)
    }

    fn value(&self, at: usize, i: usize) -> Option<f64> {
        let image = &self.run.records[at].images[i];
        let met = |goal: Goal| goal.met(image, true).map(|met| f64::from(u8::from(met)));
        match self.leak {
            Measure::Metric(metric) => usable(&image.scores, metric),
            Measure::Success(metric, bound) => met(Goal::Reached(metric, *bound)),
            Measure::Labels => met(Goal::Label),
            _ => None,
        }
    }

    /// Whether the trainings of `a` surely came out better than those of `b`.
    fn worth_more(&self, (a, own): Place, (_, other): Place) -> bool {
        if [own, other].iter().any(|e| e.n < LEAST_TRAININGS) {
            return false;
        }
        let (Some(a_by_seed), Some(b_by_seed)) = (self.by_seed(own), self.by_seed(other)) else {
            return apart(own, other);
        };
        if !a_by_seed.keys().eq(b_by_seed.keys()) {
            return apart(own, other);
        }
        let pairs = a_by_seed.values().zip(b_by_seed.values());
        let all: Vec<Cluster> = pairs.map(|(a, b)| (a - b, 1)).collect();
        if all.len() < LEAST_UNITS {
            return all.iter().all(|(d, _)| *d > 0.0);
        }
        a.strongest().is_some_and(|t| surely_above_0(self.run, t, &all, CONFIDENCE))
    }

    /// The worth of each training by its seed; `None` where two share one.
    fn by_seed(&self, worth: &Estimate) -> Option<BTreeMap<u64, f64>> {
        let records = worth.distinct.iter().map(|at| &self.run.records[*at]);
        let values: BTreeMap<u64, f64> =
            records.filter_map(|r| Some((r.spec.seed, self.worth.of_cell(r)?))).collect();
        (values.len() == worth.n).then_some(values)
    }
}

/// Data set, seed, trial, client and id of an image.
type Key<'a> = (&'a str, u64, usize, usize, usize);

/// The value of an image of cell `at`.
struct Value {
    at: usize,
    image: usize,
    value: f64,
}

/// Whether enough stands behind a point for a mark.
fn judged((leak, worth): Place) -> bool {
    leak.leak.interval.is_some() && worth.n >= LEAST_TRAININGS
}

/// Whether the interval of the mean difference lies above 0.
fn surely_above_0(run: &Run, of: &Try, differences: &[Cluster], confidence: f64) -> bool {
    let first: Option<&Picked> = of.cells.first();
    let key = first.map_or(String::new(), |c| run.records[c.at].id.to_string());
    let ahead = differences.iter().map(|(sum, _)| sum).sum::<f64>() > 0.0;
    let mut stream = rng::stream(0, &key, "frontier");
    ahead && bootstrap(differences, confidence, &mut stream).is_some_and(|ci| ci.low > 0.0)
}

/// Whether intervals, or of fewer trainings all values, do not overlap.
fn apart(above: &Estimate, below: &Estimate) -> bool {
    let low = above.interval.map(|ends| ends.0).or(above.values.first().copied());
    let high = below.interval.map(|ends| ends.1).or(below.values.last().copied());
    low.zip(high).is_some_and(|(low, high)| low > high)
}

#[cfg(test)]
mod tests;
