//! All lanes through all stages.

use learning::{Observation, Params, Signal};
use suites::Fact;
use tch::{Device, Kind, Tensor};

use super::budget::Budget;
use super::chain::Chain;
use super::features::{Encoder, Inversion};
use super::params::FeatureInversion;
use super::refine::{Candidate, Refinement};
use crate::analytic::{FirstLinear, LayerInput, double_device, first_linear, one_example};
use crate::attack::{Reconstruction, Run};
use crate::matching::init::{Start, draw};
use crate::matching::labels::Labels;
use crate::matching::objective::Objective;
use crate::matching::{Matching, MatchingConfig, labels, signal};
use crate::{Attack, AttackError, layers};

/// Lanes inverted side by side: bounds memory.
const CHUNK: i64 = 16;

/// Features whose relative noise energy is below this are taken as exact.
const EXACT: f64 = 1e-9;

/// Step size of the matching that refines: small, since it starts near a solution.
const REFINE_LR: f64 = 0.01;

/// The observation made ready.
pub struct Prepared<'a> {
    pub seen: &'a Observation,
    pub first: FirstLinear,
    pub gradient: Params,
    /// On the device, f32.
    pub weights: Params,
    pub device: Device,
    /// What an update was divided by.
    pub scale: Option<f64>,
}

impl Attack for FeatureInversion {
    fn needs(&self) -> Vec<Fact> {
        vec![Fact::BatchSize]
    }

    fn infers_labels(&self, granted: &[Fact]) -> bool {
        !granted.contains(&Fact::Labels)
    }

    fn reconstruct(&self, seen: &Observation, run: &Run) -> Result<Reconstruction, AttackError> {
        layers::refuse_tokens(seen)?;
        let prepared = Prepared::new(seen, run)?;
        let chain = Chain::detect(seen, &prepared.weights, &prepared.first);
        let n = seen.lanes();
        let budget = Budget::new(run, n as usize * self.planned(chain.as_ref()));
        let mut refined = Vec::new();
        for from in (0..n).step_by(CHUNK as usize) {
            let inputs: Vec<LayerInput> = (from..n.min(from + CHUNK))
                .map(|i| {
                    run.check()
                        .map(|()| prepared.first.input(&prepared.gradient, i, prepared.device))
                })
                .collect::<Result<_, _>>()?;
            let (images, misfits) =
                self.invert(&prepared, chain.as_ref(), &inputs, from, run, &budget)?;
            for (i, input) in inputs.iter().enumerate() {
                let start = Candidate::new(
                    &images.narrow(0, i as i64, 1),
                    misfits.double_value(&[i as i64]),
                );
                refined.push(self.refine_one(
                    &prepared,
                    chain.as_ref(),
                    input,
                    start,
                    from + i as i64,
                    &budget,
                )?);
            }
        }
        let found = self.collect(&prepared, refined, &budget);
        if chain.is_none() && self.refine_iterations > 0 {
            self.match_gradients(seen, found, run)
        } else {
            Ok(found)
        }
    }
}

impl<'a> Prepared<'a> {
    fn new(seen: &'a Observation, run: &Run) -> Result<Prepared<'a>, AttackError> {
        let gradient = one_example(seen)?;
        let first = first_linear(seen)?;
        if first.sees_image || seen.net.input().len() != 3 {
            return Err(AttackError::NotApplicable(
                "the first fully connected layer of this model is fed by the input itself, which \
                 `analytic` reads directly"
                    .into(),
            ));
        }
        let device = double_device(run.device);
        let scale = match seen.signal {
            Signal::Gradient(_) => None,
            Signal::Update(_) => Some(signal::step_scale(seen)?),
        };
        Ok(Prepared {
            seen,
            first,
            gradient,
            weights: seen.weights.to(device, Kind::Float),
            device,
            scale,
        })
    }
}

impl FeatureInversion {
    /// Evaluations of a lane that needs no retry.
    fn planned(&self, chain: Option<&Chain>) -> usize {
        self.feature_iterations * self.restarts + chain.map_or(0, |_| Refinement::planned(self))
    }

    /// Stage 1 for a chunk of lanes: normalised images `[T, C, H, W]` and the features' relative
    /// misfits `[T]`.
    fn invert(
        &self,
        prepared: &Prepared,
        chain: Option<&Chain>,
        inputs: &[LayerInput],
        from: i64,
        run: &Run,
        budget: &Budget,
    ) -> Result<(Tensor, Tensor), AttackError> {
        let encoder = Encoder {
            net: &prepared.seen.net,
            weights: prepared.weights.clone(),
            mode: prepared.seen.mode,
            tap: prepared.first.tap,
        };
        let encode = |u: &Tensor| match chain {
            Some(chain) => chain.encode(u, chain.layers.len()).flatten(1, -1),
            None => encoder.features(u),
        };
        let target = Tensor::stack(&inputs.iter().map(|i| &i.features).collect::<Vec<_>>(), 0)
            .to_kind(Kind::Float);
        let noise: Vec<f64> = inputs.iter().map(|i| self.tv_weight * noise_energy(i)).collect();
        let tv = Tensor::from_slice(&noise).to_kind(Kind::Float).to_device(prepared.device);
        let inversion = Inversion {
            encode: &encode,
            target: &target,
            power: 1.0,
            evaluations: self.feature_iterations,
            tv: noise.iter().any(|&v| v > 0.0).then_some(&tv),
        };
        let mut best: Option<(Tensor, Tensor)> = None;
        for restart in 0..self.restarts {
            let start = self.start(prepared, from, inputs.len(), restart, run);
            let found = inversion.run(&start, budget)?;
            let misfit = tch::no_grad(|| {
                (encode(&found) - &target).square().sum_dim_intlist(1, false, None)
            });
            best = Some(match best {
                None => (found, misfit),
                Some((image, least)) => {
                    let better =
                        misfit.lt_tensor(&least).logical_or(&least.isfinite().logical_not());
                    let pick = better.reshape([-1, 1, 1, 1]);
                    (found.where_self(&pick, &image), misfit.where_self(&better, &least))
                }
            });
        }
        let size = target.square().sum_dim_intlist(1, false, None).clamp_min(1e-30);
        best.map(|(image, misfit)| (image, (misfit / size).sqrt()))
            .ok_or_else(|| AttackError::NotApplicable("no start was asked for".into()))
    }

    /// Where restart `r` of the lanes begins: `[T, C, H, W]`, normalised.
    fn start(
        &self,
        prepared: &Prepared,
        from: i64,
        lanes: usize,
        restart: usize,
        run: &Run,
    ) -> Tensor {
        let kind = if restart == 0 { Start::Grey } else { Start::Fft };
        let shape = [vec![1], prepared.seen.net.input()].concat();
        let one = |n: i64| {
            draw(kind, &shape, &mut run.stream(&format!("feature-inversion-{n}-{restart}")))
        };
        let rows: Vec<Tensor> = (from..from + lanes as i64).map(one).collect();
        Tensor::cat(&rows, 0).to_device(prepared.device)
    }

    /// What follows for one lane, from its image of stage 1.
    fn refine_one(
        &self,
        prepared: &Prepared,
        chain: Option<&Chain>,
        input: &LayerInput,
        start: Candidate,
        n: i64,
        budget: &Budget,
    ) -> Result<Candidate, AttackError> {
        budget.side_by_side(1);
        let mut refined = match chain {
            Some(chain) if !input.dead => {
                Refinement::new(self, prepared, chain, input, n, budget).refine(&start.image)?
            }
            _ => start,
        };
        refined.flags.splice(0..0, input.flags());
        Ok(refined)
    }

    fn collect(
        &self,
        prepared: &Prepared,
        refined: Vec<Candidate>,
        budget: &Budget,
    ) -> Reconstruction {
        let images: Vec<Tensor> = refined.iter().map(|r| r.image.to_kind(Kind::Float)).collect();
        let pixels = prepared
            .seen
            .net
            .to_pixels(&Tensor::stack(&images, 0))
            .nan_to_num(0.5, 1.0, 0.0)
            .clamp(0.0, 1.0);
        let per_lane = budget.spent() / refined.len().max(1) as u64;
        let of = |f: &dyn Fn(&Candidate) -> f64| refined.iter().map(f).collect::<Vec<f64>>();
        Reconstruction {
            pixels: pixels.to_device(Device::Cpu).detach(),
            labels: labels::read_off(&prepared.gradient, prepared.seen.net.classes(), 1).ok(),
            certainty: None,
            objective: of(&|r| r.objective),
            trace: vec![
                (self.feature_iterations as u64, of(&|r| r.first)),
                (per_lane, of(&|r| r.objective)),
            ],
            evaluations: per_lane,
            iterations: per_lane,
            restarts: self.restarts,
            flags: refined.into_iter().map(Candidate::doubts).collect(),
        }
    }

    /// Gradient matching from the image of the features. The start competes, so the lower objective
    /// is kept.
    fn match_gradients(
        &self,
        seen: &Observation,
        found: Reconstruction,
        run: &Run,
    ) -> Result<Reconstruction, AttackError> {
        let config = MatchingConfig {
            iterations: self.refine_iterations,
            objective: Objective::Sim,
            lr: REFINE_LR,
            boxed: true,
            labels: if seen.known.labels.is_some() { Labels::Known } else { Labels::Idlg },
            ..MatchingConfig::default()
        };
        let mut refined = Matching { config }.reconstruct_from(seen, Some(&found.pixels), run)?;
        refined.evaluations += found.evaluations;
        refined.iterations += found.iterations;
        refined.restarts = self.restarts;
        refined.trace.iter_mut().for_each(|(i, _)| *i += found.iterations);
        refined.flags =
            found.flags.into_iter().zip(refined.flags).map(|(a, b)| [a, b].concat()).collect();
        Ok(refined)
    }
}

/// Share of noise in the features' energy; 0 where they are as good as exact.
fn noise_energy(input: &LayerInput) -> f64 {
    let energy = |t: &Tensor| t.square().sum(Kind::Double).double_value(&[]);
    let share = energy(&input.spread) / energy(&input.features).max(f64::MIN_POSITIVE);
    if input.dead || share < EXACT { 0.0 } else { share.min(1.0) }
}
