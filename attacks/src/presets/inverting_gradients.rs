//! Inverting Gradients: cosine distance, total variation, Adam with step decay, box constraint. Its
//! authors' repository holds three configurations, which are two presets here.
//!
//! All at commit 1157b61 of `JonasGeiping/invertinggradients`:
//!
//! - `inversefed/reconstruction_algorithms.py`, `DEFAULT_CONFIG`: unsigned, 4,800 iterations, total
//!   variation 1e-1: [`config`];
//! - `reconstruct_image.py` with the defaults of `inversefed/options.py`: signed, 24,000
//!   iterations, total variation 1e-4: [`command_line`];
//! - the notebooks: the command line's with total variation of 1e-6 (`ConvNet64` and untrained
//!   `ResNet18`), 1e-2 (`ResNet32-10`, 100 pictures) or 1e-1 (`ResNet18` and `ResNet152` trained on
//!   ImageNet), and 4 or 8 restarts where the networks are deep; steps of 1 instead of 0.1 for
//!   updates of several steps.

use suites::Entry;

use crate::Attack;
use crate::matching::objective::Objective;
use crate::matching::{Matching, MatchingConfig};
use crate::optim::Decay;

/// Registry entry.
pub static ENTRY: Entry<dyn Attack> = Entry {
    name: "inverting-gradients",
    summary: "Adam on cosine distance with total variation 0.1 in the pixel box: the authors' \
        default configuration",
    reference: "Geiping, Bauermeister, Dröge, Moeller: Inverting Gradients, NeurIPS 2020; \
        JonasGeiping/invertinggradients at 1157b61, inversefed/reconstruction_algorithms.py",
    build: |map| {
        Ok(Box::new(Matching {
            config: MatchingConfig::overlay("inverting-gradients", &config(), map)?,
        }))
    },
};

/// Registry entry of the command line's configuration.
pub static COMMAND_LINE: Entry<dyn Attack> = Entry {
    name: "inverting-gradients-cli",
    summary: "signed Adam on cosine distance with total variation 1e-4 in the pixel box: the \
        authors' command line",
    reference: "Geiping, Bauermeister, Dröge, Moeller: Inverting Gradients, NeurIPS 2020; \
        JonasGeiping/invertinggradients at 1157b61, reconstruct_image.py, inversefed/options.py",
    build: |map| {
        Ok(Box::new(Matching {
            config: MatchingConfig::overlay("inverting-gradients-cli", &command_line(), map)?,
        }))
    },
};

/// The authors' default configuration.
pub fn config() -> MatchingConfig {
    MatchingConfig {
        iterations: 4800,
        objective: Objective::Cosine,
        schedule: Decay::Step,
        tv_weight: 1e-1,
        boxed: true,
        ..MatchingConfig::default()
    }
}

/// What their command line runs unless told otherwise.
pub fn command_line() -> MatchingConfig {
    MatchingConfig { iterations: 24_000, signed: true, tv_weight: 1e-4, ..config() }
}
