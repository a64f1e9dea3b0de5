//! One picture among many: its embedding scored against a gallery under encryption, ranked beside the plain ranking, accepted or not.

use defenses::ckks::inference::Shape;
use serde::Serialize;
use tch::{Device, Kind, Tensor};

use super::images::{Picture, embed};
use super::scoring::{Exchange, Keys, Rows, exchange};
use crate::HarnessError;
use crate::saved::Saved;

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
    /// Cosine above which a picture is accepted.
    pub threshold: f64,
    /// Where it comes from.
    pub basis: String,
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
    /// Largest difference in plain cosine between two rows that stand in another order, 0 where none do.
    pub swapped_within: f64,
    /// Where the model was trained for recognition, or a threshold was asked for.
    pub decision: Option<Decision>,
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
    /// Cosine above which to accept, instead of one from the gallery.
    pub threshold: Option<f64>,
    /// Share of pairs of different people that a threshold from the gallery accepts.
    pub far: f64,
}

/// Looks for `query` in `gallery`.
///
/// # Errors
/// Files that are no pictures, embeddings without a direction.
pub fn recognise(
    saved: &Saved,
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
    let threshold = recognition.then(|| threshold(gallery, &values, dimension, options)).flatten();
    let accepted = |scores: &[f64], best: usize, least: f64| {
        (scores[best] > least).then(|| gallery[best].name().to_string())
    };
    Ok(Recognised {
        gallery: gallery.len(),
        classes: classes.len(),
        dimension,
        top: order.iter().take(shown).map(place).collect(),
        same_top: order[..shown] == plain[..shown],
        same_ranking: order == plain,
        swapped_within: swapped(&order, &plain, &exchange.plain),
        decision: threshold.map(|(threshold, basis)| Decision {
            encrypted: accepted(&exchange.scores, order[0], threshold),
            plain: accepted(&exchange.plain, plain[0], threshold),
            threshold,
            basis,
        }),
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

/// The cosine above which a share `far` of the gallery's pairs of different classes lies; `None` where it has too few of them and none is
/// given.
fn threshold(
    gallery: &[Picture],
    values: &[f32],
    dimension: usize,
    options: &Options,
) -> Option<(f64, String)> {
    if let Some(given) = options.threshold {
        return Some((given, "given".into()));
    }
    let some = gallery.len().min(CALIBRATED);
    let unit = Tensor::from_slice(&values[..some * dimension]).view([some as i64, dimension as i64]);
    let cosines = Vec::<f32>::try_from(unit.matmul(&unit.tr()).to_kind(Kind::Float).reshape([-1])).ok()?;
    let names: Vec<&str> = gallery[..some].iter().map(Picture::name).collect();
    let mut others: Vec<f32> = (0..some)
        .flat_map(|i| (i + 1..some).map(move |j| (i, j)))
        .filter(|&(i, j)| names[i] != names[j])
        .map(|(i, j)| cosines[i * some + j])
        .collect();
    let accepted = (others.len() as f64 * options.far).floor();
    if accepted < 1.0 {
        return None;
    }
    let (_, least, _) = others.select_nth_unstable_by(accepted as usize, |a, b| b.total_cmp(a));
    let basis = format!(
        "accepts at most {} of the gallery's {} pairs of different people",
        accepted,
        gallery_pairs(&names)
    );
    Some((f64::from(*least), basis))
}

fn gallery_pairs(names: &[&str]) -> usize {
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let same: usize = sorted.chunk_by(|a, b| a == b).map(|run| run.len() * (run.len() - 1) / 2).sum();
    names.len() * (names.len() - 1) / 2 - same
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
        let picture = |class: &str| Picture { path: "x".into(), file: "x".into(), class: Some(class.into()) };
        let gallery: Vec<Picture> = ["a", "a", "b", "c"].iter().map(|c| picture(c)).collect();
        // Cosines: a-a 1; a-b 0 twice; a-c 0.6 twice; b-c 0.8.
        let values = [1.0f32, 0.0, 1.0, 0.0, 0.0, 1.0, 0.6, 0.8];
        let options = Options { top: 5, threshold: None, far: 0.2 };
        let (least, basis) = threshold(&gallery, &values, 2, &options).unwrap();
        assert!((least - 0.6).abs() < 1e-6, "{least}");
        assert_eq!(basis, "accepts at most 1 of the gallery's 5 pairs of different people");
        assert!(threshold(&gallery, &values, 2, &Options { far: 0.1, ..options }).is_none());
        assert_eq!(
            threshold(&gallery, &values, 2, &Options { threshold: Some(0.3), ..options }).unwrap().0,
            0.3
        );
    }
}
