//! Who takes part in a captured round, who looks, and what that leaves to be attacked.

use protocols::{Exposure, Transcript};
use suites::{Source, Vantage};

use crate::plan::Trial;

/// Clients that take part in the round of signal `n`: all of them where their updates are summed,
/// else the watched one alone.
pub fn cohort(trial: &Trial, n: usize) -> Vec<usize> {
    let clients = trial.spec.training.clients;
    match takes_all(trial) {
        true => (0..clients).collect(),
        false => vec![n % clients],
    }
}

fn takes_all(trial: &Trial) -> bool {
    trial.spec.source == Source::AggUpdate || trial.protocol.server_sees_update() != Exposure::Clear
}

/// Place of the watched client in its cohort.
pub fn watched(trial: &Trial, n: usize) -> usize {
    if takes_all(trial) { n % trial.spec.training.clients } else { 0 }
}

/// Places of the clients who pool what they know with the adversary: those that follow the watched
/// one.
pub fn colluders(trial: &Trial, n: usize) -> Vec<usize> {
    let clients = trial.spec.training.clients;
    let k = match trial.spec.vantage {
        Vantage::Colluding { k } => k,
        // The holder of a shared key is a client, too.
        Vantage::KeyHolder => usize::from(trial.spec.source != Source::AggUpdate),
        _ => 0,
    };
    if !takes_all(trial) {
        return Vec::new();
    }
    (1..=k.min(clients.saturating_sub(1))).map(|i| (n + i) % clients).collect()
}

/// How the vantage sees the signal, where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// A single client's update, readable.
    Update,
    /// A single client's upload as carried: masked words or ciphertext.
    HiddenUpdate,
    /// A single client's update, from pooled secrets.
    Pooled,
    /// The mean as the server computes it.
    Mean,
    /// The mean as released to everyone.
    Released,
    /// The sum as carried: ciphertext.
    HiddenSum,
    /// The mean less what the colluders sent.
    Rest,
}

/// What the cell's vantage sees of its source, or why it sees nothing.
pub fn sight(trial: &Trial) -> Result<Sight, String> {
    let (protocol, single) = (&trial.protocol, trial.spec.source != Source::AggUpdate);
    let (clients, clear) =
        (trial.spec.training.clients, protocol.server_sees_update() == Exposure::Clear);
    let upload = if clear { Sight::Update } else { Sight::HiddenUpdate };
    match (trial.spec.vantage, single) {
        (Vantage::MaliciousServer, _) => Err("no attack here alters the model it sends".into()),
        (Vantage::Server | Vantage::Eavesdropper, true) => Ok(upload),
        (Vantage::Server, false) => Ok(match protocol.server_sees_sum() {
            Exposure::Clear => Sight::Mean,
            _ => Sight::HiddenSum,
        }),
        (Vantage::Eavesdropper, false) => Ok(match protocol.server_sees_sum() {
            // The next model travels in the plain, and with it the mean that moved it.
            Exposure::Clear if !clear => Sight::Released,
            Exposure::Clear => Sight::Mean,
            _ => Sight::HiddenSum,
        }),
        (Vantage::Aggregate, true) => Err("whoever sees only the aggregate cannot see a single \
            client's signal; use source = \"agg_update\""
            .into()),
        (Vantage::Aggregate, false) => Ok(Sight::Released),
        (Vantage::Colluding { .. }, true) if clear => Ok(Sight::Update),
        // With a single client left, the sum less the colluders' own updates is its update, and
        // nothing need be broken.
        (Vantage::Colluding { k }, true) if k + 1 == clients => Ok(Sight::Rest),
        (Vantage::Colluding { k }, true) if protocol.pooled_sees_update(k, clients) => {
            Ok(Sight::Pooled)
        }
        (Vantage::Colluding { k }, true) => Err(format!(
            "the server and {k} of {clients} clients \
            do not hold enough secrets to open a single update; use source = \"agg_update\" to \
            attack what is left of the sum"
        )),
        (Vantage::Colluding { .. }, false) => Ok(Sight::Rest),
        (Vantage::KeyHolder, single) => match (protocol.key_opens_update(), single) {
            (None, _) => Err("the protocol has no key to hold".into()),
            (Some(_), false) => Ok(Sight::Mean),
            (Some(true), true) => Ok(Sight::Pooled),
            (Some(false), true) => Err("the key is shared among all clients, and none of them \
                alone opens a single update"
                .into()),
        },
    }
}

/// Why the vantage has nothing to attack, where it has not.
pub fn unseen(trial: &Trial) -> Option<String> {
    let clients = trial.spec.training.clients;
    if clients == 1
        && matches!(trial.spec.vantage, Vantage::KeyHolder)
        && trial.spec.source != Source::AggUpdate
    {
        return Some("a federation of one client has no other client to hold the key".into());
    }
    sight(trial).err()
}

/// Places in the cohort whose examples are behind what is seen.
pub fn behind(trial: &Trial, sight: Sight, n: usize, transcript: &Transcript) -> Vec<usize> {
    match sight {
        Sight::Update | Sight::HiddenUpdate | Sight::Pooled => vec![watched(trial, n)],
        Sight::Mean | Sight::Released | Sight::HiddenSum => transcript.survivors.clone(),
        Sight::Rest => {
            let known = colluders(trial, n);
            transcript.survivors.iter().copied().filter(|c| !known.contains(c)).collect()
        }
    }
}

/// What the vantage makes of the round, flat; `released` is the mean after the server's own
/// defences, `sent` what clients put in.
///
/// `None` where pooled secrets did not open the upload after all.
pub fn seen(
    trial: &Trial,
    sight: Sight,
    n: usize,
    transcript: &Transcript,
    sent: &[Vec<f32>],
    weights: &[u64],
) -> Option<Vec<f32>> {
    let len = sent[0].len();
    Some(match sight {
        Sight::Update | Sight::HiddenUpdate => transcript.upload.naive(len),
        Sight::Pooled => transcript.pooled.clone()?,
        Sight::Mean | Sight::Released => transcript.mean.clone(),
        Sight::HiddenSum => transcript.sum.naive(len),
        Sight::Rest => rest(trial, n, transcript, sent, weights),
    })
}

/// `(W mean - sum_c w_c u_c) / (W - sum_c w_c)` over the colluders `c` that are in the mean.
fn rest(
    trial: &Trial,
    n: usize,
    transcript: &Transcript,
    sent: &[Vec<f32>],
    weights: &[u64],
) -> Vec<f32> {
    let inside: Vec<usize> =
        colluders(trial, n).into_iter().filter(|c| transcript.survivors.contains(c)).collect();
    let total: f64 = transcript.survivors.iter().map(|&c| weights[c] as f64).sum();
    let known: f64 = inside.iter().map(|&c| weights[c] as f64).sum();
    let value = |i: usize| {
        let own: f64 = inside.iter().map(|&c| weights[c] as f64 * f64::from(sent[c][i])).sum();
        ((f64::from(transcript.mean[i]) * total - own) / (total - known)) as f32
    };
    (0..transcript.mean.len()).map(value).collect()
}
