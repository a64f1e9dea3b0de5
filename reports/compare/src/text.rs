//! The comparison as aligned plain text, the verdict first.

use crate::effect::{Effect, Family, Judgement, Subject};
use crate::findings::{Finding, Weight, p_value};
use crate::{Comparison, Pairing, Verdict};

/// Lines of one list in a terminal; what is beyond is counted, and is in the JSON.
const SHOWN: usize = 20;
/// Rows of the table there.
const ROWS: usize = 40;

impl Comparison {
    /// The comparison for a terminal: verdict, regressions, failures, warnings, changes, then the
    /// pooled effects in a table.
    pub fn terminal(&self) -> String {
        let mut out = format!("{}\n", self.headline());
        for line in self.lead() {
            out.push_str(&format!("  {line}\n"));
        }
        for (title, weight) in SECTIONS {
            let findings: Vec<&Finding> = self.findings(weight).collect();
            if findings.is_empty() {
                continue;
            }
            out.push_str(&format!("\n{title}\n"));
            for finding in findings.iter().take(SHOWN) {
                out.push_str(&format!("  {}\n    {}\n", finding.subject, finding.text));
            }
            out.push_str(
                &more(findings.len(), SHOWN).map(|m| format!("  {m}\n")).unwrap_or_default(),
            );
        }
        let table = self.table();
        if !table.is_empty() {
            let shown = &table[..table.len().min(ROWS)];
            out.push_str(&format!("\n{}", aligned(&HEAD, shown)));
            out.push_str(&more(table.len(), ROWS).map(|m| format!("{m}\n")).unwrap_or_default());
        }
        out.push_str(&format!("\n{}\n", self.guarantee()));
        out
    }

    /// The verdict in one line.
    pub(crate) fn headline(&self) -> String {
        let count = |weight, one: &str, many: &str| {
            let n = self.findings(weight).count();
            (n > 0).then(|| format!("{n} {}", if n == 1 { one } else { many }))
        };
        let parts: Vec<String> = [
            count(Weight::Regression, "regression", "regressions"),
            count(Weight::Failure, "newly failed cell", "newly failed cells"),
            count(Weight::Warning, "warning", "warnings"),
            count(Weight::Change, "change without alarm", "changes without alarm"),
        ]
        .into_iter()
        .flatten()
        .collect();
        let word = match self.verdict() {
            Verdict::Regressed => "REGRESSED",
            Verdict::Unfinished => "NOT WHOLE",
            Verdict::Failed => "CELLS FAILED",
            Verdict::Passed => "PASSED",
        };
        let parts = if parts.is_empty() { "nothing to report".into() } else { parts.join(", ") };
        format!("{word}: {parts}; {}", self.counted())
    }

    fn counted(&self) -> String {
        let c = &self.counts;
        let mut parts = vec![format!("{} common cells", c.common)];
        let kinds = [
            (c.identical, "bit-identical"),
            (c.compared, "tested"),
            (c.other_images, "with other images"),
            (c.newly_failed, "newly failed"),
            (c.still_failed, "failed again"),
            (c.recovered, "recovered"),
            (c.not_applicable, "not applicable"),
        ];
        let own: Vec<String> =
            kinds.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
        parts[0].push_str(&format!(" ({})", own.join(", ")));
        let others = [
            (c.vanished, "vanished"),
            (c.unrun, "still to run"),
            (c.appeared, "appeared"),
            (c.changed, "with a changed spec"),
        ];
        parts.extend(others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")));
        parts.join(", ")
    }

    /// What is compared, and what a reader must know of it.
    pub(crate) fn lead(&self) -> Vec<String> {
        let how = match self.pairing {
            Pairing::SameSeed => "cells by id, images by place",
            Pairing::AcrossSeeds => "across seeds: cells by spec, one unit a seed",
        };
        let mut lines = vec![
            format!("base {}", self.base),
            format!("new  {}", self.new),
            format!("paired {how}"),
        ];
        lines.extend(self.unfinished.iter().cloned());
        lines.extend(self.notes.iter().cloned());
        if self.counts.common > 0 && self.counts.identical == self.counts.common {
            lines.push("every common record is bit-identical but for its times".into());
        }
        if self.speed.too_short > 0 {
            lines.push(format!(
                "speed: {} cells compared, {} left out for taking less than {} s in both runs",
                self.speed.cells, self.speed.too_short, self.gate.min_seconds
            ));
        }
        lines
    }

    /// What the alarms are worth.
    pub(crate) fn guarantee(&self) -> String {
        let tests = |family| {
            self.effects.iter().filter(|e| e.family == family && e.p_adjusted.is_some()).count()
        };
        let untestable = self
            .effects
            .iter()
            .filter(|e| e.family != Family::Described && e.p_adjusted.is_none())
            .count();
        format!(
            "Alarms need a mean beyond the tolerance and a two-sided exact test; where nothing \
             changed, any alarm by test but that of speed has \
             probability at most {}\n({} pooled tests and {} of single cells, Holm within each at \
             {}; {untestable} more had too few units that moved to come out).",
            self.gate.alpha,
            tests(Family::Pooled),
            tests(Family::Cells),
            self.gate.alpha / 2.0,
        )
    }

    /// Pooled effects that moved: of watched metrics, accuracy, speed and costs, those beyond a
    /// tolerance first.
    pub(crate) fn table(&self) -> Vec<[String; 7]> {
        let always = |e: &&Effect| {
            matches!(e.subject, Subject::Accuracy | Subject::Speed | Subject::Cost(_))
        };
        let kept = |e: &&Effect| e.tolerance.is_some() || always(e);
        let mut effects: Vec<&Effect> = self.pooled_moved().filter(kept).collect();
        effects.sort_by_key(|e| matches!(e.judgement, Judgement::Within | Judgement::Described));
        effects.into_iter().map(|e| self.row(e)).collect()
    }

    /// Every effect that moved but those of single cells.
    pub(crate) fn pooled_moved(&self) -> impl Iterator<Item = &Effect> {
        self.effects.iter().filter(|e| {
            !matches!(e.subject, Subject::Cell(_) | Subject::Federation(_)) && e.moved > 0
        })
    }

    pub(crate) fn row(&self, e: &Effect) -> [String; 7] {
        let p = match (e.p_adjusted, e.tolerance) {
            (Some(p), _) => p_value(p),
            (None, _) => "too few".into(),
        };
        [
            self.subject(&e.subject),
            e.metric.clone(),
            e.shown.clone(),
            p,
            format!("{}/{}", e.moved, e.units),
            e.cells.to_string(),
            e.judgement.words().into(),
        ]
    }
}

/// Titles of [`Comparison::table`].
pub(crate) const HEAD: [&str; 7] =
    ["what", "metric", "change [95 %]", "p (Holm)", "moved/units", "cells", "judged"];

/// Sections of findings, gravest first.
pub(crate) const SECTIONS: [(&str, Weight); 4] = [
    ("Regressions", Weight::Regression),
    ("Newly failed", Weight::Failure),
    ("Warnings", Weight::Warning),
    ("Changes without alarm", Weight::Change),
];

/// How many of a list are not shown.
pub(crate) fn more(all: usize, shown: usize) -> Option<String> {
    (all > shown).then(|| format!("{} more, see the JSON", all - shown))
}

fn aligned(head: &[&str; 7], rows: &[[String; 7]]) -> String {
    let wide = |text: &str| text.chars().count();
    let width =
        |at: usize| rows.iter().map(|r| wide(&r[at])).chain([wide(head[at])]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..7).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded =
            cells.iter().zip(&widths).map(|(c, w)| format!("{c}{}", " ".repeat(w - wide(c))));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    let body = rows.iter().map(|r| line(r.iter().map(String::as_str).collect()));
    std::iter::once(line(head.to_vec())).chain(body).collect()
}
