//! Where real data may lie, for tests that need it.

use std::path::PathBuf;

/// `$BENCH_TEST_DATA`, else `shared/data` beside the workspace; `None` (said aloud) where `what` is
/// not there.
pub fn data_root(what: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("BENCH_TEST_DATA") {
        Some(root) => PathBuf::from(root),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
    };
    if root.join(what).exists() {
        return Some(root);
    }
    println!("skipped: no {what} in {} (set BENCH_TEST_DATA)", root.display());
    None
}
