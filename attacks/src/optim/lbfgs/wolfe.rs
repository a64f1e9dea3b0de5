//! The strong Wolfe line search of one lane, as a state machine that asks for one evaluation at a
//! time.
//!
//! Many lanes can then search at once, their points evaluated as one batch. The steps are those of
//! `torch.optim.LBFGS`: bracket, then zoom, with cubic interpolation (Nocedal and Wright, 2006,
//! algorithms 3.5 and 3.6; safeguards as in minFunc).

const ARMIJO: f64 = 1e-4;
const CURVATURE: f64 = 0.9;

/// A point on the line x + t d.
#[derive(Clone, Debug)]
pub struct Point<G> {
    /// How far along the direction.
    pub t: f64,
    /// The objective; infinite where it or its gradient is not finite.
    pub f: f64,
    /// The directional derivative.
    pub slope: f64,
    /// The gradient's largest magnitude.
    pub steepest: f64,
    /// The gradient itself, carried along.
    pub gradient: G,
}

/// What the search wants next.
#[derive(Debug)]
pub enum Next<G> {
    /// The point at this t.
    Try(f64),
    /// Nothing: this is the point chosen.
    Done(Point<G>),
}

/// A line search under way.
pub struct Search<G> {
    start: Point<G>,
    direction_size: f64,
    tolerance: f64,
    max_tries: usize,
    /// Points evaluated after the first.
    tries: usize,
    stage: Stage<G>,
}

enum Stage<G> {
    /// The step grows until an interval holds an acceptable point; the last point is kept.
    Bracket(Point<G>),
    /// The interval `ends` shrinks; `low` is the end with the lower objective.
    Zoom { ends: [Point<G>; 2], low: usize, stalled: bool },
}

impl<G: Clone> Search<G> {
    /// A search from `start` (t = 0, negative slope) along a direction whose largest magnitude is
    /// `direction_size`. It ends when an interval changes no variable by `tolerance`, or after
    /// `max_tries` points beyond the first.
    pub fn new(start: Point<G>, direction_size: f64, tolerance: f64, max_tries: usize) -> Self {
        let stage = Stage::Bracket(start.clone());
        Search { start, direction_size, tolerance, max_tries, tries: 0, stage }
    }

    /// Takes the point last asked for (at first: that at the initial step length).
    pub fn feed(&mut self, new: Point<G>) -> Next<G> {
        match &self.stage {
            Stage::Bracket(_) => self.bracket(new),
            Stage::Zoom { .. } => self.shrink(new),
        }
    }

    fn too_high(&self, new: &Point<G>) -> bool {
        new.f > self.start.f + ARMIJO * new.t * self.start.slope
    }

    fn flat_enough(&self, new: &Point<G>) -> bool {
        new.slope.abs() <= -CURVATURE * self.start.slope
    }

    fn bracket(&mut self, new: Point<G>) -> Next<G> {
        let Stage::Bracket(previous) = &self.stage else {
            unreachable!("called in the bracketing stage only")
        };
        if self.tries >= self.max_tries {
            return Next::Done(if self.start.f <= new.f { self.start.clone() } else { new });
        }
        if self.too_high(&new) || (self.tries > 1 && new.f >= previous.f) {
            return self.enter_zoom(new);
        }
        if self.flat_enough(&new) {
            return Next::Done(new);
        }
        if new.slope >= 0.0 {
            return self.enter_zoom(new);
        }
        let (least, most) = (new.t + 0.01 * (new.t - previous.t), new.t * 10.0);
        let t = interpolate(previous, &new, least, most);
        self.stage = Stage::Bracket(new);
        self.tries += 1;
        Next::Try(t)
    }

    fn enter_zoom(&mut self, new: Point<G>) -> Next<G> {
        let Stage::Bracket(previous) = &self.stage else {
            unreachable!("called in the bracketing stage only")
        };
        let ends = [previous.clone(), new];
        self.stage = Stage::Zoom { low: lower(&ends), ends, stalled: false };
        self.zoom()
    }

    /// The interval with the point just evaluated.
    fn shrink(&mut self, new: Point<G>) -> Next<G> {
        let (too_high, flat_enough) = (self.too_high(&new), self.flat_enough(&new));
        let Stage::Zoom { ends, low, .. } = &mut self.stage else {
            unreachable!("called in the zoom stage only")
        };
        let high = 1 - *low;
        if too_high || new.f >= ends[*low].f {
            ends[high] = new;
            *low = lower(ends);
        } else if flat_enough {
            return Next::Done(new);
        } else {
            if new.slope * (ends[high].t - ends[*low].t) >= 0.0 {
                ends[high] = ends[*low].clone();
            }
            ends[*low] = new;
        }
        self.zoom()
    }

    /// The next point inside the interval, unless the search has to end.
    fn zoom(&mut self) -> Next<G> {
        let Stage::Zoom { ends, low, stalled } = &mut self.stage else {
            unreachable!("called in the zoom stage only")
        };
        let (least, most) = (ends[0].t.min(ends[1].t), ends[0].t.max(ends[1].t));
        if self.tries >= self.max_tries || (most - least) * self.direction_size < self.tolerance {
            return Next::Done(ends[*low].clone());
        }
        self.tries += 1;
        let t = interpolate(&ends[0], &ends[1], least, most);
        Next::Try(keep_off(t, least, most, stalled))
    }
}

/// Moves `t` away from a boundary that it touches, or that it came close to twice in a row.
fn keep_off(t: f64, least: f64, most: f64, stalled: &mut bool) -> f64 {
    let margin = 0.1 * (most - least);
    let close = (most - t).min(t - least) < margin;
    let push = close && (*stalled || t >= most || t <= least);
    *stalled = close && !push;
    match push {
        true if (t - most).abs() < (t - least).abs() => most - margin,
        true => least + margin,
        false => t,
    }
}

fn lower<G>(ends: &[Point<G>; 2]) -> usize {
    usize::from(ends[0].f > ends[1].f)
}

/// The minimiser of the cubic through two points with their slopes, kept within the bounds; their
/// middle where there is none.
fn interpolate<G>(a: &Point<G>, b: &Point<G>, least: f64, most: f64) -> f64 {
    let d1 = a.slope + b.slope - 3.0 * (a.f - b.f) / (a.t - b.t);
    let d2 = (d1 * d1 - a.slope * b.slope).sqrt();
    let t = if a.t <= b.t {
        b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2))
    } else {
        a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2.0 * d2))
    };
    // Not finite: a negative discriminant, or an end whose objective is infinite.
    if t.is_nan() { (least + most) / 2.0 } else { t.clamp(least, most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(t: f64, (f, slope): (f64, f64)) -> Point<()> {
        let finite = f.is_finite() && slope.is_finite();
        Point {
            t,
            f: if finite { f } else { f64::INFINITY },
            slope,
            steepest: slope.abs(),
            gradient: (),
        }
    }

    /// Searches `line` (t -> value, slope) from a first step; the point chosen and the number of
    /// evaluations.
    fn search(
        line: impl Fn(f64) -> (f64, f64),
        first: f64,
        max_tries: usize,
    ) -> (Point<()>, usize) {
        let mut search = Search::new(point(0.0, line(0.0)), 1.0, 1e-9, max_tries);
        let mut next = search.feed(point(first, line(first)));
        let mut evaluations = 1;
        loop {
            match next {
                Next::Done(p) => return (p, evaluations),
                Next::Try(t) => next = search.feed(point(t, line(t))),
            }
            evaluations += 1;
        }
    }

    fn satisfies(line: impl Fn(f64) -> (f64, f64), p: &Point<()>) -> bool {
        let (f, slope) = line(0.0);
        p.f <= f + ARMIJO * p.t * slope && p.slope.abs() <= -CURVATURE * slope
    }

    /// Golden points from torch's own search: the same ones after as many evaluations, be they good
    /// or the best 26 could find.
    #[test]
    fn takes_the_points_torch_takes() {
        let lines: [fn(f64) -> (f64, f64); 3] = [
            |t| ((t - 3.0).powi(2), 2.0 * (t - 3.0)),
            |t| (-t / (t * t + 2.0), (t * t - 2.0) / (t * t + 2.0).powi(2)),
            |t| (t.powi(4) - 2.0 * t * t - t, 4.0 * t.powi(3) - 4.0 * t - 1.0),
        ];
        let golden = include_str!("../../../tests/golden/optim/traces.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        for case in golden["line_searches"].as_array().unwrap() {
            let number = |key: &str| case[key].as_f64().unwrap();
            let line = lines[number("line") as usize];
            let (p, evaluations) = search(line, number("first"), 25);
            assert_eq!(evaluations as f64, number("evaluations"), "{case}");
            assert!(
                (p.t / number("t") - 1.0).abs() < 1e-8 && (p.f - number("value")).abs() < 1e-8,
                "{case}: {p:?}"
            );
            assert!(satisfies(line, &p) || evaluations == 26, "{case}: {p:?}");
        }
    }

    #[test]
    fn comes_back_from_where_the_objective_is_not_finite() {
        let line = |t: f64| {
            if t < 1.0 { (-t, -1.0 + 2.0 * (t - 0.4).max(0.0)) } else { (f64::NAN, f64::NAN) }
        };
        let (p, evaluations) = search(line, 64.0, 25);
        assert!(p.t > 0.0 && p.t < 1.0 && p.f < 0.0 && evaluations <= 26, "{p:?}");
    }

    #[test]
    fn ends_after_the_evaluations_allowed_and_never_uphill() {
        let wild = |t: f64| ((50.0 * t).sin() + t, 50.0 * (50.0 * t).cos() - 60.0);
        for tries in 0..6 {
            let (p, evaluations) = search(wild, 0.3, tries);
            assert!(evaluations <= tries + 1 && p.f <= wild(0.0).0);
        }
        // No point at all is finite: it stays where it was.
        let (p, _) = search(|t| if t == 0.0 { (1.0, -1.0) } else { (f64::INFINITY, 0.0) }, 1.0, 25);
        assert_eq!((p.t, p.f), (0.0, 1.0));
    }
}
