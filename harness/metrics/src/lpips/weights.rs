//! Heads from the shipped file, networks from the user's data folder.

use super::nets::Net;
use crate::{MetricError, Setup};
use learning::checkpoint;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};

/// Tensors by torchvision's names.
pub(super) type Weights = BTreeMap<String, Tensor>;

/// The heads of all three networks, version 0.1 (made by `assets/lpips/make.py`; licence beside
/// it).
static HEADS: &[u8] = include_bytes!("../../assets/lpips/heads_v0.1.safetensors");

/// One `[1, C, 1, 1]` a depth.
pub(super) fn heads(net: &Net) -> Result<Vec<Tensor>, MetricError> {
    let origin = Path::new("heads_v0.1.safetensors");
    let all: Weights = checkpoint::from_bytes(HEADS, origin)?.into_iter().collect();
    let head = |(depth, channels): (usize, &i64)| {
        let name = format!("{}.{depth}", net.heads);
        match all.get(&name) {
            Some(t) if t.size() == [*channels] => Ok(t.view([1, *channels, 1, 1])),
            _ => {
                Err(MetricError::Weights { path: origin.into(), what: format!("no head `{name}`") })
            }
        }
    };
    net.channels.iter().enumerate().map(head).collect()
}

/// Finds, reads and checks a network's weights.
pub(super) fn backbone(net: &Net, setup: &Setup) -> Result<Weights, MetricError> {
    let folder = setup.data_root.map(|root| root.join("lpips"));
    let folders = folder.iter().chain(&setup.lpips);
    let path = folders.into_iter().find_map(|folder| find(net, folder));
    let path = path.ok_or_else(|| absent(net, folder.as_deref()))?;
    let found = checkpoint::load_where(&path, |name| name.starts_with("features."))?;
    check(net, found.into_iter().collect(), &path)
}

fn absent(net: &Net, folder: Option<&Path>) -> MetricError {
    let stem = net.stem;
    let why = match folder {
        Some(folder) => {
            format!("no {stem}_features.safetensors nor {stem}-*.pth in {}", folder.display())
        }
        None => format!("its network {stem} is looked for in the data folder, and none is set"),
    };
    let remedy = match folder {
        Some(_) => format!("run `bench data fetch {}`, or put {} there", net.metric, net.url),
        None => "name one with --data or BENCH_DATA".to_string(),
    };
    MetricError::Absent { metric: net.metric, why, remedy }
}

/// `<stem>_features.safetensors`, `<stem>.safetensors`, `<stem>.pth`, or else the first `<stem>-*`
/// in the order of names.
fn find(net: &Net, folder: &Path) -> Option<PathBuf> {
    let stem = net.stem;
    let exact = [
        format!("{stem}_features.safetensors"),
        format!("{stem}.safetensors"),
        format!("{stem}.pth"),
    ];
    let exact = exact.iter().map(|name| folder.join(name)).find(|path| path.is_file());
    exact.or_else(|| {
        let entries = std::fs::read_dir(folder).ok()?;
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| is_checkpoint(path, &format!("{stem}-")))
            .collect();
        paths.sort();
        paths.into_iter().next()
    })
}

fn is_checkpoint(path: &Path, prefix: &str) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    name.starts_with(prefix) && matches!(extension, "pth" | "pt" | "safetensors")
}

/// Every weight and bias of the layout must be there in its shape; the result has nothing else.
pub(super) fn check(net: &Net, mut found: Weights, path: &Path) -> Result<Weights, MetricError> {
    let mut checked = Weights::new();
    for (name, shape) in (net.layout)() {
        for (name, shape) in
            [(format!("{name}.weight"), &shape[..]), (format!("{name}.bias"), &shape[..1])]
        {
            let wrong = |what: String| MetricError::Weights {
                path: path.into(),
                what: format!("`{name}` {what}; torchvision's {} is needed", net.stem),
            };
            let tensor = found.remove(&name).ok_or_else(|| wrong("is missing".into()))?;
            if tensor.size() != shape {
                return Err(wrong(format!("has shape {:?}, not {shape:?}", tensor.size())));
            }
            let tensor = tensor.to_kind(Kind::Float);
            if tensor.isfinite().all().int64_value(&[]) == 0 {
                return Err(wrong("has non-finite values".into()));
            }
            checked.insert(name, tensor);
        }
    }
    Ok(checked)
}
