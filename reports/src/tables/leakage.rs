//! Leakage against training progress in numbers.

use super::defenses::{change, share};
use super::{cell_identified, identified_read, mean_ci, rate};
use crate::identified;
use crate::leakage::{Line, courses, rounds};
use crate::report::model::{Cell, Section, Table, row};
use record::run::Run;
use record::utility;

pub(super) fn leakage(run: &Run) -> Option<Section> {
    let courses = courses(run);
    if courses.is_empty() {
        return None;
    }
    let success = run.headline().map_or(String::new(), |(.., label)| label);
    let head = [
        "setting",
        "attack",
        "rounds before",
        "#",
        "PSNR (dB)",
        "change against the earliest (dB)",
        &success,
        identified::TITLE,
        "label accuracy",
        "test accuracy of the attacked model",
    ];
    let mut table = Table::new(head);
    for course in &courses {
        course.lines.iter().for_each(|line| {
            rows(run, (&course.name, &success), line, &mut table);
        });
    }
    let lead = "The same attack on the model after so many rounds of training. Changes are paired \
        by image, where the captures hold the same images. The accuracy is that of the attacked \
        model on the test split.";
    let lead = format!("{lead}{}", identified_read(run));
    let table = table.without_empty_columns();
    Some(Section::new("Leakage against training progress").paragraph(lead).table(table, ""))
}

fn rows(run: &Run, (setting, success): (&str, &str), line: &Line, table: &mut Table) {
    let psnr = run.metric("psnr");
    let first = line.cells[0];
    for &at in &line.cells {
        let cell = &run.cells[at];
        table.push(row![
            setting,
            line.name.as_str(),
            rounds(run, at),
            at + 1,
            mean_ci(&psnr, cell.metrics.get("psnr")),
            if at == first { Cell::None } else { change(run, at, first) },
            rate(cell.success.get(success)),
            cell_identified(run, at),
            rate(cell.label_accuracy.as_ref()),
            share(utility::attacked(&run.records[at])),
        ]);
    }
}
