//! `bench dp`: the epsilon of noise, and the noise for an epsilon, without running anything.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use defenses::dp::accountant::{self, Answer};
use defenses::dp::calibrate;
use serde_json::json;
use suites::SpecError;

use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// The epsilon of Gaussian noise over many steps
    Epsilon {
        /// Noise multiplier: standard deviation over sensitivity (the clipping norm), above 0
        #[arg(long, allow_hyphen_values = true)]
        sigma: f64,
        #[command(flatten)]
        deployment: Deployment,
    },
    /// The smallest noise multiplier for an epsilon
    Sigma {
        /// Privacy loss over all steps, above 0
        #[arg(long, allow_hyphen_values = true)]
        epsilon: f64,
        #[command(flatten)]
        deployment: Deployment,
    },
    /// What one release really costs whose noise another tool took from a formula
    AuditFormula {
        /// The formula
        #[arg(long, value_enum, default_value = "classical")]
        formula: Formula,
        /// The privacy loss that the formula was asked for, above 0
        #[arg(long, allow_hyphen_values = true)]
        epsilon: f64,
        /// Failure probability, strictly between 0 and 1
        #[arg(long, allow_hyphen_values = true)]
        delta: f64,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Formula {
    /// sqrt(2 ln(1.25/delta)) / epsilon (Dwork and Roth 2014, proved for epsilon up to 1)
    Classical,
}

/// What both questions share.
#[derive(ClapArgs, Debug)]
struct Deployment {
    /// Probability that a unit takes part in a step (Poisson sampling), above 0 and at most 1
    #[arg(long, allow_hyphen_values = true, required_unless_present = "batch_size")]
    rate: Option<f64>,
    /// Units in a step on average, in place of --rate
    #[arg(long, value_name = "N", requires = "examples", conflicts_with = "rate")]
    batch_size: Option<u64>,
    /// Units in all, with --batch-size
    #[arg(long, value_name = "N", requires = "batch_size")]
    examples: Option<u64>,
    /// Releases in all: steps times rounds
    #[arg(long, allow_hyphen_values = true)]
    steps: u64,
    /// Failure probability, strictly between 0 and 1
    #[arg(long, allow_hyphen_values = true)]
    delta: f64,
    /// Whose data is added or removed
    #[arg(long, value_enum, default_value = "example")]
    unit: Unit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Unit {
    /// One training example
    Example,
    /// Everything a client holds
    Client,
}

impl Unit {
    fn words(self) -> &'static str {
        match self {
            Unit::Example => "one example",
            Unit::Client => "all of a client's data",
        }
    }
}

/// Answers on standard output.
///
/// # Errors
/// Numbers out of range, or a target that no noise meets.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let (asked, deployment, sigma) = match &args.question {
        Question::AuditFormula { formula: Formula::Classical, epsilon, delta } => {
            return audit(*epsilon, *delta, settings);
        }
        Question::Epsilon { sigma, deployment } => (None, deployment, *sigma),
        Question::Sigma { epsilon, deployment: d } => {
            let sigma = calibrate::noise_multiplier(*epsilon, d.delta, d.rate()?, d.steps);
            (Some(*epsilon), d, sigma.map_err(flagged)?)
        }
    };
    let rate = deployment.rate()?;
    let answer =
        accountant::epsilon(sigma, rate, deployment.steps, deployment.delta).map_err(flagged)?;
    if settings.json {
        println!("{}", as_json(asked, sigma, rate, deployment, &answer))
    } else {
        show_all!("{}", as_text(asked, sigma, rate, deployment, &answer))
    }
    Ok(ExitCode::SUCCESS)
}

/// The exact cost of one Gaussian release at the classical formula's noise.
fn audit(asked: f64, delta: f64, settings: &Settings) -> Result<ExitCode> {
    let sigma = calibrate::classical_anywhere(asked, delta).map_err(flagged)?;
    let answer = accountant::epsilon(sigma, 1.0, 1, delta).map_err(flagged)?;
    let (cost, holds) = (answer.best, answer.best <= asked);
    if settings.json {
        println!(
            "{}",
            json!({
                "formula": "sqrt(2 ln(1.25/delta)) / epsilon", "asked_epsilon": asked,
                "delta": delta, "noise_multiplier": sigma, "epsilon": cost, "holds": holds,
            })
        );
        return Ok(ExitCode::SUCCESS);
    }
    let verdict = if holds { "its promise holds" } else { "its promise does not hold" };
    show!("classical  sigma {} = sqrt(2 ln(1.25/{delta:e})) / {asked:?}", number(sigma));
    show!("costs      epsilon {} at delta {delta:e}, exactly: {verdict}", number(cost));
    let enough = calibrate::noise_multiplier(asked, delta, 1.0, 1).map_err(flagged)?;
    show!("needed     sigma {} for epsilon {asked:?}", number(enough));
    Ok(ExitCode::SUCCESS)
}

impl Deployment {
    fn rate(&self) -> Result<f64, SpecError> {
        match (self.rate, self.batch_size, self.examples) {
            (Some(rate), _, _) => Ok(rate),
            (None, Some(batch), Some(examples)) if batch >= 1 && batch <= examples => {
                Ok(batch as f64 / examples as f64)
            }
            (None, batch, examples) => Err(SpecError::value(
                "--batch-size",
                format!("is {} of --examples {}", batch.unwrap_or(0), examples.unwrap_or(0)),
                "write at least 1 and at most all of them",
            )),
        }
    }
}

/// The error under the name of the flag.
fn flagged(error: SpecError) -> SpecError {
    match error {
        SpecError::Value { path, problem, remedy } => {
            let flag = if path == "noise_multiplier" { "sigma" } else { &path };
            SpecError::value(format!("--{flag}"), problem, remedy)
        }
        other => other,
    }
}

fn sampling(rate: f64) -> &'static str {
    if rate < 1.0 {
        "each unit is in a step independently (Poisson sampling)"
    } else {
        "none: every unit is in every step"
    }
}

/// Six decimals, or six digits where those would hide the number.
fn number(value: f64) -> String {
    if value == 0.0 || (1e-3..1e9).contains(&value) {
        format!("{value:.6}")
    } else {
        format!("{value:.5e}")
    }
}

fn as_json(
    asked: Option<f64>,
    sigma: f64,
    rate: f64,
    d: &Deployment,
    answer: &Answer,
) -> serde_json::Value {
    let mut value = json!({
        "epsilon": answer.best,
        "delta": d.delta,
        "noise_multiplier": sigma,
        "rate": rate,
        "steps": d.steps,
        "unit": d.unit.words(),
        "neighbouring": format!("{} added or removed", d.unit.words()),
        "sampling": sampling(rate),
        "reported": answer.reported(),
        "accountants": { "rdp": answer.rdp, "prv": answer.prv, "analytic": answer.exact },
        "rdp_order": answer.order,
    });
    if let Some(target) = asked {
        value["target_epsilon"] = target.into();
    }
    value
}

fn as_text(asked: Option<f64>, sigma: f64, rate: f64, d: &Deployment, answer: &Answer) -> String {
    let by = |name: &str, value: Option<f64>, note: &str| {
        let value = value.map_or("-".into(), number);
        let reported = if answer.reported() == name { " (reported)" } else { "" };
        format!("  {name:<10} {value}{note}{reported}\n")
    };
    let (epsilon, noise, unit) = (number(answer.best), number(sigma), d.unit.words());
    let mut text = match asked {
        Some(target) => format!("sigma {noise} for epsilon {target:?} at delta {:e}\n", d.delta),
        None => format!("epsilon {epsilon} at delta {:e}\n", d.delta),
    };
    text += &by("rdp", Some(answer.rdp), &format!(" at order {}", answer.order));
    text += &by(
        "prv",
        answer.prv,
        if answer.prv.is_some() { "" } else { " (its grid does not cover this)" },
    );
    if answer.exact.is_some() {
        text += &by("analytic", answer.exact, "");
    }
    let plural = if d.steps == 1 { "release" } else { "releases" };
    text += &format!("  guarantee  ({epsilon}, {:e})-DP\n", d.delta);
    text += &format!("  unit       {unit}\n  neighbours {unit} added or removed\n");
    text += &format!(
        "  over       {} {plural} at sampling rate {rate:?}, noise multiplier {noise}\n",
        d.steps
    );
    text + &format!("  sampling   {}\n", sampling(rate))
}
