//! One binary for every target: `FUZZ_TARGET` names the one that it runs. With `FUZZ_SAMPLES` it
//! writes the samples of all into that folder, one folder a target, and ends.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

static TARGET: LazyLock<&fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    fuzz::find(&name).unwrap_or_else(|| panic!("FUZZ_TARGET={name} is no target"))
});

libfuzzer_sys::fuzz_target!(init: {
    if let Some(folder) = std::env::var_os("FUZZ_SAMPLES") {
        let all = |target: &fuzz::Target| target.write(&Path::new(&folder).join(target.name));
        fuzz::all().try_for_each(all).expect("a folder that can be written");
        std::process::exit(0);
    }
    // Some readers catch a panic of libtorch: only one that escapes is a finding.
    std::panic::set_hook(Box::new(|panic| {
        if !panic.location().is_some_and(|at| at.file().contains("tch-")) {
            eprintln!("{panic}");
        }
    }));
}, |bytes: &[u8]| TARGET.run(bytes));
