//! What a round counts and keeps: bytes, seconds, the transcript's excerpts.

/// What is counted and kept on the way.
pub(crate) struct RoundLedger {
    pub(crate) up: Vec<u64>,
    pub(crate) down: Vec<u64>,
    /// Seconds of all clients together.
    pub(crate) keys: f64,
    pub(crate) encrypt: f64,
    pub(crate) decrypt: f64,
    /// Seconds of the server.
    pub(crate) aggregate: f64,
    pub(crate) upload: Vec<u8>,
    pub(crate) sum: Vec<u8>,
    pub(crate) pooled: Option<Vec<f32>>,
    pub(crate) mean: Vec<f32>,
}

impl RoundLedger {
    pub(crate) fn new(clients: usize) -> RoundLedger {
        RoundLedger {
            up: vec![0; clients],
            down: vec![0; clients],
            keys: 0.0,
            encrypt: 0.0,
            decrypt: 0.0,
            aggregate: 0.0,
            upload: Vec::new(),
            sum: Vec::new(),
            pooled: None,
            mean: Vec::new(),
        }
    }

    /// The first client sends `bytes` to each other one, through the server.
    pub(crate) fn pass_on(&mut self, bytes: usize) {
        let others = self.down.len() as u64 - 1;
        self.up[0] += bytes as u64 * others;
        self.down[1..].iter_mut().for_each(|down| *down += bytes as u64);
    }
}

/// Appends bytes until `kept` has `most`.
pub(crate) fn keep(kept: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let room = most.saturating_sub(kept.len()).min(bytes.len());
    kept.extend_from_slice(&bytes[..room]);
}
