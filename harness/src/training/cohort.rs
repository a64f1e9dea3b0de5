//! Who takes part in a round, and who falls silent in it.

use rand::Rng;
use rand::seq::index;
use suites::rng::stream;
use suites::train::{ClientSampling, Regime};

use super::Federation;

/// The clients of one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Cohort {
    /// Who is invited, ascending.
    pub invited: Vec<usize>,
    /// Of those, whose update never arrives, ascending.
    pub silent: Vec<usize>,
}

impl Cohort {
    /// Drawn from streams of the round: the same whatever was drawn before.
    pub fn draw(federation: &Federation, number: usize) -> Cohort {
        let invited = invited(federation, number);
        let dropout = federation.spec.clients.dropout;
        let mut rng =
            stream(federation.spec.seed, federation.terms().key, &format!("dropout {number}"));
        // One draw a client, so that a lower rate drops a subset of those of a higher one.
        let silent = invited.iter().copied().filter(|_| rng.random::<f64>() < dropout).collect();
        Cohort { invited, silent }
    }

    /// Those whose update arrives.
    pub fn heard(&self) -> Vec<usize> {
        self.invited.iter().copied().filter(|c| !self.silent.contains(c)).collect()
    }
}

fn invited(federation: &Federation, number: usize) -> Vec<usize> {
    let (spec, total) = (&federation.spec, federation.parts.len());
    let all = || (0..total).collect();
    let Some(wanted) = spec.clients.per_round.filter(|_| spec.regime == Regime::Federated) else {
        return all();
    };
    let mut rng = stream(spec.seed, federation.terms().key, &format!("cohort {number}"));
    match spec.clients.sampling {
        ClientSampling::Uniform => {
            let mut drawn = index::sample(&mut rng, total, wanted.min(total)).into_vec();
            drawn.sort_unstable();
            drawn
        }
        ClientSampling::Poisson => {
            let rate = federation.deployment.client_rate;
            (0..total).filter(|_| rng.random::<f64>() < rate).collect()
        }
    }
}
