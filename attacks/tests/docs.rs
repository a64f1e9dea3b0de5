//! docs/attacks.md says what the code does: every attack, every parameter, every default, and an
//! example that compiles.

mod common;
#[path = "worked_example/coarse_to_fine.rs"]
mod worked_example;

use std::collections::BTreeMap;

use attacks::ENTRIES;
use common::{attack, build, capture, digits, lenet, mse, pixels, weights};
use serde_json::{Value, json};
use suites::Init;

const DOCS: &str = include_str!("../../docs/attacks.md");

/// Rows of the table whose header begins with `first`: the header, then each row's cells.
fn table(first: &str) -> Vec<Vec<&'static str>> {
    let mut lines = DOCS.lines().skip_while(|l| !l.starts_with(&format!("| {first} |")));
    let cells = |l: &'static str| -> Vec<&str> {
        l.trim().trim_matches('|').split('|').map(str::trim).collect()
    };
    let header = lines.next().unwrap_or_else(|| panic!("no table `| {first} |`"));
    std::iter::once(cells(header))
        .chain(lines.skip(1).take_while(|l| l.starts_with('|')).map(cells))
        .collect()
}

fn unquoted(cell: &str) -> &str {
    cell.trim_matches('`')
}

/// A value as the tables write it: JSON, strings bare.
fn written(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), String::from)
}

/// Parameters and defaults in the table, attack by attack.
fn documented(
    first: &str,
    from: usize,
) -> BTreeMap<&'static str, BTreeMap<&'static str, &'static str>> {
    let rows = table(first);
    let mut all: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for (column, name) in rows[0].iter().enumerate().skip(from) {
        for row in &rows[1..] {
            all.entry(unquoted(name)).or_default().insert(unquoted(row[0]), unquoted(row[column]));
        }
    }
    all
}

#[test]
fn every_parameter_and_default_is_documented() {
    let mut tables = documented("parameter", 2);
    for more in [
        "parameter of its own",
        "parameter of adapting",
        "parameter of choosing",
        "parameter of inversion",
        "parameter of label recovery",
    ] {
        documented(more, 2)
            .into_iter()
            .for_each(|(name, mut rows)| tables.entry(name).or_default().append(&mut rows));
    }
    tables.insert("analytic", BTreeMap::new());
    for entry in ENTRIES {
        let defaults = build(entry.name, json!({})).spelled_out();
        let table =
            tables.remove(entry.name).unwrap_or_else(|| panic!("`{}` has no column", entry.name));
        for (name, default) in &defaults {
            let found = table
                .get(name.as_str())
                .unwrap_or_else(|| panic!("{}: `{name}` is missing", entry.name));
            let same = written(default) == *found
                || default.as_f64().is_some_and(|d| found.parse::<f64>().is_ok_and(|f| f == d));
            assert!(same, "{}: `{name}` is {default}, documented as {found}", entry.name);
        }
        // What is 0 by default and came later is not spelled out there, so that ids stay.
        for (name, found) in table.iter().filter(|(k, _)| !defaults.contains_key(**k)) {
            if *name == "derivative" {
                let spelled = build(entry.name, json!({ "derivative": "auto" })).spelled_out();
                assert_eq!((*found, &spelled["derivative"]), ("exact", &json!("auto")));
                continue;
            }
            let with = |value: f64| build(entry.name, json!({ *name: value })).spelled_out();
            assert!(*found == "0" && !with(0.0).contains_key(*name), "{}: `{name}`", entry.name);
            assert_eq!(with(1.0)[*name], 1.0, "{}: `{name}` is unknown", entry.name);
        }
    }
    assert!(tables.is_empty(), "documented but not registered: {:?}", tables.keys());
}

#[test]
fn every_attack_is_introduced_with_what_it_needs() {
    let rows = table("attack");
    let listed: Vec<&str> = rows[1..].iter().map(|r| unquoted(r[0])).collect();
    let names: Vec<&str> = ENTRIES.iter().map(|e| e.name).collect();
    assert_eq!(listed, names, "the overview lists the registry in order");
    for (entry, row) in ENTRIES.iter().zip(&rows[1..]) {
        let needs = build(entry.name, json!({})).needs();
        let needs: Vec<String> = needs.iter().map(|f| format!("`{f}`")).collect();
        assert_eq!(row[2], needs.join(", "), "{}", entry.name);
        let paper = entry.reference.split([':', ',']).next().unwrap();
        assert!(row[1].contains(paper), "{}: `{}` does not name {paper}", entry.name, row[1]);
    }
}

/// What is documented of a choice is what is accepted, no more and no less.
#[test]
fn every_choice_is_documented() {
    let rows = table("parameter");
    for name in [
        "optimizer",
        "schedule",
        "objective",
        "tv",
        "init",
        "labels",
        "layer_weights",
        "derivative",
    ] {
        let meaning = rows.iter().find(|r| unquoted(r[0]) == name).unwrap()[1];
        let mut documented: Vec<String> =
            meaning.split('`').skip(1).step_by(2).map(String::from).collect();
        let mut accepted = choices(name);
        documented.sort();
        accepted.sort();
        assert_eq!(documented, accepted, "{name}");
    }
}

/// The values that the parameter takes, as the message about an unknown one lists them.
fn choices(name: &str) -> Vec<String> {
    let entry = suites::find("attack", ENTRIES, "fl-attack").unwrap();
    let error = (entry.build)(json!({ name: "no-such-choice" }).as_object().unwrap())
        .err()
        .unwrap()
        .to_string();
    let listed = ["known: ", "expected one of "].iter().find_map(|mark| error.split(mark).nth(1));
    listed
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .split(", ")
        .map(|c| unquoted(c).to_string())
        .collect()
}

#[test]
fn the_worked_example_is_the_code_that_runs() {
    let code = include_str!("worked_example/coarse_to_fine.rs");
    assert!(
        DOCS.contains(&format!("```rust\n{code}```")),
        "docs/attacks.md holds another version of the example"
    );
    let net = lenet();
    let (x, y) = digits(1, 1);
    let seen = capture(&net, &weights(&net, Init::DlgUniform, 1), &x, &y, false);
    let short = json!({ "iterations": 100 });
    let example = (worked_example::ENTRY.build)(short.as_object().unwrap()).unwrap();
    let found = attack(example.as_ref(), &seen, 0).unwrap();
    assert_eq!((found.iterations, example.spelled_out()["tv_weight"].as_f64()), (200, Some(1e-2)));
    assert!(mse(&found.pixels, &x) < mse(&pixels(&x.size(), 0), &x));
    for bad in [json!({ "iterations": 0 }), json!({ "tv_weight": -1 }), json!({ "tv": 1 })] {
        assert!((worked_example::ENTRY.build)(bad.as_object().unwrap()).is_err(), "{bad}");
    }
}
