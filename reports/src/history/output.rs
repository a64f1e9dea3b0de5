//! The page, the table and the curves of a history.

use crate::figure::catalogue::history;
use crate::figure::chart::{Chart, Mark, Series};
use crate::figure::data::Sheet;
use crate::report::model::{Cell, Report, Section, Table, Text, row};
use compare::Verdict;
use compare::history::{Night, Quantity};
use record::markdown::significant;
use record::{Metrics, RecordError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Groups = BTreeMap<String, Vec<Night>>;

/// The figures of each quantity that has something to say: all but failures where nothing ever
/// failed.
pub(super) fn charts(title: &str, nights: &[Night]) -> Vec<Chart> {
    let metrics = nights.last().map(|n| Metrics::from_run(n.side.info())).unwrap_or_default();
    let regressed =
        |(at, night): (usize, &Night)| (!night.regressions().is_empty()).then_some(at + 1);
    let marked: Vec<usize> = nights.iter().enumerate().filter_map(regressed).collect();
    let of = |of: Quantity| {
        let own = nights.iter().flat_map(|n| &n.headlines).filter(|h| h.of == of);
        let names: BTreeSet<&str> = own.map(|h| h.series.as_str()).collect();
        let series: Vec<Series> = names.into_iter().map(|name| curve(nights, of, name)).collect();
        let silent = series.iter().flat_map(|s| &s.marks).all(|m| m.y == 0.0);
        let (name, caption) =
            (format!("{title} {}", of.name()), format!("{title}: {}", of.caption(&metrics)));
        let drawn = if silent { &[] } else { series.as_slice() };
        history(&name, &of.label(&metrics), &caption, drawn, &marked)
    };
    Quantity::ALL.into_iter().flat_map(of).collect()
}

fn curve(nights: &[Night], of: Quantity, series: &str) -> Series {
    let value = |(at, night): (usize, &Night)| {
        let own = night.headlines.iter().find(|h| h.of == of && h.series == series)?;
        Some(Mark::at((at + 1) as f64, own.value))
    };
    Series::new(series, nights.iter().enumerate().filter_map(value).collect())
}

const HEAD: [&str; 13] = [
    "suite",
    "profile",
    "number",
    "run",
    "finished_unix",
    "finished",
    "device",
    "whole",
    "against",
    "verdict",
    "headline",
    "series",
    "value",
];

/// One tidy row a run and headline.
pub(super) fn csv(groups: &Groups, path: &Path) -> Result<Vec<u8>, RecordError> {
    let mut sheet = Sheet::new(HEAD);
    for nights in groups.values() {
        for (at, night) in nights.iter().enumerate() {
            let own = columns(nights, at);
            for headline in &night.headlines {
                let (name, value) = (headline.of.name().to_owned(), headline.value.to_string());
                sheet.push(own.iter().cloned().chain([name, headline.series.clone(), value]));
            }
        }
    }
    sheet.csv(path)
}

fn columns(nights: &[Night], at: usize) -> Vec<String> {
    let night = &nights[at];
    let info = night.side.info();
    vec![
        info.suite.name.clone(),
        info.suite.profile.clone().unwrap_or_default(),
        (at + 1).to_string(),
        night.name.clone(),
        night.finished.to_string(),
        date(night.finished),
        info.device.clone(),
        night.side.unfinished().is_none().to_string(),
        night.against.as_ref().map_or(String::new(), |(before, _)| nights[*before].name.clone()),
        verdict(night).to_owned(),
    ]
}

fn verdict(night: &Night) -> &'static str {
    match night.against.as_ref().map(|(_, comparison)| comparison.verdict()) {
        None => "",
        Some(Verdict::Passed) => "passed",
        Some(Verdict::Regressed) => "regressed",
        Some(Verdict::Failed) => "failed",
        Some(Verdict::Unfinished) => "not whole",
    }
}

/// Regressions of one run that the page shows; the others are counted.
const SHOWN: usize = 5;

/// The page.
pub(super) fn page(groups: &Groups, skipped: &[String], charts: &[Chart]) -> Report {
    let group = |(title, nights): (&String, &Vec<Night>)| {
        let mut table = Table::new([
            "no.",
            "finished (UTC)",
            "run",
            "cells",
            "failed",
            "seconds",
            "device",
            "against",
            "verdict",
        ]);
        (0..nights.len()).for_each(|at| table.push(values(nights, at)));
        let section = Section::new(title).table(table, "");
        nights.iter().enumerate().fold(section, |section, (at, night)| told(section, at, night))
    };
    let mut sections: Vec<Section> = groups.iter().map(group).collect();
    sections.push(Section::figures(charts, Vec::new(), "Nothing has been measured yet."));
    if !skipped.is_empty() {
        let lines = skipped.iter().map(|line| line.as_str().into()).collect();
        sections.push(Section::new("Left out").list(lines));
    }
    Report { title: "History".into(), sections, details: Vec::new() }
}

fn values(nights: &[Night], at: usize) -> Vec<Cell> {
    let night = &nights[at];
    let value = |of: Quantity| {
        let own = night.headlines.iter().find(|h| h.of == of && h.series.is_empty());
        Cell::number(own.map(|h| significant(h.value)))
    };
    let against = night.against.as_ref().map_or(Cell::None, |(before, _)| (before + 1).into());
    let whole = if night.side.unfinished().is_some() { " (not whole)" } else { "" };
    row![
        at + 1,
        date(night.finished),
        night.name.as_str(),
        format!("{}{whole}", night.side.records().len()),
        value(Quantity::Failed),
        value(Quantity::Seconds),
        night.side.info().device.as_str(),
        against,
        verdict(night),
    ]
}

/// What regressed in a run, against the one before it and since the first.
fn told(section: Section, at: usize, night: &Night) -> Section {
    let since = |(first, _): &(usize, _)| format!(" since run {}", first + 1);
    let since = night.first.as_ref().map_or(String::new(), since);
    let all = [(night.regressions(), String::new()), (night.slide(), since)];
    let regressed = all.into_iter().filter(|(lines, _)| !lines.is_empty());
    regressed.fold(section, |section, (lines, since)| {
        let rest = lines.len().saturating_sub(SHOWN);
        let mut shown: Vec<Text> =
            lines.iter().take(SHOWN).map(|line| line.as_str().into()).collect();
        shown.extend(
            (rest > 0).then(|| format!("{rest} more; compare the two runs for them").into()),
        );
        let head = format!("Run {} ({}) regressed{since}:", at + 1, night.name);
        section.paragraph(head).list(shown)
    })
}

/// Date and time of day in UTC, from seconds since 1970 (civil calendar from days: eras of 400
/// years that begin in March).
fn date(unix: u64) -> String {
    let (days, seconds) = (unix / 86_400 + 719_468, unix % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let (hour, minute) = (seconds / 3_600, seconds / 60 % 60);
    format!("{:04}-{month:02}-{of_month:02} {hour:02}:{minute:02}", year + era * 400 + next)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_civil() {
        let want = [
            (0, "1970-01-01 00:00"),
            (951_782_400, "2000-02-29 00:00"),
            (1_700_000_000, "2023-11-14 22:13"),
            (4_107_542_399, "2100-02-28 23:59"),
            (4_107_542_400, "2100-03-01 00:00"),
        ];
        want.iter().for_each(|(unix, text)| assert_eq!(date(*unix), *text));
    }
}
