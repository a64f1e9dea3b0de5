//! Registries: an implementation is an [`Entry`] in a static slice, found by its name.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::SpecError;

/// A constructor from a table of parameters.
pub type Build<T> = fn(&Map<String, Value>) -> Result<Box<T>, SpecError>;

/// One implementation of `T` (an attack, a defense, a model, ...).
pub struct Entry<T: ?Sized + 'static> {
    /// Unique kebab-case name.
    pub name: &'static str,
    /// What it is, in one line.
    pub summary: &'static str,
    /// The paper or implementation it follows.
    pub reference: &'static str,
    /// Builds it from its parameters; missing ones take their defaults.
    pub build: Build<T>,
}

impl<T: Parameters + ?Sized + 'static> Entry<T> {
    /// `given` with every default beside it: the table from which the same is built.
    ///
    /// # Errors
    /// As [`Entry::build`].
    pub fn spell_out(&self, given: &Map<String, Value>) -> Result<Map<String, Value>, SpecError> {
        Ok((self.build)(given)?.spelled_out())
    }
}

/// The parameters of an implementation. Whatever serde can write has them: derive [`Serialize`],
/// skip what is no parameter, and nothing else is to be written.
pub trait Parameters {
    /// All parameters with their values, as a suite would write them; from this table the same is
    /// built again. Empty where there is nothing to set.
    fn spelled_out(&self) -> Map<String, Value>;
}

impl<P: Serialize> Parameters for P {
    fn spelled_out(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }
}

/// The entry called `name`.
///
/// # Errors
/// [`SpecError::UnknownName`], which suggests the nearest name and lists all; `what` is the kind of
/// thing ("attack").
pub fn find<'a, T: ?Sized>(
    what: &'static str,
    entries: &'a [&'a Entry<T>],
    name: &str,
) -> Result<&'a Entry<T>, SpecError> {
    let found = entries.iter().find(|entry| entry.name == name);
    found
        .copied()
        .ok_or_else(|| SpecError::unknown_name(what, name, entries.iter().map(|entry| entry.name)))
}

/// Reads the parameters of `entry` into its own struct (`#[serde(deny_unknown_fields)]`).
///
/// # Errors
/// [`SpecError::UnknownKey`] with a suggestion, or [`SpecError::Form`] naming the parameter and
/// what was expected. What a `TryFrom` of the struct says is passed on in its own words.
pub fn params<P: DeserializeOwned>(entry: &str, map: &Map<String, Value>) -> Result<P, SpecError> {
    crate::read::value(entry, &Value::Object(map.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    trait Shape {
        fn area(&self) -> f64;
    }

    /// A square, as a paper would define it.
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields, default, try_from = "RawSquare")]
    struct Square {
        side: f64,
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct RawSquare {
        side: f64,
        unit: Unit,
    }

    #[derive(serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Unit {
        Metre,
        Inch,
    }

    impl Default for RawSquare {
        fn default() -> Self {
            RawSquare { side: 2.0, unit: Unit::Metre }
        }
    }

    impl Default for Square {
        fn default() -> Self {
            Square { side: 2.0 }
        }
    }

    impl TryFrom<RawSquare> for Square {
        type Error = SpecError;
        fn try_from(raw: RawSquare) -> Result<Self, SpecError> {
            let scale = if matches!(raw.unit, Unit::Inch) { 0.0254 } else { 1.0 };
            if raw.side >= 0.0 {
                Ok(Square { side: raw.side * scale })
            } else {
                Err(SpecError::value(
                    "side",
                    format!("must be at least 0, got {}", raw.side),
                    "write such as 2",
                ))
            }
        }
    }

    impl Shape for Square {
        fn area(&self) -> f64 {
            self.side * self.side
        }
    }

    static SQUARE: Entry<dyn Shape> = Entry {
        name: "square",
        summary: "four equal sides",
        reference: "Euclid, Elements I.46",
        build: |map| Ok(Box::new(params::<Square>("square", map)?)),
    };
    static SHAPES: &[&Entry<dyn Shape>] = &[&SQUARE];

    fn build(params: Value) -> Result<f64, String> {
        let entry = find("shape", SHAPES, "square").map_err(|e| e.to_string())?;
        let map = params.as_object().cloned().unwrap_or_default();
        (entry.build)(&map).map(|shape| shape.area()).map_err(|e| e.to_string())
    }

    #[test]
    fn entries_are_found_and_built() {
        assert_eq!(build(json!({})), Ok(4.0));
        assert_eq!(build(json!({ "side": 3 })), Ok(9.0));
        let missing = find("shape", SHAPES, "sqare").err().map(|e| e.to_string());
        assert_eq!(
            missing.as_deref(),
            Some("unknown shape `sqare` (did you mean `square`?); known: square")
        );
    }

    #[test]
    fn parameters_are_named_in_errors() {
        let said = |params| build(params).unwrap_err();
        assert_eq!(
            said(json!({ "sid": 3 })),
            "square: unknown key `sid` (did you mean `side`?); known: side, unit"
        );
        assert_eq!(
            said(json!({ "side": "x" })),
            "square.side: invalid type: string \"x\", expected f64"
        );
        assert_eq!(
            said(json!({ "unit": "inhc" })),
            "square.unit: unknown value `inhc` (did you mean `inch`?); known: metre, inch"
        );
        assert_eq!(
            said(json!({ "side": -1 })),
            "square: side: must be at least 0, got -1; write such as 2"
        );
    }
}
