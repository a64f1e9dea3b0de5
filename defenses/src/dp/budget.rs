//! A privacy guarantee with everything that makes it mean something.

use std::collections::BTreeMap;
use std::fmt;

/// What one person's data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// One training example.
    Example,
    /// Everything a client holds.
    Client,
}

/// Which two data sets the guarantee compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbouring {
    /// One unit added or removed.
    AddRemove,
    /// One client's contribution present or replaced by zero, its taking part being known.
    ZeroOut,
}

/// `(epsilon, delta)`-DP over a whole deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Budget {
    /// Privacy loss; infinite where nothing is guaranteed.
    pub epsilon: f64,
    /// Failure probability.
    pub delta: f64,
    /// Who is protected.
    pub unit: Unit,
    /// The neighbouring relation.
    pub neighbouring: Neighbouring,
    /// Epsilon by accountant, e.g. `rdp`, `prv`, `analytic`; `epsilon` is the smallest.
    pub accountants: BTreeMap<&'static str, f64>,
    /// Releases composed.
    pub steps: usize,
    /// Probability that the unit takes part in one of them.
    pub rate: f64,
    /// Epsilon, at the same delta, where a contribution is replaced by another instead, if known.
    pub replaced: Option<f64>,
    /// Epsilon, at the same delta, of one round for a unit that is known to take part in every
    /// release of that round, where `epsilon` is amplified by sampling: who was sampled hides
    /// only from those who do not know it (Balle, Barthe, Gaboardi 2018).
    pub certain: Option<f64>,
    /// Against whom it holds, in words.
    pub against: String,
}

impl Budget {
    /// What is protected, in words.
    pub fn unit_words(&self) -> &'static str {
        match self.unit {
            Unit::Example => "one example",
            Unit::Client => "all of a client's data",
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit_words();
        let neighbouring = match self.neighbouring {
            Neighbouring::AddRemove => "added or removed",
            Neighbouring::ZeroOut => "present or replaced by a zero update",
        };
        let by: Vec<String> =
            self.accountants.iter().map(|(name, e)| format!("{name} {e:.4}")).collect();
        write!(
            f,
            "({:.4}, {})-DP over {} release(s) at sampling rate {:.4}, against {}; unit: {unit}, \
             neighbouring: {neighbouring}; epsilon by {}",
            self.epsilon,
            if self.delta == 0.0 { "0".to_string() } else { format!("{:e}", self.delta) },
            self.steps,
            self.rate,
            self.against,
            by.join(", ")
        )?;
        if let Some(epsilon) = self.replaced {
            write!(f, "; replaced by another: epsilon {epsilon:.4} at the same delta")?;
        }
        if let Some(epsilon) = self.certain {
            write!(f, "; known to take part in a round: epsilon {epsilon:.4} of that round")?;
        }
        Ok(())
    }
}
