//! How many dimensions a value has, where the file does not say it.

use super::super::value::Arg;
use super::Reader;

/// Operations whose result has two dimensions.
const PLANE: [&str; 3] = ["addmm", "flatten", "t"];

impl Reader {
    /// Notes the dimensions of a step's results, where those of its arguments are known.
    pub fn note_rank(&mut self, name: &str, args: &[(String, Arg)], outputs: &[usize]) {
        let Some(rank) = self.rank_behind(name, args) else { return };
        for output in outputs {
            self.low.ranks.entry(*output).or_insert(rank);
        }
    }

    fn rank_behind(&self, name: &str, args: &[(String, Arg)]) -> Option<usize> {
        let find = |key: &str| args.iter().find(|(own, _)| own == key).map(|(_, arg)| arg);
        let of = |key: &str| match find(key)? {
            Arg::Slot(slot) => self.low.ranks.get(slot).copied(),
            _ => None,
        };
        let count = |key: &str| match find(key)? {
            Arg::Wholes(list) => Some(list.len()),
            _ => None,
        };
        let first = || of("self").or_else(|| of("input"));
        match name {
            _ if PLANE.contains(&name) => Some(2),
            "reshape" => count("shape"),
            "full" => count("size"),
            "arange" => Some(1),
            "scalar_tensor" => Some(0),
            "expand" => Some(count("size")?.max(of("self")?)),
            "squeeze" => first()?.checked_sub(count("dim")?),
            "unsqueeze" => Some(first()? + 1),
            "select" => first()?.checked_sub(1),
            "embedding" => Some(of("indices")? + 1),
            "mean" | "sum" | "amax" | "amin" | "linalg_vector_norm" => {
                let kept = find("keepdim") == Some(&Arg::Bool(true));
                let gone = match count("dim")? {
                    0 => first()?,
                    n => n,
                };
                if kept { first() } else { first()?.checked_sub(gone) }
            }
            "cat" => match find("tensors")? {
                Arg::Slots(slots) => {
                    slots.iter().flatten().find_map(|slot| self.low.ranks.get(slot)).copied()
                }
                _ => None,
            },
            // Values that broadcast.
            _ => match (first(), of("other")) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, None) if find("other").is_none() => a,
                _ => None,
            },
        }
    }
}
