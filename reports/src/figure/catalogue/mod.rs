//! The figures of a report: which of the kinds a run, a training or a history has data for, page by
//! page.

mod bars;
mod budget;
pub(crate) mod hero;
mod history;
mod objective;
mod pictures;
mod spread;
mod training;
mod worth;

pub(crate) use history::history;
pub(crate) use training::{of_training, of_trainings};

use super::chart::{Body, Chart, Facet, Lines, Series, Width};
use super::columns::{Key, Setting};
use super::filter::Picked;
use super::select::{part, select_from};
use record::run::Run;
use record::utility;
use suites::figure::{FigureKind, FigureSpec};

/// Series of one figure.
const SERIES: usize = crate::plot::palette::SERIES;

/// Figures under construction, with what must be said of those left out.
#[derive(Default)]
pub(crate) struct Catalogue {
    pub charts: Vec<Chart>,
    pub remarks: Vec<String>,
}

/// Every figure that the run has data for: one of each kind before the second of any, since a
/// report shows the first few.
pub(crate) fn of_run(run: &Run) -> Catalogue {
    let kinds: [fn(&Run, &mut Catalogue); 9] = [
        hero::hero,
        worth::frontiers,
        bars::bars,
        budget::curves,
        worth::courses,
        pictures::grids,
        spread::scatter,
        spread::boxes,
        objective::traces,
    ];
    let mut out = Catalogue::default();
    let mut ranked = Vec::new();
    for (kind, draw) in kinds.iter().enumerate() {
        let mut own = Catalogue::default();
        draw(run, &mut own);
        let places = own.charts.into_iter().enumerate();
        ranked.extend(places.map(|(at, chart)| ((at, kind), chart)));
        out.remarks.extend(own.remarks);
    }
    ranked.sort_by_key(|(place, _)| *place);
    out.charts = ranked.into_iter().map(|(_, chart)| chart).collect();
    out
}

impl Catalogue {
    /// Adds the figure of these cells, where they have anything that it shows.
    fn add(&mut self, run: &Run, spec: &FigureSpec, picked: Vec<Picked>) {
        match select_from(run, spec, picked) {
            Ok(Some(found)) => self.charts.push(found.chart),
            Ok(None) => {}
            Err(error) => self.remarks.push(format!("{} was not drawn: {error}", spec.name)),
        }
    }

    /// Adds one figure a page.
    fn pages(&mut self, run: &Run, spec: &FigureSpec, pages: Vec<Vec<Picked>>) {
        let count = pages.len();
        for (at, picked) in pages.into_iter().enumerate() {
            let name = format!("{}{}", spec.name, page_slug(at));
            let caption = format!("{}{}", spec.caption, page(at, count));
            self.add(run, &FigureSpec { name, caption, ..spec.clone() }, picked);
        }
    }
}

/// Curves of all series, a page for so many as can be told apart; `lines` has the scales of a page.
fn curves(
    name: &str,
    caption: &str,
    series: &[Series],
    lines: impl Fn(&[Series]) -> Lines,
) -> Vec<Chart> {
    let drawn = |series: &&[Series]| series.iter().any(|s| !s.marks.is_empty());
    let pages: Vec<&[Series]> = series.chunks(SERIES).filter(drawn).collect();
    let chart = |(at, series): (usize, &&[Series])| {
        let plot = Lines { series: series.to_vec(), joined: true, ..lines(series) };
        Chart {
            name: format!("{name}{}", page_slug(at)),
            caption: format!("{caption}{}", page(at, pages.len())),
            width: Width::Column,
            body: Body::Lines(vec![Facet { title: String::new(), plot }]),
            remarks: Vec::new(),
        }
    };
    pages.iter().enumerate().map(chart).collect()
}

/// A figure called `name` of this kind, of `y` over `x`.
fn spec(name: &str, kind: FigureKind, x: &str, y: &str) -> FigureSpec {
    FigureSpec { x: Some(x.into()), y: Some(y.into()), ..FigureSpec::new(name, kind) }
}

/// Whole cells.
fn whole(run: &Run, cells: &[usize]) -> Vec<Picked> {
    cells.iter().map(|at| Picked::whole(run, *at)).collect()
}

/// How many values of `setting` the cells have.
fn count(run: &Run, setting: &Setting, cells: &[usize]) -> usize {
    let parts = part(run, setting, &whole(run, cells));
    parts.iter().filter(|(key, _)| *key != Key::None).count()
}

/// The cells in pages of at most `most` values of `setting`.
fn split(run: &Run, setting: &Setting, picked: &[Picked], most: usize) -> Vec<Vec<Picked>> {
    let parts: Vec<Vec<Picked>> =
        part(run, setting, picked).into_iter().map(|(_, cells)| cells).collect();
    parts.chunks(most.max(1)).map(<[Vec<Picked>]>::concat).collect()
}

/// `attack` as the column of series, where there are a few.
fn by_attack(run: &Run, cells: &[usize]) -> Option<String> {
    (2..=SERIES).contains(&count(run, &Setting::Attack, cells)).then(|| "attack".into())
}

/// The accuracies that cells have: of the model attacked, after training with the defenses in the
/// loop.
fn accuracies(run: &Run) -> impl Iterator<Item = (&'static str, &'static str)> {
    let any = |name: &str| run.records.iter().any(|r| r.task.contains_key(name));
    let trains = run.records.iter().any(|r| utility::rounds(r).is_some());
    let attacked = (!trains && any("accuracy"))
        .then_some(("task.accuracy", "Accuracy of the attacked model on the test split"));
    let trained = any("trained_accuracy").then_some((
        "task.trained_accuracy",
        "Accuracy on the test split after the utility rounds, trained with the defense in the loop",
    ));
    attacked.into_iter().chain(trained)
}

/// "psnr", "lpips-squeeze" as a part of a file name.
pub(crate) fn slug(text: &str) -> String {
    let mapped =
        text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let joined: String = mapped.collect();
    joined.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// "" for a single page, else " (2 of 3)".
fn page(at: usize, of: usize) -> String {
    if of > 1 { format!(" ({} of {of})", at + 1) } else { String::new() }
}

/// "" for the first page, else "-2".
fn page_slug(at: usize) -> String {
    if at == 0 { String::new() } else { format!("-{}", at + 1) }
}

/// What tells cell `at` from the others, with its number.
fn cell_name(run: &Run, at: usize) -> String {
    let label = Setting::Cell.key(run, at, None).label();
    format!("Cell {}, {label}", at + 1)
}
