//! Leakage against training progress in numbers.

use super::defences::{change, share};
use super::{mean_ci, rate};
use crate::frontier::success_label;
use crate::leakage::{Line, courses, rounds};
use record::markdown::{NONE, Table};
use record::metrics::Metric;
use record::run::Run;
use record::utility;

pub(super) fn leakage(run: &Run) -> String {
    let courses = courses(run);
    if courses.is_empty() {
        return String::new();
    }
    let success = success_label();
    let head = [
        "setting",
        "attack",
        "rounds before",
        "#",
        "PSNR (dB)",
        "change against the earliest (dB)",
        &success,
        "label accuracy",
        "test accuracy of the attacked model",
    ];
    let mut table = Table::new(head);
    for course in &courses {
        course.lines.iter().for_each(|line| rows(run, &course.name, line, &mut table));
    }
    let lead = "The same attack on the model after so many rounds of training. Changes are paired \
        by image, where the captures hold the same \
                images. The accuracy is that of the attacked model on the test split.\n\n";
    format!(
        "## Leakage against training progress\n\n{lead}{}",
        table.without_empty_columns().render("")
    )
}

fn rows(run: &Run, setting: &str, line: &Line, table: &mut Table) {
    let psnr = Metric::of("psnr");
    let first = line.cells[0];
    for &at in &line.cells {
        let cell = &run.cells[at];
        table.row([
            setting.to_owned(),
            line.name.clone(),
            rounds(run, at).to_string(),
            (at + 1).to_string(),
            mean_ci(&psnr, cell.metrics.get("psnr")),
            if at == first { NONE.into() } else { change(run, at, first) },
            rate(cell.success.get(&success_label())),
            rate(cell.label_accuracy.as_ref()),
            share(utility::attacked(&run.records[at])),
        ]);
    }
}
