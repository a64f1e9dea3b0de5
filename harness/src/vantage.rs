//! Who looks at a captured round, and what that leaves to be attacked.

use federation::{PlayedRound, RoundPlan, Watch};
use protocols::{Exposure, Transcript};
use suites::{Source, Vantage};

use crate::resolve::ResolvedCell;

/// The watched client of a round, and the clients who pool what they know with the adversary: those
/// that follow the watched one in its cohort.
pub fn watch(cell: &ResolvedCell, plan: &RoundPlan, client: usize) -> Watch {
    let cohort = &plan.cohort.invited;
    let place = cohort.iter().position(|c| *c == client).unwrap_or(0);
    let k = colluders(cell).min(cohort.len().saturating_sub(1));
    let colluders = (1..=k).map(|i| cohort[(place + i) % cohort.len()]).collect();
    Watch { client, colluders }
}

/// How many clients pool what they know with the adversary.
pub fn colluders(cell: &ResolvedCell) -> usize {
    match cell.spec.vantage {
        Vantage::Colluding { k } => k,
        // The holder of a shared key is a client, too.
        Vantage::KeyHolder => usize::from(cell.spec.source != Source::AggUpdate),
        _ => 0,
    }
}

/// How the vantage sees the signal, where it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
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
    MinusColluders,
}

/// What the cell's vantage sees of its source, or why it sees nothing.
///
/// # Errors
/// Why nothing can be attacked.
pub fn view(cell: &ResolvedCell) -> Result<View, String> {
    let protocol = cell.pipeline.protocol.as_ref();
    let single = cell.spec.source != Source::AggUpdate;
    let (clients, clear) =
        (cell.spec.federation.cohort(), protocol.server_sees_update() == Exposure::Clear);
    let upload = if clear { View::Update } else { View::HiddenUpdate };
    match (cell.spec.vantage, single) {
        (Vantage::MaliciousServer, _) => Err("no attack here alters the model it sends".into()),
        (Vantage::Server | Vantage::Eavesdropper, true) => Ok(upload),
        (Vantage::Server, false) => Ok(match protocol.server_sees_sum() {
            Exposure::Clear => View::Mean,
            _ => View::HiddenSum,
        }),
        (Vantage::Eavesdropper, false) => Ok(match protocol.server_sees_sum() {
            // The next model travels in the plain, and with it the mean that moved it.
            Exposure::Clear if !clear => View::Released,
            Exposure::Clear => View::Mean,
            _ => View::HiddenSum,
        }),
        (Vantage::Aggregate, true) => Err("whoever sees only the aggregate cannot see a single \
            client's signal; use source = \"agg_update\""
            .into()),
        (Vantage::Aggregate, false) => Ok(View::Released),
        (Vantage::Colluding { .. }, true) if clear => Ok(View::Update),
        // With a single client left, the sum less the colluders' own updates is its update, and
        // nothing need be broken.
        (Vantage::Colluding { k }, true) if k + 1 == clients => Ok(View::MinusColluders),
        (Vantage::Colluding { k }, true) if protocol.pooled_sees_update(k, clients) => {
            Ok(View::Pooled)
        }
        (Vantage::Colluding { k }, true) => Err(format!(
            "the server and {k} of {clients} clients \
            do not hold enough secrets to open a single update; use source = \"agg_update\" to \
            attack what is left of the sum"
        )),
        (Vantage::Colluding { .. }, false) => Ok(View::MinusColluders),
        (Vantage::KeyHolder, single) => match (protocol.key_opens_update(), single) {
            (None, _) => Err("the protocol has no key to hold".into()),
            (Some(_), false) => Ok(View::Mean),
            (Some(true), true) => Ok(View::Pooled),
            (Some(false), true) => Err("the key is shared among all clients, and none of them \
                alone opens a single update"
                .into()),
        },
    }
}

/// Why the vantage has nothing to attack, where it has not.
pub fn not_observable(cell: &ResolvedCell) -> Option<String> {
    if cell.spec.federation.cohort() == 1
        && matches!(cell.spec.vantage, Vantage::KeyHolder)
        && cell.spec.source != Source::AggUpdate
    {
        return Some("a federation of one client has no other client to hold the key".into());
    }
    view(cell).err()
}

/// A played round as its adversary meets it.
pub struct Sighting<'a> {
    /// How it sees the round.
    pub view: View,
    /// Whom it watches, and who helps it.
    pub watch: &'a Watch,
    /// The round.
    pub round: &'a PlayedRound,
    /// What travelled in it.
    pub transcript: &'a Transcript,
}

impl Sighting<'_> {
    /// Clients whose examples are behind what is seen.
    pub fn contributing_clients(&self) -> Vec<usize> {
        let survivors = self.transcript.survivors.iter().map(|&place| self.round.clients[place]);
        match self.view {
            View::Update | View::HiddenUpdate | View::Pooled => vec![self.watch.client],
            View::Mean | View::Released | View::HiddenSum => survivors.collect(),
            View::MinusColluders => {
                survivors.filter(|c| !self.watch.colluders.contains(c)).collect()
            }
        }
    }

    /// What the vantage makes of the round, flat.
    ///
    /// `None` where pooled secrets did not open the upload after all.
    pub fn observe(&self) -> Option<Vec<f32>> {
        let (transcript, len) = (self.transcript, self.round.updates[0].len());
        Some(match self.view {
            View::Update | View::HiddenUpdate => transcript.upload.naive(len),
            View::Pooled => transcript.pooled.clone()?,
            View::Mean | View::Released => transcript.mean.clone(),
            View::HiddenSum => transcript.sum.naive(len),
            View::MinusColluders => self.minus_colluders(),
        })
    }

    /// `(W mean - sum_c w_c u_c) / (W - sum_c w_c)` over the colluders `c` that are in the mean.
    fn minus_colluders(&self) -> Vec<f32> {
        let (transcript, round) = (self.transcript, self.round);
        let places = self.watch.colluders.iter();
        let places = places.filter_map(|c| round.clients.iter().position(|k| k == c));
        let inside: Vec<usize> = places.filter(|p| transcript.survivors.contains(p)).collect();
        let weight = |places: &[usize]| places.iter().map(|&p| round.shares[p] as f64).sum::<f64>();
        let (total, known) = (weight(&transcript.survivors), weight(&inside));
        let own = |i: usize, p: usize| round.shares[p] as f64 * f64::from(round.updates[p][i]);
        let value = |i: usize| {
            let own: f64 = inside.iter().map(|&p| own(i, p)).sum();
            ((f64::from(transcript.mean[i]) * total - own) / (total - known)) as f32
        };
        (0..transcript.mean.len()).map(value).collect()
    }
}
