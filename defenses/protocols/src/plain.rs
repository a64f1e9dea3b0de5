//! `plain`: updates travel as 32-bit floats and the server reads them.

use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use suites::{Entry, SpecError};

use crate::protocol::timed;
use crate::{Exposure, Federation, Protocol, ProtocolError, Round, Transcript, Wire};

/// Registry entry.
pub static ENTRY: Entry<dyn Protocol> = Entry {
    name: "plain",
    summary: "updates as 32-bit floats, readable by the server: what happens where no protocol is \
        named",
    reference: "McMahan et al.: Communication-Efficient Learning of Deep Networks from \
        Decentralized Data, AISTATS 2017",
    build: |map| Ok(Box::new(suites::params::<Plain>("plain", map)?)),
};

/// No protection on the way.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {}

impl Protocol for Plain {
    fn check(&self, federation: &Federation) -> Result<(), SpecError> {
        match federation.clients {
            0 => Err(SpecError::value("federation.clients.total", "is 0", "write at least 1")),
            _ => Ok(()),
        }
    }

    fn exchange(
        &self,
        round: &Round,
        _stream: &mut dyn FnMut(&str) -> ChaCha12Rng,
    ) -> Result<Transcript, ProtocolError> {
        let mut seconds = 0.0;
        let mean = timed(&mut seconds, || weighted_mean(round.updates, round.weights));
        let n = round.updates.len();
        let total: u64 = round.weights.iter().sum();
        let sum = mean.iter().map(|&v| (f64::from(v) * total as f64) as f32).collect();
        Ok(Transcript {
            survivors: (0..n).collect(),
            upload: Wire::Plain(round.updates[round.watched].clone()),
            sum: Wire::Plain(sum),
            pooled: Some(round.updates[round.watched].clone()),
            up: round.updates.iter().map(|u| 4 * u.len() as u64).collect(),
            down: vec![0; n],
            phases: vec![("aggregate".into(), seconds)],
            failures: Vec::new(),
            mean,
        })
    }

    fn server_sees_update(&self) -> Exposure {
        Exposure::Clear
    }

    fn server_sees_sum(&self) -> Exposure {
        Exposure::Clear
    }

    fn pooled_sees_update(&self, _k: usize, _n: usize) -> bool {
        true
    }

    fn key_opens_update(&self) -> Option<bool> {
        None
    }

    fn claim(&self) -> String {
        "no guarantee: the server reads every update".into()
    }
}

/// `sum_i w_i u_i / sum_i w_i`, accumulated in 64 bits. The weights are not all zero.
pub fn weighted_mean(updates: &[Vec<f32>], weights: &[u64]) -> Vec<f32> {
    let total: f64 = weights.iter().map(|&w| w as f64).sum();
    let len = updates.first().map_or(0, Vec::len);
    let mut sum = vec![0f64; len];
    for (update, &weight) in updates.iter().zip(weights) {
        let share = weight as f64 / total;
        sum.iter_mut().zip(update).for_each(|(s, &u)| *s += share * f64::from(u));
    }
    sum.into_iter().map(|s| s as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_weighted() {
        assert_eq!(weighted_mean(&[vec![1.0, 0.0], vec![4.0, 3.0]], &[2, 1]), [2.0, 1.0]);
    }
}
