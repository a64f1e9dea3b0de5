//! A scale of numbers: ends, ticks and places.

use crate::figure::chart::Scale;
use crate::plot::axis::{self, Axis, Tick};

/// Room beyond the outermost values, against the length of the scale.
const ROOM: f64 = 0.04;
/// Where zero stands on a logarithmic scale that has to show it.
const ZERO: f64 = 0.04;
/// Where such a scale begins.
const BEGIN: f64 = 0.14;

/// A scale of numbers.
#[derive(Clone, Debug)]
pub(super) struct Ruler {
    axis: Axis,
    /// A logarithmic scale with a place for 0 before its break.
    zero: bool,
}

impl Ruler {
    /// The scale over `values` with about `most` ticks; `grounded` scales begin at 0 or below.
    pub fn new(scale: &Scale, values: &[f64], grounded: bool, most: usize) -> Self {
        let values: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        let log = scale.log && values.iter().all(|v| *v >= 0.0) && values.iter().any(|v| *v > 0.0);
        if log {
            Self::log(&values, scale.range)
        } else {
            Self::linear(&values, scale.range, grounded, most)
        }
    }

    fn log(values: &[f64], range: Option<(f64, f64)>) -> Self {
        let above: Vec<f64> = values.iter().copied().filter(|v| *v > 0.0).collect();
        let (low, high) =
            range.filter(|(low, high)| *low > 0.0 && high > low).unwrap_or_else(|| ends(&above));
        let mut axis = Axis::log(low, high);
        // Values that were swept are the best ticks where they are few.
        let mut few = above.clone();
        few.sort_by(f64::total_cmp);
        few.dedup();
        if axis.ticks.len() < 3 && few.len() <= 6 {
            axis.ticks = Axis::log_at(&few).ticks;
        }
        Ruler { axis, zero: values.contains(&0.0) }
    }

    fn linear(values: &[f64], range: Option<(f64, f64)>, grounded: bool, most: usize) -> Self {
        let (mut low, mut high) =
            range.filter(|(low, high)| high > low).unwrap_or_else(|| apart(ends(values)));
        if grounded {
            (low, high) = (low.min(0.0), high.max(0.0));
        }
        let room = if range.is_some() { 0.0 } else { ROOM * (high - low) };
        let ground = |end: f64| grounded && end == 0.0;
        let from = if ground(low) { low } else { low - room };
        let to = if ground(high) { high } else { high + room };
        Ruler { axis: within((low, high), (from, to), most), zero: false }
    }

    /// Where `value` lies, from 0 to 1; beyond the ends it is put at the nearer one.
    pub fn place(&self, value: f64) -> f64 {
        // A logarithm has no place for the lower end of an interval that reaches 0.
        let value_or_least = if self.is_log() { value.max(f64::MIN_POSITIVE) } else { value };
        let plain = self.axis.place(value_or_least);
        let place = if plain.is_nan() { plain } else { plain.clamp(0.0, 1.0) };
        match self.zero {
            true if value <= 0.0 => ZERO,
            true => BEGIN + (1.0 - BEGIN) * place,
            false => place,
        }
    }

    /// Ticks in ascending order.
    pub fn ticks(&self) -> Vec<Tick> {
        let zero = self.zero.then(|| Tick { value: 0.0, label: "0".into(), raised: String::new() });
        let mut ticks: Vec<Tick> =
            zero.into_iter().chain(self.axis.ticks.iter().cloned()).collect();
        ticks.sort_by(|a, b| a.value.total_cmp(&b.value));
        ticks
    }

    /// Places of the short ticks between powers of ten.
    pub fn between(&self) -> Vec<f64> {
        if !self.is_log() {
            return Vec::new();
        }
        let decades = self.axis.low.log10().floor() as i32..=self.axis.high.log10().floor() as i32;
        if decades.clone().count() > 8 {
            return Vec::new();
        }
        let all = decades.flat_map(|d| (2..10).map(move |s| f64::from(s) * 10f64.powi(d)));
        all.filter(|v| (self.axis.low..=self.axis.high).contains(v))
            .map(|v| self.place(v))
            .collect()
    }

    /// Where a scale with a place for 0 is broken.
    pub fn break_at(&self) -> Option<f64> {
        self.zero.then_some((ZERO + BEGIN) / 2.0)
    }

    /// Width of the widest label, in points.
    pub fn label_width(&self) -> f64 {
        self.ticks().iter().map(Tick::width).fold(0.0, f64::max)
    }

    fn is_log(&self) -> bool {
        self.axis.scale == axis::Scale::Log
    }
}

/// A linear axis over `ends` with as many round ticks as may be, at most `most`, between `from` and
/// `to`.
fn within(ends: (f64, f64), (from, to): (f64, f64), most: usize) -> Axis {
    let plain = Axis::linear(ends.0, ends.1, most);
    let slack = 1e-9 * (to - from);
    let inside = |tick: &Tick| tick.value >= from - slack && tick.value <= to + slack;
    let finer = (1..=most + 3).rev().map(|n| Axis::linear(ends.0, ends.1, n));
    let mut kept = finer.map(|axis| axis.ticks.into_iter().filter(inside).collect::<Vec<Tick>>());
    match kept.find(|ticks| (2..=most).contains(&ticks.len())) {
        Some(ticks) if to > from => Axis { low: from, high: to, ticks, ..plain },
        _ => plain,
    }
}

/// Ends around a single value: a tenth of it to both sides.
fn apart((low, high): (f64, f64)) -> (f64, f64) {
    let pad = if low == 0.0 { 0.5 } else { 0.1 * low.abs() };
    if high > low { (low, high) } else { (low - pad, high + pad) }
}

fn ends(values: &[f64]) -> (f64, f64) {
    let (low, high) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    if low > high { (0.0, 1.0) } else { (low, high) }
}
