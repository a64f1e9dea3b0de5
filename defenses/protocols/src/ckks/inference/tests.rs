//! What a client can find out from an answer beside its scores, seen with everything that it holds.

use rand_chacha::ChaCha12Rng;
use suites::rng::stream;

use super::{Answer, Gallery, Query, Shape};
use crate::ckks::ParameterSet;
use crate::ckks::keys::{PublicKey, SecretKey, generate};

const ROWS: usize = 700;
const DIMENSION: usize = 64;

struct Setting {
    secret: SecretKey,
    public: PublicKey,
    query: Query,
    /// Two galleries that differ only where the query is zero, so that all their scores agree.
    rows: [Vec<f32>; 2],
}

fn setting() -> Setting {
    let mut rng = stream(1, "inference", "keys");
    let (secret, public) = generate(&ParameterSet::default(), &mut rng);
    let q: Vec<f32> = (0..DIMENSION).map(|i| if i < DIMENSION / 2 { 0.17 } else { 0.0 }).collect();
    let query = secret.ask(&Shape::unit(ROWS, DIMENSION), &q, &mut rng).unwrap();
    let rows = [1i64, 7].map(|other| {
        let value = |row: i64, i: i64| ((row * 31 + i * 17) % 23 - 11) as f32 / 100.0;
        let cell = |at: usize| {
            let (row, i) = ((at / DIMENSION) as i64, (at % DIMENSION) as i64);
            if i < DIMENSION as i64 / 2 { value(row, i) } else { value(row * other + 5, i * other) }
        };
        (0..ROWS * DIMENSION).map(cell).collect()
    });
    Setting { secret, public, query, rows }
}

impl Setting {
    fn answer(&self, gallery: usize, rng: &mut ChaCha12Rng) -> Answer {
        let shape = Shape::unit(ROWS, DIMENSION);
        let gallery = Gallery::new(&self.secret.context, shape, &self.rows[gallery], &[]).unwrap();
        gallery.score(&self.public, &self.query, rng).unwrap()
    }
}

/// Chi-square of residues over 64 equal buckets, less its 63 degrees of freedom, in its standard
/// deviations.
fn unevenness(residues: &[u64], q: u64) -> f64 {
    let mut counts = [0f64; 64];
    residues.iter().for_each(|r| counts[(u128::from(*r) * 64 / u128::from(q)) as usize] += 1.0);
    let expected = residues.len() as f64 / 64.0;
    let chi: f64 = counts.iter().map(|c| (c - expected).powi(2) / expected).sum();
    (chi - 63.0) / 126f64.sqrt()
}

/// The half that is sent whole is uniform, for either gallery, times the secret too (all that a
/// client computes of the coefficients that are not sent), and so is the difference of two answers
/// whose server drew the same randomness: none of it says which gallery it was.
#[test]
fn coefficients_without_scores_are_uniform() {
    let setting = setting();
    let context = &setting.secret.context;
    let q = context.moduli[0].q;
    let answers =
        [0, 1].map(|gallery| setting.answer(gallery, &mut stream(2, "inference", "server")));
    let mut views: Vec<Vec<u64>> = answers.iter().map(|a| a.c1.concat()).collect();
    let mut difference = views[0].clone();
    context.moduli[0].sub(&mut difference, &views[1]);
    views.push(difference);
    for answer in &answers {
        let products = answer.c1.iter().flat_map(|c1| {
            let mut c1 = c1.clone();
            context.forward(&mut c1);
            let mut product = vec![0; c1.len()];
            context.mul_add(&mut product, &c1, &setting.secret.secret[..c1.len()]);
            context.inverse(&mut product);
            product
        });
        views.push(products.collect());
    }
    for (view, residues) in views.iter().enumerate() {
        assert!(residues.len() >= 4096 * answers[0].plan.blocks);
        let off = unevenness(residues, q);
        assert!(off.abs() < 5.0, "view {view}: {off}");
    }
    let small: Vec<u64> = (0..9000).map(|i| q / 2 + i % 4000).collect();
    assert!(unevenness(&small, q) > 100.0);
    let scores = answers.map(|a| setting.secret.scores(&setting.query, &a).unwrap());
    let plan = setting.query.plan();
    let apart = scores[0].iter().zip(&scores[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart < plan.flooding / 1e4, "the same randomness hides the same scores: {apart:e}");
}

/// No coefficient but those of the scores is in an answer's bytes.
#[test]
fn answers_hold_one_coefficient_a_row() {
    let setting = setting();
    let answer = setting.answer(0, &mut stream(3, "inference", "server"));
    assert_eq!(answer.scores.len(), ROWS * answer.plan.level);
    let head = 4 + 2 + 7 + 8 + 8 + 33 + 8 + 8;
    let uniform = answer.plan.blocks * setting.secret.context.packed_len(answer.plan.level);
    assert_eq!(answer.to_bytes().len(), head + uniform + ROWS * 7);
}

/// The noise of decrypted scores is the flooding noise that the plan promises: its deviation within
/// 4 %, normal to the fourth moment, and 2^39 sqrt(rows) times what it hides.
#[test]
fn flooding_has_the_size_that_hides() {
    let setting = setting();
    let plan = setting.query.plan().clone();
    let mut errors = Vec::new();
    for run in 0..8 {
        let answer = setting.answer(0, &mut stream(run, "inference", "flooding"));
        let scores = setting.secret.scores(&setting.query, &answer).unwrap();
        let exact = |row: usize| -> f64 {
            let encoded = |v: f32| {
                (f64::from(v) * 2f64.powi(plan.row_bits)).round_ties_even()
                    / 2f64.powi(plan.row_bits)
            };
            let values = &setting.rows[0][row * DIMENSION..][..DIMENSION / 2];
            values.iter().map(|v| encoded(*v) * f64::from(0.17f32)).sum()
        };
        errors.extend(
            scores.iter().enumerate().map(|(row, score)| (score - exact(row)) / plan.flooding),
        );
    }
    let moment = |k: i32| errors.iter().map(|e| e.powi(k)).sum::<f64>() / errors.len() as f64;
    assert!((moment(2).sqrt() - 1.0).abs() < 0.04, "{}", moment(2).sqrt());
    assert!((moment(4) - 3.0).abs() < 0.5 && moment(1).abs() < 0.06, "{} {}", moment(4), moment(1));
    let ratio = plan.flooding / plan.noise;
    assert!((ratio / (2f64.powi(39) * (ROWS as f64).sqrt()) - 1.0).abs() < 1e-9);
}

/// Every answer draws anew: nothing of one is in another.
#[test]
fn answers_share_no_randomness() {
    let setting = setting();
    let mut rng = stream(4, "inference", "server");
    let [first, second] = [setting.answer(0, &mut rng), setting.answer(0, &mut rng)];
    let equal = first.c1.concat().iter().zip(second.c1.concat()).filter(|(a, b)| **a == *b).count();
    assert!(equal < 3, "{equal}");
}
