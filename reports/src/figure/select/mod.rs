//! From the records of a run to what a figure shows: one file a kind.

mod bars;
mod curves;
mod frontier;
mod grid;
mod groups;
mod heat;
mod montage;
mod nulls;
mod roc;
mod scatter;
mod trainings;

pub(crate) use groups::{differing, part, spans};
pub(crate) use trainings::Source;

use super::chart::{Body, Chart, Width};
use super::columns::{self, Setting};
use super::data::Sheet;
use super::estimate::{Estimate, judged};
use super::filter::{self, Picked};
use super::measure::Measure;
use record::MetricInfo;
use record::markdown::ranges;
use record::run::Run;
use record::stats::LEAST_UNITS;
use std::collections::{BTreeMap, BTreeSet};
use suites::SpecError;
use suites::figure::{FigureKind as K, FigureSpec, FigureWidth};

/// A figure with the numbers behind it.
#[derive(Debug)]
pub(crate) struct Selected {
    pub chart: Chart,
    /// What is drawn, in full precision.
    pub sheet: Sheet,
    /// Places of the cells it used.
    pub cells: Vec<usize>,
    /// Files of the run folder that were read for it, with their hashes.
    pub sources: Vec<Source>,
}

/// Works on one figure: what was asked, and what must be said of it.
pub(crate) struct Work<'a> {
    pub run: &'a Run,
    pub spec: &'a FigureSpec,
    pub picked: Vec<Picked>,
    remarks: Vec<String>,
    used: BTreeSet<usize>,
    counts: Counts,
    sources: Vec<Source>,
}

#[derive(Default)]
struct Counts {
    failed: usize,
    tried: usize,
    missing: usize,
    capped: usize,
    /// Images count more than once, in a mean and in a share.
    clustered: bool,
    repeated: bool,
    grey: usize,
    how: BTreeSet<&'static str>,
    /// Whether intervals are drawn.
    intervals: bool,
    /// Whether a mean, and a share, has too few units for one.
    few_values: bool,
    few_tries: bool,
    /// Cells left out because no attack beats the floor undefended, and those without a twin.
    left_out: BTreeSet<usize>,
    unknown: BTreeSet<usize>,
    pooled: usize,
    differ: BTreeSet<String>,
    /// The same of what attacks share: values, and in what their rounds or trainings differ.
    shared: usize,
    shared_differ: BTreeSet<String>,
}

/// Chooses and reduces what `spec` asks of `run`.
///
/// # Errors
/// One line with file and line: unknown columns, a filter that matches nothing, too many series,
/// nothing measured.
pub(crate) fn select(run: &Run, spec: &FigureSpec) -> Result<Selected, SpecError> {
    let reads_files = !spec.from.is_empty();
    let left = if reads_files {
        trainings::alone(spec).map(|()| filter::Left::default())?
    } else {
        filter::apply(run, &spec.filter, &spec.place)?
    };
    let mut work = Work::new(run, spec, left);
    match work.reduce()? {
        (_, sheet) if sheet.is_empty() => Err(work.nothing()),
        (body, sheet) => Ok(work.selected(body, sheet)),
    }
}

/// As [`select`], of the cells `picked` whatever the filter of `spec`; `None` where nothing that
/// the figure shows was measured in them.
///
/// # Errors
/// As [`select`].
pub(crate) fn select_from(
    run: &Run,
    spec: &FigureSpec,
    picked: Vec<Picked>,
) -> Result<Option<Selected>, SpecError> {
    let mut work = Work::new(run, spec, filter::Left { picked, remarks: Vec::new() });
    let (body, sheet) = work.reduce()?;
    Ok((!sheet.is_empty()).then(|| work.selected(body, sheet)))
}

impl<'a> Work<'a> {
    fn new(run: &'a Run, spec: &'a FigureSpec, left: filter::Left) -> Self {
        Work {
            run,
            spec,
            picked: left.picked,
            remarks: left.remarks,
            used: BTreeSet::new(),
            counts: Counts::default(),
            sources: Vec::new(),
        }
    }

    fn reduce(&mut self) -> Result<(Body, Sheet), SpecError> {
        match self.spec.kind {
            K::Grid => grid::grid(self),
            K::Montage => montage::montage(self),
            K::LearningCurve if !self.spec.from.is_empty() => trainings::curves(self),
            K::MetricVsParameter | K::SuccessVsBudget | K::LearningCurve => curves::curves(self),
            K::Bar => bars::bars(self),
            K::Box => bars::boxes(self),
            K::Scatter => scatter::scatter(self),
            K::Frontier => frontier::frontier(self),
            K::HeatMap => heat::heat_map(self),
            K::Roc => roc::roc(self),
        }
    }

    fn selected(mut self, body: Body, sheet: Sheet) -> Selected {
        let width = match self.spec.width {
            FigureWidth::Column => Width::Column,
            FigureWidth::Page => Width::Page,
        };
        if matches!(self.spec.kind, K::Grid | K::Montage) {
            // Pictures show what came out; what it says of a defense is another matter.
            let shown: Vec<usize> = self.used.iter().copied().collect();
            self.doubt(shown.into_iter());
        }
        let (name, caption) = (self.spec.name.clone(), self.spec.caption.clone());
        let sources = std::mem::take(&mut self.sources);
        let (remarks, cells) = self.finish();
        Selected { chart: Chart { name, caption, width, body, remarks }, sheet, cells, sources }
    }
}

impl Work<'_> {
    /// Says something of the figure, once.
    fn remark(&mut self, text: String) {
        if !self.remarks.contains(&text) {
            self.remarks.push(text);
        }
    }

    /// The setting of a key of the figure, or of `default` where it has none.
    fn setting(
        &self,
        key: &'static str,
        default: Option<&str>,
    ) -> Result<Option<Setting>, SpecError> {
        let Some(name) = self.named(key).or(default) else { return Ok(None) };
        columns::setting(self.run, name).map(Some).map_err(|e| self.spec.place.blame(key, e))
    }

    /// The measure of a key of the figure, or `default`.
    fn measure(&self, key: &'static str, default: &str) -> Result<Measure, SpecError> {
        let name = self.named(key).unwrap_or(default);
        columns::measure(self.run, name).map_err(|e| self.spec.place.blame(key, e))
    }

    /// 1 where more of a metric is a better attack, -1 where less is.
    ///
    /// # Errors
    /// Where the run does not say, and nothing can be called the better one.
    fn sign(&self, key: &'static str, metric: &MetricInfo) -> Result<f64, SpecError> {
        metric.sign().ok_or_else(|| self.undirected(key, &metric.name))
    }

    /// The refusal of a metric without a direction.
    fn undirected(&self, key: &'static str, name: &str) -> SpecError {
        let problem = format!("run.json does not say whether more or less of {name} is better");
        let remedy = "choose a metric that it describes, or describe this one there";
        self.spec.place.blame(key, SpecError::value(key, problem, remedy))
    }

    fn named(&self, key: &str) -> Option<&str> {
        self.spec.named_columns().find(|(own, _)| *own == key).map(|(_, column)| column)
    }

    /// Takes note of what stands behind a value that is drawn.
    fn count(&mut self, measure: &Measure, estimate: &Estimate) {
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

    /// Takes note of defended cells whose undefended twin was not run.
    fn doubt(&mut self, cells: impl Iterator<Item = usize>) {
        let unknown = |at: &usize| self.run.doubt(*at).is_some();
        self.counts.unknown.extend(cells.filter(unknown));
    }

    /// The cells of `picked` that say something by `measure`; takes note of the others.
    fn judged(&mut self, measure: &Measure, picked: &[Picked]) -> Vec<Picked> {
        let (kept, left_out) = judged(self.run, measure, picked);
        self.counts.left_out.extend(left_out);
        self.doubt(kept.iter().map(|p| p.at));
        kept
    }

    fn finish(mut self) -> (Vec<String>, Vec<usize>) {
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
                images(c.failed)
            ),
        );
        say(
            c.tried,
            format!(
                "{} of failed or diverged attacks count as tries without success",
                images(c.tried)
            ),
        );
        say(c.missing, format!("{} not measured", values(c.missing)));
        say(c.capped, format!("{} above the metric's cap entered at the cap", values(c.capped)));
        say(c.grey, format!("{} enter as grey", diverged(c.grey)));
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

    /// Why there is nothing to draw.
    fn nothing(&self) -> SpecError {
        let said = if self.remarks.is_empty() {
            String::new()
        } else {
            format!(" ({})", self.remarks.join("; "))
        };
        let problem = format!(
            "nothing that this figure shows was measured in its {}{said}",
            filter::cells_in_words(self.picked.len())
        );
        self.spec.place.blame(
            "y",
            SpecError::value(&self.spec.name, problem, "choose another column or filter"),
        )
    }
}

/// What is to be said of cells whose defenses cannot be judged, a line for each reason.
pub(crate) fn doubts(run: &Run, cells: &BTreeSet<usize>, fate: &str) -> Vec<String> {
    let mut reasons: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for at in cells {
        reasons.entry(run.doubt(*at).unwrap_or_default()).or_default().push(at + 1);
    }
    let line = |(why, cells): (String, Vec<usize>)| {
        let which = if cells.len() == 1 { "cell" } else { "cells" };
        format!("{which} {}{fate}: {why}", ranges(&cells))
    };
    reasons.into_iter().map(line).collect()
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

fn diverged(count: usize) -> String {
    if count == 1 { "1 diverged image".into() } else { format!("{count} diverged images") }
}

fn named(settings: BTreeSet<String>) -> String {
    if settings.is_empty() {
        "nothing named".into()
    } else {
        settings.into_iter().collect::<Vec<_>>().join(", ")
    }
}

fn images(count: usize) -> String {
    if count == 1 { "1 image".into() } else { format!("{count} images") }
}

fn values(count: usize) -> String {
    if count == 1 { "1 value".into() } else { format!("{count} values") }
}
