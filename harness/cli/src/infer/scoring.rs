//! One encrypted scoring from keys to scores, each phase timed and each message counted.

use std::fmt;
use std::path::Path;
use std::time::Instant;

use harness::HarnessError;
use protocols::ProtocolError;
use protocols::ckks::ParameterSet;
use protocols::ckks::inference::{Answer, Gallery, Plan, Query, Shape, os_rng};
use protocols::ckks::keys::{PublicKey, SecretKey, generate};
use serde::Serialize;
use suites::foreign::{self, limits};

/// Names of key files, as `bench keys generate --scheme ckks` writes them.
const SECRET: &str = "ckks-secret.key";
const PUBLIC: &str = "ckks-public.key";

/// Parameters of fresh keys: with 120 bits the error of a cosine is below 2e-9 up to 10,000 rows of
/// 512 values; rows closer than twice the bound may swap.
const PARAMETERS: &str = "8192/60,60/40";

/// A client's keys.
pub struct Keys {
    secret: SecretKey,
    public: PublicKey,
    seconds: f64,
}

impl Keys {
    /// Reads a folder's keys, or draws a fresh pair under `8192/60,60/40` from the operating
    /// system.
    ///
    /// # Errors
    /// Files that are missing, no keys, shares, or not a pair.
    pub fn open(folder: Option<&Path>) -> Result<Keys, HarnessError> {
        let start = Instant::now();
        let (secret, public) = match folder {
            None => generate(&PARAMETERS.parse::<ParameterSet>()?, &mut os_rng()?),
            Some(folder) => pair(folder)?,
        };
        Ok(Keys { secret, public, seconds: start.elapsed().as_secs_f64() })
    }
}

fn pair(folder: &Path) -> Result<(SecretKey, PublicKey), HarnessError> {
    let [secret, public] = [SECRET, PUBLIC].map(|name| folder.join(name));
    let read = |path: &Path| {
        foreign::read(path, &limits::KEY).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => super::unfit(
                path,
                format!(
                    "is not there; make keys with `bench keys generate --scheme ckks --out {}`",
                    folder.display()
                ),
            ),
            _ => HarnessError::Io { what: "read", path: path.display().to_string(), source: e },
        })
    };
    let named = |path: &Path, e: ProtocolError| super::unfit(path, e);
    let key = SecretKey::from_bytes(&read(&secret)?).map_err(|e| named(&secret, e))?;
    let other = PublicKey::from_bytes(&read(&public)?).map_err(|e| named(&public, e))?;
    if key.fingerprint() == other.fingerprint() {
        Ok((key, other))
    } else {
        Err(super::unfit(
            &public,
            format!(
                "is key {}, but the secret key beside it belongs to {}",
                other.fingerprint(),
                key.fingerprint()
            ),
        ))
    }
}

/// What the server has: `shape.rows` rows, and what is added to their scores.
pub struct Rows<'a> {
    /// Sizes and bounds.
    pub shape: Shape,
    /// Row by row.
    pub values: &'a [f32],
    /// One a row, or none.
    pub offsets: &'a [f32],
}

/// Scores and what they cost.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// What the client decrypted, row by row.
    #[serde(skip)]
    pub scores: Vec<f64>,
    /// The same computed in the clear, in double precision.
    #[serde(skip)]
    pub plain: Vec<f64>,
    /// Largest difference between them.
    pub largest_error: f64,
    /// Bound on it that the parameters promise.
    pub error_bound: f64,
    /// CKKS parameter set.
    pub parameters: String,
    /// Its classical security.
    pub security_bits: u32,
    /// The scores are hidden in noise to within `2^-hiding_bits`.
    pub hiding_bits: u32,
    /// Fingerprint of the client's key.
    pub key: String,
    /// Layout and noise.
    pub plan: Plan,
    /// Of each phase.
    pub seconds: Seconds,
    /// Of each message.
    pub bytes: Bytes,
}

/// Seconds of each phase, serialising and reading included.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Seconds {
    /// Client: drawing or reading its keys.
    pub keys: f64,
    /// Server: encoding its rows, once for all queries.
    pub prepare: f64,
    /// Client: encrypting the query.
    pub encrypt: f64,
    /// Server: scoring every row.
    pub score: f64,
    /// Client: decrypting the scores.
    pub decrypt: f64,
    /// For comparison: scoring every row in the clear.
    pub plain: f64,
}

/// Bytes of each message.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Bytes {
    /// The public key, once for all queries.
    pub key: usize,
    /// The encrypted query.
    pub query: usize,
    /// The encrypted scores.
    pub answer: usize,
}

fn timed<T>(seconds: &mut f64, f: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = f();
    *seconds = start.elapsed().as_secs_f64();
    result
}

/// Scores `query` against `rows` under encryption, through bytes as they would travel, and in the
/// clear.
///
/// # Errors
/// Values beyond their bounds, or parameters without room for the noise.
pub fn exchange(keys: &Keys, rows: &Rows, query: &[f32]) -> Result<Exchange, HarnessError> {
    let Keys { secret, public, .. } = keys;
    let context = secret.context();
    let mut seconds = Seconds { keys: keys.seconds, ..Seconds::default() };
    let gallery = timed(&mut seconds.prepare, || {
        Gallery::new(context, rows.shape, rows.values, rows.offsets)
    })?;
    let (asked, up) = timed(&mut seconds.encrypt, || {
        let asked = secret.ask(&rows.shape, query, &mut os_rng()?)?;
        let bytes = asked.to_bytes();
        Ok::<_, ProtocolError>((asked, bytes))
    })?;
    let down = timed(&mut seconds.score, || {
        let received = Query::from_bytes(context, &up)?;
        Ok::<_, ProtocolError>(gallery.score(public, &received, &mut os_rng()?)?.to_bytes())
    })?;
    let scores = timed(&mut seconds.decrypt, || {
        secret.scores(&asked, &Answer::from_bytes(context, &down)?)
    })?;
    let plain = timed(&mut seconds.plain, || in_the_clear(rows, query));
    let params = context.params();
    Ok(Exchange {
        largest_error: scores.iter().zip(&plain).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max),
        error_bound: asked.plan().error,
        parameters: params.to_string(),
        security_bits: params.security_bits(),
        hiding_bits: rows.shape.hiding_bits,
        key: secret.fingerprint(),
        plan: asked.plan().clone(),
        bytes: Bytes { key: public.to_bytes().len(), query: up.len(), answer: down.len() },
        scores,
        plain,
        seconds,
    })
}

fn in_the_clear(rows: &Rows, query: &[f32]) -> Vec<f64> {
    let product = |row: &[f32]| {
        row.iter().zip(query).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
    };
    let offset = |row: usize| rows.offsets.get(row).map_or(0.0, |o| f64::from(*o));
    rows.values
        .chunks_exact(query.len())
        .enumerate()
        .map(|(i, row)| product(row) + offset(i))
        .collect()
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (s, b) = (&self.seconds, &self.bytes);
        writeln!(f, "largest error {:.2e}, bound {:.2e}", self.largest_error, self.error_bound)?;
        writeln!(
            f,
            "seconds  keys {:.4}  server's rows {:.4}  encrypt {:.4}  score {:.4}  decrypt {:.4}  \
             (plain scores {:.4})",
            s.keys, s.prepare, s.encrypt, s.score, s.decrypt, s.plain
        )?;
        writeln!(
            f,
            "bytes    query {}  answer {}  public key, once, {}",
            b.query, b.answer, b.key
        )?;
        writeln!(
            f,
            "CKKS {}, at least {} bits of security, key {}; the answer hides all but the scores \
             to 2^-{}",
            self.parameters, self.security_bits, self.key, self.hiding_bits
        )
    }
}
