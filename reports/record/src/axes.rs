//! Which settings vary across the cells of a run: these key the rows of every table, the others are
//! printed once.

use crate::CellRecord;
use crate::run::Run;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use suites::{CellSpec, Named};

/// The settings of a set of cells, split into those that vary and those that do not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axes {
    /// Titles of the varying settings, in the spec's order.
    pub titles: Vec<String>,
    /// Paths of the varying settings.
    pub paths: Vec<String>,
    /// Per cell, in the order given: its values along `titles`.
    pub rows: Vec<Vec<String>>,
    /// Per cell: its attack, with the parameters that vary.
    pub attacks: Vec<String>,
    /// Constant settings as (path, value), in the spec's order.
    pub constant: Vec<(String, String)>,
}

impl Axes {
    /// Splits the settings of `records`.
    pub fn from_records(records: &[CellRecord]) -> Self {
        let varying_params = VaryingParams::from_records(records);
        let cells: Vec<Vec<(String, String)>> =
            records.iter().map(|r| settings(&r.spec, &varying_params)).collect();
        let attacks = records.iter().map(|r| varying_params.label(&r.spec.attack)).collect();
        let mut axes = Axes { rows: vec![Vec::new(); cells.len()], attacks, ..Axes::default() };
        for path in paths(&cells) {
            let values: Vec<&str> = cells.iter().map(|cell| value_at(cell, &path)).collect();
            if values.iter().all(|v| *v == values[0]) {
                axes.constant.push((path, values[0].to_owned()));
            } else {
                axes.rows.iter_mut().zip(&values).for_each(|(row, v)| row.push((*v).to_owned()));
                axes.titles.push(title(&path));
                axes.paths.push(path);
            }
        }
        axes.constant.extend(varying_params.constant_lines());
        axes
    }

    /// The value of cell `at` along `path`, where that varies.
    pub fn value(&self, at: usize, path: &str) -> Option<&str> {
        let column = self.paths.iter().position(|p| p == path)?;
        self.rows[at].get(column).map(String::as_str)
    }

    /// The settings that tell the cells `among` from each other; one that only repeats what others
    /// tell is left out.
    ///
    /// What is attacked counts before who attacks it: two attacks on different data differ in the
    /// data. What `ignored` names tells nothing, because the cells differ in it without being told
    /// apart by it.
    pub fn distinguishing(&self, among: &[usize], ignored: &[&str]) -> Distinguishing {
        let counts = |c: &usize| !ignored.contains(&self.paths[*c].as_str());
        let mut columns: Vec<usize> = (0..self.paths.len()).filter(counts).collect();
        columns.sort_by_key(|c| self.rank(*c, &TELLING));
        let mut parts = vec![0; among.len()];
        let mut shown = Vec::new();
        for column in columns {
            let finer = self.refine(&parts, among, column);
            if finer.iter().max() > parts.iter().max() {
                parts = finer;
                shown.push(column);
            }
        }
        shown.sort_by_key(|c| self.rank(*c, &NAMING));
        Distinguishing(shown)
    }

    /// Place of a column in an order of paths; those not in it follow in the spec's order.
    fn rank(&self, column: usize, order: &[&str]) -> usize {
        order.iter().position(|p| *p == self.paths[column]).unwrap_or(order.len() + column)
    }

    /// The values of cell `at` that tell it from others, in one line, without what `except` names;
    /// may be empty.
    pub fn label(&self, at: usize, distinguishing: &Distinguishing, except: &[&str]) -> String {
        let told = distinguishing.0.iter().filter(|c| !except.contains(&self.paths[**c].as_str()));
        told.map(|c| spoken(&self.paths[*c], &self.rows[at][*c])).collect::<Vec<_>>().join(" · ")
    }

    /// The partition `parts` of the cells `among`, each part split further by the values in
    /// `column`.
    fn refine(&self, parts: &[usize], among: &[usize], column: usize) -> Vec<usize> {
        let mut numbers = BTreeMap::new();
        let key = |(part, cell): (&usize, &usize)| {
            let next = numbers.len();
            *numbers.entry((*part, &self.rows[*cell][column])).or_insert(next)
        };
        parts.iter().zip(among).map(key).collect()
    }
}

/// Settings that tell cells apart, in the order of naming.
#[derive(Clone, Debug, PartialEq)]
pub struct Distinguishing(Vec<usize>);

/// The settings that are asked first whether they tell cells apart.
const TELLING: [&str; 6] =
    ["task.dataset", "task.label", "model.name", "source", "attack", "defenses"];

/// The settings that labels name first.
const NAMING: [&str; 6] =
    ["attack", "defenses", "task.dataset", "task.label", "model.name", "source"];

/// A value that says of itself what it is; bare numbers and booleans get their setting's name.
fn spoken(path: &str, value: &str) -> String {
    match path {
        "defenses" if value == "none" => "no defense".into(),
        "federation.clients.partition" => format!("{value} partition"),
        "model.batch_norm" => format!("BatchNorm {value}"),
        "federation.local.batch_size" => format!("batch {value}"),
        "federation.clients.total" | "trials" => plural(value, title(path).trim_end_matches('s')),
        "facts" => format!("knows {value}"),
        _ if value.parse::<f64>().is_ok()
            || value == "true"
            || value == "false"
            || value == "-" =>
        {
            format!("{} {value}", title(path))
        }
        _ => value.into(),
    }
}

fn plural(count: &str, what: &str) -> String {
    if count == "1" { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn title(path: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or(path);
    match path {
        "task.dataset" => "data".into(),
        "federation.clients.total" => "clients".into(),
        "federation.local.epochs" => "local epochs".into(),
        "capture.round" => "captured round".into(),
        "defenses" => "defense".into(),
        "model.name" => "model".into(),
        "model.init" | "model.weights" => path.replace('.', " "),
        _ => last.replace('_', " "),
    }
}

fn paths(cells: &[Vec<(String, String)>]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = cells.iter().flatten().map(|(path, _)| path.clone());
    all.filter(|path| seen.insert(path.clone())).collect()
}

fn value_at<'a>(cell: &'a [(String, String)], path: &str) -> &'a str {
    cell.iter().find(|(p, _)| p == path).map_or("-", |(_, value)| value)
}

/// A cell's settings as (path, value), attack, defenses and partition each in one value.
fn settings(spec: &CellSpec, varying: &VaryingParams) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let json = serde_json::to_value(spec).unwrap_or(Value::Null);
    for (key, value) in json.as_object().into_iter().flatten() {
        match key.as_str() {
            "attack" => out.push((key.clone(), varying.label(&spec.attack))),
            "defenses" => out.push((key.clone(), defenses(spec, |d| varying.label(d)))),
            _ => flatten(key, value, &mut out),
        }
    }
    out
}

fn flatten(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) if path == "federation.clients.partition" => {
            out.push((path.into(), named(map, "kind")))
        }
        Value::Object(map) => {
            map.iter().for_each(|(key, v)| flatten(&format!("{path}.{key}"), v, out))
        }
        _ => out.push((path.into(), plain(value))),
    }
}

/// A table with a naming key as `name (a = 1, b = 2)`.
fn named(map: &Map<String, Value>, key: &str) -> String {
    let name = map.get(key).map(plain).unwrap_or_default();
    let rest = map.iter().filter(|(k, _)| *k != key).map(|(k, v)| format!("{k} = {}", plain(v)));
    with_params(&name, rest.collect())
}

fn with_params(name: &str, params: Vec<String>) -> String {
    if params.is_empty() { name.to_owned() } else { format!("{name} ({})", params.join(", ")) }
}

/// A value as a reader writes it.
pub fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            let parts: Vec<_> = map.iter().map(|(k, v)| format!("{k} = {}", plain(v))).collect();
            format!("{{{}}}", parts.join(", "))
        }
        // 8 and 8.0 are one number, and read as one.
        Value::Number(n) => match n.as_f64() {
            Some(v) if v == v.trunc() && v.abs() < 1e15 => format!("{v:.0}"),
            _ => n.to_string(),
        },
        other => other.to_string(),
    }
}

/// The defenses of a cell in one value; "none" where it has none.
pub fn defenses(spec: &CellSpec, show: impl Fn(&Named) -> String) -> String {
    let acting: Vec<_> = acting(spec).map(show).collect();
    if acting.is_empty() { "none".into() } else { acting.join(" + ") }
}

/// The defenses of a cell of a run with what varies of their parameters; with all of these where
/// the cells share their defenses.
pub fn defense_label(run: &Run, at: usize) -> String {
    let varying = run.axes.value(at, "defenses").map(str::to_owned);
    varying.unwrap_or_else(|| {
        defenses(&run.records[at].spec, |d| {
            let params: Vec<_> =
                d.params.iter().map(|(k, v)| format!("{k} = {}", plain(v))).collect();
            with_params(&d.name, params)
        })
    })
}

/// The defenses of a cell that do anything.
pub fn acting(spec: &CellSpec) -> impl Iterator<Item = &Named> {
    spec.defenses.iter().filter(|d| d.name != "none")
}

/// For each attack and defense by name: the values each of its parameters takes over all cells.
struct VaryingParams(BTreeMap<String, BTreeMap<String, BTreeSet<String>>>);

impl VaryingParams {
    fn from_records(records: &[CellRecord]) -> Self {
        let mut seen: BTreeMap<String, Vec<&Named>> = BTreeMap::new();
        for entry in
            records.iter().flat_map(|r| std::iter::once(&r.spec.attack).chain(acting(&r.spec)))
        {
            seen.entry(entry.name.clone()).or_default().push(entry);
        }
        VaryingParams(seen.into_iter().map(|(name, uses)| (name, values_by_param(&uses))).collect())
    }

    fn label(&self, entry: &Named) -> String {
        let Some(params) = self.0.get(&entry.name) else { return entry.name.clone() };
        let varying = params.iter().filter(|(_, values)| values.len() > 1);
        let shown = varying
            .map(|(k, _)| format!("{k} = {}", entry.params.get(k).map_or("-".into(), plain)));
        with_params(&entry.name, shown.collect())
    }

    /// What is constant within a name that has parameters: printed once beside the constant
    /// settings.
    fn constant_lines(&self) -> Vec<(String, String)> {
        let line = |(name, params): (&String, &BTreeMap<String, BTreeSet<String>>)| {
            let fixed = params.iter().filter(|(_, values)| values.len() == 1);
            let text: Vec<_> = fixed
                .flat_map(|(k, values)| values.iter().map(move |v| format!("{k} = {v}")))
                .collect();
            (!text.is_empty()).then(|| (format!("parameters of {name}"), text.join(", ")))
        };
        self.0.iter().filter_map(line).collect()
    }
}

fn values_by_param(uses: &[&Named]) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeSet<_> = uses.iter().flat_map(|u| u.params.keys()).collect();
    let values =
        |name: &String| uses.iter().map(|u| u.params.get(name).map_or("-".into(), plain)).collect();
    names.into_iter().map(|name| (name.clone(), values(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(rows: &[[&str; 3]]) -> Axes {
        Axes {
            paths: ["federation.clients.total", "attack", "facts"].map(String::from).to_vec(),
            rows: rows.iter().map(|r| r.map(String::from).to_vec()).collect(),
            ..Axes::default()
        }
    }

    #[test]
    fn labels_say_no_more_than_needed() {
        let axes = axes(&[["1", "dlg", "labels"], ["1", "idlg", "labels"], ["10", "idlg", "none"]]);
        let all = axes.distinguishing(&[0, 1, 2], &[]);
        // What the adversary knows changes with the number of clients, and adds nothing.
        assert_eq!(axes.label(2, &all, &[]), "idlg · 10 clients");
        assert_eq!(axes.label(0, &all, &["attack"]), "1 client");
        assert_eq!(axes.label(1, &axes.distinguishing(&[0, 1], &[]), &[]), "idlg");
        assert_eq!(axes.label(1, &axes.distinguishing(&[1], &[]), &[]), "");
        // Without the attack, something else must tell cells 1 and 2 apart, and nothing need tell 0
        // from 1.
        assert_eq!(axes.label(1, &axes.distinguishing(&[0, 1, 2], &["attack"]), &[]), "1 client");
    }
}
