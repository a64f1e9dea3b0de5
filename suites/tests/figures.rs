//! What a suite declares to be drawn: read tolerantly for a paper, strictly with the suite.

use suites::figure::{Bold, FigureKind, FigureWidth, declared};

const SUITE: &str = "[suite]\nname = \"s\"\nversion = \"1\"\ndescription = \
    \"d\"\n[defaults]\ntask.dataset = \"photos\"\nmodel.name = \"mlp\"\nattack = \"dlg\"\n";

fn said(figures: &str) -> Vec<String> {
    let all = declared("f.toml", figures).unwrap();
    let wrong = all.figures.into_iter().filter_map(|(_, f)| f.err()).map(|e| e.to_string());
    wrong
        .chain(all.tables.into_iter().filter_map(|(_, t)| t.err()).map(|e| e.to_string()))
        .collect()
}

#[test]
fn figures_and_tables_come_with_their_lines() {
    let text = format!(
        "{SUITE}[[figure]]\nname = \"psnr-epsilon\"\nkind = \"metric-vs-parameter\"\nx = \
         \"defenses.epsilon\"\ny = \"psnr\"\nfilter = \
         {{ source = \"gradients\", \"defenses.name\" = [\"dp-local\", \"none\"] }}\nwidth = \
         \"page\"\n[[table]]\nname = \"t\"\nrows = [\"attack\"]\ncolumns = [\"psnr\"]\nbold = \
         \"best\"\n"
    );
    let suite = suites::Suite::parse("s.toml", &text, None, &[]).unwrap();
    let figure = &suite.figures[0];
    assert_eq!(
        (figure.kind, figure.x.as_deref()),
        (FigureKind::MetricVsParameter, Some("defenses.epsilon"))
    );
    assert_eq!(figure.filter[1].0, "defenses.name");
    assert_eq!((figure.place.line, figure.place.lines["filter.source"]), (9, 14));
    assert_eq!((suite.tables[0].bold, suite.tables[0].place.line), (Bold::Best, 16));
}

#[test]
fn a_hero_is_as_wide_as_the_page() {
    let text = "[[figure]]\nname = \"a\"\nkind = \"hero\"\n[[figure]]\nname = \"b\"\nkind = \
        \"grid\"\n";
    let width = |at: usize| declared("f.toml", text).unwrap().figures[at].1.as_ref().unwrap().width;
    assert_eq!([width(0), width(1)], [FigureWidth::Page, FigureWidth::Column]);
}

#[test]
fn one_bad_figure_leaves_the_others() {
    let text = "[[figure]]\nname = \"a\"\nkind = \"heatmap\"\n[[figure]]\nname = \"b\"\nkind = \
        \"grid\"\n[[figure]]\nname = \"b\"\nkind = \"bar\"\n";
    let all = declared("f.toml", text).unwrap();
    assert!(all.figures[1].1.is_ok());
    let wrong = said(text);
    assert_eq!(wrong.len(), 2);
    assert!(
        wrong[0]
            .starts_with("f.toml:3: unknown kind of figure `heatmap` (did you mean `heat-map`?)"),
        "{wrong:?}"
    );
    assert!(
        wrong[1].starts_with("f.toml:8: name: `b` is the name of another figure on line 4"),
        "{wrong:?}"
    );
}

#[test]
fn each_mistake_is_one_line() {
    let figure = |rest: &str| said(&format!("[[figure]]\nname = \"a\"\n{rest}\n")).join("|");
    assert!(
        figure("kind = \"bar\"\ncolor = \"attack\"")
            .contains("f.toml:4: figure: unknown key `color` (did you mean `colour`?)")
    );
    assert!(
        figure("kind = \"grid\"\nthreshold = 3.0")
            .contains("f.toml:4: figure of kind grid: unknown key `threshold`")
    );
    assert!(
        figure("kind = \"scatter\"\nx = \"psnr\"").contains("y: a figure of kind scatter needs it")
    );
    assert!(figure("kind = \"bar\"\nx = \"federatio.rounds\"").contains(
        "f.toml:4: unknown column `federatio.rounds` (did you mean `federation.rounds`?)"
    ));
    assert!(
        figure("kind = \"bar\"\nfilter = { \"capture.rnd\" = 1 }")
            .contains("f.toml:4: unknown column `capture.rnd`")
    );
    assert!(figure("kind = \"montage\"\ntop = 0").contains("write at least 1"));
    assert!(figure("kind = \"montage\"\ntop = -1").contains("f.toml:4: figure.top"));
    assert!(
        figure("kind = \"hero\"\nwidth = \"column\"")
            .contains("f.toml:4: width: a figure of kind hero has no room in a column")
    );
    assert!(figure("kind = \"hero\"\nwidth = \"page\"\nimages = 4").is_empty());
    assert!(said("[[figure]]\nname = \"A b\"\nkind = \"bar\"\n")[0].contains("cannot name a file"));
    assert!(
        said("[[table]]\nname = \"t\"\nrows = []\ncolumns = [\"psnr\"]\n")[0]
            .contains("f.toml:3: rows: the list is empty")
    );
    assert!(declared("f.toml", "figure = 3\n").unwrap_err().to_string().contains("[[figure]]"));
    // With the suite itself the first mistake is the suite's.
    let error = suites::Suite::parse(
        "s.toml",
        &format!("{SUITE}[[figure]]\nname = \"a\"\nkind = \"pie\"\n"),
        None,
        &[],
    )
    .unwrap_err();
    assert!(error.to_string().starts_with("s.toml:11: unknown kind of figure `pie`"), "{error}");
}
