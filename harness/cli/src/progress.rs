//! One display for a run: bars on a terminal, plain lines elsewhere, JSON lines on request.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Instant;

use attacks::Progress;
use harness::runner::Monitor;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use record::aggregate::mean_of;
use record::{CellRecord, Metrics, Outcome};
use serde_json::json;
use suites::CellSpec;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Bars that redraw.
    Bars,
    /// A line for each finished cell.
    Lines,
    /// A JSON object for each finished cell.
    Json,
}

/// The display of one run.
pub struct Display {
    style: Style,
    multi: MultiProgress,
    state: Mutex<State>,
    metrics: Metrics,
}

#[derive(Default)]
struct State {
    total: Option<ProgressBar>,
    workers: Vec<Option<ProgressBar>>,
    started: Vec<Option<Instant>>,
    finished: usize,
    cells: usize,
}

impl Display {
    /// Bars where standard error is a terminal, else lines; JSON where asked for. `metrics` are
    /// those of the run.
    pub fn new(json: bool, metrics: Metrics) -> Display {
        let style = match (json, std::io::stderr().is_terminal()) {
            (true, _) => Style::Json,
            (false, true) => Style::Bars,
            (false, false) => Style::Lines,
        };
        Display { style, multi: MultiProgress::new(), state: Mutex::default(), metrics }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Monitor for Display {
    fn begin(&self, open: usize, settled: usize) {
        let mut state = self.state();
        state.cells = open;
        match self.style {
            Style::Bars => {
                let bar = self.multi.add(ProgressBar::new(open as u64));
                bar.set_style(style(
                    "cells  {bar:24.cyan/blue} {pos}/{len}  {elapsed} elapsed, {eta} left  {msg}",
                ));
                state.total = Some(bar);
            }
            Style::Lines if settled > 0 => {
                line(&format!("{open} cells to run, {settled} already done"))
            }
            Style::Lines => line(&format!("{open} cells to run")),
            Style::Json => {
                print_json(&json!({ "event": "begin", "open": open, "settled": settled }))
            }
        }
    }

    fn started(&self, worker: usize, spec: &CellSpec) {
        let mut state = self.state();
        if state.workers.len() <= worker {
            state.workers.resize_with(worker + 1, || None);
            state.started.resize(worker + 1, None);
        }
        state.started[worker] = Some(Instant::now());
        if self.style == Style::Bars {
            let bar = self.multi.add(ProgressBar::new(1));
            bar.set_style(style("  {prefix:40!} {bar:20} {pos}/{len} {msg}"));
            bar.set_prefix(label(spec));
            if let Some(old) = state.workers[worker].replace(bar) {
                old.finish_and_clear();
            }
        }
    }

    fn progress(&self, worker: usize, p: Progress) {
        let state = self.state();
        let since = state.started.get(worker).copied().flatten();
        let Some(Some(bar)) = state.workers.get(worker) else { return };
        let rate = since.map_or(0.0, |s| p.iteration as f64 / s.elapsed().as_secs_f64().max(1e-9));
        bar.set_length(p.total as u64);
        bar.set_position(p.iteration as u64);
        let objective = p.objective.map_or_else(String::new, |o| format!("objective {o:.3e}, "));
        bar.set_message(format!(
            "{objective}{rate:.1} it/s x {} trials, {:.0} s left",
            p.lanes,
            left(&p, rate)
        ));
    }

    fn finished(&self, record: &CellRecord) {
        let mut state = self.state();
        state.finished += 1;
        let text =
            format!("[{}/{}] {}", state.finished, state.cells, summary(record, &self.metrics));
        match self.style {
            Style::Bars => {
                if let Some(bar) = &state.total {
                    bar.inc(1);
                }
                let _ = self.multi.println(text);
            }
            Style::Lines => line(&text),
            Style::Json => print_json(&json!({
                "event": "cell", "id": record.id, "label": label(&record.spec),
                "outcome": record.outcome, "psnr": mean(record, &self.metrics, "psnr"),
                "ssim": mean(record, &self.metrics, "ssim"), "seconds": record.wall.seconds,
            })),
        }
    }

    fn say(&self, text: &str) {
        match self.style {
            Style::Bars => {
                let _ = self.multi.println(text);
            }
            Style::Lines => line(text),
            Style::Json => print_json(&json!({ "event": "note", "text": text })),
        }
    }

    fn idle(&self, worker: usize) {
        if let Some(bar) = self.state().workers.get_mut(worker).and_then(Option::take) {
            bar.finish_and_clear();
        }
    }

    fn end(&self) {
        if let Some(bar) = self.state().total.take() {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn left(p: &Progress, rate: f64) -> f64 {
    if rate > 0.0 { (p.total - p.iteration) as f64 / rate } else { 0.0 }
}

fn line(text: &str) {
    // A closed pipe must not end a run.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn print_json(value: &serde_json::Value) {
    let _ = writeln!(std::io::stdout(), "{value}");
}

/// A cell in a few words.
pub fn label(spec: &CellSpec) -> String {
    let defenses: Vec<&str> = spec.defenses.iter().map(|d| d.name.as_str()).collect();
    let defended = if defenses.is_empty() { "none".into() } else { defenses.join("+") };
    format!(
        "{} {} {} {} {defended}",
        spec.task.dataset,
        spec.model.title(),
        spec.source,
        spec.attack.name
    )
}

/// Mean of a metric over the images of a cell, as in reports.
pub fn mean(record: &CellRecord, metrics: &Metrics, metric: &str) -> Option<f64> {
    mean_of(record.images.iter(), &metrics.get(metric))
}

fn summary(record: &CellRecord, metrics: &Metrics) -> String {
    let what = label(&record.spec);
    let seconds = record.wall.seconds;
    match &record.outcome {
        Outcome::Failed { stage, message } => format!("{what}: FAILED in {stage}: {message}"),
        Outcome::NotApplicable { why } => format!("{what}: not applicable: {why}"),
        Outcome::Done => match (mean(record, metrics, "psnr"), mean(record, metrics, "ssim")) {
            (Some(psnr), Some(ssim)) => {
                format!("{what}: PSNR {psnr:.2} dB, SSIM {ssim:.3} ({seconds:.1} s)")
            }
            (Some(psnr), None) => format!("{what}: PSNR {psnr:.2} dB ({seconds:.1} s)"),
            _ => format!("{what}: done ({seconds:.1} s)"),
        },
    }
}
