//! Work on several cores that all read the same weights.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use learning::Params;

/// Runs `act` on every item, `jobs` at a time, and gives the results in the items' order. A tensor
/// may move between threads but not be shared by them: each worker has handles of its own to the
/// same memory.
pub fn side_by_side<I: Send, R: Send>(
    items: Vec<I>,
    jobs: usize,
    weights: &Params,
    act: impl Fn(&Params, I) -> R + Sync,
) -> Vec<R> {
    let (next, count) = (AtomicUsize::new(0), items.len());
    let threads = tch::get_num_threads();
    let items: Vec<Mutex<Option<I>>> = items.into_iter().map(|i| Mutex::new(Some(i))).collect();
    let done: Vec<Mutex<Option<R>>> = (0..count).map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, count.max(1)) {
            let (weights, next, items, done, act) = (weights.clone(), &next, &items, &done, &act);
            scope.spawn(move || {
                tch::set_num_threads(threads);
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(place).and_then(take) else { break };
                    let result = act(&weights, item);
                    *done[place].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    done.iter().filter_map(take).collect()
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
