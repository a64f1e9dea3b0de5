//! Who holds which share of a secret key.

use std::fmt;

use super::bytes::{malformed, take};
use crate::ProtocolError;

/// Which share of how many: 0 of 1 is a whole key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Number of the party, from 0.
    pub index: u16,
    /// Parties who hold a share.
    pub parties: u16,
}

impl Party {
    pub(crate) fn to_bytes(self) -> [u8; 4] {
        let ([a, b], [c, d]) = (self.index.to_le_bytes(), self.parties.to_le_bytes());
        [a, b, c, d]
    }

    pub(crate) fn read(rest: &mut &[u8]) -> Option<Party> {
        let [a, b, c, d] = *take(rest, 4)? else { return None };
        let party =
            Party { index: u16::from_le_bytes([a, b]), parties: u16::from_le_bytes([c, d]) };
        (party.index < party.parties).then_some(party)
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "share {} of {}", self.index + 1, self.parties)
    }
}

/// Demands every party exactly once.
pub(crate) fn require_all(
    what: &str,
    parties: u16,
    found: impl Iterator<Item = Party>,
) -> Result<(), ProtocolError> {
    let mut seen = vec![false; usize::from(parties)];
    for party in found {
        if party.parties != parties {
            return Err(malformed(
                what,
                format!("{party} is given where there are {parties} parties"),
            ));
        }
        if std::mem::replace(&mut seen[usize::from(party.index)], true) {
            return Err(malformed(what, format!("that of party {} is given twice", party.index)));
        }
    }
    match seen.iter().position(|seen| !seen) {
        Some(missing) => {
            Err(malformed(what, format!("that of party {missing} of {parties} is missing")))
        }
        None if parties == 0 => Err(malformed(what, "none is given")),
        None => Ok(()),
    }
}
