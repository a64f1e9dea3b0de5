//! What the name of a column means in a run: a setting that tells cells or images apart, or a
//! measure that has a value.

use super::measure::Measure;
use record::ImageScore;
use record::axes::{acting, defenses, plain};
use record::run::Run;
use record::utility;
use serde_json::Value;
use std::collections::BTreeSet;
use suites::{SpecError, did_you_mean};

/// A column of a figure or a table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Column {
    Setting(Setting),
    Measure(Measure),
}

/// What cells or images are told apart by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Setting {
    /// What tells a cell from all others of the run.
    Cell,
    /// What tells a cell from all others of the run beside its attack.
    Variant,
    /// The attack with what varies of its parameters.
    Attack,
    /// The defenses with what varies of their parameters.
    Defenses,
    /// The names of the defenses.
    DefenseNames,
    /// A parameter of the first defense that has it.
    DefenseParam(String),
    /// The privacy budget that the defenses report, else the one they were given.
    Epsilon,
    /// A dotted path of the cell's spec.
    Path(String),
    /// The client that held an image.
    Client,
    /// The image's number in its data set.
    Image,
    /// The capture that an image was part of.
    Trial,
}

/// One value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Key {
    Number(f64),
    Text(String),
    /// The cell has no such setting.
    None,
}

impl Key {
    fn from_value(value: Option<&Value>) -> Self {
        match value {
            None | Some(Value::Null) => Key::None,
            Some(Value::Number(n)) => {
                n.as_f64().map_or_else(|| Key::Text(n.to_string()), Key::Number)
            }
            Some(other) => Key::Text(plain(other)),
        }
    }

    /// As a reader writes it.
    pub fn label(&self) -> String {
        match self {
            Key::Number(v) => number(*v),
            Key::Text(text) => text.clone(),
            Key::None => "-".into(),
        }
    }
}

/// A number as short as it can be written: powers of ten only where the digits would be many.
pub(crate) fn number(v: f64) -> String {
    if v != 0.0 && v.is_finite() && !(1e-4..1e7).contains(&v.abs()) {
        format!("{v:e}")
    } else {
        v.to_string()
    }
}

impl Setting {
    /// Whether images of one cell differ in it.
    pub fn of_image(&self) -> bool {
        matches!(self, Setting::Client | Setting::Image | Setting::Trial)
    }

    /// Whether cells without a defense cannot have it, or differ in it from all others.
    pub fn of_defense(&self) -> bool {
        match self {
            Setting::Defenses
            | Setting::DefenseNames
            | Setting::DefenseParam(_)
            | Setting::Epsilon => true,
            Setting::Path(path) => path.starts_with("defenses."),
            _ => false,
        }
    }

    /// The value of cell `at`; of its image where it is a matter of images.
    pub fn key(&self, run: &Run, at: usize, image: Option<&ImageScore>) -> Key {
        let spec = &run.records[at].spec;
        let whole = |n: Option<usize>| n.map_or(Key::None, |n| Key::Number(n as f64));
        match self {
            Setting::Cell => match run.axes.label(at, &run.distinguishing, &[]) {
                none if none.is_empty() => Key::Text(run.axes.attacks[at].clone()),
                label => Key::Text(label),
            },
            Setting::Variant => Key::Text(run.axes.label(at, &run.distinguishing, &["attack"])),
            Setting::Attack => Key::Text(run.axes.attacks[at].clone()),
            Setting::Defenses => match acting(spec).next() {
                None => Key::Text("none".into()),
                Some(_) => Key::Text(
                    run.axes
                        .value(at, "defenses")
                        .map_or_else(|| defenses(spec, |d| d.name.clone()), str::to_owned),
                ),
            },
            Setting::DefenseNames => Key::Text(defenses(spec, |d| d.name.clone())),
            Setting::DefenseParam(name) => {
                Key::from_value(acting(spec).find_map(|d| d.params.get(name)))
            }
            Setting::Epsilon => utility::epsilon(&run.records[at]).map_or(Key::None, Key::Number),
            Setting::Path(path) => Key::from_value(at_path(run.spec(at), path)),
            Setting::Client => whole(image.map(|i| i.client)),
            Setting::Image => whole(image.map(|i| i.id)),
            Setting::Trial => whole(image.map(|i| i.trial)),
        }
    }

    /// Title of an axis.
    pub fn title(&self) -> String {
        match self {
            Setting::Cell | Setting::Variant => "setting".into(),
            Setting::Epsilon => "privacy budget ε".into(),
            Setting::Attack => "attack".into(),
            Setting::Defenses | Setting::DefenseNames => "defense".into(),
            Setting::DefenseParam(name) => name.replace('_', " "),
            Setting::Client => "client".into(),
            Setting::Image => "image".into(),
            Setting::Trial => "trial".into(),
            Setting::Path(path) => match path.as_str() {
                "task.dataset" => "data".into(),
                "model.name" => "model".into(),
                "attack.name" => "attack".into(),
                "capture.round" => "rounds trained before".into(),
                "federation.clients.total" => "clients".into(),
                path => path.rsplit('.').next().unwrap_or(path).replace('_', " "),
            },
        }
    }

    /// A value as the name of a plot, a row or a series: one that does not say what it is gets its
    /// title.
    pub fn spoken(&self, key: &Key) -> String {
        match key {
            Key::Text(text) if text == "none" && self.of_defense() => "no defense".into(),
            Key::Text(text) if text != "true" && text != "false" => text.clone(),
            key => format!("{} {}", self.title(), key.label()),
        }
    }
}

fn at_path<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    value.pointer(&format!("/{}", path.replace('.', "/")))
}

/// The values of a setting in a run, such as for filters: nothing is left of what is a table.
pub(crate) fn raw(run: &Run, at: usize, path: &str) -> Option<Value> {
    at_path(run.spec(at), path).cloned()
}

/// What `name` means in this run; a suite of 1.x may name a setting as it was called then.
///
/// # Errors
/// [`SpecError::UnknownName`] with every column of the run.
pub(crate) fn column(run: &Run, name: &str) -> Result<Column, SpecError> {
    let name = &suites::current_path(name);
    if let Some(setting) = setting_of(run, name) {
        return Ok(Column::Setting(setting));
    }
    match Measure::find(run, name) {
        Some(measure) => Ok(Column::Measure(measure)),
        None => Err(unknown(name, known(run))),
    }
}

/// A column that tells cells apart.
///
/// # Errors
/// Where it is unknown, or a measure.
pub(crate) fn setting(run: &Run, name: &str) -> Result<Setting, SpecError> {
    match column(run, name)? {
        Column::Setting(setting) => Ok(setting),
        Column::Measure(_) => Err(SpecError::value(
            name,
            "is a measure and has a value of its own in every cell",
            "name a setting here, such as `attack`, `defenses` or `model.name`",
        )),
    }
}

/// A column that has values.
///
/// # Errors
/// Where it is unknown, or a setting.
pub(crate) fn measure(run: &Run, name: &str) -> Result<Measure, SpecError> {
    match column(run, name)? {
        Column::Measure(measure) => Ok(measure),
        Column::Setting(_) => Err(SpecError::value(
            name,
            "is a setting and not measured",
            "name a measure here, such as `psnr`, `task.accuracy` or `success.psnr-20`",
        )),
    }
}

fn setting_of(run: &Run, name: &str) -> Option<Setting> {
    let plain = match name {
        "cell" => Some(Setting::Cell),
        "setting" => Some(Setting::Variant),
        "epsilon" => Some(Setting::Epsilon),
        "attack" => Some(Setting::Attack),
        "defenses" => Some(Setting::Defenses),
        "defenses.name" => Some(Setting::DefenseNames),
        "client" => Some(Setting::Client),
        "image" => Some(Setting::Image),
        "trial" => Some(Setting::Trial),
        _ => None,
    };
    let parameter = || {
        let param = name.strip_prefix("defenses.")?;
        let has = |at: usize| acting(&run.records[at].spec).any(|d| d.params.contains_key(param));
        (0..run.records.len()).any(has).then(|| Setting::DefenseParam(param.into()))
    };
    let known = |at: usize| at_path(run.spec(at), name).is_some_and(is_value);
    let path = || (0..run.records.len()).any(known).then(|| Setting::Path(name.into()));
    plain.or_else(parameter).or_else(path)
}

/// Every dotted path of the run's specs that ends in a value.
fn paths(run: &Run) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    (0..run.records.len()).for_each(|at| collect("", run.spec(at), &mut out));
    out
}

fn collect(path: &str, value: &Value, out: &mut BTreeSet<String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        own if is_value(own) => {
            out.insert(path.to_owned());
        }
        Value::Object(map) => map.iter().for_each(|(key, v)| collect(&below(key), v, out)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, v)| collect(&below(&i.to_string()), v, out));
        }
        _ => {}
    }
}

/// Whether a path ends here: nothing is a value that holds other tables.
fn is_value(value: &Value) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(items) => !items.iter().any(Value::is_object),
        _ => true,
    }
}

/// Of all columns those that `name` may have meant: there are too many for one line.
fn near(name: &str, known: &[String], meant: Option<&String>) -> Vec<String> {
    let family = name.split_once('.').map(|(first, _)| format!("{first}."));
    let likely = |k: &String| match &family {
        Some(family) if known.iter().any(|k| k.starts_with(family.as_str())) => {
            k.starts_with(family.as_str())
        }
        _ => !k.contains('.'),
    };
    let mut out: Vec<String> = known.iter().filter(|k| likely(k)).cloned().collect();
    out.extend(meant.filter(|m| !out.contains(m)).cloned());
    out
}

/// The column that `name` was most likely meant to be: one of its family, one without a family, or
/// one that ends as it does.
fn meant(name: &str, known: &[String]) -> Option<String> {
    let (family, rest) = name.split_once('.').map_or(("", name), |(first, rest)| (first, rest));
    let kin: Vec<(&str, &String)> = known
        .iter()
        .filter_map(|k| match k.split_once('.') {
            None => family.is_empty().then_some((k.as_str(), k)),
            Some((first, own)) => (first == family).then_some((own, k)),
        })
        .collect();
    let of_kin = || {
        let ends: Vec<&str> = kin.iter().map(|(own, _)| *own).collect();
        let near = did_you_mean(rest, &ends)?;
        kin.iter().find(|(own, _)| *own == near).map(|(_, k)| (*k).clone())
    };
    let last = |k: &str| k.rsplit('.').next().unwrap_or_default().to_owned();
    let same_end = || known.iter().find(|k| k.contains('.') && last(k) == last(name)).cloned();
    let near_end = || {
        let ends: Vec<String> = known.iter().map(|k| last(k)).collect();
        let near = did_you_mean(&last(name), &ends)?;
        known.iter().find(|k| last(k) == near).cloned()
    };
    of_kin().or_else(same_end).or_else(near_end)
}

fn unknown(name: &str, known: Vec<String>) -> SpecError {
    let meant = meant(name, &known);
    let listed = near(name, &known, meant.as_ref());
    if did_you_mean(name, &listed) == meant.as_deref() {
        return SpecError::unknown_name("column", name, listed);
    }
    let hint = meant.map_or(String::new(), |m| format!(" (did you mean `{m}`?)"));
    SpecError::value(
        name,
        format!("is no column of this run{hint}"),
        format!("known: {}", listed.join(", ")),
    )
}

/// Every column of the run: measures first, since they are what is mostly misspelt.
fn known(run: &Run) -> Vec<String> {
    let mut names = run.metric_names.clone();
    names.extend(Measure::known(run));
    names.extend(
        ["attack", "defenses", "defenses.name", "cell", "setting", "epsilon", "client", "image"]
            .map(String::from),
    );
    names.push("trial".into());
    let params = run.records.iter().flat_map(|r| acting(&r.spec).flat_map(|d| d.params.keys()));
    names.extend(params.map(|p| format!("defenses.{p}")).collect::<BTreeSet<_>>());
    names.extend(paths(run).into_iter().filter(|p| p != "defenses" && !p.starts_with("defenses.")));
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}
