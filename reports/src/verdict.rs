//! What a run says in a sentence or two, for a reader who reads nothing else.

use crate::figure::estimate::Estimate;
use crate::figure::measure::Measure;
use crate::frontier::Point;
use crate::identified::Identified;
use crate::standing::Stand;
use crate::words::enumerated;
use record::markdown::counted;
use record::run::Run;
use record::validity::{Validity, is_oracle};

/// Defenses that a sentence lists; the main table has all.
const LISTED: usize = 6;

/// The sentences of a run with these stands: what is recovered without a defense, and what each
/// defense leaves of that; or why nothing follows; then what is missing from the run.
pub(crate) fn verdict(run: &Run, stands: &[Stand]) -> Vec<String> {
    let mut out = judged(run, stands);
    out.extend(missing(run));
    out
}

fn judged(run: &Run, stands: &[Stand]) -> Vec<String> {
    if run.attacked().is_empty() {
        return vec!["No cell has been attacked yet.".into()];
    }
    let Some((psnr, bound, label)) =
        run.headline().filter(|(psnr, ..)| psnr.higher_is_better == Some(true))
    else {
        return vec![
            "The run does not say when a PSNR is a success: there is no verdict by it.".into(),
        ];
    };
    let (defended, free): (Vec<&Stand>, Vec<&Stand>) =
        stands.iter().partition(|s| run.defended(s.at()));
    let best = free.iter().copied().filter(|s| scored(s)).reduce(stronger);
    let Some(best) = best else {
        return vec![labels_told(run).unwrap_or_else(|| nothing_free(&defended).into())];
    };
    let all = |s: &Stand, wanted: fn(&Validity) -> bool| -> bool {
        s.cells.iter().all(|c| wanted(&run.validity[c.at]))
    };
    if free.iter().all(|s| all(s, Validity::untrained)) {
        return vec!["No attacked model had learnt: nothing follows about trained ones.".into()];
    }
    if free.iter().all(|s| all(s, |validity| !validity.measurable())) {
        let floor = floor_names(run, best.at());
        let whom = if defended.is_empty() { "the model" } else { "these defenses" };
        return vec![format!(
            "No attack surely beat the floor ({floor}) where no defense is in its way: nothing \
             follows about {whom}."
        )];
    }
    let success = Measure::Success(psnr.clone(), bound);
    // The portfolio is called as it is meant.
    let name = best.attack(run).filter(|name| *name != "strongest");
    let mut first = format!(
        "Undefended, the strongest attack{} recovers {} ({label}).",
        name.map_or(String::new(), |name| format!(" ({name})")),
        share(&worst(run, &success, best), " pictures")
    );
    if let Some(own) = Identified::worst(run, &best.cells) {
        let among = own.candidates.map_or(String::new(), |n| format!(" among {n} candidates"));
        first += &format!(" {} name their picture{among}.", share(&own.share, ""));
    }
    let mut out = vec![first];
    let standing = |wanted: fn(&Validity) -> bool| -> Vec<&Stand> {
        let own = |s: &&Stand| wanted(&run.validity[s.at()]);
        defended.iter().copied().filter(own).collect()
    };
    // Where there is nothing to attack no twin is needed to say so.
    let (hidden, alone): (Vec<&Stand>, Vec<&Stand>) =
        standing(|v| *v == Validity::NoTwin).into_iter().partition(|s| !scored(s));
    let measured = [standing(Validity::measurable), hidden].concat();
    out.extend(left(run, &success, &measured));
    let mut nothing = |about: Vec<&Stand>, why: &str| {
        let told = || format!("Nothing follows about {}: {why}.", names(&about));
        out.extend((!about.is_empty()).then(told));
    };
    let failing = "no attack surely beat the floor there without the defense";
    nothing(standing(|v| v.fails() && !v.untrained()), failing);
    nothing(standing(Validity::untrained), "the attacked model had not learnt");
    nothing(alone, "the same was not attacked without the defense");
    out
}

fn scored(stand: &Stand) -> bool {
    stand.point.cell().is_some()
}

/// The one with the higher mean PSNR; the first of equals, as the suite lists them.
fn stronger<'a>(a: &'a Stand, b: &'a Stand) -> &'a Stand {
    if b.point.leak.value > a.point.leak.value { b } else { a }
}

/// What is said where nothing was scored without a defense.
fn nothing_free(defended: &[&Stand]) -> &'static str {
    if defended.iter().any(|s| scored(s)) {
        "No attack was scored without a defense: whether the attacks fail because of the defenses \
         is open."
    } else {
        "No attack was scored."
    }
}

/// Of a run whose attacks tell labels and draw no picture, what they tell undefended.
fn labels_told(run: &Run) -> Option<String> {
    let free = (0..run.cells.len()).filter(|at| !run.defended(*at));
    let told: Vec<(usize, f64)> =
        free.filter_map(|at| Some((at, run.cells[at].mean("label_multiset")?))).collect();
    let sure: Vec<f64> =
        told.iter().filter(|(at, _)| run.validity[*at].measurable()).map(|(_, m)| *m).collect();
    let first = format!(
        "No attack drew a picture. {} of {} surely tell more of a batch's labels than what \
         is known without the update",
        sure.len(),
        counted(told.len(), "undefended cell"),
    );
    let most = sure.iter().copied().reduce(f64::max);
    let most = most.map_or(String::new(), |m| format!(": {:.0} % of them at most", 100.0 * m));
    (!told.is_empty()).then(|| format!("{first}{most}."))
}

/// A sentence for each amount that defenses leave to the strongest attack, the most first.
fn left(run: &Run, success: &Measure, stands: &[&Stand]) -> Vec<String> {
    let mut told: Vec<(f64, String, Vec<&Stand>)> = Vec::new();
    for stand in stands {
        let (rank, amount) = leaves(run, success, stand);
        match told.iter_mut().find(|(_, known, _)| *known == amount) {
            Some((.., all)) => all.push(stand),
            None => told.push((rank, amount, vec![stand])),
        }
    }
    told.sort_by(|a, b| b.0.total_cmp(&a.0));
    let sentence = |(_, amount, all): &(f64, String, Vec<&Stand>)| {
        let verb = if all.len() == 1 { "leaves" } else { "leave" };
        format!("{} {verb} {amount}.", names(all))
    };
    told.iter().map(sentence).collect()
}

/// What a defense leaves, with the share that it is ranked by: less than 0 for no attack at all.
fn leaves(run: &Run, success: &Measure, stand: &Stand) -> (f64, String) {
    match stand.silence(run) {
        Some(words) if words.starts_with("Nothing") => (-1.0, "nothing to attack".into()),
        Some(_) => (-2.0, "no picture, since no attack was scored".into()),
        None => {
            let worst = worst(run, success, stand);
            let told = worst.successes.filter(|hits| *hits == 0).and_then(|_| told(run, stand));
            (worst.value.unwrap_or(0.0), share(&worst, "") + &told.unwrap_or_default())
        }
    }
}

/// What no threshold of the PSNR sees: pictures that are identified surely more often than by
/// chance.
fn told(run: &Run, stand: &Stand) -> Option<String> {
    let own = Identified::worst(run, &stand.cells)?;
    let (low, _) = own.share.interval?;
    let chance = 1.0 / own.candidates? as f64;
    (low > chance).then(|| format!(", yet {} name their picture", share(&own.share, "")))
}

/// The largest share of successes of any attack on a defense.
fn worst(run: &Run, success: &Measure, stand: &Stand) -> Estimate {
    Point::new(run, success, &stand.cells).leak
}

/// "7 of 8", "none of 8"; with `what` after the count.
fn share(estimate: &Estimate, what: &str) -> String {
    match estimate.successes {
        None => format!("no scored{what}"),
        Some(0) => format!("none of {}{what}", estimate.n),
        Some(hits) => format!("{hits} of {}{what}", estimate.n),
    }
}

fn names(stands: &[&Stand]) -> String {
    let mut listed: Vec<String> = stands.iter().take(LISTED).map(|s| s.name.clone()).collect();
    let more = stands.len().saturating_sub(LISTED);
    listed.extend((more > 0).then(|| format!("{more} more")));
    enumerated(&listed)
}

/// The baselines that make the floor, in words.
fn floor_names(run: &Run, at: usize) -> String {
    let names = run.cells[at].baselines.keys().filter(|name| !is_oracle(name));
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// What has no record yet, and what failed.
fn missing(run: &Run) -> Option<String> {
    let (open, failed) = (run.open().len(), run.ended("failed"));
    let all = run.records.len() + open;
    let mut parts = Vec::new();
    if open > 0 {
        parts.push(format!(
            "This run is not finished: {} of {all} not run yet.",
            counted(open, "cell")
        ));
    }
    if failed > 0 {
        parts.push(format!("{} of {all} failed.", counted(failed, "cell")));
    }
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests;
