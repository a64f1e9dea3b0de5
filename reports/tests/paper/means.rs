//! Means and shares: what is pooled, lost, tried again or capped.

use crate::cells::{ends, noised, number, wilson};
use crate::common::papers::{figure, made, paper, rows, run, said};
use record::testing::{from_spec, info, record};
use record::{CellRecord, CellSummary, Metrics, Outcome};

#[test]
fn a_single_cell_has_the_numbers_of_its_report() {
    let dir = tempfile::tempdir().unwrap();
    let records = [
        record("a", 0, &[12.0, 31.0, 22.5, 19.0, 18.0, 26.0, 24.0, 14.0, f64::INFINITY]),
        record("b", 0, &[8.0, 9.0, 7.0, 8.5, 7.5, 6.0, 9.5, 8.2]),
    ];
    run(dir.path(), &records);
    let figures = figure("bars", "kind = \"bar\"\nnull = \"none\"")
        + &figure("rates", "kind = \"bar\"\ny = \"success.psnr-20\"\nnull = \"all\"");
    let (summary, out) = paper(dir.path(), &figures);
    assert_eq!((summary.figures, summary.errors), (2, Vec::<String>::new()));
    let (bars, rates) = (rows(&out.join("data/bars.csv")), rows(&out.join("data/rates.csv")));
    for (at, record) in records.iter().enumerate() {
        let cell = CellSummary::from_record(record, &Metrics::from_run(&info("")));
        let own = &cell.metrics["psnr"];
        assert_eq!(number(&bars[at], "value"), own.mean.unwrap());
        let ci = own.ci.unwrap();
        assert_eq!((number(&bars[at], "low"), number(&bars[at], "high")), (ci.low, ci.high));
        assert_eq!(number(&bars[at], "n") as usize, own.n);
        assert_eq!(number(&bars[at], "capped") as usize, own.capped);
        let rate = &cell.success["PSNR ≥ 20 dB"];
        assert_eq!(
            (number(&rates[at], "value"), number(&rates[at], "low")),
            (rate.rate, rate.ci.unwrap().low)
        );
        assert_eq!(number(&rates[at], "successes") as usize, rate.successes);
    }
    assert!(said(&out, "bars").contains("1 value above the metric's cap"));
    // Every null baseline has no image of 20 dB; cells of nine and of eight images have baselines
    // of their own.
    assert_eq!(rates.len(), 2 + 2 * 4);
    let of_null = |name: &str| name.starts_with("null: ") || name == "oracle: nearest";
    assert!(rates[2..].iter().all(|r| of_null(&r["series"]) && number(r, "value") == 0.0));
}

#[test]
fn seeds_are_pooled_and_images_resampled_as_clusters() {
    let dir = tempfile::tempdir().unwrap();
    // The same eight images under two seeds, and an undefended cell of other values.
    let cells = [(Some(1.0), 0), (Some(1.0), 1), (Some(1000.0), 0), (Some(1000.0), 1), (None, 0)];
    let records: Vec<CellRecord> = cells
        .iter()
        .map(|(epsilon, seed)| {
            let base = epsilon.map_or(30.0, |e: f64| 10.0 + e.log10());
            let psnrs: Vec<f64> = (0..8).map(|i| base + f64::from(i) + *seed as f64).collect();
            from_spec(noised("a", *epsilon, *seed), &psnrs)
        })
        .collect();
    run(dir.path(), &records);
    let (summary, out) = paper(
        dir.path(),
        &figure(
            "eps",
            "kind = \"metric-vs-parameter\"\nx = \"defenses.epsilon\"\ny = \"psnr\"\ncolour = \
             \"attack.name\"",
        ),
    );
    assert_eq!(summary.errors, Vec::<String>::new());
    let data = rows(&out.join("data/eps.csv"));
    let x: Vec<&str> = data.iter().map(|r| r["x"].as_str()).collect();
    assert_eq!(x, ["1", "1000", ""]);
    assert_eq!((number(&data[0], "value"), number(&data[0], "n")), (14.0, 16.0));
    assert_eq!((number(&data[0], "units"), data[0]["values"].as_str()), (8.0, ""));
    assert_eq!(number(&data[1], "value"), 17.0);
    assert_eq!((data[2]["what"].as_str(), number(&data[2], "value")), ("undefended", 33.5));
    let remark = said(&out, "eps");
    assert!(
        remark.contains("pools up to 2 cells, which differ in seed; intervals resample units"),
        "{remark}"
    );
    assert_eq!(made(&out, "eps")["cells"].as_array().unwrap().len(), 5);
}

#[test]
fn lost_images_are_failures_and_never_vanish() {
    let dir = tempfile::tempdir().unwrap();
    let mut broken = from_spec(noised("b", None, 0), &[]);
    broken.outcome = Outcome::Failed { stage: "attack".into(), message: "out of memory".into() };
    broken.baselines.clear();
    let mut early = from_spec(noised("c", None, 0), &[]);
    early.outcome = Outcome::Failed { stage: "capture".into(), message: "no data".into() };
    let mut never = from_spec(noised("d", None, 0), &[]);
    never.outcome = Outcome::NotApplicable { why: "needs labels".into() };
    let mut part = from_spec(noised("a", None, 0), &[25.0, 30.0, 10.0, 28.0]);
    part.images[3].flags.push(suites::FlagKind::NonFinite.into());
    run(dir.path(), &[part, broken, early, never]);
    let figures = figure(
        "budget",
        "kind = \"success-vs-budget\"\nthreshold = 20.0\ncolour = \"attack\"",
    ) + &figure(
        "roc",
        "kind = \"roc\"\nnull = \"nearest\"\ncolour = \"attack\"\nfilter = { attack = \"a\" }",
    ) + &figure("bars", "kind = \"bar\"")
        + &figure("rates", "kind = \"bar\"\ny = \"success.psnr-20\"\nnull = \"none\"");
    let (summary, out) = paper(dir.path(), &figures);
    assert_eq!(summary.errors, Vec::<String>::new());
    let data = rows(&out.join("data/budget.csv"));
    let of = |name: &str| data.iter().find(|r| r["series"] == name).unwrap();
    // Of a's four one diverged; all four of b were lost.
    assert_eq!(
        (number(of("a"), "successes"), number(of("a"), "n"), number(of("a"), "failed")),
        (2.0, 4.0, 1.0)
    );
    // What b had cost is not known, so that it has no place along the budget; its lost images are
    // in the rates below.
    assert!(data.iter().all(|r| r["series"] != "b"));
    let rates = rows(&out.join("data/rates.csv"));
    let b = rates.iter().find(|r| r.values().any(|v| v == "b")).unwrap();
    assert_eq!((number(b, "value"), number(b, "n")), (0.0, 4.0));
    // Four images have no interval.
    assert_eq!((of("a")["low"].as_str(), of("a")["high"].as_str()), ("", ""));
    let remarks = said(&out, "budget");
    for told in [
        "1 cell not applicable",
        "1 cell left out that failed before the attack began",
        "1 image of failed or diverged",
        "1 cell left out: no gradient evaluations",
    ] {
        assert!(remarks.contains(told), "{told}: {remarks}");
    }
    assert!(
        said(&out, "bars")
            .contains("4 images without a usable value (failed attacks among them) are in no mean")
    );
    // Null at 13 dB: two images above all of them, one below, one lost: 2 / 4 of the area.
    let roc = rows(&out.join("data/roc.csv"));
    assert_eq!((number(&roc[0], "auc"), number(&roc[0], "positives")), (0.5, 4.0));
}

#[test]
fn an_image_tried_again_is_no_other_image() {
    let dir = tempfile::tempdir().unwrap();
    // Six of eight images fall in each of five cells, the other two in the last as well.
    let records: Vec<CellRecord> = (0..5)
        .map(|seed| {
            from_spec(
                noised("a", None, seed),
                &[[30.0; 6].as_slice(), &[if seed == 4 { 30.0 } else { 9.0 }; 2]].concat(),
            )
        })
        .chain([from_spec(noised("b", None, 0), &[[30.0; 6].as_slice(), &[9.0; 2]].concat())])
        .collect();
    run(dir.path(), &records);
    let (_, out) = paper(dir.path(), &figure("rates", "kind = \"bar\"\ny = \"success.psnr-20\""));
    let data = rows(&out.join("data/rates.csv"));
    assert_eq!((number(&data[0], "value"), number(&data[0], "n")), (0.8, 40.0));
    // 6.4 of eight images: between the intervals of 6 and of 7.
    assert_eq!(ends(&data[0]), (wilson(6, 8).0, wilson(7, 8).1));
    assert_eq!(ends(&data[1]), wilson(6, 8));
    let remarks = said(&out, "rates");
    assert!(remarks.contains("differ in seed; intervals take every unit"), "{remarks}");
    assert!(remarks.contains("tried more than once, count once"), "{remarks}");
}

#[test]
fn diverged_images_in_a_mean_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut record = from_spec(noised("a", None, 0), &[25.0, 30.0, 10.0, 9.0]);
    record.images[2].flags.push(suites::FlagKind::NonFinite.into());
    record.images[3].flags.push(suites::FlagKind::NonFinite.into());
    run(dir.path(), &[record, from_spec(noised("b", None, 0), &[9.0; 4])]);
    let figures = figure("bars", "kind = \"bar\"")
        + &figure("boxes", "kind = \"box\"")
        + &figure("cloud", "kind = \"scatter\"\nx = \"psnr\"\ny = \"ssim\"")
        + &figure("rates", "kind = \"bar\"\ny = \"success.psnr-20\"")
        + "[[table]]\nname = \"table\"\nrows = [\"attack\"]\ncolumns = [\"psnr\"]\n";
    let (_, out) = paper(dir.path(), &figures);
    for name in ["bars", "boxes", "cloud", "table"] {
        let remarks = said(&out, name);
        assert!(remarks.contains("2 diverged images enter as grey"), "{name}: {remarks}");
    }
    assert!(!said(&out, "rates").contains("grey"));
}
