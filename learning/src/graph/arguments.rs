//! Arguments and results of a node, from JSON.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::GraphError;
use super::lower::{Lowering, damaged, line_of};
use super::schema::Node;
use super::value::{Arg, Number, Whole};

/// The name of a tensor or a size.
pub(super) fn name_of(arg: &Json) -> Option<&str> {
    let inner = arg.get("as_tensor").and_then(|t| t.get("name")).and_then(Json::as_str);
    let sized = || {
        ["as_sym_int", "as_sym_float", "as_sym_bool"]
            .iter()
            .find_map(|kind| arg.get(kind)?.get("as_name")?.as_str())
    };
    let optional = || arg.get("as_optional_tensor")?.get("as_tensor")?.get("name")?.as_str();
    inner.or_else(sized).or_else(optional)
}

impl Lowering {
    pub(super) fn arguments(
        &mut self,
        node: &Node,
        renamed: &HashMap<usize, usize>,
    ) -> Result<Vec<(String, Arg)>, GraphError> {
        let mut args = Vec::new();
        for input in &node.inputs {
            let arg = self.argument(&input.arg, renamed).ok_or_else(|| {
                GraphError::new(
                    format!("{}: an argument of no known kind ({})", node.target, line_of(node)),
                    "export it without control flow or custom objects",
                )
            })?;
            args.push((input.name.clone(), arg));
        }
        Ok(args)
    }

    pub(super) fn argument(&mut self, arg: &Json, renamed: &HashMap<usize, usize>) -> Option<Arg> {
        let at = |low: &mut Self, name: &str| {
            let slot = low.slot(name);
            *renamed.get(&slot).unwrap_or(&slot)
        };
        if let Some(name) = name_of(arg) {
            return Some(Arg::Slot(at(self, name)));
        }
        let (kind, body) = arg.as_object()?.iter().next()?;
        let list = || body.as_array();
        Some(match kind.as_str() {
            "as_none" | "as_memory_format" | "as_layout" | "as_device" => Arg::None,
            "as_optional_tensor" => Arg::None,
            "as_int" => Arg::Number(Number::Int(body.as_i64()?)),
            "as_float" => Arg::Number(Number::Float(real(body)?)),
            "as_bool" => Arg::Bool(body.as_bool()?),
            "as_sym_int" => Arg::Number(Number::Int(body.get("as_int")?.as_i64()?)),
            "as_sym_float" => Arg::Number(Number::Float(real(body.get("as_float")?)?)),
            "as_sym_bool" => Arg::Bool(body.get("as_bool")?.as_bool()?),
            "as_string" => Arg::Text(body.as_str()?.to_owned()),
            "as_scalar_type" => Arg::Type(body.as_i64()?),
            "as_ints" => {
                let all: Option<Vec<Whole>> =
                    list()?.iter().map(|n| Some(Whole::Given(n.as_i64()?))).collect();
                Arg::Wholes(all?)
            }
            "as_sym_ints" => {
                let mut all = Vec::new();
                for n in list()? {
                    all.push(match n.get("as_name").and_then(Json::as_str) {
                        Some(name) => Whole::Of(at(self, name)),
                        None => Whole::Given(n.get("as_int")?.as_i64()?),
                    });
                }
                Arg::Wholes(all)
            }
            "as_floats" => Arg::Floats(list()?.iter().map(real).collect::<Option<_>>()?),
            "as_tensors" => {
                let mut all = Vec::new();
                for t in list()? {
                    all.push(Some(at(self, t.get("name")?.as_str()?)));
                }
                Arg::Slots(all)
            }
            "as_optional_tensors" => {
                let mut all = Vec::new();
                for t in list()? {
                    let name = t.get("as_tensor").and_then(|t| t.get("name"));
                    all.push(name.and_then(Json::as_str).map(|name| at(self, name)));
                }
                Arg::Slots(all)
            }
            _ => return None,
        })
    }

    pub(super) fn results(&mut self, node: &Node) -> Result<Vec<usize>, GraphError> {
        let mut out = Vec::new();
        for result in &node.outputs {
            if let Some(name) = name_of(result) {
                out.push(self.slot(name));
            } else if let Some(list) = result.get("as_tensors").and_then(Json::as_array) {
                for name in list.iter().filter_map(|t| t.get("name").and_then(Json::as_str)) {
                    out.push(self.slot(name));
                }
            } else if result.get("as_none").is_none() {
                return Err(damaged("a result of no known kind"));
            }
        }
        Ok(out)
    }
}

/// JSON has no infinities: they are words there.
fn real(value: &Json) -> Option<f64> {
    value.as_f64().or_else(|| match value.as_str()? {
        "Infinity" | "inf" => Some(f64::INFINITY),
        "-Infinity" | "-inf" => Some(f64::NEG_INFINITY),
        "NaN" | "nan" => Some(f64::NAN),
        _ => None,
    })
}
