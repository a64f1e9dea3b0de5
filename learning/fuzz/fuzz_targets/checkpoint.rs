//! `cargo fuzz run checkpoint`: safetensors, zip and legacy state dicts from hostile bytes.
#![no_main]

use std::path::Path;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // Only panics and runaway memory are faults; an error is an answer.
    let _ = learning::checkpoint::from_bytes(bytes, Path::new("fuzz"));
});
