//! A clipping norm: a number, or a quantile of the norms that public data give.

use std::fmt;

use learning::effect::{ClipUnit, Norm};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use suites::SpecError;

use super::common;

/// A clipping norm as it is written. Nothing private is asked for it: the quantile is that of norms
/// on the public split, which cost no budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Clip {
    /// `1.0`: the norm itself, above 0.
    Bound(f64),
    /// `{ public_quantile = 0.5 }`: half of the public norms are at most this.
    Public(Quantile),
}

/// A share of norms.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Quantile {
    /// Inside (0, 1).
    pub public_quantile: f64,
}

/// What has to be measured on public data before a defense can act.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pilot {
    /// The share of norms that its bound leaves whole, inside (0, 1).
    pub quantile: f64,
    /// Which norm.
    pub norm: Norm,
    /// Of what.
    pub unit: ClipUnit,
}

impl Clip {
    /// The norm; NaN, with which nothing is released, until it was measured.
    pub fn bound(self) -> f64 {
        match self {
            Clip::Bound(bound) => bound,
            Clip::Public(_) => f64::NAN,
        }
    }

    /// Refuses what is no norm and no share.
    ///
    /// # Errors
    /// Names the parameter.
    pub fn check(self, entry: &str) -> Result<(), SpecError> {
        match self {
            Clip::Bound(bound) => common::positive(entry, "clip", bound),
            Clip::Public(Quantile { public_quantile }) => {
                common::probability(entry, "clip.public_quantile", public_quantile)
            }
        }
    }

    /// What has to be measured; `None` for a number.
    pub fn pilot(self, norm: Norm, unit: ClipUnit) -> Option<Pilot> {
        match self {
            Clip::Bound(_) => None,
            Clip::Public(Quantile { public_quantile: quantile }) => {
                Some(Pilot { quantile, norm, unit })
            }
        }
    }
}

impl Default for Clip {
    fn default() -> Clip {
        Clip::Bound(1.0)
    }
}

impl From<f64> for Clip {
    fn from(bound: f64) -> Clip {
        Clip::Bound(bound)
    }
}

impl<'de> Deserialize<'de> for Clip {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Clip, D::Error> {
        from.deserialize_any(ClipVisitor)
    }
}

struct ClipVisitor;

impl<'de> Visitor<'de> for ClipVisitor {
    type Value = Clip;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a number above 0, or { public_quantile = 0.5 }")
    }

    fn visit_f64<E: de::Error>(self, bound: f64) -> Result<Clip, E> {
        Ok(Clip::Bound(bound))
    }

    fn visit_i64<E: de::Error>(self, bound: i64) -> Result<Clip, E> {
        Ok(Clip::Bound(bound as f64))
    }

    fn visit_u64<E: de::Error>(self, bound: u64) -> Result<Clip, E> {
        Ok(Clip::Bound(bound as f64))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Clip, A::Error> {
        Quantile::deserialize(MapAccessDeserializer::new(map)).map(Clip::Public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    #[test]
    fn it_is_written_as_it_is_read() {
        for written in [json!(1.0), json!(0.25), json!({ "public_quantile": 0.5 })] {
            let clip: Clip = from_value(written.clone()).unwrap();
            assert_eq!(serde_json::to_value(clip).unwrap(), written);
        }
        assert_eq!(from_value::<Clip>(json!(2)).unwrap(), Clip::Bound(2.0));
        let said = |v| from_value::<Clip>(v).unwrap_err().to_string();
        assert!(said(json!("half")).contains("{ public_quantile = 0.5 }"));
        assert!(said(json!({ "quantile": 0.5 })).contains("public_quantile"));
    }

    #[test]
    fn what_was_not_measured_is_no_number() {
        let clip: Clip = from_value(json!({ "public_quantile": 0.5 })).unwrap();
        assert!(clip.bound().is_nan() && clip.check("dp-local").is_ok());
        let share: Clip = from_value(json!({ "public_quantile": 1.0 })).unwrap();
        assert!(share.check("dp-sgd").unwrap_err().to_string().contains("clip.public_quantile"));
        assert!(Clip::Bound(-1.0).check("dp-sgd").is_err());
    }
}
