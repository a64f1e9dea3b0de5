//! From the records of a run to what a figure shows: one file a kind.

mod bars;
mod counts;
mod curves;
mod doubts;
mod frontier;
mod grid;
mod groups;
mod heat;
mod hero;
mod montage;
mod nulls;
mod roc;
mod scatter;
mod trainings;

pub(crate) use doubts::doubts;
pub(crate) use groups::{differing, part, spans};
pub(crate) use trainings::Source;

use super::chart::{Body, Chart, Width};
use super::columns::{self, Setting};
use super::data::Sheet;
use super::filter::{self, Picked};
use super::measure::Measure;
use counts::Counts;
use record::MetricInfo;
use record::markdown::counted;
use record::run::Run;
use std::collections::BTreeSet;
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

/// Chooses and reduces what `spec` asks of `run`.
///
/// # Errors
/// One line with file and line: unknown columns, a filter that matches nothing, too many series,
/// nothing measured.
pub(crate) fn select(run: &Run, spec: &FigureSpec) -> Result<Selected, SpecError> {
    let reads_files = !spec.from.is_empty();
    let left = if reads_files {
        trainings::alone(spec).map(|()| filter::Left::default())?
    } else if spec.kind == K::Hero {
        // A defense that leaves nothing to attack has a row as well.
        filter::every(run, &spec.filter, &spec.place)?
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
            K::Hero => hero::hero(self),
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

    /// Why there is nothing to draw.
    fn nothing(&self) -> SpecError {
        let said = if self.remarks.is_empty() {
            String::new()
        } else {
            format!(" ({})", self.remarks.join("; "))
        };
        let problem = format!(
            "nothing that this figure shows was measured in its {}{said}",
            counted(self.picked.len(), "cell")
        );
        self.spec.place.blame(
            "y",
            SpecError::value(&self.spec.name, problem, "choose another column or filter"),
        )
    }
}
