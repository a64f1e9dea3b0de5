//! Bars of means and boxes of values, in groups.

use super::Work;
use super::groups::{self, SERIES};
use crate::figure::chart::{BarSeries, Bars, Body, Boxes, Facet, Height, Reference};
use crate::figure::columns::{Key, Setting};
use crate::figure::data::{ESTIMATE, Sheet, ids, of_estimate, shown};
use crate::figure::estimate::{Estimate, estimate, raw};
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use suites::SpecError;

/// Groups that can still be read on a page.
const GROUPS: usize = 40;

/// What bars and boxes have in common: categories of the whole figure, and their series.
struct Layout {
    measure: Measure,
    category: Setting,
    categories: Vec<Key>,
    colour: Option<Setting>,
}

impl Layout {
    fn from_work(work: &Work) -> Result<Self, SpecError> {
        let measure = work.measure("y", "psnr")?;
        let category = work.setting("x", Some("attack"))?.unwrap_or(Setting::Attack);
        let colour = work.setting("colour", None)?;
        let parts = groups::part(work.run, &category, &work.picked);
        work.refuse_many("x", &category, parts.len(), GROUPS, "groups")?;
        if let Some(setting) = &colour {
            let found = groups::part(work.run, setting, &work.picked).len();
            work.refuse_many("colour", setting, found, SERIES, "series")?;
        }
        Ok(Layout {
            measure,
            categories: parts.into_iter().map(|(key, _)| key).collect(),
            category,
            colour,
        })
    }

    fn names(&self) -> Vec<String> {
        self.categories.iter().map(Key::label).collect()
    }

    /// The cells of each category.
    fn split(&self, work: &Work, picked: &[Picked]) -> Vec<Vec<Picked>> {
        let parts = groups::part(work.run, &self.category, picked);
        let of = |key: &Key| {
            parts.iter().find(|(k, _)| k == key).map_or(Vec::new(), |(_, cells)| cells.clone())
        };
        self.categories.iter().map(of).collect()
    }

    fn references(&self, work: &mut Work, picked: &[Picked]) -> Result<Vec<Reference>, SpecError> {
        let parts = self.split(work, picked);
        work.levels(&self.measure, picked, &parts, self.category.of_image())
    }
}

pub(super) fn bars(work: &mut Work) -> Result<(Body, Sheet), SpecError> {
    let layout = Layout::from_work(work)?;
    let head = ["plot", "series", "category"].into_iter().chain(ESTIMATE).chain(["cells"]);
    let mut sheet = Sheet::new(head);
    let mut facets = Vec::new();
    for (title, picked) in work.plots()? {
        let mut series = Vec::new();
        for (name, cells) in work.series(layout.colour.as_ref(), &picked)? {
            let values = heights(work, &layout, &title, &name, &cells, &mut sheet);
            series.push(BarSeries { name, values });
        }
        let references = layout.references(work, &picked)?;
        note_references(&mut sheet, &layout, &title, &references);
        let seen = series.iter().flat_map(|s| &s.values).flatten().map(|h| h.value);
        // Bars start at zero: a logarithmic scale has none.
        let value = work.scale(&layout.measure, &seen.collect::<Vec<_>>(), Some(false));
        facets.push(Facet {
            title,
            plot: Bars { value, categories: layout.names(), series, references },
        });
    }
    let any =
        facets.iter().flat_map(|f| &f.plot.series).flat_map(|s| &s.values).any(Option::is_some);
    Ok((Body::Bars(facets), if any { sheet } else { Sheet::default() }))
}

fn heights(
    work: &mut Work,
    layout: &Layout,
    title: &str,
    name: &str,
    cells: &[Picked],
    sheet: &mut Sheet,
) -> Vec<Option<Height>> {
    let mut values = Vec::new();
    for (key, picked) in layout.categories.iter().zip(layout.split(work, cells)) {
        if picked.is_empty() {
            values.push(None);
            continue;
        }
        let e = estimate(work.run, &layout.measure, &picked);
        work.count(&layout.measure, &e);
        if e.value.is_none() {
            work.remark(format!("no value for {}", [name, &key.label()].join(" ").trim()));
        }
        let head = [title.to_owned(), name.to_owned(), key.label()];
        sheet.push(head.into_iter().chain(of_estimate(&e)).chain([ids(work.run, &e.cells)]));
        values.push(e.value.map(|value| Height { value, interval: e.interval, values: e.values }));
    }
    values
}

/// A line a value; one that holds for all categories names none.
fn note_references(sheet: &mut Sheet, layout: &Layout, title: &str, references: &[Reference]) {
    let Some(place) = sheet.head.iter().position(|h| h == "value") else { return };
    for reference in references {
        for (category, value) in reference.values() {
            let category = category.map_or(String::new(), |at| layout.categories[at].label());
            let mut row = vec![title.to_owned(), reference.name.clone(), category];
            row.resize(sheet.head.len(), String::new());
            row[place] = shown(Some(value));
            sheet.push(row);
        }
    }
}

pub(super) fn boxes(work: &mut Work) -> Result<(Body, Sheet), SpecError> {
    let layout = Layout::from_work(work)?;
    if layout.measure.is_share() {
        let problem = "a share has no spread over images";
        return Err(work
            .spec
            .place
            .blame("y", SpecError::value("y", problem, "use kind = \"bar\"")));
    }
    let mut sheet = Sheet::new(["plot", "series", "category", "cell", "image", "value"]);
    let mut facets = Vec::new();
    for (title, picked) in work.plots()? {
        let mut series = Vec::new();
        for (name, cells) in work.series(layout.colour.as_ref(), &picked)? {
            let mut columns = Vec::new();
            for (key, picked) in layout.categories.iter().zip(layout.split(work, &cells)) {
                let values = spread(work, &layout.measure, &picked);
                for (cell, image, value) in &values {
                    let head =
                        [title.clone(), name.clone(), key.label(), cell.clone(), image.clone()];
                    sheet.push(head.into_iter().chain([shown(Some(*value))]));
                }
                columns.push(values.into_iter().map(|(.., v)| v).collect());
            }
            series.push((name, columns));
        }
        let references = layout.references(work, &picked)?;
        if !sheet.is_empty() {
            note_references(&mut sheet, &layout, &title, &references);
        }
        let seen: Vec<f64> = series
            .iter()
            .flat_map(|(_, c): &(String, Vec<Vec<f64>>)| c.iter().flatten().copied())
            .collect();
        let value = work.scale(&layout.measure, &seen, work.spec.log_y);
        facets.push(Facet {
            title,
            plot: Boxes { value, categories: layout.names(), series, references },
        });
    }
    Ok((Body::Boxes(facets), sheet))
}

/// Every value with its cell and image; what has none is counted.
fn spread(work: &mut Work, measure: &Measure, picked: &[Picked]) -> Vec<(String, String, f64)> {
    // Boxes show the values themselves, without an interval.
    let counted = Estimate { interval: None, how: None, ..estimate(work.run, measure, picked) };
    work.count(measure, &counted);
    raw(work.run, measure, picked)
        .into_iter()
        .map(|(at, image, value)| {
            let image = image.map_or(String::new(), |i| i.to_string());
            (work.run.records[at].id.to_string(), image, value)
        })
        .collect()
}
