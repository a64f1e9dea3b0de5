//! Improved DLG: the label is read off the last layer's gradient, the image is matched.

use suites::Entry;

use super::dlg;
use crate::Attack;
use crate::matching::labels::Labels;
use crate::matching::{Matching, MatchingConfig};

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "idlg",
    summary: "DLG with the label read off the last layer's gradient",
    reference: "Zhao, Mopuri, Bilen: iDLG: Improved Deep Leakage from Gradients, arXiv 2001.02610",
    build: |map| {
        Ok(Box::new(Matching { config: MatchingConfig::overlay("idlg", &config(), map)? }))
    },
};

/// The preset.
pub fn config() -> MatchingConfig {
    MatchingConfig { labels: Labels::Idlg, ..dlg::config() }
}
