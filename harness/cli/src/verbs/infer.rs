//! `bench infer`: scores under encryption, of a picture against a gallery or of a row of a table by
//! a linear model.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use federation::model_file::ModelFile;
use harness::HarnessError;
use serde_json::{Value, json};

use crate::device;
use crate::infer::columns::Columns;
use crate::infer::images::{self, Picture};
use crate::infer::linear::{Linear, Scored};
use crate::infer::recognise::{Options, Recognised, recognise};
use crate::infer::scoring::Keys;
use crate::infer::{describe, table, unfit};
use crate::settings::Settings;

/// Arguments.
#[derive(ClapArgs, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["query", "csv"]))]
pub struct Args {
    /// Checkpoint that `bench train` wrote
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Picture to look for
    #[arg(long, value_name = "IMAGE", requires = "gallery")]
    query: Option<PathBuf>,
    /// Folder of pictures to look in, flat or a folder a class
    #[arg(long, value_name = "DIR", conflicts_with = "csv")]
    gallery: Option<PathBuf>,
    /// Table with a row to classify
    #[arg(long, value_name = "FILE", requires = "row")]
    csv: Option<PathBuf>,
    /// Which of its rows, from 1; a header does not count
    #[arg(long, value_name = "N", requires = "csv")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    row: Option<u32>,
    /// The table's values are scaled to [0, 1] already
    #[arg(long, requires = "csv")]
    scaled: bool,
    /// How many of the best to show
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    /// Accept the best at or above this cosine
    #[arg(long, value_name = "COSINE", allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// Without --threshold, for models trained for recognition: share of the gallery's pairs of
    /// different people that the threshold lets pass; of N pictures the best lets a stranger pass
    /// with about 1-(1-far)^N
    #[arg(long, default_value_t = 0.001)]
    far: f64,
    /// Folder of CKKS keys that `bench keys generate` made [default: fresh ones under
    /// 8192/60,60/40]
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
}

/// Scores under encryption and prints what the client learned.
///
/// # Errors
/// Models, pictures, tables and keys that do not fit together.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    check(args)?;
    let saved = super::model(settings, &args.model)?;
    let printed = match (&args.query, &args.csv) {
        (Some(query), _) => picture(args, settings, &saved, query)?,
        (None, Some(csv)) => row(args, settings, &saved, csv)?,
        (None, None) => bail!("nothing to score; give --query and --gallery, or --csv and --row"),
    };
    if settings.json {
        print!("{printed}");
    } else {
        show_all!("{printed}");
    }
    Ok(ExitCode::SUCCESS)
}

fn check(args: &Args) -> Result<()> {
    if args.threshold.is_some_and(|t| !(-1.0..=1.0).contains(&t)) {
        bail!("--threshold: a cosine is in [-1, 1]; write for instance 0.4");
    }
    if !(args.far > 0.0 && args.far < 1.0) {
        bail!("--far: a share is above 0 and below 1; write for instance 0.001");
    }
    Ok(())
}

fn picture(
    args: &Args,
    settings: &Settings,
    saved: &ModelFile,
    query: &std::path::Path,
) -> Result<String> {
    images::check(&args.model, saved)?;
    let Some(folder) = &args.gallery else { bail!("--query needs --gallery DIR") };
    let gallery = images::list(folder)?;
    let file = query.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let query = Picture { path: query.into(), file, class: None };
    let keys = Keys::open(args.keys.as_deref())?;
    let options = Options { top: args.top as usize, threshold: args.threshold, far: args.far };
    let device = device::resolve(&settings.device)?;
    let found = recognise(saved, &keys, &query, &gallery, &options, device)?;
    Ok(if settings.json { as_json(saved, &found)? + "\n" } else { report(saved, &query, &found) })
}

fn row(
    args: &Args,
    settings: &Settings,
    saved: &ModelFile,
    csv: &std::path::Path,
) -> Result<String> {
    let columns = Columns::from_model(&args.model, saved, args.scaled)?;
    let linear = Linear::from_model(&args.model, saved)?;
    let table = table::read(csv, &columns, &saved.classes())?;
    table.notes.iter().for_each(|note| tell!("note: {note}"));
    let at = args.row.unwrap_or(1) as usize - 1;
    let Some(features) = table.features.get(at) else {
        let rows = table.features.len();
        return Err(unfit(
            csv,
            format!("has {rows} rows, so there is no row {}; write --row 1 to {rows}", at + 1),
        )
        .into());
    };
    let keys = Keys::open(args.keys.as_deref())?;
    let scored = linear.score(saved, &keys, &tch::Tensor::from_slice(features))?;
    let truth = table.labels.as_ref().map(|labels| saved.classes()[labels[at]].clone());
    Ok(if settings.json {
        let mut value = serde_json::to_value(&scored)?;
        value["row"] = json!(at + 1);
        value["truth"] = json!(truth);
        value["model"] = json!(describe(saved));
        format!("{value}\n")
    } else {
        sentence(saved, at + 1, truth, &scored)
    })
}

fn as_json(saved: &ModelFile, found: &Recognised) -> Result<String, HarnessError> {
    let mut value: Value =
        serde_json::to_value(found).map_err(|e| HarnessError::NotFinite(e.to_string()))?;
    value["model"] = json!(describe(saved));
    Ok(value.to_string())
}

fn report(saved: &ModelFile, query: &Picture, found: &Recognised) -> String {
    let mut out = format!(
        "model    {}, embedding of {}\ngallery  {} pictures, {} names\nquery    {}\n\n",
        describe(saved),
        found.dimension,
        found.gallery,
        found.classes,
        query.path.display()
    );
    let wide = found.top.iter().map(|p| p.name.chars().count()).max().unwrap_or(0).max(4);
    out +=
        &format!("{:>4}  {:wide$}  {:>12}  {:>12}  file\n", "rank", "name", "encrypted", "plain");
    for (rank, place) in found.top.iter().enumerate() {
        let (name, file) = (&place.name, &place.file);
        out += &format!(
            "{:>4}  {name:wide$}  {:>12.9}  {:>12.9}  {file}\n",
            rank + 1,
            place.encrypted,
            place.plain
        );
    }
    let shown = found.top.len();
    let same = |same: bool| if same { "the same as plain" } else { "not the same as plain" };
    out += &format!(
        "\nranking  best {shown}: {}; all {}: {}",
        same(found.same_top),
        found.gallery,
        same(found.same_ranking)
    );
    if found.swapped_within > 0.0 {
        out +=
            &format!(" (those that swapped are within {:.1e} of each other)", found.swapped_within);
    }
    out.push('\n');
    if let Some(decision) = &found.decision {
        let say = |name: &Option<String>| {
            name.as_ref().map_or("nobody in the gallery".to_string(), |n| format!("`{n}`"))
        };
        out += &format!(
            "decision {} at or above {:.4} ({}); plain: {}\n",
            say(&decision.encrypted),
            decision.threshold,
            decision.basis,
            say(&decision.plain)
        );
        if let Some(share) = decision.strangers {
            let (percent, gallery) = (100.0 * share, found.gallery);
            out += &format!(
                "         the best of {gallery} lets a stranger pass with about {percent:.2} %\n"
            );
        }
    }
    if let Some(why) = &found.undecided {
        out += &format!("no decision: {why}\n");
    }
    let [gallery, query] = found.embed_seconds;
    out += &format!("embedded gallery {gallery:.3} s, query {query:.3} s\n{}", found.exchange);
    out
}

fn sentence(saved: &ModelFile, row: usize, truth: Option<String>, scored: &Scored) -> String {
    let truth = truth.map_or(String::new(), |t| format!(", in the file: {t}"));
    let mut out = format!("model    {}\nrow      {row}{truth}\n\n", describe(saved));
    let wide = scored.classes.iter().map(|c| c.chars().count()).max().unwrap_or(0).max(5);
    out += &format!("{:wide$}  {:>12}  {:>12}\n", "class", "encrypted", "plain");
    for ((class, encrypted), plain) in
        scored.classes.iter().zip(&scored.encrypted).zip(&scored.plain)
    {
        out += &format!("{class:wide$}  {encrypted:>12.9}  {plain:>12.9}\n");
    }
    let [encrypted, plain] = &scored.decisions;
    out += &format!(
        "\ndecision {encrypted}; plain: {plain}\nprobabilities differ by at most {:.2e}; scores: \
         {}",
        scored.probability_error, scored.exchange
    );
    out
}
