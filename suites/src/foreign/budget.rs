//! What reading one file has cost so far.

use std::time::{Duration, Instant};

use thiserror::Error;

use super::limits::{self, Limit};

/// Charges between two looks at the clock.
const LOOK: u64 = 256;

/// More than a file may cost.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Exceeded {
    /// Memory.
    #[error(
        "it asks for {asked} bytes of memory, more than the {most} that a {kind} of {stored} bytes \
         may take"
    )]
    Bytes {
        /// Bytes held, with those asked for.
        asked: u64,
        /// Bytes allowed.
        most: u64,
        /// The kind of file.
        kind: &'static str,
        /// Its size in bytes.
        stored: u64,
    },
    /// Things built.
    #[error("it builds more than {most} values, the most that a {kind} may hold")]
    Elements {
        /// Elements allowed.
        most: u64,
        /// The kind of file.
        kind: &'static str,
    },
    /// Pixels.
    #[error(
        "{width}x{height} pixels, more than the {most} that a picture in a file of {stored} bytes \
         may have"
    )]
    Pixels {
        /// Pixels in a row.
        width: u64,
        /// Rows.
        height: u64,
        /// Pixels allowed.
        most: u64,
        /// The file's size in bytes.
        stored: u64,
    },
    /// Time.
    #[error("reading it takes more than {most} seconds, the most that a {kind} may take")]
    Time {
        /// Seconds allowed.
        most: u64,
        /// The kind of file.
        kind: &'static str,
    },
}

/// The budget of one file. Every charge comes before what it pays for.
#[derive(Clone, Debug)]
pub struct Budget {
    limit: &'static Limit,
    stored: u64,
    held: u64,
    elements: u64,
    charges: u64,
    until: Instant,
}

impl Budget {
    /// The budget for a file of `stored` bytes.
    pub fn new(limit: &'static Limit, stored: u64) -> Budget {
        let until = Instant::now() + Duration::from_secs(limit.seconds);
        Budget { limit, stored, held: 0, elements: 0, charges: 0, until }
    }

    /// Pays for memory that will be held beside the file's own bytes.
    ///
    /// # Errors
    /// [`Exceeded::Bytes`] or [`Exceeded::Time`]; nothing is charged then.
    pub fn hold(&mut self, bytes: u64) -> Result<(), Exceeded> {
        let (asked, most) = (self.held.saturating_add(bytes), self.limit.most(self.stored));
        if asked > most {
            let (kind, stored) = (self.limit.kind, self.stored);
            return Err(Exceeded::Bytes { asked, most, kind, stored });
        }
        self.look()?;
        self.held = asked;
        Ok(())
    }

    /// As [`Budget::hold`], for a number of things of one size in bytes.
    ///
    /// # Errors
    /// As [`Budget::hold`].
    pub fn hold_many(&mut self, count: usize, size: usize) -> Result<(), Exceeded> {
        self.hold((count as u64).saturating_mul(size as u64))
    }

    /// Takes back what was paid for memory that is held no more.
    pub fn release(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// Pays for elements and the bytes that each of them holds.
    ///
    /// # Errors
    /// [`Exceeded`], by what runs out first.
    pub fn build(&mut self, elements: usize, size: usize) -> Result<(), Exceeded> {
        let asked = self.elements.saturating_add(elements as u64);
        if asked > self.limit.elements {
            return Err(Exceeded::Elements { most: self.limit.elements, kind: self.limit.kind });
        }
        self.hold_many(elements, size)?;
        self.elements = asked;
        Ok(())
    }

    /// Checks the size that a picture's header declares, before a pixel is decoded.
    ///
    /// # Errors
    /// [`Exceeded::Pixels`].
    pub fn pixels(&self, width: u64, height: u64) -> Result<(), Exceeded> {
        let most = limits::pixels(self.stored);
        match width.checked_mul(height) {
            Some(pixels) if pixels <= most => Ok(()),
            _ => Err(Exceeded::Pixels { width, height, most, stored: self.stored }),
        }
    }

    /// Bytes that may still be held.
    pub fn left(&self) -> u64 {
        self.limit.most(self.stored).saturating_sub(self.held)
    }

    /// Looks at the clock, though not at every call.
    fn look(&mut self) -> Result<(), Exceeded> {
        self.charges += 1;
        if self.charges.is_multiple_of(LOOK) && Instant::now() > self.until {
            return Err(Exceeded::Time { most: self.limit.seconds, kind: self.limit.kind });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::foreign::limits::{CHECKPOINT, LIMITS, PICTURE};

    #[test]
    fn memory_grows_with_the_file_and_is_charged_before() {
        let most = CHECKPOINT.base + 10 * CHECKPOINT.ratio;
        let mut budget = Budget::new(&CHECKPOINT, 10);
        budget.hold(most).unwrap();
        let said = budget.hold(1).unwrap_err().to_string();
        assert!(said.contains(&format!("{} bytes of memory", most + 1)), "{said}");
        assert_eq!(budget.left(), 0);
        budget.release(5);
        assert_eq!(budget.left(), 5);
        budget.hold_many(5, 1).unwrap();
        assert!(Budget::new(&CHECKPOINT, 0).hold_many(usize::MAX, usize::MAX).is_err());
    }

    #[test]
    fn elements_pixels_and_time_end() {
        let mut budget = Budget::new(&CHECKPOINT, 1 << 30);
        budget.build(CHECKPOINT.elements as usize, 1).unwrap();
        assert!(matches!(budget.build(1, 1), Err(Exceeded::Elements { .. })));
        let picture = Budget::new(&PICTURE, 409_000);
        assert!(picture.pixels(4032, 3024).is_ok());
        assert!(picture.pixels(8192, 8192).is_err());
        assert!(Budget::new(&PICTURE, 10 << 20).pixels(8192, 8192).is_ok());
        assert!(Budget::new(&PICTURE, 1 << 40).pixels(8193, 8192).is_err());
        assert!(picture.pixels(u64::MAX, u64::MAX).is_err());
        let mut late = Budget::new(&CHECKPOINT, 0);
        late.until = Instant::now() - Duration::from_secs(1);
        let ends = (0..=LOOK).find_map(|_| late.hold(0).err());
        assert!(matches!(ends, Some(Exceeded::Time { .. })), "{ends:?}");
    }

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = LIMITS.iter().map(|l| l.kind).collect();
        assert_eq!(names.len(), LIMITS.len());
    }
}
