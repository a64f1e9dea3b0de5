//! The paragraph on reproducibility.

use super::latex;
use record::Outcome;
use record::run::Run;
use record::stats::BOOTSTRAP_RESAMPLES;
use std::collections::BTreeSet;

/// A piece of a sentence.
enum Piece {
    Words(String),
    Code(String),
}

/// The facts in sentences, one piece after another.
fn sentences(run: &Run, regenerate: &str) -> Vec<Vec<Piece>> {
    let words = |text: String| vec![Piece::Words(text)];
    let code = |text: &str| Piece::Code(text.to_owned());
    let (info, suite) = (&run.info, &run.info.suite);
    let count =
        |keep: fn(&Outcome) -> bool| run.records.iter().filter(|r| keep(&r.outcome)).count();
    let done = count(|o| matches!(o, Outcome::Done));
    let failed = count(|o| matches!(o, Outcome::Failed { .. }));
    let inapplicable = count(|o| matches!(o, Outcome::NotApplicable { .. }));
    let open = suite.cells.len().saturating_sub(run.records.len());
    let seeds: BTreeSet<u64> = run.records.iter().map(|r| r.spec.seed).collect();
    let seeds: Vec<String> = seeds.into_iter().map(|s| s.to_string()).collect();
    let seconds: f64 = run.records.iter().map(|r| r.wall.seconds).filter(|s| s.is_finite()).sum();
    let gradients: u128 = run
        .records
        .iter()
        .map(|r| u128::from(r.cost.gradient_evaluations) * r.spec.trials as u128)
        .sum();
    let images: usize = run.records.iter().map(|r| r.images.len()).sum();
    let profile = suite.profile.as_ref().map_or(String::new(), |p| format!(", profile {p}"));
    let uncounted = if failed > 0 { "; what failed attacks evaluated is not known" } else { "" };
    let mut out = vec![
        words(format!(
            "All results are of the suite {}{profile}, version {}, run with bench {} and libtorch \
             {} on {} ({}).",
            suite.name, suite.version, info.bench_version, info.libtorch, info.device, info.machine
        )),
        words(format!(
            "Of {} cells {done} are done, {failed} failed, {inapplicable} are not applicable and \
             {open} have no record; {images} images were reconstructed.",
            suite.cells.len().max(run.records.len())
        )),
        words(format!(
            "Random streams derive from the seed{} {} of the cells.",
            if seeds.len() == 1 { "" } else { "s" },
            if seeds.is_empty() { "-".into() } else { seeds.join(", ") }
        )),
        words(format!(
            "The cells took {:.2} hours in sum, and their attacks evaluated {gradients} \
             gradients{uncounted}.",
            seconds / 3600.0
        )),
        vec![
            Piece::Words("The run is made again by ".into()),
            code(&info.command),
            Piece::Words(", and figures and tables by ".into()),
            code(regenerate),
            Piece::Words(".".into()),
        ],
        words(format!(
            "Means have 95 % percentile bootstrap intervals of {BOOTSTRAP_RESAMPLES} resamples \
             over images, clustered by image where cells share images; shares have Wilson \
             intervals at 95 %, in which every image counts once; PSNR enters means at 100 dB at \
             most; images of failed attacks are in no mean and count as failures in success rates."
        )),
    ];
    if !info.overrides.is_empty() {
        let mut set = words("The command line set ".into());
        for (at, (path, value)) in info.overrides.iter().enumerate() {
            set.extend((at > 0).then(|| Piece::Words(", ".into())));
            set.push(code(&format!("{path} = {value}")));
        }
        set.push(Piece::Words(".".into()));
        out.insert(1, set);
    }
    for host in &info.elsewhere {
        out.push(words(format!(
            "Parts were run with bench {} and libtorch {} on {} ({}).",
            host.bench_version, host.libtorch, host.device, host.machine
        )));
    }
    if let Some(shard) = &info.shard {
        out.push(words(format!("This is shard {shard} of the suite.")));
    }
    out
}

fn joined(
    run: &Run,
    regenerate: &str,
    words: fn(&str) -> String,
    code: fn(&str) -> String,
) -> String {
    let set = |piece: &Piece| match piece {
        Piece::Words(text) => words(text),
        Piece::Code(text) => code(text),
    };
    let sentences = sentences(run, regenerate);
    sentences.iter().map(|s| s.iter().map(set).collect::<String>()).collect::<Vec<_>>().join(" ")
}

/// As Markdown.
pub(super) fn markdown(run: &Run, regenerate: &str) -> String {
    // Code that holds backticks stands between more of them.
    let code = |text: &str| match text.contains('`') {
        false => format!("`{text}`"),
        true => {
            let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
            let fence = "`".repeat(longest + 1);
            format!("{fence} {text} {fence}")
        }
    };
    format!("## Reproducibility\n\n{}\n", joined(run, regenerate, str::to_owned, code))
}

/// As LaTeX.
pub(super) fn tex(run: &Run, regenerate: &str) -> String {
    format!(
        "\\paragraph{{Reproducibility.}} {}\n",
        joined(run, regenerate, latex::escape, latex::code)
    )
}
