//! What L-BFGS remembers of each lane, and the direction that follows from it.

use crate::optim::rows::{self, Rows};
use tch::Tensor;

/// Below this s.y a pair says nothing reliable about curvature; torch's constant.
const LEAST_CURVATURE: f64 = 1e-10;

/// The same beside |s| |y|, where nothing may depend on the objective's scale.
const LEAST_COSINE: f64 = 1e-12;

/// The last pairs (s, y) of changes in x and in the gradient of each of T lanes. Lanes may hold
/// different numbers of them.
pub struct Memory {
    capacity: usize,
    /// Whether curvature is judged beside the lengths of s and y.
    relative: bool,
    /// `[C, T, N]`, C growing up to the capacity; lane t's pair number p lies in slot p modulo the
    /// capacity.
    s: Tensor,
    y: Tensor,
    curves: Vec<Curve>,
}

/// The numbers that go with one lane's pairs.
#[derive(Clone)]
struct Curve {
    /// Pairs ever stored.
    pairs: usize,
    /// 1 / s.y by slot.
    inverse: Vec<f64>,
    /// s.y / y.y of the newest pair: the scale of the initial inverse Hessian.
    scale: f64,
}

impl Memory {
    /// Room for `capacity` pairs of each row of `like [T, N]`; `relative` makes what is stored
    /// independent of the objective's scale.
    pub fn new(capacity: usize, relative: bool, like: &Tensor) -> Memory {
        let (t, n) = like.size2().expect("a matrix [T, N]");
        let empty = || Tensor::zeros([0, t, n], (like.kind(), like.device()));
        let curve = Curve { pairs: 0, inverse: Vec::new(), scale: 1.0 };
        Memory { capacity, relative, s: empty(), y: empty(), curves: vec![curve; t as usize] }
    }

    /// Stores the changes `s`, `y` `[R, N]` of the lanes `rows`, as far as they show positive
    /// curvature.
    pub fn store(&mut self, rows: &Rows, s: &Tensor, y: &Tensor) {
        let numbers = rows::to_host(&[&rows::dot(y, s), &rows::dot(y, y), &rows::dot(s, s)]);
        let least = |r: usize| {
            if self.relative {
                LEAST_COSINE * (numbers[1][r] * numbers[2][r]).sqrt()
            } else {
                LEAST_CURVATURE
            }
        };
        let good: Vec<usize> = (0..rows.list.len()).filter(|&r| numbers[0][r] > least(r)).collect();
        if good.is_empty() {
            return;
        }
        let slots: Vec<usize> =
            good.iter().map(|&r| self.curves[rows.list[r]].pairs % self.capacity).collect();
        self.grow(slots.iter().max().map_or(0, |slot| slot + 1));
        let lanes = self.curves.len();
        let places: Vec<usize> =
            good.iter().zip(&slots).map(|(&r, slot)| slot * lanes + rows.list[r]).collect();
        let good_rows = Rows::new(good.clone(), rows.list.len(), s.device());
        write(&self.s, &places, &good_rows.pick(s));
        write(&self.y, &places, &good_rows.pick(y));
        for (r, slot) in good.into_iter().zip(slots) {
            self.curves[rows.list[r]].push(slot, numbers[0][r], numbers[1][r]);
        }
    }

    /// The direction -H g `[R, N]` of the lanes `rows` for their gradients `g [R, N]`, by the
    /// two-loop recursion (Nocedal and Wright, 2006, algorithm 7.4); for a lane without pairs -g.
    pub fn direction(&self, rows: &Rows, g: &Tensor) -> Tensor {
        let held = |&t: &usize| self.curves[t].pairs.min(self.capacity);
        let depth = rows.list.iter().map(held).max().unwrap_or(0);
        let pairs: Vec<(Tensor, Tensor, Tensor)> = self.newest_first(rows, depth, g);
        let mut q = g.neg();
        let mut alphas = Vec::with_capacity(depth);
        for (s, y, minus_inverse) in &pairs {
            let minus_alpha = rows::dot(s, &q).unsqueeze(1) * minus_inverse;
            let _ = q.addcmul_(y, &minus_alpha);
            alphas.push(minus_alpha);
        }
        let scales: Vec<f64> = rows.list.iter().map(|&t| self.curves[t].scale).collect();
        let mut r = q * rows::column(&scales, g);
        for ((s, y, minus_inverse), minus_alpha) in pairs.iter().zip(&alphas).rev() {
            let minus_beta = rows::dot(y, &r).unsqueeze(1) * minus_inverse;
            let _ = r.addcmul_(s, &(minus_beta - minus_alpha));
        }
        r
    }

    /// The pairs of `rows` from the newest back, `depth` of them: s `[R, N]`, y `[R, N]`, -1 / s.y
    /// `[R, 1]` (0 where a lane has fewer).
    fn newest_first(
        &self,
        rows: &Rows,
        depth: usize,
        like: &Tensor,
    ) -> Vec<(Tensor, Tensor, Tensor)> {
        if depth == 0 {
            return Vec::new();
        }
        let inverses: Vec<f64> =
            self.by_age(rows, depth, |curve, slot| slot.map_or(0.0, |s| -curve.inverse[s]));
        let inverses = rows::column(&inverses, like).view([depth as i64, -1, 1]);
        let (s, y) = (self.ordered(&self.s, rows, depth), self.ordered(&self.y, rows, depth));
        (0..depth).map(|age| (s(age), y(age), inverses.get(age as i64))).collect()
    }

    /// The rows of `of [C, T, N]` by age: without a copy where all lanes go in step, else gathered
    /// at once.
    fn ordered<'a>(
        &'a self,
        of: &'a Tensor,
        rows: &Rows,
        depth: usize,
    ) -> Box<dyn Fn(usize) -> Tensor + 'a> {
        let first = &self.curves[rows.list[0]];
        if rows.all() && self.curves.iter().all(|c| c.pairs == first.pairs) {
            return Box::new(move |age| of.get(((first.pairs - 1 - age) % self.capacity) as i64));
        }
        let lanes = self.curves.len();
        let places = self.by_age(rows, depth, |_, slot| slot.unwrap_or(0) * lanes);
        let places: Vec<usize> =
            places.iter().enumerate().map(|(i, p)| p + rows.list[i % rows.list.len()]).collect();
        let size = of.size();
        let flat = of.view([-1, size[2]]).index_select(0, &rows::index(&places, of.device()));
        let gathered = flat.view([depth as i64, -1, size[2]]);
        Box::new(move |age| gathered.get(age as i64))
    }

    /// A value for each age (outer) and row (inner), given the row's curve and the slot of its pair
    /// of that age, if it has one.
    fn by_age<V>(
        &self,
        rows: &Rows,
        depth: usize,
        value: impl Fn(&Curve, Option<usize>) -> V,
    ) -> Vec<V> {
        let one = |age: usize, t: usize| {
            let curve = &self.curves[t];
            let held = age < curve.pairs.min(self.capacity);
            value(curve, held.then(|| (curve.pairs - 1 - age) % self.capacity))
        };
        (0..depth)
            .flat_map(|age| rows.list.iter().map(move |&t| (age, t)))
            .map(|(age, t)| one(age, t))
            .collect()
    }

    fn grow(&mut self, slots: usize) {
        let now = self.s.size()[0] as usize;
        if slots <= now {
            return;
        }
        let wanted = slots.max(2 * now).min(self.capacity);
        for tensor in [&mut self.s, &mut self.y] {
            let more = Tensor::zeros(
                [(wanted - now) as i64, tensor.size()[1], tensor.size()[2]],
                (tensor.kind(), tensor.device()),
            );
            *tensor = Tensor::cat(&[&*tensor, &more], 0);
        }
    }
}

impl Curve {
    fn push(&mut self, slot: usize, ys: f64, yy: f64) {
        if slot >= self.inverse.len() {
            self.inverse.resize(slot + 1, 0.0);
        }
        self.inverse[slot] = 1.0 / ys;
        self.scale = ys / yy;
        self.pairs += 1;
    }
}

/// Writes `values [R, N]` over the rows `places` of `into [C, T, N]` seen as `[C * T, N]`.
fn write(into: &Tensor, places: &[usize], values: &Tensor) {
    let _ =
        into.view([-1, into.size()[2]]).index_copy_(0, &rows::index(places, into.device()), values);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    fn matrix(rows: &[[f64; 2]]) -> Tensor {
        Tensor::from_slice(rows.as_flattened()).view([-1, 2])
    }

    fn direction(memory: &Memory, list: Vec<usize>, g: &Tensor, total: usize) -> Vec<f64> {
        let rows = Rows::new(list, total, Device::Cpu);
        Vec::try_from(memory.direction(&rows, &rows.pick(g)).to_kind(Kind::Double).view(-1))
            .unwrap()
    }

    /// With as many independent exact pairs as variables, the direction is Newton's.
    #[test]
    fn exact_pairs_give_the_newton_direction() {
        let mut memory = Memory::new(5, false, &matrix(&[[0.0, 0.0]]));
        let all = Rows::new(vec![0], 1, Device::Cpu);
        for s in [[1.0, 0.0], [0.0, 1.0]] {
            let y = [2.0 * s[0], 8.0 * s[1]]; // Hessian diag(2, 8)
            memory.store(&all, &matrix(&[s]), &matrix(&[y]));
        }
        let d = direction(&memory, vec![0], &matrix(&[[4.0, 8.0]]), 1);
        assert!((d[0] + 2.0).abs() < 1e-12 && (d[1] + 1.0).abs() < 1e-12, "{d:?}");
    }

    /// Lanes that hold different numbers of pairs, beyond the capacity too, are what each is
    /// alone.
    #[test]
    fn lanes_out_of_step_do_not_mix() {
        let two = || Memory::new(2, false, &matrix(&[[0.0; 2]; 2]));
        let (mut both, mut alone) = (two(), two());
        let one = Rows::new(vec![0], 1, Device::Cpu);
        for k in 0..5 {
            let s = matrix(&[[1.0 + k as f64, 0.5], [0.3, 1.0 - 0.1 * k as f64]]);
            let y =
                matrix(&[[2.0 - 0.2 * k as f64, 0.1], [if k % 2 == 0 { 0.7 } else { -9.0 }, 1.0]]);
            both.store(&Rows::new(vec![0, 1], 2, Device::Cpu), &s, &y);
            alone.store(&one, &s.narrow(0, 1, 1), &y.narrow(0, 1, 1));
            both.store(
                &Rows::new(vec![0], 2, Device::Cpu),
                &s.narrow(0, 0, 1),
                &(y.narrow(0, 0, 1) * 3.0),
            );
        }
        assert_eq!((both.curves[0].pairs, both.curves[1].pairs, alone.curves[0].pairs), (10, 3, 3));
        let g = matrix(&[[1.0, -2.0], [0.5, 3.0]]);
        let together = direction(&both, vec![0, 1], &g, 2);
        assert_eq!(together[2..], direction(&alone, vec![0], &g.narrow(0, 1, 1), 1));
        assert_eq!(together[..2], direction(&both, vec![0], &g, 2));
    }
}
