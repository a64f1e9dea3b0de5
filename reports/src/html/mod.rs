//! `report/report.html`: the whole report as one file that opens from disk and asks nothing of any
//! network.
//!
//! Rust gathers the data, the scripts in `assets/report/` draw them. Every table is that of the
//! [`Report`] which `report.md` is made of, too; cells, pictures and objective curves come on top.

mod cells;
mod document;
mod images;
mod suite;
mod thumbnails;
mod trace;

use crate::report::model::{Block, Report, Section};
use record::run::Run;
use serde_json::{Value, json};
use std::collections::HashMap;

/// The page of a run with this report.
pub(crate) fn page(run: &Run, report: &Report) -> String {
    document::document(&run.info.suite.title(), &data(run, report))
}

fn data(run: &Run, report: &Report) -> Value {
    let mut texts = Texts::default();
    let placed = |s: &&Section| !["Figures", "Files"].contains(&s.title.as_str());
    let details: Vec<Value> =
        (0..run.records.len()).map(|at| cells::detail(run, at, &mut texts)).collect();
    json!({
        "suite": run.info.suite.title(),
        "title": report.title,
        "description": run.info.suite.description,
        "flags": suite::flags(&run.info),
        "tiles": cells::tiles(run),
        "open": cells::open(run),
        "sections": report.sections.iter().filter(placed).map(section).collect::<Vec<_>>(),
        "figures": figures(report),
        "table": cells::table(run),
        "cells": details,
        "traces": trace::traces(run),
        "images": images::images(run),
        "texts": texts.list,
    })
}

/// A section with its texts and its table.
fn section(section: &Section) -> Value {
    let (mut text, mut head, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for block in &section.blocks {
        match block {
            Block::Paragraph(words) => text.push(one_line(&words.marked())),
            Block::List(items) => {
                text.extend(items.iter().map(|i| format!("- {}", one_line(&i.marked()))));
            }
            Block::Figure(_) => {}
            Block::Table(table) => {
                head.clone_from(&table.head);
                rows.extend(
                    table
                        .rows
                        .iter()
                        .map(|r| r.iter().map(|c| one_line(&c.marked())).collect::<Vec<_>>()),
                );
            }
        }
    }
    json!({ "title": section.title, "text": text, "head": head, "rows": rows })
}

/// As in `report.md`.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Name and caption of every figure.
fn figures(report: &Report) -> Vec<Value> {
    let figure = |block: &Block| match block {
        Block::Figure(figure) => Some(json!([figure.name, figure.caption])),
        _ => None,
    };
    report.sections.iter().flat_map(|s| &s.blocks).filter_map(figure).collect()
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
