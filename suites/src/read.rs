//! JSON into structs, with errors that name the field.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::SpecError;

/// Reads `value`; errors name `place` (may be empty) followed by the path within the value.
pub(crate) fn value<T: DeserializeOwned>(place: &str, value: &Value) -> Result<T, SpecError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        // List items are segments like any other: `defenses.0`, not `defenses[0]`.
        let inner = error.path().to_string().replace('[', ".").replace(']', "");
        translate(place, inner.trim_start_matches('.'), &error.inner().to_string())
    })
}

/// Turns serde's words for an unknown key into ours, which suggest a near one.
fn translate(place: &str, inner: &str, message: &str) -> SpecError {
    if let Some(rest) = message.strip_prefix("unknown field ") {
        let mut quoted = rest.split('`').skip(1).step_by(2).map(str::to_owned);
        let key = quoted.next().unwrap_or_default();
        let table = inner.strip_suffix(&key).unwrap_or(inner);
        return SpecError::UnknownKey {
            place: join(place, table.trim_end_matches('.')),
            key,
            known: quoted.collect(),
        };
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        let mut quoted = rest.split('`').skip(1).step_by(2);
        let error = SpecError::unknown_name("value", quoted.next().unwrap_or_default(), quoted);
        return SpecError::form(join(place, inner), error.to_string());
    }
    match join(place, inner) {
        path if path.is_empty() => SpecError::form("spec", message),
        path => SpecError::form(path, message),
    }
}

/// `a.b`, or whichever of the two is not empty.
pub(crate) fn join(a: &str, b: &str) -> String {
    match (a, b) {
        ("", b) => b.into(),
        (a, "") => a.into(),
        (a, b) => format!("{a}.{b}"),
    }
}
