//! Canonical JSON: the one text that equal specs share, and the hashes taken of it.
//!
//! Keys are sorted by their bytes, there is no white space, and a number is written the same way
//! however it was typed (`1`, `1.0` and `1e0` are one number), so that an id does not depend on
//! spelling.

use serde_json::{Number, Value, json};

use crate::spec::CellSpec;

/// First 16 hexadecimal digits of BLAKE3.
pub(crate) fn digest(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

/// Canonical JSON of a cell.
pub(crate) fn cell(spec: &CellSpec) -> String {
    let mut spec = spec.clone();
    // Facts are a set: their order says nothing.
    spec.facts.sort_unstable();
    text(&value(&spec))
}

/// Canonical JSON of what cells must share to be paired.
pub(crate) fn world(spec: &CellSpec) -> String {
    text(&world_value(spec))
}

/// Canonical JSON of the world and the attack.
pub(crate) fn attack(spec: &CellSpec) -> String {
    text(&json!({ "world": world_value(spec), "attack": value(&spec.attack) }))
}

fn world_value(spec: &CellSpec) -> Value {
    json!({
        "version": crate::stream_key::VERSION,
        "task": value(&spec.task), "model": value(&spec.model),
        "federation": value(&spec.federation), "capture": value(&spec.capture),
        "source": value(&spec.source), "trials": spec.trials, "seed": spec.seed,
    })
}

/// JSON of a spec or a part of one. Only a parameter called `name` or a path that is not UTF-8
/// could fail, and [`CellSpec::check`] refuses both.
fn value<T: serde::Serialize>(part: &T) -> Value {
    serde_json::to_value(part)
        .unwrap_or_else(|error| json!({ "unserialisable": error.to_string() }))
}

/// Canonical JSON of any value.
pub fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Number(n) => out.push_str(&number(n)),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                separate(i, out);
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            out.push('{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                separate(i, out);
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(item, out);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

fn separate(index: usize, out: &mut String) {
    if index > 0 {
        out.push(',');
    }
}

/// Integers in decimal; everything else as the shortest digits that read back, in exponent form.
pub(crate) fn number(n: &Number) -> String {
    match n.as_f64() {
        _ if n.is_i64() || n.is_u64() => n.to_string(),
        // Up to 2^53 a float that is whole is exactly that integer.
        Some(x) if x == x.trunc() && x.abs() <= 9_007_199_254_740_992.0 => format!("{}", x as i64),
        Some(x) => format!("{x:e}"),
        None => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Named;

    #[test]
    fn one_text_whatever_the_spelling() {
        let numbers = [json!(1.0), json!(-0.0), json!(1e-5), json!(0.1), json!(1e300)];
        let b = [&numbers[..], &[json!(u64::MAX)]].concat();
        let spelt = json!({ "b": b, "a": { "z": null, "y": "\"\n" } });
        let expected =
            r#"{"a":{"y":"\"\n","z":null},"b":[1,0,1e-5,1e-1,1e300,18446744073709551615]}"#;
        assert_eq!(text(&spelt), expected);
        let again: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(text(&again), expected);
    }

    #[test]
    fn a_cell_in_full() {
        let mut spec = CellSpec::new("photos", "mlp", "dlg");
        spec.attack = Named::new("dlg").with("lr", 1.0);
        let expected = concat!(
            r#"{"attack":{"lr":1,"name":"dlg"},"capture":{"round":0},"defenses":[],"#,
            r#""facts":["batch-size","local-steps","learning-rate"],"#,
            r#""federation":{"clients":{"dropout":0,"examples":null,"partition":{"kind":"iid"},"#,
            r#""per_round":null,"sampling":"uniform","total":1},"#,
            r#""evaluation":{"every":1,"examples":null},"#,
            r#""local":{"augment":false,"batch_size":1,"beta1":9e-1,"beta2":9.99e-1,"epochs":1,"#,
            r#""lr":1e-2,"momentum":0,"optimizer":"sgd","prox":0,"#,
            r#""schedule":{"kind":"constant"},"weight_decay":0},"#,
            r#""regime":"bare","rounds":1,"server":{"kind":"fedavg","lr":1}},"#,
            r#""model":{"batch_norm":"train","init":"pytorch","name":"mlp","params":{},"#,
            r#""weights":null},"#,
            r#""seed":0,"source":"gradients","#,
            r#""task":{"dataset":"photos","label":null,"limit":null,"size":null,"split":"train"},"#,
            r#""trials":1,"vantage":"server"}"#,
        );
        assert_eq!(cell(&spec), expected);
    }
}
