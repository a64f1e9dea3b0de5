//! CelebA's lists: attributes, partition and identities; comma-separated with a header (Kaggle) or
//! in columns of blanks (the original).

use suites::foreign::{Budget, limits};

use super::{AGAIN, FormatError, one_line};
use crate::error::nearest;

/// Bytes that a row may come to in memory, with what is made of it.
const ROW: usize = 256;

/// Image names with one integer each, borrowed from the file's bytes.
pub type Column<'a> = Vec<(&'a str, i64)>;

/// Names of the attributes, in file order.
///
/// # Errors
/// Not UTF-8, or no header line.
pub fn attributes(bytes: &[u8]) -> Result<Vec<&str>, FormatError> {
    Ok(header(text(bytes)?)?.0)
}

/// The column of one attribute: 1 where the picture has it, 0 where not.
///
/// # Errors
/// An unknown attribute (with the nearest name), a row with too few or too many fields, a value
/// other than -1, 0 and 1, no rows.
pub fn attribute<'a>(bytes: &'a [u8], name: &str) -> Result<Column<'a>, FormatError> {
    let text = text(bytes)?;
    let (names, first) = header(text)?;
    let Some(at) = names.iter().position(|n| *n == name).filter(|&at| at < 63) else {
        return Err(FormatError::new(
            format!("line {first}"),
            format!("no column `{}`", one_line(name)),
            nearest(name, names.iter().copied()),
        ));
    };
    let read = |line: &'a str| {
        let marks = marks(line, &names)?;
        Ok((fields(line).next().unwrap_or_default(), marks >> at & 1))
    };
    rows(text, first, read)
}

/// All attributes of each picture: bit k is set where it has the k-th of [`attributes`].
///
/// # Errors
/// As [`attribute`], and more than 63 attributes.
pub fn all_attributes(bytes: &[u8]) -> Result<Column<'_>, FormatError> {
    let text = text(bytes)?;
    let (names, first) = header(text)?;
    if names.len() > 63 {
        let problem = format!("{} attributes, CelebA has 40", names.len());
        return Err(FormatError::new(format!("line {first}"), problem, AGAIN));
    }
    rows(text, first, |line| Ok((fields(line).next().unwrap_or_default(), marks(line, &names)?)))
}

/// A row's attributes, the k-th in bit k (of 63 at most), each checked.
fn marks(line: &str, names: &[&str]) -> Result<i64, FormatError> {
    let found = fields(line).count();
    if found != names.len() + 1 {
        let problem = format!("{found} fields where {} are expected", names.len() + 1);
        return Err(FormatError::new("", problem, AGAIN));
    }
    let mut marks = 0;
    for (k, value) in fields(line).skip(1).enumerate() {
        match value {
            "1" => marks |= 1i64.checked_shl(k as u32).unwrap_or(0),
            "-1" | "0" => {}
            other => {
                let place = format!(", column {} ({})", k + 2, one_line(names[k]));
                let problem = format!("`{}`", one_line(other));
                return Err(FormatError::new(place, problem, "an attribute is 1 or -1"));
            }
        }
    }
    Ok(marks)
}

/// Image names with their part: 0 train, 1 validation, 2 test.
///
/// # Errors
/// Rows that are not a name and a number from 0 to 2, or no rows.
pub fn partition(bytes: &[u8]) -> Result<Column<'_>, FormatError> {
    pairs(bytes, 2, "a row is an image name and 0 (train), 1 (val) or 2 (test)")
}

/// Image names with the number of who is in the picture.
///
/// # Errors
/// Rows that are not a name and a non-negative number, or no rows.
pub fn identities(bytes: &[u8]) -> Result<Column<'_>, FormatError> {
    pairs(bytes, i64::MAX, "a row is an image name and an identity's number")
}

fn pairs<'a>(bytes: &'a [u8], most: i64, remedy: &str) -> Result<Column<'a>, FormatError> {
    let text = text(bytes)?;
    let titled = text
        .lines()
        .next()
        .is_some_and(|l| fields(l).nth(1).is_some_and(|f| f.parse::<i64>().is_err()))
        && text.lines().next().is_some_and(|l| !fields(l).next().is_some_and(|f| f.contains('.')));
    let read = |line: &'a str| {
        let mut parts = fields(line);
        let value = (parts.next(), parts.next().map(str::parse::<i64>), parts.next());
        match value {
            (Some(image), Some(Ok(value)), None) if (0..=most).contains(&value) => {
                Ok((image, value))
            }
            _ => Err(FormatError::new("", format!("`{}`", one_line(line)), remedy)),
        }
    };
    rows(text, usize::from(titled), read)
}

fn text(bytes: &[u8]) -> Result<&str, FormatError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| FormatError::new(format!("byte {}", e.valid_up_to()), "not text", AGAIN))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The fields of a line, whichever separator it uses.
fn fields(line: &str) -> impl Iterator<Item = &str> {
    let comma = line.contains(',');
    line.split(move |c: char| if comma { c == ',' } else { c.is_whitespace() })
        .map(str::trim)
        .filter(move |f| comma || !f.is_empty())
}

/// Attribute names and the number of the line they stand on (1 or 2: the original begins with a
/// count).
fn header(text: &str) -> Result<(Vec<&str>, usize), FormatError> {
    let skip = usize::from(text.lines().next().is_some_and(|l| l.trim().parse::<u64>().is_ok()));
    let line = text.lines().nth(skip).unwrap_or_default();
    let mut names: Vec<&str> = fields(line).collect();
    if line.contains(',') && !names.is_empty() {
        names.remove(0);
    }
    let numeric = names.iter().any(|n| n.parse::<i64>().is_ok());
    if names.is_empty() || numeric {
        return Err(FormatError::new(
            format!("line {}", skip + 1),
            "no header with the attributes' names",
            "use list_attr_celeba.csv (Kaggle) or list_attr_celeba.txt (original) unchanged",
        ));
    }
    Ok((names, skip + 1))
}

fn rows<'a>(
    text: &'a str,
    skip: usize,
    read: impl Fn(&'a str) -> Result<(&'a str, i64), FormatError>,
) -> Result<Column<'a>, FormatError> {
    let mut budget = Budget::new(&limits::TABLE, text.len() as u64);
    let mut column = Vec::new();
    for (number, line) in text.lines().enumerate().skip(skip) {
        if line.trim().is_empty() {
            continue;
        }
        budget
            .build(1, ROW)
            .map_err(|e| FormatError::exceeded(format!("line {}", number + 1), &e))?;
        column.push(read(line).map_err(|mut e| {
            e.place = format!("line {}{}", number + 1, e.place);
            e
        })?);
    }
    if column.is_empty() {
        return Err(FormatError::new(format!("line {}", skip + 1), "no rows", AGAIN));
    }
    Ok(column)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KAGGLE: &str = "image_id,Male,Smiling\n000001.jpg,-1,1\n000002.jpg,1,-1\n";
    const ORIGINAL: &str = "2\nMale Smiling \n000001.jpg -1  1\n000002.jpg  1 -1\n";

    #[test]
    fn both_layouts_give_the_same_columns() {
        for file in [KAGGLE, ORIGINAL] {
            assert_eq!(attributes(file.as_bytes()).unwrap(), ["Male", "Smiling"]);
            let smiling = attribute(file.as_bytes(), "Smiling").unwrap();
            assert_eq!(smiling, [("000001.jpg", 1), ("000002.jpg", 0)]);
        }
        assert_eq!(
            all_attributes(KAGGLE.as_bytes()).unwrap(),
            [("000001.jpg", 2), ("000002.jpg", 1)]
        );
        assert!(all_attributes(format!("id{}\n", ",a".repeat(64)).as_bytes()).is_err());
        for file in [
            "image_id,partition\n1.jpg,0\n2.jpg,2\n",
            "1.jpg 0\n2.jpg 2\n",
            "1.jpg,0\r\n2.jpg,2\r\n",
        ] {
            assert_eq!(partition(file.as_bytes()).unwrap(), [("1.jpg", 0), ("2.jpg", 2)]);
        }
        assert_eq!(identities(b"1.jpg 2880\n").unwrap(), [("1.jpg", 2880)]);
    }

    #[test]
    fn faults_name_line_and_column() {
        let unknown = attribute(KAGGLE.as_bytes(), "Smilling").unwrap_err();
        assert_eq!(
            (unknown.place.as_str(), unknown.remedy.as_str()),
            ("line 1", "did you mean `Smiling`?")
        );
        let torn = attribute(b"id,Male,Smiling\n1.jpg,1,1\n2.jpg,1\n", "Male").unwrap_err();
        assert_eq!(torn.place, "line 3");
        let odd = attribute(b"id,Male,Smiling\n1.jpg,7,1\n", "Male").unwrap_err();
        assert_eq!((odd.place.as_str(), odd.problem.as_str()), ("line 2, column 2 (Male)", "`7`"));
        assert_eq!(partition(b"1.jpg 0\n2.jpg 3\n").unwrap_err().place, "line 2");
        assert_eq!(partition(b"1.jpg x\n").unwrap_err().place, "line 1");
        assert_eq!(partition(b"id,partition\n").unwrap_err().problem, "no rows");
        assert!(attributes(b"000001.jpg -1 1\n").unwrap_err().problem.contains("header"));
        assert!(attributes(&[0xff]).is_err());
    }

    proptest! {
        #[test]
        fn never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            text in "[0-9a-zA-Z,. \n-]{0,120}",
        ) {
            for hostile in [bytes.as_slice(), text.as_bytes()] {
                let _ = attributes(hostile);
                let _ = attribute(hostile, "Male");
                let _ = all_attributes(hostile);
                let _ = partition(hostile);
                let _ = identities(hostile);
            }
        }
    }
}
