//! `report/report.html`: the whole report as one file that opens from disk and asks nothing of any
//! network.
//!
//! Rust gathers the data, the scripts in `assets/report/` draw them. Every table is that of
//! `report.md`, read back from its own text, so that the two cannot differ in a number; cells,
//! pictures and objective curves come on top.

mod cells;
mod document;
mod images;
mod sections;
mod thumbnails;
mod toml;
mod trace;

use record::run::Run;
use serde_json::{Value, json};
use std::collections::HashMap;

/// The page of a run whose `report.md` holds `markdown`.
pub(crate) fn page(run: &Run, markdown: &str) -> String {
    document::document(&run.info.suite.title(), &data(run, markdown))
}

fn data(run: &Run, markdown: &str) -> Value {
    let mut texts = Texts::default();
    let report = sections::parse(markdown);
    let details: Vec<Value> =
        (0..run.records.len()).map(|at| cells::detail(run, at, &mut texts)).collect();
    json!({
        "suite": run.info.suite.title(),
        "title": report.title,
        "description": run.info.suite.description,
        "flags": toml::flags(&run.info),
        "tiles": cells::tiles(run),
        "open": cells::open(run),
        "sections": report.sections.iter().map(sections::Section::json).collect::<Vec<_>>(),
        "figures": report.figures,
        "table": cells::table(run),
        "cells": details,
        "traces": trace::traces(run),
        "images": images::images(run),
        "texts": texts.list,
    })
}

/// Texts that many cells share, each stored once.
#[derive(Default)]
struct Texts {
    list: Vec<String>,
    index: HashMap<String, usize>,
}

impl Texts {
    /// The number of `text`.
    fn number(&mut self, text: &str) -> usize {
        if let Some(at) = self.index.get(text) {
            return *at;
        }
        self.list.push(text.to_owned());
        self.index.insert(text.to_owned(), self.list.len() - 1);
        self.list.len() - 1
    }
}
