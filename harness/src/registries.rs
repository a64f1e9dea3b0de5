//! Everything that a suite, a task or the command line can name. A program of somebody else's adds
//! its own to what ships with the project:
//!
//! ```
//! # static MY_SUITE: suites::SuiteEntry = suites::SuiteEntry { name: "mine", text: "" };
//! let registries = harness::Registries::builtin().with_suite(&MY_SUITE)?;
//! assert!(registries.suites.find("mine").is_ok());
//! # Ok::<(), suites::SpecError>(())
//! ```

use attacks::Attack;
use datasets::DatasetEntry;
use defenses::Defense;
use learning::models::Architecture;
use metrics::MetricEntry;
use protocols::Protocol;
use suites::{Entry, Registry, SpecError, SuiteEntry};

/// All registries. Each `with_...` adds one entry, and refuses a name that is taken.
#[derive(Clone, Debug)]
pub struct Registries {
    /// Attacks.
    pub attacks: Registry<Entry<dyn Attack>>,
    /// Metrics.
    pub metrics: Registry<MetricEntry>,
    /// Suites.
    pub suites: Registry<SuiteEntry>,
    /// Data sets, models, defenses and protocols.
    pub federation: federation::Registries,
}

impl Registries {
    /// What ships with the project.
    pub fn builtin() -> Registries {
        Registries {
            attacks: attacks::builtin(),
            metrics: metrics::builtin(),
            suites: suites::library(),
            federation: federation::Registries::builtin(),
        }
    }

    /// The same with one attack more.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn with_attack(mut self, entry: &'static Entry<dyn Attack>) -> Result<Self, SpecError> {
        self.attacks = self.attacks.with(entry)?;
        Ok(self)
    }

    /// The same with one defense more.
    ///
    /// # Errors
    /// A name that a defense or a protocol has.
    pub fn with_defense(mut self, entry: &'static Entry<dyn Defense>) -> Result<Self, SpecError> {
        self.federation.defenses = self.federation.defenses.with_defense(entry)?;
        Ok(self)
    }

    /// The same with one protocol more.
    ///
    /// # Errors
    /// A name that a defense or a protocol has.
    pub fn with_protocol(mut self, entry: &'static Entry<dyn Protocol>) -> Result<Self, SpecError> {
        self.federation.defenses = self.federation.defenses.with_protocol(entry)?;
        Ok(self)
    }

    /// The same with one model more.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn with_model(
        mut self,
        entry: &'static Entry<dyn Architecture>,
    ) -> Result<Self, SpecError> {
        self.federation.models = self.federation.models.with(entry)?;
        Ok(self)
    }

    /// The same with one data set more.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn with_dataset(mut self, entry: &'static DatasetEntry) -> Result<Self, SpecError> {
        self.federation.datasets = self.federation.datasets.with(entry)?;
        Ok(self)
    }

    /// The same with one metric more.
    ///
    /// # Errors
    /// A name that is taken, also by a score that every run has.
    pub fn with_metric(mut self, entry: &'static MetricEntry) -> Result<Self, SpecError> {
        if metrics::infos([]).iter().any(|own| own.name == entry.name) {
            let place = format!("metric `{}`", entry.name);
            let problem = "is a score that every run has";
            return Err(SpecError::value(place, problem, "give it another name"));
        }
        self.metrics = self.metrics.with(entry)?;
        Ok(self)
    }

    /// The same with one suite more.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn with_suite(mut self, entry: &'static SuiteEntry) -> Result<Self, SpecError> {
        self.suites = self.suites.with(entry)?;
        Ok(self)
    }
}
