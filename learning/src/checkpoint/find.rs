//! Finding the tensors of a model in what a pickle leaves.

use super::Problem;
use super::Wanted;
use super::contents::PassedOver;
use super::opaque;
use super::pickle::{Machine, shown};
use super::value::{Object, TensorRef, Value, is_read, storage_name};
use std::borrow::Cow;
use std::collections::HashSet;
use suites::foreign::Budget;

/// Keys under which training scripts commonly nest the state dict.
const CUSTOMARY: [&str; 8] =
    ["state_dict", "model", "model_state_dict", "net", "weights", "params", "network", "module"];

/// Bytes of a candidate and of a container that was looked at.
const CANDIDATE: usize = 256;

/// Tensors that may be those of a model.
pub(super) struct Found<'m, 'a> {
    /// The keys that lead to them.
    pub path: Vec<&'a str>,
    /// Whether they have names.
    pub named: bool,
    list: Vec<(Option<&'a str>, &'m TensorRef<'a>)>,
    /// Where they lie in the arena.
    index: usize,
}

impl<'m, 'a> Found<'m, 'a> {
    /// The keys that lead to them, joined by dots.
    pub fn place(&self) -> String {
        joined(&self.path)
    }

    /// They with their names, or numbers.
    pub fn tensors(&self) -> Vec<(Cow<'a, str>, &'m TensorRef<'a>)> {
        let name = |(at, (name, tensor)): (usize, &(Option<&'a str>, &'m TensorRef<'a>))| {
            (name.map_or_else(|| Cow::Owned(at.to_string()), Cow::Borrowed), *tensor)
        };
        self.list.iter().enumerate().map(name).collect()
    }

    /// Whether both are the same views of the same storages.
    pub fn same(&self, other: &Found) -> bool {
        self.list.len() == other.list.len()
            && self.list.iter().zip(&other.list).all(|(a, b)| a == b)
    }

    /// The lower, the likelier: what fits, customary keys, the top itself, any other key, names.
    fn rank(&self, wanted: &Wanted) -> (bool, usize, bool) {
        let customary = self.path.last().is_some_and(|key| CUSTOMARY.contains(key));
        let class = match (self.path.len(), customary) {
            (depth, true) => depth - 1,
            (depth, false) => depth + 2,
        };
        let shapes: Vec<_> = self.list.iter().map(|(name, t)| (*name, &t.size[..])).collect();
        (!(wanted.fits)(&shapes), class, !self.named)
    }
}

/// The likeliest tensors of a model at the top or at most two keys below; more than one where they
/// are equally likely.
pub(super) fn find<'m, 'a>(
    machine: &'m Machine<'a>,
    top: Value<'a>,
    wanted: &Wanted,
    budget: &mut Budget,
) -> Result<Vec<Found<'m, 'a>>, Problem> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    let mut level = vec![(Vec::new(), top)];
    for depth in 0..3 {
        let mut below = Vec::new();
        for (path, value) in level {
            let Value::Ref(index) = value else { continue };
            if !seen.insert(index) {
                continue;
            }
            found.extend(candidate(machine, &path, index, budget)?);
            if depth < 2 {
                below.extend(inner(machine, &path, value, budget)?);
            }
        }
        // What lies under two keys is known by the customary one.
        below.sort_by_key(|(path, _): &(Vec<&str>, _)| {
            !path.last().is_some_and(|key| CUSTOMARY.contains(key))
        });
        level = below;
    }
    let ranks: Vec<_> = found.iter().map(|f| f.rank(wanted)).collect();
    let best = ranks.iter().min().copied();
    let mut ranks = ranks.into_iter();
    found.retain(|_| ranks.next() == best);
    Ok(found)
}

/// The containers in a dict, by their keys.
type Inner<'a> = Vec<(Vec<&'a str>, Value<'a>)>;

fn inner<'a>(
    machine: &Machine<'a>,
    path: &[&'a str],
    value: Value<'a>,
    budget: &mut Budget,
) -> Result<Inner<'a>, Problem> {
    let Some(Object::Dict(pairs)) = machine.get(value) else { return Ok(Vec::new()) };
    let mut below = Vec::new();
    for (key, value) in pairs {
        let container = matches!(
            machine.get(*value),
            Some(Object::Dict(_) | Object::List(_) | Object::Tuple(_))
        );
        if let (Value::Text(key), true) = (key, container) {
            budget.hold_many(1, CANDIDATE)?;
            below.push((path.iter().chain([key]).copied().collect(), *value));
        }
    }
    Ok(below)
}

/// The tensors of a dict by their names, or of a list of nothing else.
fn candidate<'m, 'a>(
    machine: &'m Machine<'a>,
    path: &[&'a str],
    index: usize,
    budget: &mut Budget,
) -> Result<Option<Found<'m, 'a>>, Problem> {
    let (named, list) = match &machine.objects[index] {
        Object::Dict(pairs) => match numbered(machine, pairs) {
            Some(list) => (false, list),
            None => (true, named_tensors(machine, pairs, budget)?),
        },
        Object::List(items) | Object::Tuple(items) => {
            let tensors = items.iter().map_while(|&item| tensor(machine, item));
            let list: Vec<_> = tensors.map(|t| (None, t)).collect();
            (false, if list.len() == items.len() { list } else { Vec::new() })
        }
        _ => return Ok(None),
    };
    budget.hold_many(list.len(), CANDIDATE)?;
    let some = !list.is_empty();
    Ok(some.then(|| Found { path: path.to_vec(), named, list, index }))
}

/// The tensors of a dict whose keys are nothing but numbers, in the order of these.
fn numbered<'m, 'a>(
    machine: &'m Machine<'a>,
    pairs: &[(Value<'a>, Value<'a>)],
) -> Option<Named<'m, 'a>> {
    let mut list = Vec::new();
    for (key, value) in pairs {
        let Value::Int(number) = key else { return None };
        list.push((*number, tensor(machine, *value)?));
    }
    list.sort_by_key(|(number, _)| *number);
    let twice = list.windows(2).any(|pair| pair[0].0 == pair[1].0);
    (!twice && !list.is_empty()).then(|| list.into_iter().map(|(_, t)| (None, t)).collect())
}

fn tensor<'m, 'a>(machine: &'m Machine<'a>, value: Value<'a>) -> Option<&'m TensorRef<'a>> {
    match machine.get(value) {
        Some(Object::Tensor(tensor)) if is_read(tensor.storage.kind) => Some(tensor),
        _ => None,
    }
}

type Named<'m, 'a> = Vec<(Option<&'a str>, &'m TensorRef<'a>)>;

fn named_tensors<'m, 'a>(
    machine: &'m Machine<'a>,
    pairs: &[(Value<'a>, Value<'a>)],
    budget: &mut Budget,
) -> Result<Named<'m, 'a>, Problem> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (key, value) in pairs {
        if let (Value::Text(name), Some(tensor)) = (key, tensor(machine, *value)) {
            budget.hold_many(1, CANDIDATE / 2)?;
            if !seen.insert(*name) {
                return Err(Problem::malformed(0, format!("`{}` appears twice", shown(name))));
            }
            found.push((Some(*name), tensor));
        }
    }
    Ok(found)
}

/// Everything but the tensors that were found: in their dict, and beside it on the way to it.
pub(super) fn passed_over(machine: &Machine, top: Value, found: &Found) -> PassedOver {
    let mut over = PassedOver::default();
    let mut at = top;
    for depth in 0..=found.path.len() {
        let Some(Object::Dict(pairs)) = machine.get(at) else { break };
        let before = &found.path[..depth];
        let next = found.path.get(depth);
        let last = matches!(at, Value::Ref(index) if index == found.index);
        for (key, value) in pairs {
            if next.is_some_and(|next| *key == Value::Text(next)) {
                at = *value;
            } else if !last || !takes(machine, found.named, key, *value) {
                over.add(named(before, key), described(machine, *value), last);
            }
        }
    }
    over
}

/// Whether a pair is one of the tensors that were found in its dict.
fn takes(machine: &Machine, named: bool, key: &Value, value: Value) -> bool {
    matches!(key, Value::Text(_)) == named && tensor(machine, value).is_some()
}

fn named(path: &[&str], key: &Value) -> String {
    let key = match key {
        Value::Text(key) => shown(key),
        Value::Int(n) => n.to_string(),
        other => other.describe().to_string(),
    };
    if path.is_empty() { key } else { format!("{}.{key}", joined(path)) }
}

fn joined(path: &[&str]) -> String {
    path.iter().map(|key| shown(key)).collect::<Vec<_>>().join(".")
}

/// What a message calls a value.
pub(super) fn described(machine: &Machine, value: Value) -> String {
    match machine.get(value) {
        None => value.describe().into(),
        Some(Object::Tuple(_)) => "a tuple".into(),
        Some(Object::List(_)) => "a list".into(),
        Some(Object::Dict(_)) => "a dict".into(),
        Some(Object::Callable(_)) => "a name of PyTorch's".into(),
        Some(Object::Storage(storage)) => format!("torch.{}", storage_name(storage.kind)),
        Some(Object::Tensor(t)) if is_read(t.storage.kind) => format!("a tensor of {:?}", t.size),
        Some(Object::Tensor(t)) => format!("torch.{}", storage_name(t.storage.kind)),
        Some(Object::Array(_) | Object::Float32) => "numpy.ndarray".into(),
        Some(Object::Opaque(opaque)) => opaque::describe(*opaque),
    }
}

/// What a dict holds, for a message.
pub(super) fn inside(machine: &Machine, value: Value) -> String {
    let Some(Object::Dict(pairs)) = machine.get(value) else { return String::new() };
    let some = pairs.iter().take(4);
    let words: Vec<String> = some
        .map(|(key, value)| format!("`{}` ({})", named(&[], key), described(machine, *value)))
        .collect();
    if words.is_empty() { " without keys".into() } else { format!(" of {}", words.join(", ")) }
}
