//! What a run says about the machine it was made on.

use tch::Device;

use crate::device;

/// libtorch's version and flavour, as far as they can be read: `2.11.0 (cpu)`, `2.11.0 (cuda)`.
pub fn libtorch() -> String {
    let version = device::libtorch_folder()
        .and_then(|lib| std::fs::read_to_string(lib.parent()?.join("version.py")).ok())
        .and_then(|text| {
            text.lines().find_map(|l| {
                l.strip_prefix("__version__ = ").map(|v| v.trim_matches('\'').to_string())
            })
        });
    let flavour = if device::cuda_count() > 0 { "cuda" } else { "cpu" };
    format!("{} ({flavour})", version.unwrap_or_else(|| "2.11".into()))
}

/// The device in words, a GPU with its name and memory where the driver tells them.
pub fn device(device: Device) -> String {
    let name = device::describe(device);
    match device {
        Device::Cuda(index) => match gpu(index) {
            Some(words) => format!("{name} ({words})"),
            None => name,
        },
        _ => name,
    }
}

/// Name and memory of a GPU, as `nvidia-smi` prints them.
pub fn gpu(index: usize) -> Option<String> {
    let query =
        ["--query-gpu=name,memory.total", "--format=csv,noheader", &format!("--id={index}")]
            .map(String::from);
    let out = std::process::Command::new("nvidia-smi").args(query).output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    out.status.success().then(|| text.trim().to_string()).filter(|t| !t.is_empty())
}

/// Operating system, processor and cores.
pub fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("model name"))?.to_string();
        line.split_once(':').map(|(_, name)| name.trim().to_string())
    });
    format!(
        "{} {}, {}, {cores} cores",
        std::env::consts::OS,
        std::env::consts::ARCH,
        cpu.unwrap_or_else(|| "unknown processor".into())
    )
}
