//! What a paper's tables, LaTeX and folder of files must not do: take failures for values, read
//! elsewhere, leave old files, tell where they lie.

mod common;

use common::papers::{made, manifest, paper, run, run_as, text};
use image::{Rgb, RgbImage};
use record::testing::{from_spec, record};
use record::{CellRecord, Outcome};
use suites::{CellSpec, Named};

/// The line of a table that begins so.
fn line<'a>(tex: &'a str, start: &str) -> &'a str {
    tex.lines()
        .map(str::trim)
        .find(|l| l.starts_with(start))
        .unwrap_or_else(|| panic!("{start}: {tex}"))
}

/// A cell whose attack broke after everything else was done.
fn broken(attack: &str) -> CellRecord {
    let mut spec = CellSpec::new("photos", "simple-cnn", attack);
    spec.trials = 4;
    let mut record = from_spec(spec, &[]);
    record.outcome = Outcome::Failed { stage: "attack".into(), message: "out of memory".into() };
    (record.cost.gradient_evaluations, record.cost.iterations, record.cost.restarts) = (0, 0, 0);
    record.wall.attack_seconds = 0.0;
    record
}

#[test]
fn lost_images_are_no_client_of_the_summary() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = CellSpec::new("photos", "simple-cnn", "a");
    (spec.trials, spec.federation.clients.total) = (4, 2);
    run(dir.path(), &[from_spec(spec, &[30.0, 10.0, 30.0, 30.0]), broken("b")]);
    let (summary, out) = paper(
        dir.path(),
        "[[table]]\nname = \"clients\"\nrows = [\"client\"]\ncolumns = \
         [\"success.psnr-20\"]\nspread = \"none\"\nsummary = true\nbold = \"least\"\n",
    );
    assert_eq!(summary.errors, Vec::<String>::new());
    let tex = text(&out, "tables/clients.tex");
    // Client 0 has two of two, client 1 one of two; what b lost is in a row of its own, 0 of 4, and
    // in neither mean nor bold.
    assert_eq!(line(&tex, "- &"), "- & 0.00 \\\\");
    assert_eq!(line(&tex, "1 &"), "1 & \\textbf{0.50} \\\\");
    assert_eq!(line(&tex, "mean &"), "mean & 0.75 \\\\");
    assert!(tex.contains("Rows mean and sd leave out 4 images lost to failed attacks"), "{tex}");
}

#[test]
fn a_failed_attack_has_no_cost() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &[record("a", 0, &[10.0, 20.0]), broken("b"), record("c", 0, &[10.0, 20.0])]);
    let columns =
        ["cost.gradient_evaluations", "cost.iterations", "cost.restarts", "wall.attack_seconds"];
    let figures = format!(
        "[[table]]\nname = \"costs\"\nrows = [\"attack\"]\ncolumns = {columns:?}\nspread = \
         \"none\"\nbold = \"best\"\n\
         [[figure]]\nname = \"budget\"\nkind = \"success-vs-budget\"\ncolour = \"attack\"\n"
    );
    let (summary, out) = paper(dir.path(), &figures);
    assert_eq!(summary.errors, Vec::<String>::new());
    let tex = text(&out, "tables/costs.tex");
    assert_eq!(line(&tex, "b &"), "b & -- & -- & -- & -- \\\\");
    assert!(!tex.contains("textbf"), "{tex}");
    assert_eq!(tex.matches("1 cells whose attack failed are in no mean").count(), 4, "{tex}");
    assert!(line(&tex, "a &").ends_with("& 10.0 \\\\"), "{tex}");
    let budget = text(&out, "data/budget.csv");
    assert!(budget.lines().skip(1).all(|l| !l.contains(",point,0,")), "{budget}");
    let remarks = made(&out, "budget")["remarks"].to_string();
    assert!(remarks.contains("1 cell left out: no gradient evaluations"), "{remarks}");
    assert!(
        text(&out, "reproducibility.md").contains("what failed attacks evaluated is not known")
    );
}

#[test]
fn bold_is_per_group_and_nulls_have_none() {
    let dir = tempfile::tempdir().unwrap();
    let records: Vec<CellRecord> = [("a", 0, 30.0), ("a", 1, 31.0), ("b", 0, 10.0), ("b", 1, 11.0)]
        .iter()
        .map(|(attack, seed, psnr)| {
            let mut one = record(attack, *seed, &[*psnr, *psnr]);
            let null = record::testing::scores(if *seed == 0 { 5.0 } else { 6.0 });
            one.baselines.insert("grey".into(), vec![null.clone(), null]);
            one
        })
        .collect();
    run(dir.path(), &records);
    let table = |name: &str, rows: &str| {
        format!(
            "[[table]]\nname = \"{name}\"\nrows = {rows}\ncolumns = [\"psnr\", \
             \"null.grey.psnr\"]\nspread = \"none\"\nbold = \"best\"\n"
        )
    };
    let (_, out) = paper(
        dir.path(),
        &(table("two", "[\"attack.name\", \"seed\"]") + &table("one", "[\"seed\"]")),
    );
    let two = text(&out, "tables/two.tex");
    assert!(two.contains("\\textbf{31.00}") && two.contains("\\textbf{11.00}"), "{two}");
    assert_eq!(two.matches("textbf").count(), 2, "{two}");
    assert_eq!(text(&out, "tables/one.tex").matches("textbf").count(), 1);
}

#[test]
fn wide_tables_are_set_smaller() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &[record("a", 0, &[10.0, 20.0])]);
    let table = |name: &str, rest: &str| {
        format!(
            "[[table]]\nname = \"{name}\"\nrows = [\"attack\"]\n{rest}\ncolumns = [\"psnr\", \
             \"ssim\", \"mse\", \"label_match\"]\n"
        )
    };
    let (_, out) = paper(
        dir.path(),
        &(table("narrow", "spread = \"none\"")
            + &table("wide", "")
            + &table("page", "width = \"page\"")),
    );
    let small = |name: &str| {
        text(&out, name)
            .contains("\\footnotesize\n  \\setlength{\\tabcolsep}{3pt}\n  \\begin{tabular}")
    };
    assert!(!small("tables/narrow.tex") && small("tables/wide.tex") && !small("tables/page.tex"));
    assert!(text(&out, "tables/page.tex").contains("\\begin{table*}"));
    assert!(
        text(&out, "tables/wide.tex").contains("{\\footnotesize In brackets: 95 \\% intervals")
    );
}

#[test]
fn pictures_outside_the_run_are_not_opened() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("run");
    RgbImage::from_pixel(8, 8, Rgb([9, 9, 9])).save(outer.path().join("secret.png")).unwrap();
    let absolute = outer.path().join("secret.png").display().to_string();
    let mut one = record("a", 0, &[10.0, 20.0]);
    one.images[0].guess_png = Some("../secret.png".into());
    one.images[1].guess_png = Some(absolute.clone());
    run(&dir, &[one]);
    let (summary, out) = paper(&dir, "[[figure]]\nname = \"best\"\nkind = \"montage\"\n");
    assert_eq!(summary.errors, Vec::<String>::new());
    let remarks = made(&out, "best")["remarks"].to_string();
    for path in ["../secret.png", &absolute] {
        assert!(
            remarks.contains(&format!(
                "picture outside the run folder: {path}; its place is left blank"
            )),
            "{remarks}"
        );
    }
}

#[test]
fn from_names_what_lies_in_the_run_folder_and_stands_alone() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("run");
    run(&dir, &[record("a", 0, &[10.0, 20.0])]);
    let roc = "threshold,far,tar\ninf,0,0\n0.5,0,0.5\n0.2,0.5,1\n-1,1,1\n";
    std::fs::write(outer.path().join("roc.csv"), roc).unwrap();
    std::fs::write(dir.join("roc.csv"), roc).unwrap();
    std::fs::create_dir(dir.join("plain")).unwrap();
    common::trainings::write(&dir.join("plain"), &common::trainings::rounds(0.9, false));
    std::fs::create_dir(dir.join("torn")).unwrap();
    std::fs::write(dir.join("torn/records.csv"), "round\nx\n").unwrap();
    let absolute = outer.path().join("roc.csv").display().to_string();
    let figure = |name: &str, kind: &str, rest: &str| {
        format!("[[figure]]\nname = \"{name}\"\nkind = \"{kind}\"\n{rest}\n")
    };
    let mut figures = figure("up", "roc", "from = \"../roc.csv\"")
        + &figure("absolute", "roc", &format!("from = {absolute:?}"))
        + &figure("elsewhere", "learning-curve", "from = [\"plain\", \"../run/plain\"]")
        + &figure("torn", "learning-curve", "from = \"torn\"")
        + &figure("gone", "learning-curve", "from = \"gone\"")
        + &figure("curve", "learning-curve", "from = \"plain\"\nx = \"round\"\ny = \"accuracy\"")
        + &figure("fine", "roc", "from = \"roc.csv\"");
    let refused = [
        ("roc", "filter = { attack = \"a\" }", "filter"),
        ("roc", "y = \"psnr\"", "y"),
        ("roc", "null = \"grey\"", "null"),
        ("roc", "rows = \"seed\"", "rows"),
        ("roc", "colour = \"attack\"", "colour"),
        ("learning-curve", "filter = { attack = \"a\" }", "filter"),
        ("learning-curve", "columns = \"seed\"", "columns"),
    ];
    for (at, (kind, rest, _)) in refused.iter().enumerate() {
        let from = if *kind == "roc" { "roc.csv" } else { "plain" };
        figures += &figure(&format!("refused-{at}"), kind, &format!("from = \"{from}\"\n{rest}"));
    }
    let (summary, out) = paper(&dir, &figures);
    assert_eq!(
        (summary.figures, summary.errors.len()),
        (2, 5 + refused.len()),
        "{:#?}",
        summary.errors
    );
    for error in &summary.errors[..3] {
        assert!(
            error.contains("does not lie inside the run folder; copy it into the run folder"),
            "{error}"
        );
    }
    // The folder that the run lies in is nobody's business.
    for error in &summary.errors[3..5] {
        assert!(
            error.contains("records.csv") && !error.contains(&outer.path().display().to_string()),
            "{error}"
        );
    }
    for ((_, _, key), error) in refused.iter().zip(&summary.errors[5..]) {
        assert!(
            error.contains(&format!("drop `{key}`, or `from`"))
                && error.starts_with("figures.toml:"),
            "{error}"
        );
    }
    let source = &made(&out, "fine")["sources"][0];
    assert_eq!(
        (source["path"].as_str(), source["blake3"].as_str()),
        (Some("roc.csv"), Some(blake3::hash(roc.as_bytes()).to_hex().as_str()))
    );
    assert_eq!(made(&out, "curve")["sources"][0]["path"], "plain/records.csv");
}

#[test]
fn the_manifest_does_not_tell_where_files_lie() {
    let bytes = [(); 2].map(|()| {
        let outer = tempfile::tempdir().unwrap();
        let dir = outer.path().join("run");
        run(&dir, &[record("a", 0, &[10.0, 20.0])]);
        let figures = "[[figure]]\nname = \"Bad Name\"\nkind = \"bar\"\n[[figure]]\nname = \
            \"pie\"\nkind = \"pie\"\n\
                       [[figure]]\nname = \"column\"\nkind = \"bar\"\ny = \"pnsr\"\n\
                       [[figure]]\nname = \"gone\"\nkind = \"learning-curve\"\nfrom = \"gone\"\n";
        let (summary, out) = paper(&dir, figures);
        assert_eq!(summary.errors.len(), 4);
        assert!(
            summary.errors.iter().all(|e| e.starts_with("figures.toml:")),
            "{:#?}",
            summary.errors
        );
        text(&out, "manifest.json")
    });
    assert_eq!(bytes[0], bytes[1]);
}

#[test]
fn what_an_earlier_paper_left_is_removed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    run(dir.path(), &[record("a", 0, &[10.0, 20.0])]);
    let both =
        "[[figure]]\nname = \"one\"\nkind = \"bar\"\n[[figure]]\nname = \"two\"\nkind = \"bar\"\n";
    let (_, out) = paper(dir.path(), both);
    std::fs::write(out.join("figures/mine.pdf"), "mine").unwrap();
    std::fs::write(out.join("data/two.csv"), "changed").unwrap();
    std::fs::write(dir.path().join("other"), "x").unwrap();
    // A manifest may come from elsewhere: what it lists beside a paper's files is not touched.
    let hash = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
    let mut listed = manifest(&out);
    let files = listed["files"].as_array_mut().unwrap();
    files.push(serde_json::json!({ "path": "../other", "blake3": hash(b"x"), "bytes": 1 }));
    files.push(serde_json::json!({ "path": "notes.txt", "blake3": hash(b"x"), "bytes": 1 }));
    std::fs::write(out.join("notes.txt"), "x").unwrap();
    std::fs::write(out.join("manifest.json"), listed.to_string()).unwrap();
    let (summary, _) = paper(
        dir.path(),
        &both
            .replacen("kind = \"bar\"", "kind = \"bar\"\ny = \"psnr\"", 1)
            .replace("two\"\nkind = \"bar\"", "two\"\nkind = \"bar\"\ny = \"pnsr\""),
    );
    assert_eq!((summary.figures, summary.errors.len()), (1, 1));
    let there = |name: &str| out.join(name).is_file();
    assert!(
        ["pdf", "svg", "png"]
            .iter()
            .all(|e| there(&format!("figures/one.{e}")) && !there(&format!("figures/two.{e}")))
    );
    assert!(there("figures/mine.pdf") && there("notes.txt") && dir.path().join("other").is_file());
    assert!(
        there("data/two.csv")
            && summary.remarks.iter().any(|r| r.starts_with("data/two.csv is of an earlier paper"))
    );
}

#[test]
fn latex_is_ascii_and_commands_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    run_as(dir.path(), &[record("a", 0, &[10.0, 20.0])], |info| {
        info.command = "bench suite `demo` --set x=\"y\"".into();
    });
    let (summary, out) = paper(
        dir.path(),
        "[[figure]]\nname = \"bars\"\nkind = \"bar\"\ncaption = \"≈ Δ é \\\"x\\\" 漢字\"\n",
    );
    assert_eq!(summary.errors, Vec::<String>::new());
    let floats = text(&out, "figures.tex");
    assert!(floats.is_ascii(), "{floats}");
    assert!(
        floats.contains("\\caption{$\\approx$ $\\Delta$ \\'{e} ''x'' {[}U+6F22]{[}U+5B57]}"),
        "{floats}"
    );
    assert!(floats.contains("\\includegraphics{figures/bars.pdf}"), "{floats}");
    assert!(
        made(&out, "bars")["remarks"].to_string().contains("2 characters without a LaTeX command")
    );
    let paragraph = text(&out, "reproducibility.tex");
    assert!(
        paragraph.contains(
            "\\texttt{bench suite \
            \\textasciigrave{}demo\\textasciigrave{} \
            -{}-{}set x=\\string\"y\\string\"}, and figures"
        ),
        "{paragraph}"
    );
    assert!(
        text(&out, "reproducibility.md")
            .contains("`` bench suite `demo` --set x=\"y\" ``, and figures")
    );
}

#[test]
fn absent_columns_are_answered_with_what_was_meant() {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = CellSpec::new("photos", "simple-cnn", "a");
    (spec.trials, spec.defenses) = (2, vec![Named::new("dp-local").with("epsilon", 1.0)]);
    run(dir.path(), &[from_spec(spec, &[10.0, 20.0]), record("a", 0, &[10.0, 20.0])]);
    let asked = [
        ("epsilom", Some("epsilon")),
        ("acuracy", Some("task.accuracy")),
        ("defense", Some("defenses")),
        ("task.acuracy", Some("task.accuracy")),
        ("defenses.keep", None),
        ("defenses.epsilom", Some("defenses.epsilon")),
        ("nonsense", None),
    ];
    let figure = |(at, (name, _)): (usize, &(&str, Option<&str>))| {
        format!("[[figure]]\nname = \"f-{at}\"\nkind = \"bar\"\nx = \"{name}\"\n")
    };
    let (summary, _) = paper(dir.path(), &asked.iter().enumerate().map(figure).collect::<String>());
    assert_eq!(summary.errors.len(), asked.len());
    for ((name, meant), error) in asked.iter().zip(&summary.errors) {
        match meant {
            Some(meant) => {
                assert!(error.contains(&format!("(did you mean `{meant}`?)")), "{name}: {error}")
            }
            None => assert!(!error.contains("did you mean"), "{name}: {error}"),
        }
        let known = error.split("known: ").nth(1).unwrap();
        assert!(known.split(", ").filter(|k| *k == "defenses").count() <= 1, "{error}");
    }
}
