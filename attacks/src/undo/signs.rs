//! Examples from the magnitudes of their mixtures, where the sign of every value was drawn.
//!
//! With `n` mixtures of `n` examples each value has `2^n` possible vectors of signs, and each of
//! them solves the linear system for one vector of pixels (the absolute value undoes the draw:
//! Carlini et al.: Is Private Learning Possible with Instance Encoding?, IEEE S&P 2021). Which of
//! them are true is told by the box of pixels and by neighbours, which are alike: the least of
//! both, by belief propagation (min-sum) on the grid of pixels and channels and a descent from
//! there, once from a leaning to dark and once to bright pictures. A batch and its negative fit
//! alike where neither leaves the box; the darker is taken then, which can be wrong.

use super::linear::{self, Matrix};

/// Mixtures at most: their signs are enumerated.
const MOST: usize = 8;

/// Vectors of signs that a value keeps, those nearest to the box.
const KEPT: usize = 12;

/// Sweeps of the propagation, the share of a message that stays, and sweeps of the descent.
const SWEEPS: usize = 40;
const STAYS: f64 = 0.3;
const DESCENT: usize = 20;

/// Difference of neighbouring pixels in `[0, 1]` beyond which an edge costs no more. This and the
/// next were set on the embedded photographs of 16x16 and 32x32 pixels, so that results on those
/// flatter.
const EDGE: f64 = 0.1;

/// Weight of the excess over the box, of a pair of channels at one place, and of the leaning.
const BOX: f64 = 20.0;
const CHANNELS: f64 = 2.0;
const BRIGHT: f64 = 0.01;

/// What is known of mixtures with drawn signs; all values normalised.
pub struct Hidden {
    /// Magnitudes, one mixture a row.
    pub magnitudes: Matrix,
    /// What black is at each place.
    pub least: Vec<f64>,
    /// What white is.
    pub greatest: Vec<f64>,
    /// `[C, H, W]`, or `[F]`.
    pub size: Vec<i64>,
}

/// A possible vector of examples at one place: values, and what they cost by themselves.
struct State {
    values: Vec<f64>,
    cost: f64,
}

/// The examples, normalised, one a row, of `matrix` times them being the mixtures.
///
/// # Errors
/// Words: too many mixtures, or a matrix that all but has no inverse.
pub fn solve(hidden: &Hidden, matrix: &Matrix) -> Result<Matrix, String> {
    let n = matrix.len();
    if n > MOST {
        return Err(format!("signs of {n} mixtures are not enumerated, only those of {MOST}"));
    }
    let (inverse, _) = linear::inverse(matrix).ok_or("they all but are one mixture")?;
    let places = hidden.least.len();
    let states: Vec<Vec<State>> = (0..places).map(|v| hidden.states(&inverse, v)).collect();
    let grid = Grid { edges: edges(&hidden.size, places), states };
    let sought = |bright: f64| {
        let chosen = grid.descended(grid.propagated(bright));
        (grid.cost(&chosen), chosen)
    };
    let [dark, bright] = [BRIGHT, -BRIGHT].map(sought);
    let (_, chosen) = if bright.0 < dark.0 { bright } else { dark };
    let mut out = vec![vec![0.0; places]; n];
    for (v, &s) in chosen.iter().enumerate() {
        let [least, greatest] = [hidden.least[v], hidden.greatest[v]];
        for (row, pixel) in out.iter_mut().zip(&grid.states[v][s].values) {
            row[v] = least + pixel * (greatest - least);
        }
    }
    Ok(out)
}

impl Hidden {
    /// Pixels in the unit of the box, of every vector of signs; the likeliest first.
    fn states(&self, inverse: &Matrix, v: usize) -> Vec<State> {
        let n = inverse.len();
        let width = (self.greatest[v] - self.least[v]).max(1e-9);
        let state = |signs: usize| {
            let mixed = |e: usize| {
                let sign = if signs >> e & 1 == 1 { -1.0 } else { 1.0 };
                sign * self.magnitudes[e][v]
            };
            let values: Vec<f64> = inverse
                .iter()
                .map(|row| row.iter().enumerate().map(|(e, a)| a * mixed(e)).sum::<f64>())
                .map(|x| (x - self.least[v]) / width)
                .collect();
            let excess: f64 = values.iter().map(|x| (x - x.clamp(0.0, 1.0)).abs()).sum();
            let cost = BOX * excess;
            State { values, cost }
        };
        let mut all: Vec<State> = (0..1usize << n).map(state).collect();
        all.sort_by(|a, b| a.cost.total_cmp(&b.cost));
        all.truncate(KEPT);
        all
    }
}

/// Pairs of places that are alike, and how much they count.
fn edges(size: &[i64], places: usize) -> Vec<(usize, usize, f64)> {
    let size: Vec<usize> = size.iter().map(|&n| n as usize).collect();
    let [channels, height, width] = match size[..] {
        [c, h, w] => [c, h, w],
        _ => [1, 1, places],
    };
    let plane = height * width;
    let of = |i: usize| {
        let (x, y) = (i % width, i % plane / width);
        let right = (x + 1 < width).then_some((i, i + 1, 1.0));
        let down = (y + 1 < height).then_some((i, i + width, 1.0));
        let channel = (i + plane < channels * plane).then_some((i, i + plane, CHANNELS));
        [right, down, channel].into_iter().flatten()
    };
    (0..places).flat_map(of).collect()
}

struct Grid {
    states: Vec<Vec<State>>,
    edges: Vec<(usize, usize, f64)>,
}

impl Grid {
    fn pair(&self, (u, v, weight): (usize, usize, f64), s: usize, t: usize) -> f64 {
        let (a, b) = (&self.states[u][s].values, &self.states[v][t].values);
        weight * a.iter().zip(b).map(|(a, b)| (a - b).abs().min(EDGE)).sum::<f64>()
    }

    /// A state a place by min-sum belief propagation, with a weight of brightness beside the costs.
    fn propagated(&self, bright: f64) -> Vec<usize> {
        let alone = |s: &State| s.cost + bright * s.values.iter().sum::<f64>();
        let mut beliefs: Vec<Vec<f64>> =
            self.states.iter().map(|s| s.iter().map(alone).collect()).collect();
        // What each edge says to its second place, and to its first.
        let mut messages: Vec<[Vec<f64>; 2]> = self
            .edges
            .iter()
            .map(|&(u, v, _)| [vec![0.0; self.states[v].len()], vec![0.0; self.states[u].len()]])
            .collect();
        for sweep in 0..SWEEPS {
            let order: Vec<usize> = match sweep % 2 {
                0 => (0..self.edges.len()).collect(),
                _ => (0..self.edges.len()).rev().collect(),
            };
            for e in order {
                let edge @ (u, v, _) = self.edges[e];
                for (way, from, to) in [(0, u, v), (1, v, u)] {
                    let back = &messages[e][1 - way];
                    let alone: Vec<f64> =
                        beliefs[from].iter().zip(back).map(|(b, m)| b - m).collect();
                    let cost = |t: usize| {
                        let pair = |s: usize| match way {
                            0 => self.pair(edge, s, t),
                            _ => self.pair(edge, t, s),
                        };
                        (0..alone.len()).map(|s| alone[s] + pair(s)).fold(f64::INFINITY, f64::min)
                    };
                    let mut said: Vec<f64> = (0..self.states[to].len()).map(cost).collect();
                    let least = said.iter().copied().fold(f64::INFINITY, f64::min);
                    let old = &messages[e][way];
                    said.iter_mut()
                        .zip(old)
                        .for_each(|(m, old)| *m = (1.0 - STAYS) * (*m - least) + STAYS * old);
                    beliefs[to]
                        .iter_mut()
                        .zip(said.iter().zip(old))
                        .for_each(|(b, (m, old))| *b += m - old);
                    messages[e][way] = said;
                }
            }
        }
        beliefs.iter().map(|b| least_of(b.iter().copied())).collect()
    }

    /// What all states cost together.
    fn cost(&self, chosen: &[usize]) -> f64 {
        let alone = chosen.iter().zip(&self.states).map(|(&s, states)| states[s].cost);
        let pairs = self.edges.iter().map(|&e| self.pair(e, chosen[e.0], chosen[e.1]));
        alone.sum::<f64>() + pairs.sum::<f64>()
    }

    /// From there every place takes the state that costs least beside its neighbours'.
    fn descended(&self, mut chosen: Vec<usize>) -> Vec<usize> {
        let mut beside: Vec<Vec<usize>> = vec![Vec::new(); self.states.len()];
        for (e, &(u, v, _)) in self.edges.iter().enumerate() {
            beside[u].push(e);
            beside[v].push(e);
        }
        for _ in 0..DESCENT {
            let before = chosen.clone();
            for v in 0..self.states.len() {
                let cost = |s: usize| {
                    let pairs = beside[v].iter().map(|&e| {
                        let edge = self.edges[e];
                        if edge.0 == v {
                            self.pair(edge, s, chosen[edge.1])
                        } else {
                            self.pair(edge, chosen[edge.0], s)
                        }
                    });
                    self.states[v][s].cost + pairs.sum::<f64>()
                };
                let best = least_of((0..self.states[v].len()).map(cost));
                chosen[v] = best;
            }
            if chosen == before {
                break;
            }
        }
        chosen
    }
}

fn least_of(costs: impl Iterator<Item = f64>) -> usize {
    costs.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(i, _)| i)
}
