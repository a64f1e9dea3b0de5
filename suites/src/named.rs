//! [`Named`] and [`Partition`]: values written as a bare name or as a table that carries a name.

use std::fmt;

use serde::de::{self, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::ser::{Error as _, SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::spec::{Named, Partition};

impl Named {
    /// The entry `name` with its default parameters.
    pub fn new(name: impl Into<String>) -> Self {
        Named { name: name.into(), params: Map::new() }
    }

    /// The same, with one parameter set.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.params.insert(key.into(), value.into());
        self
    }
}

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.params.contains_key("name") {
            return Err(S::Error::custom("a parameter may not be called `name`"));
        }
        let mut map = to.serialize_map(Some(1 + self.params.len()))?;
        map.serialize_entry("name", &self.name)?;
        for (key, value) in &self.params {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(NamedVisitor)
    }
}

struct NamedVisitor;

impl<'de> Visitor<'de> for NamedVisitor {
    type Value = Named;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name, or a table with a `name`")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Named, E> {
        Ok(Named::new(name))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Named, A::Error> {
        let mut params = Map::deserialize(MapAccessDeserializer::new(map))?;
        // `shift_remove` keeps the order of the rest, which is the order the author wrote.
        match params.shift_remove("name") {
            Some(Value::String(name)) => Ok(Named { name, params }),
            Some(other) => Err(de::Error::custom(format!("`name` must be a string, not {other}"))),
            None => Err(de::Error::missing_field("name")),
        }
    }
}

/// The table form of a [`Partition`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartitionTable {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpha: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    per_client: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeats: Option<usize>,
}

const KINDS: [&str; 5] = ["iid", "dirichlet", "shards", "by-identity", "repeated-labels"];

impl PartitionTable {
    fn partition(self) -> Result<Partition, String> {
        let partition = match self.kind.as_str() {
            "iid" => Partition::Iid,
            "by-identity" => Partition::ByIdentity,
            "dirichlet" => Partition::Dirichlet {
                alpha: self.alpha.ok_or("`dirichlet` needs `alpha`, such as 0.5")?,
            },
            "shards" => Partition::Shards {
                per_client: self.per_client.ok_or("`shards` needs `per_client`, such as 2")?,
            },
            "repeated-labels" => Partition::RepeatedLabels {
                repeats: self.repeats.ok_or("`repeated-labels` needs `repeats`, such as 2")?,
            },
            other => {
                return Err(crate::SpecError::unknown_name("partition", other, KINDS).to_string());
            }
        };
        if self.alpha.is_some() && !matches!(partition, Partition::Dirichlet { .. }) {
            return Err(format!("`{}` takes no `alpha`", self.kind));
        }
        if self.per_client.is_some() && !matches!(partition, Partition::Shards { .. }) {
            return Err(format!("`{}` takes no `per_client`", self.kind));
        }
        if self.repeats.is_some() && !matches!(partition, Partition::RepeatedLabels { .. }) {
            return Err(format!("`{}` takes no `repeats`", self.kind));
        }
        Ok(partition)
    }
}

impl Serialize for Partition {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let kind = match self {
            Partition::Iid => "iid",
            Partition::Dirichlet { .. } => "dirichlet",
            Partition::Shards { .. } => "shards",
            Partition::ByIdentity => "by-identity",
            Partition::RepeatedLabels { .. } => "repeated-labels",
        };
        let bare =
            PartitionTable { kind: kind.into(), alpha: None, per_client: None, repeats: None };
        match *self {
            Partition::Iid | Partition::ByIdentity => bare,
            Partition::Dirichlet { alpha } => PartitionTable { alpha: Some(alpha), ..bare },
            Partition::Shards { per_client } => {
                PartitionTable { per_client: Some(per_client), ..bare }
            }
            Partition::RepeatedLabels { repeats } => {
                PartitionTable { repeats: Some(repeats), ..bare }
            }
        }
        .serialize(to)
    }
}

impl<'de> Deserialize<'de> for Partition {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(PartitionVisitor)
    }
}

struct PartitionVisitor;

impl<'de> Visitor<'de> for PartitionVisitor {
    type Value = Partition;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a partition's name, or a table with a `kind`")
    }

    fn visit_str<E: de::Error>(self, kind: &str) -> Result<Partition, E> {
        let table =
            PartitionTable { kind: kind.into(), alpha: None, per_client: None, repeats: None };
        table.partition().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Partition, A::Error> {
        let table = PartitionTable::deserialize(MapAccessDeserializer::new(map))?;
        table.partition().map_err(de::Error::custom)
    }
}
