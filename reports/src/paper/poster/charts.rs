//! The charts of the page, chosen as a suite's figures are.

use crate::axes::acting;
use crate::metrics::Metric;
use crate::paper::chart::Body;
use crate::paper::select::select;
use crate::run::Run;
use suites::figure::{FigureKind as K, FigureSpec};

/// Reconstructions in the montage, and how many stand side by side.
const TOP: (usize, usize) = (8, 4);

/// A chart with its heading and what to say of it.
pub(super) struct Block {
    pub title: String,
    pub caption: String,
    pub body: Body,
}

/// The charts that the run has data for, and in words those that it has none for.
pub(super) fn all(run: &Run) -> (Vec<Block>, Vec<String>) {
    let (mut blocks, mut lacking) = (Vec::new(), Vec::new());
    for (title, caption, tries) in wanted(run) {
        let mut why = String::new();
        let drawn = tries.iter().find_map(|spec| match select(run, spec) {
            Ok(selected) => Some(selected.chart),
            Err(error) => {
                why = error.bare().to_string();
                None
            }
        });
        match drawn {
            Some(chart) => {
                let remarks = chart.remarks.join("; ");
                let caption =
                    if remarks.is_empty() { caption } else { format!("{caption} {}.", upper(&remarks)) };
                blocks.push(Block { title, caption, body: chart.body });
            }
            None => lacking.push(format!("{} ({why})", title.to_lowercase())),
        }
    }
    (blocks, lacking)
}

fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Heading, caption and, best first, the figures that would do.
fn wanted(run: &Run) -> Vec<(String, String, Vec<FigureSpec>)> {
    let perceived = perceived(run);
    let title = |metric: &str| Metric::of(metric).title;
    let by_defence = run.attacked().into_iter().any(|at| run.defended(at));
    let x = if by_defence { "defenses" } else { "attack" };
    let bars = |colour: Option<&str>| FigureSpec {
        x: Some(x.into()),
        y: Some("psnr".into()),
        colour: colour.map(str::to_owned),
        null: vec!["strongest".into()],
        ..FigureSpec::new("bars", K::Bar)
    };
    let scatter = |colour: Option<&str>| FigureSpec {
        x: Some("psnr".into()),
        y: Some(perceived.clone()),
        colour: colour.map(str::to_owned),
        ..FigureSpec::new("scatter", K::Scatter)
    };
    let montage = FigureSpec {
        y: Some("psnr".into()),
        top: Some(TOP.0),
        per_row: Some(TOP.1),
        ..FigureSpec::new("montage", K::Montage)
    };
    let heat = FigureSpec {
        rows: Some("attack.name".into()),
        columns: Some(if by_defence { "defenses" } else { "task.dataset" }.into()),
        y: Some("psnr".into()),
        ..FigureSpec::new("heat-map", K::HeatMap)
    };
    let last = match budgeted(run) {
        true => (
            "Privacy against utility".to_owned(),
            "What each defence leaves of the task and to the strongest attack tried.".to_owned(),
            vec![
                FigureSpec {
                    colour: Some("defenses.name".into()),
                    ..FigureSpec::new("frontier", K::Frontier)
                },
                FigureSpec::new("frontier", K::Frontier),
                heat,
            ],
        ),
        false => (
            "Every attack".to_owned(),
            "Mean PSNR in dB; dark means that much leaked.".to_owned(),
            vec![heat],
        ),
    };
    vec![
        ("Best reconstructions".to_owned(), "By PSNR, each below its original.".to_owned(), vec![montage]),
        (
            if by_defence { "What each defence leaves" } else { "What each attack gets" }.to_owned(),
            "Mean PSNR with 95 % bootstrap intervals; dashed: the strongest null baseline.".to_owned(),
            vec![bars(Some("attack.name").filter(|_| by_defence)), bars(None)],
        ),
        (
            format!("PSNR against {}", title(&perceived)),
            "One point an image.".to_owned(),
            vec![scatter(Some(if by_defence { "defenses.name" } else { "attack.name" })), scatter(None)],
        ),
        last,
    ]
}

/// Whether the task was trained under the defences, so that its accuracy is known.
fn budgeted(run: &Run) -> bool {
    run.records.iter().any(|r| r.task.contains_key("trained_accuracy") && acting(&r.spec).next().is_some())
}

/// A metric near to what people see: LPIPS where it was measured, else SSIM.
fn perceived(run: &Run) -> String {
    let names = run.records.iter().flat_map(|r| r.metrics());
    let measured = |name: &&str| {
        name.starts_with("lpips-") && run.records.iter().any(|r| r.scores(name).iter().any(Option::is_some))
    };
    let mut lpips: Vec<&str> = names.filter(measured).collect();
    lpips.sort_unstable();
    lpips.last().map_or("ssim".into(), |name| (*name).to_owned())
}
