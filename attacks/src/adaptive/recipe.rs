//! Which settings of gradient matching the adaptive attack takes for a network and its defenses.

use learning::Observation;

use super::{AdaptiveMatching, Recipe};
use crate::attack::Run;
use crate::matching::defense_model::{Law, Values};
use crate::matching::labels::{self, Labels};
use crate::matching::objective::Objective;
use crate::matching::{DefenseModel, MatchingConfig};
use crate::optim::Decay;
use crate::{AttackError, layers};

/// Evaluations of a step of L-BFGS at most.
const EVALUATIONS: usize = 25;

/// Starts among which a smooth network's budget is dealt: where L-BFGS ends depends on its start.
const STARTS: usize = 4;

/// Steps below which a further start is not worth its share.
const STEPS: usize = 8;

/// Total variation beside what is lost of a gradient; where nothing is, no prior is wanted. This
/// and the next were set by the PSNR on four embedded photographs of 16x16 pixels, so that results
/// on those flatter.
const TV: f64 = 1e-4;

/// The same beside random rounding, which is noise that states no law to weigh a prior against.
const TV_ROUNDED: f64 = 1e-1;

impl AdaptiveMatching {
    /// The match for this observation. Labels of mixtures are optimised along, for no hard label is
    /// theirs.
    ///
    /// # Errors
    /// As the reading of labels.
    pub(super) fn recipe(
        &self,
        seen: &Observation,
        plan: &DefenseModel,
        run: &Run,
    ) -> Result<MatchingConfig, AttackError> {
        let labels = if plan.mixed { Labels::Joint } else { self.config.labels };
        let mut config = MatchingConfig { labels, ..self.config.clone() };
        if plan.flips() {
            // Random signs have no smooth picture to prefer, and leave the box of pixels.
            (config.boxed, config.tv_weight) = (false, 0.0);
        }
        let fits = self.adapting.recipe == Recipe::Auto && is_smooth(plan);
        if !fits || !layers::is_smooth(seen, &mut run.stream("smoothness")) {
            return Ok(config);
        }
        let hypotheses = labels::hypotheses(seen, plan, &config, run)?;
        Ok(smooth(&config, plan, hypotheses))
    }
}

/// Whether what the defenses leave of the objective has a curvature: a sign has none, nor has a
/// magnitude, nor does one draw tell that of an expectation.
fn is_smooth(plan: &DefenseModel) -> bool {
    let laplace = plan.noise.is_some_and(|noise| noise.law == Law::Laplace);
    plan.values != Values::Signs && plan.draws == 0 && !laplace
}

/// L-BFGS on the squared distance, with as many evaluations as `config` has iterations, dealt among
/// four starts or more, one for each of the `hypotheses` about the label; fewer where that would
/// leave a start less than eight steps of 25 evaluations.
pub fn smooth(config: &MatchingConfig, plan: &DefenseModel, hypotheses: usize) -> MatchingConfig {
    let wanted = STARTS.max(hypotheses).max(config.restarts);
    let tv_weight = match plan.values {
        Values::Rounded { .. } => TV_ROUNDED,
        _ if plan.compares_plainly() => 0.0,
        _ => TV,
    };
    let restarts = wanted.min(config.iterations / (EVALUATIONS * STEPS)).max(1);
    MatchingConfig {
        iterations: (config.iterations / (EVALUATIONS * restarts)).max(1),
        restarts,
        optimizer: "lbfgs".into(),
        lr: 1.0,
        signed: false,
        schedule: Decay::Constant,
        objective: Objective::Relative,
        tv_weight,
        boxed: false,
        ..config.clone()
    }
}
