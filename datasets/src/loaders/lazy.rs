//! A value that is read from disk at its first use.

use std::sync::{Mutex, OnceLock};

use crate::DatasetError;

type Read<T> = Box<dyn Fn() -> Result<T, DatasetError> + Send + Sync>;

/// Reads once; a failed read is tried again at the next use.
pub(crate) struct Lazy<T> {
    cell: OnceLock<T>,
    reading: Mutex<()>,
    read: Read<T>,
}

impl<T> Lazy<T> {
    pub(crate) fn new(read: impl Fn() -> Result<T, DatasetError> + Send + Sync + 'static) -> Self {
        Self { cell: OnceLock::new(), reading: Mutex::new(()), read: Box::new(read) }
    }

    pub(crate) fn get(&self) -> Result<&T, DatasetError> {
        if let Some(value) = self.cell.get() {
            return Ok(value);
        }
        // One thread reads, the others wait; a poisoned lock guards no data.
        let _turn = self.reading.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if self.cell.get().is_none() {
            let value = (self.read)()?;
            return Ok(self.cell.get_or_init(|| value));
        }
        self.get()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn reads_once_after_a_failure_is_mended() {
        let reads = Arc::new(AtomicUsize::new(0));
        let count = reads.clone();
        let lazy = Lazy::new(move || match count.fetch_add(1, Ordering::SeqCst) {
            0 => Err(DatasetError::request("x", "absent", "mend it")),
            n => Ok(n),
        });
        assert!(lazy.get().is_err());
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| assert_eq!(*lazy.get().unwrap(), 1));
            }
        });
        assert_eq!(reads.load(Ordering::SeqCst), 2);
    }
}
