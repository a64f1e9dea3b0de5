//! Defenses, vantages, signals and claims in plain words, for readers who know no registry.

use crate::figure::columns::number;
use record::axes::{acting, plain};
use record::run::Run;
use record::{CellRecord, DefenseNote};
use serde_json::Value;
use std::collections::BTreeSet;
use suites::{Named, Source, Vantage};

/// A defense's registry name, how people call it, and the parameter that they name with it.
const DEFENSES: [(&str, &str, &str); 22] = [
    ("dp-local", "Local DP", "epsilon"),
    ("dp-central", "Central DP", "epsilon"),
    ("dp-sgd", "DP-SGD", "epsilon"),
    ("dp-distributed", "Distributed DP", "epsilon"),
    ("secagg", "SecAgg", ""),
    ("secagg-plus", "SecAgg+", ""),
    ("ckks", "CKKS encryption", ""),
    ("paillier", "Paillier encryption", ""),
    ("prune", "Pruning", "fraction"),
    ("percentile", "Percentile clipping", "percentile"),
    ("quantise", "Quantization", "bits"),
    ("qsgd", "QSGD", "bits"),
    ("sign", "Signs alone", ""),
    ("gaussian-noise", "Gaussian noise", "std"),
    ("laplace-noise", "Laplace noise", "std"),
    ("soteria", "Soteria", "percent"),
    ("withhold-bn", "BatchNorm withheld", ""),
    ("mixup", "Mixup", "alpha"),
    ("instahide", "InstaHide", "k"),
    ("ats", "ATS", ""),
    ("precode", "PRECODE", ""),
    ("plain", "Plain sums", ""),
];

/// What the floor is, wherever a reader meets the word.
pub(crate) const FLOOR: &str = "the strongest null baseline that needs no truth";

/// Letters of a claim that is shown whole.
const CLAIM: usize = 48;

/// The defenses of cell `at` by their names among people, such as "Local DP (ε = 10)": each with
/// the parameter that it is known by and those that vary over the run; "No defense" for none.
///
/// `more` is what else is to be said; with one defense it stands beside the parameters.
pub(crate) fn defense_with(run: &Run, at: usize, more: Vec<String>) -> String {
    let all: Vec<(String, Vec<String>)> =
        acting(&run.records[at].spec).map(|own| one_defense(run, own)).collect();
    match all.as_slice() {
        [] => with_more("No defense".into(), more),
        [(name, own)] => with_more(name.clone(), [own.clone(), more].concat()),
        several => {
            let names = several.iter().map(|(name, own)| with_more(name.clone(), own.clone()));
            with_more(names.collect::<Vec<_>>().join(" + "), more)
        }
    }
}

/// A defense's name and its parameters.
fn one_defense(run: &Run, own: &Named) -> (String, Vec<String>) {
    let known = DEFENSES.iter().find(|(name, ..)| *name == own.name);
    let (name, first) = known.map_or((own.name.as_str(), ""), |(_, name, first)| (name, first));
    let varying = own.params.keys().filter(|key| *key != first && varies(run, &own.name, key));
    let keys = own.params.keys().filter(|key| *key == first).chain(varying);
    let told = keys.filter_map(|key| Some(parameter(key, own.params.get(key)?)));
    (name.to_owned(), told.collect())
}

/// A name with what else there is to say, in brackets: an enumeration has its commas to itself.
fn with_more(name: String, more: Vec<String>) -> String {
    if more.is_empty() { name } else { format!("{name} ({})", more.join(", ")) }
}

/// "a", "a and b", "a, b and c".
pub(crate) fn enumerated(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Whether defenses called `name` differ in the parameter `key` over the run.
fn varies(run: &Run, name: &str, key: &str) -> bool {
    let all = run.records.iter().flat_map(|r| acting(&r.spec)).filter(|d| d.name == name);
    all.map(|d| d.params.get(key).map(plain)).collect::<BTreeSet<_>>().len() > 1
}

fn parameter(key: &str, value: &Value) -> String {
    let key = match key {
        "epsilon" => "ε".into(),
        "delta" => "δ".into(),
        key => key.replace('_', " "),
    };
    format!("{key}\u{a0}=\u{a0}{}", value.as_f64().map_or_else(|| plain(value), short))
}

/// A number in as few letters as it takes: 10000 is 1e4.
fn short(value: f64) -> String {
    let (plain, power) = (number(value), format!("{value:e}"));
    if value.abs() >= 1e4 && power.len() < plain.len() { power } else { plain }
}

/// Who looks, such as "seen by the server".
pub(crate) fn vantage(vantage: Vantage) -> String {
    match vantage {
        Vantage::Server => "seen by the server".into(),
        Vantage::Aggregate => "seen in the released sum".into(),
        Vantage::Colluding { k: 1 } => "seen by the server and a client".into(),
        Vantage::Colluding { k } => format!("seen by the server and {k} clients"),
        Vantage::Eavesdropper => "seen on the wire".into(),
        Vantage::KeyHolder => "seen by a key holder".into(),
        Vantage::MaliciousServer => "seen by a malicious server".into(),
    }
}

/// What is released, such as "one gradient".
pub(crate) fn source(source: Source) -> &'static str {
    match source {
        Source::Gradients => "one gradient",
        Source::OneStepUpdate => "one step",
        Source::LocalUpdate => "one client's update",
        Source::AggUpdate => "the clients' mean update",
    }
}

/// What the defenses of a cell promise, each in one short clause; `None` where none acts. The
/// record has every claim whole.
pub(crate) fn claim(record: &CellRecord) -> Option<String> {
    acting(&record.spec).next()?;
    let own = record.defenses.iter().filter(|d| d.name != "none");
    let mut all: Vec<String> = own.map(one_claim).collect();
    all.dedup();
    Some(if all.is_empty() { "no guarantee".into() } else { all.join("; ") })
}

/// The claim itself where it is short, else its first clause, with numbers as short as they can be.
fn one_claim(note: &DefenseNote) -> String {
    let whole = note.claim.as_str();
    let ends = [" over ", ", against ", "; ", ": ", " ("].map(|end| whole.find(end));
    let end = ends.into_iter().flatten().filter(|at| *at > 0).min();
    let short = end.filter(|_| whole.chars().count() > CLAIM).map_or(whole, |end| &whole[..end]);
    shortened(short)
}

/// A text whose decimals are written as [`short`] writes them: "(100.0000," is "(100,".
fn shortened(text: &str) -> String {
    let part = |piece: &str| {
        let digits = |c: char| c.is_ascii_digit() || c == '.';
        let number = piece.trim_matches(['(', ')', ',']);
        match number.parse::<f64>() {
            Ok(value) if number.contains('.') && number.chars().all(digits) => {
                piece.replace(number, &short(value))
            }
            _ => piece.to_owned(),
        }
    };
    text.split(' ').map(part).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::testing::{from_spec, info};
    use suites::CellSpec;

    fn run(defenses: &[Vec<Named>]) -> Run {
        let record = |defenses: &Vec<Named>| {
            let mut spec = CellSpec::new("photos", "mlp", "dlg");
            spec.defenses = defenses.clone();
            from_spec(spec, &[20.0])
        };
        Run::new("".into(), info("a"), defenses.iter().map(record).collect())
    }

    fn named(run: &Run, wanted: &str) -> bool {
        (0..run.records.len())
            .any(|at| defense_with(run, at, Vec::new()).replace('\u{a0}', " ") == wanted)
    }

    #[test]
    fn defenses_have_the_names_that_people_use() {
        let dp = |epsilon: f64, clip: f64| {
            Named::new("dp-local").with("epsilon", epsilon).with("clip", clip).with("delta", 1e-5)
        };
        let own = Named::new("own-noise").with("level", 3);
        let both = vec![Named::new("prune").with("fraction", 0.9), Named::new("secagg")];
        let run = run(&[vec![], vec![dp(10.0, 1.0)], vec![dp(1e6, 2.0)], both, vec![own.clone()]]);
        let wanted = [
            "No defense",
            "Local DP (ε = 10, clip = 1)",
            "Local DP (ε = 1e6, clip = 2)",
            "Pruning (fraction = 0.9) + SecAgg",
            "own-noise",
        ];
        wanted.iter().for_each(|w| assert!(named(&run, w), "{w}"));
    }

    #[test]
    fn enumerations_have_their_commas_to_themselves() {
        let names = [
            with_more("Local DP".into(), vec!["ε = 10".into(), "clip = 1".into()]),
            with_more("SecAgg".into(), Vec::new()),
            with_more("Pruning".into(), vec!["fraction = 0.9".into()]),
        ];
        let all = "Local DP (ε = 10, clip = 1), SecAgg and Pruning (fraction = 0.9)";
        assert_eq!(enumerated(&names), all);
        assert_eq!(enumerated(&names[1..]), "SecAgg and Pruning (fraction = 0.9)");
        assert_eq!((enumerated(&names[1..2]), enumerated(&[])), ("SecAgg".into(), String::new()));
    }

    #[test]
    fn claims_are_cut_at_a_clause() {
        let said = |claim: &str| {
            one_claim(&DefenseNote {
                name: "x".into(),
                claim: claim.into(),
                values: Default::default(),
                adaptive: None,
            })
        };
        let dp =
            "(100.0000, 1e-5)-DP over 200 release(s) at sampling rate 1.0000, against everyone";
        assert_eq!(said(dp), "(100, 1e-5)-DP");
        assert_eq!(
            said("no guarantee here: the server reads every update. Elsewhere (2.5000, 0)-DP"),
            "no guarantee here"
        );
        let short = "(epsilon = 8, delta = 1e-5)-DP per example";
        assert_eq!(said(short), short);
        let text = "2.50, (0.1000, x) 20 2.0e-7 (1000000.0000, 1e-5)-DP";
        assert_eq!(shortened(text), "2.5, (0.1, x) 20 2.0e-7 (1e6, 1e-5)-DP");
    }

    #[test]
    fn a_cell_without_a_defense_claims_nothing() {
        let run = run(&[vec![], vec![Named::new("prune")]]);
        let mut claims: Vec<_> = run.records.iter().map(claim).collect();
        claims.sort();
        assert_eq!(claims, [None, Some("no guarantee".into())]);
    }
}
