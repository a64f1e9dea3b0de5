//! The tables of report.md, one file a subject.

mod cost;
mod defenses;
mod frontier;
mod leakage;
mod leaves;
mod overview;
mod problems;
mod published;
mod quality;
mod setting;

pub(crate) use defenses::share;
pub(crate) use quality::{CHANCE, chance, threshold_labels};

use crate::figure::catalogue::{Catalogue, hero};
use crate::figure::chart::Chart;
use crate::figure::estimate::Estimate;
use crate::figure::filter::Picked;
use crate::identified::{self, Identified};
use crate::report::model::{Block, Cell, Figure, Report, Section, Span, Table, Text};
use crate::standing::stands;
use crate::verdict;
use record::MetricInfo;
use record::run::Run;
use record::stats::{Interval, Rate, Summary};
use record::validity::null_title;

/// The report in reading order: the verdict with the hero figure, the main table, what was attacked
/// and how, the other figures; then folded away all that these rest on. What has nothing to say is
/// left out.
pub(crate) fn report(run: &Run, drawn: Catalogue) -> Report {
    let cells: Vec<Picked> = (0..run.records.len()).map(|at| Picked::whole(run, at)).collect();
    let stands = stands(run, &cells).0;
    let hero = drawn.charts.iter().find(|chart| chart.name == hero::NAME);
    let mut verdict = Section::default();
    for sentence in verdict::verdict(run, &stands) {
        verdict = verdict.paragraph(sentence);
    }
    verdict.blocks.extend(hero.map(|chart| Block::Figure(Figure::from(chart))));
    let shown = INLINE - usize::from(hero.is_some());
    let charts: Vec<&Chart> = drawn.charts.iter().filter(|c| c.name != hero::NAME).collect();
    let sections = [
        verdict,
        leaves::leaves(run, stands),
        setting::setting(run),
        Section::some_figures(&charts, shown, drawn.remarks),
    ];
    Report {
        title: overview::title(run),
        sections: sections.into_iter().filter(|s| s.title.is_empty() || s.speaks()).collect(),
        details: details(run).into_iter().filter(Section::speaks).collect(),
    }
}

/// Figures that a report shows; the others are linked.
const INLINE: usize = 8;

/// Everything that the report rests on.
fn details(run: &Run) -> Vec<Section> {
    let sections = [
        Some(overview::cells(run)),
        Some(overview::threats(run)),
        Some(quality::quality(run)),
        Some(quality::success(run)),
        Some(defenses::defenses(run)),
        Some(defenses::worst_case(run)),
        frontier::frontier(run),
        leakage::leakage(run),
        published::published(run),
        Some(cost::cost(run)),
        Some(problems::failures(run)),
        Some(problems::flags(run)),
        Some(problems::notes(run)),
        Some(overview::overview(run)),
        Some(overview::setting(run)),
    ];
    sections.into_iter().flatten().collect()
}

/// What stands where no cell has been attacked.
const NOTHING: &str = "No cell has been attacked yet.";

/// Pieces that make one line.
fn line<const N: usize>(spans: [Span; N]) -> Text {
    Text(spans.into())
}

fn words(text: impl Into<String>) -> Span {
    Span::Words(text.into())
}

/// A table whose rows are cells: number, attack, defense, what else tells them apart, then
/// `columns`.
fn keyed(run: &Run, columns: impl IntoIterator<Item = String>) -> Table {
    let defense = varies(run, "defenses").then(|| "defense".to_owned());
    let setting = settings_vary(run).then(|| "setting".to_owned());
    let head = ["#".to_owned(), "attack".into()].into_iter().chain(defense).chain(setting);
    Table::new(head.chain(columns))
}

fn varies(run: &Run, path: &str) -> bool {
    run.axes.paths.iter().any(|p| p == path)
}

fn settings_vary(run: &Run) -> bool {
    run.settings.iter().any(|s| !s.is_empty())
}

/// The key of the row of cell `at`.
fn key(run: &Run, at: usize) -> Vec<Cell> {
    let attack = run.axes.attacks[at].as_str();
    row_key(
        run,
        at,
        (at + 1).into(),
        attack.into(),
        run.axes.value(at, "defenses").unwrap_or_default(),
    )
}

/// The key of the row of a null baseline of the world of cell `at`.
fn null_key(run: &Run, at: usize, name: &str) -> Vec<Cell> {
    let name = line([Span::Emphasis(null_title(name))]);
    row_key(run, at, "".into(), name.into(), "")
}

fn row_key(run: &Run, at: usize, number: Cell, attack: Cell, defense: &str) -> Vec<Cell> {
    let defense = varies(run, "defenses").then(|| defense.into());
    let setting = settings_vary(run).then(|| run.settings[at].as_str().into());
    [number, attack].into_iter().chain(defense).chain(setting).collect()
}

/// "21.50 [20.10, 22.90]"; of fewer than eight units "21.50 {20.10, 22.90}", the values themselves.
pub(crate) fn mean_ci(metric: &MetricInfo, summary: Option<&Summary>) -> Cell {
    let mean = summary.and_then(|s| Some((s.mean?, spread(metric, s.ci, &s.values))));
    Cell::number(mean.map(|(mean, spread)| metric.show(mean) + &spread))
}

/// A result with why it says nothing, or that alone where there is no result.
fn doubted(result: Cell, doubt: Option<&str>) -> Cell {
    match (result, doubt) {
        (result, None) => result,
        (Cell::Number(number), Some(why)) => format!("{number} ({why})").into(),
        (_, Some(why)) => why.to_owned().into(),
    }
}

/// How [`mean_ci`] and its like are to be read, for the paragraph above a table.
pub(crate) const FEW: &str = "Where fewer than 8 independent units stand behind a mean there is no \
    interval: their values stand in braces";

/// An interval, or the values in its place, after a blank; nothing of a single value.
pub(crate) fn spread(metric: &MetricInfo, ci: Option<Interval>, values: &[f64]) -> String {
    spread_as(|v| metric.show(v), ci, values)
}

/// As [`spread`], of numbers that are written by `show`.
pub(crate) fn spread_as(
    show: impl Fn(f64) -> String,
    ci: Option<Interval>,
    values: &[f64],
) -> String {
    match ci {
        Some(ci) => format!(" [{}, {}]", show(ci.low), show(ci.high)),
        None if values.len() > 1 => {
            let all: Vec<String> = values.iter().map(|v| show(*v)).collect();
            format!(" {{{}}}", all.join(", "))
        }
        None => String::new(),
    }
}

/// "70 % (7/10) [40, 89]"; without an interval where fewer than eight units were tried.
pub(crate) fn rate(rate: Option<&Rate>) -> Cell {
    let percent = |v: f64| format!("{:.0}", 100.0 * v);
    Cell::number(rate.map(|r| {
        let ci = spread_as(percent, r.ci, &[]);
        format!("{} % ({}/{}){ci}", percent(r.rate), r.successes, r.tries)
    }))
}

/// As [`mean_ci`] of a mean that a figure shows.
fn mean_of(metric: &MetricInfo, e: &Estimate) -> Cell {
    Cell::number(e.value.map(|mean| metric.show(mean) + &spread(metric, e.ci(), &e.values)))
}

/// As [`rate`] of a share that a figure shows.
fn rate_of(e: &Estimate) -> Cell {
    let found = || {
        let (successes, rate) = (e.successes?, e.value?);
        Some(Rate { successes, tries: e.n, rate, units: e.units, ci: e.ci() })
    };
    rate(found().as_ref())
}

/// "62 % (5/8) [31, 86], chance 1/1000", as [`rate`].
fn identified_of(own: Option<&Identified>) -> Cell {
    let Some((own, Cell::Number(share))) = own.map(|own| (own, rate_of(&own.share))) else {
        return Cell::None;
    };
    Cell::Number([Some(share), own.chance()].into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// As [`identified_of`], of the images of cell `at`.
pub(crate) fn cell_identified(run: &Run, at: usize) -> Cell {
    identified_of(Identified::of(run, &[Picked::whole(run, at)]).as_ref())
}

/// [`identified::READ`] as a sentence more, where the run has it.
fn identified_read(run: &Run) -> String {
    if run.has_mean(identified::NAME) { format!(" {}.", identified::READ) } else { String::new() }
}

/// Images behind a row, with those that are not in the mean.
pub(crate) fn n(summary: Option<&Summary>) -> Cell {
    let Some(s) = summary else { return 0.into() };
    let parts = [(s.capped, "capped"), (s.failed, "failed"), (s.missing, "missing")];
    let rest: Vec<_> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    Cell::Number(if rest.is_empty() {
        s.n.to_string()
    } else {
        format!("{} ({})", s.n, rest.join(", "))
    })
}
