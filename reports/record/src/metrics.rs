//! How metrics are named, capped and judged in reports. The one place where success thresholds are
//! declared.

/// PSNR enters means at this value in dB at most; a perfect reconstruction would otherwise make
/// every mean infinite.
pub const PSNR_CAP_DB: f64 = 100.0;

/// How a metric is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Name in records.
    pub name: String,
    /// Short title.
    pub title: String,
    /// Unit, empty where it has none.
    pub unit: &'static str,
    /// Decimals in tables.
    pub decimals: usize,
    /// Whether more of it means that the attack got more.
    pub higher_is_better: bool,
    /// Largest value that enters a mean.
    pub cap: Option<f64>,
}

impl Metric {
    /// The metric `name`; one that is not known is shown under its own name, and less of it is
    /// better where that names an error or a loss.
    pub fn of(name: &str) -> Self {
        let show = |title: &str, unit, decimals, higher, cap| Metric {
            name: name.into(),
            title: title.into(),
            unit,
            decimals,
            higher_is_better: higher,
            cap,
        };
        match name {
            "psnr" => show("PSNR", "dB", 2, true, Some(psnr_cap())),
            "ssim" => show("SSIM", "", 3, true, None),
            "mse" => show("MSE", "", 5, false, None),
            "label_match" => show("label match", "", 2, true, None),
            "fl-attack-psnr" => show("PSNR, range 4", "dB", 2, true, Some(psnr_cap())),
            "fl-attack-ssim" => show("SSIM, one window", "", 3, true, None),
            _ => match name.strip_prefix("lpips-") {
                Some(net) => show(&format!("LPIPS ({net})"), "", 3, false, None),
                None => show(name, "", 4, !is_error(name), None),
            },
        }
    }

    /// Title with unit, as on an axis.
    pub fn label(&self) -> String {
        match self.unit {
            "" => self.title.clone(),
            unit => format!("{} ({unit})", self.title),
        }
    }

    /// A value with this metric's decimals.
    pub fn show(&self, value: f64) -> String {
        // Errors of good reconstructions lie far below any fixed number of decimals.
        if self.name == "mse" && value != 0.0 && value.abs() < 1e-3 {
            return format!("{value:.2e}");
        }
        let text = format!("{value:.*}", self.decimals);
        let zero = text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.');
        if zero { text.trim_start_matches('-').to_owned() } else { text }
    }
}

/// Whether a name is that of an error, such as `test_loss`.
fn is_error(name: &str) -> bool {
    let mut words = name.split(['_', '-', '.']);
    words.any(|word| ["loss", "error", "mae", "mse"].contains(&word))
}

/// Where PSNR is capped; tests may put it elsewhere.
fn psnr_cap() -> f64 {
    #[cfg(feature = "testing")]
    if let Some(cap) = crate::testing::psnr_cap() {
        return cap;
    }
    PSNR_CAP_DB
}

/// When a reconstruction counts as a success.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// Metric, or its beginning up to a dash (`lpips-`), meaning each that starts so.
    pub metric: &'static str,
    /// The bound, in the metric's unit.
    pub bound: f64,
}

/// The thresholds of every report: at least so much PSNR (dB) and SSIM, at most so much LPIPS.
pub const THRESHOLDS: [Threshold; 5] = [
    Threshold { metric: "psnr", bound: 20.0 },
    Threshold { metric: "psnr", bound: 25.0 },
    Threshold { metric: "psnr", bound: 30.0 },
    Threshold { metric: "ssim", bound: 0.9 },
    Threshold { metric: "lpips-", bound: 0.1 },
];

impl Threshold {
    /// Whether it judges the metric `name`.
    pub fn judges(&self, name: &str) -> bool {
        name == self.metric || (self.metric.ends_with('-') && name.starts_with(self.metric))
    }

    /// Whether `value` of `metric` is a success; NaN never is.
    pub fn met(&self, metric: &Metric, value: f64) -> bool {
        if metric.higher_is_better { value >= self.bound } else { value <= self.bound }
    }

    /// In words, such as "PSNR ≥ 20 dB".
    pub fn label(&self, metric: &Metric) -> String {
        let sign = if metric.higher_is_better { '≥' } else { '≤' };
        format!("{} {sign} {} {}", metric.title, self.bound, metric.unit).trim_end().to_owned()
    }
}

/// Metrics in the order of reading; the others follow by name.
const ORDER: [&str; 9] = [
    "psnr",
    "ssim",
    "lpips-squeeze",
    "lpips-alex",
    "lpips-vgg",
    "mse",
    "label_match",
    "fl-attack-psnr",
    "fl-attack-ssim",
];

/// Sorts metric names as reports show them.
pub fn in_order(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut names: Vec<_> = names.into_iter().collect();
    let place = |name: &String| ORDER.iter().position(|o| o == name).unwrap_or(ORDER.len());
    names.sort_by(|a, b| place(a).cmp(&place(b)).then(a.cmp(b)));
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_know_their_direction() {
        let (psnr, lpips) = (Metric::of("psnr"), Metric::of("lpips-vgg"));
        assert!(THRESHOLDS[0].met(&psnr, 20.0) && !THRESHOLDS[0].met(&psnr, 19.99));
        assert!(THRESHOLDS[4].judges("lpips-vgg") && !THRESHOLDS[4].judges("ssim"));
        assert!(THRESHOLDS[4].met(&lpips, 0.1) && !THRESHOLDS[4].met(&lpips, 0.2));
        assert!(!THRESHOLDS[0].met(&psnr, f64::NAN) && THRESHOLDS[0].met(&psnr, f64::INFINITY));
        assert_eq!(
            (Metric::of("ssim").show(-1e-6), Metric::of("mse").show(2e-7)),
            ("0.000".into(), "2.00e-7".into())
        );
        assert_eq!(THRESHOLDS[1].label(&psnr), "PSNR ≥ 25 dB");
        assert_eq!(THRESHOLDS[4].label(&lpips), "LPIPS (vgg) ≤ 0.1");
    }

    #[test]
    fn unknown_errors_are_no_gains() {
        let higher = |name| Metric::of(name).higher_is_better;
        assert!(!higher("test_loss") && !higher("loss") && !higher("mae") && higher("glossary"));
    }

    #[test]
    fn order_is_psnr_first() {
        let names = ["zeta", "mse", "lpips-alex", "psnr", "psnr"].map(String::from);
        assert_eq!(in_order(names), ["psnr", "lpips-alex", "mse", "zeta"]);
    }
}
