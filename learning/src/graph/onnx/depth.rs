//! The messages of a protocol buffer before the parser sees them: it goes down by calls, and takes
//! the length of a text at its word.

/// Graphs within attributes of nodes, each of which counts three levels.
const MOST: usize = 64;

/// A field of a message.
enum Field<'b> {
    Bytes(u64, &'b [u8]),
    Other,
}

/// The messages of the format that hold others, or texts.
#[derive(Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    SequenceType,
    Shape,
    /// Of texts and numbers alone.
    Leaf,
}

impl Message {
    /// The message in a field of this one.
    fn field(self, number: u64) -> Option<Message> {
        Some(match (self, number) {
            (Message::Model, 7) => Message::Graph,
            (Message::Model, 8 | 14) => Message::Leaf,
            (Message::Graph, 1) => Message::Node,
            (Message::Graph, 5) => Message::Tensor,
            (Message::Graph, 11..=13) => Message::ValueInfo,
            (Message::Graph | Message::Node | Message::Tensor, 14 | 16) => Message::Leaf,
            (Message::Node, 5) => Message::Attribute,
            (Message::Attribute, 5 | 10) => Message::Tensor,
            (Message::Attribute, 6 | 11) => Message::Graph,
            (Message::Attribute, 14 | 15) => Message::Type,
            (Message::Tensor, 3 | 13) => Message::Leaf,
            (Message::ValueInfo, 2) => Message::Type,
            (Message::Type, 1 | 8) => Message::TensorType,
            (Message::Type, 4 | 9) => Message::SequenceType,
            (Message::TensorType, 2) => Message::Shape,
            (Message::SequenceType, 1) => Message::Type,
            (Message::Shape, 1) => Message::Leaf,
            _ => return None,
        })
    }
}

/// Refuses a file whose messages lie deeper in each other than any model's, or of which one is no
/// message: the parser takes the length of a text at its word.
///
/// # Errors
/// In words.
pub fn check(bytes: &[u8]) -> Result<(), &'static str> {
    let mut open: Vec<(&[u8], Message, usize)> = vec![(bytes, Message::Model, 0)];
    while let Some((mut rest, message, depth)) = open.pop() {
        if depth > MOST {
            return Err("its messages lie too deep in each other");
        }
        while !rest.is_empty() {
            let found = field(&mut rest).ok_or("it is cut off or no protocol buffer")?;
            let Field::Bytes(number, inner) = found else { continue };
            if let Some(inside) = message.field(number) {
                open.push((inner, inside, depth + 1));
            }
        }
    }
    Ok(())
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
        // A text in a node that claims to be longer than the node.
        assert!(check(&wrapped(&wrapped(&[0x1a, 0x7f, 1], 1), 7)).is_err());
    }
}
