//! Every run below a folder, night after night: headline metrics, each run compared with those
//! before it.

mod find;
mod headline;

pub use headline::{Headline, Quantity};

use crate::{CompareError, Comparison, Pairing, Side, Weight, compare};
use find::Found;
use std::collections::BTreeMap;
use std::path::Path;
use suites::Gate;

/// The runs found below a folder.
#[derive(Clone, Debug)]
pub struct History {
    /// By suite and profile in words, the runs in the order in which they were finished.
    pub groups: BTreeMap<String, Vec<Night>>,
    /// Folders left out, one line each.
    pub skipped: Vec<String>,
}

/// One run in its place among those of its suite and profile.
#[derive(Clone, Debug)]
pub struct Night {
    /// Path below the folder searched.
    pub name: String,
    /// The run.
    pub side: Side,
    /// When its last cell was finished, in seconds since 1970.
    pub finished: u64,
    /// Its numbers that are followed from night to night.
    pub headlines: Vec<Headline>,
    /// The comparison with the last run before it that can be compared and did not regress itself,
    /// and that run's place in the group, from 0.
    pub against: Option<(usize, Comparison)>,
    /// The comparison with the first run that can be compared, where that is an earlier one.
    pub first: Option<(usize, Comparison)>,
}

impl Night {
    fn new(found: Found) -> Night {
        let headlines = headline::all(&found.side);
        Night {
            name: found.name,
            side: found.side,
            finished: found.finished,
            headlines,
            against: None,
            first: None,
        }
    }

    /// What regressed since the run that it is compared with, one line each.
    pub fn regressions(&self) -> Vec<String> {
        regressions(self.against.as_ref())
    }

    /// What regressed since the first run: a slow slide, whose steps may each be too small.
    pub fn slide(&self) -> Vec<String> {
        regressions(self.first.as_ref())
    }
}

fn regressions(of: Option<&(usize, Comparison)>) -> Vec<String> {
    let all = of.into_iter().flat_map(|(_, c)| c.findings(Weight::Regression));
    all.map(|f| format!("{}: {}", f.subject, f.text)).collect()
}

impl History {
    /// Reads every run folder below `dir`, changing none.
    ///
    /// Runs are grouped by suite and profile, ordered by when their last cell was finished, and
    /// each is compared under `gate` (`None`: that of its own suite, the default one where it
    /// cannot be read) with the last one before it that can be compared and did not regress itself,
    /// and with the first. What cannot be read is listed and left out.
    ///
    /// # Errors
    /// [`CompareError::Incomparable`] where no run is found below `dir`;
    /// [`record::RecordError::Io`] where `dir` cannot be read.
    pub fn read(dir: &Path, gate: Option<&Gate>) -> Result<History, CompareError> {
        let (found, skipped) = find::runs(dir)?;
        if found.is_empty() {
            let why = skipped.first().map_or(String::new(), |first| format!(" (such as: {first})"));
            let message =
                format!("no run folder that can be read lies below {}{why}", dir.display());
            return Err(CompareError::Incomparable(message));
        }
        let mut groups: BTreeMap<String, Vec<Night>> = BTreeMap::new();
        for found in found {
            groups.entry(found.side.info().suite.title()).or_default().push(Night::new(found));
        }
        for nights in groups.values_mut() {
            nights.sort_by(|a, b| a.finished.cmp(&b.finished).then_with(|| a.name.cmp(&b.name)));
            each_against_the_last(nights, gate);
        }
        Ok(History { groups, skipped })
    }
}

fn each_against_the_last(nights: &mut [Night], gate: Option<&Gate>) {
    for at in 1..nights.len() {
        let own = || nights[at].side.gate().unwrap_or_default();
        let gate = gate.cloned().unwrap_or_else(own);
        let compared = |before: usize| {
            let found = compare(&nights[before].side, &nights[at].side, &gate, Pairing::SameSeed);
            found.ok().map(|comparison| (before, comparison))
        };
        let sound = |before: &usize| nights[*before].regressions().is_empty();
        let against = (0..at).rev().filter(sound).find_map(compared);
        let last = against.as_ref().map_or(0, |(before, _)| *before);
        let first = (0..last).find_map(compared);
        (nights[at].against, nights[at].first) = (against, first);
    }
}
