//! Learning-rate schedules as factors of the optimiser's own rate.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// How the learning rate falls over a run, after an optional linear warm-up.
///
/// Written as a name (`"cosine"`) or a table (`{ name = "cosine", warmup = 0.1 }`).
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct Schedule {
    /// The shape of the fall.
    pub name: Decay,
    /// Linear warm-up: below 1 a fraction of the run, from 1 on a whole number of iterations.
    #[serde(default)]
    pub warmup: f64,
}

/// The shape of a schedule.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// No fall.
    Constant,
    /// Half a cosine from 1 to 0 over the iterations that follow the warm-up (Loshchilov and
    /// Hutter, 2017, without restarts).
    Cosine,
    /// A tenth after 3/8, 5/8 and 7/8 of the run's iterations (Geiping et al., 2020).
    Step,
}

impl Schedule {
    /// A schedule without warm-up.
    pub fn new(name: Decay) -> Schedule {
        Schedule { name, warmup: 0.0 }
    }

    /// Names the field that is out of range.
    pub fn check(&self) -> Result<(), String> {
        let w = self.warmup;
        if w.is_finite() && (0.0..1.0).contains(&w)
            || (w >= 1.0 && w <= u32::MAX as f64 && w.fract() == 0.0)
        {
            return Ok(());
        }
        Err(format!(
            "schedule: warmup = {w} must be a fraction in [0, 1) or a whole number of iterations"
        ))
    }

    /// The factor in [0, 1] for iteration `iteration` (from 0) of `total`.
    pub fn factor(&self, iteration: usize, total: usize) -> f64 {
        let warmup = self.warmup_iterations(total);
        if iteration < warmup {
            return (iteration + 1) as f64 / warmup as f64;
        }
        match self.name {
            Decay::Constant => 1.0,
            Decay::Cosine => cosine(iteration - warmup, total.saturating_sub(warmup)),
            Decay::Step => 0.1_f64
                .powi([3, 5, 7].iter().filter(|&&m| iteration >= total * m / 8).count() as i32),
        }
    }

    fn warmup_iterations(&self, total: usize) -> usize {
        let iterations =
            if self.warmup < 1.0 { (self.warmup * total as f64).round() } else { self.warmup };
        (iterations as usize).min(total)
    }
}

fn cosine(iteration: usize, total: usize) -> f64 {
    let done = (iteration as f64 / total.max(1) as f64).min(1.0);
    0.5 * (1.0 + (std::f64::consts::PI * done).cos())
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Schedule::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = super::config::table(serde_json::Value::deserialize(deserializer)?);
        let schedule =
            Schedule::deserialize(table).map_err(|e| D::Error::custom(format!("schedule: {e}")))?;
        schedule.check().map_err(D::Error::custom)?;
        Ok(schedule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn warms_up_by_fraction_or_by_iterations() {
        for warmup in [0.1, 4.0] {
            let s = Schedule { name: Decay::Cosine, warmup };
            let factors: Vec<f64> = (0..40).map(|i| s.factor(i, 40)).collect();
            assert_eq!(factors[..5], [0.25, 0.5, 0.75, 1.0, 1.0]);
            assert!(factors[4..].windows(2).all(|w| w[1] < w[0]) && factors[39] > 0.0);
        }
    }

    #[test]
    fn every_factor_is_sane_even_for_tiny_runs() {
        for name in [Decay::Constant, Decay::Cosine, Decay::Step] {
            for warmup in [0.0, 0.5, 0.99, 3.0, 100.0] {
                for total in 0..9 {
                    let s = Schedule { name, warmup };
                    assert!(
                        (0..=total).all(|i| (0.0..=1.0).contains(&s.factor(i, total))),
                        "{s:?} {total}"
                    );
                }
            }
        }
    }

    #[test]
    fn reads_a_name_or_a_table_and_refuses_the_rest() {
        let read = |v: serde_json::Value| serde_json::from_value::<Schedule>(v);
        assert_eq!(read(json!("step")).unwrap(), Schedule::new(Decay::Step));
        let s = read(json!({ "name": "cosine", "warmup": 50 })).unwrap();
        assert_eq!(read(serde_json::to_value(&s).unwrap()).unwrap(), s);
        for (bad, says) in [
            (json!("cosin"), "unknown variant `cosin`"),
            (json!({ "name": "cosine", "warmup": -1 }), "warmup = -1"),
            (json!({ "name": "cosine", "warmup": 2.5 }), "warmup = 2.5"),
            (json!({ "name": "cosine", "warm": 2 }), "unknown field `warm`"),
            (json!(3), "schedule"),
        ] {
            let message = read(bad).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
