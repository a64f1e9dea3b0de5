//! Operations in place: a graph of values can follow them as long as nobody looks at what was
//! changed by another name.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::GraphError;
use super::arguments::name_of;
use super::schema::Node;

/// Operations whose result shares its memory with their first argument.
const VIEWS: [&str; 17] = [
    "view",
    "reshape",
    "flatten",
    "unflatten",
    "permute",
    "transpose",
    "t",
    "squeeze",
    "unsqueeze",
    "expand",
    "select",
    "slice",
    "narrow",
    "split",
    "chunk",
    "unbind",
    "detach",
];

/// All tensors and sizes that an argument names.
pub(super) fn names(arg: &Json) -> Vec<&str> {
    if let Some(name) = name_of(arg) {
        return vec![name];
    }
    let Some(list) = arg.as_object().and_then(|o| o.values().next()).and_then(Json::as_array)
    else {
        return Vec::new();
    };
    list.iter()
        .filter_map(|item| {
            let plain = item.get("name").or_else(|| item.get("as_name"));
            plain.or_else(|| item.get("as_tensor")?.get("name")).and_then(Json::as_str)
        })
        .collect()
}

fn overload(target: &str) -> &str {
    target.strip_prefix("torch.ops.aten.").and_then(|t| t.split('.').next()).unwrap_or("")
}

/// Refuses a change in place of what is used later by another name.
pub(super) fn refuse(nodes: &[&Node]) -> Result<(), GraphError> {
    // The value whose memory each name shares.
    let mut roots: HashMap<&str, &str> = HashMap::new();
    for (at, node) in nodes.iter().enumerate() {
        let name = overload(&node.target);
        let Some(first) = node.inputs.first().and_then(|i| name_of(&i.arg)) else { continue };
        let root = *roots.get(first).unwrap_or(&first);
        let changes = name.ends_with('_') && !name.starts_with('_');
        if changes || VIEWS.contains(&name) {
            let own = node.outputs.iter().flat_map(names);
            roots.extend(own.map(|own| (own, root)));
        }
        if !changes {
            continue;
        }
        let shares = |other: &str| roots.get(other).copied().unwrap_or(other) == root;
        let result: Vec<&str> = node.outputs.iter().flat_map(names).collect();
        let later =
            nodes[at + 1..].iter().flat_map(|n| n.inputs.iter().flat_map(|i| names(&i.arg)));
        let other = later.into_iter().find(|n| shares(n) && *n != first && !result.contains(n));
        // Views that are made of the result from here on are of the new value.
        if let Some(other) = other.filter(|other| defined_before(nodes, at, other)) {
            return Err(GraphError::new(
                format!("`{}` changes `{first}` in place, which `{other}` shares", node.target),
                "write the model without that change in place",
            ));
        }
    }
    Ok(())
}

fn defined_before(nodes: &[&Node], at: usize, name: &str) -> bool {
    let made = |n: &&Node| n.outputs.iter().flat_map(names).any(|own| own == name);
    !nodes[at..].iter().any(made)
}
