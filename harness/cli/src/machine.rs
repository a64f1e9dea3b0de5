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

/// Variables by which libtorch, MKL and oneDNN are told which instructions to take.
const PATHS: [&str; 5] = [
    "ATEN_CPU_CAPABILITY",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
];

/// What the last digits of a CPU run depend on beside libtorch and its threads: the processor's
/// vendor, family and model, the instructions that libtorch takes, and what the environment asks
/// for, such as `AuthenticAMD family 25 model 17, AVX512, MKL_CBWR=COMPATIBLE`.
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let kind = kind(&text).unwrap_or_else(|| std::env::consts::ARCH.into());
    let set = PATHS.iter().filter_map(|name| Some((*name, std::env::var(name).ok()?)));
    let set: Vec<_> = set.map(|(name, value)| format!(", {name}={value}")).collect();
    format!("{kind}, {}{}", capability(), set.concat())
}

/// Vendor, family and model (on Arm implementer, architecture and part) of `/proc/cpuinfo`.
fn kind(cpuinfo: &str) -> Option<String> {
    let field = |name: &str| {
        let mut pairs = cpuinfo.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_string())
    };
    let words = |vendor: &str, family: &str, model: &str| {
        let (vendor, family, model) = (field(vendor)?, field(family)?, field(model)?);
        Some(format!("{vendor} family {family} model {model}"))
    };
    words("vendor_id", "cpu family", "model")
        .or_else(|| words("CPU implementer", "CPU architecture", "CPU part"))
}

/// The instructions that libtorch's own kernels take, found as libtorch finds them.
fn capability() -> &'static str {
    let asked = std::env::var("ATEN_CPU_CAPABILITY").unwrap_or_default();
    match asked.as_str() {
        "avx512" => "AVX512",
        "avx2" => "AVX2",
        "default" => "DEFAULT",
        _ => detected(),
    }
}

#[cfg(target_arch = "x86_64")]
fn detected() -> &'static str {
    let fused = is_x86_feature_detected!("fma");
    let wide = is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq");
    if wide && fused {
        "AVX512"
    } else if is_x86_feature_detected!("avx2") && fused {
        "AVX2"
    } else {
        "DEFAULT"
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detected() -> &'static str {
    "DEFAULT"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_told_apart_by_family_and_model() {
        let x86 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\n\
                   model name\t: AMD EPYC\n";
        assert_eq!(kind(x86).unwrap(), "AuthenticAMD family 25 model 17");
        let arm = "CPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd40\n";
        assert_eq!(kind(arm).unwrap(), "0x41 family 8 model 0xd40");
        assert_eq!(kind(""), None);
        assert!(processor().contains(capability()));
    }
}
