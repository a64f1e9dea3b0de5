//! The paragraph on reproducibility.

use crate::report::latex;
use crate::report::model::{Section, Span, Text};
use record::run::Run;
use record::stats::{BOOTSTRAP_RESAMPLES, LEAST_UNITS};
use std::collections::BTreeSet;

/// What enters means at a cap.
fn capped(run: &Run) -> String {
    let psnr = run.metric("psnr");
    let told = |cap| format!("{} enters means at {cap} {} at most; ", psnr.title, psnr.unit);
    psnr.cap.map(told).unwrap_or_default()
}

/// The facts in sentences, one piece after another.
fn sentences(run: &Run, regenerate: &str) -> Vec<Text> {
    let words = |text: String| Text::from(text);
    let code = |text: &str| Span::Code(text.to_owned());
    let (info, suite) = (&run.info, &run.info.suite);
    let [done, failed, inapplicable] =
        ["done", "failed", "not applicable"].map(|word| run.ended(word));
    let open = run.open().len();
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
        Text(vec![
            Span::Words("The run is made again by ".into()),
            code(&info.command),
            Span::Words(", and figures and tables by ".into()),
            code(regenerate),
            Span::Words(".".into()),
        ]),
        words(format!(
            "Means have 95 % BCa bootstrap intervals (tails of Student's t) of \
             {BOOTSTRAP_RESAMPLES} resamples over independent units, which are the images that a \
             capture or several cells tie together; shares have Wilson intervals at 95 %, in which \
             every unit counts once; fewer than {LEAST_UNITS} units have no interval; {}images of \
             failed attacks are in no mean and count as failures in success rates.",
            capped(run)
        )),
    ];
    if !info.overrides.is_empty() {
        let set =
            info.overrides.iter().map(|(path, value)| Text::code(format!("{path} = {value}")));
        let all =
            [words("The command line set ".into()), Text::joined(set, ", "), words(".".into())];
        out.insert(1, Text::joined(all, ""));
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

/// The paragraph, for every renderer.
pub(super) fn section(run: &Run, regenerate: &str) -> Section {
    let paragraph = Text::joined(sentences(run, regenerate), " ");
    Section::new("Reproducibility").paragraph(paragraph)
}

/// As LaTeX.
pub(super) fn tex(run: &Run, regenerate: &str) -> String {
    let paragraph = Text::joined(sentences(run, regenerate), " ");
    format!("\\paragraph{{Reproducibility.}} {}\n", latex::line(&paragraph))
}
