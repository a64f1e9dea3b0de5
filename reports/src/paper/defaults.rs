//! What is drawn of a run whose suite declares nothing: the same TOML that a suite could hold.

use crate::figure::catalogue::hero;
use crate::figure::columns::{Key, Setting};
use crate::figure::filter::Picked;
use crate::figure::select::part;
use crate::identified;
use record::run::Run;

/// Series that can be told apart.
const SERIES: usize = 7;

/// What a run has, as far as defaults ask.
struct Traits {
    attacks: usize,
    defenses: usize,
    defense_names: usize,
    cells: usize,
    epsilons: usize,
    rounds: usize,
    pictures: bool,
    trained: bool,
    lpips: Option<String>,
    identified: bool,
}

impl Traits {
    fn from_run(run: &Run) -> Self {
        let cells: Vec<Picked> = run
            .attacked()
            .into_iter()
            .map(|at| Picked { at, images: Vec::new(), lost: 0 })
            .collect();
        let count = |setting: &Setting| {
            part(run, setting, &cells).into_iter().filter(|(key, _)| *key != Key::None).count()
        };
        let images = || run.records.iter().flat_map(|r| &r.images);
        let measured =
            |name: &str| images().any(|i| i.scores.get(name).copied().flatten().is_some());
        let lpips = ["lpips-squeeze", "lpips-alex", "lpips-vgg", "ssim"];
        Traits {
            attacks: count(&Setting::Attack),
            defenses: count(&Setting::Defenses),
            defense_names: count(&Setting::DefenseNames),
            epsilons: count(&Setting::DefenseParam("epsilon".into())),
            rounds: count(&Setting::Path("capture.round".into())),
            cells: cells.len(),
            pictures: images().any(|i| i.guess_png.is_some()),
            trained: run.records.iter().any(|r| r.task.contains_key("trained_accuracy")),
            identified: measured(identified::NAME),
            lpips: lpips.into_iter().find(|name| measured(name)).map(str::to_owned),
        }
    }
}

/// The figures and tables that make sense of this run, as TOML.
pub(super) fn defaults(run: &Run) -> String {
    let t = Traits::from_run(run);
    let colour = if (2..=SERIES).contains(&t.attacks) { "colour = \"attack\"\n" } else { "" };
    let mut out = String::new();
    let mut figure = |wanted: bool, name: &str, rest: String, caption: &str| {
        if wanted {
            out += &format!("[[figure]]\nname = \"{name}\"\n{rest}caption = \"{caption}\"\n\n");
        }
    };
    figure(hero::wanted(run), hero::NAME, "kind = \"hero\"\n".into(), hero::CAPTION);
    let rows = if t.cells <= 14 { "cell" } else { "attack" };
    let grid = format!("kind = \"grid\"\nrows = \"{rows}\"\nwidth = \"page\"\n");
    figure(
        t.pictures && (t.cells <= 14 || t.attacks <= 14),
        "grid",
        grid,
        "Truths and reconstructions with their PSNR.",
    );
    let bars = match t.defenses {
        0 | 1 => "kind = \"bar\"\nx = \"attack\"\ny = \"psnr\"\n".to_owned(),
        _ => format!("kind = \"bar\"\nx = \"defenses\"\ny = \"psnr\"\n{colour}width = \"page\"\n"),
    };
    figure(
        t.attacks <= 40 && t.defenses <= 40,
        "psnr-bars",
        bars,
        "Mean PSNR with 95 % intervals, and the floor.",
    );
    let heat =
        "kind = \"heat-map\"\nrows = \"attack\"\ncolumns = \"defenses\"\ny = \"psnr\"\nwidth = \
         \"page\"\n"
            .to_owned();
    let both = (2..=30).contains(&t.attacks) && (2..=30).contains(&t.defenses);
    figure(both, "attack-defense", heat, "Mean PSNR of every attack against every defense.");
    let by = if t.defense_names <= SERIES { "colour = \"defenses.name\"\n" } else { "" };
    let epsilon = format!(
        "kind = \"metric-vs-parameter\"\nx = \"defenses.epsilon\"\ny = \"psnr\"\nlog = true\n{by}"
    );
    figure(
        t.epsilons > 1,
        "psnr-epsilon",
        epsilon,
        "What is left to the attacks at each privacy budget.",
    );
    let frontier = "kind = \"frontier\"\n".to_owned();
    figure(
        t.trained && t.defenses > 1,
        "frontier",
        frontier,
        "What the task is worth with each defense against what leaks.",
    );
    let curve = format!("kind = \"learning-curve\"\ny = \"psnr\"\n{colour}");
    figure(t.rounds > 1, "learning-curve", curve, "What the attacks recover as the model learns.");
    let lpips = t.lpips.clone().unwrap_or_default();
    let scatter =
        format!("kind = \"scatter\"\nx = \"psnr\"\ny = \"{lpips}\"\nper = \"image\"\n{colour}");
    figure(
        t.lpips.is_some(),
        "psnr-scatter",
        scatter,
        "Every reconstruction by its PSNR and its likeness.",
    );
    figure(
        t.pictures,
        "montage",
        "kind = \"montage\"\nwidth = \"page\"\n".into(),
        "The best reconstructions of the run, each below its original.",
    );
    let easiest = run.metric("psnr").thresholds.first().copied();
    let measures: Vec<String> = ["psnr".to_owned()]
        .into_iter()
        .chain(t.lpips)
        // One column more than these would be wider than a page.
        .chain(if t.identified {
            Some(identified::NAME.to_owned())
        } else {
            easiest.map(|bound| format!("success.psnr-{bound}"))
        })
        .collect();
    let psnr = run.records.iter().any(|r| r.images.iter().any(|i| i.scores.contains_key("psnr")));
    if psnr {
        let rows = if t.defenses > 1 { "[\"defenses\", \"attack\"]" } else { "[\"attack\"]" };
        out += &format!(
            "[[table]]\nname = \"overview\"\nrows = {rows}\ncolumns = {measures:?}\nwidth = \
             \"page\"\ncaption = \"What each attack recovers.\"\n"
        );
    }
    out
}
