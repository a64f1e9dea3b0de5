//! A headline metric from run to run, with the runs that regressed marked.

use super::{curves, slug};
use crate::figure::chart::{Chart, Lines, Rule, Scale, Series};

/// The figures of one quantity, a page for so many series as can be told apart: `name` becomes file
/// names, `axis` the title of the vertical axis, and the runs `marked`, counted from 1, have
/// regressed.
pub(crate) fn history(
    name: &str,
    axis: &str,
    caption: &str,
    series: &[Series],
    marked: &[usize],
) -> Vec<Chart> {
    let mut rules = Vec::new();
    let mut caption = caption.to_owned();
    if !marked.is_empty() {
        let at = marked.iter().map(|run| *run as f64).collect();
        rules.push(Rule { name: "regressed".into(), at, upright: true });
        caption += " Vertical lines: runs that regressed.";
    }
    curves(&slug(name), &caption, series, |_| Lines {
        x: Scale { title: "run (oldest first)".into(), ..Scale::default() },
        y: Scale { title: axis.into(), ..Scale::default() },
        rules: rules.clone(),
        ..Lines::default()
    })
}
