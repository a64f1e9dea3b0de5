//! `fuzz`: the targets in a mutating loop, on any compiler and without libFuzzer.
//!
//! ```sh
//! cargo run --release --bin fuzz -- list
//! cargo run --release --bin fuzz -- run idx --inputs 1000000
//! cargo run --release --bin fuzz -- samples idx FOLDER     # a corpus for libFuzzer
//! ```

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fuzz::{Target, all, find, mutate};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const USAGE: &str = "fuzz list | fuzz samples TARGET FOLDER | \
    fuzz run TARGET [--inputs N] [--seconds S] [--seed N] [FILE...]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match done(&words) {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("fuzz: {problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn done(words: &[&str]) -> Result<ExitCode, String> {
    match words {
        ["list"] => all().for_each(|target| println!("{}", target.name)),
        ["samples", name, folder] => {
            named(name)?.write(Path::new(folder)).map_err(|e| format!("{folder}: {e}"))?;
        }
        ["run", name, rest @ ..] => return run(named(name)?, &Run::read(rest)?),
        _ => return Err("what shall be done?".into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn named(name: &str) -> Result<&'static Target, String> {
    find(name).ok_or(format!("no target is called {name}; `fuzz list` has them"))
}

/// What `run` is asked for.
struct Run {
    inputs: u64,
    time: Duration,
    seed: u64,
    files: Vec<PathBuf>,
}

impl Run {
    fn read(words: &[&str]) -> Result<Run, String> {
        let mut run = Run { inputs: u64::MAX, time: Duration::MAX, seed: 0, files: Vec::new() };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut number = || {
                let number = words.next().and_then(|n| n.parse().ok());
                number.ok_or(format!("{word} needs a whole number"))
            };
            match *word {
                "--inputs" => run.inputs = number()?,
                "--seconds" => run.time = Duration::from_secs(number()?),
                "--seed" => run.seed = number()?,
                file => run.files.push(file.into()),
            }
        }
        Ok(run)
    }
}

/// Runs files once each, or else samples and damaged samples until inputs or time end.
fn run(target: &Target, run: &Run) -> Result<ExitCode, String> {
    let mut count = 0;
    let begun = Instant::now();
    if !run.files.is_empty() {
        for file in &run.files {
            let bytes = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
            target.run(&bytes);
        }
        println!("{}: {} files, no finding", target.name, run.files.len());
        return Ok(ExitCode::SUCCESS);
    }
    let sound = (target.samples)();
    let mut rng = ChaCha8Rng::seed_from_u64(run.seed);
    while count < run.inputs && begun.elapsed() < run.time {
        let pick = |rng: &mut ChaCha8Rng| &sound[rng.random_range(0..sound.len())];
        let bytes = match sound.get(count as usize) {
            Some(whole) => whole.clone(),
            None => mutate::mutate(pick(&mut rng), pick(&mut rng), &mut rng),
        };
        if catch_unwind(AssertUnwindSafe(|| target.run(&bytes))).is_err() {
            let kept = format!("finding-{}-{count}", target.name);
            std::fs::write(&kept, &bytes).map_err(|e| e.to_string())?;
            eprintln!("{}: input {count} is a finding, kept in {kept}", target.name);
            return Ok(ExitCode::FAILURE);
        }
        count += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{}: {count} inputs in {seconds:.1} s, no finding", target.name);
    Ok(ExitCode::SUCCESS)
}
