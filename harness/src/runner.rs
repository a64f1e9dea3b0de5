//! Many cells side by side: a queue, workers, one store.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use attacks::Progress;
use metrics::{Panel, Setup};
use record::{CellRecord, RunStore};
use suites::CellSpec;
use tch::Device;

use crate::cell::{self, Context};
use crate::scenario::Cache;
use crate::{HarnessError, Registries};

/// How a run is carried out; none of it changes a result on the CPU but `threads`.
#[derive(Clone, Debug)]
pub struct Schedule<'a> {
    /// What names stand for.
    pub registries: &'a Registries,
    /// Cells side by side.
    pub jobs: usize,
    /// libtorch threads inside a cell. Part of a CPU run's identity: a sum split over more threads
    /// rounds differently.
    pub threads: usize,
    /// Where tensors live.
    pub device: Device,
    /// Root of the data sets.
    pub data_root: Option<&'a Path>,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cells finished now.
    pub done: usize,
    /// Of those, cells that failed.
    pub failed: usize,
    /// Cells that were settled before.
    pub skipped: usize,
    /// Whether the user stopped the run.
    pub stopped: bool,
}

/// Who is told how a run goes on. All methods may be called from any worker.
pub trait Monitor: Sync {
    /// A run of `open` cells begins; `settled` were there already.
    fn begin(&self, open: usize, settled: usize);
    /// A worker takes up a cell.
    fn started(&self, worker: usize, spec: &CellSpec);
    /// An attack reports.
    fn progress(&self, worker: usize, progress: Progress);
    /// A cell ended.
    fn finished(&self, record: &CellRecord);
    /// Something a user should know before it happens, such as how long an encryption will take.
    fn say(&self, text: &str);
    /// A worker has nothing left to do.
    fn idle(&self, worker: usize);
    /// The run is over.
    fn end(&self);
}

/// Runs every cell that the store has not settled, appending each record as its cell ends.
///
/// # Errors
/// A record that cannot be stored (nothing already stored is lost), or metrics that cannot be set
/// up.
pub fn run(
    cells: &[CellSpec],
    store: &mut RunStore,
    schedule: &Schedule,
    monitor: &dyn Monitor,
    cancel: &AtomicBool,
) -> Result<Tally, HarnessError> {
    let open: Vec<&CellSpec> = cells.iter().filter(|c| !store.done().contains(&c.id())).collect();
    let mut tally = Tally { skipped: cells.len() - open.len(), ..Tally::default() };
    let (next, dir, cache) = (AtomicUsize::new(0), store.dir().to_path_buf(), Cache::default());
    let (sender, receiver) = mpsc::channel::<Result<CellRecord, HarnessError>>();
    monitor.begin(open.len(), tally.skipped);
    std::thread::scope(|scope| {
        for worker in 0..schedule.jobs.min(open.len()).max(1) {
            let (sender, open, next, dir, cache) = (sender.clone(), &open, &next, &dir, &cache);
            scope.spawn(move || {
                work(worker, open, next, dir, cache, schedule, monitor, cancel, &sender)
            });
        }
        drop(sender);
        let stored: Result<(), HarnessError> = receiver.into_iter().try_for_each(|record| {
            let record = record?;
            store.append(&record)?;
            tally.done += 1;
            tally.failed += usize::from(matches!(record.outcome, record::Outcome::Failed { .. }));
            monitor.finished(&record);
            Ok(())
        });
        // The other workers have nowhere to put their records.
        if stored.is_err() {
            cancel.store(true, Ordering::Relaxed);
        }
        monitor.end();
        stored
    })?;
    tally.stopped = cancel.load(Ordering::Relaxed);
    Ok(tally)
}

#[allow(clippy::too_many_arguments)] // a worker's whole surroundings, passed once
fn work(
    worker: usize,
    open: &[&CellSpec],
    next: &AtomicUsize,
    dir: &Path,
    cache: &Cache,
    schedule: &Schedule,
    monitor: &dyn Monitor,
    cancel: &AtomicBool,
    sender: &mpsc::Sender<Result<CellRecord, HarnessError>>,
) {
    tch::set_num_threads(schedule.threads.max(1) as i32);
    let setup = Setup::new(schedule.data_root, schedule.device);
    let panel = Panel::open_from(&schedule.registries.metrics, &setup);
    let report = |p: Progress| monitor.progress(worker, p);
    let context = Context {
        registries: schedule.registries,
        data_root: schedule.data_root,
        run_dir: Some(dir),
        device: schedule.device,
        panel: &panel,
        cache,
        cancel,
        progress: &report,
        say: &|text| monitor.say(text),
    };
    while !cancel.load(Ordering::Relaxed) {
        let Some(spec) = open.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
        monitor.started(worker, spec);
        let Some(record) = cell::run(spec, &context).transpose() else { break };
        if sender.send(record).is_err() {
            break;
        }
    }
    monitor.idle(worker);
}
