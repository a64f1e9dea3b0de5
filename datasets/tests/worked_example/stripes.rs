//! Stripes in four directions: a data set that is computed, and needs no file.

use std::ops::Range;

use datasets::{Card, Dataset, DatasetEntry, DatasetError, Examples, InMemory, Presence, Request};

const NAME: &str = "stripes";
const SIDE: usize = 16;
/// Examples of the train, val and test split.
const COUNTS: [usize; 3] = [64, 16, 32];
/// The classes, and what a step down and a step to the right add to a stripe's phase.
const DIRECTIONS: [(&str, f32, f32); 4] =
    [("level", 1.0, 0.0), ("upright", 0.0, 1.0), ("rising", 1.0, 1.0), ("falling", 1.0, -1.0)];

/// Registry line.
pub static ENTRY: DatasetEntry = DatasetEntry {
    name: NAME,
    summary: "112 grey pictures of 16x16: stripes in four directions, computed",
    reference: "Your name: your paper, your conference 2026",
    licence: "the licence that you give it",
    open,
    present: |_| Presence::Embedded,
    fetch: None,
};

fn open(req: &Request) -> Result<Box<dyn Dataset>, DatasetError> {
    req.refuse_label(NAME)?;
    req.require_size(NAME, SIDE)?;
    let mut from = 0;
    let splits = COUNTS.map(|count| {
        from += count;
        examples(from - count..from)
    });
    Ok(Box::new(InMemory { card: card(), splits }))
}

fn card() -> Card {
    let names = DIRECTIONS.map(|(name, ..)| name);
    Card {
        channels: 1,
        mean: vec![0.5],
        std: vec![0.35],
        ..ENTRY.card("Stripes in four directions").square(SIDE).with_classes(names)
    }
}

fn examples(numbers: Range<usize>) -> Examples {
    let labels = numbers.clone().map(|n| (n % DIRECTIONS.len()) as i64).collect();
    Examples { values: numbers.flat_map(picture).collect(), labels }
}

/// Picture number `n`, row by row: each of a direction is a little finer than the one before it.
fn picture(n: usize) -> impl Iterator<Item = f32> {
    let (_, down, right) = DIRECTIONS[n % DIRECTIONS.len()];
    let frequency = 0.4 + 0.02 * (n / DIRECTIONS.len()) as f32;
    let pixel = move |at: usize| {
        let along = down * (at / SIDE) as f32 + right * (at % SIDE) as f32;
        0.5 + 0.5 * (frequency * along).sin()
    };
    (0..SIDE * SIDE).map(pixel)
}
