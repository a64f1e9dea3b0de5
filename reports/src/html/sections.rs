//! The sections of `report.md`, read back from its text.

use serde_json::{Value, json};

/// A report's parts.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub title: String,
    /// The first is the overview, without a title.
    pub sections: Vec<Section>,
    /// Name and caption of every figure.
    pub figures: Vec<(String, String)>,
}

/// A heading with what stands below it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Section {
    pub title: String,
    pub text: Vec<String>,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Section {
    pub fn json(&self) -> Value {
        json!({ "title": self.title, "text": self.text, "head": self.head, "rows": self.rows })
    }
}

/// Reads what [`crate::tables`] and [`crate::figures`] wrote.
pub(super) fn parse(markdown: &str) -> Report {
    let mut report = Report { sections: vec![Section::default()], ..Report::default() };
    for line in markdown.lines().filter(|l| !l.is_empty()) {
        if let Some(title) = line.strip_prefix("# ") {
            report.title = unescape(title);
        } else if let Some(title) = line.strip_prefix("## ") {
            report.sections.push(Section { title: title.into(), ..Section::default() });
        } else if let Some(section) = report.sections.last_mut() {
            section.add(line);
        }
    }
    let drawn = report
        .sections
        .iter()
        .position(|s| s.title == "Figures")
        .map(|at| report.sections.remove(at));
    report.figures = drawn.map(|s| figures(&s.text)).unwrap_or_default();
    report.sections.retain(|s| s.title != "Files");
    report
}

impl Section {
    fn add(&mut self, line: &str) {
        match row(line) {
            None => self.text.push(unescape(line)),
            Some(cells) if cells.iter().all(|c| c == "---") => {}
            Some(cells) if self.head.is_empty() => self.head = cells,
            Some(cells) => self.rows.push(cells),
        }
    }
}

/// The cells of a table's line.
fn row(line: &str) -> Option<Vec<String>> {
    let inner = line.strip_prefix("| ").or(line.strip_prefix("|  |").map(|_| &line[2..]))?;
    let inner = inner.strip_suffix(" |")?;
    let (mut cells, mut cell, mut escaped) = (Vec::new(), String::new(), false);
    for c in inner.chars() {
        if c == '|' && !escaped {
            cells.push(std::mem::take(&mut cell));
            continue;
        }
        escaped = c == '\\' && !escaped;
        cell.push(c);
    }
    cells.push(cell);
    Some(cells.iter().map(|c| unescape(c.trim())).collect())
}

/// Undoes [`record::markdown::escape`].
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out.replace("&lt;", "<")
}

/// `![name](file)`, then its caption with a link to the SVG.
fn figures(text: &[String]) -> Vec<(String, String)> {
    let name = |line: &String| Some(line.strip_prefix("![")?.split_once("](")?.0.to_owned());
    let caption = |line: Option<&String>| {
        let line = line.map(String::as_str).unwrap_or_default();
        line.rsplit_once(" ([SVG](").map_or(line, |(caption, _)| caption).to_owned()
    };
    text.iter()
        .enumerate()
        .filter_map(|(at, line)| Some((name(line)?, caption(text.get(at + 1)))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::markdown::Table;

    #[test]
    fn tables_come_back_as_they_were() {
        let odd = ["a|b", r"back\slash", r"\|", "<script>", "", "*null: grey*", "–"];
        let mut table = Table::new(odd);
        table.row(odd);
        table.row(["", "", "", "", "", "", ""]);
        let report = parse(&format!("# T\n\nhello\n\n## One\n\nlead\n\n{}", table.render("")));
        let one = &report.sections[1];
        assert_eq!((report.title.as_str(), one.title.as_str(), one.text.len()), ("T", "One", 1));
        assert_eq!(
            (&one.head[..], &one.rows[0][..]),
            (&odd.map(String::from)[..], &odd.map(String::from)[..])
        );
        assert_eq!(one.rows[1], vec![""; 7]);
    }

    #[test]
    fn figures_have_captions() {
        let text = "## Figures\n\n![a-b](figures/a-b.png)\n\nWhat (it) shows. \
            ([SVG](figures/a-b.svg))\n\n## Files\n\n- x\n";
        let report = parse(text);
        assert_eq!(report.figures, [("a-b".to_owned(), "What (it) shows.".to_owned())]);
        assert_eq!(report.sections.len(), 1);
    }
}
