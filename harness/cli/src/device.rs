//! Where tensors live: `auto`, `cpu`, `cuda[:N]` or `mps`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use tch::{Cuda, Device};

/// Resolves a device by its name; `auto` takes CUDA, then MPS, then the CPU.
///
/// # Errors
/// A device that is not there, with what is.
pub fn resolve(name: &str) -> Result<Device> {
    if name == "cpu" {
        return Ok(Device::Cpu);
    }
    open_cuda();
    let wanted = match name.split_once(':') {
        None if name == "auto" => return Ok(best()),
        None if name == "cuda" => 0,
        None if name == "mps" => return mps(),
        Some(("cuda", index)) => match index.parse::<usize>() {
            Ok(index) => index,
            Err(_) => bail!("device `{name}`: `{index}` is not a number; write such as cuda:0"),
        },
        _ => bail!("unknown device `{name}`; write auto, cpu, cuda, cuda:N or mps"),
    };
    let found = cuda_count();
    if wanted >= found {
        bail!(
            "device `{name}` is not here: {}; use --device cpu, or see `bench doctor`",
            count(found)
        );
    }
    Ok(Device::Cuda(wanted))
}

fn best() -> Device {
    if cuda_count() > 0 {
        Device::Cuda(0)
    } else if tch::utils::has_mps() {
        Device::Mps
    } else {
        Device::Cpu
    }
}

fn mps() -> Result<Device> {
    if tch::utils::has_mps() {
        Ok(Device::Mps)
    } else {
        bail!("device `mps` is not here: it needs macOS on Apple silicon; use --device cpu")
    }
}

fn count(found: usize) -> String {
    match found {
        0 => "no CUDA device was found".into(),
        n => format!(
            "{n} CUDA device{} found (cuda:0 to cuda:{})",
            if n == 1 { "" } else { "s" },
            n - 1
        ),
    }
}

/// Number of CUDA devices libtorch can use.
pub fn cuda_count() -> usize {
    open_cuda();
    if Cuda::is_available() { Cuda::device_count().max(0) as usize } else { 0 }
}

/// The device in words, as records name it.
pub fn describe(device: Device) -> String {
    match device {
        Device::Cuda(i) => format!("cuda:{i}"),
        Device::Mps => "mps".into(),
        _ => "cpu".into(),
    }
}

/// Loads libtorch's CUDA half where it lies beside the CPU half, once. A binary linked on a CPU
/// machine names only `libtorch_cpu`; CUDA registers itself when its library is opened with global
/// symbols.
#[allow(unsafe_code)]
pub fn open_cuda() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        for library in cuda_libraries() {
            let flags = libloading::os::unix::RTLD_NOW | libloading::os::unix::RTLD_GLOBAL;
            // SAFETY: the library is libtorch's own, its initialisers register operators and have
            // no other preconditions.
            if let Ok(library) =
                unsafe { libloading::os::unix::Library::open(Some(&library), flags) }
            {
                std::mem::forget(library);
                break;
            }
        }
    });
}

/// `libtorch_cuda.so` by name (found through `LD_LIBRARY_PATH`), then beside the `libtorch_cpu.so`
/// that is loaded.
fn cuda_libraries() -> Vec<PathBuf> {
    let name = "libtorch_cuda.so";
    let mut places = vec![PathBuf::from(name)];
    if let Some(folder) = libtorch_folder() {
        places.push(folder.join(name));
    }
    places
}

/// The folder libtorch was loaded from (Linux only: read from the process's own memory map).
pub fn libtorch_folder() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let path = maps
        .lines()
        .filter_map(|l| l.split_whitespace().nth(5))
        .find(|p| p.ends_with("/libtorch_cpu.so"))?;
    PathBuf::from(path).parent().map(PathBuf::from)
}
