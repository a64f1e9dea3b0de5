//! The metrics of runs of old, whose `run.json` lists none (schema 1.x, and 2.0 before it did).

use crate::MetricInfo;

/// Everything that such a run may have measured, in the order of its reports.
pub(crate) fn known() -> Vec<MetricInfo> {
    let decibels = |name, title| MetricInfo {
        unit: "dB".into(),
        cap: Some(100.0),
        decimals: 2,
        ..MetricInfo::higher(name, title)
    };
    let lpips = |name, title| MetricInfo {
        range: [Some(0.0), None],
        thresholds: vec![0.1],
        ..MetricInfo::lower(name, title)
    };
    let likeness = |name, title| MetricInfo {
        range: [Some(-1.0), Some(1.0)],
        ..MetricInfo::higher(name, title)
    };
    let share = [Some(0.0), Some(1.0)];
    vec![
        MetricInfo { thresholds: vec![20.0, 25.0, 30.0], ..decibels("psnr", "PSNR") },
        MetricInfo { thresholds: vec![0.9], ..likeness("ssim", "SSIM") },
        lpips("lpips-squeeze", "LPIPS (squeeze)"),
        lpips("lpips-alex", "LPIPS (alex)"),
        lpips("lpips-vgg", "LPIPS (vgg)"),
        MetricInfo { range: share, decimals: 5, ..MetricInfo::lower("mse", "MSE") },
        MetricInfo {
            range: share,
            decimals: 2,
            ..MetricInfo::higher("label_match", "label match")
        },
        decibels("fl-attack-psnr", "PSNR, range 4"),
        likeness("fl-attack-ssim", "SSIM, one window"),
    ]
}
