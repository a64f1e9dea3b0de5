//! `wdbc.data` as UCI ships it: id, diagnosis (M or B) and 30 features a line, comma-separated, no
//! header.

use super::{FormatError, one_line};

/// Features per row.
pub const FEATURES: usize = 30;

/// The parsed table, in file order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wdbc {
    /// 1 for malignant, 0 for benign.
    pub labels: Vec<u8>,
    /// `[rows, 30]`, row by row.
    pub features: Vec<f64>,
}

/// The quantity that is measured, ten of them, each as mean, standard error and worst.
const MEASURES: [&str; 10] = [
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
];

/// Name of feature `index` (0 to 29).
pub fn feature_name(index: usize) -> String {
    let kind = ["mean", "standard error of", "worst"][index / 10 % 3];
    format!("{kind} {}", MEASURES[index % 10])
}

/// Parses the whole file; blank lines are skipped.
///
/// # Errors
/// Not UTF-8, not 32 fields, a diagnosis other than M and B, a feature that is no finite number, no
/// rows.
pub fn parse(bytes: &[u8]) -> Result<Wdbc, FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|e| {
        FormatError::new(
            format!("byte {}", e.valid_up_to()),
            "not text",
            "use wdbc.data as UCI ships it",
        )
    })?;
    let mut table = Wdbc::default();
    for (number, line) in text.lines().enumerate() {
        if !line.trim().is_empty() {
            row(line, &mut table).map_err(|mut e| {
                e.place = format!("line {}{}", number + 1, e.place);
                e
            })?;
        }
    }
    if table.labels.is_empty() {
        return Err(FormatError::new("line 1", "no rows", "use wdbc.data as UCI ships it"));
    }
    Ok(table)
}

fn row(line: &str, table: &mut Wdbc) -> Result<(), FormatError> {
    let found = line.split(',').count();
    if found != FEATURES + 2 {
        let problem = format!("{found} fields where {} are expected", FEATURES + 2);
        return Err(FormatError::new(
            "",
            problem,
            "a row is id, diagnosis and 30 features, separated by commas",
        ));
    }
    let mut fields = line.split(',').map(str::trim).skip(1);
    table.labels.push(match fields.next().unwrap_or_default() {
        "M" => 1,
        "B" => 0,
        other => {
            let problem = format!("diagnosis `{}`", one_line(other));
            return Err(FormatError::new(
                ", column 2",
                problem,
                "write M (malignant) or B (benign)",
            ));
        }
    });
    for (index, field) in fields.enumerate() {
        match field.parse::<f64>() {
            Ok(value) if value.is_finite() => table.features.push(value),
            _ => {
                let place = format!(", column {} ({})", index + 3, feature_name(index));
                let problem = format!("`{}` is no finite number", one_line(field));
                return Err(FormatError::new(place, problem, "write a number such as 17.99"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(diagnosis: &str, value: &str) -> String {
        format!("842302,{diagnosis},{}\n", vec![value; FEATURES].join(","))
    }

    #[test]
    fn rows_are_read() {
        let table = parse((line("M", "17.99") + "\n" + &line("B", "1e-3")).as_bytes()).unwrap();
        assert_eq!(table.labels, [1, 0]);
        assert_eq!(
            (table.features[0], table.features[59], table.features.len()),
            (17.99, 1e-3, 60)
        );
    }

    #[test]
    fn names_follow_uci() {
        assert_eq!(feature_name(0), "mean radius");
        assert_eq!(feature_name(13), "standard error of area");
        assert_eq!(feature_name(29), "worst fractal dimension");
    }

    #[test]
    fn faults_name_line_and_column() {
        let bad = |text: String| parse(text.as_bytes()).unwrap_err();
        assert_eq!(bad(line("M", "1") + "1,M,3\n").place, "line 2");
        assert_eq!(bad(line("X", "1")).place, "line 1, column 2");
        assert_eq!(bad(line("M", "NaN")).place, "line 1, column 3 (mean radius)");
        assert_eq!(bad(String::new()).problem, "no rows");
        assert!(parse(&[0xff, 0xfe]).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            value in "[0-9eE.+-]{0,8}",
        ) {
            let _ = parse(&bytes);
            if let Ok(table) = parse(line("B", &value).as_bytes()) {
                prop_assert_eq!(table.features.len(), FEATURES * table.labels.len());
            }
        }
    }
}
