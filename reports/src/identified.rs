//! How often reconstructions find their own original among candidates, beside what blind guessing
//! finds.

use crate::figure::estimate::{Estimate, estimate};
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use crate::frontier::{Point, has_scores};
use record::MetricInfo;
use record::run::Run;

/// The score that says whether a reconstruction finds its original before all other candidates: 1
/// or 0.
pub(crate) const NAME: &str = "identified-top1";
/// Title of its column.
pub(crate) const TITLE: &str = "identified";
/// How to read that column, for the paragraph above a table.
pub(crate) const READ: &str = "Identified is the share of images whose reconstruction is nearer \
    to its own original than to any other candidate; the chance is that of blind guessing";

/// The share of images identified, and among how many candidates.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Identified {
    /// Images of failed attacks are tries without success.
    pub share: Estimate,
    /// Images among which the original was to be found, itself among them: the fewest of any cell;
    /// `None` where no record says so.
    pub candidates: Option<usize>,
}

impl Identified {
    /// Over all of `cells`; `None` where nobody asked.
    pub fn of(run: &Run, cells: &[Picked]) -> Option<Self> {
        let measure = measure(run);
        let share = || estimate(run, &measure, cells);
        has_scores(run, &measure, cells).then(|| Self::new(run, cells, share())).flatten()
    }

    /// The largest share of any attack in `cells`, all on one defense; `None` where nobody asked.
    pub fn worst(run: &Run, cells: &[Picked]) -> Option<Self> {
        Self::new(run, cells, Point::new(run, &measure(run), cells).leak)
    }

    fn new(run: &Run, cells: &[Picked], share: Estimate) -> Option<Self> {
        let candidates = cells.iter().filter_map(|c| run.records[c.at].candidates).min();
        share.value.is_some().then_some(Identified { share, candidates })
    }

    /// "5/8".
    pub fn counts(&self) -> String {
        format!("{}/{}", self.share.successes.unwrap_or(0), self.share.n)
    }

    /// What blind guessing identifies, such as "chance 1/1000".
    pub fn chance(&self) -> Option<String> {
        self.candidates.map(|n| format!("chance 1/{n}"))
    }
}

/// The share of images that the score is 1 of.
pub(crate) fn measure(run: &Run) -> Measure {
    // A run that scores it need not describe it: 1 is what the score is named after.
    let metric = MetricInfo { higher_is_better: Some(true), ..run.metric(NAME) };
    Measure::Success(metric, 0.5)
}
