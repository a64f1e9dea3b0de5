//! L-BFGS over independent lanes, step for step that of `torch.optim.LBFGS`.
//!
//! Each lane decides for itself (its line search and its stopping rules are host numbers), while
//! everything of size N is done for all lanes at once: a batch is evaluated at every lane's own
//! next point, those that are done repeating theirs, so that its shape never changes. One small
//! transfer follows each evaluation and two each new direction.

mod memory;
mod wolfe;

use super::rows::{self, Rows};
use super::{Lanes, LbfgsConfig, LineSearch, Objective, StepReport, Stepper};
use memory::Memory;
use std::rc::Rc;
use tch::{Tensor, no_grad};
use wolfe::{Next, Point, Search};

/// L-BFGS over T lanes of N variables.
pub struct Lbfgs {
    config: LbfgsConfig,
    lanes: Lanes,
    memory: Memory,
    /// Directions, and gradients at the current and at the last direction's points: `[T, N]` each.
    direction: Tensor,
    gradient: Tensor,
    last_gradient: Tensor,
    /// Length of each lane's last move in units of its direction.
    lengths: Vec<f64>,
    /// Whether a lane has had a direction before.
    started: Vec<bool>,
    /// Where the last step ended `[T, N]`: what a projection has moved since belongs to the next
    /// pair of changes.
    rested: Option<Tensor>,
    moved: Option<Tensor>,
    /// What each lane's objective is multiplied by, and the largest component of its gradient at
    /// the start: 1 each where tolerances are absolute.
    scale: Vec<f64>,
    first_steepest: Vec<f64>,
}

/// One lane within one step.
struct Turn {
    stage: Stage,
    iterations: usize,
    evaluations: usize,
    objective: f64,
    last_objective: f64,
    /// Largest magnitude of the gradient and of the direction.
    steepest: f64,
    direction_size: f64,
    /// The gradient's largest magnitude at which the lane is converged.
    least: f64,
}

enum Stage {
    /// Needs a direction.
    Turning,
    /// Evaluates at this length along its direction.
    Moving(f64, Option<Search<Rc<Tensor>>>),
    Done,
}

impl Stepper for Lbfgs {
    fn step(
        &mut self,
        x: &mut Tensor,
        objective: &mut dyn Objective,
        lr_factor: f64,
    ) -> StepReport {
        let (value, gradient) = objective.evaluate(x);
        let report = no_grad(|| {
            let (value, gradient) = (value.detach(), gradient.detach());
            let norm = rows::norm(&gradient);
            self.moved = self.rested.take().map(|rested| &*x - rested);
            self.lanes.admit(x, &value, &norm);
            self.measure(&value);
            self.gradient = self.conditioned(&gradient, &norm);
            StepReport { objective: value, grad_norm: norm, evaluations: 1 }
        });
        let mut turns = no_grad(|| self.begin(&report.objective));
        let mut evaluations = 1;
        loop {
            no_grad(|| self.turn(x, &mut turns, self.config.lr * lr_factor));
            if turns.iter().all(|turn| matches!(turn.stage, Stage::Done)) {
                break;
            }
            let point = no_grad(|| self.ahead(x, &turns));
            let seen = objective.evaluate(&point);
            no_grad(|| self.advance(x, &mut turns, &seen));
            evaluations += 1;
        }
        let extra: Vec<usize> =
            turns.iter().map(|turn| turn.evaluations.saturating_sub(1)).collect();
        self.lanes.add_evaluations(&extra);
        self.rested = Some(x.detach().copy());
        StepReport { evaluations, ..report }
    }

    fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    fn lanes_mut(&mut self) -> &mut Lanes {
        &mut self.lanes
    }
}

impl Lbfgs {
    /// L-BFGS for `x [T, N]`.
    pub fn new(x: &Tensor, config: &LbfgsConfig) -> Self {
        let lanes = Lanes::new(x);
        let t = x.size()[0] as usize;
        Lbfgs {
            memory: Memory::new(config.history, is_relative(config), x),
            config: config.clone(),
            lanes,
            direction: x.zeros_like(),
            gradient: x.zeros_like(),
            last_gradient: x.zeros_like(),
            lengths: vec![0.0; t],
            started: vec![false; t],
            rested: None,
            moved: None,
            scale: Vec::new(),
            first_steepest: Vec::new(),
        }
    }

    /// Where tolerances are relative: takes the first objectives seen as the unit, to a power of
    /// two, which rounds nothing.
    fn measure(&mut self, objective: &Tensor) {
        if !self.scale.is_empty() {
            return;
        }
        self.scale = if is_relative(&self.config) {
            rows::to_host(&[objective])[0].iter().map(|&f| unit(f)).collect()
        } else {
            vec![1.0; self.lengths.len()]
        };
    }

    /// The gradient that is followed, of the scaled objective.
    fn conditioned(&self, gradient: &Tensor, norm: &Tensor) -> Tensor {
        let g = self.config.conditioning().apply(gradient, norm, self.lanes.active());
        if is_relative(&self.config) { &g * rows::column(&self.scale, &g) } else { g }
    }

    /// Every lane's turn; those with a vanishing gradient are converged.
    fn begin(&mut self, objective: &Tensor) -> Vec<Turn> {
        let active = self.lanes.active().to_kind(objective.kind());
        let seen = rows::to_host(&[objective, &rows::max_abs(&self.gradient), &active]);
        if self.first_steepest.is_empty() {
            let absolute = vec![1.0; self.lengths.len()];
            self.first_steepest =
                if is_relative(&self.config) { seen[1].clone() } else { absolute };
        }
        let turns: Vec<Turn> = (0..self.lengths.len())
            .map(|t| {
                let least = self.config.tolerance_grad * self.first_steepest[t];
                Turn::new(seen[0][t] * self.scale[t], (seen[1][t], least), seen[2][t] > 0.0)
            })
            .collect();
        let converged = |turn: &Turn| turn.evaluations > 0 && turn.steepest <= turn.least;
        let converged: Vec<bool> = turns.iter().map(converged).collect();
        self.stop(&converged);
        turns
            .into_iter()
            .zip(converged)
            .map(|(turn, done)| if done { turn.done() } else { turn })
            .collect()
    }

    /// New directions for the lanes that need one, and how far to try along them.
    fn turn(&mut self, x: &mut Tensor, turns: &mut [Turn], lr: f64) {
        let list: Vec<usize> =
            (0..turns.len()).filter(|&t| matches!(turns[t].stage, Stage::Turning)).collect();
        if list.is_empty() {
            return;
        }
        let rows = Rows::new(list, turns.len(), x.device());
        let seen = self.aim(&rows);
        let (mut last_moves, mut converged, mut lost) =
            (vec![0.0; turns.len()], vec![false; turns.len()], vec![false; turns.len()]);
        for (r, &t) in rows.list.iter().enumerate() {
            let turn = &mut turns[t];
            let first = !std::mem::replace(&mut self.started[t], true);
            let most = if is_relative(&self.config) { f64::INFINITY } else { 1.0 };
            let length = if first { (1.0 / seen[2][r]).min(most) * lr } else { lr };
            self.lengths[t] = length;
            turn.iterations += 1;
            turn.last_objective = turn.objective;
            turn.direction_size = seen[1][r];
            turn.stage = self.set_out(turn, seen[0][r], length, t);
            let stuck = seen[0][r] > -self.config.tolerance_change;
            // Nothing moved since the step began, so the next step would end here as well.
            converged[t] = stuck && turn.iterations == 1;
            lost[t] = !seen[0][r].is_finite();
            // Without a line search nothing needs to be known about the point a step ends at.
            if !stuck && !lost[t] && matches!(turn.stage, Stage::Done) {
                last_moves[t] = length;
            }
        }
        self.give_up(x, &lost);
        self.stop(&converged);
        self.go(x, &last_moves);
    }

    /// Directions for `rows` from all that is known: slope, largest magnitude, and the gradient's
    /// L1 norm of each.
    fn aim(&mut self, rows: &Rows) -> Vec<Vec<f64>> {
        let g = rows.pick(&self.gradient);
        let lengths: Vec<f64> = rows.list.iter().map(|&t| self.lengths[t]).collect();
        let mut s = rows.pick(&self.direction) * rows::column(&lengths, &g);
        // Every lane that goes on turns first in a step, all of them at once.
        if let Some(moved) = self.moved.take() {
            s += rows.pick(&moved);
        }
        self.memory.store(rows, &s, &(&g - rows.pick(&self.last_gradient)));
        let d = self.memory.direction(rows, &g);
        self.direction = rows.put(&self.direction, &d);
        self.last_gradient = rows.put(&self.last_gradient, &g);
        rows::to_host(&[&rows::dot(&g, &d), &rows::max_abs(&d), &rows::sum(&g.abs())])
    }

    /// What a lane does along its new direction.
    fn set_out(&self, turn: &Turn, slope: f64, length: f64, t: usize) -> Stage {
        if !slope.is_finite() || slope > -self.config.tolerance_change {
            return Stage::Done;
        }
        match self.config.line_search {
            LineSearch::None if turn.iterations == self.config.max_iter => Stage::Done,
            LineSearch::None => Stage::Moving(length, None),
            LineSearch::StrongWolfe => {
                let gradient = Rc::new(self.gradient.get(t as i64));
                let start =
                    Point { t: 0.0, f: turn.objective, slope, steepest: turn.steepest, gradient };
                let tries = self.config.max_eval().saturating_sub(turn.evaluations);
                Stage::Moving(
                    length,
                    Some(Search::new(
                        start,
                        turn.direction_size,
                        self.config.tolerance_change,
                        tries,
                    )),
                )
            }
        }
    }

    /// Each lane's next point; done lanes stay where they are.
    fn ahead(&self, x: &Tensor, turns: &[Turn]) -> Tensor {
        let length =
            |turn: &Turn| if let Stage::Moving(length, _) = turn.stage { length } else { 0.0 };
        let lengths: Vec<f64> = turns.iter().map(length).collect();
        x.addcmul(&self.direction, &rows::column(&lengths, x))
    }

    /// Hands each moving lane what was seen at its point.
    fn advance(
        &mut self,
        x: &mut Tensor,
        turns: &mut [Turn],
        (value, gradient): &(Tensor, Tensor),
    ) {
        let gradient = gradient.detach();
        let norm = rows::norm(&gradient);
        let g = self.conditioned(&gradient, &norm);
        let seen = rows::to_host(&[
            &value.detach(),
            &norm,
            &rows::dot(&g, &self.direction),
            &rows::max_abs(&g),
        ]);
        let (mut accepted, mut lost) = (Vec::new(), vec![false; turns.len()]);
        for (t, turn) in turns.iter_mut().enumerate() {
            let Stage::Moving(length, search) = &mut turn.stage else { continue };
            turn.evaluations += 1;
            let f = if seen[1][t].is_finite() && seen[0][t].is_finite() {
                seen[0][t] * self.scale[t]
            } else {
                f64::INFINITY
            };
            let gradient = Rc::new(g.get(t as i64));
            let point = Point { t: *length, f, slope: seen[2][t], steepest: seen[3][t], gradient };
            match search
                .as_mut()
                .map_or_else(|| Next::Done(point.clone()), |search| search.feed(point.clone()))
            {
                Next::Try(next) => *length = next,
                Next::Done(point) if point.f.is_finite() => accepted.push((t, point)),
                Next::Done(_) => lost[t] = true,
            }
        }
        self.settle(x, turns, accepted);
        for turn in turns.iter_mut().zip(&lost).filter_map(|(turn, &lost)| lost.then_some(turn)) {
            turn.stage = Stage::Done;
        }
        self.give_up(x, &lost);
    }

    /// Moves lanes to the points they accepted.
    fn settle(
        &mut self,
        x: &mut Tensor,
        turns: &mut [Turn],
        accepted: Vec<(usize, Point<Rc<Tensor>>)>,
    ) {
        if accepted.is_empty() {
            return;
        }
        let mut moves = vec![0.0; turns.len()];
        for (t, point) in &accepted {
            moves[*t] = point.t;
            self.lengths[*t] = point.t;
            turns[*t].arrive(point, &self.config);
        }
        let rows = Rows::new(accepted.iter().map(|(t, _)| *t).collect(), turns.len(), x.device());
        let gradients: Vec<&Tensor> = accepted.iter().map(|(_, point)| &*point.gradient).collect();
        self.gradient = rows.put(&self.gradient, &Tensor::stack(&gradients, 0));
        self.go(x, &moves);
    }

    /// Moves each lane by this much of its direction.
    fn go(&self, x: &mut Tensor, lengths: &[f64]) {
        if lengths.iter().any(|&length| length != 0.0) {
            let lengths = rows::column(lengths, x);
            let _ = x.addcmul_(&self.direction, &lengths);
        }
    }

    fn stop(&mut self, which: &[bool]) {
        if which.contains(&true) {
            self.lanes.stop(&rows::mask(which, self.direction.device()));
        }
    }

    /// Lanes that met nothing finite go back to their best point; their direction must not spoil
    /// later sums.
    fn give_up(&mut self, x: &mut Tensor, lost: &[bool]) {
        if lost.contains(&true) {
            self.lanes.diverge(x, lost);
            let keep = rows::mask(lost, x.device()).logical_not().unsqueeze(1);
            self.direction = self.direction.where_scalarother(&keep, 0.0);
        }
    }
}

impl Turn {
    fn new(objective: f64, (steepest, least): (f64, f64), active: bool) -> Turn {
        let stage = if active { Stage::Turning } else { Stage::Done };
        let evaluations = usize::from(active);
        Turn {
            stage,
            iterations: 0,
            evaluations,
            objective,
            last_objective: objective,
            steepest,
            direction_size: 0.0,
            least,
        }
    }

    fn done(self) -> Turn {
        Turn { stage: Stage::Done, ..self }
    }

    /// At the point chosen along the direction: onwards, unless one of torch's reasons to end the
    /// step holds.
    fn arrive(&mut self, point: &Point<Rc<Tensor>>, config: &LbfgsConfig) {
        self.objective = point.f;
        self.steepest = point.steepest;
        let ended = self.iterations >= config.max_iter
            || self.evaluations >= config.max_eval()
            || self.steepest <= self.least
            || self.direction_size * point.t.abs() <= config.tolerance_change
            || (self.objective - self.last_objective).abs() < config.tolerance_change;
        self.stage = if ended { Stage::Done } else { Stage::Turning };
    }
}

/// Whether an objective's scale shall change nothing. Signs have none.
fn is_relative(config: &LbfgsConfig) -> bool {
    config.relative && !config.signed
}

/// The power of two that brings a value's magnitude into [1, 2); 1 for what has none.
fn unit(value: f64) -> f64 {
    let exponent = value.abs().log2().floor();
    if exponent.is_finite() { (-exponent).clamp(-1000.0, 1000.0).exp2() } else { 1.0 }
}
