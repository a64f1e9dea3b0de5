//! The paragraph on reproducibility.

use super::latex;
use crate::Outcome;
use crate::run::Run;
use crate::stats::BOOTSTRAP_RESAMPLES;
use std::collections::BTreeSet;

/// The facts in sentences; code stands between backticks.
fn sentences(run: &Run, regenerate: &str) -> Vec<String> {
    let (info, suite) = (&run.info, &run.info.suite);
    let count = |keep: fn(&Outcome) -> bool| run.records.iter().filter(|r| keep(&r.outcome)).count();
    let done = count(|o| matches!(o, Outcome::Done));
    let failed = count(|o| matches!(o, Outcome::Failed { .. }));
    let inapplicable = count(|o| matches!(o, Outcome::NotApplicable { .. }));
    let open = suite.cells.len().saturating_sub(run.records.len());
    let seeds: BTreeSet<u64> = run.records.iter().map(|r| r.spec.seed).collect();
    let seeds: Vec<String> = seeds.into_iter().map(|s| s.to_string()).collect();
    let seconds: f64 = run.records.iter().map(|r| r.wall.seconds).filter(|s| s.is_finite()).sum();
    let gradients: u128 =
        run.records.iter().map(|r| u128::from(r.cost.gradient_evaluations) * r.spec.trials as u128).sum();
    let images: usize = run.records.iter().map(|r| r.images.len()).sum();
    let profile = suite.profile.as_ref().map_or(String::new(), |p| format!(", profile {p}"));
    let mut out = vec![
        format!(
            "All results are of the suite {}{profile}, version {}, run with bench {} and libtorch {} on {} ({}).",
            suite.name, suite.version, info.bench_version, info.libtorch, info.device, info.machine
        ),
        format!(
            "Of {} cells {done} are done, {failed} failed, {inapplicable} are not applicable and {open} have no record; {images} images were reconstructed.",
            suite.cells.len().max(run.records.len())
        ),
        format!(
            "Random streams derive from the seed{} {} of the cells.",
            if seeds.len() == 1 { "" } else { "s" },
            if seeds.is_empty() { "-".into() } else { seeds.join(", ") }
        ),
        format!(
            "The cells took {:.2} hours in sum, and their attacks evaluated {gradients} gradients.",
            seconds / 3600.0
        ),
        format!("The run is made again by `{}`, and figures and tables by `{regenerate}`.", info.command),
        format!(
            "Means have 95 % percentile bootstrap intervals of {BOOTSTRAP_RESAMPLES} resamples over images, clustered by image where cells share images; shares have Wilson intervals at 95 %, in which every image counts once; PSNR enters means at 100 dB at most; images of failed attacks are in no mean and count as failures in success rates."
        ),
    ];
    if !info.overrides.is_empty() {
        let set: Vec<String> =
            info.overrides.iter().map(|(path, value)| format!("`{path} = {value}`")).collect();
        out.insert(1, format!("The command line set {}.", set.join(", ")));
    }
    for host in &info.elsewhere {
        out.push(format!(
            "Parts were run with bench {} and libtorch {} on {} ({}).",
            host.bench_version, host.libtorch, host.device, host.machine
        ));
    }
    if let Some(shard) = &info.shard {
        out.push(format!("This is shard {shard} of the suite."));
    }
    out
}

/// As Markdown.
pub(super) fn markdown(run: &Run, regenerate: &str) -> String {
    format!("## Reproducibility\n\n{}\n", sentences(run, regenerate).join(" "))
}

/// As LaTeX.
pub(super) fn tex(run: &Run, regenerate: &str) -> String {
    let set = |sentence: String| -> String {
        let parts = sentence.split('`').enumerate();
        parts
            .map(|(at, part)| match at % 2 {
                0 => latex::escape(part),
                _ => format!("\\texttt{{{}}}", latex::escape(part)),
            })
            .collect()
    };
    let text: Vec<String> = sentences(run, regenerate).into_iter().map(set).collect();
    format!("\\paragraph{{Reproducibility.}} {}\n", text.join(" "))
}
