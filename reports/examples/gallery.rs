//! Writes a synthetic run, synthetic trainings and their reports to a folder, to look at every
//! table and figure.
//!
//! `cargo run --release -p reports --example gallery -- FOLDER`

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::{Path, PathBuf};

fn main() {
    let Some(dir) = std::env::args().nth(1).map(PathBuf::from) else {
        eprintln!("give a new folder for the run");
        std::process::exit(2);
    };
    common::gallery::write(&dir);
    if let Err(error) = show(&dir) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn show(dir: &Path) -> Result<(), reports::ReportError> {
    println!("{}", reports::write_report(dir)?.display());
    let tasks = dir.join("tasks");
    common::tasks::write(&tasks);
    println!("{}", reports::write_report(&tasks)?.display());
    let runs = [("no defense", 0.97, false), ("dp-sgd", 0.85, true)];
    let mut folders = Vec::new();
    for (name, ceiling, private) in runs {
        let folder = dir.join("trainings").join(name);
        let rounds = common::trainings::rounds(ceiling, private);
        common::trainings::write(&folder, &rounds);
        println!(
            "{}",
            reports::write_training_report(&folder, &common::trainings::about(), &rounds)?
                .display()
        );
        folders.push((name.to_owned(), folder));
    }
    println!(
        "{}",
        reports::compare_trainings(&folders, &dir.join("trainings/compared"))?.display()
    );
    Ok(())
}
