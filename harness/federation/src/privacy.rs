//! What a private mechanism forbids around it.

use defenses::{Defense, Stage};
use learning::{Mode, Network};
use suites::SpecError;

/// Whether a model keeps running statistics of batches.
pub fn has_statistics(net: &Network) -> bool {
    net.layout().specs().iter().any(|s| s.name.ends_with("running_mean"))
}

/// Refuses to train BatchNorm's statistics under a mechanism on updates: it must not release them
/// as they are, and a model that was trained by its batches' statistics is nothing with others.
///
/// # Errors
/// Says what to write instead.
pub fn private_statistics(
    net: &Network,
    defenses: &[Box<dyn Defense>],
    mode: Mode,
) -> Result<(), SpecError> {
    if mode == Mode::Eval
        || !has_statistics(net)
        || !defenses.iter().any(|d| d.private() && d.stage() != Stage::Training)
    {
        return Ok(());
    }
    Err(SpecError::value(
        "model.params.norm",
        "is BatchNorm, whose running statistics a private mechanism cannot release: the model \
         would be judged by those it began with",
        "write norm = \"group\" (--set model.params.norm=group), or batch_norm = \"eval\" (--set \
         model.batch_norm=eval, in `bench run` --batch-norm eval)",
    ))
}
