//! Numbers in records: JSON has no infinity and no NaN, so these are written as the words "inf",
//! "-inf" and "nan".
//!
//! A perfect reconstruction has an infinite PSNR; the raw score is kept and statistics cap it
//! later.

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};

/// A float that survives JSON whatever its value.
#[derive(Clone, Copy, Debug)]
pub struct Number(
    /// The value, which may be infinite or NaN.
    pub f64,
);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            v if v.is_nan() => to.serialize_str("nan"),
            f64::INFINITY => to.serialize_str("inf"),
            f64::NEG_INFINITY => to.serialize_str("-inf"),
            v => to.serialize_f64(v),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Plain(f64),
    Word(String),
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Written::deserialize(from)? {
            Written::Plain(v) => Ok(Number(v)),
            Written::Word(word) => match word.as_str() {
                "nan" => Ok(Number(f64::NAN)),
                "inf" => Ok(Number(f64::INFINITY)),
                "-inf" => Ok(Number(f64::NEG_INFINITY)),
                _ => Err(D::Error::custom(format!(
                    "`{word}` is neither a number nor inf, -inf, nan"
                ))),
            },
        }
    }
}

/// Makes a serde `with` module for a container of floats, given how to wrap and unwrap it.
macro_rules! with_numbers {
    ($module:ident, $plain:ty, $wrapped:ty, $wrap:expr, $unwrap:expr) => {
        pub(crate) mod $module {
            use super::*;
            #[allow(unused_imports)]
            use std::collections::BTreeMap;

            pub(crate) fn serialize<S: Serializer>(
                value: &$plain,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                let wrapped: $wrapped = $wrap(value);
                wrapped.serialize(to)
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<$plain, D::Error> {
                Ok($unwrap(<$wrapped>::deserialize(from)?))
            }
        }
    };
}

type Opt = Option<f64>;

fn wrap_scores(m: &crate::Scores) -> std::collections::BTreeMap<String, Option<Number>> {
    m.iter().map(|(k, v)| (k.clone(), v.map(Number))).collect()
}

fn unwrap_scores(m: std::collections::BTreeMap<String, Option<Number>>) -> crate::Scores {
    m.into_iter().map(|(k, v)| (k, v.map(|n| n.0))).collect()
}

with_numbers!(
    scores,
    crate::Scores,
    BTreeMap<String, Option<Number>>,
    wrap_scores,
    unwrap_scores
);
with_numbers!(
    baselines,
    BTreeMap<String, Vec<crate::Scores>>,
    BTreeMap<String, Vec<BTreeMap<String, Option<Number>>>>,
    |m: &BTreeMap<String, Vec<crate::Scores>>| m
        .iter()
        .map(|(k, v)| (k.clone(), v.iter().map(wrap_scores).collect()))
        .collect(),
    |m: BTreeMap<String, Vec<BTreeMap<String, Option<Number>>>>| m
        .into_iter()
        .map(|(k, v)| (k, v.into_iter().map(unwrap_scores).collect()))
        .collect()
);
with_numbers!(
    map,
    BTreeMap<String, f64>,
    BTreeMap<String, Number>,
    |m: &BTreeMap<String, f64>| m.iter().map(|(k, v)| (k.clone(), Number(*v))).collect(),
    |m: BTreeMap<String, Number>| m.into_iter().map(|(k, v)| (k, v.0)).collect()
);
with_numbers!(
    list,
    Vec<Opt>,
    Vec<Option<Number>>,
    |m: &Vec<Opt>| m.iter().map(|v| v.map(Number)).collect(),
    |m: Vec<Option<Number>>| m.into_iter().map(|v| v.map(|n| n.0)).collect()
);
with_numbers!(option, Opt, Option<Number>, |v: &Opt| v.map(Number), |v: Option<Number>| v
    .map(|n| n.0));
