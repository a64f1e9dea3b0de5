//! One picture among many: its embedding scored against a gallery under encryption, ranked beside
//! the plain ranking, accepted or not.

use federation::model_file::ModelFile;
use harness::HarnessError;
use protocols::ckks::inference::Shape;
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use super::images::{Picture, embed};
use super::scoring::{Exchange, Keys, Rows, exchange};

/// Pictures of the gallery that are compared with each other for a threshold.
const CALIBRATED: usize = 4000;

/// One place in the ranking.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// Class, or name of the file.
    pub name: String,
    /// Name of the file.
    pub file: String,
    /// Decrypted cosine.
    pub encrypted: f64,
    /// The same in the clear.
    pub plain: f64,
}

/// Accepted or not.
#[derive(Clone, Debug, Serialize)]
pub struct Decision {
    /// Least cosine that is accepted.
    pub threshold: f64,
    /// Where it comes from.
    pub basis: String,
    /// Share of strangers whom the best of the whole gallery lets pass, `1 - (1 - far)^N` with the
    /// share `far` of the pairs that pass; an estimate, as if a stranger's cosines to the gallery
    /// were independent. `None` for a threshold that was given.
    pub strangers: Option<f64>,
    /// The name that the client accepts; `None` for nobody.
    pub encrypted: Option<String>,
    /// The same by the plain scores.
    pub plain: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Recognised {
    /// Pictures in the gallery.
    pub gallery: usize,
    /// Classes among them.
    pub classes: usize,
    /// Values of an embedding.
    pub dimension: usize,
    /// The best by decrypted scores, best first.
    pub top: Vec<Place>,
    /// Whether the best are the same, in the same order, by plain scores.
    pub same_top: bool,
    /// Whether the whole ranking is.
    pub same_ranking: bool,
    /// Largest difference in plain cosine between two rows that stand in another order, 0 where
    /// none do.
    pub swapped_within: f64,
    /// Where the model was trained for recognition, or a threshold was asked for.
    pub decision: Option<Decision>,
    /// Why there is no decision, where one was due.
    pub undecided: Option<String>,
    /// Seconds to embed the gallery, and the query.
    pub embed_seconds: [f64; 2],
    /// Phases, bytes, errors.
    pub exchange: Exchange,
}

/// How to decide.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Places to show.
    pub top: usize,
    /// Least cosine to accept, instead of one from the gallery.
    pub threshold: Option<f64>,
    /// Share of pairs of different people that a threshold from the gallery accepts.
    pub far: f64,
}

/// Looks for `query` in `gallery`.
///
/// # Errors
/// Files that are no pictures, embeddings without a direction.
pub fn recognise(
    saved: &ModelFile,
    keys: &Keys,
    query: &Picture,
    gallery: &[Picture],
    options: &Options,
    device: Device,
) -> Result<Recognised, HarnessError> {
    let start = std::time::Instant::now();
    let (q, dimension) = embed(saved, std::slice::from_ref(query), device)?;
    let query_seconds = start.elapsed().as_secs_f64();
    let start = std::time::Instant::now();
    let (values, _) = embed(saved, gallery, device)?;
    let embed_seconds = [start.elapsed().as_secs_f64(), query_seconds];
    let rows = Rows { shape: Shape::unit(gallery.len(), dimension), values: &values, offsets: &[] };
    let exchange = exchange(keys, &rows, &q)?;
    let (order, plain) = (ranking(&exchange.scores), ranking(&exchange.plain));
    let shown = options.top.min(order.len());
    let place = |&row: &usize| Place {
        name: gallery[row].name().into(),
        file: gallery[row].file.clone(),
        encrypted: exchange.scores[row],
        plain: exchange.plain[row],
    };
    let mut classes: Vec<&str> = gallery.iter().map(Picture::name).collect();
    classes.sort_unstable();
    classes.dedup();
    let recognition = saved.net.model().margin().is_some() || options.threshold.is_some();
    let (limit, undecided) =
        match recognition.then(|| threshold(gallery, &values, dimension, options)) {
            None => (None, None),
            Some(Ok(limit)) => (Some(limit), None),
            Some(Err(why)) => (None, Some(why)),
        };
    let accepted = |scores: &[f64], best: usize, least: f64| {
        (scores[best] >= least).then(|| gallery[best].name().to_string())
    };
    Ok(Recognised {
        gallery: gallery.len(),
        classes: classes.len(),
        dimension,
        top: order.iter().take(shown).map(place).collect(),
        same_top: order[..shown] == plain[..shown],
        same_ranking: order == plain,
        swapped_within: swapped(&order, &plain, &exchange.plain),
        decision: limit.map(|Limit { least, basis, strangers }| Decision {
            encrypted: accepted(&exchange.scores, order[0], least),
            plain: accepted(&exchange.plain, plain[0], least),
            threshold: least,
            basis,
            strangers,
        }),
        undecided,
        embed_seconds,
        exchange,
    })
}

/// Rows from the largest score down; equal ones in their order.
fn ranking(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}

fn swapped(order: &[usize], plain: &[usize], scores: &[f64]) -> f64 {
    let gap = |(a, b): (&usize, &usize)| if a == b { 0.0 } else { (scores[*a] - scores[*b]).abs() };
    order.iter().zip(plain).map(gap).fold(0.0, f64::max)
}

/// Where to accept, and what that rests on.
#[derive(Debug, PartialEq)]
struct Limit {
    least: f64,
    basis: String,
    strangers: Option<f64>,
}

/// The least cosine that at most a share `far` of the gallery's pairs of different classes reaches;
/// a line that says why where it has too few of them and none is given. A file without a class is
/// taken for a person of its own.
fn threshold(
    gallery: &[Picture],
    values: &[f32],
    dimension: usize,
    options: &Options,
) -> Result<Limit, String> {
    if let Some(least) = options.threshold {
        return Ok(Limit { least, basis: "given".into(), strangers: None });
    }
    let some = gallery.len().min(CALIBRATED);
    let mut others = strangers(&gallery[..some], values, dimension);
    let (pairs, accepted) = (others.len(), (others.len() as f64 * options.far).floor());
    let people = match gallery[..some].iter().filter(|picture| picture.class.is_none()).count() {
        0 => "",
        loose if loose == some => ", each file taken for another person",
        _ => ", each file beside the folders taken for another person",
    };
    if accepted < 1.0 {
        let needed = (1.0 / options.far).ceil();
        return Err(format!(
            "takes {needed} pairs of different people, there are {pairs}{people}; give --threshold"
        ));
    }
    let (_, refused, _) = others.select_nth_unstable_by(accepted as usize, |a, b| b.total_cmp(a));
    let whose = if some < gallery.len() {
        format!("its first {some} pictures'")
    } else {
        "the gallery's".into()
    };
    let passing = accepted / pairs as f64;
    Ok(Limit {
        // What is equal to the largest that is to be refused is refused too.
        least: f64::from(*refused).next_up(),
        basis: format!(
            "accepts at most {accepted} of {whose} {pairs} pairs of different people{people}"
        ),
        strangers: Some(1.0 - (1.0 - passing).powf(gallery.len() as f64)),
    })
}

/// Cosines of the pairs of pictures with different names.
fn strangers(gallery: &[Picture], values: &[f32], dimension: usize) -> Vec<f32> {
    let some = gallery.len();
    let unit =
        Tensor::from_slice(&values[..some * dimension]).view([some as i64, dimension as i64]);
    let cosines = unit.matmul(&unit.tr()).to_kind(Kind::Float).reshape([-1]);
    let cosines = Vec::<f32>::try_from(cosines).unwrap_or_default();
    let differ =
        |a: &Picture, b: &Picture| a.class.is_none() || b.class.is_none() || a.class != b.class;
    let pairs = (0..some).flat_map(|i| (i + 1..some).map(move |j| (i, j)));
    let others = pairs.filter(|&(i, j)| differ(&gallery[i], &gallery[j]));
    others.filter_map(|(i, j)| cosines.get(i * some + j).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rankings_and_swaps() {
        let scores = [0.1, 0.9, 0.5, 0.5000001];
        assert_eq!(ranking(&scores), [1, 3, 2, 0]);
        let gap = swapped(&[1, 2, 3, 0], &ranking(&scores), &scores);
        assert!((gap - 1e-7).abs() < 1e-12);
        assert_eq!(swapped(&[1, 3, 2, 0], &ranking(&scores), &scores), 0.0);
    }

    #[test]
    fn thresholds_rest_on_pairs_of_different_people() {
        let picture = |class: &str| Picture {
            path: "x".into(),
            file: class.into(),
            class: Some(class.into()),
        };
        let mut gallery: Vec<Picture> = ["a", "a", "b", "c"].iter().map(|c| picture(c)).collect();
        // Cosines: a-a 1; a-b 0 twice; a-c 0.6 twice; b-c 0.8.
        let values = [1.0f32, 0.0, 1.0, 0.0, 0.0, 1.0, 0.6, 0.8];
        let options = Options { top: 5, threshold: None, far: 0.2 };
        let limit = threshold(&gallery, &values, 2, &options).unwrap();
        assert!((limit.least - 0.6).abs() < 1e-6 && limit.least > f64::from(0.6f32), "{limit:?}");
        assert_eq!(limit.basis, "accepts at most 1 of the gallery's 5 pairs of different people");
        assert!((limit.strangers.unwrap() - (1.0 - 0.8f64.powi(4))).abs() < 1e-12);
        assert_eq!(
            threshold(&gallery, &values, 2, &Options { far: 0.1, ..options }).unwrap_err(),
            "takes 10 pairs of different people, there are 5; give --threshold"
        );
        let given =
            threshold(&gallery, &values, 2, &Options { threshold: Some(0.3), ..options }).unwrap();
        assert_eq!((given.least, given.strangers), (0.3, None));
        gallery.iter_mut().for_each(|picture| picture.class = None);
        let flat = threshold(&gallery, &values, 2, &options).unwrap();
        let basis = "accepts at most 1 of the gallery's 6 pairs of different people, each file \
            taken for another person";
        assert_eq!(flat.basis, basis);
        assert!((flat.least - 0.8).abs() < 1e-6);
    }

    #[test]
    fn large_galleries_say_how_many_pictures_a_threshold_rests_on() {
        let picture = |at: usize| Picture {
            path: "x".into(),
            file: "x".into(),
            class: Some((at % 2).to_string()),
        };
        let gallery: Vec<Picture> = (0..CALIBRATED + 1).map(picture).collect();
        let options = Options { top: 5, threshold: None, far: 0.001 };
        let limit = threshold(&gallery, &vec![1.0; gallery.len()], 1, &options).unwrap();
        let basis =
            "accepts at most 4000 of its first 4000 pictures' 4000000 pairs of different people";
        assert_eq!((limit.basis.as_str(), limit.least), (basis, 1f64.next_up()));
    }
}
