//! How good the reconstructions are: means with intervals, and success rates, null baselines beside
//! the attacks.

use super::{
    FEW, NOTHING, cell_identified, identified_read, key, keyed, line, mean_ci, n, null_key, rate,
    words,
};
use crate::identified;
use crate::report::model::{Cell, Section, Span};
use record::MetricInfo;
use record::run::Run;
use record::stats::{BOOTSTRAP_RESAMPLES, CONFIDENCE, Summary};
use record::validity::Validity;
use std::collections::BTreeMap;

pub(super) fn quality(run: &Run) -> Section {
    let metrics = metrics(run);
    let columns = metrics.iter().map(|m| format!("{}{}", m.label(), m.arrow()));
    let head = ["n".to_owned()]
        .into_iter()
        .chain(columns)
        .chain(["PSNR median (sd)", CHANCE, "validity"].map(String::from));
    let mut table = keyed(run, head);
    for world in run.worlds() {
        for &at in &world {
            let own = row(&metrics, &run.cells[at].metrics).into_iter();
            let own = own.chain([chance(run, at), validity(run, at)]);
            table.push(key(run, at).into_iter().chain(own));
        }
        for (name, scores) in world_nulls(run, &world, |c| &c.baselines) {
            let own = row(&metrics, scores).into_iter().chain([chance(run, world[0])]);
            table.push(null_key(run, world[0], name).into_iter().chain(own));
        }
    }
    let lead = format!(
        "Mean over images with its {:.0} % interval (BCa bootstrap over captures, the images of a \
         batch or an aggregate together; {BOOTSTRAP_RESAMPLES} resamples). {FEW}. Arrows point to \
         where the attacker got more. {}Rows ",
        100.0 * CONFIDENCE,
        capped(run)
    );
    let lead = line([
        words(lead),
        Span::Emphasis("null: ...".into()),
        words(
            " are pictures made without attacking anything; an oracle's maker knows the truth, so \
             that it is no floor. A row without a word on validity beats the floor, or does so \
             undefended.",
        ),
    ]);
    Section::new("Reconstruction").paragraph(lead).table(table.without_empty_columns(), NOTHING)
}

/// Title of the column of what blind guessing identifies.
pub(crate) const CHANCE: &str = "chance, top 1";

/// What blind guessing identifies, such as "1/1000".
pub(crate) fn chance(run: &Run, at: usize) -> Cell {
    Cell::number(run.records[at].candidates.map(|n| format!("1/{n}")))
}

/// Why a cell's scores say nothing; of an undefended one, how it stands to the floor.
fn validity(run: &Run, at: usize) -> Cell {
    match &run.validity[at] {
        Validity::NotMeasurable { why, .. } if !run.defended(at) => {
            format!("below the floor: {why}").into()
        }
        other => other.doubt().map_or(Cell::None, Cell::from),
    }
}

/// What happens to values of the PSNR beyond its cap.
fn capped(run: &Run) -> String {
    let psnr = run.metric("psnr");
    let told = |cap| {
        format!(
            "{} above {cap} {}, also infinite, enters at that value and is counted as capped. ",
            psnr.title, psnr.unit
        )
    };
    psnr.cap.map(told).unwrap_or_default()
}

fn row(metrics: &[MetricInfo], scores: &BTreeMap<String, Summary>) -> Vec<Cell> {
    let means = metrics.iter().map(|m| mean_ci(m, scores.get(&m.name)));
    let psnr = scores.get("psnr");
    let spread = psnr.and_then(|s| Some((s.median?, s.sd)));
    let spread = Cell::number(spread.map(|(median, sd)| match sd {
        Some(sd) => format!("{median:.2} ({sd:.2})"),
        None => format!("{median:.2}"),
    }));
    let counted = psnr.or_else(|| scores.values().next());
    [n(counted)].into_iter().chain(means).chain([spread]).collect()
}

/// Metrics that any cell measured, but labels, which have their own column of rates.
fn metrics(run: &Run) -> Vec<MetricInfo> {
    let names = run.metric_names.iter().filter(|name| *name != "label_match");
    names.map(|name| run.metric(name)).collect()
}

/// The baselines of the world's first cell that has any; they are the same for all its cells.
fn world_nulls<'a, T: 'a>(
    run: &'a Run,
    world: &[usize],
    of: impl Fn(&'a record::summary::CellSummary) -> &'a BTreeMap<String, T>,
) -> impl Iterator<Item = (&'a String, &'a T)> {
    let found = world.iter().map(|at| of(&run.cells[*at])).find(|nulls| !nulls.is_empty());
    found.into_iter().flatten()
}

pub(super) fn success(run: &Run) -> Section {
    let labels: Vec<String> = metrics(run).iter().flat_map(threshold_labels).collect();
    let mut table = keyed(
        run,
        labels.iter().cloned().chain([identified::TITLE, "label accuracy"].map(String::from)),
    );
    for world in run.worlds() {
        for &at in &world {
            let cell = &run.cells[at];
            let rates = labels.iter().map(|l| rate(cell.success.get(l)));
            let guessed =
                if cell.labels_known { "known".into() } else { rate(cell.label_accuracy.as_ref()) };
            let rest = [cell_identified(run, at), guessed];
            table.push(key(run, at).into_iter().chain(rates).chain(rest));
        }
        for (name, rates) in world_nulls(run, &world, |c| &c.baseline_success) {
            let rates = labels.iter().map(|l| rate(rates.get(l)));
            let key = null_key(run, world[0], name).into_iter();
            table.push(key.chain(rates).chain([Cell::None, Cell::None]));
        }
    }
    let lead = "Share of images (count) with Wilson's interval in percent, over captures; below 8 \
        of them there is none. A failed attack counts as tried without success; \
        \"known\" labels were told to the attacker.";
    let lead = format!("{lead}{}", identified_read(run));
    Section::new("Success rates").paragraph(lead).table(table.without_empty_columns(), NOTHING)
}

/// The thresholds of a metric in words.
pub(crate) fn threshold_labels(metric: &MetricInfo) -> Vec<String> {
    metric.thresholds.iter().map(|bound| metric.threshold(*bound)).collect()
}
