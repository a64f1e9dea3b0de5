//! Names with parameters as a command line writes them.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use suites::Named;

/// `NAME=VALUE` pairs as a table; a bare word is a string.
pub fn parameters(set: &[String]) -> Result<Map<String, Value>> {
    set.iter()
        .map(|pair| {
            let (name, value) =
                pair.split_once('=').with_context(|| format!("--set {pair}: write NAME=VALUE"))?;
            Ok((
                name.trim().to_string(),
                serde_json::from_str(value).unwrap_or_else(|_| json!(value)),
            ))
        })
        .collect()
}

/// `NAME` or `NAME:key=value,key=value`.
///
/// # Errors
/// A pair without `=`.
pub fn defense(text: &str) -> Result<Named> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let mut pairs: Vec<String> = Vec::new();
    for part in rest.split(',').filter(|p| !p.is_empty()) {
        match pairs.last_mut() {
            // A comma inside a value, such as that of a list of moduli.
            Some(last) if !part.contains('=') => *last = format!("{last},{part}"),
            _ => pairs.push(part.into()),
        }
    }
    let mut named = Named::new(name);
    named.params = parameters(&pairs)?;
    Ok(named)
}
