//! One measure against another, a point an image or a cell.

use super::Work;
use super::groups::logarithmic;
use crate::figure::chart::{Body, Facet, Mark, Scale, Scatter, Series};
use crate::figure::data::{Sheet, shown};
use crate::figure::estimate::{estimate, one_a_world};
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use record::MetricInfo;
use record::aggregate::{Entry, diverged, usable};
use record::markdown::counted;
use suites::SpecError;
use suites::figure::Per;

pub(super) fn scatter(work: &mut Work) -> Result<(Body, Sheet), SpecError> {
    let (x, y) = (work.measure("x", "psnr")?, work.measure("y", "psnr")?);
    let of_images = matches!((&x, &y), (Measure::Metric(_), Measure::Metric(_)));
    let per = match (work.spec.per, of_images) {
        (Some(Per::Image), false) => {
            let problem = "x and y are not both scores of images";
            return Err(work
                .spec
                .place
                .blame("per", SpecError::value("per", problem, "write per = \"cell\"")));
        }
        (Some(per), _) => per,
        (None, true) => Per::Image,
        (None, false) => Per::Cell,
    };
    let colour = work.setting("colour", None)?;
    let head = ["plot", "series", "cell", "image", "x", "x_low", "x_high", "y", "y_low", "y_high"];
    let mut sheet = Sheet::new(head);
    let mut facets = Vec::new();
    for (title, picked) in work.plots()? {
        let mut series = Vec::new();
        for (name, cells) in work.series(colour.as_ref(), &picked)? {
            let points = match per {
                Per::Image => image_points(work, &x, &y, &cells),
                Per::Cell => cell_points(work, &x, &y, &cells),
            };
            for (cell, image, m) in &points {
                let ends = |i: Option<(f64, f64)>| [i.map(|i| i.0), i.map(|i| i.1)].map(shown);
                let head =
                    [title.clone(), name.clone(), cell.clone(), image.clone(), shown(Some(m.x))];
                let middle = ends(m.x_interval).into_iter().chain([shown(Some(m.y))]);
                sheet.push(head.into_iter().chain(middle).chain(ends(m.y_interval)));
            }
            let marks = points.into_iter().map(|(.., mark)| mark).collect();
            series.push(Series::new(name, marks));
        }
        series.extend(nulls(work, &x, &y, &picked)?);
        facets.push(Facet { title, plot: plot(work, &x, &y, series) });
    }
    Ok((Body::Scatter(facets), sheet))
}

fn plot(work: &Work, x: &Measure, y: &Measure, series: Vec<Series>) -> Scatter {
    let values =
        |pick: fn(&Mark) -> f64| series.iter().flat_map(|s| &s.marks).map(pick).collect::<Vec<_>>();
    let (xs, ys) = (values(|m| m.x), values(|m| m.y));
    let across = work.scale(x, &xs, work.spec.log);
    let across = Scale { log: across.log && logarithmic(&xs, Some(true)), ..across };
    Scatter { x: across, y: work.scale(y, &ys, work.spec.log_y), series, frontier: Vec::new() }
}

type Point = (String, String, Mark);

/// The null baselines that are asked for, all in one cloud: what attacks nothing.
fn nulls(
    work: &mut Work,
    x: &Measure,
    y: &Measure,
    picked: &[Picked],
) -> Result<Option<Series>, SpecError> {
    let (Measure::Metric(across), Measure::Metric(up)) = (x, y) else { return Ok(None) };
    let mut marks = Vec::new();
    for name in work.null_names(picked)?.iter().filter(|_| !work.spec.null.is_empty()) {
        for cell in one_a_world(work.run, name, picked) {
            let scores = &work.run.records[cell.at].baselines[name];
            let rows = cell.images.iter().filter_map(|i| scores.get(*i));
            marks.extend(rows.filter_map(|s| Some(Mark::at(usable(s, across)?, usable(s, up)?))));
        }
    }
    let cloud = Series { faint: true, ..Series::new("null baselines", marks) };
    Ok((!cloud.marks.is_empty()).then_some(cloud))
}

fn image_points(work: &mut Work, x: &Measure, y: &Measure, cells: &[Picked]) -> Vec<Point> {
    let (Measure::Metric(across), Measure::Metric(up)) = (x, y) else { return Vec::new() };
    let cells = &work.judged(x, cells);
    let (mut points, mut without, mut lost, mut capped, mut grey) = (Vec::new(), 0, 0, 0, 0);
    for cell in cells {
        let record = &work.run.records[cell.at];
        work.used.insert(cell.at);
        lost += cell.lost;
        for &i in &cell.images {
            let of = |metric: &MetricInfo| {
                let value = record.images[i].scores.get(&metric.name).copied().flatten();
                let entry = Entry::new(value, metric.cap);
                Some((entry.value()?, matches!(entry, Entry::Capped(_))))
            };
            let (Some((x, x_capped)), Some((y, y_capped))) = (of(across), of(up)) else {
                without += 1;
                continue;
            };
            capped += usize::from(x_capped || y_capped);
            grey += usize::from(diverged(&record.images[i]));
            points.push((record.id.to_string(), i.to_string(), Mark::at(x, y)));
        }
    }
    let mut say = |count: usize, what: &str| {
        if count > 0 {
            work.remark(format!("{} {what}", counted(count, "image")));
        }
    };
    say(without, "without a value on one of the axes left out");
    say(lost, "of failed attacks have no point");
    say(capped, "stand at the metric's cap");
    work.counts.grey += grey;
    points
}

fn cell_points(work: &mut Work, x: &Measure, y: &Measure, cells: &[Picked]) -> Vec<Point> {
    let mut points = Vec::new();
    for cell in cells {
        let one = std::slice::from_ref(cell);
        let (a, b) = (estimate(work.run, x, one), estimate(work.run, y, one));
        work.count(x, &a);
        work.count(y, &b);
        match (a.value, b.value) {
            (Some(px), Some(py)) => {
                let mark = Mark {
                    x: px,
                    y: py,
                    x_interval: a.interval,
                    y_interval: b.interval,
                    x_values: a.values,
                    y_values: b.values,
                };
                points.push((work.run.records[cell.at].id.to_string(), String::new(), mark));
            }
            _ => work.remark(format!(
                "cell {} has no value on one of the axes and is left out",
                work.run.records[cell.at].id
            )),
        }
    }
    points
}
