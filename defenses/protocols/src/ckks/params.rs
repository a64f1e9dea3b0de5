//! Parameter sets: ring degree, modulus bits, scale, packing; and the security they have.

use std::fmt;
use std::str::FromStr;

use suites::SpecError;

/// Most bits of the modulus (with the special prime) by ring degree, for 128, 192 and 256 bits of
/// classical security with a ternary secret: Bossuat et al., Security Guidelines for Implementing
/// Homomorphic Encryption (IACR ePrint 2024/463), table 5.2. It counts attacks that the standard of
/// 2018 did not know, and allows 1 to 13 bits less.
const STANDARD: [(usize, [u32; 3]); 5] = [
    (2048, [53, 36, 27]),
    (4096, [106, 73, 56]),
    (8192, [214, 147, 114]),
    (16384, [430, 297, 230]),
    (32768, [868, 597, 462]),
];

/// Sets with a name: (name, set).
const NAMED: [(&str, &str); 3] = [
    ("fedavg", "4096/50,50/90"),
    ("compact", "2048/53/40"),
    ("tenseal", "8192/60,40,40+60/40/real"),
];

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Two values a slot, as real and imaginary part: `N` values a ciphertext. Sums and real
    /// factors act on both alike.
    Complex,
    /// One value a slot: `N/2` values a ciphertext, as TenSEAL packs.
    Real,
}

/// A checked CKKS parameter set with at least 128 bits of security.
///
/// Written `DEGREE/MODULI[+SPECIAL]/SCALE[/real]`, all but the degree in bits, e.g.
/// `8192/60,40,40+60/40/real`; or by name: `fedavg`, `compact`, `tenseal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterSet {
    degree: usize,
    moduli: Vec<u32>,
    special: Option<u32>,
    scale_bits: u32,
    packing: Packing,
}

impl ParameterSet {
    /// A set of `degree` (a power of two, 2048 to 32768), primes of `moduli` bits each (30 to 60)
    /// for ciphertexts, a `special` prime that only key switching uses (it counts for the
    /// security), and values scaled by `2^scale_bits`.
    ///
    /// # Errors
    /// Numbers out of range, a scale that leaves no room for values, or a modulus too large for 128
    /// bits of security.
    pub fn new(
        degree: usize,
        moduli: &[u32],
        special: Option<u32>,
        scale_bits: u32,
        packing: Packing,
    ) -> Result<ParameterSet, SpecError> {
        let set = ParameterSet { degree, moduli: moduli.to_vec(), special, scale_bits, packing };
        set.check()?;
        Ok(set)
    }

    fn check(&self) -> Result<(), SpecError> {
        let refuse =
            |problem: String, remedy: &str| Err(SpecError::value("parameters", problem, remedy));
        let Some((_, most)) = STANDARD.iter().find(|(degree, _)| *degree == self.degree) else {
            return refuse(
                format!("degree {} is none of 2048 to 32768", self.degree),
                "write a power of two, e.g. 4096",
            );
        };
        let all = || self.moduli.iter().chain(&self.special);
        if self.moduli.is_empty()
            || self.moduli.len() > 16
            || all().any(|bits| !(30..=60).contains(bits))
        {
            return refuse(
                format!("the moduli of {self} are out of range"),
                "write 1 to 16 primes of 30 to 60 bits",
            );
        }
        self.check_security(most[0])?;
        if self.scale_bits < 10 || self.scale_bits + 3 > self.modulus_bits() {
            return refuse(
                format!(
                    "a scale of {} bits does not fit a modulus of {} bits",
                    self.scale_bits,
                    self.modulus_bits()
                ),
                "write a scale of 10 bits up to 3 bits below the modulus",
            );
        }
        Ok(())
    }

    /// Refuses a modulus too large for 128 bits of security, which allow `most` bits.
    fn check_security(&self, most: u32) -> Result<(), SpecError> {
        let bits: u32 = self.moduli.iter().chain(&self.special).sum();
        if bits <= most {
            return Ok(());
        }
        let enough = STANDARD.iter().find(|(_, most)| bits <= most[0]);
        let remedy = match enough {
            Some((degree, _)) => format!("use degree {degree}, or at most {most} bits"),
            None => format!("use at most {most} bits"),
        };
        let problem =
            format!("{self} has {bits} modulus bits and with them less than 128 bits of security");
        Err(SpecError::value("parameters", problem, remedy))
    }

    /// Ring degree `N`.
    pub fn degree(&self) -> usize {
        self.degree
    }

    /// Bits of the ciphertext primes, first the one that is kept longest.
    pub fn moduli(&self) -> &[u32] {
        &self.moduli
    }

    /// Bits of the prime kept for key switching.
    pub fn special(&self) -> Option<u32> {
        self.special
    }

    /// Bits of the scale.
    pub fn scale_bits(&self) -> u32 {
        self.scale_bits
    }

    /// Factor by which values are multiplied before rounding.
    pub fn scale(&self) -> f64 {
        2f64.powi(self.scale_bits as i32)
    }

    /// How values fill the slots.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// Bits of the ciphertext modulus.
    pub fn modulus_bits(&self) -> u32 {
        self.moduli.iter().sum()
    }

    /// Values a ciphertext holds.
    pub fn values(&self) -> usize {
        match self.packing {
            Packing::Complex => self.degree,
            Packing::Real => self.degree / 2,
        }
    }

    /// Ciphertexts for `values` values.
    pub fn ciphertexts(&self, values: usize) -> usize {
        values.div_ceil(self.values())
    }

    /// Classical security by the guidelines' table: 128, 192 or 256 bits.
    pub fn security_bits(&self) -> u32 {
        let bits: u32 = self.modulus_bits() + self.special.unwrap_or(0);
        let most = STANDARD
            .iter()
            .find(|(degree, _)| *degree == self.degree)
            .map_or([0; 3], |(_, most)| *most);
        [256, 192, 128]
            .into_iter()
            .zip(most.iter().rev())
            .find(|(_, most)| bits <= **most)
            .map_or(0, |(s, _)| s)
    }

    /// Its name, where it has one.
    pub fn name(&self) -> Option<&'static str> {
        let text = self.to_string();
        NAMED.iter().find(|(_, set)| *set == text).map(|(name, _)| *name)
    }

    /// Names of the sets that have one.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|(name, _)| *name)
    }
}

impl Default for ParameterSet {
    /// `fedavg`: 50 + 50 modulus bits at degree 4096, scale `2^90`: room for 40 bits of flooding
    /// and for values up to 300.
    fn default() -> Self {
        ParameterSet {
            degree: 4096,
            moduli: vec![50, 50],
            special: None,
            scale_bits: 90,
            packing: Packing::Complex,
        }
    }
}

impl fmt::Display for ParameterSet {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let moduli: Vec<String> = self.moduli.iter().map(u32::to_string).collect();
        write!(f, "{}/{}", self.degree, moduli.join(","))?;
        if let Some(special) = self.special {
            write!(f, "+{special}")?;
        }
        write!(f, "/{}", self.scale_bits)?;
        if self.packing == Packing::Real { write!(f, "/real") } else { Ok(()) }
    }
}

impl FromStr for ParameterSet {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<ParameterSet, SpecError> {
        let text = NAMED.iter().find(|(name, _)| *name == text).map_or(text, |(_, set)| *set);
        let parts: Vec<&str> = text.split('/').collect();
        let (parts, packing) = match parts.as_slice() {
            [rest @ .., "real"] => (rest, Packing::Real),
            rest => (rest, Packing::Complex),
        };
        let read = || {
            let [degree, moduli, scale] = parts else { return None };
            let (moduli, special) = match moduli.split_once('+') {
                Some((moduli, special)) => (moduli, Some(special.parse().ok()?)),
                None => (*moduli, None),
            };
            let moduli: Option<Vec<u32>> =
                moduli.split(',').map(|bits| bits.parse().ok()).collect();
            Some((degree.parse().ok()?, moduli?, special, scale.parse().ok()?))
        };
        let Some((degree, moduli, special, scale)) = read() else {
            let remedy =
                "write DEGREE/MODULI/SCALE, e.g. `4096/50,50/90`, or fedavg, compact, tenseal";
            return Err(SpecError::value("parameters", format!("cannot read `{text}`"), remedy));
        };
        ParameterSet::new(degree, &moduli, special, scale, packing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_sets_are_secure_and_read_back() {
        for name in ParameterSet::names() {
            let set: ParameterSet = name.parse().unwrap();
            assert!(set.security_bits() >= 128, "{name}");
            assert_eq!(set.to_string().parse::<ParameterSet>().unwrap(), set);
            assert_eq!(set.name(), Some(name));
        }
        assert_eq!("fedavg".parse::<ParameterSet>().unwrap(), ParameterSet::default());
    }

    #[test]
    fn levels_follow_the_guidelines() {
        let level = |text: &str| text.parse::<ParameterSet>().unwrap().security_bits();
        assert_eq!(level("8192/54,60/40"), 256);
        assert_eq!(level("8192/55,60/40"), 192);
        assert_eq!(level("8192/60,60,45+49/40"), 128);
    }

    #[test]
    fn weak_or_broken_sets_are_refused_in_one_line() {
        let said = |text: &str| text.parse::<ParameterSet>().unwrap_err().to_string();
        assert_eq!(
            said("8192/60,60,46+49/40"),
            "parameters: 8192/60,60,46+49/40 has 215 modulus bits and with them less than 128 \
             bits of security; \
             use degree 16384, or at most 214 bits"
        );
        for (text, word) in [
            ("4096", "cannot read"),
            ("4095/50/40", "degree"),
            ("4096/61/40", "moduli"),
            ("4096/50/48", "scale"),
            ("4096/50,x/48", "cannot read"),
        ] {
            let line = said(text);
            assert!(line.contains(word) && !line.contains('\n'), "{line}");
        }
    }
}
