//! `bench check`: builds every trial of a suite, runs none.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use harness::{resolve, scenario};
use serde_json::json;

use super::suite::Selection;
use crate::progress::label;
use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
}

/// Builds every cell and says what is wrong with each that cannot be.
///
/// # Errors
/// A suite that cannot be expanded.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let (suite, _) = args.selection.load(&settings.registries)?;
    let (mut good, mut skipped, mut problems) = (0, Vec::new(), Vec::new());
    for spec in &suite.cells {
        match resolve::resolve(&settings.registries, spec, settings.data.as_deref()) {
            Ok(cell) => match (cell.not_applicable(), scenario::check(cell)) {
                (Some(why), _) => skipped.push(format!("{}: {why}", label(spec))),
                (None, Ok(())) => good += 1,
                (None, Err(error)) => problems.push(format!("{}: {error}", label(spec))),
            },
            Err(error) => problems.push(format!("{}: {error}", label(spec))),
        }
    }
    if settings.json {
        println!(
            "{}",
            json!({
                "suite": suite.name, "cells": suite.cells.len(), "good": good,
                "not_applicable": skipped, "problems": problems, "expected_minutes": suite.minutes,
            })
        );
    } else {
        skipped.iter().for_each(|s| show!("not applicable: {s}"));
        problems.iter().for_each(|p| show!("problem: {p}"));
        show!(
            "suite {}: {} cells, {good} ready, {} not applicable, {} with problems",
            suite.name,
            suite.cells.len(),
            skipped.len(),
            problems.len()
        );
        suite.minutes.iter().for_each(|m| show!("{}", expected(*m)));
    }
    Ok(ExitCode::from(if problems.is_empty() { 0 } else { 2 }))
}

/// The measured time in words.
fn expected(minutes: f64) -> String {
    let time = match minutes {
        m if m < 1.0 => format!("{:.0} seconds", (m * 60.0).max(1.0)),
        m if m < 90.0 => format!("{m:.0} minutes"),
        m => format!("{:.1} hours", m / 60.0),
    };
    format!("expected: about {time} on two CPU cores with --jobs 2, as measured for the suite file")
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_said_in_units_that_are_read() {
        let said = |minutes: f64| super::expected(minutes)[16..].to_string();
        assert!(said(0.5).starts_with("30 seconds") && said(6.4).starts_with("6 minutes"));
        assert!(said(150.0).starts_with("2.5 hours"));
    }
}
