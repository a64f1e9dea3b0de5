//! Who takes part in a round, and who drops out of it.

use rand::Rng;
use rand::seq::index;
use suites::federation::{ClientSampling, Regime};

use crate::Federation;

/// The clients of one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Cohort {
    /// Who is invited, ascending.
    pub invited: Vec<usize>,
    /// Of those, whose update never arrives, ascending.
    pub dropped: Vec<usize>,
}

impl Cohort {
    /// Drawn from streams of the round of that name: the same whatever was drawn before.
    pub fn draw(federation: &Federation, round: &str) -> Cohort {
        let invited = invited(federation, round);
        let dropout = federation.spec.federation.clients.dropout;
        let mut rng = federation.randomness.stream(&federation.key, &format!("dropout {round}"));
        // One draw a client, so that a lower rate drops a subset of those of a higher one.
        let dropped = invited.iter().copied().filter(|_| rng.random::<f64>() < dropout).collect();
        Cohort { invited, dropped }
    }

    /// Those whose update arrives.
    pub fn delivered(&self) -> Vec<usize> {
        self.invited.iter().copied().filter(|c| !self.dropped.contains(c)).collect()
    }
}

fn invited(federation: &Federation, round: &str) -> Vec<usize> {
    let (spec, total) = (&federation.spec.federation, federation.parts.len());
    let all = || (0..total).collect();
    let Some(wanted) = spec.clients.per_round.filter(|_| spec.regime == Regime::Federated) else {
        return all();
    };
    let mut rng = federation.randomness.stream(&federation.key, &format!("cohort {round}"));
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
