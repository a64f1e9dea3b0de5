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
            Ok(cell) => match (cell.not_applicable(), scenario::check(&cell)) {
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
                "not_applicable": skipped, "problems": problems,
            })
        );
    } else {
        skipped.iter().for_each(|s| println!("not applicable: {s}"));
        problems.iter().for_each(|p| println!("problem: {p}"));
        println!(
            "suite {}: {} cells, {good} ready, {} not applicable, {} with problems",
            suite.name,
            suite.cells.len(),
            skipped.len(),
            problems.len()
        );
    }
    Ok(ExitCode::from(if problems.is_empty() { 0 } else { 2 }))
}
