//! The matching loop: restarts as lanes, priors, schedules, early stopping, the winner chosen by
//! the objective.

use learning::client::LocalTraining;
use learning::{Form, Observation, Params, Signal, noise};
use rand_chacha::ChaCha12Rng;
use serde::Serialize;
use suites::Fact;
use tch::{Kind, Tensor};

use super::config::MatchingConfig;
use super::defense_channel::{self, DefenseChannel};
use super::defense_model::DefenseModel;
use super::derivative::Way;
use super::flags::{flags, per_signal};
use super::labels::Labels;
use super::objective::Target;
use super::problem::{DummyLabels, Problem};
use super::statistics::Statistics;
use super::{init, signal, weights};
use crate::attack::{Progress, Reconstruction, Run};
use crate::optim::{Lanes, Objective as _, Stepper};
use crate::undo::Matched;
use crate::{Attack, AttackError, layers};

/// A gradient-matching attack.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Matching {
    /// Its parameters.
    pub config: MatchingConfig,
}

/// `(iteration, best objective so far of each signal)`.
type Trace = Vec<(u64, Vec<f64>)>;

/// How often the loop looks whether all lanes have stopped (a GPU is not waited for in between).
const CHECK_EVERY: usize = 50;

/// Points kept of the objective's trace.
const TRACE_POINTS: usize = 64;

impl Attack for Matching {
    fn needs(&self) -> Vec<Fact> {
        let mut needs = vec![Fact::BatchSize];
        if self.config.labels == Labels::Known {
            needs.push(Fact::Labels);
        }
        let followed = self.config.labels == Labels::Dimitrov;
        if self.config.unroll || followed {
            needs.push(Fact::LocalSteps);
        }
        needs
    }

    fn reads_directions(&self) -> bool {
        self.config.objective.sees_directions_only() && !self.config.unroll
    }

    fn infers_labels(&self, _granted: &[Fact]) -> bool {
        // Signs are those of several labels an example.
        !matches!(self.config.labels, Labels::Known | Labels::Signs)
    }

    fn reconstruct(&self, seen: &Observation, run: &Run) -> Result<Reconstruction, AttackError> {
        self.reconstruct_from(seen, None, run)
    }
}

impl Matching {
    /// As [`Attack::reconstruct`], starting from these pixels (`[N, B, ...]` in `[0, 1]`) where
    /// given. The start competes with what comes after: the objective of the result is never above
    /// it.
    ///
    /// # Errors
    /// As [`Attack::reconstruct`]; jointly optimised labels have no given start.
    pub fn reconstruct_from(
        &self,
        seen: &Observation,
        initial: Option<&Tensor>,
        run: &Run,
    ) -> Result<Reconstruction, AttackError> {
        self.reconstruct_through(seen, &DefenseModel::default(), initial, run)
    }

    /// As [`Matching::reconstruct_from`], with every candidate's gradient led through what the
    /// captured one went through.
    ///
    /// # Errors
    /// As [`Matching::reconstruct_from`].
    pub fn reconstruct_through(
        &self,
        seen: &Observation,
        defense_model: &DefenseModel,
        initial: Option<&Tensor>,
        run: &Run,
    ) -> Result<Reconstruction, AttackError> {
        layers::refuse_tokens(seen)?;
        let gradient = signal::read(seen, self.reads_directions())?;
        let mut problem = self.problem(seen, &gradient, defense_model, run)?;
        let mut x = match initial {
            None => self.start(seen, &problem, run),
            Some(pixels) => self.given(seen, &problem, pixels, run)?,
        };
        let optimizer = self.config.optimizer()?;
        let mut stepper = optimizer.start(&x);
        let trace = self.optimise(&mut x, &mut problem, stepper.as_mut(), run)?;
        let (mut found, matched) = self.finish(&x, &mut problem, stepper.lanes_mut(), trace)?;
        defense_model.undo.iter().rev().for_each(|undo| undo.apply(seen, &matched, &mut found));
        Ok(found)
    }

    /// The objective `[N]` at another result's pixels and labels, priors included: what results of
    /// different recipes are judged by. Labels that a result does not name are read as ever.
    ///
    /// # Errors
    /// As [`Matching::reconstruct_through`].
    pub fn misfit(
        &self,
        seen: &Observation,
        defense_model: &DefenseModel,
        found: &Reconstruction,
        run: &Run,
    ) -> Result<Vec<f64>, AttackError> {
        let one = MatchingConfig { restarts: 1, ..self.config.clone() };
        let one = Matching { config: one };
        let (mut problem, x) = one.resumed(seen, defense_model, found, run)?;
        let (value, _) = problem.evaluate(&x);
        let value = value.to_kind(Kind::Double).to_device(tch::Device::Cpu);
        Ok(Vec::try_from(value).unwrap_or_default())
    }

    /// Goes on from another result, with its labels. What both spent and doubt is told together.
    /// That result is what was matched: nothing may have been undone on it.
    ///
    /// # Errors
    /// As [`Matching::reconstruct_through`].
    pub fn resume(
        &self,
        seen: &Observation,
        defense_model: &DefenseModel,
        found: &Reconstruction,
        run: &Run,
    ) -> Result<Reconstruction, AttackError> {
        let (mut problem, mut x) = self.resumed(seen, defense_model, found, run)?;
        let optimizer = self.config.optimizer()?;
        let mut stepper = optimizer.start(&x);
        let trace = self.optimise(&mut x, &mut problem, stepper.as_mut(), run)?;
        let (mut last, matched) = self.finish(&x, &mut problem, stepper.lanes_mut(), trace)?;
        last.evaluations += found.evaluations;
        last.iterations += found.iterations;
        last.restarts = found.restarts.max(last.restarts);
        for (own, earlier) in last.flags.iter_mut().zip(&found.flags) {
            own.extend(earlier.iter().cloned());
        }
        defense_model.undo.iter().rev().for_each(|undo| undo.apply(seen, &matched, &mut last));
        Ok(last)
    }

    /// The problem with a result's labels, and its pixels as they are optimised.
    fn resumed<'a>(
        &'a self,
        seen: &'a Observation,
        defense_model: &DefenseModel,
        found: &Reconstruction,
        run: &Run,
    ) -> Result<(Problem<'a>, Tensor), AttackError> {
        let gradient = signal::read(seen, self.reads_directions())?;
        let mut problem = self.problem(seen, &gradient, defense_model, run)?;
        let read = !matches!(self.config.labels, Labels::Known | Labels::Joint | Labels::Signs);
        if let Some(labels) = found.labels.as_ref().filter(|_| read) {
            let labels = labels.repeat_interleave_self_int(self.config.restarts as i64, 0, None);
            problem.labels = DummyLabels::Fixed(labels.to_device(run.device));
        }
        let x = self.given(seen, &problem, &found.pixels, run)?;
        Ok((problem, x))
    }

    /// `[T, V]` from given pixels `[N, B, ...]`, the same for every restart.
    fn given(
        &self,
        seen: &Observation,
        problem: &Problem,
        pixels: &Tensor,
        run: &Run,
    ) -> Result<Tensor, AttackError> {
        if matches!(problem.labels, DummyLabels::Joint) {
            return Err(AttackError::NotApplicable(
                "a given start has no soft labels to optimise jointly".into(),
            ));
        }
        let rows = seen
            .net
            .normalise(&pixels.to_kind(self.config.kind(run.device)).to_device(run.device))
            .flatten(1, -1);
        Ok(rows.repeat_interleave_self_int(self.config.restarts as i64, 0, None))
    }

    fn problem<'a>(
        &'a self,
        seen: &'a Observation,
        gradient: &Params,
        defense_model: &DefenseModel,
        run: &Run,
    ) -> Result<Problem<'a>, AttackError> {
        let kind = self.config.kind(run.device);
        let batch = seen
            .known
            .batch_size
            .ok_or_else(|| AttackError::Missing(Fact::BatchSize.to_string()))?;
        layers::refuse_single_values(seen, batch)?;
        let selected =
            defense_model.select(seen, weights::select(seen.net.layout(), &self.config.layers)?)?;
        let all = if defense_model.compares_plainly() {
            trainable(gradient)
        } else {
            defense_channel::captured(seen)?
        };
        let tensors: Vec<Tensor> =
            selected.iter().map(|&i| all[i].to_device(run.device).to_kind(kind)).collect();
        let weights = self.config.layer_weights.resolve(&tensors)?;
        let shape = [vec![batch], seen.net.input()].concat();
        let target = Target::new(tensors, selected, weights);
        let objective = self.config.objective;
        let channel = (!defense_model.compares_plainly()).then(|| {
            DefenseChannel::new(seen, defense_model, &target, objective, shape.iter().product())
        });
        let factorable = channel.as_ref().map_or(objective, |c| c.objective).is_factorable();
        let form =
            if factorable && !defense_model.needs_entries() { Form::Auto } else { Form::Dense };
        let unroll = self.unroll(seen, batch)?;
        let apart = [unroll.is_some(), defense_model.draws > 0];
        Ok(Problem {
            seen,
            config: &self.config,
            weights: seen.weights.to(run.device, kind),
            labels: self.labels(seen, gradient, (batch, defense_model), run)?,
            unroll,
            way: Way::of(&self.config, seen, kind, apart)?,
            features: self.features(gradient, batch, run)?,
            statistics: Statistics::wanted(&self.config, seen, run.device)?,
            bounds: self.config.boxed.then(|| self.bounds(seen, &shape, run)),
            draws: (
                self.streams(if defense_model.draws > 0 { target.lanes() } else { 0 }, run),
                defense_model.draws,
            ),
            target,
            channel,
            shape,
            form,
        })
    }

    /// What the last layer worked on, where that is matched.
    fn features(
        &self,
        gradient: &Params,
        batch: i64,
        run: &Run,
    ) -> Result<Option<Tensor>, AttackError> {
        if self.config.feature_weight == 0.0 {
            return Ok(None);
        }
        let features = signal::features(gradient, batch)?;
        Ok(Some(features.to_device(run.device).to_kind(self.config.kind(run.device))))
    }

    /// A stream for the draws of each lane's random buffers.
    fn streams(&self, signals: i64, run: &Run) -> Vec<ChaCha12Rng> {
        let names = (0..signals)
            .flat_map(|n| (0..self.config.restarts).map(move |r| format!("draws-{n}-{r}")));
        names.map(|name| run.stream(&name)).collect()
    }

    /// `[T, V]`: restart `r` of signal `n` is lane `n * R + r` and draws from its own stream.
    fn start(&self, seen: &Observation, problem: &Problem, run: &Run) -> Tensor {
        let soft = problem.shape[0] * seen.net.classes();
        let one = |n: i64, r: usize| {
            let mut rng = run.stream(&format!("init-{n}-{r}"));
            let images = init::draw(self.config.init, &problem.shape, &mut rng).reshape([-1]);
            match problem.labels {
                DummyLabels::Fixed(_) => images,
                DummyLabels::Joint => Tensor::cat(&[images, noise::normal(&mut rng, &[soft])], 0),
            }
        };
        let rows: Vec<Tensor> = (0..problem.target.lanes())
            .flat_map(|n| (0..self.config.restarts).map(move |r| (n, r)))
            .map(|(n, r)| one(n, r))
            .collect();
        let x = Tensor::stack(&rows, 0).to_kind(self.config.kind(run.device)).to_device(run.device);
        problem.project(&x).unwrap_or(x)
    }

    /// The local training to simulate, where that is asked for and the signal is an update.
    fn unroll<'a>(
        &self,
        seen: &'a Observation,
        batch: i64,
    ) -> Result<Option<(&'a LocalTraining, f64)>, AttackError> {
        if !self.config.unroll || matches!(seen.signal, Signal::Gradient(_)) {
            return Ok(None);
        }
        let clients = seen.known.contributors.max(1);
        if seen.known.shares.is_empty() && batch % clients != 0 {
            let problem = format!(
                "is a mean over {clients} clients, among whom {batch} examples cannot be dealt \
                 evenly"
            );
            return Err(AttackError::BadSignal(problem));
        }
        match &seen.known.local {
            Some(local) => Ok(Some((local, signal::step_scale(seen)?))),
            None => Err(AttackError::Missing(Fact::LocalSteps.to_string())),
        }
    }

    /// The least and the greatest value of every variable, `[1, V]`: pixels stay in `[0, 1]`, soft
    /// labels are free.
    fn bounds(&self, seen: &Observation, shape: &[i64], run: &Run) -> (Tensor, Tensor) {
        let free =
            if self.config.labels == Labels::Joint { shape[0] * seen.net.classes() } else { 0 };
        let options = (self.config.kind(run.device), run.device);
        let bound = |pixel: f64, label: f64| {
            let size = [&[1], shape].concat();
            let pixels = seen.net.normalise(&Tensor::full(size, pixel, options)).reshape([1, -1]);
            Tensor::cat(&[pixels, Tensor::full([1, free], label, options)], 1)
        };
        (bound(0.0, f64::NEG_INFINITY), bound(1.0, f64::INFINITY))
    }

    fn optimise(
        &self,
        x: &mut Tensor,
        problem: &mut Problem,
        stepper: &mut dyn Stepper,
        run: &Run,
    ) -> Result<(Trace, usize), AttackError> {
        let (schedule, total) = (self.config.schedule(), self.config.iterations);
        let mut stopping = self.config.patience().map(|p| p.start());
        let mut trace = Vec::new();
        let thin = total.div_ceil(TRACE_POINTS);
        let mut done = 0;
        for iteration in 0..total {
            run.check()?;
            let report = stepper.step(x, problem, schedule.factor(iteration, total));
            if let Some(inside) = problem.project(x) {
                x.copy_(&inside);
            }
            done = iteration + 1;
            if let Some(stopping) = &mut stopping {
                stopping.observe(&report.objective, stepper.lanes_mut());
            }
            if iteration % thin == 0 || iteration + 1 == total {
                let best = self.winners(stepper.lanes().best_objective()).1;
                let mean = Some(best.iter().sum::<f64>() / best.len() as f64);
                trace.push((iteration as u64, best));
                (run.progress)(Progress {
                    iteration: iteration + 1,
                    total,
                    lanes: x.size()[0],
                    objective: mean,
                });
            }
            if iteration % CHECK_EVERY == CHECK_EVERY - 1 && !stepper.lanes().any_active() {
                break;
            }
        }
        Ok((trace, done))
    }

    /// For each signal the restart with the lowest objective (as lane positions), and that
    /// objective.
    fn winners(&self, objective: &Tensor) -> (Vec<i64>, Vec<f64>) {
        let restarts = self.config.restarts as i64;
        let flat: Vec<f64> =
            Vec::try_from(objective.to_kind(Kind::Double).to_device(tch::Device::Cpu))
                .unwrap_or_default();
        let rows = flat.chunks(restarts as usize).enumerate();
        rows.map(|(n, row)| {
            let r = (0..row.len()).min_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
            (n as i64 * restarts + r as i64, row[r])
        })
        .unzip()
    }

    fn finish(
        &self,
        x: &Tensor,
        problem: &mut Problem,
        lanes: &mut Lanes,
        (trace, done): (Trace, usize),
    ) -> Result<(Reconstruction, Matched), AttackError> {
        let (last, _) = problem.evaluate(x);
        lanes.consider(x, &last);
        let (winners, objective) = self.winners(lanes.best_objective());
        let chosen =
            lanes.best_x().index_select(0, &Tensor::from_slice(&winners).to_device(x.device()));
        let diverged: Vec<bool> =
            Vec::try_from(lanes.diverged().to_device(tch::Device::Cpu)).unwrap_or_default();
        let evaluations: Vec<i64> =
            Vec::try_from(lanes.evaluations().to_device(tch::Device::Cpu)).unwrap_or_default();
        let (images, soft) = problem.unpack(&chosen);
        let pixels = problem.seen.net.to_pixels(&images).clamp(0.0, 1.0);
        let restarts = self.config.restarts;
        let withheld = self.config.bn_weight > 0.0 && problem.statistics.is_none();
        let matched = Matched {
            examples: images.to_device(tch::Device::Cpu).detach(),
            soft: soft.as_ref().map(|p| p.to_device(tch::Device::Cpu).detach()),
        };
        let found = Reconstruction {
            pixels: pixels.to_kind(Kind::Float).to_device(tch::Device::Cpu).detach(),
            labels: self.guessed(problem, soft, &winners),
            certainty: None,
            flags: flags(&diverged, restarts, &objective, withheld, &problem.way),
            // The last evaluation of every restart is beside the optimiser's count.
            evaluations: (per_signal(&evaluations, objective.len()) + restarts as u64)
                * problem.draws.1.max(1) as u64,
            iterations: (done * restarts) as u64,
            restarts,
            objective,
            trace,
        };
        Ok((found, matched))
    }

    /// The labels that the attack settled on; none where they were granted.
    fn guessed(&self, problem: &Problem, soft: Option<Tensor>, winners: &[i64]) -> Option<Tensor> {
        let rows = |t: &Tensor| {
            t.to_device(tch::Device::Cpu).index_select(0, &Tensor::from_slice(winners))
        };
        match (&problem.labels, self.config.labels, soft) {
            // Those of several labels an example are no class indices.
            (_, Labels::Known | Labels::Signs, _) => None,
            (DummyLabels::Fixed(labels), ..) => Some(rows(labels)),
            (DummyLabels::Joint, _, soft) => {
                soft.map(|p| p.argmax(2, false).to_device(tch::Device::Cpu))
            }
        }
    }
}

fn trainable(gradient: &Params) -> Vec<Tensor> {
    gradient.trainable().map(Tensor::shallow_clone).collect()
}
