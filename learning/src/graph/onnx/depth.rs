//! How deep the messages of a protocol buffer lie in each other: the parser goes down by calls.

/// Graphs within attributes of nodes, each of which counts three levels.
const MOST: usize = 64;

/// A field of a message.
enum Field<'b> {
    Bytes(u64, &'b [u8]),
    Other,
}

/// Refuses a file whose graphs and types lie deeper in each other than any model's.
///
/// # Errors
/// In words.
pub fn check(bytes: &[u8]) -> Result<(), &'static str> {
    // ModelProto.graph (7); GraphProto.node (1), input, output, value_info (11, 12, 13);
    // NodeProto.attribute (5); AttributeProto.g (6); types by their own fields.
    let mut open: Vec<(&[u8], usize)> = vec![(bytes, 0)];
    while let Some((mut rest, depth)) = open.pop() {
        if depth > MOST {
            return Err("its messages lie too deep in each other");
        }
        while !rest.is_empty() {
            match field(&mut rest).ok_or("it is cut off or no protocol buffer")? {
                Field::Bytes(number, inner) if holds_messages(number) && whole(inner) => {
                    open.push((inner, depth + 1));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Numbers of fields that may hold messages which hold messages; whatever else has them is small.
fn holds_messages(number: u64) -> bool {
    matches!(number, 1..=7 | 10..=15 | 20)
}

/// Whether bytes may be a message.
fn whole(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        if field(&mut bytes).is_none() {
            return false;
        }
    }
    true
}

fn field<'b>(rest: &mut &'b [u8]) -> Option<Field<'b>> {
    let key = varint(rest)?;
    match key & 7 {
        0 => varint(rest).map(|_| Field::Other),
        1 => skip(rest, 8).map(|_| Field::Other),
        5 => skip(rest, 4).map(|_| Field::Other),
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Some(Field::Bytes(key >> 3, skip(rest, length)?))
        }
        _ => None,
    }
}

fn skip<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = skip(rest, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(inner: &[u8], number: u8) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut length = inner.len();
        while length >= 0x80 {
            out.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend(inner);
        out
    }

    #[test]
    fn graphs_within_graphs_have_a_bound() {
        let nested = |times: usize| {
            let graph =
                (0..times).fold(Vec::new(), |g, _| wrapped(&wrapped(&wrapped(&g, 6), 5), 1));
            wrapped(&graph, 7)
        };
        assert!(check(&nested(10)).is_ok());
        assert!(check(&nested(100)).is_err());
        assert!(check(&[0x3a, 0x7f, 1]).is_err());
    }
}
