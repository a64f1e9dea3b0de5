//! `report/report.html`: the whole report as one file that opens from disk and asks nothing of any
//! network.
//!
//! The order is that of every report: verdict, hero figure, main table, setting, figures, then the
//! details folded away. Rust gathers the data, the scripts in `assets/report/` draw them. Every
//! table is that of the [`Report`] which `report.md` is made of, too; cells, pictures and objective
//! curves come on top.

mod cells;
mod document;
mod images;
mod suite;
mod thumbnails;
mod trace;

use crate::report::model::{Block, Report, Section, Span, Text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use record::run::Run;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use suites::foreign::{self, limits};

/// The page of a run with this report, whose figures lie in `dir/figures/`.
pub(crate) fn page(run: &Run, report: &Report, dir: &Path) -> String {
    document::document(&run.info.suite.title(), &data(run, report, dir))
}

/// The page of a training with this report, whose figures lie in `dir/figures/`.
pub(crate) fn training_page(report: &Report, dir: &Path) -> String {
    let main = ["Reached", "Robustness"];
    let placed = |s: &&Section| !["Figures", ""].contains(&s.title.as_str());
    let sections = |first: bool| {
        let own = report.sections.iter().filter(placed);
        own.filter(|s| main.contains(&s.title.as_str()) == first).map(section).collect::<Vec<_>>()
    };
    let data = json!({
        "title": report.title,
        "verdict": verdict(report),
        "main": sections(true),
        "sections": sections(false),
        "figures": figures(report, dir),
        "linked": linked(report),
        "table": null,
        "cells": [],
        "traces": [],
        "images": { "head": [], "rows": [], "pictures": [], "thumbnails": [] },
        "files": [
            ["report.md", "the same tables as Markdown"],
            ["report.tex", "this report as LaTeX"],
            ["../records.csv", "one row a round"],
            ["../training.json", "the task as it ran, for programs"],
        ],
    });
    document::document(&report.title, &data)
}

fn data(run: &Run, report: &Report, dir: &Path) -> Value {
    let mut texts = Texts::default();
    let placed = |s: &&Section| !["Figures", "Files", ""].contains(&s.title.as_str());
    let details: Vec<Value> =
        (0..run.records.len()).map(|at| cells::detail(run, at, &mut texts)).collect();
    let sections = |all: &[Section]| all.iter().filter(placed).map(section).collect::<Vec<_>>();
    json!({
        "suite": run.info.suite.title(),
        "title": report.title,
        "description": run.info.suite.description,
        "flags": suite::flags(&run.info),
        "verdict": verdict(report),
        "tiles": cells::tiles(run),
        "open": run.open().len(),
        "main": sections(&report.sections),
        "sections": sections(&report.details),
        "figures": figures(report, dir),
        "linked": linked(report),
        "table": cells::table(run),
        "cells": details,
        "traces": trace::traces(run),
        "images": images::images(run),
        "texts": texts.list,
        "files": [
            ["report.md", "the same tables as Markdown"],
            ["records.csv", "one row per image and metric"],
            ["cells.csv", "one row per cell"],
            ["summary.json", "all of this for programs"],
            ["../artifacts/", "pictures and tensors of every cell"],
        ],
    })
}

/// The sentences below the title.
fn verdict(report: &Report) -> Vec<String> {
    let first = report.sections.iter().find(|s| s.title.is_empty());
    let sentence = |block: &Block| match block {
        Block::Paragraph(words) => Some(one_line(&words.marked())),
        _ => None,
    };
    first.into_iter().flat_map(|s| &s.blocks).filter_map(sentence).collect()
}

/// A section with its table, and its texts above and below that.
fn section(section: &Section) -> Value {
    let (mut head, mut rows) = (Vec::new(), Vec::new());
    let (mut above, mut below) = (Vec::new(), Vec::new());
    for block in &section.blocks {
        let text = if rows.is_empty() { &mut above } else { &mut below };
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
    json!({ "title": section.title, "text": above, "below": below, "head": head, "rows": rows })
}

/// As in `report.md`.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Name, caption, alternative text, whether it is as wide as the page, and the picture in base64
/// of every figure shown, the hero first; no picture where its file cannot be read.
fn figures(report: &Report, dir: &Path) -> Vec<Value> {
    let figure = |block: &Block| match block {
        Block::Figure(figure) => {
            let file = dir.join(format!("figures/{}.png", figure.name));
            let png = foreign::read(&file, &limits::PICTURE).ok();
            let png = png.map(|bytes| STANDARD.encode(bytes));
            Some(json!([figure.name, figure.caption, figure.alt, figure.wide, png]))
        }
        _ => None,
    };
    report.sections.iter().flat_map(|s| &s.blocks).filter_map(figure).collect()
}

/// Name and caption of every figure that is linked instead.
fn linked(report: &Report) -> Vec<Value> {
    let own = report.sections.iter().filter(|s| s.title == "Figures").flat_map(|s| &s.blocks);
    let items = own.filter_map(|block| match block {
        Block::List(items) => Some(items),
        _ => None,
    });
    let item = |text: &Text| match text.0.as_slice() {
        [Span::Link(name, _), Span::Words(words)] => {
            Some(json!([name, words.trim_start_matches(": ")]))
        }
        _ => None,
    };
    items.flatten().filter_map(item).collect()
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
