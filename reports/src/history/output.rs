//! The page, the table and the curves of a history.

use crate::figures::history::{Curve, Plot};
use compare::Verdict;
use compare::history::{Night, Quantity};
use record::RecordError;
use record::markdown::{NONE, Table, escape, significant};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type Groups = BTreeMap<String, Vec<Night>>;

/// One plot a quantity that varies or has something to say: all but failures where nothing ever
/// failed.
pub(super) fn plots(title: &str, nights: &[Night]) -> Vec<Plot> {
    let marked: Vec<usize> = nights
        .iter()
        .enumerate()
        .filter(|(_, n)| !n.regressions().is_empty())
        .map(|(at, _)| at + 1)
        .collect();
    let plot = |of: Quantity| {
        let names: BTreeSet<&str> = nights
            .iter()
            .flat_map(|n| &n.headlines)
            .filter(|h| h.of == of)
            .map(|h| h.series.as_str())
            .collect();
        let curves: Vec<Curve> = names.into_iter().map(|name| curve(nights, of, name)).collect();
        Plot {
            name: format!("{} {}", title, of.name()),
            heading: title.trim_start_matches("suite ").to_owned(),
            axis: of.label(),
            caption: format!("{title}: {}", of.caption()),
            runs: nights.len(),
            marked: marked.clone(),
            curves,
        }
    };
    let silent = |p: &Plot| p.curves.iter().all(|c| c.points.iter().all(|(_, y)| *y == 0.0));
    Quantity::ALL.into_iter().map(plot).filter(|p| !p.curves.is_empty() && !silent(p)).collect()
}

fn curve(nights: &[Night], of: Quantity, series: &str) -> Curve {
    let value = |(at, night): (usize, &Night)| {
        let own = night.headlines.iter().find(|h| h.of == of && h.series == series)?;
        Some((at + 1, own.value))
    };
    Curve { name: series.to_owned(), points: nights.iter().enumerate().filter_map(value).collect() }
}

/// One tidy row a run and headline.
pub(super) fn csv(groups: &Groups, path: &Path) -> Result<Vec<u8>, RecordError> {
    let fault =
        |e: csv::Error| RecordError::io("write", path)(std::io::Error::other(e.to_string()));
    let mut out = csv::Writer::from_writer(Vec::new());
    let head = [
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
    out.write_record(head).map_err(fault)?;
    for nights in groups.values() {
        for (at, night) in nights.iter().enumerate() {
            let own = columns(nights, at);
            for headline in &night.headlines {
                let (name, value) = (headline.of.name().to_owned(), headline.value.to_string());
                let row = own.iter().cloned().chain([name, headline.series.clone(), value]);
                out.write_record(row).map_err(fault)?;
            }
        }
    }
    out.into_inner().map_err(|e| fault(e.into_error().into()))
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
pub(super) fn page(groups: &Groups, skipped: &[String], figures: &str) -> String {
    let mut out = String::from("# History\n\n");
    for (title, nights) in groups {
        out.push_str(&format!("## {}\n\n", escape(title)));
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
        (0..nights.len()).for_each(|at| table.row(row(nights, at)));
        out.push_str(&table.render(""));
        for (at, night) in nights.iter().enumerate() {
            out.push_str(&regressions(at, night));
        }
    }
    out.push_str(figures);
    if !skipped.is_empty() {
        out.push_str("## Left out\n\n");
        skipped.iter().for_each(|line| out.push_str(&format!("- {}\n", escape(line))));
    }
    out
}

fn row(nights: &[Night], at: usize) -> Vec<String> {
    let night = &nights[at];
    let value = |of: Quantity| {
        let own = night.headlines.iter().find(|h| h.of == of && h.series.is_empty());
        own.map_or(NONE.into(), |h| significant(h.value))
    };
    let against =
        night.against.as_ref().map_or(NONE.into(), |(before, _)| (before + 1).to_string());
    let whole = if night.side.unfinished().is_some() { " (not whole)" } else { "" };
    vec![
        (at + 1).to_string(),
        date(night.finished),
        night.name.clone(),
        format!("{}{whole}", night.side.records().len()),
        value(Quantity::Failed),
        value(Quantity::Seconds),
        night.side.info().device.clone(),
        against,
        verdict(night).to_owned(),
    ]
}

fn regressions(at: usize, night: &Night) -> String {
    let since = night
        .first
        .as_ref()
        .map_or(String::new(), |(first, _)| format!(" since run {}", first + 1));
    let told = |all: Vec<String>, since: &str| told(at, night, &all, since);
    told(night.regressions(), "") + &told(night.slide(), &since)
}

fn told(at: usize, night: &Night, all: &[String], since: &str) -> String {
    if all.is_empty() {
        return String::new();
    }
    let lines: String =
        all.iter().take(SHOWN).map(|line| format!("- {}\n", escape(line))).collect();
    let rest = all.len().saturating_sub(SHOWN);
    let more = if rest > 0 {
        format!("- {rest} more; compare the two runs for them\n")
    } else {
        String::new()
    };
    format!("Run {} ({}) regressed{since}:\n\n{lines}{more}\n", at + 1, escape(&night.name))
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
