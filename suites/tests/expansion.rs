//! How files, profiles and overrides become cells.

use serde_json::{Value, json};
use suites::{Named, Partition, Source, Suite};

const HEAD: &str = "[suite]\nname = \"t\"\nversion = \"1\"\ndescription = \"d\"\n[defaults]\ntask \
    = \"photos\"\nmodel = \"mlp\"\nattack = { name = \"dlg\", iterations = 9 }\n";

fn load(text: &str, profile: Option<&str>, overrides: &[(&str, Value)]) -> Suite {
    let overrides: Vec<_> = overrides.iter().map(|(p, v)| (p.to_string(), v.clone())).collect();
    Suite::parse("t.toml", &format!("{HEAD}{text}"), profile, &overrides)
        .unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_first_axis_varies_slowest() {
    let suite =
        load("[matrix]\nsource = [\"gradients\", \"agg_update\"]\nseed = [1, 2]", None, &[]);
    let seen: Vec<_> = suite.cells.iter().map(|c| (c.source, c.seed)).collect();
    let (g, a) = (Source::Gradients, Source::AggUpdate);
    assert_eq!(seen, [(g, 1), (g, 2), (a, 1), (a, 2)]);
    assert_eq!(suite.label(2), "cell 3 (source = agg_update, seed = 1)");
}

#[test]
fn narrow_axes_survive_wide_ones_in_any_order() {
    let quoted = "[matrix]\n\"attack.lr\" = [0.1, 0.2]\nattack = [\"dlg\", \"idlg\"]";
    let suite = load(quoted, None, &[]);
    assert_eq!(suite.cells.len(), 4);
    // The same name keeps the default's parameters, another starts afresh.
    assert_eq!(suite.cells[0].attack, Named::new("dlg").with("iterations", 9).with("lr", 0.1));
    assert_eq!(suite.cells[1].attack, Named::new("idlg").with("lr", 0.1));
    let nested = load("[matrix]\nattack.lr = [0.1, 0.2]", None, &[]);
    assert_eq!(nested.cells[1].attack.params["lr"], json!(0.2));
}

#[test]
fn defense_axis_takes_none_names_tables_and_compositions() {
    let text = "[matrix]\ndefenses = [\"none\", \"prune\", { name = \"prune\", fraction = 0.9 }, \
        [\"prune\", { name = \"quantise\", bits = 4 }], []]";
    let error = Suite::parse("t.toml", &format!("{HEAD}{text}"), None, &[]).unwrap_err();
    assert!(
        error.to_string().contains("cell 1 (defenses = none) and cell 5 (defenses = none)"),
        "{error}"
    );
    let suite = load(&text.replace(", []]", "]"), None, &[]);
    let lengths: Vec<_> = suite.cells.iter().map(|c| c.defenses.len()).collect();
    assert_eq!(lengths, [0, 1, 1, 2]);
    assert_eq!(suite.cells[3].defenses[1], Named::new("quantise").with("bits", 4));
}

#[test]
fn exclusion_drops_what_meets_every_condition() {
    let text = "[matrix]\nsource = [\"gradients\", \"agg_update\"]\nattack = [\"dlg\", \
        \"idlg\"]\n[[exclude]]\nsource = [\"agg_update\", \"local_update\"]\nattack = \"idlg\"";
    let suite = load(text, None, &[]);
    let kept: Vec<_> =
        suite.cells.iter().map(|c| (c.source.name(), c.attack.name.as_str())).collect();
    assert_eq!(kept, [("gradients", "dlg"), ("gradients", "idlg"), ("agg_update", "dlg")]);
}

#[test]
fn exclusion_keeps_impossible_cells_out() {
    let text = "[matrix]\n\"federation.clients.total\" = [2, 4]\nvantage = [\"server\", \
        \"colluding-3\"]\n[[exclude]]\nfederation.clients.total = 2\nvantage = \"colluding-3\"";
    assert_eq!(load(text, None, &[]).cells.len(), 3);
}

#[test]
fn included_cells_stand_beside_the_matrix_or_alone() {
    let cells = "[[include]]\nseed = 7\n[[include]]\nattack.lr = 2\nfederation.clients.partition = \
        { kind = \"shards\", per_client = 2 }";
    let alone = load(cells, None, &[]);
    assert_eq!(alone.cells.iter().map(|c| c.seed).collect::<Vec<_>>(), [7, 0]);
    assert_eq!(alone.cells[1].federation.clients.partition, Partition::Shards { per_client: 2 });
    assert_eq!(load(&format!("[matrix]\nseed = [1, 2]\n{cells}"), None, &[]).cells.len(), 4);
}

#[test]
fn profiles_lie_over_the_file() {
    let text = "trials = 5\n[matrix]\nseed = [1, 2, 3]\n[[include]]\nseed = \
        9\n[profiles.p]\ninclude = []\n[profiles.p.defaults]\ntrials = 2\nattack.iterations = \
        1\n[profiles.p.matrix]\nseed = [4]\nsource = [\"gradients\", \"agg_update\"]";
    let suite = load(text, Some("p"), &[]);
    assert_eq!(suite.profile.as_deref(), Some("p"));
    assert_eq!(suite.cells.len(), 2);
    assert!(
        suite
            .cells
            .iter()
            .all(|c| c.seed == 4 && c.trials == 2 && c.attack.params["iterations"] == 1)
    );
    assert_eq!(load(text, None, &[]).cells.len(), 4);
}

#[test]
fn overrides_come_last() {
    let text = "[matrix]\nsource = [\"gradients\", \"agg_update\"]\nattack = \
        [{ name = \"fl-attack\", iterations = 300 }]";
    let one = load(text, None, &[("source", json!("local_update"))]);
    assert_eq!(one.cells.iter().map(|c| c.source).collect::<Vec<_>>(), [Source::LocalUpdate]);
    let two = load(
        text,
        None,
        &[("seed", json!(5)), ("source", json!(["gradients", "one_step_update"]))],
    );
    assert_eq!(two.cells.len(), 2);
    assert!(two.cells.iter().all(|c| c.seed == 5));
    let narrow =
        load(text, None, &[("attack.iterations", json!(3)), ("task.dataset", json!("digits"))]);
    assert!(
        narrow
            .cells
            .iter()
            .all(|c| c.attack.params["iterations"] == 3 && c.task.dataset == "digits")
    );
    let other = load(text, None, &[("attack.name", json!("dlg"))]);
    assert_eq!(other.cells[0].attack, Named::new("dlg").with("iterations", 9));
    let bare = load("[matrix]\ndefenses = [\"none\", \"prune\"]", None, &[("defenses", json!([]))]);
    assert!(bare.cells.len() == 1 && bare.cells[0].defenses.is_empty());
}

#[test]
fn another_data_set_drops_the_label() {
    let suite = load("", None, &[("task", json!({ "dataset": "celeba", "label": "Male" }))]);
    assert_eq!(suite.cells[0].task.label.as_deref(), Some("Male"));
    let celeba = "task.label = \"Male\"\ntask.size = 64";
    let text = HEAD.replace("task = \"photos\"", "task.dataset = \"celeba\"") + celeba;
    let overridden = [("task.dataset".to_owned(), json!("digits"))];
    let suite = Suite::parse("t.toml", &text, None, &overridden).unwrap();
    assert_eq!((suite.cells[0].task.label.as_deref(), suite.cells[0].task.size), (None, Some(64)));
}

#[test]
fn one_value_for_an_axis_reaches_included_cells_several_do_not() {
    let text = "[matrix]\nsource = [\"gradients\", \"agg_update\"]\n[[include]]\nseed = 7";
    let sources = |value| {
        load(text, None, &[("source", value)]).cells.iter().map(|c| c.source).collect::<Vec<_>>()
    };
    assert_eq!(sources(json!("local_update")), [Source::LocalUpdate; 2]);
    let (o, l) = (Source::OneStepUpdate, Source::LocalUpdate);
    assert_eq!(sources(json!(["one_step_update", "local_update"])), [o, l, Source::Gradients]);
}

/// Measured minutes are those of the profile in force, and of nothing that overrides changed.
#[test]
fn minutes_are_those_of_the_profile_in_force() {
    let text = HEAD.replace("[defaults]", "minutes = 6\n[defaults]");
    let profiles = "[profiles.fast]\nminutes = 0.5\n[profiles.full]\ndescription = \"f\"\n";
    let read = |profile, overrides: &[(String, Value)]| {
        Suite::parse("t.toml", &format!("{text}{profiles}"), profile, overrides).unwrap().minutes
    };
    assert_eq!((read(None, &[]), read(Some("fast"), &[])), (Some(6.0), Some(0.5)));
    assert_eq!(read(Some("full"), &[]), None);
    assert_eq!(read(None, &[("trials".into(), json!(2))]), None);
    let bad = text.replace("minutes = 6", "minutes = -1");
    let error = Suite::parse("t.toml", &bad, None, &[]).unwrap_err().to_string();
    assert!(error.contains("suite.minutes") && error.contains("above 0"), "{error}");
    let bad = format!("{text}[profiles.fast]\nminutes = \"long\"\n");
    let error = Suite::parse("t.toml", &bad, Some("fast"), &[]).unwrap_err().to_string();
    assert!(error.contains("profiles.fast.minutes"), "{error}");
}
