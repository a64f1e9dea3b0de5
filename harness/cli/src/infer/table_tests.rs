use datasets::Column;

use super::super::columns::Columns;
use super::*;

fn columns() -> Columns {
    let names = ["mean radius", "standard error of concave points", "worst fractal dimension"];
    let column = |name: &str| Column { name: name.into(), low: 0.0, high: 10.0 };
    Columns { columns: names.map(column).to_vec(), scaled: false }
}

fn classes() -> Vec<String> {
    vec!["benign".into(), "malignant".into()]
}

fn read(text: &str) -> Result<Table, String> {
    parse(Path::new("t.csv"), text.as_bytes(), &columns(), &classes()).map_err(|e| e.to_string())
}

#[test]
fn headers_in_any_order_and_spelling() {
    for header in [
        "fractal_dimension_worst,id,radius_mean,diagnosis,concave points_se",
        "Worst Fractal Dimension,ID,mean radius,target,concave points error",
        "fractal_dimension3,row,radius1,Class,concave_points2",
        "\u{feff}\"worst fractal dimension\", id , mean radius,y,\"standard error of concave \
         points\"",
    ] {
        let table = read(&format!("{header}\n3,842302,1,M,2\n9,7,5,benign,4.5\n")).unwrap();
        assert_eq!(table.features, [[0.1, 0.2, 0.3], [0.5, 0.45, 0.9]], "{header}");
        assert_eq!(table.labels, Some(vec![1, 0]));
        assert_eq!((table.lines, table.unused.len()), (vec![2, 3], 0));
    }
}

#[test]
fn files_without_header_go_by_their_width() {
    assert_eq!(read("842302,M,1,2,3\r\n\r\n842517,B,4,5,6").unwrap().labels, Some(vec![1, 0]));
    assert_eq!(read("B,1,2,3\nM,1,2,30\n").unwrap().features[1], [0.1, 0.2, 1.0]);
    let plain = read("1,2,3\n-4,5,6\n").unwrap();
    assert_eq!((plain.labels, plain.features[1][0]), (None, 0.0));
}

#[test]
fn labels_are_optional_and_other_columns_are_told() {
    let table =
        read("mean radius,age,concave points_se,worst fractal dimension\n1,44,2,3\n").unwrap();
    assert_eq!((table.labels, table.unused), (None, vec!["age".to_string()]));
}

#[test]
fn mistakes_are_one_line_with_their_place() {
    let header = "mean radius,concave points_se,worst fractal dimension,diagnosis\n";
    for (text, line) in [
        (
            format!("{header}1,2,3,B\n1,oops,3,B\n"),
            "t.csv: line 3, column 2 (concave points_se): `oops` is no finite number; write a \
             number such as 17.99",
        ),
        (
            format!("{header}1,2,inf,B\n"),
            "t.csv: line 2, column 3 (worst fractal dimension): `inf` is no finite number; write \
             a number such as 17.99",
        ),
        (
            format!("{header}1,,3,B\n"),
            "t.csv: line 2, column 2 (concave points_se): `` is no finite number; write a number \
             such as 17.99",
        ),
        (
            format!("{header}1,2,3,X\n"),
            "t.csv: line 2, column 4 (diagnosis): `X` is no class of the model; write one of \
             benign, malignant, or a number from 0",
        ),
        (
            format!("{header}1,2,3,2\n"),
            "t.csv: line 2, column 4 (diagnosis): `2` is no class of the model; write one of \
             benign, malignant, or a number from 0",
        ),
        (
            "842302,1,2,3\n".into(),
            "t.csv: line 1, column 1 (label): `842302` is no class of the model: an id without a \
             class?; name the columns in the first line",
        ),
        (
            "0,1,2,3\n1,1,2,3\n2,1,2,3\n".into(),
            "t.csv: line 3, column 1 (label): `2` is no class of the model: an id without a \
             class?; name the columns in the first line",
        ),
        (
            "mean radius,concave points error,worst fractal \
             dimension,target\n1,2,3,malignant\n1,2,3,0\n"
                .into(),
            "t.csv: line 3, column 4 (target): `0` beside columns named as scikit-learn's, whose \
             class numbers are inverted; write class names: benign, malignant",
        ),
        (
            format!("{header}1,2,3\n"),
            "t.csv: line 2: 3 cells where 4 are expected; a row has as many cells as the first \
             line",
        ),
        (
            "mean radius,diagnosis\n1,B\n".into(),
            "t.csv: line 1: 2 of 3 columns missing: `standard error of concave points`, `worst \
             fractal dimension`; add them, named so in the first line",
        ),
        (
            "mean radius,radius_mean,concave points_se,worst fractal dimension,id,id\n".into(),
            "t.csv: line 1: column `id` is there twice; remove one of them",
        ),
        (
            "1,2\n".into(),
            "t.csv: line 1: 2 cells and no header, where the model has 3 features; write id, \
             class and the 3 features, or name the columns in the first line",
        ),
        (header.into(), "t.csv: line 1: no rows below the header; give at least one row"),
        (String::new(), "t.csv: line 1: the file is empty; give at least one row"),
    ] {
        assert_eq!(read(&text).unwrap_err(), line);
    }
    let bytes = parse(Path::new("t.csv"), b"1,2,3\n\xff\xfe,2,3\n", &columns(), &classes())
        .unwrap_err()
        .to_string();
    assert_eq!(bytes, "t.csv: line 2: not text in UTF-8; save it as CSV in UTF-8");
}

#[test]
fn scaled_rows_stay_as_they_are() {
    let scaled = Columns { scaled: true, ..columns() };
    let read = |text: &str| parse(Path::new("t.csv"), text.as_bytes(), &scaled, &classes());
    assert_eq!(read("0.25,0,1\n").unwrap().features, [[0.25, 0.0, 1.0]]);
    let line = read("0.25,0,1.5\n").unwrap_err().to_string();
    assert_eq!(
        line,
        "t.csv: line 1, column 3 (worst fractal dimension): 1.5 is outside [0, 1]; scale the \
         columns, or leave --scaled out"
    );
}

#[test]
fn classes_by_name_number_and_unmistakable_letter() {
    let three = ["cat", "dog", "cow"].map(String::from);
    assert_eq!(class("Dog", &three), Some(1));
    assert_eq!(class("d", &three), Some(1));
    assert_eq!(
        (class("c", &three), class("2", &three), class("1.0", &three)),
        (None, Some(2), Some(1))
    );
    assert_eq!(
        (class("3", &three), class("-1", &three), class("", &three), class("1.5", &three)),
        (None, None, None, None)
    );
}

#[test]
fn tables_of_other_tools_are_read_and_said() {
    let heading = "mean radius;concave points_se;worst fractal dimension";
    let excel = read(&format!("sep=;\n{heading}\n1,5;2;3\n")).unwrap();
    assert_eq!((excel.features, excel.lines), (vec![vec![0.15, 0.2, 0.3]], vec![3]));
    assert!(excel.notes[0].contains("semicolons"), "{:?}", excel.notes);
    // One of two marks of decimals parts thousands, and nobody can say which.
    let both = read(&format!("{heading}\n1,5;2.5;3\n")).unwrap_err();
    assert!(both.contains("column 2") && both.contains("another mark"), "{both}");
    // A column too few is named; Excel's line may be quoted.
    let few = read("\"SEP=;\"\nmean radius;concave points_se\n1;2\n").unwrap_err();
    assert!(few.contains("1 of 3 columns missing: `worst fractal dimension`"), "{few}");
    // Without a heading an empty last feature is missing, and no label is taken for a feature.
    let missing = read("B,1,2,\n").unwrap_err();
    assert!(missing.contains("column 4") && missing.contains("no finite number"), "{missing}");
    let tabs = read(&format!("{}\n1.5\t2\t3\n", heading.replace(';', "\t"))).unwrap();
    assert_eq!(tabs.features, [[0.15, 0.2, 0.3]]);
    // A comma too many at the end of the headings, of the rows, or of both.
    let plain = heading.replace(';', ",");
    for text in [format!("{plain},\n1,2,3\n"), format!("{plain}\n1,2,3,\n4,5,6,\n")] {
        assert_eq!(read(&text).unwrap().features[0], [0.1, 0.2, 0.3], "{text}");
    }
    // A heading that only counts is no row.
    // Blank lines count as lines.
    let spaced = read(&format!("\n\n{plain}\n\n1,2,3\r\n\r\n4,5,6\n")).unwrap();
    assert_eq!(spaced.lines, [5, 7]);
    let eight = Columns { columns: vec![columns().columns[0].clone(); 8], scaled: false };
    for (first, rows) in [(0, 1), (1, 1), (2, 2)] {
        let line: Vec<String> = (first..first + 8).map(|n| n.to_string()).collect();
        for line in [line.join(","), line.join(".0,") + ".0"] {
            let text = format!("{line}\n3,1,4,1,5,9,2,6\n");
            let table = parse(Path::new("t.csv"), text.as_bytes(), &eight, &classes()).unwrap();
            assert_eq!((table.features.len(), table.notes.len()), (rows, 2 - rows), "{text}");
        }
    }
}

#[test]
fn values_beyond_the_training_are_counted_and_refused_where_they_are_many() {
    let few = read("1,2,4\n3,4,5\n30,5,6\n").unwrap();
    assert!(few.notes[0].contains("1 of 9 values lie outside"), "{:?}", few.notes);
    let many = read("-1,2,4\n3,-4,5\n30,5,6\n").unwrap_err();
    assert!(many.contains("3 of 9 values lie outside") && many.contains("--scaled"), "{many}");
    let unit = read("0.1,0.2,0.4\n0.3,0.4,0.5\n").unwrap();
    assert!(unit.notes[0].contains("every value lies in [0, 1]"), "{:?}", unit.notes);
    let scaled = Columns { scaled: true, ..columns() };
    let parsed = |text: &str| parse(Path::new("t.csv"), text.as_bytes(), &scaled, &classes());
    assert_eq!(parsed("0.5,1.0000000000000002,0\n").unwrap().features, [[0.5, 1.0, 0.0]]);
    assert!(parsed("0.5,1.1,0\n").unwrap_err().to_string().contains("outside [0, 1]"));
}
