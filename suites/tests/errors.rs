//! Every mistake in a suite file is one line with the file, the line and the remedy.

use serde_json::{Value, json};
use suites::{SpecError, Suite};

const HEAD: &str = "[suite]\nname = \"t\"\nversion = \"1\"\ndescription = \"d\"\n";
const BASE: &str = "[defaults]\ntask = \"photos\"\nmodel = \"mlp\"\nattack = \"dlg\"\n";

/// The text begins on line 9 of the file.
fn load(text: &str, overrides: &[(String, Value)]) -> Result<Suite, SpecError> {
    Suite::parse("t.toml", &format!("{HEAD}{BASE}{text}"), None, overrides)
}

fn said(text: &str) -> String {
    let line = load(text, &[]).expect_err(text).to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

#[track_caller]
fn expect(text: &str, parts: &[&str]) {
    let line = said(text);
    for part in parts {
        assert!(line.contains(part), "`{line}` lacks `{part}`");
    }
}

#[test]
fn unknown_keys_at_every_level() {
    expect(
        "[matrx]\nsource = []",
        &["t.toml:9: ", "suite file: unknown key `matrx`", "did you mean `matrix`"],
    );
    expect("trails = 3", &["t.toml:9: ", "`trails`", "did you mean `trials`"]);
    expect("training.lrr = 3", &["t.toml:9: ", "training: unknown key `lrr`", "did you mean `lr`"]);
    expect(
        "[matrix]\n\"training.learning_rate\" = [1]",
        &["t.toml:10: ", "training: unknown key `learning_rate`"],
    );
    expect("[profiles.p]\nmatrx = 1", &["t.toml:10: ", "did you mean `matrix`"]);
    expect(
        "[profiles.p.defaults]\ntrials = 1\n[[published]]\nmetic = \"psnr\"",
        &["t.toml:12: ", "did you mean `metric`"],
    );
    expect("[[exclude]]\nsauce = 1", &["t.toml:10: ", "unknown key `sauce`", "source"]);
    expect(
        "[[include]]\ntask = { datset = \"x\" }",
        &["t.toml:10: ", "task: unknown key `datset`"],
    );
    expect(
        "federation.local.lrr = 3",
        &["t.toml:9: ", "federation.local: unknown key `lrr`", "did you mean `lr`"],
    );
    let partition = "federation.clients.partition = { kind = \"dirichlet\", alpa = 1 }";
    expect(partition, &["t.toml:9: ", "unknown key `alpa`", "did you mean `alpha`"]);
}

#[test]
fn unknown_words() {
    expect(
        "source = \"gradient\"",
        &["t.toml:9: ", "source: unknown source `gradient`", "did you mean `gradients`"],
    );
    expect(
        "facts = [\"labels\", \"batchsize\"]",
        &["t.toml:9: ", "facts", "did you mean `batch-size`"],
    );
    expect("vantage = \"colluding-many\"", &["t.toml:9: ", "colluding-3"]);
    expect("federation.clients.partition = \"dirichlet\"", &["t.toml:9: ", "needs `alpha`"]);
    expect(
        "[matrix]\nsource = [\n  \"gradients\",\n  \"local\",\n]",
        &["t.toml:12: ", "`local`", "local_update"],
    );
    expect("[[exclude]]\nsource = \"gradient\"", &["t.toml:10: ", "did you mean `gradients`"]);
}

#[test]
fn wrong_types_and_ranges() {
    expect("trials = \"three\"", &["t.toml:9: trials: ", "three"]);
    expect("trials = -1", &["t.toml:9: trials: ", "-1"]);
    expect(
        "federation.clients.total = 0",
        &["t.toml:9: federation.clients.total: must be at least 1, got 0; "],
    );
    expect(
        "[defaults.federation]\nlocal.lr = -0.5",
        &["t.toml:10: federation.local.lr: must be above 0, got -0.5; "],
    );
    expect(
        "[matrix]\n\"federation.local.momentum\" = [0.5,\n1.5]",
        &["t.toml:11: federation.local.momentum", "got 1.5"],
    );
    expect("federation = \"federatd\"", &["t.toml:9: ", "did you mean `federated`"]);
    expect("federation.rounds = 3", &["t.toml:9: federation.rounds: ", "a bare client has no"]);
    expect(
        "federation.regime = \"federated\"\ncapture.round = 10",
        &["t.toml:10: capture.round: is 10, but the rounds run from 0 to 9; "],
    );
    expect("vantage = \"colluding-3\"", &["t.toml:9: vantage: 3 colluding clients"]);
    expect("federation = 3", &["t.toml:9: ", "federation"]);
    expect("source.kind = 3", &["t.toml:9: source: invalid type: map, expected a string"]);
    expect("defenses = [3]", &["t.toml:9: defenses.0"]);
}

#[test]
fn keys_of_old_are_read_where_they_mean_the_same() {
    let old = "[defaults.training]\nclients = 3\nlr = 0.1\nrounds_before = 0\n\
        [matrix]\ntraining.batch_size = [1, 2]\n[[exclude]]\ntraining.batch_size = 2";
    let suite = load(old, &[]).unwrap();
    assert_eq!(suite.cells.len(), 1);
    let federation = &suite.cells[0].federation;
    assert!(federation.is_bare());
    assert_eq!((federation.clients.total, federation.local.lr), (3, 0.1));
    let notes = suite.notes.join(" ");
    assert!(notes.contains("`training.lr` is now `federation.local.lr`"), "{notes}");
    expect(
        "[defaults.training]\nlr = 0.1\nrounds_before = 5",
        &["t.toml:11: training.rounds_before: ", "capture.round = 5"],
    );
    expect(
        "[defaults.utility]\nrounds = 12\nclients = 4\nlr = 0.2",
        &["t.toml:9: utility: ", "rounds = 12, clients = { total = 4 }, local = { lr = 0.2 }"],
    );
    expect(
        "training.lr = 0.1\nfederation.local.lr = 0.1",
        &["t.toml:", "federation.local.lr: is given in both its old and its new spelling"],
    );
}

#[test]
fn matrix_mistakes() {
    expect("[matrix]\nsource = []", &["t.toml:10: source: the axis has no values"]);
    expect("[matrix]\nsource = \"gradients\"", &["t.toml:10: source: an axis must be a list"]);
    expect(
        "[exclude]\nsource = \"gradients\"",
        &["t.toml:9: exclude: must be tables", "[[exclude]]"],
    );
    expect("[[exclude]]", &["t.toml:9: ", "no condition"]);
    expect(
        "[matrix]\nsource = [\"gradients\"]\n[[exclude]]\nsource = \"gradients\"",
        &["the suite has no cells"],
    );
    let twice = "[matrix]\nattack = [\"dlg\", \"idlg\", \"dlg\"]";
    expect(
        twice,
        &["t.toml:9: cell 1 (attack = dlg) and cell 3 (attack = dlg) are the same experiment"],
    );
    let included = "[matrix]\nattack = [\"dlg\"]\n[[include]]\nseed = 0";
    expect(included, &["cell 1 (attack = dlg) and include 1 are the same experiment"]);
    let seeds: Vec<String> = (1..401).map(|n| n.to_string()).collect();
    let list = seeds.join(",");
    let huge = format!("[matrix]\nseed = [{list}]\n\"task.limit\" = [{list}]");
    expect(&huge, &["160000 cells, more than the 100000 allowed"]);
    let endless: String = (0..9).map(|i| format!("\"attack.p{i}\" = [{list}]\n")).collect();
    expect(&format!("[matrix]\n{endless}"), &["over 2^64 cells"]);
}

#[test]
fn heads_profiles_and_names() {
    let bare = |text: &str| Suite::parse("t.toml", text, None, &[]).unwrap_err().to_string();
    assert!(bare("").starts_with("t.toml:1: suite: the table is missing"));
    assert!(bare("[suite]\nname = \"a\"\nversion = 1\n").contains("t.toml:3: suite.version"));
    assert!(bare("[suite]\nname = \"a\"\nversion = \"1\"\n").contains("description"));
    assert!(bare(HEAD).contains("task.dataset: is missing"), "{}", bare(HEAD));
    let profile = |p| Suite::load("smoke", Some(p), &[]).unwrap_err().to_string();
    assert_eq!(profile("smok"), "unknown profile `smok` (did you mean `smoke`?); known: smoke");
    assert!(Suite::load("smoke", Some("default"), &[]).is_ok());
    let named = |n| Suite::load(n, None, &[]).unwrap_err().to_string();
    assert!(named("showcse").contains("did you mean `showcase`"));
    assert!(named("nowhere/none.toml").contains("nowhere/none.toml: cannot read the suite file"));
}

#[test]
fn overrides_are_blamed_without_a_file() {
    let bad = |path: &str, value| load("", &[(path.to_owned(), value)]).unwrap_err().to_string();
    assert_eq!(
        bad("federation.local.lr", json!(0)),
        "federation.local.lr: must be above 0, got 0; write such as 0.05"
    );
    assert!(
        bad("federatio.rounds", json!(0))
            .starts_with("cell: unknown key `federatio` (did you mean `federation`?)")
    );
    assert!(bad("source", json!("x")).starts_with("source: unknown source `x`"));
}

#[test]
fn errors_of_map_specs_find_their_line() {
    let mut suite =
        load("[matrix]\nattack = [\n  \"dlg\",\n  { name = \"idlg\", iteratons = 3 },\n]", &[])
            .unwrap();
    let line = suite
        .map_specs(|spec| {
            if spec.attack.params.contains_key("iteratons") {
                Err(SpecError::unknown_key("idlg", "iteratons", ["iterations"]))
            } else {
                Ok(())
            }
        })
        .unwrap_err()
        .to_string();
    assert!(
        line.starts_with("t.toml:12: idlg: unknown key `iteratons` (did you mean `iterations`?)"),
        "{line}"
    );
}

#[test]
fn map_specs_refuses_new_duplicates() {
    let mut suite = load("[matrix]\n\"attack.lr\" = [0.1, 0.2]", &[]).unwrap();
    let error = suite.map_specs(|spec| {
        spec.attack.params.clear();
        Ok(())
    });
    let line = error.unwrap_err().to_string();
    assert!(line.contains("cell 1 (attack.lr = 0.1) and cell 2 (attack.lr = 0.2)"), "{line}");
}

#[test]
fn files_are_read_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, format!("{HEAD}{BASE}")).unwrap();
    assert_eq!(Suite::load(path.to_str().unwrap(), None, &[]).unwrap().cells.len(), 1);
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(
        Suite::load(path.to_str().unwrap(), None, &[]).unwrap_err().to_string().contains("UTF-8")
    );
    std::fs::write(&path, vec![b'#'; 5 << 20]).unwrap();
    assert!(
        Suite::load(path.to_str().unwrap(), None, &[])
            .unwrap_err()
            .to_string()
            .contains("the most that a suite may have")
    );
}
