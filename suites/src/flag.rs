//! Flags: doubts about an image, an attack's result or a whole cell, in one dialect.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::string_enum::{string_enum, text_form};

/// A doubt about a result: what kind it is, and the particulars in words.
///
/// Written as `kind` or `kind: particulars`, such as `non-finite-restarts: 2 of 3`. Anything else
/// (what runs of schema 1 wrote) is kept as it stands, with no kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flag {
    kind: Option<FlagKind>,
    particulars: String,
}
text_form!(Flag);

/// What a flag is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FlagKind {
    /// The reconstruction held NaN or infinite pixels; a grey image was scored in its place.
    NonFinite,
    /// The PSNR is above the cap of means.
    PsnrCapped,
    /// A null baseline came closer to the original in mean squared error.
    WorseThanNull,
    /// The captured signal, or the part of it that the attack reads, is zero.
    ZeroGradient,
    /// The captured signal holds NaN or infinite values.
    NonFiniteSignal,
    /// Masked words or ciphertext stood in for an update.
    MaskedSignal,
    /// The client trained on an augmented image; the score is against the original.
    Augmented,
    /// The gradient of the first fully connected layer is that of more than one input.
    NotRankOne,
    /// The objective of some restarts left the finite numbers.
    NonFiniteRestarts,
    /// No restart ended at a finite objective.
    NoFiniteObjective,
    /// The exact stage failed; the image is that of the stage before it.
    FeaturesOnly,
    /// What the attack did about the defenses it was told of.
    Adapted,
    /// How the objective of matching was differentiated, where not by second-order autograd alone.
    Derivative,
    /// A guarantee that does not cover this cell's adversary.
    NotCovered,
}
string_enum!(
    FlagKind,
    "flag",
    NonFinite = "non-finite",
    PsnrCapped = "psnr-capped",
    WorseThanNull = "worse-than-null",
    ZeroGradient = "zero-gradient",
    NonFiniteSignal = "non-finite-signal",
    MaskedSignal = "masked-signal",
    Augmented = "augmented",
    NotRankOne = "not-rank-one",
    NonFiniteRestarts = "non-finite-restarts",
    NoFiniteObjective = "no-finite-objective",
    FeaturesOnly = "features-only",
    Adapted = "adapted",
    Derivative = "derivative",
    NotCovered = "not-covered",
);

impl Flag {
    /// A flag of that kind with particulars in words.
    pub fn with(kind: FlagKind, particulars: impl Into<String>) -> Flag {
        Flag { kind: Some(kind), particulars: particulars.into() }
    }

    /// Its kind; `None` for what schema 1 wrote in words of its own.
    pub fn kind(&self) -> Option<FlagKind> {
        self.kind
    }

    /// Whether it is of that kind.
    pub fn is(&self, kind: FlagKind) -> bool {
        self.kind == Some(kind)
    }

    /// The kind as one word without spaces; `other` where there is none.
    pub fn word(&self) -> &'static str {
        self.kind.map_or("other", FlagKind::name)
    }

    /// The same flag about one of several things: `place` stands before the particulars.
    #[must_use]
    pub fn at(&self, place: &str) -> Flag {
        let particulars = match self.particulars.as_str() {
            "" => place.to_owned(),
            words => format!("{place}, {words}"),
        };
        Flag { kind: self.kind, particulars }
    }
}

/// The kinds of some flags, each once, with a space between them: one field of a table.
pub fn flag_words<'a>(flags: impl IntoIterator<Item = &'a Flag>) -> String {
    let words: BTreeSet<&str> = flags.into_iter().map(Flag::word).collect();
    words.into_iter().collect::<Vec<_>>().join(" ")
}

/// Flags with their particulars, with a comma between them.
pub fn in_full(flags: &[Flag]) -> String {
    flags.iter().map(Flag::to_string).collect::<Vec<_>>().join(", ")
}

impl From<FlagKind> for Flag {
    fn from(kind: FlagKind) -> Flag {
        Flag::with(kind, "")
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.particulars.as_str()) {
            (Some(kind), "") => f.write_str(kind.name()),
            (Some(kind), words) => write!(f, "{kind}: {words}"),
            (None, words) => f.write_str(words),
        }
    }
}

impl FromStr for Flag {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Flag, Infallible> {
        let (word, particulars) = text.split_once(": ").unwrap_or((text, ""));
        Ok(match word.parse::<FlagKind>() {
            Ok(kind) => Flag::with(kind, particulars),
            Err(_) => Flag { kind: None, particulars: text.to_owned() },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_as_they_are_written() {
        let flags = FlagKind::ALL.iter().flat_map(|&k| [Flag::from(k), Flag::with(k, "2 of 3")]);
        for flag in flags {
            assert_eq!(flag.to_string().parse(), Ok(flag.clone()));
            assert!(!flag.word().contains(' ') && flag.kind().is_some_and(|k| flag.is(k)));
        }
        let json = serde_json::to_string(&Flag::with(FlagKind::NotRankOne, "residual 0.20"));
        assert_eq!(json.unwrap(), "\"not-rank-one: residual 0.20\"");
    }

    #[test]
    fn words_of_schema_1_are_kept() {
        let old: Flag = "zero gradient: layer 1".parse().unwrap();
        assert_eq!((old.kind(), old.word()), (None, "other"));
        assert_eq!(old.to_string(), "zero gradient: layer 1");
    }

    #[test]
    fn places_stand_in_front() {
        let flag = Flag::from(FlagKind::ZeroGradient);
        assert_eq!(flag.at("capture 0").to_string(), "zero-gradient: capture 0");
        let words = Flag::with(FlagKind::NotRankOne, "residual 0.20");
        assert_eq!(words.at("capture 1").to_string(), "not-rank-one: capture 1, residual 0.20");
    }
}
