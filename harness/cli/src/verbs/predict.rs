//! `bench predict`: a trained model on rows of a table or on pictures: predictions with
//! probabilities, and where labels are known, how good.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args as ClapArgs;
use datasets::LabelKind;
use federation::model_file::ModelFile;
use harness::HarnessError;
use serde::Serialize;
use suites::foreign::printable;
use tch::{Kind, Tensor};

use crate::device;
use crate::infer::columns::Columns;
use crate::infer::linear::{probabilities, top};
use crate::infer::{describe, images, seen, table, unfit};
use crate::settings::Settings;

/// Rows shown where no file is asked for.
const SHOWN: usize = 10;

/// Arguments.
#[derive(ClapArgs, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["csv", "images"]))]
pub struct Args {
    /// Checkpoint that `bench train` wrote
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// Table: `wdbc.data` as it is, or with a header, the columns in any order, with or without a
    /// label
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Folder of pictures, flat or a folder a class
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// The table's values are scaled to [0, 1] already
    #[arg(long, requires = "csv")]
    scaled: bool,
    /// Write every prediction to this CSV file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// One row or picture.
#[derive(Debug, Serialize)]
struct Prediction {
    /// Line of the file, or the picture's path below its folder.
    example: String,
    /// Its class, where the file or folder says.
    truth: Option<String>,
    /// The most probable class; of several labels at once, those above one half.
    prediction: String,
    /// Class by class.
    probabilities: Vec<f64>,
}

/// All of them.
#[derive(Debug, Serialize)]
struct Report {
    model: String,
    classes: Vec<String>,
    /// `accuracy`, `macro_f1`, `loss`, `auc`, `examples`; empty without labels.
    scores: BTreeMap<String, f64>,
    /// `[truth][prediction]`; `None` without labels.
    confusion: Option<Vec<Vec<usize>>>,
    predictions: Vec<Prediction>,
}

/// What a model is run on.
struct Examples {
    names: Vec<String>,
    /// `[B, K]`
    logits: Tensor,
    labels: Option<Vec<usize>>,
}

/// Predicts and judges.
///
/// # Errors
/// Files, cells and classes that do not fit the model.
pub fn run(args: &Args, settings: &Settings) -> Result<ExitCode> {
    let saved = super::model(settings, &args.model)?;
    let examples = match (&args.csv, &args.images) {
        (Some(csv), _) => rows(args, settings, &saved, csv)?,
        (None, Some(folder)) => pictures(args, settings, &saved, folder)?,
        (None, None) => bail!("nothing to predict; give --csv FILE or --images DIR"),
    };
    let report = report(&saved, examples);
    if let Some(out) = &args.out {
        write(out, &report)?;
    }
    if settings.json {
        println!("{}", serde_json::to_string(&report)?)
    } else {
        show_all!("{}", text(&report, args.out.as_deref()))
    }
    Ok(ExitCode::SUCCESS)
}

fn rows(args: &Args, settings: &Settings, saved: &ModelFile, csv: &Path) -> Result<Examples> {
    let columns = Columns::from_model(&args.model, saved, args.scaled)?;
    let table = table::read(csv, &columns, &saved.classes())?;
    table.notes.iter().for_each(|note| tell!("note: {note}"));
    if !table.unused.is_empty() {
        tell!("note: columns that the model does not use: {}", table.unused.join(", "));
    }
    if let Some(note) = seen::note(saved, &table, settings) {
        tell!("note: {note}");
    }
    let device = device::resolve(&settings.device)?;
    let weights = saved.params.to(device, Kind::Float);
    let x = table.batch().to_device(device);
    let logits =
        tch::no_grad(|| saved.net.logits(&weights, &x, learning::Mode::Eval)).squeeze_dim(0);
    let names = table.lines.iter().map(|line| format!("line {line}")).collect();
    Ok(Examples { names, logits, labels: table.labels })
}

fn pictures(
    args: &Args,
    settings: &Settings,
    saved: &ModelFile,
    folder: &Path,
) -> Result<Examples> {
    images::check(&args.model, saved)?;
    let found = images::list(folder)?;
    let classes = saved.classes();
    let class = |name: &String| {
        classes.iter().position(|c| c == name).ok_or_else(|| {
            let shown: Vec<&str> = classes.iter().take(12).map(String::as_str).collect();
            let more = if classes.len() > 12 { " ..." } else { "" };
            unfit(
                &folder.join(name),
                format!("is no class of the model; name folders {}{more}", shown.join(", ")),
            )
        })
    };
    let several = saved.card.labels == LabelKind::MultiLabel;
    let known: Option<Vec<&String>> = found.iter().map(|p| p.class.as_ref()).collect();
    let flat: Vec<&images::Picture> = found.iter().filter(|p| p.class.is_none()).collect();
    if several && flat.len() < found.len() {
        tell!(
            "note: the model gives several labels to a picture, so folders are not taken for \
             labels and nothing is judged"
        );
    } else if !flat.is_empty() && flat.len() < found.len() {
        tell!(
            "note: {} of {} pictures lie in no class's folder (the first: {}), so nothing is \
             judged",
            flat.len(),
            found.len(),
            flat[0].path.display()
        );
    }
    let labels = match known.filter(|_| !several) {
        Some(names) => Some(names.into_iter().map(class).collect::<Result<Vec<_>, _>>()?),
        None => None,
    };
    let logits = images::logits(saved, &found, device::resolve(&settings.device)?)?;
    let below =
        |p: &images::Picture| p.path.strip_prefix(folder).unwrap_or(&p.path).display().to_string();
    Ok(Examples { names: found.iter().map(below).collect(), logits, labels })
}

fn report(saved: &ModelFile, examples: Examples) -> Report {
    let (classes, p) = (saved.classes(), probabilities(saved, &examples.logits));
    let several = saved.card.labels == LabelKind::MultiLabel;
    let said = |p: &Vec<f64>| {
        if several {
            let on = classes.iter().zip(p).filter(|(_, p)| **p > 0.5).map(|(c, _)| c.as_str());
            on.collect::<Vec<_>>().join(" ")
        } else {
            classes[top(p)].clone()
        }
    };
    let truth = |at: usize| examples.labels.as_ref().map(|labels| classes[labels[at]].clone());
    let confusion = examples.labels.as_ref().map(|labels| {
        let mut table = vec![vec![0; classes.len()]; classes.len()];
        labels.iter().zip(&p).for_each(|(label, p)| table[*label][top(p)] += 1);
        table
    });
    let scores = examples.labels.as_ref().map_or_else(BTreeMap::new, |labels| {
        let labels: Vec<i64> = labels.iter().map(|l| *l as i64).collect();
        federation::judge(
            &examples.logits.to_device(tch::Device::Cpu),
            &Tensor::from_slice(&labels),
        )
    });
    let rows = examples.names.iter().zip(&p).enumerate();
    let predictions = rows.map(|(at, (name, p))| Prediction {
        example: name.clone(),
        truth: truth(at),
        prediction: said(p),
        probabilities: p.clone(),
    });
    Report {
        model: describe(saved),
        predictions: predictions.collect(),
        scores,
        confusion,
        classes,
    }
}

/// Writes `example, truth, prediction, p(class) ...`; the file has its name only once it is whole.
fn write(path: &Path, report: &Report) -> Result<(), HarnessError> {
    record::write_whole(
        path,
        &table(report).map_err(|e| HarnessError::Io {
            what: "write",
            path: path.display().to_string(),
            source: std::io::Error::other(e.to_string()),
        })?,
    )?;
    Ok(())
}

fn table(report: &Report) -> Result<Vec<u8>, csv::Error> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let probabilities = report.classes.iter().map(|class| format!("p({class})"));
    let head =
        ["example", "truth", "prediction"].map(String::from).into_iter().chain(probabilities);
    csv.write_record(head)?;
    for row in &report.predictions {
        let front =
            [row.example.clone(), row.truth.clone().unwrap_or_default(), row.prediction.clone()]
                .map(|text| printable(&text).into_owned());
        csv.write_record(front.into_iter().chain(row.probabilities.iter().map(f64::to_string)))?;
    }
    csv.into_inner().map_err(|e| e.into_error().into())
}

fn text(report: &Report, out: Option<&Path>) -> String {
    let mut text = format!("model    {}\n", report.model);
    let count = report.predictions.len();
    let number = |name: &str| report.scores.get(name);
    text += &match number("accuracy") {
        Some(accuracy) => {
            let f1 = number("macro_f1").map_or(String::new(), |v| format!(", macro-F1 {v:.4}"));
            let auc = number("auc").map_or(String::new(), |v| format!(", AUC {v:.4}"));
            format!("accuracy {:.2} % of {count}{f1}{auc}\n", 100.0 * accuracy)
        }
        None => format!("{count} examples without labels\n"),
    };
    if let Some(confusion) = &report.confusion {
        text += &matrix(&report.classes, confusion);
    }
    let shown = if out.is_some() { 0 } else { SHOWN.min(count) };
    if shown > 0 {
        text.push('\n');
    }
    for row in &report.predictions[..shown] {
        let p = row.probabilities.iter().copied().fold(0.0, f64::max);
        let truth = row.truth.as_ref().map_or(String::new(), |t| format!("  (is {t})"));
        text += &format!("{}: {} {p:.4}{truth}\n", row.example, row.prediction);
    }
    match out {
        Some(out) => text += &format!("predictions: {}\n", out.display()),
        None if count > shown => {
            text += &format!("... {} more; --out FILE writes all of them\n", count - shown)
        }
        None => {}
    }
    text
}

/// Truths down, predictions across; of many classes only those that were mistaken for each other
/// most often.
fn matrix(classes: &[String], confusion: &[Vec<usize>]) -> String {
    const WIDE: usize = 20;
    if classes.len() > WIDE {
        let cells = (0..classes.len()).flat_map(|t| (0..classes.len()).map(move |g| (t, g)));
        let mut wrong: Vec<_> = cells.filter(|(t, g)| t != g && confusion[*t][*g] > 0).collect();
        wrong.sort_by_key(|(t, g)| std::cmp::Reverse(confusion[*t][*g]));
        let line = |(t, g): &(usize, usize)| {
            format!("{} taken for {}: {}\n", classes[*t], classes[*g], confusion[*t][*g])
        };
        return wrong.iter().take(WIDE).map(line).collect();
    }
    let numbers = confusion.iter().flatten().map(|n| n.to_string().len());
    let wide = classes.iter().map(|c| c.chars().count()).chain(numbers).max().unwrap_or(1);
    let mut out = format!("\n{:>wide$}", "");
    classes.iter().for_each(|c| out += &format!("  {c:>wide$}"));
    out += "   <- prediction\n";
    for (class, row) in classes.iter().zip(confusion) {
        out += &format!("{class:>wide$}");
        row.iter().for_each(|n| out += &format!("  {n:>wide$}"));
        out.push('\n');
    }
    out
}
