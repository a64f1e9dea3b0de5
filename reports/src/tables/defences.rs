//! What defences promise, what they did, and what the strongest attack still got.

use super::{interval, key, keyed, mean_ci, rate};
use record::axes::{acting, defence_label};
use record::markdown::{NONE, Table, significant};
use record::metrics::{Metric, THRESHOLDS};
use record::run::Run;
use record::stats::paired_difference;
use record::summary::BOOTSTRAP_SEED;
use record::utility;
use record::{DefenseNote, ImageScore};
use std::collections::{BTreeMap, BTreeSet};
use suites::rng;

const NO_ADAPTIVE: &str = "no adaptive attack registered";

pub(super) fn defences(run: &Run) -> String {
    let columns = [
        "claim",
        "measured",
        "adaptive attack",
        "PSNR (dB)",
        "change against no defence (dB)",
        "accuracy",
        "without",
    ];
    let mut table = keyed(run, columns.map(String::from));
    for at in run.attacked().into_iter().filter(|at| run.defended(*at)) {
        table.row(key(run, at).into_iter().chain(row(run, at)));
    }
    let lead = "The claim is what the defence guarantees, the rest is what happened. Changes are \
        paired by image: the same images, weights and \
                seeds with and without the defence. Accuracy is that after the utility rounds, \
                trained with the defence in the loop, where the \
                cell has any; else that of the attacked model.\n\n";
    format!("## Defences\n\n{lead}{}", table.render("No cell has a defence."))
}

fn row(run: &Run, at: usize) -> [String; 7] {
    let (record, psnr) = (&run.records[at], Metric::of("psnr"));
    let notes = |show: &dyn Fn(&DefenseNote) -> String| {
        let parts: Vec<_> = record.defenses.iter().filter(|d| d.name != "none").map(show).collect();
        if parts.is_empty() { "no guarantee".into() } else { parts.join("; ") }
    };
    let measured = |note: &DefenseNote| {
        let values = note
            .values
            .iter()
            .map(|(k, v)| format!("{} = {}", k.replace('_', " "), significant(*v)));
        values.collect::<Vec<_>>().join(", ")
    };
    let twin = run.undefended(at);
    let accuracy = |at: usize| share(utility::accuracy(&run.records[at]));
    [
        notes(&|note| note.claim.clone()),
        notes(&measured),
        notes(&|note| note.adaptive.clone().unwrap_or(NO_ADAPTIVE.into())),
        mean_ci(&psnr, run.cells[at].metrics.get("psnr")),
        twin.map_or("no undefended cell in this run".into(), |twin| change(run, at, twin)),
        accuracy(at),
        twin.map_or(NONE.into(), accuracy),
    ]
}

/// A share with its interval.
pub(crate) fn share(value: Option<utility::Share>) -> String {
    value.map_or(NONE.into(), |(share, ci)| {
        let ci = ci.map_or(String::new(), |ci| format!(" [{:.3}, {:.3}]", ci.low, ci.high));
        format!("{share:.3}{ci}")
    })
}

/// The paired difference in PSNR, capped as in the means.
pub(super) fn change(run: &Run, at: usize, twin: usize) -> String {
    let psnr = Metric::of("psnr");
    let value = |image: &ImageScore| {
        let score = image.scores.get("psnr").copied().flatten()?;
        Some(psnr.cap.map_or(score, |cap| score.min(cap)))
    };
    let scores = |at: usize| -> BTreeMap<_, _> {
        run.records[at].images.iter().map(|i| ((i.trial, i.client, i.id), value(i))).collect()
    };
    let (before, after) = (scores(twin), scores(at));
    // Images that only one side scored are pairs with a missing side, and counted as such.
    let images: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let score = |of: &BTreeMap<_, Option<f64>>, image| of.get(image).copied().flatten();
    let pairs: Vec<_> = images.into_iter().map(|i| (score(&before, i), score(&after, i))).collect();
    let mut stream =
        rng::stream(BOOTSTRAP_SEED, run.records[at].id.as_str(), "bootstrap paired psnr");
    paired_difference(&pairs, &mut stream).map_or(NONE.into(), |p| {
        let left_out =
            if p.unpaired > 0 { format!(", {} unpaired", p.unpaired) } else { String::new() };
        format!("{:+.2}{} (n = {}{left_out})", p.mean, interval(&psnr, p.ci), p.n)
    })
}

/// Per defence, and for no defence: the attack that got most.
pub(super) fn worst_case(run: &Run) -> String {
    let psnr = Metric::of("psnr");
    let success = THRESHOLDS[1].label(&psnr);
    let head = [
        "defence",
        "setting",
        "attacks tried",
        "strongest attack",
        "PSNR (dB)",
        success.as_str(),
        "adaptive attack",
    ];
    let mut table = Table::new(head);
    let groups = run.rivals();
    let distinguishing =
        run.axes.distinguishing(&groups.iter().map(|g| g[0]).collect::<Vec<_>>(), &["attack"]);
    for rivals in groups {
        let strength = |at: &usize| run.cells[*at].mean("psnr").unwrap_or(f64::NEG_INFINITY);
        let Some(&worst) = rivals.iter().max_by(|a, b| strength(a).total_cmp(&strength(b))) else {
            continue;
        };
        let cell = &run.cells[worst];
        table.row([
            defence_label(run, worst),
            run.axes.label(rivals[0], &distinguishing, &["attack", "defenses"]),
            rivals.len().to_string(),
            format!("{} (#{})", run.axes.attacks[worst], worst + 1),
            mean_ci(&psnr, cell.metrics.get("psnr")),
            rate(cell.success.get(&success)),
            adaptive(run, worst, &rivals),
        ]);
    }
    let lead = "A defence is worth what it leaves to the strongest attack tried, by mean PSNR \
        over the same images.\n\n";
    format!(
        "## Worst case over attacks\n\n{lead}{}",
        table.without_empty_columns().render("No cell has been attacked yet.")
    )
}

/// Whether the registered adaptive attack of each acting defence is among the rivals.
pub(super) fn adaptive(run: &Run, at: usize, rivals: &[usize]) -> String {
    adaptive_by(run, at, |name| {
        let done = |r: &&usize| matches!(run.records[**r].outcome, record::Outcome::Done);
        let tried = rivals.iter().filter(done).any(|r| run.records[*r].spec.attack.name == name);
        if tried { "tried" } else { "**not tried**" }
    })
}

/// The registered adaptive attack of each acting defence, with what became of it in words.
pub(super) fn adaptive_by(run: &Run, at: usize, fate: impl Fn(&str) -> &'static str) -> String {
    let word = |note: &DefenseNote| match &note.adaptive {
        None => NO_ADAPTIVE.to_owned(),
        Some(name) => format!("{name}, {}", fate(name)),
    };
    if acting(&run.records[at].spec).next().is_none() {
        return NONE.into();
    }
    let notes: Vec<_> =
        run.records[at].defenses.iter().filter(|d| d.name != "none").map(word).collect();
    if notes.is_empty() { NO_ADAPTIVE.into() } else { notes.join("; ") }
}
