//! Enums that are written as one word in suite files and records.

/// Gives a fieldless enum its words: `ALL`, `name()`, `Display`, `FromStr`, `Serialize`,
/// `Deserialize`.
macro_rules! string_enum {
    ($type:ident, $what:literal, $($variant:ident = $word:literal),+ $(,)?) => {
        impl $type {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that suite files and records use.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        $crate::string_enum::text_form!($type);

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
        impl std::str::FromStr for $type {
            type Err = $crate::SpecError;
            fn from_str(word: &str) -> Result<Self, Self::Err> {
                let found = Self::ALL.iter().find(|v| v.name() == word).copied();
                found.ok_or_else(|| {
                    $crate::SpecError::unknown_name($what, word, Self::ALL.iter().map(|v| v.name()))
                })
            }
        }
    };
}

/// Serde through `Display` and `FromStr`.
macro_rules! text_form {
    ($type:ident) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let word = String::deserialize(from)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use {string_enum, text_form};
