//! Scales and ticks.

use super::font;

/// Letters of tick labels, in points.
pub(crate) const TICK: f64 = 7.0;

/// How values become places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scale {
    Linear,
    Log,
}

/// A tick with its label and exponent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub value: f64,
    pub label: String,
    pub raised: String,
}

impl Tick {
    fn plain(value: f64, label: String) -> Self {
        Tick { value, label, raised: String::new() }
    }

    /// Width of the label in points.
    pub fn width(&self) -> f64 {
        font::width(&self.label, TICK) + font::width(&self.raised, TICK * font::RAISED)
    }
}

/// One axis.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub scale: Scale,
    pub low: f64,
    pub high: f64,
    pub ticks: Vec<Tick>,
}

impl Axis {
    /// A linear axis whose ends are round numbers around `low` and `high`, with about `most` ticks.
    pub fn linear(low: f64, high: f64, most: usize) -> Self {
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
        let step = round_step((high - low) / most.max(1) as f64);
        let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let ticks = (first as i64..=last as i64).map(|i| {
            let value = i as f64 * step;
            Tick::plain(value, minus(format!("{value:.decimals$}")))
        });
        Axis { scale: Scale::Linear, low: first * step, high: last * step, ticks: ticks.collect() }
    }

    /// A logarithmic axis from `low` to `high`, both above 0, with a little room at both ends.
    pub fn log(low: f64, high: f64) -> Self {
        let room = if high > low { (high / low).powf(0.05) } else { 2.0 };
        let (low, high) = (low / room, high * room);
        let decades = (low.log10().ceil() as i32..=high.log10().floor() as i32).collect::<Vec<_>>();
        let ticks = if decades.len() >= 3 { powers(&decades) } else { one_two_five(low, high) };
        Axis { scale: Scale::Log, low, high, ticks }
    }

    /// A logarithmic axis with ticks at these values and nowhere else.
    pub fn log_at(values: &[f64]) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(0.0, f64::max);
        let ticks =
            values.iter().map(|v| Tick::plain(*v, record::markdown::significant(*v))).collect();
        Axis { ticks, ..Axis::log(low, high) }
    }

    /// Where `value` lies, 0 at the low end and 1 at the high end; not finite for what a logarithm
    /// cannot take.
    pub fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        }
    }
}

/// The smallest of 1, 2, 2.5, 5 times a power of ten that is at least `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|s| s * power >= rough * (1.0 - 1e-9));
    step.unwrap_or(10.0) * power
}

/// A true minus sign.
fn minus(label: String) -> String {
    let zero = label.trim_start_matches('-').chars().all(|c| c == '0' || c == '.');
    if zero { label.trim_start_matches('-').to_owned() } else { label.replace('-', "−") }
}

/// Powers of ten, thinned to at most seven.
fn powers(decades: &[i32]) -> Vec<Tick> {
    let each = decades.len().div_ceil(7) as i32;
    let kept = decades.iter().filter(|d| *d % each == 0);
    kept.map(|d| Tick { value: 10f64.powi(*d), label: "10".into(), raised: minus(d.to_string()) })
        .collect()
}

fn one_two_five(low: f64, high: f64) -> Vec<Tick> {
    let decades = low.log10().floor() as i32..=high.log10().floor() as i32;
    let all = decades.flat_map(|d| [1.0, 2.0, 5.0].map(|s| s * 10f64.powi(d)));
    let within = all.filter(|v| (low..=high).contains(v));
    within.map(|v| Tick::plain(v, minus(record::markdown::significant(v)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|t| format!("{}{}", t.label, t.raised)).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(&Axis::linear(0.0, 33.2, 5)), ["0", "10", "20", "30", "40"]);
        assert_eq!(labels(&Axis::linear(-0.31, 0.2, 4)), ["−0.4", "−0.2", "0.0", "0.2"]);
        assert_eq!(labels(&Axis::log(1e-5, 2.0)), ["10−5", "10−4", "10−3", "10−2", "10−1", "100"]);
        assert_eq!(labels(&Axis::log(1.0, 8.0)), ["1", "2", "5"]);
    }

    proptest! {
        #[test]
        fn data_lie_within(a in -1e6f64..1e6, width in 1e-6f64..1e6, most in 1usize..8) {
            let axis = Axis::linear(a, a + width, most);
            prop_assert!(axis.place(a) > -1e-6 && axis.place(a + width) < 1.0 + 1e-6);
            prop_assert!(axis.ticks.len() >= 2 && axis.ticks.len() <= most + 3);
        }

        #[test]
        fn log_axes_have_ticks(low in 1e-9f64..1e6, factor in 1.0f64..1e6) {
            let axis = Axis::log(low, low * factor);
            prop_assert!(axis.place(low) > 0.0 && axis.place(low * factor) < 1.0);
            prop_assert!(!axis.ticks.is_empty() && axis.ticks.len() <= 8);
        }
    }
}
