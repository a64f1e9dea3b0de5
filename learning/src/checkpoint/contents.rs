//! What a checkpoint holds for a reader, and what it holds beside that.

use super::find::{self, Found};
use super::pickle::Machine;
use super::storage::{Source, build};
use super::value::Value;
use super::{Problem, Wanted};
use suites::foreign::Budget;
use tch::Tensor;

/// Named at most; the rest is counted.
const MOST: usize = 1 << 10;

/// The tensors of a checkpoint.
#[derive(Debug)]
pub struct Contents {
    /// They in the order of the file; without names of their own they have their numbers.
    pub tensors: Vec<(String, Tensor)>,
    /// Whether they have names.
    pub named: bool,
    /// The keys that lead to them, joined by dots; `None` where they lie at the top.
    pub place: Option<String>,
    /// Whether the order is that of the one who saved them (safetensors sorts by name).
    pub ordered: bool,
    /// What was not read.
    pub passed_over: PassedOver,
}

/// What a file holds beside its tensors.
#[derive(Debug, Default)]
pub struct PassedOver {
    /// In the order of the file.
    pub values: Vec<Beside>,
    /// How many more there are.
    pub more: usize,
}

/// One value that was not read.
#[derive(Debug)]
pub struct Beside {
    /// Its key, after those that lead to it.
    pub name: String,
    /// What it is, such as `argparse.Namespace` or `torch.ByteStorage`.
    pub what: String,
    /// Whether it stands among the tensors that were read, as a parameter would.
    pub among: bool,
}

impl PassedOver {
    /// Adds one; what is beyond a thousand is only counted.
    pub fn add(&mut self, name: String, what: String, among: bool) {
        if self.values.len() < MOST {
            self.values.push(Beside { name, what, among });
        } else {
            self.more += 1;
        }
    }
}

/// Finds the tensors in what a pickle left, and builds them.
pub(super) fn contents<'a>(
    machine: &Machine<'a>,
    top: Value<'a>,
    source: &mut dyn Source<'a>,
    wanted: &Wanted,
    mut budget: Budget,
) -> Result<Contents, Problem> {
    let found = find::find(machine, top, wanted, &mut budget)?;
    let [first, others @ ..] = &found[..] else { return Err(nothing(machine, top)) };
    let tensors = build(first.tensors(), source, wanted.keep, &mut budget)?;
    for other in others {
        let copy = first.same(other) || {
            let built = build(other.tensors(), source, wanted.keep, &mut budget)?;
            equal(&tensors, &built)
        };
        if !copy {
            return Err(ambiguous(&found));
        }
    }
    Ok(Contents {
        tensors,
        named: first.named,
        place: (!first.path.is_empty()).then(|| first.place()),
        ordered: true,
        passed_over: find::passed_over(machine, top, first),
    })
}

fn equal(a: &[(String, Tensor)], b: &[(String, Tensor)]) -> bool {
    let same = |(x, y): (&(String, Tensor), &(String, Tensor))| {
        x.0 == y.0 && x.1.kind() == y.1.kind() && x.1.size() == y.1.size() && x.1.equal(&y.1)
    };
    a.len() == b.len() && a.iter().zip(b).all(same)
}

fn ambiguous(found: &[Found]) -> Problem {
    let places: Vec<String> = found.iter().take(8).map(|f| format!("`{}`", f.place())).collect();
    let keys = found[0].path.iter().map(|key| format!("[\"{}\"]", super::pickle::shown(key)));
    Problem::Refused(format!(
        "tensors of a model lie under {}, and they differ; keep those that are meant, such as \
         torch.save(torch.load(path){}, new_path)",
        places.join(", "),
        keys.collect::<String>()
    ))
}

fn nothing(machine: &Machine, top: Value) -> Problem {
    let held = find::described(machine, top);
    let inside = find::inside(machine, top);
    Problem::Refused(format!(
        "no named tensors, neither at the top nor two keys below: it holds {held}{inside}; save it \
         with torch.save(model.state_dict(), path)"
    ))
}
