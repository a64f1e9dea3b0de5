//! A suite: a TOML file, under a profile and overrides, as the cells it stands for.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::SpecError;
use crate::condition;
use crate::document::Document;
use crate::draft::Origin;
use crate::expand::expand;
use crate::figure::{self, FigureSpec, TableSpec};
use crate::foreign::{self, folder_name, limits};
use crate::gate::Gate;
use crate::library::{SuiteEntry, library};
use crate::plan::Plan;
use crate::read::{self, join};
use crate::registry::Registry;
use crate::spec::{CellId, CellSpec};

/// The cells of a suite and what is known about them beforehand.
#[derive(Clone, Debug)]
pub struct Suite {
    /// Name, as `[suite]` gives it.
    pub name: String,
    /// Version, as `[suite]` gives it.
    pub version: String,
    /// What the suite is for.
    pub description: String,
    /// Every cell, fully spelled out, in file order; ids are unique.
    pub cells: Vec<CellSpec>,
    /// Published values to print beside the measured ones.
    pub published: Vec<Published>,
    /// Figures to be drawn of its run.
    pub figures: Vec<FigureSpec>,
    /// Tables to be made of its run.
    pub tables: Vec<TableSpec>,
    /// When a comparison of two runs of the suite raises an alarm.
    pub gate: Gate,
    /// The TOML text it was read from.
    pub text: String,
    /// The profile in force.
    pub profile: Option<String>,
    /// Minutes that it took on two CPU cores, as its author measured; `None` where nobody did, or
    /// where overrides make another suite of it.
    pub minutes: Option<f64>,
    /// What the user should know of how the file is written, such as keys of old.
    pub notes: Vec<String>,
    profiles: Vec<(String, String)>,
    origins: Vec<Origin>,
    document: Document,
}

/// A number from a publication, for the cells that it speaks of.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Name of the score, such as `fl-attack-psnr`.
    pub metric: String,
    /// The published mean.
    pub value: f64,
    /// Its published spread (standard deviation), if any.
    #[serde(default)]
    pub spread: Option<f64>,
    /// How far a measured mean may lie off and still count as agreeing.
    #[serde(default)]
    pub tolerance: Option<f64>,
    /// Who published it, where.
    pub source: String,
    /// Conditions that a cell must meet: dotted path to value, or list of values; empty means every
    /// cell.
    #[serde(default)]
    pub when: Map<String, Value>,
}

impl Published {
    /// Whether the value speaks of this cell.
    pub fn applies(&self, spec: &CellSpec) -> bool {
        condition::holds(&self.when, spec)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    name: String,
    version: String,
    description: String,
    #[serde(default)]
    minutes: Option<f64>,
}

/// Keys of a suite file.
pub(crate) const KEYS: [&str; 10] = [
    "suite",
    "defaults",
    "matrix",
    "exclude",
    "include",
    "profiles",
    "published",
    "gate",
    "figure",
    "table",
];

impl Suite {
    /// Loads a suite that ships with the project by its name, or any other by its path.
    ///
    /// `profile` selects a `[profiles.NAME]` (`None` and `default` mean the file as it stands). An
    /// override of the path of a matrix axis replaces the axis (a list gives several values); any
    /// other is written over every cell.
    ///
    /// # Errors
    /// One line with file and line: unreadable or invalid TOML, unknown keys, names and values out
    /// of range, an empty axis, duplicate cells, no cells, or more than [`crate::MAX_CELLS`].
    pub fn load(
        name_or_path: &str,
        profile: Option<&str>,
        overrides: &[(String, Value)],
    ) -> Result<Suite, SpecError> {
        Suite::load_from(&library(), name_or_path, profile, overrides)
    }

    /// As [`Suite::load`], with the names of `suites`.
    ///
    /// # Errors
    /// As [`Suite::load`].
    pub fn load_from(
        suites: &Registry<SuiteEntry>,
        name_or_path: &str,
        profile: Option<&str>,
        overrides: &[(String, Value)],
    ) -> Result<Suite, SpecError> {
        let like_path = name_or_path.contains(['/', '\\']) || name_or_path.ends_with(".toml");
        match suites.find(name_or_path) {
            Ok(SuiteEntry { name, text }) => {
                Suite::parse(&format!("suites/{name}.toml"), text, profile, overrides)
            }
            Err(_) if like_path || Path::new(name_or_path).is_file() => {
                Suite::parse(name_or_path, &read_file(name_or_path)?, profile, overrides)
            }
            Err(unknown) => Err(unknown),
        }
    }

    /// Reads a suite from its text; `file` names it in errors.
    ///
    /// # Errors
    /// As [`Suite::load`].
    pub fn parse(
        file: &str,
        text: &str,
        profile: Option<&str>,
        overrides: &[(String, Value)],
    ) -> Result<Suite, SpecError> {
        let document = Document::parse(file, text)?;
        document.only(&document.root, "", &KEYS)?;
        let head = head(&document)?;
        named(&document, "suite.name", &head.name)?;
        let profiles = profiles(&document)?;
        let profile = chosen(profile, &profiles)?;
        let minutes = minutes(&document, &head, profile.as_deref())?;
        let plan = Plan::read(&document, profile.as_deref(), overrides)?;
        let (cells, origins) = expand(&document, &plan)?.into_iter().unzip();
        let drawn = figure::of_document(&document)?;
        let suite = Suite {
            name: head.name,
            version: head.version,
            description: head.description,
            published: published(&document)?,
            figures: drawn.figures.into_iter().map(|(_, f)| f).collect::<Result<_, _>>()?,
            tables: drawn.tables.into_iter().map(|(_, t)| t).collect::<Result<_, _>>()?,
            gate: Gate::read(&document)?,
            text: text.into(),
            cells,
            profile,
            minutes: minutes.filter(|_| overrides.is_empty()),
            notes: plan.notes,
            profiles,
            origins,
            document,
        };
        suite.refuse_duplicates()?;
        Ok(suite)
    }

    /// A suite of one cell, for runs described by flags.
    ///
    /// # Errors
    /// Whatever [`CellSpec::check`] finds.
    pub fn single(name: &str, spec: CellSpec) -> Result<Suite, SpecError> {
        spec.check()?;
        Ok(Suite {
            name: name.into(),
            version: "1".into(),
            description: "one cell".into(),
            cells: vec![spec],
            published: Vec::new(),
            figures: Vec::new(),
            tables: Vec::new(),
            gate: Gate::default(),
            text: String::new(),
            profile: None,
            minutes: None,
            notes: Vec::new(),
            profiles: Vec::new(),
            origins: vec![Origin::default()],
            document: Document::default(),
        })
    }

    /// Name and description of the file's profiles.
    pub fn profiles(&self) -> &[(String, String)] {
        &self.profiles
    }

    /// Changes every cell, such as by filling in the defaults of its attack.
    ///
    /// # Errors
    /// What `f` says, with the line of the suite file where it can be told; a spec that
    /// [`CellSpec::check`] refuses; cells that have become the same. Cells changed before the error
    /// stay changed.
    pub fn map_specs(
        &mut self,
        mut f: impl FnMut(&mut CellSpec) -> Result<(), SpecError>,
    ) -> Result<(), SpecError> {
        for (index, spec) in self.cells.iter_mut().enumerate() {
            let changed = f(spec).and_then(|()| spec.check());
            changed.map_err(|error| match self.origins.get(index) {
                Some(origin) if !self.text.is_empty() => origin.blame(&self.document, error),
                _ => error,
            })?;
        }
        self.refuse_duplicates()
    }

    /// The cell at `index` in words: its values on the axes.
    pub fn label(&self, index: usize) -> String {
        match self.origins.get(index) {
            Some(origin) if !origin.label.is_empty() => origin.label.clone(),
            _ => format!("cell {}", index + 1),
        }
    }

    fn refuse_duplicates(&self) -> Result<(), SpecError> {
        let mut seen: HashMap<CellId, usize> = HashMap::with_capacity(self.cells.len());
        for (index, spec) in self.cells.iter().enumerate() {
            if let Some(first) = seen.insert(spec.id(), index) {
                let error = SpecError::Duplicate {
                    id: spec.id().to_string(),
                    first: self.label(first),
                    second: self.label(index),
                };
                return Err(self.document.blame("matrix", error));
            }
        }
        Ok(())
    }
}

fn head(document: &Document) -> Result<Head, SpecError> {
    let table = document.table(&document.root, "suite", "suite")?;
    let Some(table) = table else {
        let remedy = "begin with [suite] and its name, version and description";
        return Err(
            document.blame("suite", SpecError::value("suite", "the table is missing", remedy))
        );
    };
    read::value("suite", &Value::Object(table.clone())).map_err(|error| {
        let path = match &error {
            SpecError::UnknownKey { key, .. } => join("suite", key),
            SpecError::Form { path, .. } => path.clone(),
            _ => "suite".into(),
        };
        document.blame(&path, error)
    })
}

/// Refuses a name that could not be that of a run's folder, which it becomes.
pub(crate) fn named(document: &Document, path: &str, name: &str) -> Result<(), SpecError> {
    if folder_name(name) {
        return Ok(());
    }
    let problem = format!("`{}` cannot name a folder", foreign::printable(name));
    let remedy = "write letters, digits and single hyphens, such as `my-suite`";
    Err(document.blame(path, SpecError::value(path, problem, remedy)))
}

/// The minutes of the profile in force.
fn minutes(
    document: &Document,
    head: &Head,
    profile: Option<&str>,
) -> Result<Option<f64>, SpecError> {
    let place = profile.map_or("suite".into(), |name| join("profiles", name));
    let said = match profile {
        None => head.minutes,
        Some(name) => {
            let profiles = document.root.get("profiles").and_then(|p| p.get(name));
            let written = profiles.and_then(|p| p.get("minutes"));
            written.map(|value| value.as_f64().unwrap_or(f64::NAN))
        }
    };
    match said {
        Some(minutes) if !(minutes > 0.0 && minutes.is_finite()) => {
            let path = join(&place, "minutes");
            let error = SpecError::value(&path, "is no number above 0", "write the measured time");
            Err(document.blame(&path, error))
        }
        said => Ok(said),
    }
}

fn profiles(document: &Document) -> Result<Vec<(String, String)>, SpecError> {
    let Some(table) = document.table(&document.root, "profiles", "profiles")? else {
        return Ok(Vec::new());
    };
    for name in table.keys() {
        named(document, &join("profiles", name), name)?;
    }
    let described = |(name, profile): (&String, &Value)| {
        let text = profile.get("description").and_then(Value::as_str);
        (name.clone(), text.unwrap_or_default().to_owned())
    };
    Ok(table.iter().map(described).collect())
}

fn chosen(
    profile: Option<&str>,
    profiles: &[(String, String)],
) -> Result<Option<String>, SpecError> {
    match profile {
        None => Ok(None),
        Some(name) if profiles.iter().any(|(known, _)| known == name) => Ok(Some(name.into())),
        Some("default") => Ok(None),
        Some(name) => Err(SpecError::unknown_name(
            "profile",
            name,
            profiles.iter().map(|(known, _)| known.as_str()),
        )),
    }
}

fn published(document: &Document) -> Result<Vec<Published>, SpecError> {
    let tables = document.tables(&document.root, "published", "published")?.unwrap_or_default();
    let read = |(index, table): (usize, &Map<String, Value>)| {
        let key = join("published", &index.to_string());
        let blame = |path: &str, error| document.blame(&join(&key, path), error);
        let value: Published = read::value("published", &Value::Object(table.clone())).map_err(
            |error| match &error {
                SpecError::UnknownKey { key, .. } => blame(&key.clone(), error),
                _ => blame("", error),
            },
        )?;
        for (path, wanted) in condition::leaves(&value.when) {
            condition::check(&path, &wanted).map_err(|error| blame(&join("when", &path), error))?;
        }
        Ok(value)
    };
    tables.into_iter().enumerate().map(read).collect()
}

pub(crate) fn read_file(path: &str) -> Result<String, SpecError> {
    foreign::read_text(Path::new(path), &limits::SUITE)
        .map_err(|e| SpecError::Read { path: path.into(), reason: e.to_string() })
}
