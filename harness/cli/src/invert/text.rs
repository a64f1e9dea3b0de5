//! The scores as CSV and Markdown.

use std::fmt::Write;

use super::ATTACK;
use super::table::{Distance, Document, Mean, Table};

/// One line a guess and class.
pub fn csv(table: &Table) -> String {
    let mut text = String::from(
        "guess,knows_data,class,name,mae_class_mean,psnr_class_mean,ssim_class_mean,mae_nearest,\
         psnr_nearest,ssim_nearest,nearest_id,mae_class,identified,confidence,right,\
         evaluator_confidence,evaluator_right\n",
    );
    let some = |v: Option<f64>| v.map_or(String::new(), |v| v.to_string());
    for r in &table.rows {
        let distance = |d: &Distance| format!("{},{},{}", d.mae, some(d.psnr), some(d.ssim));
        let judged = r.evaluator.map_or(",".into(), |o| format!("{},{}", o.confidence, o.right));
        let _ = writeln!(
            text,
            "{},{},{},{},{},{},{},{},{},{},{},{judged}",
            r.guess,
            r.knows_data,
            r.class,
            quoted(&r.name),
            distance(&r.class_mean),
            distance(&r.nearest),
            r.nearest_id,
            r.class_mae,
            r.identified,
            r.model.confidence,
            r.model.right
        );
    }
    text
}

/// A name as a CSV field.
fn quoted(name: &str) -> String {
    if name.contains([',', '"', '\n']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.into()
    }
}

/// Means, then the reconstruction class by class.
pub fn markdown(document: &Document) -> String {
    let mut text = format!("# Model inversion\n\nModel: {}.  \n", document.model.words());
    let _ = match &document.evaluator {
        Some(other) => writeln!(text, "Evaluation model: {}.  ", other.words()),
        None => writeln!(text, "Evaluation model: none was given.  "),
    };
    let _ = writeln!(text, "Compared with {} training pictures.\n", document.table.examples);
    text += &means(&document.means);
    text += "\n*known*: made with the training data in hand, which an attacker has not. MAE to \
        the nearest favours dark and blurred guesses: read it beside `black`, which shows nothing \
        at all. *identified*: of the class means, the guess correlates most with its own.\n\n## \
        Classes\n\n";
    text += "| class | MAE to class mean | SSIM | MAE to nearest | SSIM | confidence | evaluator \
        |\n|---|---|---|---|---|---|---|\n";
    for r in document.table.rows.iter().filter(|r| r.guess == ATTACK) {
        let judged = r.evaluator.map_or("-".into(), |o| format!("{:.4}", o.confidence));
        let _ = writeln!(
            text,
            "| {} | {:.4} | {} | {:.4} | {} | {:.4} | {judged} |",
            r.name.replace('|', "\\|"),
            r.class_mean.mae,
            digits(r.class_mean.ssim, 3),
            r.nearest.mae,
            digits(r.nearest.ssim, 3),
            r.model.confidence
        );
    }
    text
}

/// The means as a Markdown table, which is also what the command prints.
pub fn means(means: &[Mean]) -> String {
    let mut text = String::from(
        "| guess | known | MAE to class mean | PSNR | SSIM | MAE to nearest | PSNR | SSIM | MAE \
         to all of the class | identified | confidence | accuracy | evaluator's confidence | \
         accuracy |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for m in means {
        let distance =
            |d: &Distance| format!("{:.4} | {} | {}", d.mae, digits(d.psnr, 2), digits(d.ssim, 3));
        let share = |v: f64| format!("{:.2}%", 100.0 * v);
        let judged = match m.evaluator {
            Some((confidence, right)) => format!("{} | {}", share(confidence), share(right)),
            None => "- | -".into(),
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {:.4} | {} | {} | {} | {judged} |",
            m.guess,
            if m.knows_data { "known" } else { "" },
            distance(&m.class_mean),
            distance(&m.nearest),
            m.class_mae,
            share(m.identified),
            share(m.model.0),
            share(m.model.1)
        );
    }
    text
}

fn digits(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".into(), |v| format!("{v:.digits$}"))
}
