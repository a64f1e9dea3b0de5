//! Every run below a folder, night after night: headline metrics as curves and CSV, with
//! regressions marked.

mod find;
mod headline;
mod output;

use crate::compare::{Comparison, Pairing, Side, Weight, compare};
use crate::store::write_whole;
use crate::{ReportError, figures};
use find::Found;
use headline::Headline;
use std::path::{Path, PathBuf};
use suites::Gate;

/// What [`write_history`] found and wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistorySummary {
    /// Runs shown.
    pub runs: usize,
    /// Suites and profiles among them.
    pub groups: usize,
    /// Runs that regressed against the one before them.
    pub regressed: usize,
    /// Folders left out, one line each.
    pub skipped: Vec<String>,
    /// The page, `history.md`.
    pub page: PathBuf,
}

/// One run in its place among those of its suite and profile.
struct Night {
    /// Path below the folder searched.
    name: String,
    side: Side,
    /// When its last cell was finished, in seconds since 1970.
    finished: u64,
    headlines: Vec<Headline>,
    /// The comparison with the last run before it that can be compared, and that run's place.
    against: Option<(usize, Comparison)>,
    /// The comparison with the first run that can be compared, where that is an earlier one.
    first: Option<(usize, Comparison)>,
}

impl Night {
    fn of(found: Found) -> Night {
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

    fn regressions(&self) -> Vec<String> {
        regressions(self.against.as_ref())
    }

    /// What regressed since the first run: a slow slide, whose steps may each be too small.
    fn slide(&self) -> Vec<String> {
        regressions(self.first.as_ref())
    }
}

fn regressions(of: Option<&(usize, Comparison)>) -> Vec<String> {
    let all = of.into_iter().flat_map(|(_, c)| c.findings(Weight::Regression));
    all.map(|f| format!("{}: {}", f.subject, f.text)).collect()
}

/// Writes `out/history.md`, `out/history.csv` and `out/figures/` on every run folder below `dir`.
///
/// Runs are grouped by suite and profile, ordered by when their last cell was finished, and each is
/// compared under `gate` (`None`: that of its own suite, the default one where it cannot be read)
/// with the last one before it that can be compared and did not regress itself, and with the first.
/// What cannot be read is listed and left out.
///
/// # Errors
/// [`ReportError::Incomparable`] where no run is found below `dir`; [`ReportError::Io`].
pub fn write_history(
    dir: &Path,
    out: &Path,
    gate: Option<&Gate>,
) -> Result<HistorySummary, ReportError> {
    let (found, skipped) = find::runs(dir)?;
    if found.is_empty() {
        let why = skipped.first().map_or(String::new(), |first| format!(" (such as: {first})"));
        let message = format!("no run folder that can be read lies below {}{why}", dir.display());
        return Err(ReportError::Incomparable(message));
    }
    let mut groups: std::collections::BTreeMap<String, Vec<Night>> = Default::default();
    for found in found {
        groups.entry(found.side.info().suite.title()).or_default().push(Night::of(found));
    }
    for nights in groups.values_mut() {
        nights.sort_by(|a, b| a.finished.cmp(&b.finished).then_with(|| a.name.cmp(&b.name)));
        each_against_the_last(nights, gate);
    }
    let plots = groups.iter().flat_map(|(title, nights)| output::plots(title, nights)).collect();
    let drawn = figures::history::write(out, plots)?;
    let csv = out.join("history.csv");
    write_whole(&csv, &output::csv(&groups, &csv)?)?;
    let page = out.join("history.md");
    write_whole(&page, output::page(&groups, &skipped, &drawn).as_bytes())?;
    let nights = || groups.values().flatten();
    Ok(HistorySummary {
        runs: nights().count(),
        groups: groups.len(),
        regressed: nights().filter(|n| !n.regressions().is_empty()).count(),
        skipped,
        page,
    })
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
