//! One side of a panel: numbers, or names of places 0, 1, ...

use super::ruler::Ruler;
use crate::figure::chart::Scale;
use crate::figure::style::Style;
use crate::plot::font;

/// Lines that a name may take below its place.
const LINES: usize = 3;

/// Lines that a name may take beside its place.
const BESIDE: usize = 4;

/// Longest name that reads upwards, in points.
const UPWARD: f64 = 80.0;

/// Distance of base lines, against the size of the letters.
pub(super) const LEADING: f64 = 1.17;

/// What a side of a panel shows, before it is known how long it is.
#[derive(Clone, Debug)]
pub(super) struct Want {
    pub title: String,
    pub kind: Kind,
}

/// Numbers or names.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Numbers { scale: Scale, values: Vec<f64>, grounded: bool },
    Names(Vec<String>),
}

impl Want {
    /// Numbers on `scale` that cover `values`, or its words.
    pub fn numbers(scale: &Scale, values: Vec<f64>, grounded: bool) -> Self {
        let kind = if scale.words.is_empty() {
            Kind::Numbers { scale: scale.clone(), values, grounded }
        } else {
            Kind::Names(scale.words.clone())
        };
        Want { title: scale.title.clone(), kind }
    }

    /// Names without a title.
    pub fn names(names: &[String]) -> Self {
        Want { title: String::new(), kind: Kind::Names(names.to_vec()) }
    }

    /// One side for all panels, where they mean the same.
    pub fn shared(wants: &[Want]) -> Option<Want> {
        let mut wants = wants.iter().cloned();
        let first = wants.next()?;
        wants.try_fold(first, Want::joined)
    }

    fn joined(self, other: Want) -> Option<Want> {
        if self.title != other.title {
            return None;
        }
        let kind = match (self.kind, other.kind) {
            (
                Kind::Numbers { scale, mut values, grounded },
                Kind::Numbers { scale: too, values: more, grounded: also },
            ) if scale.log == too.log && scale.range == too.range => {
                values.extend(more);
                Kind::Numbers { scale, values, grounded: grounded || also }
            }
            (Kind::Names(names), Kind::Names(same)) if names == same => Kind::Names(names),
            _ => return None,
        };
        Some(Want { title: self.title, kind })
    }
}

/// A side whose length is known.
#[derive(Clone, Debug)]
pub(super) enum Side {
    Numbers(Ruler),
    Names { lines: Vec<Vec<String>>, upwards: bool },
}

impl Side {
    /// A side below a panel that is `length` points wide.
    pub fn below(want: &Want, style: &Style, length: f64) -> Self {
        match &want.kind {
            Kind::Numbers { scale, values, grounded } => {
                let most = (length / 24.0).clamp(2.0, 8.0) as usize;
                Side::Numbers(Ruler::new(scale, values, *grounded, most))
            }
            Kind::Names(names) => {
                let slot = length / names.len().max(1) as f64 - 3.0;
                let whole: Option<Vec<_>> =
                    names.iter().map(|n| whole(n, style.tick, slot)).collect();
                match whole {
                    Some(lines) => Side::Names { lines, upwards: false },
                    None => {
                        Side::Names { lines: upward(names, style.tick, slot + 3.0), upwards: true }
                    }
                }
            }
        }
    }

    /// A side left of a panel that is `length` points high, its names at most `limit` points wide.
    pub fn beside(want: &Want, style: &Style, length: f64, limit: f64) -> Self {
        match &want.kind {
            Kind::Numbers { scale, values, grounded } => {
                let most = (length / 13.5).clamp(2.0, 7.0) as usize;
                Side::Numbers(Ruler::new(scale, values, *grounded, most))
            }
            Kind::Names(names) => {
                let wrapped = |n: &String| font::wrap(n, style.tick, limit, BESIDE);
                let lines = names.iter().map(wrapped).collect();
                Side::Names { lines, upwards: false }
            }
        }
    }

    /// Where `value` lies from 0 to 1; names stand in the middle of equal slots.
    pub fn place(&self, value: f64) -> f64 {
        match self {
            Side::Numbers(ruler) => ruler.place(value),
            Side::Names { lines, .. } => (value + 0.5) / lines.len().max(1) as f64,
        }
    }

    /// How far labels reach from the panel: to the left, or down where they are `below`.
    pub fn reach(&self, style: &Style, below: bool) -> f64 {
        match self {
            Side::Numbers(_) if below => 4.5 + style.tick,
            Side::Numbers(ruler) => 5.0 + ruler.label_width(),
            Side::Names { lines, upwards: false } if below => {
                let most = lines.iter().map(Vec::len).max().unwrap_or(1);
                4.5 + style.tick + (most as f64 - 1.0) * LEADING * style.tick
            }
            Side::Names { lines, .. } => {
                5.0 + lines.iter().flatten().map(|l| font::width(l, style.tick)).fold(0.0, f64::max)
            }
        }
    }

    /// How far the last label reaches beyond the right end of a panel of this width.
    pub fn overhang(&self, length: f64) -> f64 {
        let Side::Numbers(ruler) = self else { return 0.0 };
        let beyond = |tick: &crate::plot::axis::Tick| {
            (ruler.place(tick.value) - 1.0) * length + tick.width() / 2.0
        };
        ruler.ticks().iter().map(beyond).fold(0.0, f64::max)
    }
}

/// Names that read upwards, in as many lines as slots of this width have room for.
pub(super) fn upward(names: &[String], size: f64, slot: f64) -> Vec<Vec<String>> {
    let lines = ((slot / (LEADING * size)).floor() as usize).clamp(1, LINES);
    let fitting = |limit: f64| -> Option<Vec<Vec<String>>> {
        let all = names.iter().map(|n| whole(n, size, limit).filter(|l| l.len() <= lines));
        all.collect()
    };
    let mut limits = (5..=20).map(|i| 4.0 * f64::from(i));
    let cut = || names.iter().map(|n| vec![font::fit(n, size, UPWARD)]).collect();
    limits.find_map(fitting).unwrap_or_else(cut)
}

/// The label in lines of at most `limit` points without a cut word; `None` where there is no room.
pub(super) fn whole(label: &str, size: f64, limit: f64) -> Option<Vec<String>> {
    let mut parts = label.split_inclusive([' ', '\u{a0}', '-', '_', '/']);
    let fits = parts.all(|part| font::width(part.trim_end(), size) <= limit);
    let lines = font::wrap(label, size, limit.max(1.0), LINES);
    let cut = lines.last().is_some_and(|l| l.ends_with('…')) && !label.ends_with('…');
    (fits && !cut).then_some(lines)
}
