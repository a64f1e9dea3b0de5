//! What stands behind the values of a figure, counted, and said in its remarks.

use super::doubts::doubts;
use super::groups;
use super::{K, Work};
use crate::figure::estimate::Estimate;
use crate::figure::measure::Measure;
use record::markdown::counted;
use record::stats::LEAST_UNITS;
use std::collections::BTreeSet;

/// What has been counted so far.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) failed: usize,
    pub(super) tried: usize,
    pub(super) missing: usize,
    pub(super) capped: usize,
    /// Images count more than once, in a mean and in a share.
    pub(super) clustered: bool,
    pub(super) repeated: bool,
    pub(super) grey: usize,
    pub(super) how: BTreeSet<&'static str>,
    /// Whether intervals are drawn.
    pub(super) intervals: bool,
    /// Whether a mean, and a share, has too few units for one.
    pub(super) few_values: bool,
    pub(super) few_tries: bool,
    /// Cells left out because no attack beats the floor undefended, and those without a twin.
    pub(super) left_out: BTreeSet<usize>,
    pub(super) unknown: BTreeSet<usize>,
    pub(super) pooled: usize,
    pub(super) differ: BTreeSet<String>,
    /// The same of what attacks share: values, and in what their rounds or trainings differ.
    pub(super) shared: usize,
    pub(super) shared_differ: BTreeSet<String>,
}

impl Work<'_> {
    /// Takes note of what stands behind a value that is drawn.
    pub(super) fn count(&mut self, measure: &Measure, estimate: &Estimate) {
        self.used.extend(&estimate.cells);
        let counts = &mut self.counts;
        if measure.is_share() {
            counts.tried += estimate.failed
        } else {
            counts.failed += estimate.failed
        }
        counts.missing += estimate.missing;
        counts.capped += estimate.capped;
        counts.grey += estimate.grey;
        let share = measure.is_share();
        counts.clustered |= estimate.clustered() && !share;
        counts.repeated |= estimate.clustered() && share;
        counts.intervals |= estimate.interval.is_some();
        counts.few_values |= estimate.values.len() > 1;
        counts.few_tries |= share && estimate.n > 0 && estimate.interval.is_none();
        counts.how.extend(estimate.how);
        counts.left_out.extend(&estimate.left_out);
        if measure.leaks() && !matches!(measure, Measure::Null(..)) {
            self.doubt(estimate.cells.iter().copied());
        }
        let counts = &mut self.counts;
        if measure.of_round() && estimate.distinct.len() > 1 {
            counts.shared = counts.shared.max(estimate.distinct.len());
            let matters = |path: &String| depends(measure, path);
            let differ = groups::differing(self.run, &estimate.distinct);
            counts.shared_differ.extend(differ.into_iter().filter(matters));
        }
        let mut worlds = BTreeSet::new();
        let mut cells = estimate.cells.clone();
        if matches!(measure, Measure::Null(..)) {
            // Cells of one world have one null baseline between them.
            cells.retain(|at| worlds.insert(self.run.world(*at)));
        }
        if cells.len() > 1 && !measure.of_round() {
            counts.pooled = counts.pooled.max(cells.len());
            counts.differ.extend(groups::differing(self.run, &cells));
        }
    }

    pub(super) fn finish(mut self) -> (Vec<String>, Vec<usize>) {
        let c = std::mem::take(&mut self.counts);
        self.remarks.extend(doubts(self.run, &c.left_out, " left out"));
        self.remarks.extend(doubts(self.run, &c.unknown, ""));
        let mut say = |count: usize, text: String| {
            if count > 0 {
                self.remarks.push(text);
            }
        };
        say(
            c.failed,
            format!(
                "{} without a usable value (failed attacks among them) are in no mean",
                counted(c.failed, "image")
            ),
        );
        say(
            c.tried,
            format!(
                "{} of failed or diverged attacks count as tries without success",
                counted(c.tried, "image")
            ),
        );
        say(c.missing, format!("{} not measured", counted(c.missing, "value")));
        say(
            c.capped,
            format!("{} above the metric's cap entered at the cap", counted(c.capped, "value")),
        );
        say(c.grey, format!("{} enter as grey", counted(c.grey, "diverged image")));
        let drawn = |k: K| !matches!(k, K::Grid | K::Montage | K::Box | K::HeatMap | K::Roc);
        let drawn = drawn(self.spec.kind);
        say(
            usize::from(c.few_values && drawn),
            format!(
                "means of fewer than {LEAST_UNITS} independent units have no interval: dots are \
                 the values of the units"
            ),
        );
        say(
            usize::from(c.few_tries && drawn),
            format!("shares of fewer than {LEAST_UNITS} independent units have no interval"),
        );
        if c.shared > 1 {
            let differ = named(c.shared_differ);
            say(
                c.shared,
                format!(
                    "one value of what attacks share (of the task, of a round or of a defense) is \
                     the mean of up to {}, which differ in {differ}",
                    c.shared
                ),
            );
        }
        if c.pooled > 1 {
            let how = if !c.intervals {
                ""
            } else if c.clustered {
                "; intervals resample units (what shares an image or a capture) with all of their \
                 values"
            } else if c.repeated {
                "; intervals take every unit (what shares an image or a capture) once"
            } else {
                "; intervals are over all of their values"
            };
            let one = match self.spec.kind {
                K::Roc => "curve",
                K::Box => "box",
                _ => "value",
            };
            let what = named(c.differ);
            say(
                c.pooled,
                format!("one {one} pools up to {} cells, which differ in {what}{how}", c.pooled),
            );
        }
        c.how.into_iter().for_each(|how| say(1, how.into()));
        (self.remarks, self.used.into_iter().collect())
    }
}

/// Whether a measure that attacks share can differ with the setting at `path`: the adversary has no
/// part in it, and what it watches none in training.
fn depends(measure: &Measure, path: &str) -> bool {
    let training = matches!(measure, Measure::Task(_));
    match path.split('.').next().unwrap_or(path) {
        "attack" | "vantage" | "facts" => false,
        "source" | "trials" => !training,
        _ => true,
    }
}

fn named(settings: BTreeSet<String>) -> String {
    if settings.is_empty() {
        "nothing named".into()
    } else {
        settings.into_iter().collect::<Vec<_>>().join(", ")
    }
}
