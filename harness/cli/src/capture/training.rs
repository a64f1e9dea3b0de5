//! How the client trained, as far as it is said.

use anyhow::{Result, bail};
use learning::client::{LocalTraining, StepRule};

use super::description::{Description, Holds, Knowledge, Optimizer};

/// Bound of counts.
const MOST: i64 = 1 << 31;

/// The client's training and the examples behind the update.
#[derive(Clone, Debug)]
pub struct Training {
    /// One client's local training.
    pub local: LocalTraining,
    /// Examples of all clients together.
    pub examples: i64,
    /// Clients that are averaged.
    pub contributors: i64,
    /// Examples of each, where they differ; else empty.
    pub shares: Vec<i64>,
}

impl Training {
    /// Training as described, with what is not said at its default.
    ///
    /// # Errors
    /// Numbers out of range, and such that contradict each other.
    pub fn described(said: &Description) -> Result<Training> {
        let (contributors, shares, examples) = clients(said)?;
        let most = shares.iter().copied().max().unwrap_or(examples / contributors);
        let minibatch = said.minibatch.unwrap_or(most);
        if minibatch > most {
            bail!("--minibatch {minibatch}: the client has {most} examples");
        }
        let update = said.holds() != Holds::Gradient;
        let trained = [
            ("--lr-schedule", said.lr_schedule.is_some()),
            ("--epochs", said.epochs.is_some()),
            ("--steps", said.steps.is_some_and(|steps| steps != 1)),
            ("--minibatch", said.minibatch.is_some()),
            ("--optimizer", said.optimizer.is_some()),
            ("--momentum", said.momentum.is_some()),
            ("--weight-decay", said.weight_decay.is_some()),
            ("--betas", said.betas.is_some()),
        ];
        if let (false, Some((flag, _))) = (update, trained.iter().find(|(_, given)| *given)) {
            bail!("{flag} describes local training, and a gradient has none; give --holds weights");
        }
        let lr_schedule = said.lr_schedule.clone().unwrap_or_default();
        let local = LocalTraining {
            epochs: 1,
            batch_size: minibatch as usize,
            lr: rate(said, &lr_schedule, update)?,
            momentum: within("--momentum", said.momentum.unwrap_or(0.0), 1.0)?,
            weight_decay: within("--weight-decay", said.weight_decay.unwrap_or(0.0), f64::MAX)?,
            rule: rule(said)?,
            lr_schedule,
            ..LocalTraining::default()
        };
        let a_pass = local.steps(most.max(1) as usize).max(1);
        let local = LocalTraining { epochs: epochs(said, a_pass)?, ..local };
        let steps = local.epochs * a_pass;
        match local.lr_schedule.len() {
            n if n != 0 && n != steps => {
                bail!("--lr-schedule gives {n} rates for {steps} steps; give one a step")
            }
            _ => Ok(Training { local, examples, contributors, shares }),
        }
    }

    /// Examples of one client.
    pub fn own(&self) -> usize {
        (self.examples / self.contributors) as usize
    }

    /// Examples of the largest client.
    fn largest(&self) -> usize {
        self.shares.iter().max().map_or(self.own(), |&most| most as usize)
    }

    /// What the adversary knows of it: the local training and its learning rate.
    pub fn known(&self, knowledge: Knowledge) -> (Option<LocalTraining>, Option<f64>) {
        match knowledge {
            Knowledge::Exact => (Some(self.local.clone()), Some(self.local.lr)),
            Knowledge::Steps => {
                let counted = self.local.counted(self.largest());
                let lr = counted.lr;
                (Some(counted), Some(lr))
            }
            Knowledge::None => (None, None),
        }
    }
}

/// Clients, the examples of each where that is said, and all together.
fn clients(said: &Description) -> Result<(i64, Vec<i64>, i64)> {
    let counts = [
        ("--examples", said.examples),
        ("--minibatch", said.minibatch),
        ("--contributors", said.contributors),
        ("--epochs", said.epochs.map(i64::from)),
    ];
    if let Some((flag, n)) = counts.iter().find(|(_, n)| n.is_some_and(|n| !(1..MOST).contains(&n)))
    {
        bail!("{flag} {}: must be at least 1 and below {MOST}", n.unwrap_or_default());
    }
    let shares = said.weights_of.clone().unwrap_or_default();
    if let Some(n) = shares.iter().find(|n| !(1..MOST).contains(*n)) {
        bail!("--weights-of {n}: a client has at least one example, and fewer than {MOST}");
    }
    let (count, sum) = (shares.len() as i64, shares.iter().sum::<i64>());
    let contributors = said.contributors.unwrap_or(count.max(1));
    if count > 0 && contributors != count {
        bail!("--weights-of gives {count} clients, and --contributors {contributors}");
    }
    let examples = said.examples.unwrap_or(if count > 0 { sum } else { contributors });
    if count > 0 && examples != sum {
        bail!("--weights-of gives {sum} examples together, and --examples {examples}");
    }
    if examples % contributors != 0 && count == 0 {
        bail!(
            "{examples} examples of {contributors} clients: give the examples of each with \
             --weights-of"
        );
    }
    let equal = shares.windows(2).all(|pair| pair[0] == pair[1]);
    Ok((contributors, if equal { Vec::new() } else { shares }, examples))
}

fn rate(said: &Description, schedule: &[f64], update: bool) -> Result<f64> {
    let sound = |lr: &f64| *lr > 0.0 && lr.is_finite();
    if let Some(lr) = schedule.iter().chain(&said.lr).find(|lr| !sound(lr)) {
        bail!("learning rate {lr}: must be above 0");
    }
    let mean = (!schedule.is_empty()).then(|| schedule.iter().sum::<f64>() / schedule.len() as f64);
    match said.lr.or(mean) {
        Some(lr) => Ok(lr),
        None if update => {
            bail!("--holds {:?} needs the client's learning rate: give --lr above 0", said.holds())
        }
        None => Ok(1.0),
    }
}

fn within(flag: &str, value: f64, below: f64) -> Result<f64> {
    if value >= 0.0 && value < below {
        return Ok(value);
    }
    bail!("{flag} {value}: must be at least 0{}", if below == 1.0 { " and below 1" } else { "" })
}

fn rule(said: &Description) -> Result<StepRule> {
    if said.optimizer != Some(Optimizer::Adam) {
        return match said.betas {
            None => Ok(StepRule::Sgd),
            Some(_) => bail!("--betas are Adam's; give --optimizer adam"),
        };
    }
    if said.momentum.is_some_and(|m| m != 0.0) {
        bail!("--momentum is that of SGD; Adam's moments are --betas");
    }
    match said.betas.as_deref() {
        None => Ok(StepRule::Adam { beta1: 0.9, beta2: 0.999 }),
        Some([beta1, beta2]) => Ok(StepRule::Adam {
            beta1: within("--betas", *beta1, 1.0)?,
            beta2: within("--betas", *beta2, 1.0)?,
        }),
        Some(betas) => bail!("--betas gives {} values; give two", betas.len()),
    }
}

/// Passes over the client's examples, each of `a_pass` steps.
fn epochs(said: &Description, a_pass: usize) -> Result<usize> {
    let by_steps = match said.steps.map(|steps| steps as usize) {
        Some(steps) if steps % a_pass != 0 => bail!(
            "--steps {steps} are no whole number of epochs of {a_pass} steps; give --epochs, or \
             another --minibatch"
        ),
        steps => steps.map(|steps| steps / a_pass),
    };
    match (said.epochs.map(|epochs| epochs as usize), by_steps) {
        (Some(epochs), Some(counted)) if epochs != counted => {
            bail!("--epochs {epochs} and --steps contradict each other: {counted} epochs")
        }
        (epochs, counted) => Ok(epochs.or(counted).unwrap_or(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Description {
        Description { holds: Some(Holds::Weights), lr: Some(0.1), ..Description::default() }
    }

    /// A step takes all examples of the largest client unless a size is given.
    #[test]
    fn clients_of_several_sizes_take_whole_steps() {
        let unequal = Description { weights_of: Some(vec![1, 3]), ..said() };
        let found = Training::described(&unequal).unwrap();
        assert_eq!((found.local.batch_size, found.local.epochs, found.examples), (3, 1, 4));
        let rates = Some(vec![0.3, 0.2, 0.1]);
        let schedule = Description { minibatch: Some(1), lr_schedule: rates, ..unequal };
        assert_eq!(Training::described(&schedule).unwrap().local.steps(3), 3);
    }

    /// What a file gives has the ranges of the flags.
    #[test]
    fn counts_have_their_ranges() {
        let wrong = [
            Description { examples: Some(0), ..said() },
            Description { minibatch: Some(-1), ..said() },
            Description { epochs: Some(0), ..said() },
            Description { contributors: Some(0), weights_of: Some(Vec::new()), ..said() },
            Description { weights_of: Some(vec![i64::MAX, 2]), ..said() },
        ];
        for said in wrong {
            assert!(Training::described(&said).is_err(), "{said:?}");
        }
        let gradient = Description { steps: Some(5), ..Description::default() };
        assert!(Training::described(&gradient).unwrap_err().to_string().contains("--steps"));
    }
}
