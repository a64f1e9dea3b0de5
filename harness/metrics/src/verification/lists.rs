//! Lists of pairs: LFW's `pairs.txt`, and plain lines of two files and whether they show the same
//! person.

use super::VerificationError;
use suites::foreign::{Budget, Exceeded, limits};

/// Bytes that a pair may come to in memory, with the paths of its files.
const PAIR: usize = 512;

/// Two images by file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPair {
    /// The one image, below the folder of images.
    pub a: String,
    /// The other.
    pub b: String,
    /// Whether both show the same person.
    pub same: bool,
    /// The fold it belongs to, from 0.
    pub fold: usize,
    /// The line it stands on, from 1.
    pub line: usize,
}

/// Folds of a list that states none, where its pairs suffice.
const FOLDS: usize = 10;
const REMEDY: &str = "a line is `name n m`, `name n other m` (LFW's pairs.txt), or two files and \
    1 (same) or 0, with blanks between";

/// Parses a list. LFW's form begins with a line `folds pairs` (so many pairs of each kind a fold);
/// `name 3` is `name/name_0003.jpg`. With `folds`, or where the list states less than two, the
/// pairs of each kind are dealt in order: over `folds`, else over ten or as many as there are pairs
/// of the rarer kind.
///
/// # Errors
/// The line that is of neither form, a list that holds more or fewer pairs than it states, or too
/// few of a kind for the folds.
pub fn parse_pairs(text: &str, folds: Option<usize>) -> Result<Vec<ListedPair>, VerificationError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = (1..).zip(text.lines()).filter(|(_, l)| !l.trim().is_empty()).peekable();
    let stated = lines.peek().and_then(|(_, first)| {
        let numbers: Option<Vec<usize>> =
            first.split_whitespace().map(|f| f.parse().ok()).collect();
        numbers.filter(|n| n.len() <= 2 && !n.contains(&0))
    });
    if stated.is_some() {
        lines.next();
    }
    let mut budget = Budget::new(&limits::TABLE, text.len() as u64);
    let mut paid = |(number, line): (usize, &str)| {
        let exceeded = |e: Exceeded| VerificationError::new(e.to_string(), "split the list");
        budget.build(1, PAIR).map_err(exceeded)?;
        row(number, line)
    };
    let mut found = lines.map(&mut paid).collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() {
        return Err(VerificationError::new("the list of pairs is empty", REMEDY));
    }
    match stated.as_deref() {
        Some([stated, each]) => {
            let wanted = stated.saturating_mul(*each).saturating_mul(2);
            if wanted != found.len() {
                let problem = format!(
                    "the list states {wanted} pairs (2 x {stated} x {each}) and holds {}",
                    found.len()
                );
                return Err(VerificationError::new(
                    problem,
                    "the copy is damaged: get the list again",
                ));
            }
            if folds.is_none() && *stated > 1 {
                found.iter_mut().enumerate().for_each(|(i, p)| p.fold = i / (2 * each))
            } else {
                deal(&mut found, folds)?
            }
        }
        _ => deal(&mut found, folds)?,
    }
    Ok(found)
}

fn row(line: usize, text: &str) -> Result<ListedPair, VerificationError> {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let image =
        |name: &str, n: &str| n.parse::<u32>().ok().map(|n| format!("{name}/{name}_{n:04}.jpg"));
    let flag = |f: &str| {
        [("1", true), ("0", false)].iter().find(|(text, _)| *text == f).map(|(_, same)| *same)
    };
    let of = |a, b, same| Some(ListedPair { a, b, same, fold: 0, line });
    let found = match fields[..] {
        [name, n, m] if n.parse::<u32>().is_ok() => {
            image(name, n).zip(image(name, m)).and_then(|(a, b)| of(a, b, true))
        }
        [name, n, other, m] => {
            image(name, n).zip(image(other, m)).and_then(|(a, b)| of(a, b, false))
        }
        [a, b, same] => flag(same).and_then(|same| of(a.to_string(), b.to_string(), same)),
        _ => None,
    };
    found.ok_or_else(|| {
        let shown: String =
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(80).collect();
        VerificationError::new(format!("line {line}: `{shown}`"), REMEDY)
    })
}

/// Deals the pairs of each kind over the folds, in order; each fold has a pair of either kind at
/// least.
fn deal(pairs: &mut [ListedPair], folds: Option<usize>) -> Result<(), VerificationError> {
    let genuine = pairs.iter().filter(|p| p.same).count();
    let (rarer, kind) =
        [(genuine, "of the same person"), (pairs.len() - genuine, "of different persons")]
            .into_iter()
            .min_by_key(|(count, _)| *count)
            .unwrap_or_default();
    if rarer < 2 {
        let problem =
            if rarer == 0 { format!("no pair {kind}") } else { format!("a single pair {kind}") };
        return Err(VerificationError::new(problem, "folds take two pairs of each kind: add some"));
    }
    let folds = folds.unwrap_or(FOLDS.min(rarer));
    if folds > rarer {
        let problem = format!("{rarer} pairs {kind} for {folds} folds");
        return Err(VerificationError::new(
            problem,
            format!("ask for {rarer} folds at most, or add such pairs"),
        ));
    }
    for kind in [true, false] {
        let mut of: Vec<&mut ListedPair> = pairs.iter_mut().filter(|p| p.same == kind).collect();
        let n = of.len();
        of.iter_mut().enumerate().for_each(|(i, pair)| pair.fold = i * folds / n);
    }
    Ok(())
}
