//! A headline metric from run to run, with the runs that regressed marked.

use super::{SERIES, page, page_slug, slug};
use crate::figure::chart::{Body, Chart, Facet, Lines, Rule, Scale, Series, Width};

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
    let count = series.len().div_ceil(SERIES);
    let rules: Vec<Rule> = if marked.is_empty() {
        Vec::new()
    } else {
        vec![Rule {
            name: "regressed".into(),
            at: marked.iter().map(|run| *run as f64).collect(),
            upright: true,
        }]
    };
    let marks = if marked.is_empty() { "" } else { " Vertical lines: runs that regressed." };
    let chart = |(at, series): (usize, &[Series])| {
        let plot = Lines {
            x: Scale { title: "run (oldest first)".into(), ..Scale::default() },
            y: Scale { title: axis.into(), ..Scale::default() },
            series: series.to_vec(),
            rules: rules.clone(),
            joined: true,
            ..Lines::default()
        };
        Chart {
            name: format!("{}{}", slug(name), page_slug(at)),
            caption: format!("{caption}{}{marks}", page(at, count)),
            width: Width::Column,
            body: Body::Lines(vec![Facet { title: String::new(), plot }]),
            remarks: Vec::new(),
        }
    };
    series.chunks(SERIES).enumerate().map(chart).collect()
}
