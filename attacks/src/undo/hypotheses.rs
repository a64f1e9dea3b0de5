//! Who was mixed with whom, and how much, from the mixtures' labels.

use learning::effect::Coefficients;

use super::demix::{Mixtures, outside};
use super::linear::{self, Matrix};

/// Probability of a class below which a mixture holds nothing of it.
const PRESENT: f64 = 0.02;

/// Examples of a batch with repeated classes whose pairings are all tried.
const MOST: usize = 4;

/// Squared distance of labels that a pairing may leave, each mixture.
const OFF: f64 = 0.02;

/// Points of a coefficient that labels do not tell.
const GRID: usize = 20;

/// Weight of the squared excess over `[0, 1]` beside a negative log-likelihood each pixel.
const BOX: f64 = 1e3;

/// A hypothesis: row `e` of the matrix says how much of each example is in mixture `e`.
pub struct Mixing {
    /// Coefficients, mixtures by examples; rows sum to 1.
    pub matrix: Matrix,
    /// Class of each example.
    pub classes: Vec<i64>,
    /// How it was found.
    pub words: String,
}

/// Where each example has a class of its own: the labels' own columns. `None` where the number of
/// classes is not that of the examples.
pub fn distinct(soft: &Matrix) -> Option<Mixing> {
    let classes = present(soft);
    if classes.len() != soft.len() {
        return None;
    }
    let row = |labels: &Vec<f64>| {
        let own: Vec<f64> = classes.iter().map(|&k| labels[k]).collect();
        let sum: f64 = own.iter().sum();
        own.iter().map(|v| v / sum.max(1e-9)).collect()
    };
    let words = format!("{} classes, one an example", classes.len());
    let named = classes.iter().map(|&k| k as i64).collect();
    Some(Mixing { matrix: soft.iter().map(row).collect(), classes: named, words })
}

/// Classes of which some mixture holds more than a trace.
fn present(soft: &Matrix) -> Vec<usize> {
    let classes = soft.first().map_or(0, Vec::len);
    (0..classes).filter(|&k| soft.iter().any(|labels| labels[k] > PRESENT)).collect()
}

/// The likeliest pairing of a batch in which classes repeat. Differences of neighbouring pixels of
/// different pictures are independent and their magnitudes fall off exponentially, so that
/// `log |det A| + sum over examples of log mean |difference|` is the negative log-likelihood each
/// pixel (independent component analysis, Bell and Sejnowski 1995); a coefficient's own law and the
/// box of pixels stand beside it.
///
/// # Errors
/// Words: more parts than two, too many examples, or labels that no pairing explains.
pub fn best(
    of: &Mixtures,
    mixtures: &Matrix,
    soft: &Matrix,
    size: &[i64],
) -> Result<Mixing, String> {
    let n = mixtures.len();
    if of.parts != 2 || n > MOST {
        return Err(format!(
            "classes repeat, and pairings are tried for two parts and {MOST} examples at most"
        ));
    }
    let steps = differences(mixtures, size);
    let mut best: Option<(f64, Pairing)> = None;
    for partners in permutations(n) {
        for classes in combinations(soft) {
            let Some(pairing) = Pairing::explaining(soft, &partners, &classes) else { continue };
            let (cost, pairing) = pairing.refined(&|p: &Pairing| cost(p, of, mixtures, &steps));
            if best.as_ref().is_none_or(|(least, _)| cost < *least) && cost.is_finite() {
                best = Some((cost, pairing));
            }
        }
    }
    let (_, found) = best.ok_or("no pairing explains their labels")?;
    let words = format!("classes repeat, pairs {:?}", found.partners);
    let classes = found.classes.iter().map(|&k| k as i64).collect();
    Ok(Mixing { matrix: found.matrix(), classes, words })
}

/// Example `e` holds `shares[e]` of itself and the rest of `partners[e]`.
#[derive(Clone)]
struct Pairing {
    partners: Vec<usize>,
    classes: Vec<usize>,
    shares: Vec<f64>,
    /// Whose share the labels do not tell.
    open: Vec<usize>,
}

impl Pairing {
    /// The pairing with the shares that the labels tell; `None` where it does not explain them.
    fn explaining(soft: &Matrix, partners: &[usize], classes: &[usize]) -> Option<Pairing> {
        let (mut shares, mut open) = (Vec::new(), Vec::new());
        for (e, labels) in soft.iter().enumerate() {
            let (own, other) = (classes[e], classes[partners[e]]);
            let alone = partners[e] == e;
            let share = if own == other {
                1.0
            } else {
                labels[own] / (labels[own] + labels[other]).max(1e-9)
            };
            let off = |k: usize, p: f64| {
                let mut expected = 0.0;
                expected += if k == own { share } else { 0.0 };
                expected += if k == other && own != other { 1.0 - share } else { 0.0 };
                (p - expected).powi(2)
            };
            if labels.iter().enumerate().map(|(k, &p)| off(k, p)).sum::<f64>() > OFF {
                return None;
            }
            if own == other && !alone {
                open.push(e);
            }
            shares.push(if own == other && !alone { 0.75 } else { share });
        }
        Some(Pairing { partners: partners.to_vec(), classes: classes.to_vec(), shares, open })
    }

    fn matrix(&self) -> Matrix {
        let n = self.partners.len();
        let row = |e: usize| {
            let mut row = vec![0.0; n];
            row[e] += self.shares[e];
            row[self.partners[e]] += 1.0 - self.shares[e];
            row
        };
        (0..n).map(row).collect()
    }

    /// Open shares by descent, one after the other, over a grid and then between its points.
    fn refined(mut self, cost: &dyn Fn(&Pairing) -> f64) -> (f64, Pairing) {
        let mut least = cost(&self);
        for round in 0..4 {
            let points = GRID * [1, 1, 5, 25][round];
            for e in self.open.clone() {
                let (from, to) = match round {
                    0 | 1 => (1, points - 1),
                    _ => {
                        let at = (self.shares[e] * points as f64) as usize;
                        (at.saturating_sub(5).max(1), (at + 6).min(points - 1))
                    }
                };
                for share in (from..=to).map(|i| i as f64 / points as f64) {
                    let mut other = self.clone();
                    other.shares[e] = share;
                    let cost = cost(&other);
                    if cost < least {
                        (least, self) = (cost, other);
                    }
                }
            }
        }
        (least, self)
    }
}

fn cost(pairing: &Pairing, of: &Mixtures, mixtures: &Matrix, steps: &Matrix) -> f64 {
    let Some((inverse, log_det)) = linear::inverse(&pairing.matrix()) else {
        return f64::INFINITY;
    };
    let own = linear::times(&inverse, steps);
    let mean = |x: &Vec<f64>| x.iter().map(|v| v.abs()).sum::<f64>() / x.len().max(1) as f64;
    let rough: f64 = own.iter().map(|x| mean(x).max(1e-9).ln()).sum();
    let law: f64 = match of.coefficients {
        Coefficients::Beta { alpha } => pairing
            .open
            .iter()
            .map(|&e| (1.0 - alpha) * (pairing.shares[e].ln() + (1.0 - pairing.shares[e]).ln()))
            .sum(),
        Coefficients::NormalMagnitudes { .. } => 0.0,
    };
    let inside = outside(&linear::times(&inverse, mixtures));
    log_det + rough + BOX * inside.powi(2) + law / mixtures[0].len() as f64
}

/// Differences of neighbouring pixels, `[C, H, W]` each; of tables those of neighbouring values.
fn differences(mixtures: &Matrix, size: &[i64]) -> Matrix {
    let size: Vec<usize> = size.iter().map(|&n| n as usize).collect();
    let (height, width) = match size[..] {
        [_, h, w] => (h, w),
        _ => (1, mixtures.first().map_or(1, Vec::len)),
    };
    let one = |m: &Vec<f64>| {
        let right = (0..m.len()).filter(|i| (i + 1) % width != 0).map(|i| m[i + 1] - m[i]);
        let down =
            (0..m.len()).filter(|i| (i / width + 1) % height != 0).map(|i| m[i + width] - m[i]);
        right.chain(down).collect()
    };
    mixtures.iter().map(one).collect()
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    (0..n).fold(vec![Vec::new()], |all, _| {
        let longer = |start: Vec<usize>| {
            let left: Vec<usize> = (0..n).filter(|i| !start.contains(i)).collect();
            left.into_iter().map(move |i| [start.clone(), vec![i]].concat())
        };
        all.into_iter().flat_map(longer).collect()
    })
}

/// One class each of those that a mixture holds.
fn combinations(soft: &Matrix) -> Vec<Vec<usize>> {
    soft.iter().fold(vec![Vec::new()], |all, labels| {
        let classes: Vec<usize> = (0..labels.len()).filter(|&k| labels[k] > PRESENT).collect();
        let longer = |start: Vec<usize>| {
            classes.iter().map(move |&k| [start.clone(), vec![k]].concat()).collect::<Vec<_>>()
        };
        all.into_iter().flat_map(longer).collect()
    })
}
