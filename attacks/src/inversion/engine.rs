//! All classes and restarts side by side, with shared weights: one batch an iteration.

use learning::tape::Tape;
use learning::{Mode, Observation, Params};
use suites::{Fact, Flag, FlagKind};
use tch::{Device, Kind, Tensor};

use super::filter::{blur, sharpen};
use super::objective::{Problem, running_statistics};
use super::params::ModelInversion;
use crate::analytic::probe;
use crate::attack::{Progress, Reconstruction, Run};
use crate::matching::init;
use crate::optim::{Objective as _, Stepper};
use crate::{Attack, AttackError, layers};

/// Pixels optimised side by side, at most: bounds memory.
const PIXELS: i64 = 1 << 22;

/// Images side by side, at most: more gain nothing even where they are small.
const IMAGES: i64 = 1024;

/// Points kept of the objective's trace.
const TRACE_POINTS: usize = 64;

impl Attack for ModelInversion {
    fn needs(&self) -> Vec<Fact> {
        vec![Fact::Labels]
    }

    fn reads_signal(&self) -> bool {
        false
    }

    fn reconstruct(&self, seen: &Observation, run: &Run) -> Result<Reconstruction, AttackError> {
        layers::refuse_tokens(seen)?;
        let prepared = Prepared::new(self, seen, run)?;
        let width = prepared.width(self.restarts as i64);
        let mut parts = Vec::new();
        for from in (0..prepared.groups()).step_by(width as usize) {
            let groups = width.min(prepared.groups() - from);
            parts.push(self.invert(&prepared, from, groups, run)?);
        }
        Ok(self.collect(seen, &prepared, parts))
    }
}

/// The model made ready, and the labels in groups: images whose objective is one.
struct Prepared<'a> {
    seen: &'a Observation,
    /// On the device, f32.
    weights: Params,
    /// i64 `[G, B]` or f32 `[G, B, K]`.
    labels: Tensor,
    /// `[B, ...]`: what one lane optimises.
    shape: Vec<i64>,
}

/// What one lot of groups gave.
struct Part {
    /// Normalised, `[G, B, ...]`.
    images: Tensor,
    objective: Vec<f64>,
    trace: Vec<(u64, Vec<f64>)>,
    /// Restarts of each group that met something that is not finite.
    lost: Vec<usize>,
    evaluations: u64,
}

impl<'a> Prepared<'a> {
    fn new(
        setting: &ModelInversion,
        seen: &'a Observation,
        run: &Run,
    ) -> Result<Prepared<'a>, AttackError> {
        let labels = seen
            .known
            .labels
            .as_ref()
            .ok_or_else(|| AttackError::Missing(Fact::Labels.to_string()))?;
        let size = labels.size();
        let batch = if setting.bn_weight > 0.0 { size[1] } else { 1 };
        let weights = seen.weights.to(run.device, Kind::Float);
        if setting.bn_weight > 0.0 && !has_running_statistics(seen, &weights) {
            return Err(AttackError::NotApplicable(
                "this model has no BatchNorm, whose statistics bn_weight is about; set bn_weight \
                 = 0"
                .into(),
            ));
        }
        let grouped = [&[size[0] * size[1] / batch, batch], &size[2..]].concat();
        Ok(Prepared {
            labels: labels.to_device(run.device).reshape(grouped),
            shape: [vec![batch], seen.net.input()].concat(),
            weights,
            seen,
        })
    }

    fn groups(&self) -> i64 {
        self.labels.size()[0]
    }

    /// Groups optimised side by side.
    fn width(&self, restarts: i64) -> i64 {
        let pixels: i64 = self.shape.iter().product();
        ((PIXELS / pixels).min(IMAGES / self.shape[0]) / restarts).max(1)
    }
}

fn has_running_statistics(seen: &Observation, weights: &Params) -> bool {
    tch::no_grad(|| {
        let mut tape = Tape::per_example(weights, Mode::Eval);
        let _ =
            seen.net.forward_normalised(&mut tape, &probe(&seen.net, weights.tensors[0].device()));
        running_statistics(&tape).is_some()
    })
}

impl ModelInversion {
    /// The groups `from..from + groups` with all their restarts: restart `r` of group `g` is lane
    /// `g * R + r`.
    fn invert(
        &self,
        prepared: &Prepared,
        from: i64,
        groups: i64,
        run: &Run,
    ) -> Result<Part, AttackError> {
        let repeat = |t: &Tensor| t.repeat_interleave_self_int(self.restarts as i64, 0, None);
        let mut problem = Problem {
            setting: self,
            net: &prepared.seen.net,
            weights: &prepared.weights,
            labels: repeat(&prepared.labels.narrow(0, from, groups)),
            shape: prepared.shape.clone(),
            bounds: bounds(prepared, run),
        };
        let mut x = problem.project(self.start(prepared, from, groups, run));
        let mut stepper = self.optimizer()?.start(&x);
        let trace = self.optimise(&mut x, &mut problem, stepper.as_mut(), run)?;
        let (last, _) = problem.evaluate(&x);
        stepper.lanes_mut().consider(&x, &last);
        let lanes = stepper.lanes();
        let (winners, objective) = self.winners(lanes.best_objective());
        let rows = Tensor::from_slice(&winners).to_device(x.device());
        let diverged: Vec<bool> =
            Vec::try_from(lanes.diverged().to_device(Device::Cpu)).unwrap_or_default();
        Ok(Part {
            images: problem.images(&lanes.best_x().index_select(0, &rows)),
            objective,
            trace,
            lost: diverged
                .chunks(self.restarts)
                .map(|row| row.iter().filter(|&&d| d).count())
                .collect(),
            // Each lane's last point is evaluated once more.
            evaluations: lanes.evaluations().sum(Kind::Int64).int64_value(&[]) as u64
                + groups as u64 * self.restarts as u64,
        })
    }

    /// `[T, V]`: each restart draws from a stream of its own, whatever runs beside it.
    fn start(&self, prepared: &Prepared, from: i64, groups: i64, run: &Run) -> Tensor {
        let one = |group: i64, restart: usize| {
            let mut rng = run.stream(&format!("model-inversion-{group}-{restart}"));
            init::draw(self.init, &prepared.shape, &mut rng).reshape([-1])
        };
        let rows: Vec<Tensor> = (from..from + groups)
            .flat_map(|g| (0..self.restarts).map(move |r| one(g, r)))
            .collect();
        Tensor::stack(&rows, 0).to_device(run.device)
    }

    fn optimise(
        &self,
        x: &mut Tensor,
        problem: &mut Problem,
        stepper: &mut dyn Stepper,
        run: &Run,
    ) -> Result<Vec<(u64, Vec<f64>)>, AttackError> {
        let (schedule, total) = (self.schedule(), self.iterations);
        let thin = total.div_ceil(TRACE_POINTS);
        let mut trace = Vec::new();
        for iteration in 0..total {
            run.check()?;
            stepper.step(x, problem, schedule.factor(iteration, total));
            let filtered = self.filter(x, problem, iteration);
            x.copy_(&problem.project(filtered));
            if iteration % thin == 0 || iteration + 1 == total {
                let best = self.winners(stepper.lanes().best_objective()).1;
                let mean = Some(best.iter().sum::<f64>() / best.len().max(1) as f64);
                trace.push((iteration as u64, best));
                let (iteration, lanes) = (iteration + 1, x.size()[0]);
                (run.progress)(Progress { iteration, total, lanes, objective: mean });
            }
        }
        Ok(trace)
    }

    /// Blur, then sharpening, where they are due.
    fn filter(&self, x: &Tensor, problem: &Problem, iteration: usize) -> Tensor {
        match self.blur_after(iteration).filter(|_| problem.has_neighbours()) {
            None => x.shallow_clone(),
            Some(sigma) => {
                let images = problem.images(x).flatten(0, 1);
                sharpen(&blur(&images, sigma), self.sharpen).reshape(x.size())
            }
        }
    }

    /// For each group the restart with the lowest objective (as lane positions), and that
    /// objective.
    fn winners(&self, objective: &Tensor) -> (Vec<i64>, Vec<f64>) {
        let flat: Vec<f64> = Vec::try_from(objective.to_kind(Kind::Double).to_device(Device::Cpu))
            .unwrap_or_default();
        let rows = flat.chunks(self.restarts).enumerate();
        rows.map(|(g, row)| {
            let r = (0..row.len()).min_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
            ((g * self.restarts + r) as i64, row[r])
        })
        .unzip()
    }

    /// Groups back to the signals' batches. A signal's objective is the mean over its groups.
    fn collect(&self, seen: &Observation, prepared: &Prepared, parts: Vec<Part>) -> Reconstruction {
        let n = seen.known.labels.as_ref().map_or(1, |l| l.size()[0]) as usize;
        let each = (prepared.groups() as usize / n).max(1);
        let images: Vec<&Tensor> = parts.iter().map(|p| &p.images).collect();
        let pixels =
            seen.net.to_pixels(&Tensor::cat(&images, 0)).nan_to_num(0.5, 1.0, 0.0).clamp(0.0, 1.0);
        let size = [vec![n as i64, -1], seen.net.input()].concat();
        let signals = |values: Vec<f64>| -> Vec<f64> {
            values.chunks(each).map(|row| row.iter().sum::<f64>() / row.len() as f64).collect()
        };
        let all = |f: &dyn Fn(&Part) -> Vec<f64>| signals(parts.iter().flat_map(f).collect());
        let points = parts.iter().map(|p| p.trace.len()).min().unwrap_or(0);
        let at = |i: usize| (parts[0].trace[i].0, all(&|p| p.trace[i].1.clone()));
        let lost: Vec<usize> = parts.iter().flat_map(|p| p.lost.clone()).collect();
        let objective = all(&|p| p.objective.clone());
        Reconstruction {
            pixels: pixels.to_kind(Kind::Float).to_device(Device::Cpu).reshape(size).detach(),
            labels: None,
            certainty: None,
            trace: (0..points).map(at).collect(),
            flags: lost
                .chunks(each)
                .map(|row| doubts(row.iter().sum(), each * self.restarts))
                .collect(),
            objective,
            evaluations: parts.iter().map(|p| p.evaluations).sum::<u64>() / n as u64,
            iterations: (self.iterations * self.restarts * each) as u64,
            restarts: self.restarts,
        }
    }
}

/// Normalised black and white, `[1, V]`.
fn bounds(prepared: &Prepared, run: &Run) -> (Tensor, Tensor) {
    let size = [&[1], &prepared.shape[..]].concat();
    let bound = |pixel: f64| {
        let image = Tensor::full(&size[..], pixel, (Kind::Float, run.device));
        prepared.seen.net.normalise(&image).reshape([1, -1])
    };
    (bound(0.0), bound(1.0))
}

fn doubts(lost: usize, of: usize) -> Vec<Flag> {
    match lost {
        0 => Vec::new(),
        _ => vec![Flag::with(FlagKind::NonFiniteRestarts, format!("{lost} of {of}"))],
    }
}
