//! A report as GitHub-flavoured Markdown.

use super::model::{Block, Cell, Report, Section, Table, Text};
use record::markdown::{self, escape};

/// The text of a report's Markdown file.
pub(crate) fn render(report: &Report) -> String {
    let title = format!("# {}\n\n", escape(&report.title));
    let head = if report.details.is_empty() { "" } else { "## Details\n\n" };
    let sections = report.sections.iter().map(section).chain([head.to_owned()]);
    std::iter::once(title).chain(sections).chain(report.details.iter().map(folded)).collect()
}

/// A section that opens on a click.
fn folded(section: &Section) -> String {
    let blocks: String = section.blocks.iter().map(block).collect();
    let title = escape(&section.title);
    format!("<details>\n<summary>{title}</summary>\n\n{blocks}</details>\n\n")
}

/// A section alone.
pub(crate) fn section(section: &Section) -> String {
    let head = if section.title.is_empty() {
        String::new()
    } else {
        format!("## {}\n\n", escape(&section.title))
    };
    std::iter::once(head).chain(section.blocks.iter().map(block)).collect()
}

fn text(text: &Text) -> String {
    escape(&text.marked())
}

fn block(block: &Block) -> String {
    match block {
        Block::Paragraph(words) => format!("{}\n\n", text(words)),
        Block::Table(own) => table(own),
        Block::Figure(figure) => format!(
            "![{}](figures/{name}.png)\n\n{} ([SVG](figures/{name}.svg))\n\n",
            escape(&figure.alt).replace(['[', ']'], " "),
            escape(&figure.caption),
            name = figure.name
        ),
        Block::List(items) => {
            let lines: String = items.iter().map(|item| format!("- {}\n", text(item))).collect();
            format!("{lines}\n")
        }
    }
}

fn table(table: &Table) -> String {
    let mut out = markdown::Table::new(table.head.clone());
    table.rows.iter().for_each(|row| out.row(row.iter().map(Cell::marked)));
    out.render("")
}
