//! What a report says, before it is Markdown, HTML or LaTeX.

use crate::figure::chart::{Chart, Width};
use record::markdown::NONE;

/// A report, built once and written by each renderer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    pub title: String,
    /// The first may have no title: what stands below that of the report.
    pub sections: Vec<Section>,
    /// What is folded away below these; in print, an appendix.
    pub details: Vec<Section>,
}

/// A heading with what stands below it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    pub title: String,
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    Paragraph(Text),
    Table(Table),
    Figure(Figure),
    List(Vec<Text>),
}

/// A figure of `figures/`.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// File name without its ending.
    pub name: String,
    /// What a reader who cannot see it is told.
    pub alt: String,
    pub caption: String,
    /// Whether it is as wide as the page.
    pub wide: bool,
}

/// A line of text in pieces.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text(pub Vec<Span>);

/// A piece of text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Span {
    Words(String),
    Code(String),
    Strong(String),
    Emphasis(String),
    /// What is read, and the file that it leads to.
    Link(String, String),
}

/// A table; rows are padded or cut to the head's width.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub head: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

/// A field of a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Text(Text),
    /// A number as it is shown, with its unit or interval.
    Number(String),
    /// There is no value.
    None,
}

/// A row of a table from whatever its cells are made of.
macro_rules! row {
    ($($cell:expr),* $(,)?) => { vec![$($crate::report::model::Cell::from($cell)),*] };
}
pub(crate) use row;

impl Section {
    /// A section with nothing in it yet.
    pub fn new(title: impl Into<String>) -> Self {
        Section { title: title.into(), blocks: Vec::new() }
    }

    /// The section with a paragraph more; none where it is empty.
    pub fn paragraph(mut self, text: impl Into<Text>) -> Self {
        let text = text.into();
        if text != Text::default() {
            self.blocks.push(Block::Paragraph(text));
        }
        self
    }

    /// The section with a table more, or `otherwise` where that has no rows.
    pub fn table(mut self, table: Table, otherwise: &str) -> Self {
        if table.rows.is_empty() {
            self.paragraph(otherwise)
        } else {
            self.blocks.push(Block::Table(table));
            self
        }
    }

    /// The section with a list more; none where it is empty.
    pub fn list(mut self, items: Vec<Text>) -> Self {
        if !items.is_empty() {
            self.blocks.push(Block::List(items));
        }
        self
    }

    /// Whether it has anything but words, which alone would say that there is nothing.
    pub fn speaks(&self) -> bool {
        self.blocks.iter().any(|block| !matches!(block, Block::Paragraph(_)))
    }

    /// The section of figures, with what must be said of them, or `otherwise` where there are none.
    pub fn figures(charts: &[Chart], remarks: Vec<String>, otherwise: &str) -> Self {
        let mut out = Section::new("Figures");
        out.blocks.extend(charts.iter().map(|chart| Block::Figure(Figure::from(chart))));
        if charts.is_empty() {
            out = out.paragraph(otherwise);
        }
        remarks.into_iter().fold(out, Section::paragraph)
    }
}

impl Section {
    /// The section of figures: the first `shown` of them, the others in a list of links, then what
    /// must be said of them.
    pub fn some_figures(charts: &[&Chart], shown: usize, remarks: Vec<String>) -> Self {
        let (inline, linked) = charts.split_at(shown.min(charts.len()));
        let mut out = Section::new("Figures");
        out.blocks.extend(inline.iter().map(|chart| Block::Figure(Figure::from(*chart))));
        let link = |chart: &&Chart| {
            let file = format!("figures/{}.svg", chart.name);
            let caption = Figure::from(*chart).caption;
            Text(vec![Span::Link(chart.name.clone(), file), Span::Words(format!(": {caption}"))])
        };
        out = out.list(linked.iter().map(link).collect());
        remarks.into_iter().fold(out, Section::paragraph)
    }
}

impl From<&Chart> for Figure {
    fn from(chart: &Chart) -> Self {
        let caption = if chart.remarks.is_empty() {
            chart.caption.clone()
        } else {
            format!("{} Remarks: {}.", chart.caption, chart.remarks.join("; "))
        };
        let wide = chart.width == Width::Page;
        Figure { name: chart.name.clone(), alt: chart.alt(), caption, wide }
    }
}

impl Text {
    /// A command or a file name.
    pub fn code(text: impl Into<String>) -> Self {
        Text(vec![Span::Code(text.into())])
    }

    /// As Markdown has it, before anything is escaped: code between backticks, strong words between
    /// two stars, and so on.
    pub fn marked(&self) -> String {
        let one = |span: &Span| match span {
            Span::Words(text) => text.clone(),
            Span::Code(text) => code(text),
            Span::Strong(text) => format!("**{text}**"),
            Span::Emphasis(text) => format!("*{text}*"),
            Span::Link(text, to) => format!("[{text}]({to})"),
        };
        self.0.iter().map(one).collect()
    }

    /// Several with a separator between them.
    pub fn joined(texts: impl IntoIterator<Item = Text>, between: &str) -> Self {
        let mut out = Vec::new();
        for (at, text) in texts.into_iter().enumerate() {
            out.extend((at > 0).then(|| Span::Words(between.into())));
            out.extend(text.0);
        }
        Text(out)
    }
}

/// Code that holds backticks stands between more of them.
fn code(text: &str) -> String {
    if !text.contains('`') {
        format!("`{text}`")
    } else {
        let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest + 1);
        format!("{fence} {text} {fence}")
    }
}

impl<S: Into<String>> From<S> for Text {
    fn from(text: S) -> Self {
        let text = text.into();
        if text.is_empty() { Text::default() } else { Text(vec![Span::Words(text)]) }
    }
}

impl Cell {
    /// A number where there is one.
    pub fn number(text: Option<impl Into<String>>) -> Self {
        text.map_or(Cell::None, |text| Cell::Number(text.into()))
    }

    /// As [`Text::marked`].
    pub fn marked(&self) -> String {
        match self {
            Cell::Text(text) => text.marked(),
            Cell::Number(text) => text.clone(),
            Cell::None => NONE.into(),
        }
    }

    fn is_blank(&self) -> bool {
        match self {
            Cell::Text(text) => *text == Text::default(),
            Cell::Number(_) => false,
            Cell::None => true,
        }
    }
}

impl From<Text> for Cell {
    fn from(text: Text) -> Self {
        Cell::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell::Text(text.into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Cell::Text(text.into())
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Cell::Number(number.to_string())
    }
}

impl Table {
    /// A table with these column titles.
    pub fn new<S: Into<String>>(head: impl IntoIterator<Item = S>) -> Self {
        Table { head: head.into_iter().map(Into::into).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut row: Vec<Cell> = cells.into_iter().collect();
        row.resize(self.head.len(), Cell::from(""));
        self.rows.push(row);
    }

    /// Drops the columns in which no cell has anything.
    pub fn without_empty_columns(mut self) -> Self {
        let keep: Vec<bool> = (0..self.head.len())
            .map(|at| !self.rows.iter().all(|row| row[at].is_blank()))
            .collect();
        fn kept<T>(list: &mut Vec<T>, keep: &[bool]) {
            let mut flags = keep.iter();
            list.retain(|_| flags.next().is_none_or(|k| *k));
        }
        kept(&mut self.head, &keep);
        self.rows.iter_mut().for_each(|row| kept(row, &keep));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_columns_go() {
        let mut table = Table::new(["a", "b", "c"]);
        table.push(row![1, Cell::None, "2"]);
        table.push(row![1, "", "2", "beyond the head"]);
        let table = table.without_empty_columns();
        assert_eq!(table.head, ["a", "c"]);
        assert!(table.rows.iter().all(|row| row.len() == 2));
    }

    #[test]
    fn code_with_backticks_stands_between_more() {
        assert_eq!(Text::code("a`b").marked(), "`` a`b ``");
        let text = Text(vec![Span::Strong("not".into()), Span::Words(" tried".into())]);
        assert_eq!(text.marked(), "**not** tried");
    }
}
