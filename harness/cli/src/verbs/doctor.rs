//! `bench doctor`: what was found on this machine, and the line that mends what is missing.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args as ClapArgs;
use datasets::Presence;
use metrics::Setup;
use serde_json::json;

use crate::settings::Settings;
use crate::{device, machine};

/// Arguments.
#[derive(ClapArgs, Debug)]
pub struct Args {}

/// One finding.
struct Finding {
    kind: &'static str,
    name: String,
    present: bool,
    /// Where it is, or how to get it.
    detail: String,
}

/// Prints every finding; absent data are no error.
///
/// # Errors
/// None of its own.
pub fn run(_args: &Args, settings: &Settings) -> Result<ExitCode> {
    let mut findings =
        vec![libtorch(), finding("machine", "this machine", true, machine::describe())];
    findings.extend(devices());
    findings.push(data_root(settings));
    findings.extend(data(settings));
    findings.extend(lpips(settings));
    if settings.json {
        let rows: Vec<_> = findings
            .iter()
            .map(|f| {
                json!({
                    "kind": f.kind, "name": f.name, "present": f.present, "detail": f.detail,
                })
            })
            .collect();
        println!("{}", json!({ "version": env!("CARGO_PKG_VERSION"), "findings": rows }));
        return Ok(ExitCode::SUCCESS);
    }
    show!("bench {}", env!("CARGO_PKG_VERSION"));
    let width = findings.iter().map(|f| f.name.len()).max().unwrap_or(0);
    for f in findings {
        show!(
            "{} {:8} {:width$}  {}",
            if f.present { "ok " } else { " - " },
            f.kind,
            f.name,
            f.detail
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn finding(kind: &'static str, name: &str, present: bool, detail: String) -> Finding {
    Finding { kind, name: name.into(), present, detail }
}

fn libtorch() -> Finding {
    let folder =
        device::libtorch_folder().map_or_else(String::new, |f| format!(" in {}", f.display()));
    finding("libtorch", "libtorch", true, format!("{}{folder}", machine::libtorch()))
}

fn devices() -> Vec<Finding> {
    let mut found = vec![finding("device", "cpu", true, "always there".into())];
    let count = device::cuda_count();
    for index in 0..count {
        found.push(finding(
            "device",
            &format!("cuda:{index}"),
            true,
            machine::gpu(index).unwrap_or_else(|| "name unknown".into()),
        ));
    }
    if count == 0 {
        let remedy = match machine::gpu(0) {
            Some(gpu) => {
                format!(
                    "the driver shows {gpu}, but libtorch has no CUDA: run `ci/libtorch --cuda`"
                )
            }
            None => "no NVIDIA driver answers; on a GPU machine run `ci/libtorch --cuda`".into(),
        };
        found.push(finding("device", "cuda", false, remedy));
    }
    let mps = tch::utils::has_mps();
    found.push(finding(
        "device",
        "mps",
        mps,
        if mps { "Apple GPU".into() } else { "needs macOS on Apple silicon".into() },
    ));
    found
}

fn data_root(settings: &Settings) -> Finding {
    match &settings.data {
        Some(dir) => finding("data", "data root", true, dir.display().to_string()),
        None => finding(
            "data",
            "data root",
            false,
            "set --data DIR, BENCH_DATA=DIR, or data = \"DIR\" in bench.toml (embedded sets need \
             none)"
                .into(),
        ),
    }
}

fn data(settings: &Settings) -> Vec<Finding> {
    let datasets = &settings.registries.federation.datasets;
    datasets
        .iter()
        .map(|entry| match (entry.present)(settings.data.as_deref()) {
            Presence::Embedded => finding("data", entry.name, true, "embedded".into()),
            Presence::Present(path) => {
                finding("data", entry.name, true, path.display().to_string())
            }
            Presence::Absent(remedy) => finding("data", entry.name, false, remedy),
        })
        .collect()
}

fn lpips(settings: &Settings) -> Vec<Finding> {
    let setup = Setup::new(settings.data.as_deref(), tch::Device::Cpu);
    let metrics = &settings.registries.metrics;
    metrics
        .iter()
        .filter(|e| e.name.starts_with("lpips"))
        .map(|entry| match (entry.build)(&setup) {
            Ok(_) => finding("weights", entry.name, true, "backbone found, heads embedded".into()),
            Err(error) => finding("weights", entry.name, false, error.to_string()),
        })
        .collect()
}
