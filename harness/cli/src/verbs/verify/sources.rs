//! Where the pairs come from: a list of files, or a data set that knows who is in its pictures.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use datasets::{Dataset, Request, Split};
use federation::model_file::ModelFile;
use harness::HarnessError;
use metrics::verification::{ListedPair, pairs, parse_pairs};
use suites::foreign::{self, limits};
use suites::rng::stream;
use tch::Tensor;

use super::super::embed::{Embedder, unit};
use super::Args;
use crate::settings::Settings;

/// Pairs of embedded pictures.
pub(super) struct Work {
    /// Unit embeddings `[N, E]`.
    pub rows: Tensor,
    /// What each row is of.
    pub names: Vec<String>,
    /// Two rows each.
    pub pairs: Vec<(usize, usize)>,
    /// Whether both are of one person.
    pub same: Vec<bool>,
    /// Each pair's fold.
    pub fold: Vec<usize>,
    /// Where they come from, in words.
    pub of: String,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// Pairs of files, all of them there.
pub(super) struct Files {
    paths: Vec<PathBuf>,
    pairs: Vec<(usize, usize)>,
    listed: Vec<ListedPair>,
    of: String,
}

/// Folds of drawn pairs where none are asked for.
const FOLDS: u32 = 10;

/// Reads a list and looks for its files; `folds` stand above those that it states.
///
/// # Errors
/// A list that cannot be read or is of another form, and files that are not there.
pub(super) fn listed(list: &Path, folder: &Path, folds: Option<usize>) -> Result<Files> {
    let place = || list.display().to_string();
    let text = foreign::read_text(list, &limits::TABLE).with_context(place)?;
    let listed = parse_pairs(&text, folds).with_context(place)?;
    if !folder.is_dir() {
        bail!(
            "--images {}: no such folder; give the one that the list's files lie in",
            folder.display()
        );
    }
    let (mut numbers, mut paths, mut absent) = (HashMap::new(), Vec::new(), Vec::new());
    let mut pairs = Vec::with_capacity(listed.len());
    for pair in &listed {
        let [a, b] = [&pair.a, &pair.b].map(|name| {
            *numbers.entry(name.clone()).or_insert_with(|| {
                let path = file(folder, name);
                if !path.is_file() {
                    absent.push((pair.line, path.clone()));
                }
                paths.push(path);
                paths.len() - 1
            })
        });
        pairs.push((a, b));
    }
    if let Some((line, path)) = absent.first() {
        bail!(
            "{}: line {line}: {} is not there ({} of {} files are missing); correct --images, or \
             put them there",
            list.display(),
            path.display(),
            absent.len(),
            paths.len()
        );
    }
    Ok(Files { paths, pairs, listed, of: place() })
}

/// The file, or one of the same name and another usual ending: aligned copies of LFW are often PNG.
fn file(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let others = ["jpg", "png", "jpeg", "bmp"].map(|e| path.with_extension(e));
    if path.is_file() { path } else { others.into_iter().find(|p| p.is_file()).unwrap_or(path) }
}

impl Files {
    /// Embeds every file once.
    ///
    /// # Errors
    /// The file that is no picture.
    pub(super) fn embedded(self, embedder: &Embedder) -> Result<Work> {
        let names: Vec<String> = self.paths.iter().map(|p| p.display().to_string()).collect();
        let rows = unit(&embedder.files(&self.paths)?, |at| names[at].clone())?;
        Ok(Work {
            rows,
            names,
            pairs: self.pairs,
            same: self.listed.iter().map(|p| p.same).collect(),
            fold: self.listed.iter().map(|p| p.fold).collect(),
            of: self.of,
            notes: Vec::new(),
        })
    }
}

/// Draws pairs from a data set and embeds the pictures in them.
///
/// # Errors
/// Unknown or absent data, pictures of other channels than the model's, too few persons.
pub(super) fn drawn(
    name: &str,
    args: &Args,
    settings: &Settings,
    saved: &ModelFile,
    embedder: &Embedder,
) -> Result<Work> {
    let unseen = datasets::knows_unseen(name);
    let request = Request {
        root: settings.data.as_deref(),
        size: Some(saved.card.height),
        label: unseen.then_some("unseen"),
        limit: None,
        // Procedural persons are those that the training left out.
        seed: saved.spec.seed,
    };
    let sets = &settings.registries.federation.datasets;
    let opened = datasets::open_from(sets, name, &request).map_err(anyhow::Error::from);
    let data = if unseen {
        opened?
    } else {
        opened.with_context(|| {
            format!("the model works on pictures of {0}x{0} pixels", saved.card.height)
        })?
    };
    let card = data.card();
    if (card.channels, card.height, card.width)
        != (saved.card.channels, saved.card.height, saved.card.width)
    {
        bail!(
            "{name}: its examples are {}x{}x{}, the model works on {}x{}x{}; give a data set of \
             such pictures",
            card.channels,
            card.height,
            card.width,
            saved.card.channels,
            saved.card.height,
            saved.card.width
        );
    }
    let (persons, mut notes) = persons(data.as_ref(), name, unseen)?;
    let rng = &mut stream(args.seed, name, "verification pairs");
    let wanted = args.pairs_count as usize;
    let drawn = pairs(&persons, wanted, args.folds.unwrap_or(FOLDS) as usize, rng)
        .with_context(|| name.to_string())?;
    if drawn.pairs.len() < wanted / 2 * 2 {
        notes.push(format!(
            "{wanted} pairs were asked for, the pictures make {}",
            drawn.pairs.len()
        ));
    }
    if !drawn.disjoint {
        notes.push(
            "too few persons for folds of their own: folds share persons, and are not independent"
                .into(),
        );
    }
    let used: BTreeSet<usize> = drawn.pairs.iter().flat_map(|p| [p.a, p.b]).collect();
    let ids: Vec<usize> = used.into_iter().collect();
    let row: HashMap<usize, usize> = ids.iter().enumerate().map(|(row, id)| (*id, row)).collect();
    let rows =
        embedder.all(ids.len(), |from, to| Ok(data.batch(Split::Test, &ids[from..to])?.x))?;
    let names: Vec<String> = ids.iter().map(|id| format!("{name}/test/{id}")).collect();
    Ok(Work {
        rows: unit(&rows, |at| names[at].clone())?,
        names,
        pairs: drawn.pairs.iter().map(|p| (row[&p.a], row[&p.b])).collect(),
        same: drawn.pairs.iter().map(|p| p.same).collect(),
        fold: drawn.pairs.iter().map(|p| p.fold).collect(),
        of: format!("{name}, {}", if unseen { "persons in no train split" } else { "test split" }),
        notes,
    })
}

/// Who is in each picture of the test split; a set that does not know has its classes taken for
/// persons.
fn persons(
    data: &dyn Dataset,
    name: &str,
    unseen: bool,
) -> Result<(Vec<u64>, Vec<String>), HarnessError> {
    let count = data.len(Split::Test);
    let known: Option<Vec<u64>> = (0..count).map(|id| data.identity(Split::Test, id)).collect();
    if let Some(known) = known.filter(|_| count > 0) {
        let note = (!unseen)
            .then(|| "whether the model was trained on these persons is not known".to_string());
        return Ok((known, note.into_iter().collect()));
    }
    let classes = (0..count).map(|id| Ok(data.label(Split::Test, id)? as u64));
    let note = format!(
        "{name} does not say who is in its pictures: classes are taken for persons, and the model \
         may have been trained on them"
    );
    Ok((classes.collect::<Result<_, HarnessError>>()?, vec![note]))
}
