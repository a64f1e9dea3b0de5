//! Rust as far as the rules need it: which characters are code, and which stand in a string.

/// What stands at one place of the code.
#[derive(Debug, PartialEq)]
pub enum Piece<'a> {
    /// Code outside strings and comments.
    Code(&'a str),
    /// What is between the quotes of a string.
    Text(&'a str),
}

/// The pieces of a Rust file without its comments, each with the number of its first line.
pub fn pieces(source: &str) -> Vec<(usize, Piece<'_>)> {
    let mut found = Vec::new();
    let (mut at, mut start) = (0, 0);
    while at < source.len() {
        let rest = &source[at..];
        let Some((length, text)) = special(rest, &source[..at]) else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        found.push((start, Piece::Code(&source[start..at])));
        if let Some((from, to)) = text {
            found.push((at + from, Piece::Text(&source[at + from..at + to])));
        }
        at += length;
        start = at;
    }
    found.push((start, Piece::Code(&source[start..])));
    found.retain(|(_, piece)| *piece != Piece::Code(""));
    number(source, found)
}

/// A comment, string or character at the beginning of `rest`: its length, and where its text lies.
fn special(rest: &str, before: &str) -> Option<(usize, Option<(usize, usize)>)> {
    let until = |end: &str, from: usize| {
        let text = rest[from..].find(end).map_or(rest.len(), |at| from + at);
        (text, (text + end.len()).min(rest.len()))
    };
    if rest.starts_with("//") {
        return Some((rest.find('\n').unwrap_or(rest.len()), None));
    }
    if rest.starts_with("/*") {
        return Some((until("*/", 2).1, None));
    }
    if let Some(quote) = raw_quote(rest, before) {
        let (text, end) = until(&format!("\"{}", "#".repeat(quote - 2)), quote);
        return Some((end, Some((quote, text))));
    }
    if rest.starts_with('"') {
        let text = closing_quote(rest);
        return Some(((text + 1).min(rest.len()), Some((1, text))));
    }
    ["'\"'", "'\\\"'"].into_iter().find(|c| rest.starts_with(c)).map(|c| (c.len(), None))
}

/// The length of `r#"` with any number of `#`, where `rest` begins with it and no name ends there.
fn raw_quote(rest: &str, before: &str) -> Option<usize> {
    let hashes = rest.strip_prefix('r')?.bytes().take_while(|b| *b == b'#').count();
    let named = before.ends_with(|c: char| c.is_alphanumeric() && c != 'b' || c == '_');
    (!named && rest[1 + hashes..].starts_with('"')).then_some(hashes + 2)
}

/// Where the quote stands that closes a string; the end of `rest` where none does.
fn closing_quote(rest: &str) -> usize {
    let mut bytes = rest.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return at,
            _ => {}
        }
    }
    rest.len()
}

/// Places become lines, counted from 1.
fn number<'a>(source: &str, found: Vec<(usize, Piece<'a>)>) -> Vec<(usize, Piece<'a>)> {
    let (mut line, mut from) = (1, 0);
    found
        .into_iter()
        .map(|(at, piece)| {
            line += source[from..at].matches('\n').count();
            from = at;
            (line, piece)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<(usize, &str)> {
        let text = |(line, piece)| match piece {
            Piece::Text(text) => Some((line, text)),
            Piece::Code(_) => None,
        };
        pieces(source).into_iter().filter_map(text).collect()
    }

    #[test]
    fn strings_are_told_from_code_and_comments() {
        let source = "a(\"x\\\"y\"); // \"no\"\n/* \"no\" */ b('\"', r#\"z\"w\"#);\nc(r\"\", \"\")";
        assert_eq!(texts(source), [(1, "x\\\"y"), (2, "z\"w"), (3, ""), (3, "")]);
        let code: String = pieces(source)
            .iter()
            .filter_map(|(_, p)| match p {
                Piece::Code(code) => Some(*code),
                Piece::Text(_) => None,
            })
            .collect();
        assert_eq!(code, "a(); \n b(, );\nc(, )");
    }

    #[test]
    fn what_is_not_closed_ends_with_the_file() {
        for source in ["\"open", "\"", "r#\"open", "/* open", "'\"", "r#\"", "é\"é"] {
            assert!(pieces(source).len() <= 2, "{source}");
        }
    }
}
