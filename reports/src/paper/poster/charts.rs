//! The charts of the page, chosen as a suite's figures are.

use crate::paper::chart::Body;
use crate::paper::select::select;
use record::CellRecord;
use record::axes::acting;
use record::metrics::Metric;
use record::run::{Run, group};
use suites::figure::{FigureKind as K, FigureSpec};
use suites::{CellSpec, Named};

/// Reconstructions in the montage, and how many stand side by side.
const TOP: (usize, usize) = (8, 4);

/// A chart with its heading and what to say of it.
pub(super) struct Block {
    pub title: String,
    pub caption: String,
    pub body: Body,
}

/// A figure that may be drawn, with its heading and caption.
type Try = (String, String, FigureSpec);

/// The charts that the run has data for, and in words those that it has none for.
pub(super) fn all(run: &Run) -> (Vec<Block>, Vec<String>) {
    let (mut blocks, mut lacking) = (Vec::new(), Vec::new());
    let alike = alike(run);
    for tries in wanted(run) {
        let mut why = String::new();
        // Single images may stand beside each other whatever their cells; means may not.
        let of = |spec: &FigureSpec| match spec.kind {
            K::Montage | K::Scatter => run,
            _ => alike.as_ref().unwrap_or(run),
        };
        let drawn = tries.iter().find_map(|(title, caption, spec)| match select(of(spec), spec) {
            Ok(selected) => Some((title, caption, spec, selected.chart)),
            Err(error) => {
                why = format!("{} ({})", title.to_lowercase(), error.bare());
                None
            }
        });
        match drawn {
            Some((title, caption, spec, chart)) => {
                let remarks = upper(&chart.remarks.join("; "));
                let mut caption = if remarks.is_empty() {
                    caption.clone()
                } else {
                    format!("{caption} {remarks}.")
                };
                let shown = of(spec).records.len();
                if shown < run.records.len() {
                    caption += &format!(
                        " The {shown} of {} cells that differ in attack and defence alone; the \
                         others have other settings.",
                        run.records.len()
                    );
                }
                blocks.push(Block { title: title.clone(), caption, body: chart.body });
            }
            None => lacking.push(why),
        }
    }
    (blocks, lacking)
}

/// The run without the cells that would blur a mean over its setting: of those that differ in
/// attack, defences and seed alone the largest set, and of each attack the parameters that most of
/// these have. `None` where nothing is left out, or no defence tells cells apart.
fn alike(run: &Run) -> Option<Run> {
    if !run.attacked().into_iter().any(|at| run.defended(at)) {
        return None;
    }
    let setting = |r: &CellRecord| {
        let spec =
            CellSpec { attack: Named::new(""), defenses: Vec::new(), seed: 0, ..r.spec.clone() };
        spec.id().to_string()
    };
    let mut kept = most(run.records.iter().collect(), setting);
    let mut names: Vec<&str> = kept.iter().map(|r| r.spec.attack.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let of_name = |name: &&str| {
        let own = kept.iter().copied().filter(|r| r.spec.attack.name == **name).collect();
        most(own, |r| format!("{:?}", r.spec.attack.params))
    };
    kept = names.iter().flat_map(of_name).collect();
    (kept.len() < run.records.len())
        .then(|| Run::new(run.dir.clone(), run.info.clone(), kept.into_iter().cloned().collect()))
}

/// The records of the key that most have; of the first such key where several do.
fn most(records: Vec<&CellRecord>, key: impl Fn(&CellRecord) -> String) -> Vec<&CellRecord> {
    let groups = group((0..records.len()).collect(), |at| key(records[at]));
    let largest = groups.into_iter().rev().max_by_key(Vec::len).unwrap_or_default();
    largest.into_iter().map(|at| records[at]).collect()
}

fn upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// For each place on the page the figures that would do, best first.
fn wanted(run: &Run) -> Vec<Vec<Try>> {
    let by_defence = run.attacked().into_iter().any(|at| run.defended(at));
    let mut last = vec![heat(by_defence)];
    if budgeted(run) {
        last.insert(0, frontier());
    }
    vec![vec![montage()], bars(by_defence), scatters(run, by_defence), last]
}

fn montage() -> Try {
    let spec = FigureSpec {
        y: Some("psnr".into()),
        top: Some(TOP.0),
        per_row: Some(TOP.1),
        ..FigureSpec::new("montage", K::Montage)
    };
    ("Best reconstructions".into(), "By PSNR, each below its original.".into(), spec)
}

fn bars(by_defence: bool) -> Vec<Try> {
    let title = if by_defence { "What each defence leaves" } else { "What each attack gets" };
    let caption = "Mean PSNR with 95 % bootstrap intervals; dashed: the strongest null baseline.";
    let colours = if by_defence { vec![Some("attack.name"), None] } else { vec![None] };
    let one = |colour: Option<&str>| FigureSpec {
        x: Some(if by_defence { "defenses" } else { "attack" }.into()),
        y: Some("psnr".into()),
        colour: colour.map(str::to_owned),
        null: vec!["strongest".into()],
        ..FigureSpec::new("bars", K::Bar)
    };
    colours.into_iter().map(|colour| (title.into(), caption.into(), one(colour))).collect()
}

fn scatters(run: &Run, by_defence: bool) -> Vec<Try> {
    let perceived = perceived(run);
    let title = format!("PSNR against {}", Metric::of(&perceived).title);
    let one = |colour: Option<&str>| FigureSpec {
        x: Some("psnr".into()),
        y: Some(perceived.clone()),
        colour: colour.map(str::to_owned),
        ..FigureSpec::new("scatter", K::Scatter)
    };
    let colours = [Some("defenses.name").filter(|_| by_defence), Some("attack.name"), None];
    let tries = colours.into_iter().enumerate().filter(|(at, colour)| *at == 2 || colour.is_some());
    tries.map(|(_, colour)| (title.clone(), "One point an image.".into(), one(colour))).collect()
}

fn frontier() -> Try {
    let spec = FigureSpec {
        colour: Some("defenses.name".into()),
        ..FigureSpec::new("frontier", K::Frontier)
    };
    let caption = "What each defence leaves of the task and to the strongest attack tried; up and \
        to the left is better.";
    ("Privacy against utility".into(), caption.into(), spec)
}

fn heat(by_defence: bool) -> Try {
    let spec = FigureSpec {
        rows: Some("attack.name".into()),
        columns: Some(if by_defence { "defenses" } else { "task.dataset" }.into()),
        y: Some("psnr".into()),
        ..FigureSpec::new("heat-map", K::HeatMap)
    };
    let title = if by_defence { "Every attack against every defence" } else { "Every attack" };
    (title.into(), "Mean PSNR in dB; dark means that much leaked.".into(), spec)
}

/// Whether the task was trained under the defences, so that its accuracy is known.
fn budgeted(run: &Run) -> bool {
    run.records
        .iter()
        .any(|r| r.task.contains_key("trained_accuracy") && acting(&r.spec).next().is_some())
}

/// A metric near to what people see: LPIPS where it was measured, else SSIM.
fn perceived(run: &Run) -> String {
    let names = run.records.iter().flat_map(|r| r.metrics());
    let measured = |name: &&str| {
        name.starts_with("lpips-")
            && run.records.iter().any(|r| r.scores(name).iter().any(Option::is_some))
    };
    let mut lpips: Vec<&str> = names.filter(measured).collect();
    lpips.sort_unstable();
    lpips.last().map_or("ssim".into(), |name| (*name).to_owned())
}
