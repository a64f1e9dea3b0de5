//! Signals of the system that shall be errors.

/// A limit on the size of files (`ulimit -f`, quotas of batch systems) ends a process that writes
/// beyond it, without a word. With the signal ignored the write fails instead, and its error is
/// reported as that of a full disk is: one line, exit code 3, no half-written file.
pub fn refuse_instead_of_dying() {
    #[cfg(unix)]
    ignore(SIGXFSZ);
}

/// The signal's number on Linux (x86-64, aarch64) and macOS.
#[cfg(unix)]
const SIGXFSZ: i32 = 25;

#[cfg(unix)]
#[allow(unsafe_code)] // the standard library has no call for it
fn ignore(number: i32) {
    const IGNORED: usize = 1;
    unsafe extern "C" {
        fn signal(number: i32, handler: usize) -> usize;
    }
    // SAFETY: `signal` of POSIX with SIG_IGN, called before any thread is started.
    unsafe { signal(number, IGNORED) };
}
