//! What defenses promise, what they did, and what the strongest attack still got.

use super::{
    FEW, NOTHING, cell_identified, doubted, identified_of, identified_read, key, keyed, mean_ci,
    mean_of, rate_of, spread, spread_as, words,
};
use crate::figure::filter::Picked;
use crate::figure::measure::Measure;
use crate::frontier::{JOINT, ONE_TRAINING, Point};
use crate::identified::{self, Identified};
use crate::report::model::{Cell, Section, Span, Table, Text, row};
use crate::words::FLOOR;
use record::DefenseNote;
use record::aggregate::paired;
use record::axes::{acting, defense_label};
use record::markdown::significant;
use record::run::Run;
use record::stats::Interval;
use record::utility;

fn measurable() -> String {
    format!(
        "Not measurable is what no attack surely gets beyond the floor, {FLOOR}, without the \
         defense: there the attack's failure is no merit of the defense."
    )
}

const NO_ADAPTIVE: &str = "no adaptive attack registered";

pub(super) fn defenses(run: &Run) -> Section {
    let columns = [
        "claim",
        "measured",
        "adaptive attack",
        "PSNR (dB)",
        identified::TITLE,
        "change against no defense (dB)",
        "accuracy",
        "without",
    ];
    let mut table = keyed(run, columns.map(String::from));
    for at in run.attacked().into_iter().filter(|at| run.defended(*at)) {
        table.push(key(run, at).into_iter().chain(promise(run, at)));
    }
    let lead = "The claim is what the defense guarantees where its noise and sampling are secret \
        (here they follow from the seeds, so that runs repeat); the rest is what happened. Changes \
        are paired by image: the same images, weights and seeds with and without the defense. \
        Accuracy is that after the utility rounds, trained with the defense in the loop, where the \
        cell has any; else that of the attacked model. It has the";
    let lead = format!("{lead} {ONE_TRAINING}. {FEW}.{} {}", identified_read(run), measurable());
    let table = table.without_empty_columns();
    Section::new("Defenses").paragraph(lead).table(table, "No cell has a defense.")
}

fn promise(run: &Run, at: usize) -> Vec<Cell> {
    let (record, psnr) = (&run.records[at], run.metric("psnr"));
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
    let (doubt, fails) = (run.doubt(at), run.not_measurable(at));
    let own = mean_ci(&psnr, run.cells[at].metrics.get("psnr"));
    let change = || match twin {
        _ if fails => Cell::None,
        Some(twin) => change(run, at, twin),
        None => "no undefended cell in this run".into(),
    };
    let accuracy = |at: usize| share(utility::accuracy(&run.records[at]));
    row![
        notes(&|note| note.claim.clone()),
        notes(&measured),
        notes(&|note| note.adaptive.clone().unwrap_or(NO_ADAPTIVE.into())),
        doubted(if fails { Cell::None } else { own }, doubt.as_deref()),
        cell_identified(run, at),
        change(),
        accuracy(at),
        twin.map_or(Cell::None, accuracy),
    ]
}

/// A share with its interval.
pub(crate) fn share(value: Option<utility::Share>) -> Cell {
    Cell::number(value.map(|(share, ci)| share_of(share, ci, &[])))
}

/// A share with its interval, or with the shares of several trainings that are too few for one.
pub(super) fn share_of(share: f64, ci: Option<Interval>, trainings: &[f64]) -> String {
    let show = |v: f64| format!("{v:.3}");
    show(share) + &spread_as(show, ci, trainings)
}

/// The paired difference in PSNR, capped as in the means.
pub(super) fn change(run: &Run, at: usize, twin: usize) -> Cell {
    let psnr = run.metric("psnr");
    Cell::number(paired(&run.records[at], &run.records[twin], &psnr).map(|p| {
        let left_out =
            if p.unpaired > 0 { format!(", {} unpaired", p.unpaired) } else { String::new() };
        format!("{:+.2}{} (n = {}{left_out})", p.mean, spread(&psnr, p.ci, &p.values), p.n)
    }))
}

/// Per defense, and for no defense: the attack that got most.
pub(super) fn worst_case(run: &Run) -> Section {
    let psnr = run.metric("psnr");
    let headline = run.headline();
    let success = headline.as_ref().map_or("", |(.., label)| label.as_str());
    let head = [
        "defense",
        "setting",
        "attacks tried",
        "strongest attack",
        "PSNR (dB)",
        success,
        identified::TITLE,
        "adaptive attack",
    ];
    let mut table = Table::new(head);
    let groups = run.rivals();
    let firsts: Vec<usize> = groups.iter().map(|g| g[0]).collect();
    let distinguishing = run.axes.distinguishing(&firsts, &["attack", "seed"]);
    for rivals in groups.into_iter().filter(|_| psnr.higher_is_better == Some(true)) {
        let cells: Vec<Picked> = rivals.iter().map(|at| Picked::whole(run, *at)).collect();
        let point = |measure| Point::new(run, &measure, &cells);
        let worst = point(Measure::Metric(psnr.clone()));
        let share = headline.clone().map(|(m, bound, _)| point(Measure::Success(m, bound)).leak);
        let strongest = |at: usize| format!("{} (#{})", run.axes.attacks[at], at + 1);
        table.push(row![
            defense_label(run, rivals[0]),
            run.axes.label(rivals[0], &distinguishing, &["attack", "defenses"]),
            worst.tries.iter().filter(|t| t.loose).count(),
            worst.cell().map_or(Cell::None, |at| strongest(at).into()),
            doubted(mean_of(&psnr, &worst.leak), doubt(run, &rivals).as_deref()),
            share.as_ref().map_or(Cell::None, rate_of),
            identified_of(Identified::worst(run, &cells).as_ref()),
            adaptive(run, rivals[0], &rivals),
        ]);
    }
    let directed = psnr.higher_is_better.is_some();
    let otherwise = if directed {
        NOTHING
    } else {
        "The run does not say whether more PSNR is a better attack."
    };
    let lead = format!(
        "A defense is worth what it leaves to the strongest attack tried, by mean PSNR over the \
         same images, and by the largest share of successes, and of images identified, of any; \
         intervals are {JOINT}. {FEW}, of the strongest attack. Seeds are repetitions, and \
         pooled.{} {}",
        identified_read(run),
        measurable()
    );
    Section::new("Worst case over attacks")
        .paragraph(lead)
        .table(table.without_empty_columns(), otherwise)
}

/// Why a row says nothing; of the undefended, that no attack on them beats the floor.
fn doubt(run: &Run, rivals: &[usize]) -> Option<String> {
    let beats = |at: &usize| run.validity[*at].measurable();
    match run.defended(rivals[0]) {
        true => run.doubt(rivals[0]),
        false if rivals.iter().any(beats) => None,
        false if run.validity[rivals[0]].untrained() => run.doubt(rivals[0]),
        false => Some("below the floor".into()),
    }
}

/// Whether the registered adaptive attack of each acting defense is among the rivals.
pub(super) fn adaptive(run: &Run, at: usize, rivals: &[usize]) -> Cell {
    adaptive_by(run, at, |name| {
        let done = |r: &&usize| matches!(run.records[**r].outcome, record::Outcome::Done);
        let tried = rivals.iter().filter(done).any(|r| run.records[*r].spec.attack.name == name);
        vec![if tried { words("tried") } else { Span::Strong("not tried".into()) }]
    })
}

/// The registered adaptive attack of each acting defense, with what became of it.
pub(super) fn adaptive_by(run: &Run, at: usize, fate: impl Fn(&str) -> Vec<Span>) -> Cell {
    let told = |note: &DefenseNote| match &note.adaptive {
        None => Text::from(NO_ADAPTIVE),
        Some(name) => Text([words(format!("{name}, "))].into_iter().chain(fate(name)).collect()),
    };
    if acting(&run.records[at].spec).next().is_none() {
        return Cell::None;
    }
    let notes: Vec<Text> =
        run.records[at].defenses.iter().filter(|d| d.name != "none").map(told).collect();
    if notes.is_empty() { NO_ADAPTIVE.into() } else { Text::joined(notes, "; ").into() }
}
