//! The comparison as Markdown, fit for the summary of a CI step.

use crate::effect::{Effect, Judgement, Subject};
use crate::findings::Finding;
use crate::text::{HEAD, SECTIONS, more};
use crate::{Comparison, Verdict};
use record::markdown::{Table, escape};

/// Rows of one list in a summary.
const SHOWN: usize = 30;
/// Rows of the folded table.
const FOLDED: usize = 200;

impl Comparison {
    /// The comparison as Markdown: verdict, regressions, failures, warnings, changes, the pooled
    /// effects, the cells that moved.
    pub fn markdown(&self) -> String {
        let mark = match self.verdict() {
            Verdict::Passed => "✅",
            Verdict::Unfinished => "⏳",
            Verdict::Failed | Verdict::Regressed => "❌",
        };
        let mut out = format!("## {mark} {}\n\n", escape(&self.headline()));
        for line in self.lead() {
            out.push_str(&format!("- {}\n", escape(&line)));
        }
        out.push('\n');
        for (title, weight) in SECTIONS {
            let findings: Vec<&Finding> = self.findings(weight).collect();
            out.push_str(&section(title, &findings));
        }
        out.push_str("### Attacks, defenses, accuracy, speed\n\n");
        out.push_str(&rows(&self.table(), SHOWN, "Nothing moved."));
        let cells: Vec<[String; 7]> = self.moved_cells().map(|e| self.row(e)).collect();
        if !cells.is_empty() {
            out.push_str("### Cells that moved\n\n");
            out.push_str(&rows(&cells, SHOWN, ""));
        }
        let every: Vec<[String; 7]> = self.pooled_moved().map(|e| self.row(e)).collect();
        if !every.is_empty() {
            let table = rows(&every, FOLDED, "");
            out.push_str(&format!(
                "<details><summary>Every metric</summary>\n\n{table}</details>\n\n"
            ));
        }
        out.push_str(&format!("{}\n", self.guarantee()));
        out
    }

    /// Single cells beyond a tolerance, the sure ones first.
    fn moved_cells(&self) -> impl Iterator<Item = &Effect> {
        let beyond = |e: &&Effect| {
            matches!(e.subject, Subject::Cell(_))
                && !matches!(e.judgement, Judgement::Described | Judgement::Within)
        };
        let mut cells: Vec<&Effect> = self.effects.iter().filter(beyond).collect();
        cells.sort_by(|a, b| a.p_adjusted.unwrap_or(2.0).total_cmp(&b.p_adjusted.unwrap_or(2.0)));
        cells.into_iter()
    }
}

fn section(title: &str, findings: &[&Finding]) -> String {
    if findings.is_empty() {
        return String::new();
    }
    let line = |f: &&Finding| format!("- **{}**: {}\n", escape(&f.subject), escape(&f.text));
    let lines: String = findings.iter().take(SHOWN).map(line).collect();
    let rest = more(findings.len(), SHOWN).map(|m| format!("- {m}\n")).unwrap_or_default();
    format!("### {title}\n\n{lines}{rest}\n")
}

fn rows(all: &[[String; 7]], shown: usize, otherwise: &str) -> String {
    let mut table = Table::new(HEAD);
    all.iter().take(shown).for_each(|row| table.row(row.clone()));
    let rest = more(all.len(), shown).map(|m| format!("{m}\n\n")).unwrap_or_default();
    format!("{}{rest}", table.render(otherwise))
}
