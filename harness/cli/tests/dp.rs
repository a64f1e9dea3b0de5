//! `bench dp`: answers, JSON, and what is refused.

mod common;

use std::time::Instant;

use common::Desk;
use serde_json::Value;

const EPSILON: [&str; 10] =
    ["dp", "epsilon", "--sigma", "1.1", "--rate", "0.01", "--steps", "1000", "--delta", "1e-5"];

fn json(desk: &Desk, args: &[&str]) -> Value {
    let done = desk.bench(&[args, &["--json"]].concat());
    assert_eq!(done.code, Some(0), "{done:#?}");
    serde_json::from_str(&done.out).unwrap()
}

#[test]
fn an_epsilon_comes_with_its_unit_neighbours_delta_and_both_accountants() {
    let desk = Desk::new();
    let done = desk.bench(&EPSILON);
    assert_eq!(done.code, Some(0), "{done:#?}");
    for part in
        ["delta 1e-5", "rdp ", "prv ", "(reported)", "one example", "added or removed", "Poisson"]
    {
        assert!(done.out.contains(part), "`{part}` is missing: {done:#?}");
    }
    let value = json(&desk, &[&EPSILON[..], &["--unit", "client"]].concat());
    assert_eq!(value["unit"], "all of a client's data");
    let (rdp, prv) = (value["accountants"]["rdp"].as_f64(), value["accountants"]["prv"].as_f64());
    assert!(rdp.unwrap() > prv.unwrap() && value["epsilon"].as_f64() == prv, "{value}");
    assert_eq!(value["reported"], "prv");
}

#[test]
fn a_sigma_put_back_in_gives_the_epsilon() {
    let desk = Desk::new();
    let rest = ["--steps", "2000", "--delta", "1e-6"];
    let asked = ["dp", "sigma", "--epsilon", "3", "--batch-size", "64", "--examples", "6400"];
    let value = json(&desk, &[&asked[..], &rest[..]].concat());
    assert_eq!(value["rate"].as_f64(), Some(0.01));
    let sigma = value["noise_multiplier"].as_f64().unwrap().to_string();
    let back =
        json(&desk, &[&["dp", "epsilon", "--sigma", &sigma, "--rate", "0.01"], &rest[..]].concat());
    assert_eq!(back["epsilon"], value["epsilon"]);
    let epsilon = back["epsilon"].as_f64().unwrap();
    assert!(epsilon <= 3.0 && epsilon > 2.997, "{epsilon}");
}

/// Exact costs by sixty-digit arithmetic of Balle and Wang's condition (mpmath).
#[test]
fn the_classical_formula_is_worth_less_than_it_says() {
    let desk = Desk::new();
    let rows = [("0.5", 0.35257), ("1", 0.75098), ("10", 10.39388), ("20", 25.44265)];
    for (asked, exact) in rows {
        let args = ["dp", "audit-formula", "--epsilon", asked, "--delta", "1e-5"];
        let value = json(&desk, &args);
        let cost = value["epsilon"].as_f64().unwrap();
        assert!((cost / exact - 1.0).abs() < 2e-5, "{asked}: {cost}");
        let holds = cost <= asked.parse::<f64>().unwrap();
        assert_eq!(value["holds"], holds);
        let told = desk.bench(&args).ok().out;
        assert!(told.contains(if holds { "promise holds" } else { "does not hold" }), "{told}");
    }
    for bad in [["--epsilon", "0", "--delta", "1e-5"], ["--epsilon", "1", "--delta", "1"]] {
        let done = desk.bench(&[&["dp", "audit-formula"][..], &bad].concat());
        assert_eq!((done.code, done.err.lines().count()), (Some(2), 1), "{done:#?}");
    }
}

#[test]
fn answers_take_less_than_three_seconds() {
    let desk = Desk::new();
    let start = Instant::now();
    json(
        &desk,
        &[
            "dp",
            "sigma",
            "--epsilon",
            "1",
            "--rate",
            "0.001",
            "--steps",
            "100000",
            "--delta",
            "1e-6",
        ],
    );
    assert!(start.elapsed().as_secs_f64() < 3.0, "{:?}", start.elapsed());
}

#[test]
fn bad_numbers_are_refused_on_one_line() {
    let desk = Desk::new();
    let with = |flag: &str, value: &'static str| {
        let mut args = EPSILON;
        let at = args.iter().position(|a| *a == flag).unwrap();
        args[at + 1] = value;
        args.to_vec()
    };
    let sigma = |target: &'static str| {
        vec![
            "dp",
            "sigma",
            "--epsilon",
            target,
            "--rate",
            "0.01",
            "--steps",
            "10",
            "--delta",
            "1e-5",
        ]
    };
    let mut cases = vec![(vec!["dp", "epsilon"], "--sigma")];
    for (flag, values) in [
        ("--sigma", &["0", "-1", "nan", "inf", "1e-300", "x"][..]),
        ("--rate", &["0", "-0.1", "1.5", "nan"]),
        ("--steps", &["0", "1.5"]),
        ("--delta", &["0", "1", "-1e-5", "nan"]),
    ] {
        cases.extend(values.iter().map(|value| (with(flag, value), flag)));
    }
    cases.extend(["0", "-1", "nan", "inf", "1e300"].map(|v| (sigma(v), "--epsilon")));
    let base = ["dp", "epsilon", "--sigma", "1", "--steps", "1", "--delta", "1e-5"];
    cases.push(([&base[..], &["--batch-size", "9"]].concat(), "--examples"));
    cases.push(([&base[..], &["--batch-size", "9", "--examples", "5"]].concat(), "--batch-size"));
    cases.push((base.to_vec(), "--rate"));
    for (args, says) in cases {
        let done = desk.bench(&args);
        assert_eq!(done.code, Some(2), "{args:?}: {done:#?}");
        assert!(
            done.out.is_empty() && done.err.trim_end().lines().count() == 1,
            "{args:?}: {done:#?}"
        );
        assert!(done.err.contains(says), "{args:?}: {done:#?}");
    }
}
