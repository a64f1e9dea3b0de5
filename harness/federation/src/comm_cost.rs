//! What captured rounds cost: bytes and seconds, from their transcripts.

use std::collections::BTreeMap;

use learning::Network;
use protocols::Exposure;
use protocols::Transcript;

use crate::context::FederationConfig;

/// Sums over captured rounds.
#[derive(Clone, Debug, Default)]
pub struct CommCost {
    rounds: usize,
    clients: usize,
    up: u64,
    down: u64,
    survivors: usize,
    seconds: BTreeMap<String, f64>,
}

impl CommCost {
    /// Adds one round. The next model reaches every client as 32-bit floats, or as the sum that it
    /// decrypts.
    pub fn add(&mut self, config: &FederationConfig, transcript: &Transcript) {
        // Who decrypts the sum receives the next model with it; else the server sends it.
        let sends = config.protocol.server_sees_sum() == Exposure::Clear;
        let model = if sends { 4 * config.net.layout().len() as u64 } else { 0 };
        let plain = config.protocol.server_sees_update() == Exposure::Clear;
        let bits = config.defenses.iter().rev().find_map(|d| d.bits_per_value()).filter(|_| plain);
        self.rounds += 1;
        self.clients = transcript.up.len();
        self.survivors += transcript.survivors.len();
        self.up += match bits {
            // What a defense makes smaller: its own width for parameters, 32 bits for buffers.
            Some(bits) => transcript.up.len() as u64 * narrow(config.net, bits),
            None => transcript.up.iter().sum::<u64>(),
        };
        self.down += transcript.down.iter().sum::<u64>() + model * self.clients as u64;
        for (phase, seconds) in &transcript.phases {
            *self.seconds.entry(phase.clone()).or_default() += seconds;
        }
    }

    /// Bytes `(up, down)` of one client in one round, on average.
    pub fn of_client(&self) -> (u64, u64) {
        let share = (self.rounds * self.clients).max(1) as u64;
        (self.up.div_ceil(share), self.down.div_ceil(share))
    }

    /// Bytes `(up, down)` of `clients` clients in one round, on average: where only the watched one
    /// was computed, the others send as much.
    pub fn of_round(&self, clients: usize) -> (u64, u64) {
        let all = |sum: u64| {
            (sum as u128 * clients as u128).div_ceil((self.rounds * self.clients).max(1) as u128)
        };
        (all(self.up) as u64, all(self.down) as u64)
    }

    /// Seconds of each of the protocol's phases in one round, on average.
    pub fn seconds(&self) -> BTreeMap<String, f64> {
        self.seconds
            .iter()
            .map(|(phase, s)| (phase.clone(), s / self.rounds.max(1) as f64))
            .collect()
    }

    /// Clients whose updates were in the mean, on average.
    pub fn survivors(&self) -> f64 {
        self.survivors as f64 / self.rounds.max(1) as f64
    }
}

fn narrow(net: &Network, bits: f64) -> u64 {
    let layout = net.layout();
    let buffers = (layout.len() - layout.trainable_len()) as u64;
    (layout.trainable_len() as f64 * bits / 8.0).ceil() as u64 + 4 * buffers
}
