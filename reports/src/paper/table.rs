//! A table: measures over the values of settings, as LaTeX and CSV.

use crate::figure::columns::{self, Key, Setting};
use crate::figure::data::{ESTIMATE, Sheet, ids, of_estimate, shown};
use crate::figure::estimate::{Estimate, estimate};
use crate::figure::filter::{self, Picked};
use crate::figure::measure::Measure;
use crate::figure::select::{doubts, part};
use crate::report::latex;
use record::markdown::counted;
use record::run::Run;
use record::stats::{mean, sample_sd};
use std::collections::BTreeSet;
use suites::SpecError;
use suites::figure::{Bold, FigureWidth, Spread, TableSpec};

/// Values side by side that one column of text has room for at its own letters.
const COLUMNS: usize = 5;

/// A table as it is written.
#[derive(Debug)]
pub(super) struct Tabled {
    pub tex: String,
    pub sheet: Sheet,
    pub remarks: Vec<String>,
    /// Places of the cells it used.
    pub cells: Vec<usize>,
}

/// One row: its values along the row columns, and one estimate per measure.
struct Row {
    keys: Vec<Key>,
    values: Vec<Estimate>,
    /// Whether its images were lost to failed attacks, so that no client, image or trial has them.
    lost: Option<usize>,
}

/// Makes the table.
///
/// # Errors
/// One line with file and line: unknown columns, a filter that matches nothing.
pub(super) fn table(run: &Run, spec: &TableSpec) -> Result<Tabled, SpecError> {
    let left = filter::apply(run, &spec.filter, &spec.place)?;
    let blame = |key: &'static str| move |error| spec.place.blame(key, error);
    let settings: Result<Vec<Setting>, SpecError> =
        spec.rows.iter().map(|name| columns::setting(run, name).map_err(blame("rows"))).collect();
    let measures: Result<Vec<Measure>, SpecError> = spec
        .columns
        .iter()
        .map(|name| columns::measure(run, name).map_err(blame("columns")))
        .collect();
    let (settings, measures) = (settings?, measures?);
    let mut rows = Vec::new();
    split(run, &settings, Vec::new(), left.picked, &mut |keys, picked| {
        let values = measures.iter().map(|m| estimate(run, m, &picked)).collect();
        let nobodys = settings.iter().zip(&keys).any(|(s, key)| s.of_image() && *key == Key::None);
        let lost = nobodys.then(|| picked.iter().map(|p| p.lost).sum());
        rows.push(Row { keys, values, lost });
    });
    let mut remarks = left.remarks;
    remarks.extend(told(run, spec, &measures, &rows));
    let cells: BTreeSet<usize> =
        rows.iter().flat_map(|r| &r.values).flat_map(|e| e.cells.clone()).collect();
    let tex = tex(run, spec, (&settings, &measures), &rows, &remarks);
    Ok(Tabled { tex, sheet: sheet(run, spec, &rows), remarks, cells: cells.into_iter().collect() })
}

/// Every combination of values that has cells, the first column slowest.
fn split(
    run: &Run,
    settings: &[Setting],
    keys: Vec<Key>,
    picked: Vec<Picked>,
    done: &mut impl FnMut(Vec<Key>, Vec<Picked>),
) {
    let Some((first, rest)) = settings.split_first() else { return done(keys, picked) };
    for (key, cells) in part(run, first, &picked) {
        split(run, rest, keys.iter().cloned().chain([key]).collect(), cells, done);
    }
}

/// What a reader of the table must be told.
fn told(run: &Run, spec: &TableSpec, measures: &[Measure], rows: &[Row]) -> Vec<String> {
    let mut out = Vec::new();
    match spec.spread {
        Spread::Interval => out.push(
            "in brackets: 95 % intervals (BCa bootstrap for means, Wilson for shares) over \
             independent units; in braces: the values themselves of fewer than 8 units"
                .into(),
        ),
        Spread::Sd => out.push("after ±: sample standard deviation".into()),
        Spread::None => {}
    }
    for (at, measure) in measures.iter().enumerate() {
        let sum =
            |pick: fn(&Estimate) -> usize| rows.iter().map(|r| pick(&r.values[at])).sum::<usize>();
        let mut say = |count: usize, what: &str| {
            if count > 0 {
                out.push(format!("{}: {count} {what}", measure.short_title()));
            }
        };
        if measure.is_share() {
            say(
                sum(|e| e.failed),
                "images of failed or diverged attacks count as tries without success",
            )
        } else {
            say(
                sum(|e| e.failed),
                "images without a usable value (failed attacks among them) are in no mean",
            )
        }
        if measure.of_attack() {
            say(
                sum(|e| e.missing),
                "cells whose attack failed are in no mean: what it had cost is not known",
            )
        } else {
            say(sum(|e| e.missing), "not measured")
        }
        say(sum(|e| e.capped), "above the cap entered at the cap");
        say(sum(|e| e.grey), "diverged images enter as grey");
    }
    let all = || rows.iter().flat_map(|r| &r.values);
    let left_out: BTreeSet<usize> = all().flat_map(|e| e.left_out.clone()).collect();
    out.extend(doubts(run, &left_out, " left out"));
    let shown = measures.iter().any(Measure::leaks);
    let unknown =
        all().flat_map(|e| e.cells.clone()).filter(|at| shown && run.doubt(*at).is_some());
    out.extend(doubts(run, &unknown.collect(), ""));
    let how: BTreeSet<&str> = rows.iter().flat_map(|r| &r.values).filter_map(|e| e.how).collect();
    out.extend(how.into_iter().map(String::from));
    let lost: usize = rows.iter().filter_map(|r| r.lost).sum();
    if spec.summary && lost > 0 {
        let images = counted(lost, "image");
        out.push(format!(
            "rows mean and sd leave out {images} lost to failed attacks, in the rows named -"
        ));
    }
    let pooled = |e: &&Estimate| e.cells.len() > 1;
    let differ: BTreeSet<String> = rows
        .iter()
        .flat_map(|r| &r.values)
        .filter(pooled)
        .flat_map(|e| crate::figure::select::differing(run, &e.cells))
        .collect();
    if !differ.is_empty() {
        out.push(format!(
            "rows pool cells that differ in {}",
            differ.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    out
}

fn sheet(run: &Run, spec: &TableSpec, rows: &[Row]) -> Sheet {
    let head = spec
        .rows
        .iter()
        .cloned()
        .chain(["measure".to_owned()])
        .chain(ESTIMATE.map(String::from))
        .chain(["cells".to_owned()]);
    let mut sheet = Sheet::new(head);
    for row in rows {
        for (name, e) in spec.columns.iter().zip(&row.values) {
            let keys = row.keys.iter().map(Key::label);
            sheet
                .push(keys.chain([name.clone()]).chain(of_estimate(e)).chain([ids(run, &e.cells)]));
        }
    }
    if spec.summary {
        for group in groups(rows) {
            for (at, name) in spec.columns.iter().enumerate() {
                let (centre, sd, n) = over(group, at);
                let keys = group[0].keys.iter().map(Key::label).take(spec.rows.len() - 1);
                let numbers =
                    [shown(centre), String::new(), String::new(), shown(sd), n.to_string()];
                let rest = std::iter::repeat_n(String::new(), ESTIMATE.len() - 5 + 1);
                sheet.push(
                    keys.chain(["mean of rows".to_owned(), name.clone()])
                        .chain(numbers)
                        .chain(rest),
                );
            }
        }
    }
    sheet
}

/// Rows that differ in the last column alone.
fn groups(rows: &[Row]) -> Vec<&[Row]> {
    let prefix = |row: &Row| row.keys[..row.keys.len() - 1].to_vec();
    rows.chunk_by(|a, b| prefix(a) == prefix(b)).collect()
}

/// Mean and sample standard deviation over the rows of a group that have a value, and their number.
/// What belongs to nobody is no row of these.
fn over(group: &[Row], at: usize) -> (Option<f64>, Option<f64>, usize) {
    let values: Vec<f64> =
        group.iter().filter(|r| r.lost.is_none()).filter_map(|r| r.values[at].value).collect();
    (mean(&values), sample_sd(&values), values.len())
}

fn tex(
    run: &Run,
    spec: &TableSpec,
    (settings, measures): (&[Setting], &[Measure]),
    rows: &[Row],
    remarks: &[String],
) -> String {
    let env = latex::float("table", spec.width);
    let head: Vec<String> =
        settings.iter().map(Setting::title).map(|t| latex::escape(&t)).collect();
    let titles = measures.iter().map(|m| latex::escape(&m.short_title()));
    let columns = format!("{}{}", "l".repeat(settings.len()), "r".repeat(measures.len()));
    let mut out = format!(
        "% {} of the run of {}; needs \\usepackage{{booktabs}} and \
         \\usepackage{{textcomp}}\n\\begin{{{env}}}[t]\n  \\centering\n{}  \\label{{tab:{}}}\n{}  \
         \\begin{{tabular}}{{{columns}}}\n    \\toprule\n    {} \\\\\n    \\midrule\n",
        spec.name,
        latex::escape(&run.info.suite.title()),
        latex::caption(&spec.caption, &spec.name),
        spec.name,
        small(spec),
        head.into_iter().chain(titles).collect::<Vec<_>>().join(" & "),
    );
    let bold: Vec<Vec<usize>> =
        measures.iter().enumerate().map(|(at, m)| best_of_groups(spec, m, rows, at)).collect();
    let mut number = 0;
    for (at, group) in groups(rows).into_iter().enumerate() {
        if at > 0 && spec.summary {
            out.push_str("    \\midrule\n");
        }
        for row in group {
            out.push_str(&line(spec, (settings, measures), row, &bold, number));
            number += 1;
        }
        if spec.summary {
            out.push_str(&summary(spec, measures, group));
        }
    }
    out.push_str("    \\bottomrule\n  \\end{tabular}\n");
    out.push_str(&latex::notes(remarks));
    out.push_str(&format!("\\end{{{env}}}\n"));
    out
}

/// Smaller letters and gaps where the columns would not have room otherwise; a spread takes as much
/// of it as a value.
fn small(spec: &TableSpec) -> &'static str {
    let each = if spec.spread == Spread::None { 1 } else { 2 };
    let most = match spec.width {
        FigureWidth::Column => COLUMNS,
        FigureWidth::Page => 2 * COLUMNS,
    };
    if spec.rows.len() + each * spec.columns.len() > most {
        "  \\footnotesize\n  \\setlength{\\tabcolsep}{3pt}\n"
    } else {
        ""
    }
}

fn line(
    spec: &TableSpec,
    (settings, measures): (&[Setting], &[Measure]),
    row: &Row,
    bold: &[Vec<usize>],
    number: usize,
) -> String {
    let name = |(setting, key): (&Setting, &Key)| match key {
        Key::Text(text) if text == "none" && setting.of_defense() => "none".into(),
        key => latex::escape(&key.label()),
    };
    let keys = settings.iter().zip(&row.keys).map(name);
    let values = measures.iter().zip(&row.values).zip(bold);
    let cell = |((m, e), best): ((&Measure, &Estimate), &Vec<usize>)| {
        field(m, e, spec.spread, best.contains(&number))
    };
    format!("    {} \\\\\n", keys.chain(values.map(cell)).collect::<Vec<_>>().join(" & "))
}

/// A value with its spread.
fn field(measure: &Measure, e: &Estimate, spread: Spread, bold: bool) -> String {
    let Some(value) = e.value else {
        return if e.left_out.is_empty() { "--".into() } else { "not measurable".into() };
    };
    let text = math(&measure.show(value));
    let value = match (bold, text.contains('$')) {
        (false, _) => text,
        (true, false) => format!("\\textbf{{{text}}}"),
        (true, true) => format!("{{\\boldmath {text}}}"),
    };
    match (spread, e.interval, e.sd) {
        (Spread::Interval, Some((low, high)), _) => {
            format!("{value} [{}, {}]", math(&measure.show(low)), math(&measure.show(high)))
        }
        (Spread::Interval, None, _) if e.values.len() > 1 => {
            let all: Vec<String> = e.values.iter().map(|v| math(&measure.show(*v))).collect();
            format!("{value} \\{{{}\\}}", all.join(", "))
        }
        (Spread::Sd, _, Some(sd)) => format!("{value} $\\pm$ {}", math(&measure.show(sd))),
        _ => value,
    }
}

/// A number with a minus that is one, and powers of ten as such.
fn math(text: &str) -> String {
    match text.split_once('e') {
        Some((digits, power)) => format!("${digits} \\cdot 10^{{{power}}}$"),
        None if text.starts_with('-') => format!("${text}$"),
        None => latex::escape(text),
    }
}

/// Mean and sample standard deviation over the rows of a group.
fn summary(spec: &TableSpec, measures: &[Measure], group: &[Row]) -> String {
    let row = |name: &str, pick: &dyn Fn(usize) -> Option<f64>| {
        let keys = std::iter::repeat_n(String::new(), spec.rows.len() - 1).chain([name.to_owned()]);
        let value = |(at, m): (usize, &Measure)| pick(at).map_or("--".into(), |v| math(&m.show(v)));
        format!(
            "    {} \\\\\n",
            keys.chain(measures.iter().enumerate().map(value)).collect::<Vec<_>>().join(" & ")
        )
    };
    let (centre, sd) = (row("mean", &|at| over(group, at).0), row("sd", &|at| over(group, at).1));
    format!("    \\midrule\n{centre}{sd}")
}

/// The rows whose value is set in bold, among those with the same value of the first of several row
/// columns: settings differ from group to group, and the best of all would be the easiest setting.
fn best_of_groups(spec: &TableSpec, measure: &Measure, rows: &[Row], at: usize) -> Vec<usize> {
    let several = spec.rows.len() > 1;
    let mut first = 0;
    let mut out = Vec::new();
    for group in rows.chunk_by(|a, b| !several || a.keys[0] == b.keys[0]) {
        out.extend(best(spec.bold, measure, group, at).into_iter().map(|row| first + row));
        first += group.len();
    }
    out
}

/// The rows of a group that stand out: all that read the same as the best. A null baseline attacks
/// nothing, and what was lost is no rival.
fn best(bold: Bold, measure: &Measure, rows: &[Row], at: usize) -> Vec<usize> {
    if matches!(measure, Measure::Null(..)) {
        return Vec::new();
    }
    let value = |row: &Row| row.values[at].value.filter(|_| row.lost.is_none());
    let high = match (bold, measure.higher_is_better()) {
        (Bold::None, _) | (_, None) => return Vec::new(),
        (Bold::Least, Some(higher)) if measure.leaks() => !higher,
        (_, Some(higher)) => higher,
    };
    let sign = if high { 1.0 } else { -1.0 };
    let values = rows.iter().filter_map(value);
    let Some(top) = values.max_by(|a, b| (sign * a).total_cmp(&(sign * b))) else {
        return Vec::new();
    };
    let shown = measure.show(top);
    let equal = |row: &Row| value(row).is_some_and(|v| measure.show(v) == shown);
    let best: Vec<usize> = (0..rows.len()).filter(|i| equal(&rows[*i])).collect();
    // Where all read the same nothing stands out.
    let valued = rows.iter().filter(|r| value(r).is_some()).count();
    if best.len() == valued { Vec::new() } else { best }
}
