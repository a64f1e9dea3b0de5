//! What is wrong with a safetensors file, in words of its own.

use super::Problem;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use suites::foreign::printable;

/// The longest header that the format allows, in bytes.
const LONGEST: u64 = 100_000_000;

/// Checks the length, the header and the end of a file before its tensors are read.
pub(super) fn check(bytes: &[u8]) -> Result<(), Problem> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(Problem::malformed(bytes.len(), "the file ends within the header's length"));
    };
    let (length, there) = (u64::from_le_bytes(*length), rest.len() as u64);
    if length > LONGEST {
        return Err(Problem::malformed(
            0,
            format!("a header of {length} bytes, where the format allows {LONGEST}"),
        ));
    }
    if length > there {
        return Err(Problem::malformed(
            bytes.len(),
            format!("the file ends within its header, {} bytes early", length - there),
        ));
    }
    let (header, data) = rest.split_at(length as usize);
    let end = serde_json::from_slice::<End>(header).map_err(|e| {
        let what = printable(&e.to_string()).into_owned();
        Problem::malformed(8, format!("its header is not valid JSON: {what}"))
    })?;
    let there = data.len() as u64;
    if end.0 > there {
        Err(Problem::malformed(bytes.len(), format!("the file ends {} bytes early", end.0 - there)))
    } else if end.0 < there {
        let more = there - end.0;
        let at = bytes.len() - more as usize;
        Err(Problem::malformed(
            at,
            format!("the file has {more} bytes too many behind its tensors"),
        ))
    } else {
        Ok(())
    }
}

/// Where the data of the last tensor ends; the header itself is not kept.
struct End(u64);

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    data_offsets: Option<(u64, u64)>,
}

impl<'de> Deserialize<'de> for End {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<End, D::Error> {
        struct Walk;
        impl<'de> Visitor<'de> for Walk {
            type Value = End;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a dict of tensors")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<End, M::Error> {
                let mut end = 0;
                while let Some(name) = map.next_key::<std::borrow::Cow<str>>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    }
                    let entry: Entry = map.next_value()?;
                    end = end.max(entry.data_offsets.map_or(0, |(_, end)| end));
                }
                Ok(End(end))
            }
        }
        from.deserialize_map(Walk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let length = (header.len() as u64).to_le_bytes();
        [&length[..], header.as_bytes(), &vec![0; data]].concat()
    }

    #[test]
    fn each_damage_has_its_sentence() {
        let header = concat!(
            r#"{"__metadata__":{"data_offsets":"1"},"#,
            r#""w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#
        );
        assert!(check(&file(header, 8)).is_ok());
        let huge = [&(1u64 << 60).to_le_bytes()[..], b"{}"].concat();
        for (bytes, says) in [
            (file(header, 5), "ends 3 bytes early"),
            (file(header, 24), "16 bytes too many"),
            (file(header, 0)[..50].to_vec(), "ends within its header"),
            (huge, "a header of 1152921504606846976 bytes"),
            (file("{\"w\":", 8), "not valid JSON"),
            (file("[]", 8), "not valid JSON"),
            (b"\x08\0\0".to_vec(), "within the header's length"),
        ] {
            let Err(Problem::Malformed { what, .. }) = check(&bytes) else {
                panic!("{says}: accepted");
            };
            assert!(what.contains(says), "{says}: {what}");
        }
    }
}
