//! Flags and verbs of the systems that people come from, with their counterparts here.

/// Flags without their dashes, in kebab-case, with what to write instead.
const FLAGS: [(&[&str], &str); 14] = [
    (
        &["dp-epsilon", "dp-delta", "dp-max-norm", "use-dp"],
        "--defense dp-local:epsilon=8,delta=1e-5,clip=1 (or dp-central, dp-sgd)",
    ),
    (&["use-he", "he-bits", "he-precision"], "--defense paillier:key_bits=2048 (or ckks)"),
    (&["compute-lpips"], "nothing: LPIPS is scored wherever its weights are (`bash ci/lpips`)"),
    (&["tv-weight"], "--set tv_weight=1e-4"),
    (&["attack-iterations"], "--set iterations=1000"),
    (&["attack-restarts"], "--set restarts=4"),
    (&["attack-source"], "--source"),
    (&["num-rounds"], "--rounds"),
    (&["num-clients"], "--clients, in `bench train` --set federation.clients.total=10"),
    (&["capture-client"], "--clients N --trials T: trial i attacks client i modulo N"),
    (&["data-dir", "dataset-path"], "--data"),
    (&["results-dir", "output-dir", "out-dir"], "--out"),
    (&["rec-file", "idx-file", "lst-file"], "bench data extract FILE.rec --out DIR"),
    (&["query-image"], "bench infer --query FILE --gallery DIR"),
];

/// Verbs with what to write instead.
const VERBS: [(&[&str], &str); 4] = [
    (
        &["webapp", "serve", "dashboard"],
        "no page is served yet; every run and training has report/report.html, which `bench \
         report DIR` writes",
    ),
    (&["extract"], "bench data extract"),
    (&["fetch", "download"], "bench data fetch"),
    (&["calibrate", "epsilon"], "bench dp"),
];

/// What stands here for a flag (`--dp-epsilon`) or verb of another system.
pub fn counterpart(word: &str) -> Option<&'static str> {
    let find = |all: &[(&[&str], &'static str)], name: &str| {
        all.iter().find(|(names, _)| names.contains(&name)).map(|(_, here)| *here)
    };
    match word.strip_prefix("--") {
        Some(flag) => {
            let name = flag.split('=').next().unwrap_or(flag).replace('_', "-");
            find(&FLAGS, &name)
        }
        None => find(&VERBS, word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_other_systems_have_a_counterpart() {
        assert!(counterpart("--dp_epsilon=8").unwrap().contains("dp-local"));
        assert_eq!(counterpart("--out-dir"), Some("--out"));
        assert_eq!(counterpart("extract"), Some("bench data extract"));
        assert_eq!((counterpart("--rounds"), counterpart("suite")), (None, None));
    }
}
