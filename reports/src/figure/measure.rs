//! Measures: what has a value per image, per cell or per round.

use record::run::Run;
use record::utility;
use record::{CellRecord, MetricInfo, Outcome};
use std::collections::BTreeSet;

/// Something with a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Measure {
    /// A score of reconstructions.
    Metric(MetricInfo),
    /// A score of a null baseline: its name, and the metric.
    Null(String, MetricInfo),
    /// The share of reconstructions with at least (at most, for errors) this much of a metric.
    Success(MetricInfo, f64),
    /// The share of labels that the attack guessed, of attacks that guess any.
    Labels,
    /// The worth of the model: a key of the record's `task`.
    Task(String),
    /// A key of the record's `cost`.
    Cost(String),
    /// Seconds: `seconds`, `attack_seconds`, `rounds.<phase>`, `phases.<phase>`.
    Wall(String),
    /// A value that a defense measured or spent.
    Defense(String),
}

/// Keys of `cost` with what they are called.
const COSTS: [(&str, &str); 7] = [
    ("gradient_evaluations", "gradient evaluations"),
    ("iterations", "iterations"),
    ("restarts", "restarts"),
    ("bytes_up", "bytes sent by a client"),
    ("bytes_down", "bytes received by a client"),
    ("bytes_up_all", "bytes sent by all clients"),
    ("bytes_down_all", "bytes received by all clients"),
];

impl Measure {
    /// The measure `name`, if the run has it.
    pub fn find(run: &Run, name: &str) -> Option<Self> {
        let any = |has: &dyn Fn(&CellRecord) -> bool| run.records.iter().any(has);
        let metric = |name: &str| any(&|r| r.images.iter().any(|i| i.scores.contains_key(name)));
        if metric(name) || (name == "psnr" && any(&|r| r.lost_images() > 0)) {
            return Some(Measure::Metric(run.metric(name)));
        }
        if name == "label_accuracy" {
            return metric("label_match").then_some(Measure::Labels);
        }
        let (family, rest) = name.split_once('.')?;
        match family {
            "task" => any(&|r| r.task.contains_key(rest)).then(|| Measure::Task(rest.into())),
            "cost" => COSTS.iter().any(|(key, _)| *key == rest).then(|| Measure::Cost(rest.into())),
            "wall" => any(&|r| wall(r, rest).is_some()).then(|| Measure::Wall(rest.into())),
            "measured" => {
                any(&|r| defense(r, rest).is_some()).then(|| Measure::Defense(rest.into()))
            }
            "success" => {
                let (name, bound) = rest.rsplit_once('-')?;
                let bound: f64 = bound.parse().ok().filter(|b: &f64| b.is_finite())?;
                let own = run.metric(name);
                let judges = metric(name) && own.higher_is_better.is_some();
                judges.then_some(Measure::Success(own, bound))
            }
            "null" => {
                let (null, name) = rest.split_once('.')?;
                let has = |r: &CellRecord| {
                    r.baselines.get(null).is_some_and(|b| b.iter().any(|s| s.contains_key(name)))
                };
                any(&has).then(|| Measure::Null(null.into(), run.metric(name)))
            }
            _ => None,
        }
    }

    /// Names of the measures of the run that are no metric.
    pub fn known(run: &Run) -> Vec<String> {
        let mut names = BTreeSet::new();
        for record in &run.records {
            names.extend(record.task.keys().map(|k| format!("task.{k}")));
            names.extend(
                record
                    .defenses
                    .iter()
                    .flat_map(|d| d.values.keys())
                    .map(|k| format!("measured.{k}")),
            );
            names.extend(record.wall.rounds.keys().map(|k| format!("wall.rounds.{k}")));
            names.extend(record.wall.phases.keys().map(|k| format!("wall.phases.{k}")));
            for (null, scores) in &record.baselines {
                names.extend(
                    scores.iter().flat_map(|s| s.keys()).map(|k| format!("null.{null}.{k}")),
                );
            }
        }
        let success = run.metric_names.iter().flat_map(|name| {
            let bounds = run.metric(name).thresholds.into_iter();
            bounds.map(move |bound| format!("success.{name}-{bound}"))
        });
        let costs = COSTS.iter().map(|(key, _)| format!("cost.{key}"));
        let walls = ["wall.seconds", "wall.attack_seconds"].map(String::from);
        success.chain(names).chain(costs).chain(walls).collect()
    }

    /// Title with unit, as on an axis.
    pub fn title(&self) -> String {
        let words = |key: &str| key.replace(['_', '.'], " ");
        match self {
            Measure::Metric(metric) => metric.label(),
            Measure::Null(null, metric) => format!("{} of {null}", metric.label()),
            Measure::Success(metric, bound) => {
                format!("share of images with {}", metric.threshold(*bound))
            }
            Measure::Labels => "share of labels guessed".into(),
            Measure::Task(key) => match key.as_str() {
                "accuracy" => "task accuracy".into(),
                "trained_accuracy" => "task accuracy after training".into(),
                key => words(key),
            },
            Measure::Cost(key) => COSTS
                .iter()
                .find(|(name, _)| name == key)
                .map_or_else(|| words(key), |(_, title)| (*title).into()),
            Measure::Wall(key) => match key.as_str() {
                "seconds" => "time of the cell (s)".into(),
                "attack_seconds" => "time of the attack (s)".into(),
                key => {
                    format!(
                        "{} (s)",
                        words(key.trim_start_matches("rounds.").trim_start_matches("phases."))
                    )
                }
            },
            Measure::Defense(key) => words(key),
        }
    }

    /// Title of a table's column.
    pub fn short_title(&self) -> String {
        match self {
            Measure::Success(metric, bound) => metric.threshold(*bound),
            other => other.title(),
        }
    }

    /// The range of values, where it is fixed: shares go from 0 to 1.
    pub fn range(&self) -> Option<(f64, f64)> {
        let share = match self {
            Measure::Success(..) | Measure::Labels => true,
            Measure::Metric(metric) | Measure::Null(_, metric) => metric.name == "label_match",
            Measure::Task(key) => key.ends_with("accuracy"),
            _ => false,
        };
        share.then_some((0.0, 1.0))
    }

    /// Decimals in tables.
    pub fn decimals(&self) -> usize {
        match self {
            Measure::Metric(metric) | Measure::Null(_, metric) => metric.decimals,
            Measure::Success(..) | Measure::Labels | Measure::Defense(_) => 2,
            Measure::Task(_) => 3,
            Measure::Cost(_) => 0,
            Measure::Wall(_) => 1,
        }
    }

    /// A value with the decimals of tables; where these would leave nothing of it, in powers of
    /// ten.
    pub fn show(&self, value: f64) -> String {
        if let Measure::Metric(metric) | Measure::Null(_, metric) = self {
            return metric.show(value);
        }
        if let Measure::Wall(_) = self {
            return time(value);
        }
        let lost = value != 0.0 && value.abs() < 0.5 * 10f64.powi(-(self.decimals() as i32));
        if lost || value.abs() >= 1e7 {
            format!("{value:.2e}")
        } else {
            format!("{value:.*}", self.decimals())
        }
    }

    /// Whether a high value is good for an attack (of the model's worth: for its owner), a low one
    /// otherwise; `None` where nobody said.
    pub fn higher_is_better(&self) -> Option<bool> {
        match self {
            Measure::Metric(metric) | Measure::Null(_, metric) => metric.higher_is_better,
            Measure::Success(..) | Measure::Labels => Some(true),
            Measure::Task(key) => utility::higher_is_better(key),
            Measure::Cost(_) | Measure::Wall(_) | Measure::Defense(_) => Some(false),
        }
    }

    /// Whether it says how much leaked.
    pub fn leaks(&self) -> bool {
        matches!(self, Measure::Metric(_) | Measure::Null(..)) || self.is_share()
    }

    /// Whether it is the share of images that something was achieved on.
    pub fn is_share(&self) -> bool {
        matches!(self, Measure::Success(..) | Measure::Labels)
    }

    /// Whether a cell has it only once its attack has ended: what an attack that failed had cost by
    /// then is not recorded.
    pub fn of_attack(&self) -> bool {
        match self {
            Measure::Cost(key) => !key.starts_with("bytes"),
            Measure::Wall(key) => key == "attack_seconds",
            _ => false,
        }
    }

    /// The value of one cell, of a measure that is not of its images.
    pub fn of_cell(&self, record: &CellRecord) -> Option<f64> {
        if self.of_attack() && matches!(record.outcome, Outcome::Failed { .. }) {
            return None;
        }
        let cost = &record.cost;
        match self {
            Measure::Metric(_) | Measure::Null(..) | Measure::Success(..) | Measure::Labels => None,
            Measure::Task(key) => record.task.get(key).copied(),
            Measure::Wall(key) => wall(record, key),
            Measure::Defense(key) => defense(record, key),
            Measure::Cost(key) => Some(match key.as_str() {
                "gradient_evaluations" => cost.gradient_evaluations as f64,
                "iterations" => cost.iterations as f64,
                "restarts" => cost.restarts as f64,
                "bytes_up" => cost.bytes_up as f64,
                "bytes_down" => cost.bytes_down as f64,
                "bytes_up_all" => cost.bytes_up_all as f64,
                _ => cost.bytes_down_all as f64,
            }),
        }
    }

    /// Whether it is a matter of the round, the same for every attack on it.
    pub fn of_round(&self) -> bool {
        match self {
            Measure::Task(_) | Measure::Defense(_) => true,
            Measure::Cost(key) => key.starts_with("bytes"),
            Measure::Wall(key) => key.starts_with("rounds."),
            _ => false,
        }
    }
}

/// Seconds with three significant digits, from 100 s on whole; in powers of ten only below a
/// microsecond.
fn time(seconds: f64) -> String {
    let scientific = format!("{seconds:.2e}");
    let power: i32 = scientific.split_once('e').and_then(|(_, p)| p.parse().ok()).unwrap_or(0);
    match power {
        ..-6 => scientific,
        power => format!("{seconds:.*}", usize::try_from(2 - power).unwrap_or(0)),
    }
}

fn wall(record: &CellRecord, key: &str) -> Option<f64> {
    let wall = &record.wall;
    match key.split_once('.') {
        Some(("rounds", phase)) => wall.rounds.get(phase).copied(),
        Some(("phases", phase)) => wall.phases.get(phase).copied(),
        Some(_) => None,
        None if key == "seconds" => Some(wall.seconds),
        None if key == "attack_seconds" => Some(wall.attack_seconds),
        None => None,
    }
}

/// Of the first defense that has it.
fn defense(record: &CellRecord, key: &str) -> Option<f64> {
    record.defenses.iter().find_map(|d| d.values.get(key).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_plain_with_three_digits() {
        let shown = [0.0, 0.0487, 0.4, 4.87, 12.345, 9.999, 1234.5, 3e-8].map(time);
        assert_eq!(shown, ["0.00", "0.0487", "0.400", "4.87", "12.3", "10.0", "1234", "3.00e-8"]);
    }
}
