//! Registries: an implementation is an [`Entry`] in a static slice, found by its name.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::SpecError;

/// A constructor from a table of parameters.
pub type Build<T> = fn(&Map<String, Value>) -> Result<Box<T>, SpecError>;

/// One implementation of `T` (an attack, a defence, a model, ...).
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

/// The entry called `name`.
///
/// # Errors
/// [`SpecError::UnknownName`], which suggests the nearest name and lists all; `what` is the kind of thing
/// ("attack").
pub fn find<'a, T: ?Sized>(
    what: &'static str,
    entries: &'a [&'a Entry<T>],
    name: &str,
) -> Result<&'a Entry<T>, SpecError> {
    let found = entries.iter().find(|entry| entry.name == name);
    found.copied().ok_or_else(|| SpecError::unknown_name(what, name, entries.iter().map(|entry| entry.name)))
}

/// Reads the parameters of `entry` into its own struct (`#[serde(deny_unknown_fields)]`).
///
/// # Errors
/// [`SpecError::UnknownKey`] with a suggestion, or [`SpecError::Form`] naming the parameter and what was
/// expected. What a `TryFrom` of the struct says is passed on in its own words.
pub fn params<P: DeserializeOwned>(entry: &str, map: &Map<String, Value>) -> Result<P, SpecError> {
    crate::read::value(entry, &Value::Object(map.clone()))
}
